"""Video-STaR's claims in the generated world: a model teaches itself to say the colour and the shape in one answer.

The labels tell the colour alone, as labels of videos mostly tell a part of what can be asked. Questions ask for colour
and shape, in words that the built-in model was not trained with; held-out answers are judged on both. It sees both, and
answers either; asked for both, it mostly names one. Self-training on labels is to close that gap.

Every answer and rationalization is sampled from the model, which reads pixels; the generator's truth reaches the hint,
the verifier, the template baseline and the stronger annotator, and nothing else. Each arm is one run of `videre star`;
the same command goes on where it stopped. The held-out questions are on clips that no arm has seen.

As in the paper, cycle 1 is answered by another model than the one that every training starts from: a copy of the
built-in model that has learned, on other clips and in other words, to use a colour that stands before a question, and
to answer as before where none does (a copy that was taught hints alone followed none in new words: docs/log.md).

    python results/selftrain.py --seed 0 [--arm base|first|templates|unverified|direct|star|warm|annotator]
    python results/selftrain.py --report                                                 (writes selftrain.md and .json)
    python results/selftrain.py --smoke
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from selftrain_page import page, report

from videre.apps import star_run
from videre.apps.star_recipe import read
from videre.apps.training import read_recipe
from videre.ask import ask
from videre.data import world
from videre.data.world.questions import ask as draft
from videre.data.world.scene import COLOURS, SHAPES
from videre.methods.video_star.export import Example
from videre.methods.video_star.label import Label, Row
from videre.methods.video_star.store import load_kept, load_rows, save_rows
from videre.methods.video_star.verify import Verifier
from videre.types import Question

HERE = Path(__file__).parent
RUNS = HERE.parent / "runs" / "selftrain"
CONFIG = world.Config(seconds=2.0, size_px=96, things=(1, 1))
FIRST_SEED = 80_000_000
"""Clips of seed S start at FIRST_SEED + S * 10 000: no other training of this project uses them."""
PREPARE_SEED = FIRST_SEED + 900_000
"""Clips on which the first model learns to follow a hint, and the annotator learns the tasks."""
KNOWN = (
    "What is it?",
    "What object is it?",
    "What is shown?",
    "Which object is this?",
    "What appears?",
    "What is there?",
)
"""Wordings near to those of the built-in model's training."""
RELATED = (
    "Both colour and shape?",
    "Shape and colour?",
    "Can you tell the colour and the shape?",
    "Do you see its colour and shape?",
    "Colour and shape?",
    "Is it a shape or a colour?",
)
"""Wordings of the same matter, on which the first model learns to follow a hint; no arm is asked in these."""
TASKS: dict[str, tuple[str, ...]] = {
    "near": (
        "What is its colour and its shape?",
        "Give the colour and the shape of the thing.",
        "Which shape and colour does the thing have?",
        "The colour of the shape and the shape of the colour?",
    ),
    "far": (
        "Colour, then shape?",
        "Which colour has which shape?",
        "Name the colour, and the shape of it.",
        "Of what colour is what shape?",
    ),
}
"""Wordings by task, labelled and held-out alike, named by how the first model did on eight clips of preparation."""

ARMS: dict[str, tuple[str, ...]] = {
    "base": (),
    "first": (),
    "templates": ("cycles.arm=templates",),
    "star": (),
    "unverified": ("cycles.arm=unverified", "cycles.cycles=1"),
    "direct": ("cycles.rationalize=false",),
    "warm": ("cycles.warm_start=true",),
    "annotator": ("cycles.arm=annotator", "cycles.verify=false"),
}
"""Arms in the order of their run; base and first are asked as they are."""
SAME = {
    "unverified": ("cycle-1/direct",),
    "direct": ("cycle-1/direct",),
    "warm": ("cycle-1", "cycle-2/direct"),
}
"""What an arm has in common with star, taken from there in place of asking the same model the same again."""


@dataclass(frozen=True)
class Size:
    """How many labelled and held-out questions, clips to prepare on, and rows that the annotator is asked."""

    labelled: int = 64
    held_out: int = 64
    prepared: int = 160
    annotated: int = 16


