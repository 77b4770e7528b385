"""T2Vid's claims in the generated world: does text on pages teach a model order in videos?

The built-in model is first taught to read: single pages in the font of the package. From this reader every arm starts:

- video: clips with a question each;
- mix: two thirds clips, one third pages: what happens in a clip, told in words, a page a thing, in order of time;
- words: the same rows as mix, the text as words instead of pages;
- tenfold: ten times the clips.

All are asked about held-out clips that are longer and hold more things than any that was trained on: order, first and
last, at several numbers of frames. Questions and answers come from the world; what models are shown is pixels.

Claims, held before any run: on order, first and last, the mix is above video alone; above the mix in words; not more
than 0.02 below ten times the video. `holds` is where the whole interval lies above the threshold.

    python results/t2vid.py [--smoke | --quick] [--seeds 0,1,2] [--json]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from videre.data import world
from videre.methods.t2vid.face import Face
from videre.methods.t2vid.layout import Style, pages
from videre.methods.t2vid.render import pixels
from videre.metrics.interval import bootstrap
from videre.models import builtin, mllm
from videre.train.answerer import Lesson, Schooling, train
from videre.types import Frames, Question, Sample

HERE = Path(__file__).parent
FIRST_SEED = 91_000_000
"""Clips of seed S start at FIRST_SEED + S * 100 000: no other training of this project uses them."""
PAGE = Style(size_px=10, width_px=64, height_px=64, margin_px=2)
KINDS = ("order", "first", "last")
TRAINED = world.Config(seconds=4.0, things=(2, 3))
ASKED = world.Config(seconds=12.0, things=(4, 5))
ARMS = ("video", "mix", "words", "tenfold")
CLAIMS = {
    "mix above video": ("mix", "video", 0.0),
    "mix above its words": ("mix", "words", 0.0),
    "mix near tenfold video": ("mix", "tenfold", -0.02),
}


@dataclass(frozen=True)
class Size:
    """How much of everything: pages to learn to read, rows of an arm, held-out clips, numbers of frames."""

    reading: int
    rows: int
    clips: int
    frames: tuple[int, ...]
    batch: int = 8
    trained_frames: int = 8


SMOKE = Size(reading=4, rows=3, clips=2, frames=(2, 4), batch=2, trained_frames=4)
QUICK = Size(reading=600, rows=150, clips=30, frames=(4, 8))
FULL = Size(reading=20_000, rows=3000, clips=200, frames=(2, 4, 8, 16))


def shown(clip: world.Clip, count: int) -> Frames:
    """Evenly spread frames of a clip."""
    every = clip.frame_seconds
    return world.render(clip, every[np.linspace(0, len(every) - 1, count).round().astype(int)])


def told(clip: world.Clip) -> list[str]:
    """What happens in a clip, a text a thing, in order of time."""
    return world.describe(clip).split(", then ")


def printed(texts: Sequence[str], face: Face) -> Frames:
    """Each text on a page of its own."""
    grey = [pixels(page) for text in texts for page in pages(text, face, PAGE)]
    return Frames(np.repeat(np.stack(grey)[:, None], 3, axis=1), np.arange(len(grey), dtype=np.float64))


def questions(clip: world.Clip, kinds: Sequence[str]) -> list[Sample]:
    """What the world asks about a clip."""
    return world.questions(clip, kinds=kinds)


def lesson(row: tuple[str, int], *, size: Size, face: Face) -> Lesson:
    """A row of an arm as what is shown, asked and said: "video", "pages" or "words" of a seed's clip."""
    kind, seed = row
    clip = world.make(seed, TRAINED)
    asked = questions(clip, KINDS)
    one = asked[seed % len(asked)]
    answer = str(one.answer)
    if kind == "video":
        return Lesson([shown(clip, size.trained_frames)], one.question, answer)
    if kind == "pages":
        return Lesson([printed(told(clip), face)], one.question, answer)
    text = f"{'. '.join(told(clip))}. {one.question.text}"
    return Lesson([], Question(text, one.question.options), answer)


