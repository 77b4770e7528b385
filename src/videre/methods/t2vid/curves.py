"""Accuracy by number and by order of frames: where it stops to grow, and whether order is seen at all.

Source: the zero-shot analysis of v1 of arXiv 2411.19951 (no code is published); the rule of one point is the one that
its successor applies to data.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from videre.metrics.interval import Share
from videre.types import JSON, Answer, Answerer, Frames, Question

Order = Literal["ordered", "reversed", "shuffled", "single", "blank"]
ORDERS: tuple[Order, ...] = ("ordered", "reversed", "shuffled", "single", "blank")


@dataclass(frozen=True)
class Curve:
    """Right answers by number of frames, in ascending order of it."""

    frames: tuple[int, ...]
    shares: tuple[Share, ...]

    def __post_init__(self) -> None:
        if len(self.frames) != len(self.shares) or list(self.frames) != sorted(set(self.frames)):
            raise ValueError(f"one share a number of frames, ascending, got {self.frames}")

    def saturation(self, *, points: float = 1.0) -> int | None:
        """The smallest number of frames whose next step adds less than so many points; None where none does."""
        for number, share, following in zip(self.frames, self.shares, self.shares[1:], strict=False):
            if following.percent - share.percent < points:
                return number
        return None


class Reordered:
    """A model that is shown frames in another order, a single one, or none: what it gets right tells what it sees.

    Args:
        model: who answers.
        order: "ordered" is as they come; "reversed" and "shuffled" keep the times where they are; "single" is the
            middle frame; "blank" is as many grey ones.
        seed: of the shuffling, which also depends on the question.
    """

    def __init__(self, model: Answerer, order: Order, *, seed: int = 0) -> None:
        self._model, self._order, self._seed = model, order, seed
        self.name = f"{model.name}, {order}"
        self.card: Mapping[str, JSON] = {**model.card, "order": order}

    def answer(self, frames: Iterable[Frames], question: Question) -> Answer:
        """The model's answer to what it is shown."""
        return self._model.answer([self._turned(chunk, question) for chunk in frames], question)

    def _turned(self, chunk: Frames, question: Question) -> Frames:
        places = list(range(len(chunk)))
        if self._order == "blank":
            return Frames(np.full_like(chunk.pixels, 128), chunk.seconds, chunk.label)
        if self._order == "single":
            middle = slice(len(chunk) // 2, len(chunk) // 2 + 1)
            return Frames(chunk.pixels[middle], chunk.seconds[middle], chunk.label)
        if self._order == "reversed":
            places.reverse()
        if self._order == "shuffled":
            random.Random(f"{self._seed}/{question.text}").shuffle(places)  # noqa: S311
        return Frames(chunk.pixels[places], chunk.seconds, chunk.label)


def by_group(right: Mapping[str, bool], groups: Mapping[str, str], ids: Sequence[str]) -> dict[str, Share]:
    """Shares of all ids and of each group; an id without an answer counts as wrong."""
    made = {"all": _share(right, ids)}
    for group in sorted({groups[id] for id in ids}):
        made[group or "other"] = _share(right, [id for id in ids if groups[id] == group])
    return made


def _share(right: Mapping[str, bool], ids: Sequence[str]) -> Share:
    return Share(sum(right.get(id, False) for id in ids), len(ids))
