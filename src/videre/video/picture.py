"""One decoded frame to upright RGB with square pixels, at the asked size."""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from av.filter import Graph
from av.video.reformatter import Interpolation, VideoReformatter
from jaxtyping import UInt8

from videre.video.hdr import TRANSFERS, tone_map, transfer_of

_ANY_CLOCK = Fraction(1, 1000)  # a filter of one frame needs a clock and does not look at it
RGB = UInt8[np.ndarray, "H W 3"]

ONE_THREAD: dict[str, Any] = {"threads": 1} if "threads" in (VideoReformatter.reformat.__doc__ or "") else {}
"""PyAV 15 scales in one thread and takes no number."""


@dataclass(frozen=True)
class Layout:
    """How coded pictures of a file become displayed ones; taken from its first frame.

    Attributes:
        width_px: displayed, after the pixels were made square and the picture was turned.
        height_px: likewise.
        turn: 2x2 signs of the display matrix, row by row; (1, 0, 0, 1) leaves the picture as it is.
        pixel_aspect: width of a coded pixel over its height.
    """

    width_px: int
    height_px: int
    turn: tuple[int, int, int, int] = (1, 0, 0, 1)
    pixel_aspect: float = 1.0

    @property
    def rotation_degrees(self) -> int:
        """Clockwise turn, after a left-right flip where the layout is mirrored."""
        a, b, _, _ = self.turn if not self.mirrored else (-self.turn[0], -self.turn[1], self.turn[2], self.turn[3])
        return {(1, 0): 0, (0, 1): 90, (-1, 0): 180, (0, -1): 270}[(a, b)]

    @property
    def mirrored(self) -> bool:
        """Whether the picture is flipped."""
        a, b, c, d = self.turn
        return a * d - b * c < 0

    def at_most(self, size_px: int | None) -> "Layout":
        """The same layout with the longer side at most `size_px`; never larger than the displayed size."""
        longest = max(self.width_px, self.height_px)
        if size_px is None or longest <= size_px:
            return self
        scale = size_px / longest
        width_px, height_px = (max(1, round(side * scale)) for side in (self.width_px, self.height_px))
        return replace(self, width_px=width_px, height_px=height_px)


def layout_of(frame: Any, aspect: Any) -> Layout:
    """The layout that a file's first frame asks for.

    Non-square pixels are made square by growing the shorter direction, so no detail is lost.

    Args:
        frame: the first decoded PyAV frame.
        aspect: sample aspect ratio of the stream (a fraction) or None.
    """
    ratio = float(aspect) if aspect else 1.0
    ratio = ratio if 1 / 16 <= ratio <= 16 else 1.0
    width_px = round(frame.width * max(ratio, 1.0))
    height_px = round(frame.height * max(1 / ratio, 1.0))
    turn = _turn(frame)
    if turn[0] == 0:
        width_px, height_px = height_px, width_px
    return Layout(width_px, height_px, turn, ratio)


def _turn(frame: Any) -> tuple[int, int, int, int]:
    """Signs of the display matrix; what is not a multiple of 90 degrees is left as it is."""
    try:
        matrix = np.frombuffer(bytes(frame.side_data["DISPLAYMATRIX"]), np.int32).reshape(3, 3)[:2, :2]
    except (KeyError, ValueError):
        return (1, 0, 0, 1)
    scale = np.abs(matrix.astype(np.int64)).max()
    signs = np.round(matrix / max(int(scale), 1)).astype(int)
    square = (np.abs(signs).sum(0) == 1).all() and (np.abs(signs).sum(1) == 1).all()
    exact = np.abs(matrix - signs * scale).max() <= 0.01 * scale
    a, b, c, d = signs.ravel().tolist() if square and exact else (1, 0, 0, 1)
    return a, b, c, d


class Painter:
    """Writes frames of one file as RGB. Keeps the scaler between frames."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._scaler = VideoReformatter()

    def paint(self, frame: Any, row: RGB) -> None:
        """Fills `row` with the displayed picture."""
        height_px, width_px = row.shape[:2]
        if self.layout.turn[0] == 0:
            width_px, height_px = height_px, width_px
        if frame.interlaced_frame:
            frame = _first_field(frame)
        row[:] = _oriented(self._rgb(frame, width_px, height_px), self.layout.turn)

    def _rgb(self, frame: Any, width_px: int, height_px: int) -> RGB:
        how = None if (frame.width, frame.height) == (width_px, height_px) else Interpolation.BICUBIC
        hdr = transfer_of(frame) in TRANSFERS
        form = "rgb48le" if hdr else "rgb24"
        flat = self._scaler.reformat(frame, width_px, height_px, form, interpolation=how, **ONE_THREAD)
        return tone_map(_packed(flat, np.dtype("<u2")), transfer_of(frame)) if hdr else _packed(flat, np.dtype("u1"))


def _first_field(frame: Any) -> Any:
    """The field that is shown first, at full height.

    The filter looks at this frame alone, so the picture does not depend on how it was reached.
    """
    graph = Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=_ANY_CLOCK)
    spatial, sink = graph.add("estdif", "mode=frame:deint=all"), graph.add("buffersink")
    source.link_to(spatial)
    spatial.link_to(sink)
    graph.configure()
    source.push(frame)
    source.push(None)
    return sink.pull()


def _packed(frame: Any, kind: np.dtype) -> np.ndarray:
    """The pixels of a packed RGB frame as `[H, W, 3]`, a view that skips the padding of lines."""
    plane = frame.planes[0]
    lines = np.frombuffer(plane, kind).reshape(-1, plane.line_size // kind.itemsize)[: frame.height]
    steps = (plane.line_size, 3 * kind.itemsize, kind.itemsize)
    return np.lib.stride_tricks.as_strided(lines, (frame.height, frame.width, 3), steps, writeable=False)


def _oriented(picture: np.ndarray, turn: tuple[int, int, int, int]) -> np.ndarray:
    """A turned and flipped view.

    The matrix maps coded (x, y) to displayed (x, y): x' = a x + c y, y' = b x + d y.
    """
    a, b, c, d = turn
    if a == 0:
        picture = picture.transpose(1, 0, 2)
    if a + c < 0:
        picture = picture[:, ::-1]
    return picture[::-1] if b + d < 0 else picture
