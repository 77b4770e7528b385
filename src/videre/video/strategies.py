"""Which of the scored candidates: plain functions from a vector of scores `[n]` and a budget k to indices.

Every strategy gives exactly min(k, n) distinct indices in time order. Where the released code of a method does
otherwise (too few frames, the same frame twice, an index past the end), `released=True` gives what it gives.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

Scores = Any
"""Finite scores of n candidates in time order: an array or sequence of floats."""


def top_k(scores: Scores, k: int) -> list[int]:
    """The k best, the earlier of two equals.

    >>> top_k([0.1, 0.9, 0.3, 0.9], 2)
    [1, 3]
    """
    return sorted(int(i) for i in _ranked(checked(scores, k))[:k])


def nms_greedy(scores: Scores, k: int, *, delta: int | None = None) -> list[int]:
    """The best candidate k times over, each time without its neighbours up to `delta` away.

    >>> nms_greedy([0.1, 0.9, 0.8, 0.0, 0.2], 2, delta=1)
    [1, 4]

    Args:
        delta: candidates on each side that a choice rules out; None takes int(n / 4k). Evidence nearer than that to
            a chosen frame is out of reach; 0 is `top_k`.

    Source: M-LLM based video frame selection, arXiv 2502.19680, NMS-Greedy.
    Differs: neighbours are ruled out by -inf, not -1, so that scores may be negative; where a larger `delta` rules all
        out before k are chosen, the best of the rest are taken.
    """
    left = checked(scores, k).copy()
    if delta is not None and delta < 0:
        raise ValueError(f"delta is not negative, got {delta}")
    reach = int(len(left) / (4 * k)) if delta is None else delta
    chosen: list[int] = []
    while len(chosen) < k and np.isfinite(left).any():
        best = int(np.argmax(left))
        chosen.append(best)
        left[max(0, best - reach) : best + reach + 1] = -np.inf
    return filled(chosen, scores, k)


def aks(
    scores: Scores, k: int, *, t1: float = 0.8, t2: float = -100.0, depth: int = 5, released: bool = False
) -> list[int]:
    """Adaptive keyframe sampling: halve the video while its best are near its mean, then the best of each part.

    Args:
        t1: a part whose k best lie more than this above its mean (scores scaled to [0, 1]) is not halved.
        t2: nor is one, unless its standard deviation is above this; -100 turns the test off.
        depth: most times that a part is halved.
        released: int(k / 2^depth) of each part, which may be none at all.

    Source: Adaptive Keyframe Sampling, arXiv 2502.21271; ncTimTang/AKS, `frame_select.py`, 46675011.
    Differs: no part is halved into more parts than k; shares are rounded by largest remainder, those with the better
        frames first, and a part too short for its share leaves it to the best of all.
    """
    values = checked(scores, k)
    if len(values) < k or (len(values) == k and not released):
        return list(range(len(values)))
    if depth < 0:
        raise ValueError(f"depth is not negative, got {depth}")
    parts = _halved(_scaled(values, released), k, t1, t2, depth if released else min(depth, k.bit_length() - 1))
    shares = [int(k / 2**level) for _, _, level in parts]
    if not released:
        best = np.array([values[start:stop].max(initial=-np.inf) for start, stop, _ in parts])
        shares = whole_shares(np.array([2.0**-level for _, _, level in parts]), k, prefer=best)
    chosen = [
        start + int(i)
        for (start, stop, _), share in zip(parts, shares, strict=True)
        for i in _ranked(values[start:stop])[:share]
    ]
    return sorted(chosen) if released else filled(chosen, values, k)


def bolt(scores: Scores, k: int, *, power: float = 3.0, released: bool = False) -> list[int]:
    """Inverse transform sampling: the sharpened scores as a distribution, read at k even quantiles.

    Args:
        power: how sharp; the paper takes 3 on Video-MME and MLVU, 2.5 on LongVideoBench; zero or less leaves
            the scaled scores as they are.
        released: leave a frame in as often as it was drawn, and the index n, past the end, where rounding draws it;
            constant scores give frame 0 only.

    Source: BOLT, arXiv 2503.21483; sming256/BOLT, `select_frames.py`, 8a9ba455.
    Differs: a frame that was drawn already gives its place to the best frame left; constant scores are read evenly.
    """
    values = checked(scores, k)
    flat = values.max() == values.min()
    if flat and released:
        return [0] * k
    density = np.ones(len(values)) if flat else _scaled(values) ** (power if power > 0 else 1.0)
    quantiles = np.linspace(1 / k, 1 - 1 / k, k)
    drawn = np.searchsorted(np.cumsum(density / density.sum()), quantiles, side="left")
    return [int(i) for i in drawn] if released else filled([int(i) for i in drawn if i < len(values)], values, k)


def qframe(
    scores: Scores,
    k: int,
    *,
    tau: float = 0.8,
    scale: float = 1.0,
    seed: int = 0,
    noise: Sequence[float] | None = None,
) -> list[int]:
    """Gumbel top-k: k draws without replacement from softmax(scores / tau).

    Args:
        tau: temperature; high is near uniform.
        scale: what similarities are multiplied by; CLIP's logit scale is 100.
        seed: of the noise.
        noise: n uniform numbers in (0, 1) in place of the seed's, as a test or a replay gives them.

    Source: Q-Frame, arXiv 2506.22139; xiaomi-research/q-frame, `qwen2_vl_w_qframe.py`, 1b08494c.
    Differs: the noise has a seed.
    """
    return sorted(qframe_ranks(scores, tau=tau, scale=scale, seed=seed, noise=noise)[: checked_k(k)])


def qframe_ranks(
    scores: Scores, *, tau: float = 0.8, scale: float = 1.0, seed: int = 0, noise: Sequence[float] | None = None
) -> list[int]:
    """All candidates in the order in which `qframe` draws them; Q-Frame shows the first 4 large, the next 8 smaller."""
    values = checked(scores, 1)
    if not tau > 0:
        raise ValueError(f"tau is above zero, got {tau}")
    uniform = np.random.default_rng(seed).random(len(values)) if noise is None else np.asarray(noise, np.float64)
    logits = scale * values / tau
    shifted = logits - logits.max()
    logs = shifted - np.log(np.exp(shifted).sum())
    tiny = np.finfo(np.float64).tiny
    gumbel = -np.log(np.maximum(-np.log(np.clip(uniform, tiny, 1 - 1e-16)), tiny))
    return [int(i) for i in _ranked(logs + gumbel)]


def checked(scores: Scores, k: int) -> np.ndarray:
    """The scores as float64 `[n]`, n >= 1.

    Raises:
        ValueError: not a vector, empty, not finite, or k below 1.
    """
    values = np.asarray(scores, np.float64)
    checked_k(k)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"scores are finite numbers, one a candidate, got shape {list(values.shape)}")
    return values


def checked_k(k: int) -> int:
    """K, where it is 1 or more."""
    if k < 1:
        raise ValueError(f"k is at least 1, got {k}")
    return k


def filled(chosen: Sequence[int], scores: Scores, k: int) -> list[int]:
    """At most k of the chosen, each once, with the best of the others up to min(k, n), in time order.

    >>> filled([2, 2], [0.1, 0.9, 0.3], 2)
    [1, 2]
    """
    kept = list(dict.fromkeys(chosen))[:k]
    taken = set(kept)
    rest = (int(i) for i in _ranked(np.asarray(scores, np.float64)) if int(i) not in taken)
    while len(kept) < min(k, len(scores)):
        kept.append(next(rest))
    return sorted(kept)


def whole_shares(weights: np.ndarray, k: int, *, prefer: np.ndarray | None = None) -> list[int]:
    """K in whole parts in proportion to the weights, by largest remainder; of two equals the preferred or earlier one.

    >>> whole_shares(np.array([1.0, 1.0, 2.0]), 5)
    [1, 1, 3]
    """
    exact = k * weights / weights.sum()
    shares = np.floor(exact + 1e-9).astype(int)
    order = np.lexsort((np.zeros(len(exact)) if prefer is None else -prefer, -(exact - shares).round(9)))
    for i in order[: k - int(shares.sum())]:
        shares[i] += 1
    return [int(share) for share in shares]


def _ranked(values: np.ndarray) -> np.ndarray:
    return np.argsort(-values, kind="stable")


def _scaled(values: np.ndarray, released: bool = False) -> np.ndarray:
    """To [0, 1]; constant values give zeros, where the released codes divide by zero."""
    width = values.max() - values.min()
    if width == 0:
        return np.full(len(values), np.nan if released else 0.0)
    return (values - values.min()) / width


def _halved(values: np.ndarray, k: int, t1: float, t2: float, depth: int) -> list[tuple[int, int, int]]:
    """Parts as (start, stop, times halved), in time order; a comparison with NaN halves, as the released code does."""

    def split(start: int, stop: int, level: int) -> list[tuple[int, int, int]]:
        part = values[start:stop]
        if level == depth or (not len(part)):
            return [(start, stop, level)]
        above = np.sort(part)[-k:].mean() - part.mean()
        if above > t1 and part.std() > t2:
            return [(start, stop, level)]
        middle = start + len(part) // 2
        return [*split(start, middle, level + 1), *split(middle, stop, level + 1)]

    return split(0, len(values), 0)
