"""Writes a clip as a real H.264 file. The same clip gives the same bytes with the same version of the encoder."""

import os
from fractions import Fraction
from pathlib import Path

import av

from videre.data.world.render import render
from videre.data.world.scene import Clip

CHUNK_FRAMES = 32
"""Frames drawn at once: memory does not grow with the clip."""

OPTIONS = {"preset": "veryfast", "crf": "20", "g": "40", "threads": "1"}
"""One thread: with several, x264 may place bits differently from run to run."""


def write(clip: Clip, path: str | os.PathLike) -> Path:
    """The path of the written file: H.264 in MP4, 4:2:0, constant frame rate, index at the front."""
    target = Path(path)
    times, tick = clip.frame_seconds, Fraction(1, clip.config.fps)
    with av.open(str(target), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=clip.config.fps, options=OPTIONS)
        stream.width = stream.height = clip.config.size_px
        stream.pix_fmt = "yuv420p"
        for start in range(0, len(times), CHUNK_FRAMES):
            pixels = render(clip, times[start : start + CHUNK_FRAMES]).pixels
            for offset, picture in enumerate(pixels.transpose(0, 2, 3, 1)):
                frame = av.VideoFrame.from_ndarray(picture.copy(), format="rgb24")
                frame.pts, frame.time_base = start + offset, tick
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target
