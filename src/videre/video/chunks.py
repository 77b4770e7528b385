"""Moments in, rows of pixels out: the small change of `open.py`."""

import math
from collections.abc import Iterable, Iterator

import numpy as np

from videre.types import Frames
from videre.video.picture import RGB


class Chunk:
    """Rows that a reader fills one after another."""

    def __init__(self, room: int, size: tuple[int, int, int]) -> None:
        self._room, self._size = room, size
        self._renew()

    def _renew(self) -> None:
        self._pixels, self.times = np.empty((self._room, *self._size), np.uint8), list[float]()

    def row(self) -> RGB:
        """The next row to fill."""
        return self._pixels[len(self.times)]

    def add(self, time: float) -> bool:
        """Counts the row that was filled; whether there is no room for another."""
        self.times.append(time)
        return len(self.times) == self._room

    def taken(self) -> Frames:
        """What was filled; later rows are new memory."""
        frames = framed(self._pixels, self.times)
        self._renew()
        return frames


def ascending(seconds: Iterable[float]) -> list[float]:
    """Ascending, each once."""
    moments = sorted({float(moment) for moment in seconds})
    if not moments or not all(map(math.isfinite, moments)):
        raise ValueError(f"at least one finite moment in seconds is needed, got {moments[:5]}")
    return moments


def steps(start_seconds: float, step_seconds: float, end_seconds: float) -> Iterator[float]:
    """Moments up to the end, at least the first one."""
    number, moment = 0, start_seconds
    while moment < end_seconds or number == 0:
        yield moment
        number += 1
        moment = start_seconds + number * step_seconds


def framed(pixels: np.ndarray, times: list[float]) -> Frames:
    """The filled rows `[T, H, W, 3]` as a chunk; a view, channels come to the front."""
    return Frames(pixels[: len(times)].transpose(0, 3, 1, 2), np.array(times, np.float64))
