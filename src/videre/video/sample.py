"""Which seconds: uniform sampling by the conventions in use. The published baselines differ by which one they take.

Each convention spreads `k` moments over a duration; the frame shown at a moment is what the model sees.
"""

import math
from collections.abc import Callable

import numpy as np

from videre.types import Evidence, Question, Selector, Step, Video


def centres(duration_seconds: float, k: int) -> tuple[float, ...]:
    """The middles of k equal parts.

    >>> centres(8.0, 4)
    (1.0, 3.0, 5.0, 7.0)

    Source: bin centres, (i + 0.5) T / k.
    """
    _check(duration_seconds, k)
    return tuple((i + 0.5) * duration_seconds / k for i in range(k))


def with_ends(duration_seconds: float, k: int) -> tuple[float, ...]:
    """Evenly spaced from the first frame to the last.

    >>> with_ends(8.0, 3)
    (0.0, 4.0, 8.0)

    Source: linspace(0, T - 1, k), as lmms-eval takes them.
    """
    _check(duration_seconds, k)
    return tuple(float(moment) for moment in np.linspace(0.0, duration_seconds, k))


def interior(duration_seconds: float, k: int) -> tuple[float, ...]:
    """The k points that cut the duration into k + 1 parts.

    >>> interior(8.0, 3)
    (2.0, 4.0, 6.0)

    Source: i T / (k + 1), as VLMEvalKit takes them.
    """
    _check(duration_seconds, k)
    return tuple((i + 1) * duration_seconds / (k + 1) for i in range(k))


def at_fps(duration_seconds: float, fps: float, *, at_most: int | None = None) -> tuple[float, ...]:
    """One moment every 1 / fps seconds from the first frame on; `with_ends` where that is more than `at_most`.

    >>> at_fps(2.0, 2.0)
    (0.0, 0.5, 1.0, 1.5)
    """
    if not (math.isfinite(fps) and fps > 0):
        raise ValueError(f"fps is above zero, got {fps}")
    count = max(1, math.ceil(duration_seconds * fps - 1e-9))
    if at_most is not None and count > at_most:
        return with_ends(duration_seconds, at_most)
    return tuple(i / fps for i in range(count))


CONVENTIONS: dict[str, Callable[[float, int], tuple[float, ...]]] = {
    "centres": centres,
    "ends": with_ends,
    "interior": interior,
}
"""Name of the convention in records, and its function of (duration_seconds, k)."""


def pick(times: np.ndarray, k: int, *, convention: str = "centres") -> list[int]:
    """Indices of k of the candidate times `[T]`, spread by a convention over their ranks; all of them where T <= k.

    >>> pick(np.arange(8.0), 4)
    [1, 3, 5, 7]
    """
    count = len(times)
    if count <= k:
        return list(range(count))
    if convention == "ends":
        return [round(float(place)) for place in np.linspace(0, count - 1, k)]
    return [min(int(place), count - 1) for place in _by_name(convention)(float(count), k)]


def segment_middles(count: int, k: int, *, take_all: bool = True) -> list[int]:
    """The middle frame of each of k rounded segments out of `count` frames; frames repeat where there are too few.

    Args:
        count: frames there are.
        k: frames wanted.
        take_all: give every frame once where there are just k, as the official training does; the official evaluation
            does not, and doubles one.

    Source: T2Vid, `get_index` of the training and the evaluation scripts.
    """
    if count == k and take_all:
        return list(range(count))
    part = (count - 1) / k
    return [(int(np.round(part * i)) + int(np.round(part * (i + 1)))) // 2 for i in range(k)]


def uniform(k: int, *, convention: str = "centres") -> Selector:
    """A selector that spreads k moments evenly, whatever the question.

    Args:
        k: moments; a video with fewer frames gives all it has, each once.
        convention: a key of `CONVENTIONS`.
    """
    spread = _by_name(convention)
    _check(0.0, k)

    def select(video: Video, question: Question) -> Evidence:
        seconds = spread(video.duration_seconds, k)
        inputs = {"k": k, "convention": convention, "duration_seconds": video.duration_seconds}
        return Evidence(seconds=seconds, steps=(Step("uniform", inputs, list(seconds)),))

    return select


def uniform_fps(fps: float, *, at_most: int | None = None) -> Selector:
    """A selector of one moment every 1 / fps seconds, `at_most` in all."""

    def select(video: Video, question: Question) -> Evidence:
        seconds = at_fps(video.duration_seconds, fps, at_most=at_most)
        inputs = {"fps": fps, "at_most": at_most, "duration_seconds": video.duration_seconds}
        return Evidence(seconds=seconds, steps=(Step("uniform_fps", inputs, list(seconds)),))

    return select


def _by_name(convention: str) -> Callable[[float, int], tuple[float, ...]]:
    if convention not in CONVENTIONS:
        raise ValueError(f"convention is one of {sorted(CONVENTIONS)}, got {convention!r}")
    return CONVENTIONS[convention]


def _check(duration_seconds: float, k: int) -> None:
    if k < 1:
        raise ValueError(f"k is at least 1, got {k}")
    if not (math.isfinite(duration_seconds) and duration_seconds >= 0):
        raise ValueError(f"duration_seconds is finite and not negative, got {duration_seconds}")
