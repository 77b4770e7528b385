"""How well a checkpoint answers on held-out seeds, by kind, against chance and against itself without the video.

Everything goes the real road: the clip is written as H.264, decoded by the house's reader, and asked through
`models.mllm`.
"""

import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from videre.data import world
from videre.metrics.interval import wilson
from videre.models.builtin import Builtin
from videre.options import read_option
from videre.types import Frames, Sample, Span
from videre.video.open import open_video

SINGLE = "one frame: "


VIEWS = ("right", "open", "shuffled", "one", "blind")
"""How a question is asked: with its options; without; of shuffled frames; of one of them; of an empty stage."""


@dataclass(frozen=True)
class Row:
    """One kind of question: how many were asked, the share right by chance and in each of `VIEWS`.

    Attributes:
        interval: of `right`, 95 %.
        shuffled: None where only one frame is shown, as is `one`.
    """

    kind: str
    count: int
    chance: float
    right: float
    interval: tuple[float, float]
    open: float
    shuffled: float | None
    one: float | None
    blind: float


def evaluate(model: Builtin, clips: int, *, seed: int = world.HELD_OUT_SEED) -> tuple[list[Row], float]:
    """One row a kind, and seconds a question.

    Args:
        model: the loaded checkpoint.
        clips: how many clips; each gives a question of every kind that it carries.
        seed: the first clip's seed.
    """
    tallies: dict[str, list[Told]] = defaultdict(list)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for i in range(clips):
            clip = world.make(seed + i)
            path = world.write(clip, Path(folder) / world.video_name(clip))
            for name, told in _ask_clip(model, clip, path):
                tallies[name].append(told)
            path.unlink()
    asked = sum(len(t) for t in tallies.values())
    return [_row(kind, told) for kind, told in sorted(tallies.items())], (time.perf_counter() - started) / max(asked, 1)


Told = dict[str, float | None]
"""Chance, and in each of `VIEWS` whether the answer was right, 1 or 0."""


def _row(kind: str, told: list[Told]) -> Row:
    shares = {name: _mean([one[name] for one in told]) for name in ("chance", *VIEWS)}
    right = sum(int(one["right"] or 0) for one in told)
    return Row(kind, len(told), interval=wilson(right, len(told)), **shares)  # type: ignore[arg-type]


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _ask_clip(model: Builtin, clip: world.Clip, path: Path) -> list[tuple[str, Told]]:
    samples, rng = world.questions(clip), np.random.default_rng(clip.seed)
    with open_video(path) as video:
        even = [(i + 0.5) * clip.config.seconds / 8 for i in range(8)]
        rows = [(s.kind, told) for s, told in zip(samples, _ask(model, video.at(even), samples, rng), strict=True)]
        for sample in (s for s in samples if s.kind in world.SINGLE_FRAME_KINDS):
            spans = sample.spans or (Span(0.0, clip.config.seconds),)
            frame = video.at([0.5 * (spans[0].start_seconds + spans[0].end_seconds)])
            rows.append((SINGLE + str(sample.kind), *_ask(model, frame, [sample], rng)))
    return [(str(kind), told) for kind, told in rows]


def _ask(model: Builtin, frames: Frames, samples: list[Sample], rng: np.random.Generator) -> list[Told]:
    """What the model makes of the questions, and of the same questions where less is to be seen."""
    views = {"right": frames, "blind": black(frames)}
    if len(frames) > 1:
        views["shuffled"] = Frames(frames.pixels[rng.permutation(len(frames))], frames.seconds)
        chosen = int(rng.integers(len(frames)))
        views["one"] = Frames(frames.pixels[chosen : chosen + 1], frames.seconds[chosen : chosen + 1])
    sessions = {name: model.watch([shown]) for name, shown in views.items()}
    return [_told(sessions, sample) for sample in samples]


def _told(sessions: Mapping[str, Any], sample: Sample) -> Told:
    question = sample.question
    reply = sessions["right"].generate(question.text, max_tokens=12)
    named = reply.strip().lower() == str(sample.answer).lower() or read_option(reply, question.options) == sample.option
    told: Told = dict.fromkeys(VIEWS)
    told |= {name: float(session.answer(question).option == sample.option) for name, session in sessions.items()}
    return told | {"open": float(named), "chance": 1 / len(question.options)}


def black(frames: Frames) -> Frames:
    """The same moments of an empty stage: what a model can do from the words alone."""
    return Frames(np.full_like(frames.pixels, 30), frames.seconds)


def table(rows: list[Row]) -> str:
    """The rows in Markdown."""
    head = "| kind | questions | right | 95 % interval | chance | shuffled | one frame | blind | asked openly |\n"
    rule = "| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: |\n"
    return head + rule + "\n".join(_line(row) for row in rows) + "\n"


def _line(row: Row) -> str:
    low, high = row.interval
    shares = [f"{s:.3f}" if s is not None else "" for s in (row.chance, row.shuffled, row.one, row.blind, row.open)]
    return f"| {row.kind} | {row.count} | {row.right:.3f} | {low:.3f} to {high:.3f} | " + " | ".join(shares) + " |"


PAGE = """# The built-in model on held-out clips

{parameters:,} parameters, {how} {questions} questions on {clips} clips
from seed {first_seed} on, none of them seen in training. Every clip was written as H.264, decoded by the reader and
asked through `models.mllm` with 8 even frames, or with the one frame in the middle of the time that the thing in
question is shown. Beside it the same model where less is to be seen: "shuffled", the 8 frames in random order under the
times of the right order; "one frame", a random one of the 8; "blind", an empty stage. "Asked openly" is the same
question without its options, right where the reply is the answer or names it and no other option.

{table}"""
TRAINED = "trained by `{command}` in {train_minutes} minutes\nby the clock, {cpu_minutes} of processor time."


def page(told: dict[str, Any], rows: list[Row]) -> str:
    """The rows with how they came about, in Markdown; `told["how"]` says it where no single command did."""
    how = told.get("how") or TRAINED.format(**told)
    return PAGE.format(**{**told, "how": how}, **told["held_out"], table=table(rows))
