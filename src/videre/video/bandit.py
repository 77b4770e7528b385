"""Frames of a long video without scoring all of them: stretches are arms, and the promising ones are looked at more."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from videre.video.strategies import checked_k

Look = Callable[[Sequence[int]], Sequence[float]]
"""Scores in [0, 1] of these frames; each is asked for once."""


@dataclass(frozen=True)
class FocusConfig:
    """The settings of `focus`, as released.

    Attributes:
        arm_seconds: length of a stretch.
        fine_seconds: one frame in so many is scored in a promising stretch, half of them at random.
        extra: frames scored at random in every stretch, beside its middle.
        share: share of the stretches that are looked at more, and that frames are chosen from.
        top: share of k that goes to the best frames of all.
        temperature: of the drawing inside a stretch.
        gap_seconds: least distance of a drawn frame from those chosen before its stretch; None takes the smaller of a
            second and a quarter of the mean distance.
    """

    arm_seconds: float = 16.0
    fine_seconds: float = 1.0
    extra: int = 2
    share: float = 0.25
    top: float = 0.2
    temperature: float = 0.06
    gap_seconds: float | None = None


RELEASED = FocusConfig()
LEAST_ARMS, LEAST_CHOSEN, MOST_CHOSEN = 8, 4, 32
LEAST_VARIANCE = 1e-6


@dataclass
class Arm:
    """A stretch of frames, first and last included, with the scores that its index is made of."""

    first: int
    last: int
    scored: dict[int, float] = field(default_factory=dict)
    index: float = 0.0

    @property
    def middle(self) -> int:
        """The frame in the middle."""
        return (self.first + self.last) // 2


def focus(
    look: Look, n: int, k: int, *, fps: float = 1.0, seed: int = 42, config: FocusConfig = RELEASED
) -> tuple[list[int], dict[int, float]]:
    """Min(k, n) of n frames in time order, and the scores of all frames that were looked at.

    Args:
        look: scores frames; called twice, with all that is wanted at once.
        n: frames of the video.
        k: frames to choose.
        fps: frames a second.
        seed: of the drawing.
        config: see `FocusConfig`.

    Source: FOCUS, arXiv 2510.27280; NUS-HPC-AI-Lab/FOCUS, `focus.py`, e28a555a.
    Differs: where stretches run out of frames before k are chosen, the best that were looked at fill in, then frames
        spread over the video. As in the release, frames of the second look never change the index of a stretch.
    """
    if n < 1 or not fps > 0:
        raise ValueError(f"n is at least 1 and fps above zero, got {n=} {fps=}")
    k = min(checked_k(k), n)
    draw = np.random.default_rng(seed)
    arms, stride = _arms(n, fps, config)
    looks = [_first_look(arm, config.extra, draw) for arm in arms]
    first = [frame for frames in looks for frame in frames]
    scores = dict(zip(first, map(float, look(first)), strict=True))
    for arm, frames in zip(arms, looks, strict=True):
        arm.scored = {frame: scores[frame] for frame in frames}
        arm.index = _index(arm, len(first))
    ranked = sorted(arms, key=lambda arm: -arm.index)
    second = _second_look(ranked[: _count(len(arms), config.share)], n, fps, stride, first, draw, config)
    scores |= dict(zip(second, map(float, look(second)), strict=True)) if second else {}
    chosen = sorted(scores, key=lambda frame: -scores[frame])[: round(config.top * min(k, len(scores)))]
    chosen += _drawn(ranked, k - len(chosen), chosen, k, n, fps, draw, config)
    return _whole(chosen, scores, n, k), scores


def _arms(n: int, fps: float, config: FocusConfig) -> tuple[list[Arm], int]:
    """The stretches, and their length in frames as it is asked for; frames left over at the end belong to none."""
    wanted = max(LEAST_ARMS, math.ceil(n / max(1.0, fps) / config.arm_seconds))
    stride = max(1, n // wanted)
    count = max(1, n // stride)
    size = max(1, n // count)
    return [Arm(i * size, min((i + 1) * size, n) - 1) for i in range(count)], stride


def _first_look(arm: Arm, extra: int, draw: np.random.Generator) -> list[int]:
    """The middle of a stretch and some of its other frames."""
    others = arm.last - arm.first
    if not others:
        return [arm.middle]
    places = (arm.first + draw.choice(others, size=min(extra, others), replace=False)).tolist()
    return [arm.middle, *(frame + (frame >= arm.middle) for frame in places)]


def _index(arm: Arm, looks: int) -> float:
    """Mean plus confidence: high where the stretch is good, or not well known."""
    values = arm.scored.values()
    known, log = len(values), math.log(looks) if looks > 1 else 0.0
    mean = math.fsum(values) / known
    spread = max(math.fsum((value - mean) ** 2 for value in values) / known, LEAST_VARIANCE)
    return mean + math.sqrt(2 * log * spread / known) + 3 * log / known


def _count(arms: int, share: float) -> int:
    return min(arms, max(LEAST_CHOSEN, math.ceil(arms * share)))


def _second_look(
    arms: Sequence[Arm],
    n: int,
    fps: float,
    stride: int,
    known: Sequence[int],
    draw: np.random.Generator,
    config: FocusConfig,
) -> list[int]:
    """Frames around the middle of each promising stretch, half even, half at random."""
    taken = np.zeros(n, bool)
    taken[list(known)] = True
    fine = min(max(1, round(config.fine_seconds * fps)), stride)
    seconds = n / max(1.0, fps) / max(LEAST_ARMS, math.ceil(n / max(1.0, fps) / config.arm_seconds))
    half = max(1, round(max(1.0 / fps, seconds / 2) * fps))
    for arm in arms:
        start, stop = max(0, arm.middle - half), min(n - 1, arm.middle + half) + 1
        wanted = max(1, (stop - start) // fine)
        taken[_even(start, stop, round(wanted / 2))] = True
        free = start + np.flatnonzero(~taken[start:stop])
        count = min(wanted - round(wanted / 2), len(free))
        if count:
            taken[draw.choice(free, size=count, replace=False)] = True
    taken[list(known)] = False
    return np.flatnonzero(taken).tolist()


def _even(start: int, stop: int, count: int) -> list[int]:
    size = stop - start
    if size <= count:
        return [(start + stop - 1) // 2]
    step = size / count if count else 0.0
    return [min(start + int(i * step + step / 2), stop - 1) for i in range(count)]


def _drawn(
    ranked: Sequence[Arm],
    wanted: int,
    chosen: Sequence[int],
    k: int,
    n: int,
    fps: float,
    draw: np.random.Generator,
    config: FocusConfig,
) -> list[int]:
    """Frames drawn from the best stretches, an equal number of each, by the scores of the nearest known frames."""
    gap = _gap_frames(n, k, fps, config)
    arms = ranked[: min(_count(len(ranked), config.share), MOST_CHOSEN)]
    taken, new = np.zeros(n, bool), []
    taken[list(chosen)] = True
    for place, arm in enumerate(arms):
        need = wanted // len(arms) + (place < wanted % len(arms))
        free = arm.first + np.flatnonzero(~taken[arm.first : arm.last + 1])
        near = np.abs(free[:, None] - np.flatnonzero(taken)).min(1, initial=gap) < gap
        apart = free if near.all() else free[~near]
        if not need or not len(apart):
            continue
        chance = _chances(arm, apart, config.temperature)
        places = draw.choice(len(apart), size=min(need, len(apart)), p=chance, replace=False)
        taken[apart[places]] = True
        new += apart[places].tolist()
    return new


def _gap_frames(n: int, k: int, fps: float, config: FocusConfig) -> int:
    seconds = min(1.0, 0.25 * n / max(1.0, fps) / k) if config.gap_seconds is None else config.gap_seconds
    return round(seconds * fps)


def _chances(arm: Arm, frames: np.ndarray, temperature: float) -> np.ndarray:
    """A softmax over the scores of the nearest known frames, scaled to [0, 1]; never quite zero."""
    known = np.array(list(arm.scored))
    values = np.array(list(arm.scored.values()))[np.abs(known[None] - frames[:, None]).argmin(1)].clip(0, 1)
    width = values.max() - values.min()
    scaled = (values - values.min()) / width if width > 0 else np.ones(len(values))
    weights = np.exp((scaled - scaled.max()) / max(1e-12, temperature))
    return weights / weights.sum()


def _whole(chosen: Sequence[int], scores: dict[int, float], n: int, k: int) -> list[int]:
    """Exactly k: the chosen, then the best that were looked at, then frames spread over the video."""
    rest = sorted(scores, key=lambda frame: (-scores[frame], frame))
    spread = [int(i) for i in np.linspace(0, n - 1, min(n, 2 * k))]
    return sorted(list(dict.fromkeys([*chosen, *rest, *spread, *range(n)]))[:k])
