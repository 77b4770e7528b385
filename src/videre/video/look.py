"""Evidence to what the model sees."""

import numpy as np
from PIL import Image

from videre.types import Evidence, Frames, Video
from videre.video.open import VideoFile
from videre.video.part import Part


def look(video: Video, evidence: Evidence, *, size_px: int | None = None, label: str = "") -> Frames:
    """The frames shown at the chosen moments, with their true times.

    Args:
        video: where to look.
        evidence: has at least one moment.
        size_px: longest side at most; None keeps the displayed size.
        label: what the chunk is for.

    Returns:
        Ascending, each frame once: fewer than the moments where several fall on one frame.
    """
    if not evidence.seconds:
        raise ValueError("the evidence names no moment to look at")
    if size_px is not None and isinstance(video, VideoFile | Part):
        frames = video.at(evidence.seconds, size_px=size_px)
    else:
        frames = shrunk(video.at(evidence.seconds), size_px)
    return Frames(frames.pixels, frames.seconds, label)


def shrunk(frames: Frames, size_px: int | None) -> Frames:
    """The same frames with the longer side at most `size_px`; smaller ones are left alone."""
    longest = max(frames.height_px, frames.width_px)
    if size_px is None or longest <= size_px:
        return frames
    size = (max(1, round(frames.width_px * size_px / longest)), max(1, round(frames.height_px * size_px / longest)))
    pictures = [Image.fromarray(np.ascontiguousarray(frame.transpose(1, 2, 0))) for frame in frames.pixels]
    small = [np.asarray(picture.resize(size, Image.Resampling.BICUBIC)) for picture in pictures]
    return Frames(np.stack(small).transpose(0, 3, 1, 2), frames.seconds, frames.label)
