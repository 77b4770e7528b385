"""Frames at wanted times out of one open container, decoding as little as is needed for exactly these.

A *run* starts at a key frame and goes forward. Inside a run all wanted frames are known before their packets are fed,
so frames that nothing else refers to are skipped by the decoder unless they are wanted.
"""

from bisect import insort
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import av
import numpy as np

from videre.errors import REFUSED, VideoError
from videre.video.container import open_container, packets
from videre.video.index import Index, UntrustedIndexError, is_ordered
from videre.video.limits import Limits
from videre.video.source import Source

_GROUP = 64
_HELD = 32
_QUEUED_BYTES = 64 << 20
_SKIPPABLE = ("h264", "mpeg4", "mpeg2video")
"""Codecs whose non-reference frames are referred to by no frame at all, whatever its layer."""
_SEEK_BACK_SECONDS = (0.0, 2.0, 10.0)


class LostFrameError(Exception):
    """A wanted frame did not come out of the decoder."""

    def __init__(self, frame: int) -> None:
        super().__init__(frame)
        self.frame = frame


class DamageMetError(Exception):
    """A packet did not decode while frames were skipped; without skipping the others look the same each time."""


class Decoder:
    """One container with its position.

    A frame is named by its time in ticks, or by its number where the index is in order.

    Attributes:
        errors: packets that the decoder refused so far.
        skips: whether frames that nobody needs may be left out.
    """

    def __init__(self, source: Source, kind: str, limits: Limits, *, threads: int) -> None:
        self._source, self._kind, self._limits, self._threads = source, kind, limits, threads
        self.errors = 0
        self.skips = True
        self.container = open_container(source, kind, limits)
        self.stream: Any = None

    def use(self, stream_index: int) -> None:
        """Chooses the track that is decoded."""
        self.stream = self.container.streams[stream_index]
        context = self.stream.codec_context
        context.thread_type = "AUTO" if self._threads > 1 else "NONE"
        context.thread_count = self._threads
        context.options = {"max_pixels": str(self._limits.max_pixels)}
        self._reset()

    def _reopen(self) -> None:
        stream_index = self.stream.index
        self.close()
        self.container = open_container(self._source, self._kind, self._limits)
        self.use(stream_index)

    def _reset(self) -> None:
        """A new position: nothing read, nothing fed."""
        self._demuxed = packets(self.container, self.stream)
        self._queue: deque[Any] = deque()
        self._queued_bytes = 0
        self._seen: list[int] = []
        self._read_dts: int | None = None
        self._wanted: deque[int] = deque()
        self._last_wanted: int | None = None
        self._fed_ahead: set[int] = set()
        self._held: dict[int, Any] = {}
        self._skipping = ""
        self._early: dict[int, Any] = {}

    def close(self) -> None:
        """Frees the decoder."""
        self.container.close()

    def first(self) -> Any | None:
        """The first frame that decodes; None where none does."""
        return next(self.everything(), None)

    def everything(self) -> Iterator[Any]:
        """Every frame from the start of the file; packets that do not decode are left out."""
        if self._read_dts is not None or self.stream.codec_context.is_open:
            self._reopen()
        for packet in self._demuxed:
            yield from self._decode(packet)
        yield from self._decode(None)

    def frames(self, moments: Iterable[int], index: Index) -> Iterator[tuple[int, Any]]:
        """Time and frame shown at each moment, ascending, every frame once.

        Args:
            moments: ascending, in ticks, none before the first frame.
            index: of this track.

        Raises:
            LostFrameError: a frame of the index does not decode.
            UntrustedIndexError: a header index is not right for this file.
        """
        return self._count(moments, index) if index.in_order else self._jump(moments, index)

    def _count(self, moments: Iterable[int], index: Index) -> Iterator[tuple[int, Any]]:
        """Frames by their number, from the first on."""
        outputs, shown, last = enumerate(self.everything()), index.times, -1
        for moment in moments:
            target = max(int(np.searchsorted(shown, moment, "right")) - 1, 0)
            if target == last:
                continue
            frame = next((frame for number, frame in outputs if number == target), None)
            if frame is None:
                raise LostFrameError(target)
            last = target
            yield int(shown[target]), frame

    def _jump(self, moments: Iterable[int], index: Index) -> Iterator[tuple[int, Any]]:
        """Frames by their time, run after run."""
        live = False
        for key, group in _by_key(moments, lambda moment: self._key(moment, index)):
            if not live or self._is_far(key, index):
                if live:
                    yield from self._drain()
                self._seek(key, group[0], index)
                live = True
            for targets in self._targets(group, index):
                yield from self._feed(targets)
        if live:
            yield from self._drain()

    def _key(self, moment: int, index: Index) -> int:
        """Where decoding for a moment starts: a frame's time in a scan, its decoding time in a header."""
        if index.keys is None:
            entries = self.stream.index_entries
            return entries[max(entries.search_timestamp(moment), 0)].timestamp
        place = int(np.searchsorted(index.keys, _shown_at(moment, index), "right")) - 1
        return int(index.keys[max(place, 0)]) if len(index.keys) else index.start

    def _is_far(self, key: int, index: Index) -> bool:
        """Whether a jump to a key frame saves more frames than it costs to empty the decoder."""
        return self._read_dts is None or key > self._read_dts + 2 * self._threads * index.frame_ticks

    def _seek(self, key: int, moment: int, index: Index) -> None:
        if index.keys is None:
            self._seek_by_header(moment)
            return
        for back_seconds in _SEEK_BACK_SECONDS:  # some containers only find the neighbourhood
            try:
                self.container.seek(key - int(back_seconds / self.stream.time_base), stream=self.stream)
            except (av.error.FFmpegError, OverflowError):
                continue
            if self._reaches(key):
                return
        self._reopen()
        if not self._reaches(key):
            raise LostFrameError(_shown_at(moment, index))

    def _reaches(self, key: int) -> bool:
        """Reads up to the key frame; False where the position is past it already."""
        self._reset()
        while (packet := self._read()) is not None:
            if packet.pts == key or (packet.is_keyframe and packet.pts is not None and packet.pts > key):
                return packet.pts == key
            self._queue.clear()
        return False

    def _seek_by_header(self, moment: int) -> None:
        """Goes to the last key frame that is shown no later than the moment."""
        entries, asked = self.stream.index_entries, moment
        for _ in range(8):
            self.container.seek(asked, stream=self.stream)
            self._reset()
            first = self._read()
            if first is None or not first.is_keyframe or not is_ordered(first):
                raise UntrustedIndexError
            place = entries.search_timestamp(first.dts - 1)
            if first.pts <= moment or place < 0:
                return
            asked = entries[place].timestamp
        raise UntrustedIndexError

    def _read(self) -> Any | None:
        """The next packet, put at the end of the queue; None at the end of the file."""
        packet = next(self._demuxed, None)
        if packet is not None:
            self._queue.append(packet)
            self._queued_bytes += packet.size
            self._read_dts = packet.dts if packet.dts is not None else packet.pts
        return packet

    def _targets(self, group: list[int], index: Index) -> Iterator[list[int]]:
        """The frames shown at these moments, each once, in batches whose packets fit into memory."""
        targets: list[int] = []
        for moment in group:
            target = self._look_ahead(moment) if index.shown is None else _shown_at(moment, index)
            if target != (targets[-1] if targets else self._last_wanted):
                targets.append(target)
            if targets and self._queued_bytes > _QUEUED_BYTES:
                yield targets
                targets = []
        if targets:
            yield targets

    def _look_ahead(self, moment: int) -> int:
        """The last frame shown by the moment.

        Frames are decoded no later than shown, so once a packet is to be decoded after the moment, all have been seen.
        """
        for packet in self._queue if not self._seen else ():
            self._see(packet)
        while self._read_dts is None or self._read_dts <= moment:
            packet = self._read()
            if packet is None:
                break
            self._see(packet)
        shown = [time for time in self._seen if time <= moment]
        if not shown:
            raise UntrustedIndexError
        self._seen = self._seen[len(shown) - 1 :]
        return shown[-1]

    def _see(self, packet: Any) -> None:
        if not is_ordered(packet) or packet.pts in self._seen:
            raise UntrustedIndexError
        if not packet.is_discard:
            insort(self._seen, packet.pts)

    def _feed(self, targets: list[int]) -> Iterator[tuple[int, Any]]:
        """Feeds packets until all targets are inside; gives what the decoder has ready by then."""
        self._wanted.extend(targets)
        self._last_wanted = last = targets[-1]
        wanted = set(self._wanted)
        self._held.update({time: self._early.pop(time) for time in targets if time in self._early})
        yield from self._ready()
        missing = set(targets) - self._fed_ahead
        while missing:
            packet = self._queue.popleft() if self._queue else self._read() and self._queue.popleft()
            if packet is None:
                break
            self._queued_bytes -= packet.size
            self._skip(packet.pts is not None and packet.pts < last and packet.pts not in wanted)
            missing.discard(packet.pts)
            if packet.pts is not None and packet.pts > last:
                self._fed_ahead.add(packet.pts)
            self._keep(self._decode(packet), wanted)
            yield from self._ready()
        self._fed_ahead = {time for time in self._fed_ahead if time > last}

    def _drain(self) -> Iterator[tuple[int, Any]]:
        """What is still inside the decoder. Raises `LostFrameError` where a wanted frame is not."""
        self._keep(self._decode(None), set(self._wanted))
        yield from self._ready()
        if self._wanted:
            raise LostFrameError(self._wanted[0])

    def _keep(self, frames: list[Any], wanted: set[int]) -> None:
        for frame in frames:
            if frame.pts in wanted:
                self._held[frame.pts] = frame
            elif frame.pts is not None and self._last_wanted is not None and frame.pts > self._last_wanted:
                self._early[frame.pts] = frame

    def _ready(self) -> Iterator[tuple[int, Any]]:
        while self._wanted and self._wanted[0] in self._held:
            time = self._wanted.popleft()
            yield time, self._held.pop(time)
        if len(self._held) > _HELD:
            raise LostFrameError(self._wanted[0])

    def _skip(self, skippable: bool) -> None:
        context = self.stream.codec_context
        wish = (
            "NONREF"
            if skippable and self.skips and context.name in _SKIPPABLE and _is_frame_coded(context)
            else "DEFAULT"
        )
        if wish != self._skipping:
            context.skip_frame = self._skipping = wish

    def _decode(self, packet: Any | None) -> list[Any]:
        try:
            return self.stream.codec_context.decode(packet)
        except EOFError:
            return []
        except MemoryError as error:
            what = f"{self._source.name}: needs more memory than there is; shrink it"
            raise VideoError(what, code="too_much_memory", exit_code=REFUSED) from error
        except av.error.FFmpegError as error:
            self.errors += 1
            if self._skipping == "NONREF":
                raise DamageMetError from error
            return []


def _is_frame_coded(context: Any) -> bool:
    """Whether no picture consists of two fields, of which one could be skipped without the other."""
    return context.name != "h264" or context.field_order == 1


def _by_key(moments: Iterable[int], key_of: Callable[[int], int]) -> Iterator[tuple[int, list[int]]]:
    """Neighbouring moments that are decoded from one key frame, at most `_GROUP` together."""
    key, group = 0, list[int]()
    for moment in moments:
        here = key_of(moment)
        if group and (here != key or len(group) == _GROUP):
            yield key, group
            group = []
        key = here
        group.append(moment)
    if group:
        yield key, group


def _shown_at(moment: int, index: Index) -> int:
    """The time of the last frame shown by a moment, the first frame for moments before it."""
    place = int(np.searchsorted(index.times, moment, "right")) - 1
    return int(index.times[max(place, 0)])
