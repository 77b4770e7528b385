"""Small videos whose every frame tells its number, in every container and shape that the reader promises.

The top quarter of a picture is twelve blocks, white for 1 and black for 0, most significant bit left: its number.
"""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

BITS = 12
CONTAINERS = {  # suffix: (muxer, codec)
    "mp4": ("mp4", "libx264"),
    "mov": ("mov", "libx264"),
    "m4v": ("mp4", "mpeg4"),
    "3gp": ("3gp", "libx264"),
    "mkv": ("matroska", "libx264"),
    "webm": ("webm", "libvpx-vp9"),
    "avi": ("avi", "mpeg4"),
    "ts": ("mpegts", "libx264"),
    "mpg": ("mpeg", "mpeg2video"),
    "m2v": ("mpeg2video", "mpeg2video"),
    "h264": ("h264", "libx264"),
    "hevc": ("hevc", "libx265"),
    "ivf": ("ivf", "libvpx-vp9"),
    "flv": ("flv", "flv1"),
    "wmv": ("asf", "msmpeg4v3"),
    "ogv": ("ogg", "libvpx"),
    "mxf": ("mxf", "mpeg2video"),
    "nut": ("nut", "mpeg4"),
    "y4m": ("yuv4mpegpipe", "wrapped_avframe"),
    "gif": ("gif", "gif"),
    "apng": ("apng", "apng"),
}
X264 = {"preset": "ultrafast", "crf": "18", "g": "12", "bf": "2"}


def numbered(number: int, width_px: int = 192, height_px: int = 128) -> np.ndarray:
    """An RGB picture `[H, W, 3]` that says its number and moves a little."""
    picture = np.full((height_px, width_px, 3), 90, np.uint8)
    for bit in range(BITS):
        left, right = bit * width_px // BITS, (bit + 1) * width_px // BITS
        picture[: height_px // 4, left:right] = 235 if number >> (BITS - 1 - bit) & 1 else 16
    y, x = height_px // 2, (number * 7) % (width_px - width_px // 6)
    picture[y : y + height_px // 4, x : x + width_px // 6] = (200, 40, 60)
    return picture


def number_in(picture: np.ndarray) -> int:
    """The number that a picture `[H, W, 3]` or `[3, H, W]` says."""
    grey = picture.mean(0 if picture.shape[0] == 3 else -1)
    height_px, width_px = grey.shape
    rows = slice(int(height_px * 0.075), max(int(height_px * 0.175), int(height_px * 0.075) + 1))
    number = 0
    for bit in range(BITS):
        left, right = bit * width_px / BITS, (bit + 1) * width_px / BITS
        third = (right - left) * 0.3
        number = number * 2 + int(grey[rows, int(left + third) : int(right - third)].mean() > 125)
    return number


def numbers_in(pixels: np.ndarray) -> list[int]:
    """The numbers that frames `[T, 3, H, W]` say."""
    return [number_in(picture) for picture in pixels]


def make_video(
    path: Path,
    frames: int = 40,
    *,
    codec: str = "libx264",
    muxer: str | None = None,
    size_px: tuple[int, int] = (192, 128),
    pixel_format: str = "yuv420p",
    times_ms: Sequence[int] | None = None,
    fps: int = 25,
    options: dict[str, str] | None = None,
    mux_options: dict[str, str] | None = None,
    numbers: Sequence[int] | None = None,
    pixel_aspect: Fraction | None = None,
    rotation_degrees: int = 0,
) -> Path:
    """Writes a video of numbered frames at `fps`, or at the given milliseconds."""
    with av.open(str(path), "w", format=muxer, options=mux_options or {}) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = *size_px, pixel_format
        stream.options = options if options is not None else dict(X264) if codec == "libx264" else _options(codec)
        clock = Fraction(1, 1000) if times_ms is not None else Fraction(1, fps)
        stream.codec_context.time_base = clock
        stream.codec_context.thread_count = 1  # the same bytes on every machine
        if pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        if rotation_degrees:
            stream.set_display_rotation(-rotation_degrees)
        for place in range(frames):
            picture = numbered(numbers[place] if numbers is not None else place, *size_px)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame = frame.reformat(format=pixel_format)
            frame.pts, frame.time_base = (times_ms[place] if times_ms is not None else place), clock
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def make_audio(path: Path, *, codec: str = "aac", seconds: float = 1.0, muxer: str | None = None) -> Path:
    """Writes silence."""
    with av.open(str(path), "w", format=muxer) as container:
        stream = container.add_stream(codec, rate=44100)
        for place in range(int(seconds * 44100 / 1152)):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 44100, place * 1152
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _options(codec: str) -> dict[str, str]:
    quick = {"libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "crf": "20", "b": "0"}}
    quick["libx265"] = {"preset": "ultrafast", "x265-params": "log-level=none:keyint=12"}
    if codec in ("mpeg4", "mpeg2video", "flv1", "msmpeg4v3"):
        return {"qscale": "3", "g": "12"}
    return quick.get(codec, {})
