"""`open_video`: a path or bytes to a `Video`, after its content was checked.

Time is seconds from the first displayed frame, out of the stream's own time stamps. Frames are upright RGB with square
pixels. What is refused, and what a damaged file gives, stands in `docs/video.md`.
"""

import math
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from videre.errors import REFUSED, VideoError
from videre.types import JSON, Frames
from videre.video.chunks import Chunk, ascending, framed, steps
from videre.video.limits import Limits
from videre.video.picture import RGB, Layout
from videre.video.source import Source

Backend = Literal["pyav", "torchcodec"]
_CHUNK_BYTES = 32 << 20
_CHUNK_FRAMES = 32


@runtime_checkable
class Reader(Protocol):
    """What stands behind a `Video`: PyAV, torchcodec, Pillow, or one of them in another process."""

    duration_seconds: float
    layout: Layout

    def shown(self, moments: Iterable[float], size_px: int | None, row: Callable[[], RGB]) -> Iterator[float]:
        """Fills a row a frame and gives its time; moments ascend, no frame comes twice."""
        ...

    def facts(self) -> dict[str, JSON]:
        """What the record says of the file."""
        ...

    def remarks(self) -> tuple[str, ...]:
        """What a person must know."""
        ...

    def close(self) -> None:
        """Frees what is held."""
        ...


def open_video(
    source: str | os.PathLike[str] | bytes,
    *,
    limits: Limits | None = None,
    backend: Backend = "pyav",
    isolate: bool = False,
    track: int | None = None,
) -> "VideoFile":
    """A video that is ready to give frames; use it in a `with` block, or call `close`.

    Args:
        source: a path to a regular file, or the bytes of one. Never a network address.
        limits: how much the file may cost; None takes `Limits()`.
        backend: "pyav", or "torchcodec" where that package and FFmpeg's libraries are installed. A file that torchcodec
            would show wrongly is read by PyAV, and a note says so.
        isolate: decode in a process of its own with limits on memory and time, so that a crash or a hang of the decoder
            is an error of this file. Costs about 0.2 s and one copy of every frame.
        track: which moving-picture track, from 0; None takes the default one.

    Raises:
        VideoError: the file cannot be read (exit code 3), or may not be (7). `docs/video.md` lists the codes.
        ImportError: the backend is not installed.
    """
    if backend not in ("pyav", "torchcodec"):
        raise ValueError(f'backend is "pyav" or "torchcodec", got {backend!r}')
    opened = Source(source)
    try:
        return VideoFile(opened, _reader(opened, limits or Limits(), backend, isolate, track), limits or Limits())
    except BaseException:
        opened.close()
        raise


def _reader(source: Source, limits: Limits, backend: Backend, isolate: bool, track: int | None) -> Reader:
    if isolate:
        from videre.video.isolate import IsolatedReader

        return IsolatedReader(source, limits, backend, track)
    return read(source, limits, backend, track)


def read(source: Source, limits: Limits, backend: Backend, track: int | None) -> Reader:
    """A reader in this process."""
    from videre.video.sniff import sniff

    if sniff(source) == "webp":
        from videre.video.animate import AnimationReader

        return AnimationReader(source, limits)
    from videre.video.reader import AvReader

    reader = AvReader(source, limits, track)
    if backend == "pyav":
        return reader
    from videre.video.codec import torchcodec_reader

    return torchcodec_reader(source, reader)


