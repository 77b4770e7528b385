"""Frames by the parts of a video: boundaries of the score curve, a share for each part, unlike frames in each."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from videre.video.strategies import Scores, checked, filled, whole_shares
from videre.video.wavelet import boundaries

FADE = 10.0
"""Candidates over which two frames without features stop being alike: they were a second apart in the paper."""
Part = tuple[int, int]


def wfs_sb(
    scores: Scores, k: int, *, features: np.ndarray | None = None, strictness: float = 1.2, balance: float = 0.5
) -> list[int]:
    """Parts between the boundaries of the score curve get frames by their importance; in each, unlike frames.

    Args:
        scores: one a candidate, in [0, 1] (a matching probability, or half of cosine + 1).
        k: frames.
        features: vectors of the candidates `[n, D]`, for their likeness; None takes nearness in time.
        strictness: a part this many standard deviations less important than the mean gets no frames.
        balance: weight of the score against unlikeness, in [0, 1].

    Source: WFS-SB, arXiv 2603.00512; MAC-AutoML/WFS-SB, hyper-parameters of its YAML file. The least importance 0.05
        and how missing frames are filled in are read off its published results.
    Differs: constant scores have no boundary; the release finds some in rounding errors.
    """
    values = checked(scores, k)
    if len(values) <= k:
        return list(range(len(values)))
    unlike = _Unlike(values, features, balance)
    cuts = boundaries(values)
    if not cuts:
        return filled(_half_even(values, k), values, k)
    for (start, stop), share in _shared(values, cuts, k, strictness):
        unlike.take(range(start, stop), share)
    unlike.take(range(len(values)), k - len(unlike.chosen))
    return sorted(unlike.chosen)


def _shared(values: np.ndarray, cuts: Sequence[int], k: int, strictness: float) -> Iterable[tuple[Part, int]]:
    """The parts that get frames, and how many."""
    edges = [0, *cuts, len(values)]
    parts = [(a, b) for a, b in pairwise(edges) if b > a]
    weights = np.array([_importance(values, part) for part in parts])
    if len(parts) > 3:
        kept = weights >= max(0.05, weights.mean() - strictness * weights.std())
        kept |= not kept.any()
        parts, weights = [part for part, keep in zip(parts, kept, strict=True) if keep], weights[kept]
    return zip(parts, whole_shares(np.exp(weights - weights.max()), k), strict=True)


def _importance(values: np.ndarray, part: Part) -> float:
    inside = values[slice(*part)]
    spread = inside.var() / values.var() if values.var() > 0 else 0.0
    return float(0.4 * len(inside) / len(values) + 0.2 * inside.mean() + 0.3 * inside.max() + 0.1 * spread)


def _half_even(values: np.ndarray, k: int) -> list[int]:
    """Half of k spread evenly with both ends; `filled` adds the best of the others."""
    return [int(place) for place in np.linspace(0, len(values) - 1, (k + 1) // 2)]


class _Unlike:
    """Maximal marginal relevance: the best frame first, then score against likeness to those chosen of its part."""

    def __init__(self, values: np.ndarray, features: np.ndarray | None, balance: float) -> None:
        if not 0 <= balance <= 1:
            raise ValueError(f"balance is in [0, 1], got {balance}")
        self.relevance = 2 * values - 1
        self.balance = balance
        self.units = None if features is None else _units(features, len(values))
        self.chosen: list[int] = []

    def take(self, places: range, count: int) -> None:
        """Chooses `count` more of these places, or all that are left; earlier choices outside count only for all."""
        whole = len(places) == len(self.relevance)
        before = self.chosen if whole else []
        candidates = np.arange(places.start, places.stop)
        free = ~np.isin(candidates, self.chosen)
        like = np.full(len(candidates), -np.inf)
        for other in before if count > 0 else ():
            like = np.maximum(like, self._like(candidates, other))
        for _ in range(min(count, int(free.sum()))):
            value = self.relevance[candidates]
            if np.isfinite(like).any():
                value = self.balance * value - (1 - self.balance) * like
            best = int(np.argmax(np.where(free, value, -np.inf)))
            self.chosen.append(int(candidates[best]))
            free[best] = False
            like = np.maximum(like, self._like(candidates, int(candidates[best])))

    def _like(self, candidates: np.ndarray, other: int) -> np.ndarray:
        if self.units is None:
            return np.exp(-np.abs(candidates - other) / FADE)
        return self.units[candidates] @ self.units[other]


def _units(features: np.ndarray, count: int) -> np.ndarray:
    vectors = np.asarray(features, np.float64)
    if vectors.ndim != 2 or len(vectors) != count or not np.isfinite(vectors).all():
        raise ValueError(f"features are finite [{count}, D], got {vectors.shape}")
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
