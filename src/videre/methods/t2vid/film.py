"""Pages as an H.264 file: one page a second by default, the same bytes for the same pages and encoder."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from videre.methods.t2vid.layout import Page
from videre.methods.t2vid.render import pixels
from videre.video.picture import ONE_THREAD

OPTIONS = {"preset": "veryfast", "crf": "18", "tune": "stillimage", "threads": "1"}
"""One thread, here and in the change of colours: with several, bits may be placed differently from run to run."""


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
            colours = np.repeat(pixels(page)[:, :, None], 3, axis=2)
            frame = av.VideoFrame.from_ndarray(colours, format="rgb24").reformat(format="yuv420p", **ONE_THREAD)
            frame.pts, frame.time_base = number, 1 / fps
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    partial.replace(path)