class VideoFile:
    """An open video. Satisfies the protocol `Video`; `at` may be called from several threads.

    Attributes:
        path: as given, empty for bytes.
        duration_seconds: from the first displayed frame to the end of the last.
        width_px: displayed: upright, with square pixels.
        height_px: likewise.
    """

    def __init__(self, source: Source, reader: Reader, limits: Limits) -> None:
        self._source, self._reader, self._limits = source, reader, limits
        self._info: dict[str, JSON] | None = None
        self._lock = threading.Lock()
        self.path = source.path
        self.duration_seconds = reader.duration_seconds
        self.width_px, self.height_px = reader.layout.width_px, reader.layout.height_px

    def __repr__(self) -> str:
        return f"VideoFile({self._source.name!r}, {self.duration_seconds:.2f} s, {self.width_px}x{self.height_px})"

    def __enter__(self) -> "VideoFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Frees decoder and file; harmless twice."""
        self._reader.close()
        self._source.close()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person must know about this file; grows when damage is met."""
        return self._reader.remarks()

    @property
    def info(self) -> dict[str, JSON]:
        """Facts for the record. The first use reads the whole file once, for its hash and its frame times."""
        with self._lock:
            if self._info is None:
                size = {
                    "bytes": self._source.size_bytes,
                    "duration_seconds": self.duration_seconds,
                    "width_px": self.width_px,
                    "height_px": self.height_px,
                }
                self._info = {"sha256": self._source.sha256(), **size, **self._reader.facts()}
                self._source.check_unchanged()
        return {**self._info, "notes": list(self.notes)}

    def at(self, seconds: Iterable[float], *, size_px: int | None = None) -> Frames:
        """The frames shown at these moments: for each the last one whose time has come.

        Args:
            seconds: in any order; a moment past the end gives the last frame, one before the start the first.
            size_px: longest side of the returned frames, at most; None keeps the displayed size. Scaling happens beside
                the decoder, so memory is that of the small frames.

        Returns:
            Frames with their own true times, ascending, without duplicates, so perhaps fewer than asked for.

        Raises:
            VideoError: damaged beyond `max_corrupt`, changed while read, or more than the limits allow.
        """
        moments = ascending(seconds)
        layout = self._layout(size_px)
        size = (layout.height_px, layout.width_px, 3)
        self._check_budget(len(moments), math.prod(size))
        pixels = np.empty((len(moments), *size), np.uint8)
        times = list(self._reader.shown(moments, size_px, iter(pixels).__next__))
        self._source.check_unchanged()
        return framed(pixels, times)

    def stream(self, fps: float, start_seconds: float = 0.0, *, size_px: int | None = None) -> Iterator[Frames]:
        """Chunks of the whole video at `fps` frames a second, in constant memory.

        Every chunk holds the frames shown at `start_seconds + n / fps`, each once: a video of fewer frames a second
        than `fps` gives every frame it has.

        Args:
            fps: moments a second, above zero.
            start_seconds: of the first moment.
            size_px: as for `at`.

        Raises:
            VideoError: as for `at`.
        """
        if not (math.isfinite(fps) and fps > 0 and math.isfinite(start_seconds)):
            raise ValueError(f"fps is above zero and start_seconds finite, got {fps=} {start_seconds=}")
        return self._chunks(fps, max(start_seconds, 0.0), size_px)

    def _chunks(self, fps: float, start_seconds: float, size_px: int | None) -> Iterator[Frames]:
        layout = self._layout(size_px)
        size = (layout.height_px, layout.width_px, 3)
        chunk = Chunk(max(1, min(_CHUNK_FRAMES, _CHUNK_BYTES // math.prod(size))), size)
        moments = steps(start_seconds, 1 / fps, self.duration_seconds)
        for time in self._reader.shown(moments, size_px, chunk.row):
            if chunk.add(time):
                self._source.check_unchanged()
                yield chunk.taken()
        self._source.check_unchanged()
        if chunk.times:
            yield chunk.taken()

    def _layout(self, size_px: int | None) -> Layout:
        if size_px is not None and size_px < 1:
            raise ValueError(f"size_px is at least 1, got {size_px}")
        return self._reader.layout.at_most(size_px)

    def _check_budget(self, frames: int, frame_bytes: int) -> None:
        limits = self._limits
        if frames > limits.max_frames:
            raise self._over(
                f"{frames} frames > limit {limits.max_frames}; ask for fewer, or stream", "too_many_frames"
            )
        if frames * frame_bytes > limits.max_bytes:
            size = f"{frames} frames are {frames * frame_bytes / 1e9:.1f} GB > limit {limits.max_bytes / 1e9:.1f} GB"
            raise self._over(f"{size}; ask for fewer or smaller ones (size_px), or stream", "too_many_bytes")

    def _over(self, what: str, code: str) -> VideoError:
        return VideoError(f"{self._source.name}: {what}", code=code, exit_code=REFUSED)
