"""Where an open container stands: packets from there on, and the way to the key frame before a moment."""

from collections import deque
from typing import Any

import av
import numpy as np

from videre.video.container import open_container, packets
from videre.video.index import Index, UntrustedIndexError, header_entries, is_ordered
from videre.video.limits import Limits
from videre.video.source import Source

_SEEK_BACK_SECONDS = (0.0, 2.0, 10.0)


class Position:
    """One container, its track, and the packets that were read ahead.

    Attributes:
        container: of PyAV.
        stream: the track; None until `use`.
        queue: packets read and not taken yet.
        queued_bytes: their size.
        read_dts: decoding time of the last packet that was read; None at a new position.
    """

    def __init__(self, source: Source, kind: str, limits: Limits, *, threads: int) -> None:
        self._source, self._kind, self._limits, self._threads = source, kind, limits, threads
        self.container = open_container(source, kind, limits)
        self.stream: Any = None

    def use(self, stream_index: int) -> None:
        """Chooses the track."""
        self.stream = self.container.streams[stream_index]
        context = self.stream.codec_context
        context.thread_type = "AUTO" if self._threads > 1 else "NONE"
        context.thread_count = self._threads
        context.options = {"max_pixels": str(self._limits.max_pixels)}
        self._renew()

    def restart(self) -> None:
        """Goes to the start of the file with a new container and a new decoder, where this one was used."""
        if self.read_dts is None and not self.stream.codec_context.is_open:
            return
        stream_index = self.stream.index
        self.container.close()
        self.container = open_container(self._source, self._kind, self._limits)
        self.use(stream_index)

    def _renew(self) -> None:
        self._demuxed = packets(self.container, self.stream)
        self.queue: deque[Any] = deque()
        self.queued_bytes = 0
        self.read_dts: int | None = None

    def read(self) -> Any | None:
        """The next packet of the file, which stays in the queue; None at the end."""
        packet = next(self._demuxed, None)
        if packet is not None:
            self.queue.append(packet)
            self.queued_bytes += packet.size
            self.read_dts = packet.dts if packet.dts is not None else packet.pts
        return packet

    def take(self) -> Any | None:
        """The next packet, out of the queue; None at the end."""
        if not self.queue and self.read() is None:
            return None
        packet = self.queue.popleft()
        self.queued_bytes -= packet.size
        return packet

    def key(self, moment: int, index: Index) -> int:
        """Where decoding for a moment starts: a frame's time in a scan, its decoding time in a header."""
        if index.keys is None:
            entries = header_entries(self.stream)
            return entries[max(entries.search_timestamp(moment), 0)].timestamp
        place = int(np.searchsorted(index.keys, shown_at(moment, index), "right")) - 1
        return int(index.keys[max(place, 0)]) if len(index.keys) else index.start

    def is_far(self, key: int, index: Index) -> bool:
        """Whether a jump to a key frame saves more frames than it costs to empty the decoder."""
        return self.read_dts is None or key > self.read_dts + 2 * self._threads * index.frame_ticks

    def seek(self, key: int, moment: int, index: Index) -> bool:
        """Goes to the key frame of a moment; False where the file does not lead there."""
        if index.keys is None:
            self._seek_by_header(moment)
            return True
        for back_seconds in _SEEK_BACK_SECONDS:  # some containers only find the neighbourhood
            try:
                self.container.seek(key - int(back_seconds / self.stream.time_base), stream=self.stream)
            except (av.error.FFmpegError, OverflowError):
                continue
            if self._reaches(key):
                return True
        self.restart()
        return self._reaches(key)

    def _reaches(self, key: int) -> bool:
        """Reads up to the key frame; False where the position is past it already."""
        self._renew()
        while (packet := self.read()) is not None:
            if packet.pts == key or (packet.is_keyframe and packet.pts is not None and packet.pts > key):
                return packet.pts == key
            self.take()
        return False

    def _seek_by_header(self, moment: int) -> None:
        """Goes to the last key frame that is shown no later than the moment."""
        entries, asked = header_entries(self.stream), moment
        for _ in range(8):
            self.container.seek(asked, stream=self.stream)
            self._renew()
            first = self.read()
            if first is None or not first.is_keyframe or not is_ordered(first):
                raise UntrustedIndexError
            place = entries.search_timestamp(first.dts - 1)
            if first.pts <= moment or place < 0:
                return
            asked = entries[place].timestamp
        raise UntrustedIndexError


def shown_at(moment: int, index: Index) -> int:
    """The time of the last frame shown by a moment, the first frame for moments before it."""
    place = int(np.searchsorted(index.times, moment, "right")) - 1
    return int(index.times[max(place, 0)])
