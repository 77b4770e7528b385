"""Frames out of bytes that are still coming: a pipe, or a file that another program is writing.

There is no index, no duration and no way back, so this is a reader of its own: one pass, one frame held. What the
bytes are is judged before FFmpeg sees them, as everywhere; they are decoded in this process. Containers that can be
read from the start without a jump will do: MPEG-TS, Matroska and WebM, fragmented MP4, YUV4MPEG, FLV.
"""

import math
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np

from videre.errors import VideoError
from videre.types import Frames
from videre.video.container import check_size, choose_track, packets, unreadable
from videre.video.limits import Limits
from videre.video.picture import Painter, layout_of
from videre.video.sniff import DEMUXERS, sniff
from videre.video.source import Source

Read = Callable[[int], bytes]
"""Gives at most so many bytes, waiting for the first of them; none at the end."""
_HEAD_BYTES = 4096
_POLL_SECONDS = 0.1
_RESTART_SECONDS = 1.0
"""A clock that jumps back by more starts anew; by less, its frames come out of order."""


def live(
    read: Read, *, fps: float, size_px: int | None = None, name: str = "<stdin>", limits: Limits | None = None
) -> Iterator[Frames]:
    """One chunk a frame: those shown at 0, 1 / fps, 2 / fps, ... seconds, each once, as soon as they are known.

    Args:
        read: where the bytes come from; see `piped` and `growing`.
        fps: moments a second, above zero.
        size_px: longest side of the frames, at most; None keeps the displayed size.
        name: for messages.
        limits: `max_pixels` of them; None takes `Limits()`.

    Raises:
        VideoError: not a video, one that cannot be read without jumping, or above the limits.
    """
    if not (math.isfinite(fps) and fps > 0):
        raise ValueError(f"fps is above zero, got {fps}")
    painter: Painter | None = None
    for seconds, (frame, aspect) in _picked(_timed(read, name, limits or Limits()), 1 / fps):
        painter = painter or Painter(layout_of(frame, aspect).at_most(size_px))
        pixels = np.empty((painter.layout.height_px, painter.layout.width_px, 3), np.uint8)
        painter.paint(frame, pixels)
        yield Frames(pixels.transpose(2, 0, 1)[None], np.array([seconds]))


def piped(descriptor: int) -> Read:
    """What comes through a pipe, until its other end closes."""
    return lambda count: os.read(descriptor, count)


def growing(path: str | Path, *, idle_seconds: float) -> Read:
    """What is in a file and what another program adds to it; its end is when nothing came for so long.

    Raises:
        VideoError: there is no such file.
    """
    if not Path(path).is_file():
        raise VideoError(f"{path}: no such file", code="no_file")
    position = 0

    def read(count: int) -> bytes:
        nonlocal position
        last_look = time.monotonic() + idle_seconds
        while True:
            with open(path, "rb") as file:
                file.seek(position)
                block = file.read(count)
            position += len(block)
            if block or time.monotonic() >= last_look:
                return block
            time.sleep(_POLL_SECONDS)

    return read


class _Bytes:
    """A file for FFmpeg that cannot be rewound, with its first bytes given back."""

    def __init__(self, read: Read) -> None:
        self._read, self._head = read, b""
        while len(self._head) < _HEAD_BYTES and (block := read(_HEAD_BYTES - len(self._head))):
            self._head += block

    @property
    def head(self) -> bytes:
        """The first bytes, before they were read."""
        return self._head

    def read(self, count: int) -> bytes:
        """As a file has it."""
        if self._head:
            block, self._head = self._head[:count], self._head[count:]
            return block
        return self._read(count)


def _timed(read: Read, name: str, limits: Limits) -> Iterator[tuple[float, Any]]:
    """Seconds from the first one of every frame that decodes, and the frame with the aspect of its pixels."""
    file = _Bytes(read)
    source = Source(file.head)
    source.name = name
    options = {
        "protocol_whitelist": "none",
        "format_whitelist": DEMUXERS[sniff(source)],
        "max_pixels": str(limits.max_pixels),
    }
    try:
        container = av.open(file, mode="r", options=options, metadata_errors="replace")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise unreadable(name, error) from error
    clock = _Clock()
    with container:
        stream, _ = choose_track(container, name, None)
        aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
        for frame in _decoded(container, stream):
            check_size(name, frame.width, frame.height, limits)
            if frame.pts is not None:  # `frame.time` is no number for what was inside the decoder at the end
                yield clock.seconds(float(frame.pts * stream.time_base)), (frame, aspect)
    if clock.last is None:
        raise VideoError(f"{name}: no decodable frame; a pipe needs MPEG-TS, Matroska or YUV4MPEG", code="no_frames")


class _Clock:
    """Seconds from the first frame; a camera that connects anew, and counts from zero, goes on after its last frame."""

    def __init__(self) -> None:
        self.last: float | None = None
        self._first = self._step = 0.0

    def seconds(self, time: float) -> float:
        """Of the next frame, by its own time."""
        if self.last is None:
            self._first = time
        elif time < self.last - _RESTART_SECONDS:
            self._first += time - self.last - self._step
        elif time > self.last:
            self._step = time - self.last
        self.last = time
        return time - self._first


def _decoded(container: Any, stream: Any) -> Iterator[Any]:
    """The frames; packets that do not decode are left out."""
    for packet in packets(container, stream):
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            continue
    try:
        yield from stream.codec_context.decode(None)
    except (av.error.InvalidDataError, EOFError):
        return


def _picked(frames: Iterator[tuple[float, Any]], step_seconds: float) -> Iterator[tuple[float, Any]]:
    """For every moment `n * step_seconds` the last frame whose time has come, each frame once."""
    shown: tuple[float, Any] | None = None
    count = 0
    for now, frame in frames:
        if shown is not None and now <= shown[0]:
            continue  # A clock that stands still or stumbles back names no new moment.
        if shown is not None and now > count * step_seconds + 1e-9:
            yield shown
            count = math.floor((now - 1e-9) / step_seconds) + 1
        shown = (now, frame)
    if shown is not None and shown[0] >= count * step_seconds - 1e-9:
        yield shown
