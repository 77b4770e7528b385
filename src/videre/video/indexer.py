"""Finds the index of a track: from the header, from all packets, or from all frames, whichever tells the truth."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import av
import numpy as np

from videre.video.decode import Decoder
from videre.video.index import (
    Index,
    Ticks,
    UntrustedIndexError,
    from_header,
    header_entries,
    of_outputs,
    of_times,
    scan,
    scan_unstamped,
)
from videre.video.limits import Limits
from videre.video.notes import Notes, listed
from videre.video.source import Source

_LONG_FRAMES = 5_000
"""Longer files are not decoded in whole to count what is lost."""


@dataclass
class Indexer:
    """Makes and mends indices of one track.

    Attributes:
        source: the file.
        limits: its limits.
        kind: its container.
        notes: where it says what it found.
        fragmented: whether the header leaves the frames to fragments.
        stream_index: of the track.
        first_time: when its first frame is shown, in ticks; None where the stream has no times.
        reorders: whether frames are decoded in another order than shown.
        surveyed: whether everything was decoded, to know what is lost.
    """

    source: Source
    limits: Limits
    kind: str
    notes: Notes
    fragmented: bool = False
    stream_index: int = -1
    first_time: int | None = None
    reorders: bool = False
    surveyed: bool = False

    @contextmanager
    def fresh(self, *, careful: bool = False) -> Iterator[Decoder]:
        """A decoder at the start of the track, for one use."""
        decoder = self.decoder(careful=careful)
        try:
            yield decoder
        finally:
            decoder.close()

    def decoder(self, *, careful: bool = False) -> Decoder:
        """A decoder at the start of the track."""
        decoder = Decoder(self.source, self.kind, self.limits, careful=careful)
        decoder.use(self.stream_index)
        return decoder

    def first(self, decoder: Decoder) -> Index:
        """From the header where that can be trusted, else from all packets."""
        if self.kind == "mp4" and not self.fragmented and self.first_time is not None:
            try:
                index = from_header(decoder.container, decoder.stream, self.source.size_bytes)
                return replace(index, start=self.first_time)
            except (UntrustedIndexError, av.error.FFmpegError):
                pass
        return self.scanned()

    def scanned(self) -> Index:
        """From all packets; from all frames where packets do not tell them apart."""
        with self.fresh() as decoder:
            try:
                index = scan(decoder.container, decoder.stream)
                if self.kind == "avi" and self.reorders:
                    with self.fresh() as again:
                        return scan_unstamped(again.container, again.stream)
            except UntrustedIndexError:
                return self._counted()
            promised, entries = decoder.stream.frames, header_entries(decoder.stream)
            if promised > len(index.times) and entries and entries[len(entries) - 1].pos >= self.source.size_bytes:
                self.notes.add(f"the file is cut: {len(index.times)} of {promised} frames are there")
        if self.first_time not in index.times:
            return self._counted()
        return of_times(index.times[index.times >= self.first_time], keys_of(index), index.end)

    def _counted(self) -> Index:
        """From all frames, in the order in which they come."""
        with self.fresh(careful=True) as decoder:
            times = [frame.pts for frame in decoder.everything()]
            rate = decoder.stream.average_rate or decoder.stream.guessed_rate or 25
            step = max(1, round(1 / (rate * decoder.stream.time_base)))
        if any(time is None for time in times):
            self.first_time = None
            self.notes.add(f"no time stamps: {float(rate):g} frames a second are assumed")
        else:
            self.notes.add("time stamps repeat or start again: frames are timed by their order")
        return of_outputs(times, step)

    def mended(self, index: Index, seconds_of: Callable[[int], float], lost: int | None = None) -> Index:
        """The index without frames that do not decode; notes say which.

        Args:
            index: the present one.
            seconds_of: from its ticks.
            lost: a frame that just did not come out; None where the decoder met errors beside the frames asked for.

        Raises:
            VideoError: more than `max_corrupt` is lost, or all.
        """
        index = index if index.shown is not None else self.scanned()
        if index.in_order:
            if lost is not None:
                raise self.notes.damage("its frames come out differently each time")
            return index
        if not self.surveyed and len(index.times) <= _LONG_FRAMES:
            index = self._survey(index, seconds_of, lost)
        elif not self.surveyed and lost is None:
            self.notes.add("some of it does not decode; it is too long to count what is lost")
        if not index.in_order and lost is not None and lost in index.times:
            self.notes.dropped_seconds.add(seconds_of(lost))
            index = of_times(index.times[index.times != lost], keys_of(index), index.end)
        if not len(index.times):
            raise self.notes.damage("no frame decodes")
        return index

    def _survey(self, index: Index, seconds_of: Callable[[int], float], lost_in_run: int | None) -> Index:
        """Decodes everything once, to know exactly what is lost."""
        self.surveyed = True
        with self.fresh(careful=True) as decoder:
            outputs = [(frame.pts, frame.is_corrupt) for frame in decoder.everything()]
        found, times = [time for time, _ in outputs], index.times
        broken = decoder.errors > 0 or any(corrupt for _, corrupt in outputs)
        if not broken and (lost_in_run in found or not set(found) <= set(times.tolist())):
            return of_outputs(found, index.frame_ticks)  # sound, but packets do not tell how to reach its frames
        good = np.isin(times, np.array([time for time in found if time is not None], np.int64))
        lost = [seconds_of(time) for time in times[~good].tolist()] if broken else []  # else never meant to be shown
        self.notes.add(listed("lost (not decodable)", lost, of=len(times)))
        if len(lost) > self.limits.max_corrupt * len(times):
            share = f"more than {self.limits.max_corrupt:.0%}"
            raise self.notes.damage(f"{len(lost)} of {len(times)} frames do not decode, {share}")
        return of_times(times[good], keys_of(index), index.end)


def keys_of(index: Index) -> Ticks:
    """Where decoding can start; empty for a header index."""
    return index.keys if index.keys is not None else np.zeros(0, np.int64)
