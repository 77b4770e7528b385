"""Writes a clip as a real H.264 file. The same clip gives the same bytes with the same version of the encoder."""

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from videre.data.world.render import render
from videre.data.world.scene import Clip
from videre.data.world.story import Story
from videre.types import Frames
from videre.video.picture import ONE_THREAD

CHUNK_FRAMES = 32
"""Frames drawn at once: memory does not grow with the clip."""

OPTIONS = {"preset": "veryfast", "crf": "20", "g": "40", "threads": "1", "x264-params": "cpu-independent=1"}
"""One thread here and in the change of colours: with several, bits may be placed differently from run to run. And the
encoder's routines that are the same on every processor: with those for AVX-512 one writing in some hundred differs,
by what was in memory before."""


def write(clip: Clip | Story, path: str | os.PathLike) -> Path:
    """The path of the written file: H.264 in MP4, 4:2:0, constant frame rate, index at the front."""
    target = Path(path)
    config = clip.config
    tick = Fraction(1, config.fps)
    with av.open(str(target), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=config.fps, options=OPTIONS)
        stream.width = stream.height = config.size_px
        stream.pix_fmt = "yuv420p"
        for number, picture in enumerate(_pictures(clip)):
            frame = av.VideoFrame.from_ndarray(picture.copy(), format="rgb24").reformat(format="yuv420p", **ONE_THREAD)
            frame.pts, frame.time_base = number, tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target


def _pictures(clip: Clip | Story) -> Iterator[np.ndarray]:
    for chunk in clip.chunks(CHUNK_FRAMES) if isinstance(clip, Story) else _chunks(clip):
        yield from chunk.pixels.transpose(0, 2, 3, 1)


def _chunks(clip: Clip) -> Iterator[Frames]:
    times = clip.frame_seconds
    return (render(clip, times[i : i + CHUNK_FRAMES]) for i in range(0, len(times), CHUNK_FRAMES))
