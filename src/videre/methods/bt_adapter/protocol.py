"""How the paper measures retrieval, set by set: which frames, how much of them, how many words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt8

from videre.methods.bt_adapter.encoder import VideoEncoder, frames_at
from videre.types import Span, Video


@dataclass(frozen=True)
class Protocol:
    """What is shown and read.

    Attributes:
        frames: frames of a video.
        text_tokens: tokens of a text, its two ends among them.
        shown: share of the shorter side that is shown, from the middle of the frame (224 of 256 pixels in three sets).
    """

    frames: int
    text_tokens: int
    shown: float = 1.0


PROTOCOLS = {
    "msrvtt": Protocol(12, 32),
    "didemo": Protocol(64, 77, 224 / 256),
    "lsmdc": Protocol(64, 77, 224 / 256),
    "activitynet": Protocol(64, 77, 224 / 256),
}
"""Source: zero-shot retrieval configs of the official code.
Differs: pictures are resized as the checkpoint's processor does (CLIP: bicubic; the official code: bilinear), and a
text that is too long keeps its end token, which the official code cuts off."""


def shown_frames(total: int, count: int) -> list[int]:
    """Which of `total` frames are shown in a test: as many as wanted, again and again where there are too few.

    >>> shown_frames(5, 8)
    [0, 0, 1, 2, 2, 2, 3, 4]

    Source: the official `UniformSample` in test mode; numpy rounds halves to even.
    """
    part = (total - 1) / count
    return [int(np.round(part * i)) + int(part / 2) for i in range(count)]


def chat_frames(total: int, most: int) -> list[int]:
    """Which of `total` frames the released chat scripts show.

    >>> chat_frames(5, 5)
    [0, 1, 2, 2, 3]

    Source: the official `get_seq_frames`.
    """
    count = min(total, most)
    part = (total - 1) / count
    return [int((np.round(part * i) + np.round(part * (i + 1))) // 2) for i in range(count)]


def vector(
    video: Video, encoder: VideoEncoder, protocol: Protocol, clip: Span | None = None
) -> Float[np.ndarray, " D"]:
    """The unit vector of a video, or of a part of it, under a protocol."""
    start, end = (clip.start_seconds, clip.end_seconds) if clip else (0.0, video.duration_seconds)
    whole: Any = video.info.get("frames")
    total = max(1, round(whole * (end - start) / max(video.duration_seconds, 1e-9)))
    moments = [start + (i + 0.5) * (end - start) / total for i in shown_frames(total, protocol.frames)]
    return encoder.clips(middle(frames_at(video, moments).pixels, protocol.shown)[None])[0]


def middle(pixels: UInt8[np.ndarray, "T 3 H W"], share: float) -> UInt8[np.ndarray, "T 3 h w"]:
    """The square in the middle of each frame, its side a share of the shorter side; frames as they are for 1."""
    if share == 1.0:
        return pixels
    height, width = pixels.shape[2:]
    side = max(1, round(min(height, width) * share))
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[:, :, top : top + side, left : left + side]


def matches(videos: Sequence[str], texts: Sequence[str]) -> Bool[np.ndarray, "T V"]:
    """Which video belongs to which text: the video's key and that which each text was written for."""
    return np.array([[key == own for key in videos] for own in texts], bool)
