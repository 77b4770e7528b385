"""Frames at wanted times out of one open container, decoding as little as is needed for exactly these.

A *run* starts at a key frame and goes forward. Inside a run all wanted frames are known before their packets are fed,
so frames that nothing else refers to are skipped by the decoder unless they are wanted.
"""

import os
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import av
import numpy as np

from videre.errors import REFUSED, VideoError
from videre.video.index import Index, UntrustedIndexError, is_ordered
from videre.video.limits import Limits
from videre.video.position import Position, shown_at
from videre.video.source import Source

_GROUP = 64
_HELD = 32
_QUEUED_BYTES = 64 << 20
_SKIPPABLE = ("h264", "mpeg4", "mpeg2video")
"""Codecs whose non-reference frames are referred to by no frame at all, whatever its layer."""


class LostFrameError(Exception):
    """A wanted frame did not come out of the decoder."""

    def __init__(self, frame: int) -> None:
        super().__init__(frame)
        self.frame = frame


class DamageMetError(Exception):
    """Something did not decode in a hurry; a careful decoder gives the same frames on every machine."""


class Decoder:
    """One container with its position.

    A frame is named by its time in ticks, or by its number where the index is in order.

    Attributes:
        careful: see `__init__`.
        errors: packets that the decoder refused so far.
    """

    def __init__(self, source: Source, kind: str, limits: Limits, *, careful: bool = False) -> None:
        """Opens the file.

        Args:
            source: the file.
            kind: its container.
            limits: its limits.
            careful: one thread, no frame left out: what comes of a damaged file hangs on neither. Otherwise `frames`
                raises `DamageMetError` at the first damage.
        """
        self._name, self.careful = source.name, careful
        self._position = Position(source, kind, limits, threads=1 if careful else usable_cores())
        self._tolerant = True
        self.errors = 0

    @property
    def container(self) -> Any:
        """Of PyAV."""
        return self._position.container

    @property
    def stream(self) -> Any:
        """The track, once `use` has chosen it."""
        return self._position.stream

    def use(self, stream_index: int) -> None:
        """Chooses the track that is decoded."""
        self._position.use(stream_index)
        self._forget()

    def _forget(self) -> None:
        """Nothing was fed and nothing is wanted."""
        self._seen: list[int] = []
        self._wanted: deque[int] = deque()
        self._last_wanted: int | None = None
        self._fed_ahead: set[int] = set()
        self._held: dict[int, Any] = {}
        self._early: dict[int, Any] = {}
        self._skipping = ""

    def close(self) -> None:
        """Frees the decoder."""
        self.container.close()

    def first(self) -> Any | None:
        """The first frame that decodes; None where none does."""
        return next(self.everything(), None)

    def everything(self) -> Iterator[Any]:
        """Every frame from the start of the file; packets that do not decode are left out."""
        self._position.restart()
        self._forget()
        while (packet := self._position.take()) is not None:
            yield from self._decode(packet)
        yield from self._decode(None)

    def frames(self, moments: Iterable[int], index: Index) -> Iterator[tuple[int, Any]]:
        """Time and frame shown at each moment, ascending, every frame once.

        Args:
            moments: ascending, in ticks, none before the first frame.
            index: of this track.

        Raises:
            DamageMetError: damage was met, and this decoder is not careful.
            LostFrameError: a frame of the index does not decode.
            UntrustedIndexError: a header index is not right for this file.
        """
        self._tolerant = self.careful
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
        for key, group in _by_key(moments, lambda moment: self._position.key(moment, index)):
            if not live or self._position.is_far(key, index):
                if live:
                    yield from self._drain()
                if not self._position.seek(key, group[0], index):
                    raise LostFrameError(shown_at(group[0], index))
                self._forget()
                live = True
            for targets in self._targets(group, index):
                yield from self._feed(targets)
        if live:
            yield from self._drain()

    def _targets(self, group: list[int], index: Index) -> Iterator[list[int]]:
        """The frames shown at these moments, each once, in batches whose packets fit into memory."""
        targets: list[int] = []
        for moment in group:
            target = self._look_ahead(moment) if index.shown is None else shown_at(moment, index)
            if target != (targets[-1] if targets else self._last_wanted):
                targets.append(target)
            if targets and self._position.queued_bytes > _QUEUED_BYTES:
                yield targets
                targets = []
        if targets:
            yield targets

    def _look_ahead(self, moment: int) -> int:
        """The last frame shown by the moment.

        Frames are decoded no later than shown, so once a packet is to be decoded after the moment, all have been seen.
        """
        position = self._position
        for packet in position.queue if not self._seen else ():
            self._see(packet)
        while position.read_dts is None or position.read_dts <= moment:
            packet = position.read()
            if packet is None:
                break
            self._see(packet)
        shown = [time for time in self._seen if time <= moment]
        if not shown:
            raise UntrustedIndexError
        self._seen = self._seen[len(shown) - 1 :]
        return shown[-1]

    def _see(self, packet: Any) -> None:
        if not is_ordered(packet):
            raise UntrustedIndexError
        place = bisect_left(self._seen, packet.pts)  # key frames may lie minutes apart: thousands were seen
        if self._seen[place : place + 1] == [packet.pts]:
            raise UntrustedIndexError
        if not packet.is_discard:
            self._seen.insert(place, packet.pts)

    def _feed(self, targets: list[int]) -> Iterator[tuple[int, Any]]:
        """Feeds packets until all targets are inside; gives what the decoder has ready by then."""
        self._wanted.extend(targets)
        self._last_wanted = last = targets[-1]
        wanted = set(self._wanted)
        self._held.update({time: self._early.pop(time) for time in targets if time in self._early})
        self._early = {time: frame for time, frame in self._early.items() if time > last}
        yield from self._ready()
        missing = set(targets) - self._fed_ahead
        while missing:
            packet = self._position.take()
            if packet is None:
                break
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
            if skippable and not self.careful and context.name in _SKIPPABLE and _is_frame_coded(context)
            else "DEFAULT"
        )
        if wish != self._skipping:
            context.skip_frame = self._skipping = wish

    def _decode(self, packet: Any | None) -> list[Any]:
        try:
            frames = self.stream.codec_context.decode(packet)
        except EOFError:
            return []
        except MemoryError as error:
            what = f"{self._name}: needs more memory than there is; shrink it"
            raise VideoError(what, code="too_much_memory", exit_code=REFUSED) from error
        except av.error.FFmpegError as error:
            self.errors += 1
            if not self._tolerant:
                raise DamageMetError from error
            return []
        if not self._tolerant and any(frame.is_corrupt for frame in frames):
            raise DamageMetError
        return frames


def usable_cores() -> int:
    """Processors that this process may use, at most 8."""
    try:
        return min(8, len(os.sched_getaffinity(0)))
    except AttributeError:
        return min(8, os.cpu_count() or 1)


def _is_frame_coded(context: Any) -> bool:
    """Whether no picture consists of two fields, of which one could be skipped without the other."""
    return context.name != "h264" or getattr(context, "field_order", 0) == 1


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