def prepare(folder: Path, seed: int, size: Size) -> Path:
    """Videos and the table of labelled rows of a seed, and the held-out rows beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    start = FIRST_SEED + seed * 10_000
    if not (folder / "table.jsonl").is_file():
        save_rows(folder / "held_out.jsonl", questions(folder / "videos", start + 5_000, size.held_out))
        rows = questions(folder / "videos", start, size.labelled)
        save_rows(folder / "table.jsonl", [replace(row, labels=row.labels[:1]) for row in rows])
    return folder


def questions(videos: Path, first: int, count: int) -> list[Row]:
    """So many questions, half of each task, about clips of one thing that is on the stage in the middle."""
    rows = []
    for number, (name, truth) in enumerate(clips(videos, first, count)):
        task = list(TASKS)[number % len(TASKS)]
        wording = TASKS[task][number // len(TASKS) % len(TASKS[task])]
        colour, shape = truth.split()
        labels = (
            Label("colour", "keywords", colour, tuple(COLOURS)),
            Label("shape", "keywords", shape, tuple(SHAPES)),
        )
        rows.append(Row(Path(name).stem, name, wording, labels, CONFIG.seconds, None, task))
    return rows


def clips(videos: Path, first: int, count: int) -> list[tuple[str, str]]:
    """File names of so many clips from a seed on, written where they are not there, and what each shows."""
    videos.mkdir(parents=True, exist_ok=True)
    found: list[tuple[str, str]] = []
    seed = first
    while len(found) < count:
        clip = world.make(seed, CONFIG)
        seed += 1
        if clip.things[0].start_seconds + 0.2 < CONFIG.seconds / 2 < clip.things[0].end_seconds - 0.2:
            found.append((world.video_name(clip), clip.things[0].name))
            if not (videos / found[-1][0]).is_file():
                world.write(clip, videos / found[-1][0])
    return found


def first_model(root: Path, size: Size) -> str:
    """Who answers in cycle 1: the built-in model after it has learned to use a hint, and to be as before without."""
    told = read(read_recipe(HERE.parent / "recipes" / "star_world.toml", _prepared(root)))
    if (root / "first" / "done.json").is_file():
        return str(root / "first" / "model")
    base = star_run._load(told, "builtin")
    made = []
    for number, (name, truth) in enumerate(clips(root / "prepare", PREPARE_SEED, size.prepared)):
        rng = np.random.default_rng([PREPARE_SEED, number])
        hinted = f"{truth.split()[0]}. {rng.choice((*KNOWN, *RELATED))}"
        made.append(Example(f"hint/{name}", name, hinted, truth, "direct", True))
        if number % 2:
            asked = str(rng.choice(RELATED))
            made.append(Example(f"as-before/{name}", name, asked, said(told, base, name, asked), "direct", True))
        elif own := draft(world.make(int(Path(name).stem[-8:]), CONFIG), "colour", rng):
            made.append(Example(f"colour/{name}", name, own.text, own.answer, "direct", True))
    return star_run._train(told, made, "builtin", root / "first")


def annotator(root: Path, size: Size) -> str:
    """A stronger annotator: the built-in model after it was taught the tasks by the truth of other clips."""
    told = read(read_recipe(HERE.parent / "recipes" / "star_world.toml", _prepared(root)))
    rows = questions(root / "prepare", PREPARE_SEED + 50_000, size.prepared // 2)
    made = [Example(r.id, r.video, r.question, " ".join(str(a.value) for a in r.labels), "direct", True) for r in rows]
    return star_run._train(told, made, "builtin", root / "annotator")


def _prepared(root: Path) -> list[str]:
    return [f'labels.videos="{root / "prepare"}"', "fit.epochs=2.0"]


def run(arm: str, seed: int, size: Size, root: Path, changes: tuple[str, ...] = ()) -> dict[str, Any]:
    """Runs an arm, asks its model the held-out questions, and keeps what came out."""
    data = prepare(root / f"seed-{seed}", seed, size)
    place = data / arm
    place.mkdir(exist_ok=True)
    teacher = _teacher(arm, root, size)
    models = (f'model.first="{teacher}"', f"cycles.annotated={size.annotated}")
    told = read(
        read_recipe(HERE.parent / "recipes" / "star_world.toml", _changes(arm, data, seed, (*models, *changes)))
    )
    _take(arm, data)
    result: dict[str, Any] = {"cycles": []}
    if arm not in ("base", "first"):
        result = star_run.run(told, place, tell=lambda text: print(f"{arm}, seed {seed}: {text}", file=sys.stderr))
    asked = [c["model"] for c in result["cycles"]] or [teacher or "builtin"]
    out = {"arm": arm, "seed": seed, "marks": [held_out(told, model, data) for model in asked]}
    out |= {"tasks": [row.task for row in load_rows(data / "held_out.jsonl")]}
    out |= {"counts": [{t: c["counts"][t] for t in ("all", *TASKS)} for c in result["cycles"]]}
    out |= {"direct": [_direct(data, place / f"cycle-{c['cycle']}") for c in result["cycles"]]}
    (place / "arm.json").write_text(json.dumps(out))
    return out


def _teacher(arm: str, root: Path, size: Size) -> str:
    if arm in ("base", "templates"):
        return ""
    return annotator(root, size) if arm == "annotator" else first_model(root, size)


def _take(arm: str, data: Path) -> None:
    """Copies what `arm` has in common with star."""
    for part in SAME.get(arm, ()):
        if (data / "star" / "arm.json").is_file() and not (data / arm / part).is_dir():
            shutil.copytree(data / "star" / part, data / arm / part)


def _direct(data: Path, place: Path) -> list[int]:
    """1 for each labelled row whose direct answer was kept in a cycle."""
    own = {one.row.id for one in load_kept(place / "kept.jsonl") if one.is_direct}
    return [int(row.id in own) for row in load_rows(data / "table.jsonl")]


def held_out(told: Any, model: str, data: Path) -> list[float]:
    """The share of colour and shape that each held-out answer tells rightly, by the verifier that made the data."""
    answerer, verifier = star_run._load(told, model), Verifier()
    right = []
    for row in load_rows(data / "held_out.jsonl"):
        verdicts = verifier.verdicts(said(told, answerer, row.video, row.question), row)
        right.append(statistics.fmean(v.status == "accept" for v in verdicts))
    return right


def said(told: Any, answerer: Any, video: str, question: str) -> str:
    """What a model says to a question about a video."""
    show = star_run._show(told)
    return str(ask(show.videos / video, Question(question), model=answerer, select=show.select, size_px=show.size_px))


def _changes(arm: str, data: Path, seed: int, changes: tuple[str, ...]) -> list[str]:
    paths = [f'labels.file="{data}/table.jsonl"', f'labels.videos="{data}/videos"', f"fit.seed={seed}"]
    return [*paths, *ARMS[arm], *changes]


@cache
def place() -> Path:
    """Where runs with the built-in model's present weights lie."""
    told = star_run._identity("builtin")
    return RUNS / str(told["weights"]).removeprefix("sha256:")[:12]  # type: ignore[index, call-overload]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--arm", choices=list(ARMS), help="Default: all of them.")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--smoke", action="store_true", help="Every arm on six questions: the machinery.")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.smoke:
        with tempfile.TemporaryDirectory() as folder:
            for arm in ARMS:
                run(arm, 0, Size(8, 4, 8, 4), Path(folder), ("fit.epochs=1.0", "fit.batch=2"))
            print(json.dumps(report(Path(folder), list(ARMS))["claims"]))
    elif given.seed is not None:
        for arm in [given.arm] if given.arm else ARMS:
            if not (place() / f"seed-{given.seed}" / arm / "arm.json").is_file():
                run(arm, given.seed, Size(), place())
    elif given.report:
        found = report(place(), list(ARMS))
        (HERE / "selftrain.md").write_text(page(found))
        (HERE / "selftrain.json").write_text(json.dumps(found, indent=1) + "\n")
        print(json.dumps({key: found[key] for key in ("name", "claims", "seeds")}) if given.json else page(found))
    else:
        parser.print_help()


if __name__ == "__main__":
    main()
