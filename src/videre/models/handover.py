"""How frames reach a model: as one native video, as pictures with time marks, or as a video with each frame doubled.

The times that a model reads in its prompt are the true times of the frames, whatever its family does to a video:

- some families write times into the prompt themselves (Qwen3-VL), others write none (LLaVA) or whole seconds (SmolVLM);
- some fuse two neighbouring frames into one temporal patch (Qwen) and label it with the mean of two times, so two
  chosen moments that lie far apart become one moment that nobody chose;
- some templates put all pictures before all text, so a mark beside a picture would lose its picture.

What a processor does is asked of the processor itself, once (`models/prompt.py`), never of a list of names.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64, UInt8
from PIL import Image

from videre.errors import ModelError
from videre.types import JSON, Frames

Mode = Literal["video", "images", "video-doubled"]
Handover = Literal["auto", "video", "images", "video-doubled"]
CLOCK_FPS = 1000.0
"""Processors turn frame numbers into seconds by `number / fps`; counting milliseconds keeps any times exact."""


@dataclass(frozen=True)
class Abilities:
    """What a processor does with what it is given.

    Attributes:
        video: it takes videos.
        videos: it takes several videos of different length and size at once.
        fused: frames in one temporal patch; 1 where each frame stays by itself.
        states_times: its prompt states the time of every patch to a tenth of a second.
        interleaves: its template keeps text and pictures in the order given.
    """

    video: bool
    videos: bool
    fused: int
    states_times: bool
    interleaves: bool


@dataclass(frozen=True)
class Handed:
    """Frames as a chat message: content parts in order, and what the picture and video parts stand for.

    Attributes:
        content: parts of a chat message.
        images: uint8 `[H, W, 3]` each (an estimate gives tensors without content instead).
        videos: uint8 `[T, H, W, 3]` each.
        clocks: the times of each video, as `clock` writes them.
    """

    content: list[dict[str, str]]
    images: list[Any] = field(default_factory=list)
    videos: list[Any] = field(default_factory=list)
    clocks: list[dict[str, JSON]] = field(default_factory=list)


def hand_over(chunks: Sequence[Frames], mode: Mode, *, abilities: Abilities) -> Handed:
    """The chunks as message parts, in their order, each introduced by its label."""
    handed = Handed([])
    for chunk in chunks:
        if mode == "images":
            _as_images(handed, chunk, beside=abilities.interleaves)
        else:
            _as_video(handed, chunk, mode, abilities)
    return handed


def choose(wanted: Handover, chunks: Sequence[Frames], *, abilities: Abilities) -> Mode:
    """The mode for these chunks.

    `auto` takes the native video wherever its prompt can tell the true times. A family that fuses frames gets each one
    doubled if it writes times, and pictures with marks if it has only one scalar for the spacing (Qwen2.5-VL).

    Raises:
        ModelError: the wanted mode is not possible for this model (code "handover").
    """
    possible = abilities.video and (len(chunks) <= 1 or abilities.videos)
    if wanted == "auto":
        if not possible or (abilities.fused > 1 and not abilities.states_times):
            return "images"
        return "video-doubled" if abilities.fused > 1 else "video"
    if wanted != "images" and not possible:
        what = "several videos at once" if abilities.video else "videos"
        raise ModelError(f"this model takes no {what}: pass handover='images' or 'auto'", code="handover")
    return wanted


def kept(frames: Iterable[Frames]) -> list[Frames]:
    """The chunks that hold frames."""
    return [chunk for chunk in frames if len(chunk)]


def shrink(chunk: Frames, most_px: int | None) -> Frames:
    """The chunk with frames of at most `most_px` pixels each, in their own shape; None leaves them as they are."""
    if most_px is None or chunk.width_px * chunk.height_px <= most_px:
        return chunk
    scale = (most_px / (chunk.width_px * chunk.height_px)) ** 0.5
    size = (max(1, int(chunk.width_px * scale)), max(1, int(chunk.height_px * scale)))
    small = [np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS)) for frame in upright(chunk)]
    return Frames(np.stack(small).transpose(0, 3, 1, 2), chunk.seconds, chunk.label)


def upright(chunk: Frames) -> UInt8[np.ndarray, "T H W 3"]:
    """The pixels with colours last, as picture libraries want them."""
    return np.ascontiguousarray(chunk.pixels.transpose(0, 2, 3, 1))


def mark(seconds: float) -> str:
    """The time of a frame as the prompt states it.

    >>> mark(12.34)
    '<12.3 seconds>'
    """
    return f"<{seconds:.1f} seconds>"


def _as_images(handed: Handed, chunk: Frames, *, beside: bool) -> None:
    if not beside:
        _say(handed, _listed(chunk))
    elif chunk.label:
        _say(handed, f"{chunk.label}:\n")
    for seconds, picture in zip(chunk.seconds, upright(chunk), strict=True):
        if beside:
            _say(handed, mark(seconds))
        handed.content.append({"type": "image"})
        handed.images.append(picture)


def _as_video(handed: Handed, chunk: Frames, mode: Mode, abilities: Abilities) -> None:
    if not abilities.states_times:
        _say(handed, _listed(chunk))
    elif chunk.label:
        _say(handed, f"{chunk.label}:\n")
    repeats = abilities.fused if mode == "video-doubled" else 1
    pixels, seconds = np.repeat(upright(chunk), repeats, axis=0), np.repeat(chunk.seconds, repeats)
    missing = -len(pixels) % abilities.fused
    if missing:  # A last patch that is not full is filled with its own frame; one processor refuses a single frame.
        pixels = np.concatenate([pixels, np.repeat(pixels[-1:], missing, axis=0)])
        seconds = np.concatenate([seconds, np.repeat(seconds[-1:], missing)])
    handed.content.append({"type": "video"})
    handed.videos.append(pixels)
    handed.clocks.append(clock(seconds, spacing_seconds=_spacing_seconds(chunk), span_frames=len(chunk)))


def clock(seconds: Float64[np.ndarray, " T"], *, spacing_seconds: float, span_frames: int) -> dict[str, JSON]:
    """What transformers' `VideoMetadata` takes, in milliseconds, so that `frames_indices / fps` is the true time."""
    total = max(1, round(spacing_seconds * span_frames * CLOCK_FPS))
    return {
        "total_num_frames": total,  # Only used as the length that the frames cover: it gives the mean spacing.
        "fps": CLOCK_FPS,
        "duration": float(seconds[-1]) + spacing_seconds,
        "frames_indices": np.rint(seconds * CLOCK_FPS).astype(np.int64),
    }


def _spacing_seconds(chunk: Frames) -> float:
    if len(chunk) < 2 or chunk.seconds[-1] == chunk.seconds[0]:
        return 1.0
    return float(chunk.seconds[-1] - chunk.seconds[0]) / (len(chunk) - 1)


def _listed(chunk: Frames) -> str:
    times = " ".join(mark(seconds) for seconds in chunk.seconds)
    count = "1 frame" if len(chunk) == 1 else f"{len(chunk)} frames"
    return f"{chunk.label or 'The video'}: {count}, at {times}.\n"


def _say(handed: Handed, text: str) -> None:
    handed.content.append({"type": "text", "text": text})
