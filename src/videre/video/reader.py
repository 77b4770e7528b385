"""The PyAV engine: what one file is, and the frames shown at given moments."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import av
import numpy as np

from videre.errors import REFUSED, VideoError
from videre.types import JSON
from videre.video.container import check_decoder, check_size, choose_track, inspect
from videre.video.decode import DamageMetError, Decoder, LostFrameError
from videre.video.hdr import TRANSFERS, UNSPECIFIED, transfer_of
from videre.video.index import UntrustedIndexError
from videre.video.indexer import Indexer
from videre.video.limits import Limits
from videre.video.notes import Notes
from videre.video.picture import RGB, Layout, Painter, layout_of
from videre.video.source import Source

_ABSURD_SECONDS = 1e7
_BT2020 = (9, 10)
"""Codes of ITU-T H.273: the colour matrix of HDR footage."""


class AvReader:
    """Frames of one file through PyAV.

    Attributes:
        duration_seconds: from the first displayed frame to the end of the last.
        layout: how pictures are displayed.
        told: facts of the first frame.
        tracks: of pictures, cover art included.
        notes: what a person must know; grows when damage is met.
    """

    def __init__(self, source: Source, limits: Limits, track: int | None) -> None:
        self._source, self._limits = source, limits
        self._lock = threading.Lock()
        self._careful = False
        self.notes = Notes(source.name)
        kind, header = inspect(source, limits)
        self._indexer = Indexer(source, limits, kind, self.notes, fragmented=header.fragmented)
        decoder = Decoder(source, kind, limits)
        self.tracks = len(decoder.container.streams.video)
        stream, note = choose_track(decoder.container, source.name, track)
        self.notes.add(note)
        check_decoder(stream, header, source.name)
        check_size(source.name, stream.codec_context.width, stream.codec_context.height, limits)
        self._indexer.stream_index = stream.index
        decoder.use(stream.index)
        self._describe(decoder)
        self._index = self._indexer.first(decoder)
        self._idle: Decoder | None = decoder
        self.duration_seconds = self._measured()

    @property
    def start_seconds(self) -> float:
        """The container's own time of the first displayed frame."""
        return float((self._indexer.first_time or 0) * self._time_base)

    @property
    def is_in_order(self) -> bool:
        """Whether frames are told apart by their order alone."""
        return self._index.in_order

    @property
    def is_cut(self) -> bool:
        """Whether damage was met, or frames that the header promises are not there."""
        return self._indexer.surveyed or any("cut" in note for note in self.notes.all())

    def close(self) -> None:
        """Frees the decoder."""
        with self._lock:
            if self._idle is not None:
                self._idle.close()
                self._idle = None

    def shown(self, moments: Iterable[float], size_px: int | None, row: Callable[[], RGB]) -> Iterator[float]:
        """Fills one row a frame and gives the time of each, ascending, every frame once.

        Args:
            moments: in seconds, ascending.
            size_px: longest side, None for the displayed size.
            row: gives the next `[H, W, 3]` array to fill.
        """
        painter = Painter(self.layout.at_most(size_px))
        last = -(1 << 62)
        consumed: deque[int] = deque()
        pending = map(self._ticks, moments)
        finished = False
        while not finished:
            with self._lent() as decoder:
                try:
                    for time, frame in decoder.frames(_replay(consumed, pending), self._index):
                        while consumed and consumed[0] <= time:
                            consumed.popleft()
                        if time > last:  # not a repeat after a repair
                            last = time
                            painter.paint(self._checked(frame, time), row())
                            yield self._seconds(time)
                    finished = True
                except UntrustedIndexError:
                    self._index = self._indexer.scanned()
                except (DamageMetError, LostFrameError) as met:
                    if self._careful and isinstance(met, LostFrameError):
                        self._index = self._indexer.mended(self._index, self._seconds, met.frame)
                    self._careful = True

    def facts(self) -> dict[str, JSON]:
        """What the record says of the file. Reads every packet once."""
        index = self._index if self._index.shown is not None else self._indexer.scanned()
        seconds = index.times * float(self._time_base)
        steps = np.diff(seconds)
        span, count = float(steps.sum()), len(seconds)
        vfr = bool(count > 1 and steps.max() - steps.min() > max(2.5 * float(self._time_base), 1e-3))
        return {
            **self.told,
            "frames": count,
            "fps_avg": round((count - 1) / span, 6) if span > 0 else 0.0,
            "vfr": vfr,
            "start_time": self.start_seconds,
        }

    def remarks(self) -> tuple[str, ...]:
        """The notes, damage met so far included."""
        return self.notes.all()

    def _describe(self, decoder: Decoder) -> None:
        """Keeps what the first frame tells of all."""
        frame, stream, name = decoder.first(), decoder.stream, self._source.name
        codec = stream.codec_context.codec
        if frame is None:
            what = f"no decodable frame (codec {codec.canonical_name})"
            raise VideoError(f"{name}: {what}; re-download or convert it", code="no_frames")
        check_size(name, frame.width, frame.height, self._limits)
        self._time_base, self._coded_px = stream.time_base, (frame.width, frame.height)
        self._indexer.first_time, self._indexer.reorders = frame.pts, bool(stream.codec_context.has_b_frames)
        self.layout: Layout = layout_of(frame, stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio)
        transfer = TRANSFERS.get(transfer_of(frame), "")
        if transfer:
            self.notes.add(f"HDR ({transfer}) was tone-mapped to ordinary range")
        elif int(frame.colorspace) in _BT2020 and transfer_of(frame) == UNSPECIFIED:
            self.notes.add("BT.2020 colours of unknown brightness were not tone-mapped")
        self.told = {
            "container": self._indexer.kind,
            "codec": codec.canonical_name,
            "pixel_format": frame.format.name,
            "rotation": self.layout.rotation_degrees,
            "mirrored": self.layout.mirrored,
            "pixel_aspect": round(self.layout.pixel_aspect, 6),
            "interlaced": bool(frame.interlaced_frame),
            "hdr": transfer,
            "decoder": f"pyav {av.__version__}",
        }

    def _checked(self, frame: Any, time: int) -> Any:
        """Remembers what is odd about a frame that is shown."""
        if frame.is_corrupt:
            self.notes.damaged_seconds.add(self._seconds(time))
        if (frame.width, frame.height) != self._coded_px:
            check_size(self._source.name, frame.width, frame.height, self._limits)
            size = f"{self.layout.width_px}x{self.layout.height_px}"
            self.notes.add(f"the picture size changes: all frames are brought to {size}")
        return frame

    def _measured(self) -> float:
        duration_seconds = float((self._index.end - self._index.start) * self._time_base)
        if duration_seconds > self._limits.max_seconds:
            absurd = duration_seconds > _ABSURD_SECONDS
            step = "its clock is broken: re-mux it" if absurd else "cut it into parts"
            what = f"{self._source.name}: {duration_seconds:.0f} s > limit {self._limits.max_seconds:.0f} s; {step}"
            raise VideoError(what, code="too_long", exit_code=None if absurd else REFUSED)
        return duration_seconds

    @contextmanager
    def _lent(self) -> Iterator[Decoder]:
        """A decoder to work with, kept for the next call where all went well."""
        with self._lock:
            decoder, self._idle = self._idle or self._indexer.decoder(careful=self._careful), None
        try:
            yield decoder
            if decoder.errors and not self._indexer.surveyed:
                self._index = self._indexer.mended(self._index, self._seconds)
        except BaseException:
            decoder.close()
            raise
        with self._lock:
            spare, self._idle = (self._idle, decoder) if decoder.careful or not self._careful else (decoder, self._idle)
        if spare is not None:
            spare.close()

    def _ticks(self, moment_seconds: float) -> int:
        """The clock at a moment, no later than the end; a hair on, so that a frame's own time finds it."""
        inside_seconds = min(moment_seconds, self._seconds(self._index.end))
        ticks = inside_seconds * self._time_base.denominator / self._time_base.numerator
        return self._index.start + max(0, int(ticks + 1e-3 + ticks * 1e-15))

    def _seconds(self, time: int) -> float:
        return (time - self._index.start) * self._time_base.numerator / self._time_base.denominator


def _replay(consumed: deque[int], pending: Iterator[int]) -> Iterator[int]:
    """What was asked for but not given yet, then the rest; keeps account of it."""
    yield from list(consumed)
    for moment in pending:
        consumed.append(moment)
        yield moment
