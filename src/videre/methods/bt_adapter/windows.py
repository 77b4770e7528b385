"""A video of any length as overlapping stretches, one vector each, in constant memory."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float64, UInt8

from videre.methods.bt_adapter.encoder import VideoEncoder, frames_at
from videre.types import Frames, Video

AT_ONCE = 8
"""Windows that are encoded together."""


@runtime_checkable
class Sized(Protocol):
    """A video that can scale frames while it decodes, as `videre.video.open` does."""

    def stream(self, fps: float, start_seconds: float = 0.0, *, size_px: int | None = None) -> Iterator[Frames]:
        """See `videre.types.Video.stream`; `size_px` is the longer side at most."""
        ...


@dataclass(frozen=True)
class Windows:
    """How videos are cut.

    Attributes:
        seconds: length of a window; a shorter video is one window.
        frames: frames of a window, at the middles of equal parts.
        overlap: share of a window that the next one shows again, in [0, 1).
    """

    seconds: float = 8.0
    frames: int = 8
    overlap: float = 0.5

    def __post_init__(self) -> None:
        if not (math.isfinite(self.seconds) and self.seconds > 0) or self.frames < 1 or not 0 <= self.overlap < 1:
            raise ValueError(f"windows have a length, 1 frame at least and an overlap in [0, 1), got {self}")

    @property
    def part_seconds(self) -> float:
        """The stretch that one frame stands for."""
        return self.seconds / self.frames

    def starts(self, duration_seconds: float) -> list[int]:
        """Where windows begin, counted in parts; the last one ends with the last whole part.

        >>> Windows(seconds=4.0, frames=4).starts(9.0)
        [0, 2, 4, 5]
        """
        parts = int(duration_seconds / self.part_seconds + 1e-9)
        if parts <= self.frames:
            return [0]
        step, last = max(1, round(self.frames * (1 - self.overlap))), parts - self.frames
        return [*range(0, last, step), last]

    def spans(self, duration_seconds: float) -> Float64[np.ndarray, "W 2"]:
        """Start and end of each window in seconds; together they cover the video."""
        starts = self.starts(duration_seconds)
        found = np.array([[i * self.part_seconds, (i + self.frames) * self.part_seconds] for i in starts])
        found[-1, 1] = duration_seconds
        return np.minimum(found, duration_seconds)


def encoded(
    video: Video, encoder: VideoEncoder, windows: Windows
) -> tuple[Float64[np.ndarray, "W 2"], Float[np.ndarray, "W D"]]:
    """The spans of a video's windows and a unit vector for each."""
    vectors, waiting = [], []
    for pixels in _shown(video, windows, _side_px(video, encoder)):
        waiting.append(pixels)
        if len(waiting) == AT_ONCE:
            vectors.append(encoder.clips(np.stack(waiting)))
            waiting = []
    if waiting:
        vectors.append(encoder.clips(np.stack(waiting)))
    return windows.spans(video.duration_seconds), np.concatenate(vectors)


def _shown(video: Any, windows: Windows, side_px: int) -> Iterator[UInt8[np.ndarray, "T 3 H W"]]:
    """The frames of each window in turn."""
    duration, starts = video.duration_seconds, windows.starts(video.duration_seconds)
    if len(starts) == 1:
        middles = (np.arange(windows.frames) + 0.5) * min(duration, windows.seconds) / windows.frames
        yield frames_at(video, middles.tolist()).pixels
        return
    held: list[np.ndarray] = []
    first = 0
    grid = on_grid(video, windows.part_seconds, starts[-1] + windows.frames, side_px)
    for start in starts:
        del held[: start - first]
        first = start
        while len(held) < windows.frames:
            held.append(next(grid))
        yield np.stack(held)


def on_grid(video: Sized, step_seconds: float, count: int, side_px: int) -> Iterator[UInt8[np.ndarray, "3 H W"]]:
    """The frame shown in the middle of each of `count` steps: a frame that is shown for long comes again."""
    moments = (np.arange(count) + 0.5) * step_seconds
    given, before = 0, None
    for chunk in video.stream(1 / step_seconds, step_seconds / 2, size_px=side_px):
        for seconds, picture in zip(chunk.seconds, chunk.pixels, strict=True):
            while before is not None and given < count and moments[given] + 1e-6 < seconds:
                yield before
                given += 1
            before = picture
    if before is not None:
        for _ in range(given, count):
            yield before


def _side_px(video: Video, encoder: VideoEncoder) -> int:
    """The longer side at which the shorter one is as long as the tower's pictures."""
    side = int(encoder.adapter.tower.vision.config.image_size)
    return math.ceil(side * max(video.width_px, video.height_px) / max(1, min(video.width_px, video.height_px)))
