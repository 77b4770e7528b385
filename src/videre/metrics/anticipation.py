"""Anticipation: the action that comes next, among five guesses, as EPIC-Kitchens-100 scores it."""

import math
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Int64

from videre.metrics.choice import shares
from videre.metrics.interval import Share, resampled


@dataclass(frozen=True, eq=False)
class Anticipation:
    """Scores of ranked guesses.

    Attributes:
        accuracy: items whose label is among the first k guesses.
        class_recall: the mean over classes of the share of their items found among k guesses, in [0, 1].
        n_classes: classes with at least one item, which are the ones averaged.
        found: of each item of these classes, whether its label is among the k guesses.
        of: its class, as a number from 0 on.
    """

    accuracy: Share
    class_recall: float
    n_classes: int
    found: Bool[np.ndarray, " I"] = field(repr=False)
    of: Int64[np.ndarray, " I"] = field(repr=False)

    @property
    def class_recall_interval(self) -> tuple[float, float]:
        """The 95 % bootstrap interval of `class_recall`, drawn over items; a class that a draw misses is left out."""

        def recall(drawn: Int64[np.ndarray, " I"]) -> float:
            classes = self.of[drawn]
            counts = np.bincount(classes, minlength=self.n_classes)
            right = np.bincount(classes, weights=self.found[drawn], minlength=self.n_classes)
            return float((right / np.maximum(counts, 1)).sum() / (counts > 0).sum())

        return resampled(recall, len(self.of))


def top_k(
    guesses: Sequence[Sequence[Hashable]],
    labels: Sequence[Hashable],
    *,
    k: int = 5,
    classes: Collection[Hashable] | None = None,
) -> Anticipation:
    """Top-k accuracy and class-mean top-k recall.

    recall(c) = items of class c with c among the first k guesses / items of class c. Rare classes weigh as much as
    common ones; classes without an item are left out.

    Args:
        guesses: ordered guesses of each item, best first; an empty list (no answer) counts as wrong.
        labels: the true class of each item.
        k: how many guesses count.
        classes: average recall over these alone, such as the tail classes; None for all.

    >>> top_k([["cut", "wash"], ["wash", "peel"]], ["wash", "cut"], k=2).class_recall
    0.5

    Source: EPIC-Kitchens-100, action anticipation: mean top-5 recall (Furnari et al., 2018).
    """
    if len(guesses) != len(labels):
        raise ValueError(f"guesses for each item: {len(guesses)} lists, {len(labels)} labels")
    marks = [label in list(guess)[:k] for guess, label in zip(guesses, labels, strict=True)]
    names = [str(label) for label in labels]
    wanted = None if classes is None else {str(name) for name in classes}
    by_class = {name: share for name, share in shares(marks, names).items() if wanted is None or name in wanted}
    recall = sum(share.value for share in by_class.values()) / len(by_class) if by_class else math.nan
    places = {name: place for place, name in enumerate(by_class)}
    kept = [i for i, name in enumerate(names) if name in places]
    found = np.array([marks[i] for i in kept], dtype=bool)
    of = np.array([places[names[i]] for i in kept], dtype=np.int64)
    return Anticipation(Share(sum(marks), len(marks)), recall, len(by_class), found, of)
