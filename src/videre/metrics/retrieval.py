"""Retrieval between texts and videos: R@k, median and mean rank, with ties counted once.

Rows are queries, columns are what is searched; a higher similarity is better.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Float64

from videre.metrics.interval import Share, bootstrap, resampled

Ties = Literal["mean", "best", "worst"]


@dataclass(frozen=True, eq=False)
class Retrieval:
    """Scores over queries: `recall` by k, and the median and mean rank, from 1 on; `ranks` holds all of them."""

    recall: Mapping[int, Share]
    median_rank: float
    mean_rank: float
    n_queries: int
    ranks: Float64[np.ndarray, " R"] = field(repr=False)

    @property
    def n_ranks(self) -> int:
        """How many ranks were averaged: `n_queries`, unless the popular tie fault is asked for."""
        return len(self.ranks)

    @property
    def median_interval(self) -> tuple[float, float]:
        """The 95 % bootstrap interval of the median rank."""
        return resampled(lambda drawn: float(np.median(self.ranks[drawn])), len(self.ranks))

    @property
    def mean_interval(self) -> tuple[float, float]:
        """The 95 % bootstrap interval of the mean rank."""
        return bootstrap(self.ranks)


def ranks(
    similarity: Float[np.ndarray, "N M"], *, right: Bool[np.ndarray, "N M"] | None = None, ties: Ties = "mean"
) -> Float64[np.ndarray, " N"]:
    """The rank of the best right column of each row, from 1 on.

    Args:
        similarity: finite numbers.
        right: which columns answer which row, at least one each; None for the diagonal of a square matrix.
        ties: where wrong columns are as similar as the right one, it stands in the middle of them ("mean", which is
            what a random order gives on average), before them ("best") or behind them ("worst").

    >>> ranks(np.array([[0.5, 0.5], [0.1, 0.2]]))
    array([1.5, 1. ])
    """
    answers = _answers(similarity, right)
    own = np.where(answers, similarity, -np.inf).max(axis=1, keepdims=True)
    before = ((similarity > own) & ~answers).sum(axis=1)
    level = ((similarity == own) & ~answers).sum(axis=1)
    return before + 1.0 + {"mean": 0.5, "best": 0.0, "worst": 1.0}[ties] * level


def retrieve(
    similarity: Float[np.ndarray, "N M"],
    *,
    right: Bool[np.ndarray, "N M"] | None = None,
    ties: Ties = "mean",
    at: Sequence[int] = (1, 5, 10),
    popular_ties: bool = False,
) -> Retrieval:
    """R@k, median and mean rank of rows searching columns; transpose for the other direction.

    R@k is the share of rows with fewer than k columns before the right one; a row that shares places k and k + 1
    (rank k + 0.5) therefore counts, and "worst" is the choice that gives ties no benefit.

    Args:
        similarity: finite numbers.
        right: which columns answer which row; None for the diagonal.
        ties: how equal similarities rank, see `ranks`.
        at: the k of R@k.
        popular_ties: reproduce the code that many papers used: a row with ties is counted once for *each* tied
            place, the right one's and the others', so that rows weigh differently. For comparison only.

    Source: popular code: MIL-NCE_HowTo100M, `metrics.py`, the same in CLIP4Clip (MIT).
    """
    own = _popular_ranks(similarity, right) if popular_ties else ranks(similarity, right=right, ties=ties)
    recall = {k: Share(int((own < k + 1).sum()), len(own)) for k in at}
    return Retrieval(recall, float(np.median(own)), float(own.mean()), len(similarity), own)


@dataclass(frozen=True)
class Chance:
    """What a random order gives: R@k by k, in [0, 1], the rank that half of the rows reach, and the mean rank."""

    recall: Mapping[int, float]
    median_rank: float
    mean_rank: float


def chance(right: Bool[np.ndarray, "N M"], *, at: Sequence[int] = (1, 5, 10)) -> Chance:
    """What an order without knowledge gives, where `right` says which columns answer which row.

    The best of m right columns among M is behind place k with probability C(M - m, k) / C(M, k), and stands at
    place (M + 1) / (m + 1) on average.

    >>> chance(np.eye(4, dtype=bool), at=(1, 2))
    Chance(recall={1: 0.25, 2: 0.5}, median_rank=2.5, mean_rank=2.5)
    """
    columns, counts = right.shape[1], right.sum(axis=1)
    sizes = [int(m) for m in counts]

    def reached(k: int) -> float:
        share = {m: 1 - math.comb(columns - m, k) / math.comb(columns, k) for m in set(sizes)}
        return float(np.mean([share[m] for m in sizes]))

    recall = {k: reached(k) if k < columns else 1.0 for k in at}
    below = bisect_right(range(1, columns), 0.5, key=reached) + 1
    half = below > 1 and math.isclose(reached(below - 1), 0.5)
    return Chance(recall, below - 0.5 if half else float(below), float(np.mean((columns + 1) / (counts + 1))))


def tied(similarity: Float[np.ndarray, "N M"], *, right: Bool[np.ndarray, "N M"] | None = None) -> int:
    """How many rows have a wrong column that is exactly as similar as their right one."""
    worst, best = (ranks(similarity, right=right, ties=ties) for ties in ("worst", "best"))
    return int((worst > best).sum())


def _answers(similarity: Float[np.ndarray, "N M"], right: Bool[np.ndarray, "N M"] | None) -> Bool[np.ndarray, "N M"]:
    if similarity.ndim != 2 or similarity.size == 0 or not np.isfinite(similarity).all():
        raise ValueError(f"similarity is a matrix of finite numbers, got {list(similarity.shape)}")
    if right is None and similarity.shape[0] != similarity.shape[1]:
        raise ValueError(f"without `right` the diagonal is right: the matrix is square, got {list(similarity.shape)}")
    answers = np.eye(len(similarity), dtype=bool) if right is None else right
    if answers.shape != similarity.shape or not answers.any(axis=1).all():
        raise ValueError("`right` has the shape of the similarity and names a column for each row")
    return answers


def _popular_ranks(
    similarity: Float[np.ndarray, "N M"], right: Bool[np.ndarray, "N M"] | None
) -> Float64[np.ndarray, " R"]:
    """A rank for each place of a row that holds the right column's similarity, all of them."""
    answers = _answers(similarity, right)
    own = np.where(answers, similarity, -np.inf).max(axis=1, keepdims=True)
    return np.nonzero(-np.sort(-similarity, axis=1) == own)[1] + 1.0
