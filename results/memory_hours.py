"""A needle at hour 7 of 12: is it told, and found within two seconds, by a memory of constant size?

A video of twelve hours, one frame a second, on a stage with grey scenery that changes every three hours; film grain
makes no two frames alike. Six things of six colours are shown for three seconds each: one within the eighth hour
(7:00 to 8:00), the others anywhere. It is written as H.264, decoded, and pushed once, frame by frame, into the
`MALMM` that `memory.py --arm merge` of the same seed trained on videos of one minute, here with 20 slots. Then it is
asked about each thing. A thing is *told* where the reply is its shape, *found* where the stretch that
`Watching.where` names first has both of its ends within two seconds of the thing's own. Frame by frame, memory is
counted.

    python results/memory_hours.py --seed 0 [--root runs/memory]
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from memory_model import question
from memory_world import CELLS, SIDE_PX, asked, stage, thing

from videre.data import world
from videre.data.world.scene import COLOURS, Clip, Config
from videre.methods.ma_lmm.loading import load
from videre.methods.ma_lmm.memory import Memory
from videre.methods.ma_lmm.model import Settings
from videre.models.voice import Writing
from videre.types import Question
from videre.video.open import open_video

HOUR, SHOWN_SECONDS, WITHIN_SECONDS, SLOTS = 3600, 3, 2.0, 20
RUNS = Path(__file__).parent.parent / "runs" / "memory"


def hours(seed: int, length: int = 12) -> Clip:
    """The long video; its needle is the thing that is shown in the eighth hour."""
    rng = np.random.default_rng([12, seed])
    told = []
    for start in range(0, length, 3):
        span = start * HOUR - 0.25, (start + 3) * HOUR - 0.25
        told.append(stage(rng, *span))
        told += [thing(rng, "grey", int(cell), *span) for cell in rng.permutation(CELLS)[:3]]
    needle = 7 * HOUR * length // 12 + rng.integers(60, HOUR * length // 12 - 60)
    others = rng.permutation(np.arange(60, length * HOUR - 60, 30))[:5]
    for colour, start in zip(rng.permutation(list(COLOURS)), sorted([needle, *others]), strict=False):
        at = float(start) - 0.25
        told.append(thing(rng, str(colour), int(rng.integers(CELLS)), at, at + SHOWN_SECONDS))
    return Clip(
        seed,
        Config(seconds=float(length * HOUR), fps=1, size_px=SIDE_PX, noise=2.0),
        (24, 24, 28),
        tuple(told),
    )


def run(seed: int, root: Path, *, length: int = 12) -> dict[str, Any]:
    """Makes, watches and asks; what came out is kept."""
    torch.set_num_threads(1)
    settings = Settings(Memory(SLOTS, 0), recall="visual", writing=Writing(answer_tokens=2), batch=64)
    model = load(str(root / f"seed-{seed}" / "malmm"), device="cpu", dtype="float32", settings=settings)
    clip, session, held = hours(62_000_000 + seed, length), model.watch(recall="visual"), []
    with tempfile.TemporaryDirectory() as folder:
        path = world.write(clip, Path(folder) / "hours.mp4")
        size, began = path.stat().st_size, time.process_time()
        with open_video(path) as video:
            for chunk in video.stream(1.0):
                session.push(chunk)
                if not held and session.frames >= 60:
                    held.append((session.bytes, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
    held.append((session.bytes, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
    out = {"seed": seed, "frames": session.frames, "file_bytes": size, "seconds": time.process_time() - began}
    out |= {"bank_bytes": [h[0] for h in held], "peak_kb": [h[1] for h in held]}
    out["things"] = [_asked(session, one, 7 * HOUR * length // 12, 8 * HOUR * length // 12) for one in asked(clip)]
    (root / f"seed-{seed}" / "hours.json").write_text(json.dumps(out, indent=1) + "\n")
    return out


def _asked(session: Any, one: Any, low: float, high: float) -> dict[str, Any]:
    said = session.answer(Question(question(one)))
    spans = session.where(Question(question(one)), said.text)
    # Shown at the whole seconds from here to there.
    first, last = one.start_seconds + 0.25, one.end_seconds - 0.75
    ends = [(span.start_seconds, span.end_seconds) for span in spans]
    off = max(abs(ends[0][0] - first), abs(ends[0][1] - last)) if ends else None
    return {
        "needle": low <= first < high,
        "shown_seconds": [first, last],
        "told": said.text == one.shape,
        "reply": said.text,
        "truth": one.shape,
        "named_seconds": ends,
        "off_seconds": off,
        "found": off is not None and off <= WITHIN_SECONDS,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--root", type=Path, default=RUNS)
    parser.add_argument("--hours", type=int, default=12, choices=range(3, 25, 3))
    given = parser.parse_args()
    print(json.dumps(run(given.seed, given.root, length=given.hours), indent=1))


if __name__ == "__main__":
    main()
