"""torchcodec behind the same contract, for the ordinary files that it shows rightly; the others stay with PyAV.

torchcodec opens a file with its own FFmpeg and without whitelists. It gets our reader, never a name, and only content
that was sniffed as MP4 or Matroska, whose demuxers open nothing else.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import av
import numpy as np
from av.video.reformatter import Interpolation
from jaxtyping import UInt8

from videre.types import JSON
from videre.video.decode import usable_cores
from videre.video.picture import RGB
from videre.video.reader import AvReader
from videre.video.source import Source

_AT_ONCE = 16
_PLAIN_FORMATS = ("yuv420p", "yuvj420p")
_TOLERANCE_SECONDS = 1e-4


def torchcodec_reader(source: Source, reader: AvReader) -> "AvReader | TorchcodecReader":
    """A reader that decodes with torchcodec, or the given one with a note that says why not.

    Raises:
        ImportError: torchcodec or FFmpeg's libraries are not installed.
    """
    try:
        from torchcodec.decoders import VideoDecoder
    except (ImportError, RuntimeError, OSError) as error:
        hint = 'install it with: pip install "videre[torchcodec]", and FFmpeg with its shared libraries'
        raise ImportError(f"torchcodec cannot be loaded ({str(error).splitlines()[0]}); {hint}") from error
    reason = _unfit(reader)
    if not reason:
        try:
            decoder = VideoDecoder(source.reader(), num_ffmpeg_threads=usable_cores(), dimension_order="NHWC")
            return TorchcodecReader(reader, decoder, source)
        except (RuntimeError, ValueError, TypeError):
            reason = "it cannot open this one"
    reader.notes.add(f"decoded by PyAV, not torchcodec: {reason}")
    return reader


def _unfit(reader: AvReader) -> str:
    """Why torchcodec would show this file wrongly; empty where it would not."""
    told, layout = reader.told, reader.layout
    reasons = {
        f"{told['container']} files": told["container"] not in ("mp4", "matroska"),
        f"{told['pixel_format']} pixels": told["pixel_format"] not in _PLAIN_FORMATS,
        "a turned picture": layout.turn != (1, 0, 0, 1),
        "pixels that are not square": layout.pixel_aspect != 1.0,
        "interlaced pictures": told["interlaced"],
        "HDR": told["hdr"],
        "several tracks": reader.tracks > 1,
        "times that repeat or are missing": reader.is_in_order,
        "damage": reader.is_cut,
    }
    return next((reason for reason, unfit in reasons.items() if unfit), "")


class TorchcodecReader:
    """As `AvReader`; what torchcodec cannot do in the middle of a file PyAV takes over, with a note."""

    def __init__(self, reader: AvReader, decoder: Any, source: Source) -> None:
        self._reader, self._decoder, self._source = reader, decoder, source
        self._lock = threading.Lock()
        self.duration_seconds, self.layout = reader.duration_seconds, reader.layout
        self._start_seconds = reader.start_seconds
        self._end_seconds = float(decoder.metadata.end_stream_seconds)
        size = (decoder.metadata.height, decoder.metadata.width)
        if size != (self.layout.height_px, self.layout.width_px):
            raise ValueError(f"it sees another size, {size[1]}x{size[0]}")

    def shown(self, moments: Iterable[float], size_px: int | None, row: Callable[[], RGB]) -> Iterator[float]:
        """As `AvReader.shown`."""
        pending, last = iter(moments), -1.0
        while batch := list(islice(pending, _AT_ONCE)):
            found = self._frames(batch)
            if found is None:
                rest = (moment for group in (batch, pending) for moment in group)
                yield from (time for time in self._reader.shown(rest, size_px, row) if time > last)
                return
            for time, picture in zip(*found, strict=True):
                if time > last:
                    last = time
                    _write(picture, row())
                    yield time

    def _frames(self, batch: list[float]) -> tuple[list[float], np.ndarray] | None:
        """Times and pictures `[T, H, W, 3]` at the moments; None where torchcodec gives up or breaks the contract."""
        asked = [self._start_seconds + max(moment, 0.0) + _TOLERANCE_SECONDS / 2 for moment in batch]
        inside = [moment for moment in asked if moment < self._end_seconds - 1e-6]
        chunks = []
        try:
            with self._lock:
                if inside:
                    chunks.append(self._decoder.get_frames_played_at(inside))
                if len(inside) < len(asked):  # past the end: the last frame
                    chunks.append(self._decoder.get_frames_in_range(len(self._decoder) - 1, len(self._decoder)))
        except (RuntimeError, IndexError, ValueError):
            self._reader.notes.add("decoded by PyAV, not torchcodec: it stopped at an error")
            return None
        times = np.concatenate([chunk.pts_seconds.numpy() for chunk in chunks]).astype(np.float64)
        if (times > np.array(asked[: len(times)]) + _TOLERANCE_SECONDS).any():
            self._reader.notes.add("decoded by PyAV, not torchcodec: frames that come after their moment")
            return None
        return (times - self._start_seconds).tolist(), np.concatenate([chunk.data.numpy() for chunk in chunks])

    def facts(self) -> dict[str, JSON]:
        """As `AvReader.facts`."""
        from torchcodec import __version__

        return {**self._reader.facts(), "decoder": f"torchcodec {__version__}"}

    def remarks(self) -> tuple[str, ...]:
        """As `AvReader.remarks`."""
        return self._reader.remarks()

    def close(self) -> None:
        """Frees both decoders."""
        self._decoder = None
        self._reader.close()


def _write(picture: UInt8[np.ndarray, "h w 3"], row: RGB) -> None:
    """Copies a picture, brought to the size of the row."""
    if picture.shape != row.shape:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        height_px, width_px = row.shape[:2]
        scaled = frame.reformat(width=width_px, height=height_px, interpolation=Interpolation.BICUBIC)
        picture = scaled.to_ndarray()
    row[:] = picture
