"""What the answerer sees: the whole video at low detail, the key moment, and close-ups of what the plan looked for.

Source: MSR-ViR section 3.4. Differs: the overview is a few small frames in place of pooled tokens, since models of
today have no door for the latter; the parts are told apart by words in place of three special tokens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from PIL import Image

from videre.ask import Shown
from videre.errors import ConfigError
from videre.types import JSON, Box, Evidence, Frames, Question, Video
from videre.video.look import look, shrunk
from videre.video.sample import centres

GUIDE = (
    "The overview shows the whole video at low detail. The key moment was found by this plan: {plan}. "
    "The close-up may be wrong or empty.\n{question}"
)


@dataclass(frozen=True)
class Showing:
    """What is shown beside the key moment.

    Attributes:
        overview: frames of the whole video; 0 leaves it out.
        overview_px: their longer side, at most.
        overview_last: they come after the rest, in the order of the paper's formula, and not before it.
        close_ups: whether the places that were found are shown as crops.
        margin: what a close-up shows around a box, on each side, as a share of the box; 0 is the paper's.
        guide: whether the parts are explained in the prompt.
        equal: in place of all this, as many frames evenly over the video: the baseline of equal frames.
        size_px: the longer side of the other frames, at most.
    """

    overview: int = 4
    overview_px: int = 224
    overview_last: bool = False
    close_ups: bool = True
    margin: float = 0.0
    guide: bool = True
    equal: bool = False
    size_px: int | None = None

    def __post_init__(self) -> None:
        if self.margin < 0:
            raise ConfigError(f"margin is 0 or more, got {self.margin}")


def show(video: Video, evidence: Evidence, question: Question, *, how: Showing) -> Shown:
    """The parts that the model is shown, and the question as it is asked."""
    moment = look(video, evidence, size_px=how.size_px, label=_moment_label(video, evidence))
    overview = _overview(video, how) if how.overview else ()
    crops = close_ups(video, evidence.boxes, like=moment, margin=how.margin) if how.close_ups and evidence.boxes else ()
    before, after = ((), overview) if how.overview_last else (overview, ())
    chunks, asked, main = (*before, moment, *crops, *after), question, len(before)
    if how.equal:
        chunks, main = (_evenly(video, sum(map(len, chunks)), how),), 0
    elif how.guide:
        asked = Question(guided(question.text, _plan(evidence)), question.options)
    return Shown(chunks, asked, main, {"showing": asdict(how), "shown": [told(chunk) for chunk in chunks]})


def guided(question: str, plan: str) -> str:
    """A question behind the prompt that explains the parts."""
    return GUIDE.replace("{plan}", plan).replace("{question}", question)


def told(chunk: Frames) -> dict[str, JSON]:
    """What the record says of a part."""
    size = [chunk.width_px, chunk.height_px]
    return {"label": chunk.label, "seconds": chunk.seconds.tolist(), "px": size, "sha256": chunk.sha256()}


def close_ups(video: Video, boxes: Sequence[Box], *, like: Frames, margin: float = 0.0) -> tuple[Frames, ...]:
    """The boxes cut out of the full frames, each brought to the size of a whole frame, in one part.

    Source: the module SpatialTruncate. Differs: a frame without a box gives no close-up, in place of the whole frame.
    """
    frames = video.at([box.seconds for box in boxes])
    crops = [_crop(frames, wider(box, margin), like) for box in boxes]
    label = f"Close-up of {boxes[0].label or 'the place'} in the key moment"
    seconds = np.array([box.seconds for box in boxes], np.float64)
    return (Frames(np.stack(crops), seconds, label),)


def wider(box: Box, margin: float) -> Box:
    """The box with so much of its own size added on each side, inside the frame."""
    x, y = margin * (box.x1 - box.x0), margin * (box.y1 - box.y0)
    return replace(
        box, x0=max(0.0, box.x0 - x), y0=max(0.0, box.y0 - y), x1=min(1.0, box.x1 + x), y1=min(1.0, box.y1 + y)
    )


def corners_px(box: Box, *, width_px: int, height_px: int) -> tuple[int, int, int, int]:
    """The box in whole pixels, at least one each way: left, top, right, bottom."""
    x0, y0 = min(round(box.x0 * width_px), width_px - 1), min(round(box.y0 * height_px), height_px - 1)
    return x0, y0, max(round(box.x1 * width_px), x0 + 1), max(round(box.y1 * height_px), y0 + 1)


def _crop(frames: Frames, box: Box, like: Frames) -> np.ndarray:
    place = max(int(np.searchsorted(frames.seconds, box.seconds + 1e-6, "right")) - 1, 0)
    x0, y0, x1, y1 = corners_px(box, width_px=frames.width_px, height_px=frames.height_px)
    cut = np.ascontiguousarray(frames.pixels[place, :, y0:y1, x0:x1].transpose(1, 2, 0))
    size = (like.width_px, like.height_px)
    return np.asarray(Image.fromarray(cut).resize(size, Image.Resampling.BICUBIC)).transpose(2, 0, 1)


def _overview(video: Video, how: Showing) -> tuple[Frames, ...]:
    frames = shrunk(video.at(centres(video.duration_seconds, how.overview)), how.overview_px)
    return (Frames(frames.pixels, frames.seconds, "Overview of the whole video"),)


def _evenly(video: Video, count: int, how: Showing) -> Frames:
    return shrunk(video.at(centres(video.duration_seconds, count)), how.size_px)


def _moment_label(video: Video, evidence: Evidence) -> str:
    start, end = viewing_window(evidence)
    return f"Key moment, {start:.1f} s to {end:.1f} s of {video.duration_seconds:.1f} s"


def viewing_window(evidence: Evidence) -> tuple[float, float]:
    """What the model watches, in seconds, as the step of that name says; else the ends of the moments."""
    for step in evidence.steps:
        if step.name == "view" and isinstance(step.output, Mapping):
            start, end = step.output["viewing_window"]
            return start, end
    return evidence.seconds[0], evidence.seconds[-1]


def _plan(evidence: Evidence) -> str:
    return next((str(step.inputs["words"]) for step in evidence.steps if step.name == "policy"), "the whole video")
