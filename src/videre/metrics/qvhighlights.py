"""QVHighlights' numbers under their official keys, in percent, and windows that need no question."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from jaxtyping import Float64

from videre.metrics import highlights, moments

Windows = Mapping[Hashable, Sequence[moments.Window]]
Saliency = Mapping[Hashable, Float64[np.ndarray, "C W"]]
Scores = dict[str, float]
Bounds = dict[str, tuple[float, float]]

BLIND: Mapping[str, Callable[[float], list[float]]] = MappingProxyType(
    {"whole_video": lambda d: [0.0, d], "middle_third": lambda d: [d / 3, 2 * d / 3]}
)
"""Windows that need no question, from the duration of the video in seconds."""


def blind(durations: Mapping[Hashable, float]) -> dict[str, Windows]:
    """The windows of each blind rule, from the seconds of the video of each query.

    >>> blind({"q": 9.0})["middle_third"]
    {'q': [[3.0, 6.0]]}
    """
    return {name: {query: [rule(seconds)] for query, seconds in durations.items()} for name, rule in BLIND.items()}


def by_length(said: Windows, true: Windows) -> dict[str, moments.Moments]:
    """Scores over true windows of each range of lengths that there are any of, the last of all of them."""
    kept = {name: moments.of_length(true, limits) for name, limits in moments.RANGES.items()}
    return {name: moments.retrieve(said, some) for name, some in kept.items() if some}


def moment_scores(found: Mapping[str, moments.Moments]) -> Scores:
    """mAP by length and by threshold, R@1 by threshold, of what `by_length` found."""
    full = found["full"]
    scores = {"MR-full-mAP": full.mean_precision * 100}
    scores |= {f"MR-full-mAP@{x}": full.precision[x] * 100 for x in (0.5, 0.75)}
    scores |= {f"MR-full-R1@{x}": full.recall[x].percent for x in (0.5, 0.7)}
    return scores | {f"MR-{name}-mAP": some.mean_precision * 100 for name, some in found.items()}


def moment_intervals(found: Mapping[str, moments.Moments]) -> Bounds:
    """The 95 % intervals of `moment_scores`."""
    full = found["full"]
    bounds = {f"MR-{name}-mAP": some.mean_precision_interval for name, some in found.items()}
    bounds |= {f"MR-full-mAP@{x}": full.precision_interval(x) for x in (0.5, 0.75)}
    return _percents(bounds | {f"MR-full-R1@{x}": full.recall[x].interval for x in (0.5, 0.7)})


def highlight_scores(said: Mapping[Hashable, Sequence[float]], true: Saliency) -> tuple[Scores, Bounds]:
    """mAP and HIT@1 at each level of saliency, with their 95 % intervals."""
    scores: Scores = {}
    bounds: Bounds = {}
    for name, least in highlights.LEVELS.items():
        found = highlights.highlights(said, true, least=least)
        scores |= {f"HL-min-{name}-mAP": found.mean_precision * 100, f"HL-min-{name}-Hit1": found.hit_at_1 * 100}
        bounds |= {f"HL-min-{name}-mAP": found.mean_precision_interval, f"HL-min-{name}-Hit1": found.hits.interval}
    return scores, _percents(bounds)


def level(true: Saliency) -> dict[Hashable, list[float]]:
    """The same saliency for every clip: what a system scores that does not look."""
    return {query: [0.0] * len(table) for query, table in true.items()}


def _percents(bounds: Mapping[str, tuple[float, float]]) -> Bounds:
    return {name: (low * 100, high * 100) for name, (low, high) in bounds.items()}
