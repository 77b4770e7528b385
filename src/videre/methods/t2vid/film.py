"""Pages as an H.264 file: one page a second by default, the same bytes for the same pages and encoder."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from jaxtyping import UInt8

from videre.methods.t2vid.layout import Page
from videre.methods.t2vid.render import pixels

OPTIONS = {"preset": "veryfast", "qp": "18", "tune": "stillimage", "threads": "1"}
"""One thread and no rate control: several threads, or floats in decisions, may place bits otherwise from run to run."""


def write_film(pages: Sequence[Page], path: Path, *, fps: Fraction = Fraction(1)) -> None:
    """Writes H.264 in MP4, 4:2:0, constant frame rate; a file of this name is replaced only when the new one is whole.

    Args:
        pages: one or more of one size, of even width and height.
        path: where to.
        fps: pages a second.
    """
    if any(side % 2 for page in pages for side in (page.width_px, page.height_px)):
        raise ValueError(f"H.264 takes even sizes, got {pages[0].width_px} x {pages[0].height_px} px")
    partial = path.with_name(f".{path.name}.partial")
    with av.open(str(partial), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=fps, options=OPTIONS)
        stream.width, stream.height, stream.pix_fmt = pages[0].width_px, pages[0].height_px, "yuv420p"
        for number, page in enumerate(pages):
            frame = av.VideoFrame.from_ndarray(_grey(pixels(page)), format="yuv420p")
            frame.pts, frame.time_base = number, 1 / fps
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    partial.replace(path)


def _grey(picture: UInt8[np.ndarray, "H W"]) -> UInt8[np.ndarray, "h W"]:
    """The planes of 4:2:0 under one another: luma from 16 to 235, flat chroma; no scaler has a say in the bytes."""
    height, width = picture.shape
    luma = (16 + (picture.astype(np.uint16) * 219 + 127) // 255).astype(np.uint8)
    return np.concatenate([luma, np.full((height // 2, width), 128, np.uint8)])
