"""The PyAV engine: one file's index, layout and damage, and the frames shown at given moments."""

import os
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
from videre.video.hdr import TRANSFERS
from videre.video.index import (
    Index,
    Ticks,
    UntrustedIndexError,
    from_header,
    of_outputs,
    of_times,
    scan,
    scan_unstamped,
)
from videre.video.limits import Limits
from videre.video.picture import RGB, Layout, Painter, layout_of
from videre.video.source import Source

_SURVEY_FRAMES = 5_000
_ABSURD_SECONDS = 1e7
_LISTED = 10
_BT2020, _UNSPECIFIED = (9, 10), 2
"""Codes of ITU-T H.273: the colour matrix of HDR footage; no value given."""


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
        self._kind, self._facts = inspect(source, limits)
        self._lock = threading.Lock()
        self.notes: list[str] = []
        self._damaged: set[int] = set()
        self._dropped: list[int] = []
        self._surveyed = False
        self._skips = True
        decoder = Decoder(source, self._kind, limits, threads=usable_cores())
        self.tracks = len(decoder.container.streams.video)
        stream, note = choose_track(decoder.container, source.name, track)
        self.notes.extend([note] if note else [])
        check_decoder(stream, self._facts, source.name)
        check_size(source.name, stream.codec_context.width, stream.codec_context.height, limits)
        self._stream_index = stream.index
        decoder.use(stream.index)
        self._describe(decoder)
        self._index = self._first_index(decoder)
        self._idle: Decoder | None = decoder
        self.duration_seconds = self._measured()

    @property
    def start_seconds(self) -> float:
        """The container's own time of the first displayed frame."""
        return float((self._first_time or 0) * self._time_base)

    @property
    def is_in_order(self) -> bool:
        """Whether frames are told apart by their order alone."""
        return self._index.in_order

    @property
    def is_cut(self) -> bool:
        """Whether damage was met, or frames that the header promises are not there."""
        return self._surveyed or any("cut" in note for note in self.notes)

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
                    self._index = self._scanned()
                except DamageMetError:
                    self._skips = False
                except LostFrameError as lost:
                    self._repair(lost.frame)

    def facts(self) -> dict[str, JSON]:
        """What the record says of the file. Reads every packet once."""
        index = self._index if self._index.shown is not None else self._scanned()
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
        damaged = self._listed("damaged (concealed by the decoder)", sorted(self._damaged))
        dropped = self._listed("passed over (not decodable)", sorted(self._dropped))
        return (*self.notes, *filter(None, (damaged, dropped)))

    def _describe(self, decoder: Decoder) -> None:
        """Keeps what the first frame tells of all."""
        frame, stream = decoder.first(), decoder.stream
        codec = stream.codec_context.codec
        self._reorders = stream.codec_context.has_b_frames
        if frame is None:
            what = f"no decodable frame (codec {codec.canonical_name})"
            raise VideoError(f"{self._source.name}: {what}; re-download or convert it", code="no_frames")
        check_size(self._source.name, frame.width, frame.height, self._limits)
        self._time_base, self._first_time, self._coded_px = stream.time_base, frame.pts, (frame.width, frame.height)
        self.layout: Layout = layout_of(frame, stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio)
        transfer = TRANSFERS.get(int(frame.color_trc), "")
        self.notes.extend([f"HDR ({transfer}) was tone-mapped to ordinary range"] if transfer else [])
        if not transfer and int(frame.colorspace) in _BT2020 and int(frame.color_trc) == _UNSPECIFIED:
            self.notes.append("BT.2020 colours of unknown brightness were not tone-mapped")
        self.told = {
            "container": self._kind,
            "codec": codec.canonical_name,
            "pixel_format": frame.format.name,
            "rotation": self.layout.rotation_degrees,
            "mirrored": self.layout.mirrored,
            "pixel_aspect": round(self.layout.pixel_aspect, 6),
            "interlaced": bool(frame.interlaced_frame),
            "hdr": transfer,
            "decoder": f"pyav {av.__version__}",
        }

    def _first_index(self, decoder: Decoder) -> Index:
        """From the header where that can be trusted, else from all packets."""
        if self._kind == "mp4" and not self._facts.fragmented and self._first_time is not None:
            try:
                index = from_header(decoder.container, decoder.stream, self._source.size_bytes)
                return Index(self._first_time, index.end, None, None, index.frame_ticks)
            except (UntrustedIndexError, av.error.FFmpegError):
                pass
        return self._scanned()

    def _scanned(self) -> Index:
        """From all packets; from all frames where packets do not tell them apart."""
        with self._fresh() as decoder:
            try:
                index = scan(decoder.container, decoder.stream)
                if self._kind == "avi" and self._reorders:
                    with self._fresh() as again:
                        return scan_unstamped(again.container, again.stream)
            except UntrustedIndexError:
                return self._counted()
            stream, times = decoder.stream, index.times
            entries = stream.index_entries
            if stream.frames > len(times) and entries and entries[len(entries) - 1].pos >= self._source.size_bytes:
                self.remark(f"the file is cut: {len(times)} of {stream.frames} frames are there")
        if self._first_time not in times:
            return self._counted()
        return of_times(times[times >= self._first_time], _keys(index), index.end)

    def _counted(self) -> Index:
        """From all frames, in the order in which they come."""
        with self._fresh(threads=1) as decoder:
            times = [frame.pts for frame in decoder.everything()]
            stream = decoder.stream
            rate = stream.average_rate or stream.guessed_rate or 25
            step = max(1, round(1 / (rate * stream.time_base)))
        missing = any(time is None for time in times)
        self.remark(
            f"no time stamps: {float(rate):g} frames a second are assumed"
            if missing
            else "time stamps repeat or start again: frames are timed by their order"
        )
        self._first_time = 0 if missing else self._first_time
        return of_outputs(times, step)

    def _repair(self, lost: int) -> None:
        """An index without a frame that does not decode, and a note."""
        index = self._index if self._index.shown is not None else self._scanned()
        if index.in_order:
            raise self._damage("its frames come out differently each time")
        if not self._surveyed and len(index.times) <= _SURVEY_FRAMES:
            index = self._survey(index, lost)
        if not index.in_order and lost in index.times:
            self._dropped.append(lost)
            index = of_times(index.times[index.times != lost], _keys(index), index.end)
        if not len(index.times):
            raise self._damage("no frame decodes")
        self._index = index

    def _survey(self, index: Index, lost_in_run: int | None = None) -> Index:
        """Decodes everything once, to know exactly what is lost. Raises `VideoError` above `max_corrupt`."""
        self._surveyed = True
        with self._fresh(threads=1) as decoder:
            outputs = [(frame.pts, frame.is_corrupt) for frame in decoder.everything()]
        found = [time for time, _ in outputs]
        times = index.times
        broken = decoder.errors > 0 or any(corrupt for _, corrupt in outputs)
        if not broken and (lost_in_run in found or not set(found) <= set(times.tolist())):
            return of_outputs(found, index.frame_ticks)  # sound, but packets do not tell how to reach its frames
        good = np.isin(times, np.array([time for time in found if time is not None], np.int64))
        lost = times[~good]
        if broken and len(lost):  # without an error they were never meant to be shown
            self.remark(self._listed("lost (not decodable)", lost.tolist(), of=len(times)))
            if len(lost) > self._limits.max_corrupt * len(times):
                raise self._damage(
                    f"{len(lost)} of {len(times)} frames do not decode, more than {self._limits.max_corrupt:.0%}"
                )
        return of_times(times[good], _keys(index), index.end)

    def _checked(self, frame: Any, time: int) -> Any:
        """Remembers what is odd about a frame that is shown."""
        if frame.is_corrupt:
            self._damaged.add(time)
        if (frame.width, frame.height) != self._coded_px:
            check_size(self._source.name, frame.width, frame.height, self._limits)
            size = f"{self.layout.width_px}x{self.layout.height_px}"
            self.remark(f"the picture size changes: all frames are brought to {size}")
        return frame

    def _measured(self) -> float:
        duration_seconds = float((self._index.end - self._index.start) * self._time_base)
        if duration_seconds > self._limits.max_seconds:
            absurd = duration_seconds > _ABSURD_SECONDS
            step = "its clock is broken: re-mux it" if absurd else "cut it into parts"
            size = f"{duration_seconds:.0f} s > limit {self._limits.max_seconds:.0f} s"
            raise VideoError(
                f"{self._source.name}: {size}; {step}", code="too_long", exit_code=None if absurd else REFUSED
            )
        return duration_seconds

    @contextmanager
    def _lent(self) -> Iterator[Decoder]:
        """A decoder to work with, kept for the next call where all went well."""
        with self._lock:
            decoder, self._idle = self._idle or self._decoder(), None
        decoder.skips = self._skips
        try:
            yield decoder
            if decoder.errors and not self._surveyed and len(self._index.times) <= _SURVEY_FRAMES:
                self._index = self._survey(self._index if self._index.shown is not None else self._scanned())
        except BaseException:
            decoder.close()
            raise
        with self._lock:
            spare, self._idle = self._idle, decoder
        if spare is not None:
            spare.close()

    @contextmanager
    def _fresh(self, threads: int | None = None) -> Iterator[Decoder]:
        decoder = self._decoder(threads)
        try:
            yield decoder
        finally:
            decoder.close()

    def _decoder(self, threads: int | None = None) -> Decoder:
        decoder = Decoder(self._source, self._kind, self._limits, threads=threads or usable_cores())
        decoder.use(self._stream_index)
        return decoder

    def _ticks(self, moment_seconds: float) -> int:
        """The clock at a moment; a hair later, so that a frame's own time finds it."""
        ticks = moment_seconds * self._time_base.denominator / self._time_base.numerator
        return self._index.start + max(0, int(ticks + 1e-3 + ticks * 1e-15))

    def _seconds(self, time: int) -> float:
        return (time - self._index.start) * self._time_base.numerator / self._time_base.denominator

    def remark(self, text: str) -> None:
        """Adds a note, once."""
        if text not in self.notes:
            self.notes.append(text)

    def _listed(self, what: str, times: list[int], of: int = 0) -> str:
        """`3 of 100 frames lost, at 1.640, 1.680 s`; empty for no times."""
        if not times:
            return ""
        some = ", ".join(f"{self._seconds(time):.3f}" for time in times[:_LISTED])
        more = ", ..." if len(times) > _LISTED else ""
        return f"{len(times)}{f' of {of}' if of else ''} frames {what}, at {some}{more} s"

    def _damage(self, what: str) -> VideoError:
        return VideoError(f"{self._source.name}: damaged: {what}; re-download it", code="damaged")


def usable_cores() -> int:
    """Processors that this process may use, at most 8."""
    try:
        return min(8, len(os.sched_getaffinity(0)))
    except AttributeError:
        return min(8, os.cpu_count() or 1)


def _replay(consumed: deque[int], pending: Iterator[int]) -> Iterator[int]:
    """What was asked for but not given yet, then the rest; keeps account of it."""
    yield from list(consumed)
    for moment in pending:
        consumed.append(moment)
        yield moment


def _keys(index: Index) -> Ticks:
    return index.keys if index.keys is not None else np.zeros(0, np.int64)
