"""How well a checkpoint answers on held-out seeds, by kind, against chance and against itself without the video.

Everything goes the real road: the clip is written as H.264, decoded by the house's reader, and asked through
`models.mllm`.
"""

import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from videre.data import world
from videre.models.builtin import Builtin
from videre.options import read_option
from videre.types import Frames, Sample
from videre.video.open import open_video

SINGLE = "one frame: "


@dataclass(frozen=True)
class Row:
    """One kind of question: how many were asked, the share right, by chance, blind, and asked without options."""

    kind: str
    count: int
    accuracy: float
    chance: float
    blind: float
    open_accuracy: float


def evaluate(model: Builtin, clips: int, *, seed: int = world.HELD_OUT_SEED) -> tuple[list[Row], float]:
    """One row a kind, and seconds a question.

    Args:
        model: the loaded checkpoint.
        clips: how many clips; each gives a question of every kind that it carries.
        seed: the first clip's seed.
    """
    tallies: dict[str, list[tuple[bool, float, bool, bool]]] = defaultdict(list)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for i in range(clips):
            clip = world.make(seed + i)
            path = world.write(clip, Path(folder) / world.video_name(clip))
            for name, right in _ask_clip(model, clip, path):
                tallies[name].append(right)
            path.unlink()
    asked = sum(len(t) for t in tallies.values())
    rows = [Row(k, len(t), *(float(v) for v in np.mean(t, axis=0))) for k, t in sorted(tallies.items())]
    return rows, (time.perf_counter() - started) / max(asked, 1)


def _ask_clip(model: Builtin, clip: world.Clip, path: Path) -> list[tuple[str, tuple[bool, float, bool, bool]]]:
    samples = world.questions(clip)
    with open_video(path) as video:
        span = clip.config.seconds
        groups = {"": (video.at([(i + 0.5) * span / 8 for i in range(8)]), samples)}
        single = [s for s in samples if s.kind in world.SINGLE_FRAME_KINDS and s.spans]
        for i, sample in enumerate(single):
            middle = 0.5 * (sample.spans[0].start_seconds + sample.spans[0].end_seconds)
            groups[f"{SINGLE}{i}"] = (video.at([middle]), [sample])
        single_no = [s for s in samples if s.kind == "presence" and not s.spans]
        if single_no:
            groups[f"{SINGLE}no"] = (video.at([span / 2]), single_no)
    rows = []
    for name, (frames, asked) in groups.items():
        prefix = SINGLE if name else ""
        rows += [(prefix + s.kind, right) for s, right in zip(asked, _ask(model, frames, asked), strict=True)]
    return rows


def _ask(model: Builtin, frames: Frames, samples: list[Sample]) -> list[tuple[bool, float, bool, bool]]:
    watched, blind = model.watch([frames]), model.watch([black(frames)])
    told = []
    for sample in samples:
        question = sample.question
        reply = watched.generate(question.text, max_tokens=12)
        named = reply.strip().lower() == str(sample.answer).lower() or (
            read_option(reply, question.options) == sample.option
        )
        seen, unseen = watched.answer(question).option, blind.answer(question).option
        told.append((seen == sample.option, 1 / len(question.options), unseen == sample.option, named))
    return told


def black(frames: Frames) -> Frames:
    """The same moments of an empty stage: what a model can do from the words alone."""
    return Frames(np.full_like(frames.pixels, 30), frames.seconds)


def table(rows: list[Row]) -> str:
    """The rows in Markdown."""
    head = "| kind | questions | right | chance | blind | asked openly |\n| --- | ---: | ---: | ---: | ---: | ---: |\n"
    lines = [
        f"| {r.kind} | {r.count} | {r.accuracy:.3f} | {r.chance:.3f} | {r.blind:.3f} | {r.open_accuracy:.3f} |"
        for r in rows
    ]
    return head + "\n".join(lines) + "\n"


PAGE = """# The built-in model on held-out clips

{parameters:,} parameters, trained by `{command}` ({train_minutes} minutes in this run; finished stages are not run
again). {questions} questions on {clips} clips from seed {first_seed} on, none of them seen in training. Every clip was
written as H.264, decoded by the reader and asked through `models.mllm` with 8 even frames, or with the one frame in the
middle of the time that the thing in question is shown. "Blind" is the same model before an empty stage. "Asked openly"
is the same question without its options, right where the reply is the answer or names it and no other option.

{table}"""


def page(told: dict[str, Any], rows: list[Row]) -> str:
    """The rows with how they came about, in Markdown."""
    return PAGE.format(**told, **told["held_out"], table=table(rows))
