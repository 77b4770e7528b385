"""Frames that are near the question and unlike one another: a determinantal point process, chosen greedily.

Works on vectors, not on scores: one a candidate frame `[n, D]` and one of the question `[D]`, of one encoder.
"""

from collections.abc import Sequence

import numpy as np

from videre.video.strategies import checked_k

WIDTHS = (0.125, 0.25, 0.5, 1.0, 2.0)
TINY = 1e-300


def mdp3(
    features: np.ndarray, question: np.ndarray, k: int, *, relevance: float = 0.2, part: int = 0, remembered: int = 1
) -> list[int]:
    """Min(k, n) indices in time order: relevance and difference by one kernel, part after part of the video.

    >>> mdp3(np.eye(3), np.array([0.0, 1.0, 0.0]), 1)
    [1]

    Args:
        features: one vector a candidate `[n, D]`, of length near one.
        question: the vector of the question `[D]`.
        k: frames.
        relevance: small values weigh nearness to the question more; the paper's lambda.
        part: candidates that are weighed against one another; 0 is all of them at once. The number of frames that each
            part gets is then found by dynamic programming.
        remembered: frames chosen before a part that its own must differ from.

    Source: MDP3, arXiv 2501.02885; VLMEvalKit, `vlm/ovis/utils/mdp3.py`, e8e78f05.
    Differs: the last part may be shorter; the release reads past the end there. Only the rows of the kernel that are
        needed are computed.
    """
    vectors, asked = _checked(features, question)
    count = len(vectors)
    k = min(checked_k(k), count)
    if not relevance > 0 or part < 0 or remembered < 0:
        raise ValueError(f"relevance > 0, part >= 0, remembered >= 0, got {relevance=} {part=} {remembered=}")
    if k == count:
        return list(range(count))
    near = 2 / relevance * np.log(np.maximum(kernel(asked[None], vectors)[0], TINY))
    best: dict[int, tuple[float, list[int]]] = {0: (0.0, [])}
    for start in range(0, count, part or count):
        best = _with_part(best, vectors, near, range(start, min(count, start + (part or count))), k, remembered)
    return best[k][1]


def kernel(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """How alike two sets of vectors are `[R, C]`: a sum of five Gaussians of their distance, 5 for equal ones."""
    squares = (rows**2).sum(1)[:, None] + (columns**2).sum(1)[None] - 2 * rows @ columns.T
    squares = np.maximum(squares, 0.0)
    return np.sum([np.exp(-squares / (2 * width)) for width in WIDTHS], axis=0)


def _with_part(
    best: dict[int, tuple[float, list[int]]],
    vectors: np.ndarray,
    near: np.ndarray,
    places: range,
    k: int,
    remembered: int,
) -> dict[int, tuple[float, list[int]]]:
    """The best trace of each length after one more part, from those before it."""
    after: dict[int, tuple[float, list[int]]] = {}
    for length, (value, trace) in best.items():
        held = trace[-remembered:] if remembered else []
        values, picks = _greedy(vectors, near, held, places, min(k - length, len(places)))
        for more, gained in enumerate(values):
            total = value + gained
            if length + more not in after or total > after[length + more][0]:
                after[length + more] = (total, [*trace, *sorted(picks[:more])])
    return after


def _greedy(
    vectors: np.ndarray, near: np.ndarray, held: Sequence[int], places: range, most: int
) -> tuple[list[float], list[int]]:
    """The objective after 0, 1, ... `most` picks of a part, and the picks; held frames count in all but the first.

    Each row of the Cholesky factor is kept for every candidate at once, so that a pick costs one kernel row.
    """
    free = np.arange(places.start, places.stop)
    rows = np.concatenate([np.asarray(held, np.intp), free])
    left = np.full(len(rows), float(len(WIDTHS)))  # what of each candidate the chosen ones do not explain
    factor = np.zeros((len(held) + most, len(rows)))
    value, taken = 0.0, np.zeros(len(rows), bool)
    values, picks = [0.0], []
    for step in range(len(held) + most):
        if step < len(held):
            place = step
        else:
            gain = np.where(taken | (np.arange(len(rows)) < len(held)), -np.inf, near[rows] + _log(left))
            place = int(np.argmax(gain))
        value += float(near[rows[place]] + _log(left[place : place + 1])[0])
        row = kernel(vectors[rows[place]][None], vectors[rows])[0]
        factor[step] = (row - factor[:step].T @ factor[:step, place]) / np.sqrt(max(abs(left[place]), 1e-12))
        left, taken[place] = left - factor[step] ** 2, True
        if step >= len(held):
            picks.append(int(rows[place]))
            values.append(value)
    return values, picks


def _log(left: np.ndarray) -> np.ndarray:
    """Logarithm of what is left of each candidate; rounding may have made it negative."""
    return np.log(np.maximum(np.abs(left), TINY))


def _checked(features: np.ndarray, question: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    vectors, asked = np.asarray(features, np.float64), np.asarray(question, np.float64)
    if vectors.ndim != 2 or not len(vectors) or asked.shape != vectors.shape[1:]:
        raise ValueError(f"features are [n, D] and the question [D], got {vectors.shape} and {asked.shape}")
    if not (np.isfinite(vectors).all() and np.isfinite(asked).all()):
        raise ValueError("features and question are finite numbers")
    return vectors, asked
