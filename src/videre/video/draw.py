"""Pictures for people: thumbnails with time marks and boxes, and contact sheets."""

import io
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from videre.types import Box, Frames

_COLOURS = ("#ffb000", "#648fff", "#dc267f", "#fe6100", "#785ef0", "#00b3a4")
"""Told apart by most colour-blind people."""
_MARK, _MARK_TEXT = "#101418", "#ffffff"


def clock(seconds: float) -> str:
    """A time as people write it.

    >>> clock(75.25)
    '1:15.25'
    >>> clock(3675.0)
    '1:01:15.00'
    """
    hundredths = round(seconds * 100)
    minutes, rest = divmod(hundredths, 6000)
    hours, minutes = divmod(minutes, 60)
    tail = f"{rest // 100:02d}.{rest % 100:02d}"
    return f"{hours}:{minutes:02d}:{tail}" if hours else f"{minutes}:{tail}"


def picture(
    pixels: UInt8[np.ndarray, "3 H W"], *, seconds: float | None = None, boxes: Sequence[Box] = (), size_px: int = 320
) -> Image.Image:
    """One frame with its boxes and its time, the longer side `size_px` at most."""
    image = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    image.thumbnail((size_px, size_px), Image.Resampling.LANCZOS)
    pen = ImageDraw.Draw(image)
    for number, box in enumerate(boxes):
        _draw_box(pen, image.size, box, _COLOURS[number % len(_COLOURS)])
    if seconds is not None:
        _draw_mark(pen, (0, 0), clock(seconds), _MARK, _MARK_TEXT)
    return image


def thumbnails(frames: Frames, *, boxes: Sequence[Box] = (), size_px: int = 320) -> list[Image.Image]:
    """One picture a frame; a box is drawn on the frame that is shown at its time."""
    shown = boxes_by_frame(frames.seconds, boxes)
    return [
        picture(pixels, seconds=float(time), boxes=here, size_px=size_px)
        for pixels, time, here in zip(frames.pixels, frames.seconds, shown, strict=True)
    ]


def contact_sheet(frames: Frames, *, boxes: Sequence[Box] = (), columns: int = 4, size_px: int = 320) -> Image.Image:
    """All frames on one sheet, row by row."""
    if columns < 1 or not len(frames):
        raise ValueError(f"a sheet has a column and a frame at least, got {columns=} and {len(frames)} frames")
    tiles, gap_px = thumbnails(frames, boxes=boxes, size_px=size_px), 4
    columns = min(columns, len(tiles))
    width_px, height_px = tiles[0].width + gap_px, tiles[0].height + gap_px
    sheet = Image.new(
        "RGB", (columns * width_px + gap_px, math.ceil(len(tiles) / columns) * height_px + gap_px), "#202428"
    )
    for number, tile in enumerate(tiles):
        sheet.paste(tile, (gap_px + number % columns * width_px, gap_px + number // columns * height_px))
    return sheet


def boxes_by_frame(seconds: np.ndarray, boxes: Sequence[Box]) -> list[list[Box]]:
    """For each frame time, ascending, the boxes whose moment it is shown at; earlier boxes go to the first frame."""
    shown: list[list[Box]] = [[] for _ in seconds]
    for box in boxes:
        if shown:
            shown[max(int(np.searchsorted(seconds, box.seconds + 1e-6, "right")) - 1, 0)].append(box)
    return shown


def encoded(image: Image.Image, *, kind: str = "JPEG", quality: int = 85) -> bytes:
    """A picture as the bytes of a JPEG, PNG or WebP file."""
    data = io.BytesIO()
    image.save(data, kind, **({} if kind == "PNG" else {"quality": quality}))
    return data.getvalue()


def _draw_box(pen: ImageDraw.ImageDraw, size: tuple[int, int], box: Box, colour: str) -> None:
    width_px, height_px = size
    corners = (box.x0 * (width_px - 1), box.y0 * (height_px - 1), box.x1 * (width_px - 1), box.y1 * (height_px - 1))
    pen.rectangle(corners, outline=colour, width=max(2, min(size) // 120))
    text = " ".join(filter(None, (box.label or "", f"{box.confidence:.2f}" if box.confidence is not None else "")))
    if text:
        _draw_mark(pen, (corners[0], corners[1]), text, colour, _MARK)


def _draw_mark(pen: ImageDraw.ImageDraw, corner: tuple[float, float], text: str, ground: str, colour: str) -> None:
    font = ImageFont.load_default(size=12)
    text = "".join(char if char.isprintable() else " " for char in text)[:60]
    left, top, right, bottom = pen.textbbox((corner[0] + 3, corner[1] + 2), text, font=font)
    pen.rectangle((left - 3, top - 2, right + 3, bottom + 2), fill=ground)
    pen.text((corner[0] + 3, corner[1] + 2), text, font=font, fill=colour)