def reading(seed: int, *, face: Face) -> Lesson:
    """A single page, and the text on it to say or one thing about it."""
    clip = world.make(seed, world.Config(seconds=2.0, things=(1, 1)))
    asked = questions(clip, ("colour", "shape", "direction"))
    frames = [printed(told(clip), face)]
    if seed % 2 or not asked:
        return Lesson(frames, Question("Describe the video."), told(clip)[0])
    one = asked[seed // 2 % len(asked)]
    return Lesson(frames, one.question, str(one.answer))


def rows_of(arm: str, size: Size, first: int) -> list[tuple[str, int]]:
    """The rows of an arm: which clip, and how it is shown."""
    if arm in ("video", "tenfold"):
        return [("video", first + n) for n in range(size.rows * (10 if arm == "tenfold" else 1))]
    way = "pages" if arm == "mix" else "words"
    return [(way if n % 3 == 2 else "video", first + n) for n in range(size.rows)]


def schooled(
    start: Callable[[], Any], rows: Sequence[Any], show: Callable[[Any], Lesson], size: Size, out: Path
) -> Path:
    """The folder of the trained checkpoint."""
    return train(start, rows, show, Schooling(batch=size.batch, lr=2e-4, save_steps=200, log_steps=20), out=out)


def asked(folder: Path, size: Size, first: int) -> dict[str, list[int]]:
    """By number of frames, 1 for each held-out question that is answered rightly."""
    model = mllm.load(str(folder))
    right: dict[str, list[int]] = {str(count): [] for count in size.frames}
    for n in range(size.clips):
        clip = world.make(first + n, ASKED)
        for count in size.frames:
            session = model.watch([shown(clip, count)])
            marks = (session.choose(one.question).option == one.option for one in questions(clip, KINDS))
            right[str(count)] += [int(mark) for mark in marks]
    return right


def groups(size: Size, first: int) -> list[int]:
    """The clip of each held-out question."""
    return [first + n for n in range(size.clips) for _ in questions(world.make(first + n, ASKED), KINDS)]


def run(seed: int, size: Size, root: Path) -> dict[str, Any]:
    """All arms of one seed; what was trained before is not trained again."""
    first, face = FIRST_SEED + 100_000 * seed, Face(None, PAGE.size_px)
    pages_to_read = [first + 50_000 + n for n in range(size.reading)]
    reader = schooled(builtin_model, pages_to_read, partial(reading, face=face), size, root / f"seed-{seed}" / "reader")
    found = {"reader": asked(reader, size, first + 90_000)}
    for arm in ARMS:
        place = root / f"seed-{seed}" / arm
        show = partial(lesson, size=size, face=face)
        folder = schooled(lambda: mllm.load(str(reader)), rows_of(arm, size, first), show, size, place)
        found[arm] = asked(folder, size, first + 90_000)
        print(
            f"seed {seed}, {arm}: " + ", ".join(f"{k} frames {np.mean(v):.3f}" for k, v in found[arm].items()),
            file=sys.stderr,
        )
    return {"seed": seed, "right": found, "groups": groups(size, first + 90_000)}


def builtin_model() -> Any:
    """The built-in model's checkpoint, as any other."""
    return mllm.load(str(builtin.FOLDER), dtype="float32")


def claims(runs: Sequence[dict[str, Any]], size: Size) -> dict[str, dict[str, Any]]:
    """Differences at the largest number of frames, over all questions of all seeds, drawn by clip."""
    made, at = {}, str(max(size.frames))
    for name, (ours, theirs, threshold) in CLAIMS.items():
        gains = [a - b for one in runs for a, b in zip(one["right"][ours][at], one["right"][theirs][at], strict=True)]
        clips = [group for one in runs for group in one["groups"]]
        low, high = bootstrap([float(gain) for gain in gains], groups=clips)
        value = float(np.mean(gains))
        made[name] = {"value": value, "low": low, "high": high, "threshold": threshold, "holds": low > threshold}
    return made


def table(runs: Sequence[dict[str, Any]], size: Size) -> str:
    """Accuracy by arm and number of frames, with intervals over clips."""
    lines = [
        "| arm | " + " | ".join(f"{count} frames" for count in size.frames) + " |",
        "| --- |" + " --- |" * len(size.frames),
    ]
    clips = [group for one in runs for group in one["groups"]]
    for arm in ("reader", *ARMS):
        cells = []
        for count in size.frames:
            marks = [float(mark) for one in runs for mark in one["right"][arm][str(count)]]
            low, high = bootstrap(marks, groups=clips)
            cells.append(f"{np.mean(marks):.3f} [{low:.3f}, {high:.3f}]")
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def written(runs: Sequence[dict[str, Any]], size: Size, what: str) -> dict[str, Any]:
    """`results/t2vid.md` and its JSON."""
    found = claims(runs, size)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True
    ).stdout.strip()
    seeds = [one["seed"] for one in runs]
    out = {"name": "t2vid", "claims": found, "seeds": seeds, "size": asdict(size), "what": what, "commit": commit}
    (HERE / "t2vid.json").write_text(json.dumps(out, indent=1) + "\n", "utf-8")
    told_claims = "\n".join(
        f"- {name}: {c['value']:+.3f} [{c['low']:+.3f}, {c['high']:+.3f}], above {c['threshold']:+.2f}: "
        f"{'holds' if c['holds'] else 'not shown'}" for name, c in found.items()
    )  # fmt: skip
    head = f"# T2Vid in the generated world ({what})\n\nSeeds {seeds}, commit {commit}."
    text = f"{head}\n\n{table(runs, size)}\n\n{told_claims}\n"
    (HERE / "t2vid.md").write_text(text, "utf-8")
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="the machinery, in a minute; writes nothing")
    parser.add_argument("--quick", action="store_true", help="one seed, small")
    parser.add_argument("--seeds", default="", help="default: 0,1,2; with --quick 0")
    parser.add_argument("--out", type=Path, default=HERE.parent / "runs" / "t2vid")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.smoke:
        with tempfile.TemporaryDirectory() as root:
            runs = [run(0, SMOKE, Path(root))]
        out = {"name": "t2vid", "claims": claims(runs, SMOKE), "seeds": [0]}
        print(table(runs, SMOKE))
    else:
        size = QUICK if given.quick else FULL
        seeds = [int(s) for s in (given.seeds or ("0" if given.quick else "0,1,2")).split(",")]
        runs = [run(seed, size, given.out / ("quick" if given.quick else "full")) for seed in seeds]
        out = written(runs, size, "quick" if given.quick else "full")
        print((HERE / "t2vid.md").read_text("utf-8"))
    if given.json:
        print(json.dumps({"name": out["name"], "claims": out["claims"], "seeds": out["seeds"]}))


if __name__ == "__main__":
    main()
