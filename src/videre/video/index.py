"""When each frame is shown and where decoding can start, from packets alone.

Two ways to the same answers. A *scan* reads every packet once: right for any container. A *header index* trusts the
sample table of an ordinary MP4, which FFmpeg has read already, and looks at packets only around the moments asked for,
so that an hour costs no more than a minute.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64

from videre.video.container import packets

Ticks = Int64[np.ndarray, " _"]


_DEEPEST_REORDER = 16


class UntrustedIndexError(Exception):
    """A header index does not describe this file; a scan must."""


@dataclass(frozen=True)
class Index:
    """Where the frames are, in ticks of the stream's clock.

    Attributes:
        start: when the first frame is shown.
        end: when the last frame ends.
        shown: the time of every frame, ascending; None for a header index.
        keys: times of the frames where decoding can start, ascending; None for a header index.
        frame_ticks: a usual frame's length.
        in_order: frames are told apart by their order of appearance alone, since their times are missing, doubled or
            start again; decoding then always starts at the first.
    """

    start: int
    end: int
    shown: Ticks | None
    keys: Ticks | None
    frame_ticks: int
    in_order: bool = False

    @property
    def times(self) -> Ticks:
        """`shown`, empty for a header index."""
        return self.shown if self.shown is not None else np.zeros(0, np.int64)


def scan(container: Any, stream: Any) -> Index:
    """An index from every packet of a track. An empty track gives an empty `shown`.

    Raises:
        UntrustedIndexError: times are missing, doubled or start again; only decoding can tell the frames apart.
    """
    times: list[int] = []
    keys: list[int] = []
    end, previous_dts = 0, None
    for packet in packets(container, stream):
        if packet.pts is None or (previous_dts is not None and packet.dts is not None and packet.dts < previous_dts):
            raise UntrustedIndexError
        previous_dts = packet.dts if packet.dts is not None else previous_dts
        if packet.is_keyframe:
            keys.append(packet.pts)
        if not packet.is_discard:
            end = max(end, packet.pts + (packet.duration or 0)) if times else packet.pts + (packet.duration or 0)
            times.append(packet.pts)
    if len(set(times)) < len(times):
        raise UntrustedIndexError
    return of_times(np.array(times, np.int64), np.array(keys, np.int64), end)


def scan_unstamped(container: Any, stream: Any) -> Index:
    """An index for a container that stores no display times (AVI): frame n of the display is shown at decoding time n.

    Raises:
        UntrustedIndexError: not even decoding times are there.
    """
    pairs = [(packet.pts, packet.dts) for packet in packets(container, stream)]
    times = [dts for _, dts in pairs]
    if any(time is None for time in times) or len(set(times)) < len(times):
        raise UntrustedIndexError
    return of_outputs(times, 1)


def of_times(times: Ticks, keys: Ticks, end: int) -> Index:
    """An index from times in any order; a last frame without length gets the usual one."""
    times, keys = np.sort(times), np.unique(keys)
    if not len(times):
        return Index(0, 0, times, keys, 1)
    usual = _usual_step(times)
    return Index(int(times[0]), end if end > times[-1] else int(times[-1]) + usual, times, keys, max(usual, 1))


def of_outputs(times: list[int | None], ticks_per_frame: int) -> Index:
    """An index for frames in the order in which a decoder gives them.

    Missing times are counted up; a clock that starts again goes on after the frame before.
    """
    if any(time is None for time in times):
        shown = np.arange(len(times), dtype=np.int64) * ticks_per_frame
    else:
        raw = np.array(times, np.int64)
        usual = max(_usual_step(raw), 1)
        restarts = np.diff(raw, prepend=raw[:1]) < -_DEEPEST_REORDER * usual
        before = np.concatenate([raw[:1], raw[:-1]])
        raw = raw + np.cumsum(np.where(restarts, before + usual - raw, 0))
        shown = np.sort(raw)  # frames come in the order of display, whatever a container without times made up
    usual = max(_usual_step(shown), 1)
    return Index(int(shown[0]), int(shown[-1]) + usual, shown, np.zeros(1, np.int64), usual, in_order=True)


def _usual_step(times: Ticks) -> int:
    """The median distance of neighbours, 0 for a single frame."""
    steps = np.diff(times)
    return int(np.median(steps[steps > 0])) if (steps > 0).any() else 0


def header_entries(stream: Any) -> Any:
    """FFmpeg's own table of samples; empty where PyAV does not show it (15 and before)."""
    return getattr(stream, "index_entries", ())


def from_header(container: Any, stream: Any, size_bytes: int) -> Index:
    """An index that knows start and end, and leaves the frames between to the decoder.

    Raises:
        UntrustedIndexError: fragments, cut files, times that run against the order of decoding.
    """
    entries = header_entries(stream)
    if not entries or len(entries) != stream.frames or len(entries) < 2:
        raise UntrustedIndexError
    last = entries[len(entries) - 1]
    if last.pos + last.size > size_bytes:
        raise UntrustedIndexError
    container.seek(last.timestamp, stream=stream)
    tail = [packet for packet in packets(container, stream) if not packet.is_discard]
    if not tail or any(not is_ordered(packet) for packet in tail):
        raise UntrustedIndexError
    final = max(tail, key=lambda packet: packet.pts)
    usual = max(1, (last.timestamp - entries[0].timestamp) // (len(entries) - 1))
    return Index(entries[0].timestamp, final.pts + (final.duration or usual), None, None, usual)


def is_ordered(packet: Any) -> bool:
    """Whether a packet is decoded no later than it is shown."""
    return packet.pts is not None and packet.dts is not None and packet.dts <= packet.pts
