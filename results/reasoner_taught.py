"""The claims on a model that was taught the paper's layout: overview, key moment and close-ups.

Things are half as large as those that the built-in model knows, so that a shape, three questions of twelve, needs the
close-up; four of twelve need the overview: which of two things appears first, and which colour is the first or the
last of all. One model answers in all arms: its lessons left each part out now and then, and showed even frames as well
(`reasoner_school.py`). Claims and settings were written before the run.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import reasoner_films as films
import reasoner_school as school
from reasoner_parts import Study, asking, by_kind, figures, gain, gains

from videre.types import System

TAUGHT_SEED = 47_000_000
"""Of the first film that is asked about."""
RATE = 3e-4
ARMS: dict[str, dict[str, Any]] = {
    "whole layout": {},
    "equal frames": {"showing": replace(school.WHOLE, equal=True)},
    "raw question": {"by": "question"},
    "without close-ups": {"showing": replace(school.WHOLE, close_ups=False)},
    "without overview": {"showing": replace(school.WHOLE, overview=0)},
    "without prompt": {"showing": replace(school.WHOLE, guide=False)},
}
GAINS: dict[str, tuple[str, str, str, float]] = {
    "taught: grounded above ungrounded at equal frames, answers": ("whole layout", "equal frames", "right", 0.0),
    "taught: a policy above the raw question as the query, answers": ("whole layout", "raw question", "right", 0.0),
    "ablation: above without close-ups, answers": ("whole layout", "without close-ups", "right", 0.0),
    "ablation: above without overview, answers": ("whole layout", "without overview", "right", 0.0),
    "ablation: above without prompt, answers": ("whole layout", "without prompt", "right", 0.0),
}
"""Claim -> (ours, theirs, figure, margin), as in `reasoner.py`."""
WHOLE_FILM = ("order", "ends")
NEEDED = {
    "where a part is needed: above without close-ups, answers about shapes": ("without close-ups", ("shape",)),
    "where a part is needed: above without overview, answers about the whole film": ("without overview", WHOLE_FILM),
}
"""Claim -> (arm that lacks the part, kinds of question): the whole layout is above it."""


def answering(study: Study) -> dict[str, list[dict[str, Any]]]:
    """Arm -> a row a question."""
    seeds = range(TAUGHT_SEED, TAUGHT_SEED + study.size.taught)
    samples = films.written(seeds, study.out / "v", films.mixed, radius=films.SMALL)
    study.models(films.SMALL)

    def lessons() -> str:
        return str(school.schooled(study.out / "school", steps=study.size.school_steps, lr=RATE))

    folder = study.kept("school", lessons)

    return study.answered("taught", samples, lambda: systems(study, Path(folder), tuple(ARMS)))


def systems(study: Study, folder: Path, arms: Sequence[str]) -> dict[str, System]:
    """The taught model in these arms."""
    model = school.loaded(folder)
    common = {**study.finders(films.SMALL), "k": school.K, "showing": school.WHOLE}
    return {arm: asking(model, {**common, **ARMS[arm]}) for arm in arms}


def told(study: Study, rows: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """What the page tells of it; grounding figures are of the questions that one scene answers."""
    one_scene = {arm: [r for r in rows[arm] if r["kind"] not in WHOLE_FILM] for arm in ("whole layout", "raw question")}
    return {
        "claims": {**gains(rows, GAINS), **{name: needed(rows, *part) for name, part in NEEDED.items()}},
        "arms": {arm: by_kind(some) for arm, some in rows.items()},
        "grounding": {arm: figures([some]) for arm, some in one_scene.items()},
        "questions": len(rows["whole layout"]),
        "losses": school.losses(study.out / "school"),
        "rate": RATE,
        "steps": study.size.school_steps,
    }


def needed(rows: dict[str, list[dict[str, Any]]], lacking: str, kinds: tuple[str, ...]) -> dict[str, Any]:
    """The gain of the whole layout over an arm on the questions of these kinds."""
    ours, theirs = ([r for r in rows[arm] if r["kind"].startswith(kinds)] for arm in ("whole layout", lacking))
    return gain([r["right"] for r in ours], [r["right"] for r in theirs], [r["video"] for r in ours], 0.0)
