"""Any image or video model as the small modules: asked in words when something happens, and where something is."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from videre.methods.msr_vir.modules import Seen
from videre.types import JSON, MLLM, Frames, Span, Video
from videre.video.look import shrunk
from videre.video.sample import at_fps

WHEN = (
    "The frames above carry their times in seconds; the stretch that is shown lasts from {start:.1f} to {end:.1f} s. "
    'When does this happen: "{query}"? Reply with start and end in seconds as "start - end", nothing else. '
    'If it does not happen, reply "none".'
)
WHERE = (
    'Where is "{query}" in this picture? Reply with one JSON list [x0, y0, x1, y1], the corners of its box as {scale}. '
    "If it is not there, reply []."
)
SCALES = {
    "thousandths": "whole numbers from 0 to 1000 across and down the picture",
    "shares": "numbers from 0 to 1 across and down the picture",
    "pixels": "pixels of the picture, which is {width} wide and {height} high",
}
_NUMBER = r"(\d+(?:\.\d+)?)"
_CLOCK = r"(?:(?:(\d{1,2}):)?(\d{1,3}):)?" + _NUMBER
_RANGE = re.compile(rf"{_CLOCK}\s*(?:s|sec|seconds)?\s*(?:-|–|—|to|until|,)\s*{_CLOCK}")


@dataclass(frozen=True)
class PromptedTimes:
    """A `TemporalGrounder` that shows a model the window and reads "start - end" in its reply.

    Args:
        model: sees frames with their times.
        fps: frames a second that are shown.
        at_most: frames that are shown.
        size_px: their longer side, at most.
    """

    model: MLLM
    fps: float = 1.0
    at_most: int = 64
    size_px: int = 336
    name: str = "prompted-times"

    @property
    def card(self) -> Mapping[str, JSON]:
        """Model and settings."""
        settings = {"fps": self.fps, "at_most": self.at_most, "size_px": self.size_px, "prompt": WHEN}
        return {"name": self.name, "model": dict(self.model.card), **settings}

    def ground(self, video: Video, query: str, *, window: Span, top_k: int = 1) -> list[Span]:
        """The span that the reply names, inside the window; empty where it names none."""
        moments = [window.start_seconds + t for t in at_fps(window.seconds, self.fps, at_most=self.at_most)]
        frames = shrunk(video.at(moments), self.size_px)
        prompt = WHEN.format(start=window.start_seconds, end=window.end_seconds, query=query)
        return [*filter(None, [read_span(self.model.generate(prompt, [frames], max_tokens=32), window)])]


@dataclass(frozen=True)
class PromptedPlaces:
    """A `SpatialGrounder` that shows a model one frame at a time and reads a box in its reply.

    Args:
        model: sees a frame.
        scale: how the model writes corners: `thousandths` (Qwen3-VL, InternVL), `shares`, or `pixels` (Qwen2.5-VL).
        size_px: the longer side of a frame, at most.
    """

    model: MLLM
    scale: Literal["thousandths", "shares", "pixels"] = "thousandths"
    size_px: int = 768
    name: str = "prompted-places"

    @property
    def card(self) -> Mapping[str, JSON]:
        """Model and settings."""
        settings = {"scale": self.scale, "size_px": self.size_px, "prompt": WHERE}
        return {"name": self.name, "model": dict(self.model.card), **settings}

    def detect(self, frames: Frames, query: str) -> list[list[Seen]]:
        """The box that each reply names, with score 1; empty where it names none."""
        small = shrunk(frames, self.size_px)
        found = []
        for i in range(len(frames)):
            one = Frames(small.pixels[i : i + 1], np.zeros(1), "")
            words = SCALES[self.scale].format(width=small.width_px, height=small.height_px)
            reply = self.model.generate(WHERE.format(query=query, scale=words), [one], max_tokens=48)
            units = {"thousandths": (1000, 1000), "shares": (1, 1), "pixels": (small.width_px, small.height_px)}
            box = read_box(reply, units[self.scale])
            size = (frames.width_px, frames.height_px)
            found.append([(box[0] * size[0], box[1] * size[1], box[2] * size[0], box[3] * size[1], 1.0)] if box else [])
        return found


def read_span(reply: str, window: Span) -> Span | None:
    """The first range of seconds, or of clock times, in a reply, cut to the window; None where there is none in it."""
    found = _RANGE.search(reply.lower())
    if found is None:
        return None
    hours, minutes, seconds = (float(found[i] or 0) for i in (1, 2, 3))
    start = 3600 * hours + 60 * minutes + seconds
    hours, minutes, seconds = (float(found[i] or 0) for i in (4, 5, 6))
    start, end = sorted((start, 3600 * hours + 60 * minutes + seconds))
    start, end = max(start, window.start_seconds), min(end, window.end_seconds)
    return Span(start, end) if start < end else None


def read_box(reply: str, unit: tuple[float, float]) -> tuple[float, float, float, float] | None:
    """The first list of four numbers in a reply, as shares of the picture; None where there is none."""
    found = re.search(r"\[\s*(?:-?\d+(?:\.\d+)?\s*,\s*){3}-?\d+(?:\.\d+)?\s*\]", reply)
    if found is None:
        return None
    corners = [float(corner) for corner in json.loads(found[0])]
    x0, x1 = sorted(min(max(x / unit[0], 0.0), 1.0) for x in corners[::2])
    y0, y1 = sorted(min(max(y / unit[1], 0.0), 1.0) for y in corners[1::2])
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None
