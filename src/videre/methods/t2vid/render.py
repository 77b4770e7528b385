"""Pages as pictures: the same text and style give the same pixels, and the same bytes.

>>> pictures = render("A long text about the sea. " * 40)
>>> len(pictures), pictures[0].size
(3, (448, 448))
"""

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from videre.methods.t2vid.cut import PAPER_TOKENS, By, cut
from videre.methods.t2vid.face import Face
from videre.methods.t2vid.layout import Page, Style, pages

COMPRESSION = 3
"""Of zlib: 6 takes twice the time for a sixth of the bytes."""


def render(
    text: str, style: Style | None = None, *, by: By | None = "tokens", limit: int = PAPER_TOKENS
) -> list[Image.Image]:
    """Grey pictures of a whole text, in order.

    Args:
        text: anything; a blank one gives no picture.
        style: how pages look.
        by: how the text is cut (`cut`); None puts on each page as much as fits.
        limit: most tokens, words or lines of a page.
    """
    return [Image.fromarray(pixels(page)) for page in laid_out(text, style, by=by, limit=limit)]


def laid_out(
    text: str,
    style: Style | None = None,
    *,
    by: By | None = "tokens",
    limit: int = PAPER_TOKENS,
    face: Face | None = None,
) -> Iterator[Page]:
    """The pages of a whole text; arguments as in `render`. A `face` that is given again remembers its words."""
    style = style or Style()
    face = face or Face(style.font, style.size_px)
    if by is None:
        yield from pages(text, face, style)
        return
    for piece in cut(text, by=by, limit=limit):
        yield from pages(piece.of(text), face, style, start=piece.start)


def pixels(page: Page) -> UInt8[np.ndarray, "H W"]:
    """The page in grey: 255 is paper, 0 is ink."""
    paper = Image.new("L", (page.width_px, page.height_px), 255)
    for fragment in page.fragments:
        word, (x, y) = fragment.word, fragment.pen_px
        if word.ink is not None:
            paper.paste(0, (x + word.left, y + word.top), word.ink)
    return np.asarray(paper)


def png(page: Page) -> bytes:
    """The page as a grey PNG of some 14 kB.

    Written here, as Pillow tries five filters a row: on black letters over white that costs time and gains nothing.
    """
    rows = np.zeros((page.height_px, page.width_px + 1), np.uint8)  # a row begins with its filter: none
    rows[:, 1:] = pixels(page)
    head = struct.pack(">IIBBBBB", page.width_px, page.height_px, 8, 0, 0, 0, 0)
    data = zlib.compress(rows.tobytes(), COMPRESSION)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
