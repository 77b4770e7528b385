"""Multiple choice: accuracy by kind, over all items and over kinds, beside chance and the best constant letter."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool

from videre.metrics.extractors import Rule
from videre.metrics.interval import Share, mean_of_shares
from videre.options import letter


@dataclass(frozen=True)
class Choice:
    """How many answers are right; every item is in every number.

    Attributes:
        overall: right answers of all items (the micro average).
        kinds: the same by kind of question, in order of first appearance.
        n_items: items that there are.
        n_scored: items that were counted, always equal to `n_items`.
        n_unparsed: items whose reply names no option, or that have no reply; they count as wrong.
    """

    overall: Share
    kinds: Mapping[str, Share] = field(default_factory=dict)
    n_items: int = 0
    n_scored: int = 0
    n_unparsed: int = 0

    @property
    def micro(self) -> float:
        """Right answers over all items, in [0, 1]."""
        return self.overall.value

    @property
    def macro(self) -> float:
        """The plain mean over kinds of their accuracies, in [0, 1]; STAR's convention."""
        values = [share.value for share in self.kinds.values()]
        return sum(values) / len(values) if values else self.micro

    @property
    def macro_interval(self) -> tuple[float, float]:
        """Its 95 % interval, in [0, 1]."""
        return mean_of_shares(list(self.kinds.values())) if self.kinds else self.overall.interval


def accuracy(chosen: Sequence[int | None], right: Sequence[int], *, kinds: Sequence[str] | None = None) -> Choice:
    """Accuracy of chosen options, overall and by kind.

    Args:
        chosen: the option of each item; None where the reply names none or there is no reply: counted as wrong.
        right: the true option of each item.
        kinds: the kind of each item.

    >>> accuracy([0, None, 2], [0, 1, 1], kinds=["T", "T", "C"]).macro
    0.25
    """
    if len(chosen) != len(right):
        raise ValueError(f"one choice an item: {len(chosen)} choices, {len(right)} items")
    marks = [a is not None and a == b for a, b in zip(chosen, right, strict=True)]
    return tally(marks, kinds=kinds, n_unparsed=sum(a is None for a in chosen))


def accuracy_of_replies(
    replies: Sequence[str | None],
    options: Sequence[Sequence[str]],
    right: Sequence[int],
    *,
    rule: Rule,
    kinds: Sequence[str] | None = None,
) -> Choice:
    """Accuracy of raw replies, read by one rule of `extractors.RULES`.

    A missing reply and one that the rule would hand to a judge are counted as wrong and as unparsed.
    """
    if not len(replies) == len(options) == len(right):
        raise ValueError(f"one of each an item: {len(replies)} replies, {len(options)} options, {len(right)} right")
    marks = [None if said is None else rule(said, o, r) for said, o, r in zip(replies, options, right, strict=True)]
    return tally([bool(mark) for mark in marks], kinds=kinds, n_unparsed=sum(mark is None for mark in marks))


def tally(marks: Sequence[bool], *, kinds: Sequence[str] | None = None, n_unparsed: int = 0) -> Choice:
    """The counts behind an accuracy, from one mark an item."""
    if kinds is not None and len(kinds) != len(marks):
        raise ValueError(f"one kind an item: {len(kinds)} kinds, {len(marks)} items")
    by_kind = shares(marks, kinds) if kinds is not None else {}
    scored = sum(share.count for share in by_kind.values()) if by_kind else len(marks)
    return Choice(Share(sum(map(bool, marks)), len(marks)), by_kind, len(marks), scored, n_unparsed)


def shares(marks: Sequence[bool], groups: Sequence[str]) -> dict[str, Share]:
    """The share of true marks in each group, in order of first appearance.

    >>> shares([True, False, True], ["a", "a", "b"])
    {'a': Share(right=1, count=2), 'b': Share(right=1, count=1)}
    """
    counts = Counter(groups)
    hits = Counter(group for mark, group in zip(marks, groups, strict=True) if mark)
    return {group: Share(hits[group], counts[group]) for group in dict.fromkeys(groups)}


def chance(option_counts: Sequence[int]) -> float:
    """The expected accuracy of a random choice, in [0, 1]: the mean of 1 / K.

    >>> chance([2, 4])
    0.375
    """
    return sum(1 / k for k in option_counts) / len(option_counts) if option_counts else math.nan


def best_constant(right: Sequence[int]) -> tuple[str, Share]:
    """The letter that is right most often, and how often: what a system gets that always says it.

    >>> best_constant([2, 0, 2])
    ('C', Share(right=2, count=3))
    """
    if not right:
        return "", Share(0, 0)
    index, count = max(Counter(right).items(), key=lambda pair: (pair[1], -pair[0]))
    return letter(index), Share(count, len(right))


@dataclass(frozen=True)
class Grid:
    """One model under several settings, such as frame counts, on the same items.

    Attributes:
        settings: how many items are right under each setting.
        best_fixed: the accuracy of the setting that is best on these items; on others, expect less.
        oracle: items that some setting gets right.
        headroom: items that some setting gets right and the best one wrong: what choosing for each item could add.
        overwritten: items that the first setting gets right and some other gets wrong; where the first shows no
            video, what the video talked the model out of.
        dropped: items right under some setting and wrong under a later one.
    """

    settings: Mapping[str, Share]
    best_fixed: Share
    oracle: Share
    headroom: Share
    overwritten: Share
    dropped: Share


def grid(marks: Bool[np.ndarray, "N C"], settings: Sequence[str]) -> Grid:
    """How much the choice of a setting matters: marks of N items under C named settings, in ascending order.

    Source: Video-MME scale grids, `table2_metrics.json` (accuracy_by_config, best_fixed, oracle, overwrite_rate).
    Differs: its visual_confusion_rate is `dropped` for models with one row of frame counts, and a flag of its own
        for the one with a second axis of pixels.
    """
    if marks.ndim != 2 or marks.shape[1] != len(settings) or marks.size == 0:
        raise ValueError(f"marks are [items, settings] with {len(settings)} settings, got {list(marks.shape)}")
    n = len(marks)
    by_setting = {name: Share(int(marks[:, c].sum()), n) for c, name in enumerate(settings)}
    before = np.maximum.accumulate(marks, axis=1)
    best = max(by_setting.values(), key=lambda share: share.right)
    some = int(marks.any(axis=1).sum())
    return Grid(
        settings=by_setting,
        best_fixed=best,
        oracle=Share(some, n),
        headroom=Share(some - best.right, n),
        overwritten=Share(int((marks[:, 0] & ~marks.all(axis=1)).sum()), n),
        dropped=Share(int((before & ~marks).any(axis=1).sum()), n),
    )
