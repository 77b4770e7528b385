"""What each model of the world can and cannot do, on held-out seeds, beside chance and beside who sees less.

    make world-models                                     trains the small models
    python results/world_models.py --part NAME            clip, detector, qformer, llm, chain, builtin, helps
    python results/world_models.py                        every part that is not measured yet, then the page
    python results/world_models.py --report               world_models.md and world_models.json of what was measured

A part is kept in runs/world-models; delete its file to measure it again.
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT / "recipes"), str(HERE)]

import world_asked  # noqa: E402
import world_clip  # noqa: E402
import world_detector  # noqa: E402
import world_lessons  # noqa: E402
import world_llm  # noqa: E402
import world_page  # noqa: E402
import world_qformer  # noqa: E402
import world_reading  # noqa: E402
from checkout import commit  # noqa: E402
from world_detected import measure as found  # noqa: E402

from videre.apps import naming  # noqa: E402
from videre.data import world  # noqa: E402
from videre.methods.frame_selector.temporal import CAPTION  # noqa: E402
from videre.methods.msr_vir.rivals import DESCRIBE  # noqa: E402
from videre.models import builtin, detector, text  # noqa: E402
from videre.types import Frames  # noqa: E402

RUNS = ROOT / "runs"
MODELS: dict[str, Any] = {"clip": world_clip, "detector": world_detector, "qformer": world_qformer, "llm": world_llm}
Row = dict[str, Any]
"""One kind: `count`, `right`, and where known `chance`, `blind` and others, as shares."""


def folder(name: str) -> Path:
    """The checkpoint of a small model, trained unless it is there."""
    return MODELS[name].make(MODELS[name].Recipe(), RUNS / f"world-{name}")[0]


def part_clip() -> list[Row]:
    """Frames of one thing, as the recipe measures them; on an empty stage the same name is said of all."""
    told = json.loads((folder("clip") / "measured.json").read_text("utf-8"))["measured"]
    chances = {"name": told["chance"], "colour": 1 / 8, "shape": 1 / 6}
    return [{"kind": k, "count": 480, "right": told[k], "chance": c, "blind": c} for k, c in chances.items()]


def part_detector() -> list[Row]:
    """Held-out frames; beside it a guess, a large box in the middle."""
    seen = detector.load(str(folder("detector")), device="cpu")
    told = found(seen, world_detector.picture)
    guess = found(Middle(), world_detector.picture)
    return [
        {
            "kind": kind,
            "count": int(told["things"]) if kind != "nothing there" else 300,
            "right": told[kind],
            "blind": guess[kind],
        }
        for kind in ("named", "colour", "nothing there", "overlap")
    ]


class Middle:
    """A detector that looks at nothing."""

    def detect(self, frames: Frames, query: str) -> list[list[tuple[float, float, float, float, float]]]:
        """The middle of every frame."""
        side = frames.width_px
        return [[(0.36 * side, 0.36 * side, 0.64 * side, 0.64 * side, 1.0)] for _ in frames.seconds]


def part_qformer(count: int = 120) -> list[Row]:
    """Frames of clips and of stories, by task and kind; blind: the same of an empty stage."""
    model = naming.model(f"ma-lmm:{folder('qformer')}#slots=0,answer_tokens=24", device="cpu")
    told, blind = (world_qformer.measure(model, count, blind=is_blind) for is_blind in (False, True))
    chances = {
        "ask presence": 1 / 2,
        "ask count": 1 / 4,
        "ask colour": 1 / 4,
        "ask shape": 1 / 4,
        "caption caption": 0.0,
    }
    return [
        {"kind": kind, "count": n, "right": right / n, "chance": chances.get(kind, 0.5), "blind": blind[kind][1] / n}
        for kind, (n, right) in sorted(told.items())
    ]


def part_llm() -> list[Row]:
    """The three prompts; blind: every caption says "nothing"; one frame: all captions but one do."""
    return world_reading.rows(text.load(str(folder("llm")), device="cpu"), each=150)


def part_chain(each: int = 40) -> list[Row]:
    """Lists and answers from what the Q-Former model writes of the frames; beside it, from true captions."""
    seeing = naming.model(f"ma-lmm:{folder('qformer')}#slots=0,answer_tokens=24", device="cpu")
    reading = text.load(str(folder("llm")), device="cpu")
    marks: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    for task, prompt in (("list", CAPTION), ("read", DESCRIBE)):
        seeds = range(world.HELD_OUT_SEED, world.HELD_OUT_SEED + each)
        true = [world_lessons.lesson(seed, task) for seed in seeds]
        seen = [world_lessons.lesson(seed, task, partial(described, seeing, prompt)) for seed in seeds]
        said = world_reading.replies(reading, [one.prompt for one in [*seen, *true]])
        right = [world_llm.is_right(one, reply) for one, reply in zip([*seen, *true], said, strict=True)]
        for one, pair in zip(true, zip(right[:each], right[each:], strict=True), strict=True):
            marks[f"{task} {one.kind}"].append(pair)
            marks[f"{task}, all"].append(pair)
    shares = {kind: np.mean(pairs, axis=0) for kind, pairs in sorted(marks.items())}
    return [{"kind": k, "count": len(marks[k]), "right": float(a), "true captions": float(b)}
            for k, (a, b) in shares.items()]  # fmt: skip


def described(seeing: Any, prompt: str, told: world.Story, seconds: np.ndarray) -> list[str]:
    """What a model writes of moments of a story, each seen alone."""
    frames = [world.render(told.window(t, t), [t], 192) for t in seconds]
    said = [seeing.generate(prompt, [Frames(frame.pixels, np.zeros(1))]) for frame in frames]
    return [" ".join(line.split()) for line in said]


CHUNKS, STORIES = 3, 12
"""The built-in model is asked in parts of a minute, each kept."""


def part_builtin() -> list[Row]:
    """Story questions to the built-in model."""
    rows: dict[str, list[Any]] = defaultdict(list)
    for number in range(CHUNKS):
        for told in chunk(number):
            rows[told["kind"]].append(told)
    names = ("right", "chance", "shown", "shuffled", "one frame", "blind")
    return [
        {"kind": kind, "count": len(rows[kind])} | {n: float(np.mean([r[n] for r in rows[kind]])) for n in names}
        for kind in world.STORY_KINDS
    ]


def chunk(number: int) -> list[Row]:
    """What came of some of the stories, kept."""
    place = RUNS / "world-models" / "builtin" / f"{number}.json"
    if not place.is_file():
        first = world.HELD_OUT_SEED + number * STORIES
        rows = list(world_asked.stories(builtin.load(), STORIES, first=first))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(rows) + "\n", "utf-8")
    return json.loads(place.read_text("utf-8"))


def part_helps(count: int = 60) -> list[Row]:
    """Whether a frame that helps with a question scores above one that does not: area under the curve, chance 0.5."""
    small = world_asked.truth_of(naming.model(f"ma-lmm:{folder('qformer')}#slots=0,answer_tokens=24", device="cpu"))
    told = {
        "Q-Former": list(world_asked.helped(small, count)),
        "blind": list(world_asked.helped(small, count, blind=True)),
        "built-in": list(world_asked.helped(world_asked.truth_of(builtin.load()), count)),
    }
    return [_areas(kind, told) for kind in ("all", *sorted({row["kind"] for row in told["blind"]}))]


def _areas(kind: str, told: dict[str, list[Row]]) -> Row:
    chosen = {name: [r for r in rows if kind in ("all", r["kind"])] for name, rows in told.items()}
    row = {"kind": kind, "count": len(chosen["blind"]), "helpful": sum(r["helps"] for r in chosen["blind"])}
    return row | {name: world_asked.area(rows) for name, rows in chosen.items()}


PARTS: dict[str, Callable[[], list[Row]]] = {
    "clip": part_clip, "detector": part_detector, "qformer": part_qformer, "llm": part_llm, "chain": part_chain,
    "builtin": part_builtin, "helps": part_helps,
}  # fmt: skip


def measured(name: str) -> dict[str, Any]:
    """The rows of a part, kept."""
    place = RUNS / "world-models" / f"{name}.json"
    if not place.is_file():
        started = time.process_time()
        rows = PARTS[name]()
        place.parent.mkdir(parents=True, exist_ok=True)
        told = {"rows": rows, "cpu_seconds": round(time.process_time() - started, 1), "commit": commit()}
        place.write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    return json.loads(place.read_text("utf-8"))


def models() -> list[Row]:
    """What each small model that is made is and what it cost."""
    told = []
    for name, module in MODELS.items():
        found = sorted((RUNS / f"world-{name}").glob("*/measured.json"), key=lambda place: place.stat().st_mtime)
        if not found:
            continue
        place = found[-1].parent
        noted = json.loads((place / "measured.json").read_text("utf-8"))
        cost = {name: noted[name] for name in ("seconds", "cpu_seconds")}
        told.append({"name": name, "class": json.loads((place / "config.json").read_text())["architectures"][0],
                     "bytes": (place / "model.safetensors").stat().st_size, **cost,
                     "recipe": f"recipes/{module.__name__}.py", "key": place.name})  # fmt: skip
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--part", choices=PARTS)
    parser.add_argument("--chunk", type=int, choices=range(CHUNKS), help="of the built-in part alone")
    parser.add_argument("--report", action="store_true")
    given = parser.parse_args()
    if given.chunk is not None:
        print(len(chunk(given.chunk)))
        return
    names = [given.part] if given.part else list(PARTS)
    if given.report:
        names = [name for name in PARTS if (RUNS / "world-models" / f"{name}.json").is_file()]
    told = {name: measured(name) for name in names}
    if given.part:
        print(json.dumps(told[given.part]))
        return
    whole = {"models": models(), "parts": told}
    (HERE / "world_models.json").write_text(json.dumps(whole, indent=1) + "\n", "utf-8")
    (HERE / "world_models.md").write_text(world_page.page(whole), "utf-8")


if __name__ == "__main__":
    main()
