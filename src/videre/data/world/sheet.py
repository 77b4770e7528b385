"""A contact sheet: frames of a clip side by side with the truth drawn on them."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from videre.data.world.render import render
from videre.data.world.scene import COLOURS, Clip

CELL_PX = 192
BAR_PX = 14


def contact_sheet(clip: Clip, seconds: Sequence[float] = (), *, columns: int = 4) -> Image.Image:
    """A picture of the clip's frames with boxes, names and times, and below it when each thing is shown.

    Args:
        clip: what to show.
        seconds: which moments; none takes eight even ones.
        columns: frames a row.
    """
    span = clip.config.seconds
    times = list(seconds) or [(i + 0.5) * span / 8 for i in range(8)]
    rows = -(-len(times) // columns)
    height = rows * CELL_PX + (len(clip.things) + 1) * BAR_PX
    sheet = Image.new("RGB", (columns * CELL_PX, height), (255, 255, 255))
    for i, t in enumerate(times):
        sheet.paste(_cell(clip, t), (i % columns * CELL_PX, i // columns * CELL_PX))
    _timeline(sheet, clip, times, top_px=rows * CELL_PX)
    return sheet


def _cell(clip: Clip, seconds: float) -> Image.Image:
    pixels = render(clip, [seconds], CELL_PX).pixels[0].transpose(1, 2, 0)
    cell = Image.fromarray(np.ascontiguousarray(pixels))
    draw = ImageDraw.Draw(cell)
    for box in clip.boxes(seconds):
        corners = [v * CELL_PX for v in (box.x0, box.y0, box.x1, box.y1)]
        draw.rectangle(corners, outline=(255, 255, 255))
        draw.text((max(corners[0], 0), max(corners[1] - 11, 0)), box.label or "", fill=(255, 255, 255))
    draw.text((3, CELL_PX - 13), f"{seconds:.1f} s", fill=(200, 200, 200))
    draw.rectangle((0, 0, CELL_PX - 1, CELL_PX - 1), outline=(90, 90, 90))
    return cell


def _timeline(sheet: Image.Image, clip: Clip, times: Sequence[float], *, top_px: int) -> None:
    draw, scale = ImageDraw.Draw(sheet), sheet.width / clip.config.seconds
    for i, thing in enumerate(clip.things):
        y = top_px + i * BAR_PX
        draw.rectangle(
            (thing.start_seconds * scale, y + 1, thing.end_seconds * scale, y + BAR_PX - 2), COLOURS[thing.colour]
        )
        text = f"{thing.name}, {thing.direction or 'still'}"
        draw.text((thing.start_seconds * scale + 3, y + 1), text, fill=(0, 0, 0))
    for t in times:
        bottom = top_px + (len(clip.things) + 1) * BAR_PX
        draw.line((t * scale, bottom - BAR_PX, t * scale, bottom), fill=(0, 0, 0))
