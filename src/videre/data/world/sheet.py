"""A contact sheet: frames of a clip or a story side by side with the truth drawn on them."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from videre.data.world.render import render
from videre.data.world.scene import COLOURS, Clip
from videre.data.world.story import Act, Story

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


def story_sheet(story: Story) -> Image.Image:
    """A picture with a row an event: four moments of it with boxes, names and times, and below them what happens."""
    sheet = Image.new("RGB", (4 * CELL_PX, len(story.events) * (CELL_PX + BAR_PX)), (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    for row, act in enumerate(story.events):
        top = row * (CELL_PX + BAR_PX)
        for column, seconds in enumerate(_moments(act, story.config.fps)):
            sheet.paste(_cell(story.window(seconds, seconds), seconds), (column * CELL_PX, top))
        span = f"{act.span.start_seconds:.1f} to {act.span.end_seconds:.1f} s"
        draw.text((3, top + CELL_PX + 1), f"{act.kind}, {span}: {act.caption}", fill=(0, 0, 0))
    return sheet


def _moments(act: Act, fps: int) -> tuple[float, ...]:
    """The first and the last frame of an act, and the last before and the first after its turn or its middle."""
    start, end = act.span.start_seconds, act.span.end_seconds
    turn = act.turn_seconds if act.turn_seconds > start else round((start + end) / 2 * fps) / fps
    return start, turn - 1 / fps, turn, end - 1 / fps


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
