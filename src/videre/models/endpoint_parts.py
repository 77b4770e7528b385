"""Frames as the parts of a chat message: a time mark and a picture for each frame, or one video for each chunk.

The form is the one that OpenAI-compatible servers read: text, `image_url` and `video_url` parts with data URLs.
"""

import base64
import hashlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import av
import numpy as np
from jaxtyping import Float64, Int64, UInt8
from PIL import Image

from videre.types import JSON, Frames

Part = dict[str, JSON]
TICKS = 90_000
"""Ticks a second of the videos that are sent: no frame is off its true time by more than 6 microseconds."""


@dataclass(frozen=True)
class Handover:
    """How frames are handed to a server.

    Attributes:
        transport: "images" sends every frame as a picture after its time; "video" sends a chunk as one H.264 file.
        image: "jpeg", or "png" where every pixel has to arrive unchanged.
        jpeg_quality: 1 to 95, as Pillow counts; colour is never subsampled.
    """

    transport: Literal["images", "video"] = "images"
    image: Literal["jpeg", "png"] = "jpeg"
    jpeg_quality: int = 90

    def __post_init__(self) -> None:
        if self.transport not in ("images", "video"):
            raise ValueError(f"transport is 'images' or 'video', got {self.transport!r}")
        if self.image not in ("jpeg", "png"):
            raise ValueError(f"image is 'jpeg' or 'png', got {self.image!r}")
        if not 1 <= self.jpeg_quality <= 95:
            raise ValueError(f"jpeg_quality is 1 to 95, got {self.jpeg_quality}")

    def card(self) -> dict[str, JSON]:
        """What the run card says of it."""
        if self.transport == "video":
            return {"transport": "video", "encoding": "h264 crf 18 4:2:0, times as text before it"}
        quality = f"jpeg quality {self.jpeg_quality} 4:4:4" if self.image == "jpeg" else "png"
        return {"transport": "images", "encoding": f"{quality}, its time as text before each"}


@dataclass(frozen=True)
class Shown:
    """Frames that are encoded already, and how many they are."""

    parts: tuple[Part, ...] = ()
    frames: int = 0

    def __repr__(self) -> str:
        return f"Shown({self.frames} frames in {len(self.parts)} parts)"


def show(chunks: Iterable[Frames], how: Handover) -> Shown:
    """The parts of a message that show these chunks, in order; a chunk's label stands before it as text."""
    parts: list[Part] = []
    count = 0
    for chunk in chunks:
        if not len(chunk):
            continue
        count += len(chunk)
        parts += [text(f"{chunk.label}:")] if chunk.label else []
        parts += _video(chunk) if how.transport == "video" else _images(chunk, how)
    return Shown(tuple(parts), count)


def text(words: str) -> Part:
    """A part that is text."""
    return {"type": "text", "text": words}


def time_mark(seconds: float) -> str:
    """How a moment is written for a model.

    >>> time_mark(12.34)
    '<12.3 seconds>'
    """
    return f"<{seconds:.1f} seconds>"


def without_uuid(part: Part) -> Part:
    """The part without the name by which a server's cache knows it, for servers that refuse what OpenAI does not."""
    return {key: value for key, value in part.items() if key != "uuid"}


def _images(chunk: Frames, how: Handover) -> Iterator[Part]:
    for frame, seconds in zip(chunk.pixels, chunk.seconds, strict=True):
        yield text(time_mark(float(seconds)))
        yield _media("image", f"image/{how.image}", picture(frame, how))


def _video(chunk: Frames) -> list[Part]:
    # A server that samples a video counts index / fps, which is wrong for hand-picked frames: the words are not.
    marks = " ".join(time_mark(float(seconds)) for seconds in chunk.seconds)
    return [text(f"The frames of this video were taken at {marks}:"), _media("video", "video/mp4", mp4(chunk))]


def _media(kind: str, mime: str, data: bytes) -> Part:
    url = f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"
    # The name is made of the bytes alone, so that a server may reuse what it has made of them in any request.
    name = f"sha256:{hashlib.sha256(data).hexdigest()}"
    return {"type": f"{kind}_url", f"{kind}_url": {"url": url}, "uuid": name}


def picture(frame: UInt8[np.ndarray, "3 H W"], how: Handover) -> bytes:
    """One frame as the bytes of a JPEG or PNG file."""
    image, file = Image.fromarray(np.ascontiguousarray(frame.transpose(1, 2, 0))), io.BytesIO()
    if how.image == "png":
        image.save(file, "PNG", compress_level=1)
    else:
        image.save(file, "JPEG", quality=how.jpeg_quality, subsampling=0)
    return file.getvalue()


def mp4(chunk: Frames) -> bytes:
    """A chunk as an H.264 file whose timestamps are the true times, counted from the first of its frames.

    Pixels are lossy (crf 18, colour at half size) and an odd width or height is made even by repeating its last
    line. Evenly spaced frames give a constant rate, so that a reader who counts index / fps is right too.
    """
    file = io.BytesIO()
    pixels = np.pad(
        chunk.pixels, ((0, 0), (0, 0), (0, chunk.height_px % 2), (0, chunk.width_px % 2)), mode="edge"
    ).transpose(0, 2, 3, 1)
    ticks = _ticks(chunk.seconds)
    # The last frame lasts as long as the others do on average: then frames / duration is the rate.
    step = max(1, round(int(ticks[-1]) / (len(ticks) - 1))) if len(ticks) > 1 else TICKS
    lengths = [*np.diff(ticks).tolist(), step]
    with av.open(file, "w", format="mp4") as container:
        stream = _h264_stream(container, pixels.shape[2], pixels.shape[1], step)
        for image, tick in zip(pixels, ticks.tolist(), strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = tick, Fraction(1, TICKS)
            _mux(container, stream.encode(frame), lengths)
        _mux(container, stream.encode(None), lengths)
    return file.getvalue()


def _h264_stream(container: av.container.OutputContainer, width_px: int, height_px: int, step: int) -> av.VideoStream:
    # Packets leave in the order of the frames (no B-frames); the colour matrix is named, not left to a reader's guess.
    options = {"crf": "18", "preset": "veryfast", "x264-params": "bframes=0:colormatrix=smpte170m"}
    stream = container.add_stream("libx264", rate=Fraction(TICKS, step), options=options)
    stream.width, stream.height, stream.pix_fmt = width_px, height_px, "yuv420p"
    stream.codec_context.time_base = stream.time_base = Fraction(1, TICKS)
    return stream


def _mux(container: av.container.OutputContainer, packets: list[av.Packet], lengths: list[int]) -> None:
    for packet in packets:
        packet.duration = lengths.pop(0)
        container.mux(packet)


def _ticks(seconds: Float64[np.ndarray, " T"]) -> Int64[np.ndarray, " T"]:
    """Times in ticks from the first one, each later than the one before."""
    ticks = np.rint((seconds - seconds[0]) * TICKS).astype(np.int64)
    order = np.arange(len(ticks))
    return np.maximum.accumulate(ticks - order) + order
