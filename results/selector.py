"""The frame selector's claims on NeedleFrames: labels from models that read pixels, trained selectors, two answerers.

    python results/selector.py --smoke     (a minute: the machinery, no claim)
    python results/selector.py --quick     (one fresh seed, the per-frame layout; told, not written)
    python results/selector.py --frame     (three seeds, the per-frame layout)
    python results/selector.py             (three seeds, both layouts; goes on from what --frame trained)
    python results/selector.py --alone     (also selectors of each kind of label alone: half as long again)

Claims, thresholds and settings stand here and were written before the run. `holds` is computed from the 95 % interval
of paired differences over the questions of all seeds, drawn by whole videos; where a claim asks for a margin, the
interval must lie above it. Whatever was trained stays in `--keep FOLDER`: the same command goes on where it stopped,
and `--minutes` stops it between two trainings.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import needle_curves as curves
import needle_frames as needles
import needle_network as network
import needle_selectors as selectors
import numpy as np
import selector_page as page
import torch
from checkout import commit
from needle_frames import Needles
from needle_selectors import Course, World
from safetensors.torch import load_model, save_model

from videre.metrics.interval import bootstrap
from videre.video.strategies import nms_greedy, top_k

HERE = Path(__file__).parent
VERSION = 3
FIRST_SEED = 932_000
NETWORK_SEED = 939_000
USED = (
    "results/selector.py", "results/needle_*.py", "src/videre/methods/frame_selector", "src/videre/train",
    "src/videre/video", "src/videre/metrics",
)  # fmt: skip
"""What decides the figures, for the mark of the commit."""

Claims = dict[str, tuple[str, str, float]]


def claims_of(selector: str) -> Claims:
    """Claim -> (ours, theirs, margin): the mean difference of being right, over the same questions, is above it."""
    told = {}
    for name, by in (("", ""), ("second answerer, ", "second: ")):
        told[f"{name}{selector} beats CLIP similarity, k=4"] = (f"{selector} nms 4", "clip nms 4", 0.0, by)
        told[f"{name}4 of {selector} beat 8 uniform by 20"] = (f"{selector} nms 4", "uniform 8", 0.20, by)
    told[f"8 of {selector} beat 16 uniform by 20"] = (f"{selector} nms 8", "uniform 16", 0.20, "")
    claims = {name: (by + ours, by + theirs, margin) for name, (ours, theirs, margin, by) in told.items()}
    return claims | {f"{selector} keeps 85 % of its labels, k=4": (f"{selector} nms 4", "0.85 of both nms 4", 0.0)}


LABELS: Claims = {
    "both labels beat spatial alone, k=4": ("both nms 4", "spatial nms 4", 0.0),
    "both labels beat temporal alone, k=4": ("both nms 4", "temporal nms 4", 0.0),
    "NMS beats top-k on the mix, k=4": ("both nms 4", "both top 4", 0.0),
}
ALONE: Claims = {
    f"trained on both beats trained on {kind} alone, k=4": ("trained nms 4", f"trained on {kind} nms 4", 0.0)
    for kind in ("spatial", "temporal")
}


FRAME, QUERY = Course("frame", 400, batch=64, lr=2e-3), Course("query", 5000, batch=5, lr=1.5e-3)
LESSON = network.Lesson()
MODES = ("smoke", "quick", "frame", "alone")


@dataclass(frozen=True)
class Size:
    """How much is done: seeds, steps of each training, labelled films and questions about each, held-out films."""

    seeds: int = 3
    reader_steps: int = 180
    clip_steps: int = 120
    films: int = 3000
    questions: int = 12
    held_out: int = 200
    frame: Course = FRAME
    query: Course | None = QUERY
    alone: bool = False
    lesson: network.Lesson = LESSON


FULL = Size()
QUICK = Size(seeds=1, films=1600, questions=4, held_out=150, query=None)
SMOKE = Size(
    seeds=1, reader_steps=12, clip_steps=6, films=20, held_out=6, frame=replace(FRAME, steps=6),
    query=replace(QUERY, steps=6), alone=True, lesson=network.Lesson(4, 4),
)  # fmt: skip


@dataclass
class Clock:
    """What was spent, and when to stop between two trainings."""

    most_seconds: float
    spent: float = 0.0

    def kept(self, path: Path, model: Callable[[], Any], train: Callable[[], Any]) -> Any:
        """The trained model: from its file, or trained now and written.

        Args:
            path: of the weights; what training cost lies beside it.
            model: makes it untrained, to be filled from the file.
            train: trains it.

        Raises:
            SystemExit: time is up, and this would be a training.
        """
        cost = path.with_suffix(".json")
        if cost.is_file():
            made = model()
            load_model(made, str(path))
            self.spent += json.loads(cost.read_text("utf-8"))["cpu_seconds"]
            return made.eval()
        if time.process_time() > self.most_seconds:
            raise SystemExit(f"stopped before {path}: run the same again")
        start = time.process_time()
        made = train()
        spent = time.process_time() - start
        save_model(made, str(path))
        cost.write_text(json.dumps({"cpu_seconds": spent}), "utf-8")
        self.spent += spent
        return made


def world(seed: int, size: Size, out: Path, clock: Clock) -> World:
    """The models that label and answer."""

    def reader(kind: str, number: int, name: str) -> Any:
        return clock.kept(
            out / f"{name}.safetensors",
            lambda: needles.unread(kind),
            lambda: needles.reader(kind, size.reader_steps, number, out / name),
        )

    clip = clock.kept(
        out / "clip.safetensors",
        needles.Likeness,
        lambda: needles.likeness(size.clip_steps, seed + 2, out / "clip"),
    )
    return World(reader("transformer", seed, "eyes"), reader("cells", seed + 1, "other"), clip)


def second(size: Size, out: Path, clock: Clock) -> network.Network:
    """The second answerer, one for all seeds."""
    return clock.kept(
        out / "network.safetensors",
        lambda: network.Network(needles.unread("cells"), size.lesson.width),
        lambda: network.trained(NETWORK_SEED, size.lesson, size.reader_steps, out / "network"),
    )


def taught(models: World, seed: int, size: Size, out: Path, clock: Clock) -> dict[str, Any]:
    """The selectors of a seed by the names of their arms."""
    courses = {"trained": ("both", size.frame)}
    if size.alone:
        courses |= {f"trained on {kind}": (kind, size.frame) for kind in ("spatial", "temporal")}
    if size.query:
        courses["trained query"] = ("both", size.query)
    rows: list[Any] = []

    def train(kind: str, course: Course, number: int, name: str) -> Any:
        if not rows:
            rows.append(selectors.labelled(models, seed, size.films, size.questions))
        return selectors.trained(models, rows[0], kind, course, number, out / name)

    found = {}
    for i, (name, (kind, course)) in enumerate(courses.items()):
        found[name] = clock.kept(
            out / f"{name.replace(' ', '-')}.safetensors",
            lambda course=course: selectors.untrained(course.layout, models.eyes.tower, 0),
            lambda kind=kind, course=course, i=i, name=name: train(kind, course, seed + 3 + i, name),
        )
    return found


def measured(models: World, net: Any, found: dict[str, Any], seed: int, size: Size) -> dict[str, list[float]]:
    """Arm -> whether each held-out question is answered right; "second:" arms by the network."""
    draw = np.random.default_rng([seed, 77])
    told = needles.films(draw, size.held_out)
    asked = needles.questions(draw, told, 4)
    lined = selectors.labels(models, told, asked, draw) | {"clip": needles.similarity(models.clip, told, asked)}
    lined |= {name: selectors.scores(model, told, asked) for name, model in found.items()}
    chosen = {f"uniform {k}": [curves.uniform(Needles().n, k)] * len(asked) for k in (4, 8, 16)}
    for kind, lines in lined.items():
        for k in (4, 8):
            chosen[f"{kind} nms {k}"] = [nms_greedy(line, k) for line in lines]
            chosen[f"{kind} top {k}"] = [top_k(line, k) for line in lines]
    seen, right = models.other.read(told.pixels), {}
    for arm, frames in chosen.items():
        right[arm] = needles.answers(seen, asked, frames).tolist()
        right[f"second: {arm}"] = network.answers(net, told, asked, frames).tolist()
    return right


def judged(found: dict[str, list[float]], claims: Claims) -> dict[str, dict[str, Any]]:
    """Every claim with its difference, interval and whether it holds."""
    told = {}
    for name, (ours, theirs, margin) in claims.items():
        factor, arm = (0.85, theirs.removeprefix("0.85 of ")) if theirs.startswith("0.85 of ") else (1.0, theirs)
        gains = np.array(found[ours]) - factor * np.array(found[arm])
        low, high = bootstrap(gains, groups=[i // 4 for i in range(len(gains))], resamples=2000)
        told[name] = {
            "value": float(gains.mean()),
            "low": low,
            "high": high,
            "threshold": margin,
            "holds": low > margin,
        }
    return told


def monotone(values: Sequence[float], *, rising: bool, slack: float = 0.02) -> bool:
    """Whether a curve never turns by more than `slack`."""
    steps = np.diff(values)
    return bool((steps >= -slack).all() if rising else (steps <= slack).all())


def part(seed: int, size: Size, folder: Path, clock: Clock) -> dict[str, Any]:
    """All of one seed: arms and curves, kept in a file beside what was trained."""
    out = folder / str(seed)
    out.mkdir(parents=True, exist_ok=True)
    models, net = world(seed, size, out, clock), second(size, folder, clock)
    found = taught(models, seed, size, out, clock)
    path = out / f"found-{'-'.join(sorted(found)).replace(' ', '_')}.json"
    if not path.is_file():
        told: dict[str, Any] = {"arms": measured(models, net, found, seed + 6, size)}
        for name, make in curves.CURVES.items():
            told[name] = make(models, seed + 7, size.held_out)
        path.write_text(json.dumps(told), "utf-8")
    return json.loads(path.read_text("utf-8"))


def run(size: Size, first: int, folder: Path, minutes: float) -> dict[str, Any]:
    """Everything, for all seeds."""
    seeds, clock = [first + 10 * i for i in range(size.seeds)], Clock(60 * minutes)
    begun(size, folder)
    parts = [part(seed, size, folder, clock) for seed in seeds]
    arms = {arm: [right for one in parts for right in one["arms"][arm]] for arm in parts[0]["arms"]}
    claims = claims_of("trained") | LABELS | (ALONE if size.alone else {})
    claims |= claims_of("trained query") if size.query else {}
    told = judged(arms, claims)
    drawn = {name: [one[name] for one in parts] for name in curves.CURVES}
    for name, rising in (("density", True), ("bursts", False)):
        line = np.mean([[row[1] for row in rows] for rows in drawn[name]], axis=0)
        told[f"{name} curve is monotone"] = {
            "value": float(line[-1] - line[0]), "low": None, "high": None, "threshold": 0.02,
            "holds": monotone(line.tolist(), rising=rising),
        }  # fmt: skip
    return {
        "name": "selector", "version": VERSION, "claims": told, "seeds": seeds, "size": asdict(size),
        "questions": len(arms["uniform 4"]), "cpu_seconds": round(clock.spent), "curves": drawn,
        "commit": commit(*USED), "arms": {arm: float(np.mean(right)) for arm, right in arms.items()},
    }  # fmt: skip


def begun(size: Size, folder: Path) -> None:
    """Returns where the folder is new or holds parts of these settings.

    Raises:
        SystemExit: it holds parts of other settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    told = {name: value for name, value in asdict(size).items() if name not in ("seeds", "query", "alone")}
    path, now = folder / "size.json", json.dumps({"version": VERSION, **told, "query": asdict(QUERY)})
    if path.is_file() and path.read_text("utf-8") != now:
        raise SystemExit(f"{folder} was begun with other settings: take another --keep")
    path.write_text(now, "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int, help="How many, in place of three; the page says which were run.")
    parser.add_argument("--frame", action="store_true", help="The per-frame layout only.")
    parser.add_argument("--alone", action="store_true", help="Also train on each kind of label alone.")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seed", type=int, default=FIRST_SEED)
    parser.add_argument("--keep", type=Path, help="Folder of what is trained; default: one under runs/.")
    parser.add_argument("--minutes", type=float, default=1e9, help="Stop between two trainings after so many.")
    given = parser.parse_args()
    torch.set_num_threads(1)
    name, size = ("smoke", SMOKE) if given.smoke else ("quick", QUICK) if given.quick else ("full", FULL)
    size = replace(size, alone=size.alone or given.alone, query=None if given.frame else size.query)
    size = replace(size, seeds=given.seeds or size.seeds)
    told = run(size, given.seed, given.keep or HERE.parent / "runs" / f"selector-{name}", given.minutes)
    command = " ".join(["python results/selector.py", *(f"--{name}" for name in MODES if getattr(given, name))])
    command += f" --seeds {given.seeds}" if given.seeds else ""
    if name == "full":
        (HERE / "selector.md").write_text(page.page(told, command), "utf-8")
        (HERE / "selector.json").write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    if given.json:
        print(json.dumps({key: told[key] for key in ("name", "claims", "seeds")}))
    else:
        print(page.page(told, command))


if __name__ == "__main__":
    main()
