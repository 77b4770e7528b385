"""One font at one size: which characters it has, how wide words are, and their pixels, each measured once.

Words of simple scripts are measured and drawn with the basic layout of Pillow, which is the same everywhere. Scripts
that must be shaped (Arabic, Hebrew, Indic, marks on letters) need Pillow's Raqm layout, and are refused in words where
it is missing; they are never shown wrong.
"""

from dataclasses import dataclass
from functools import cached_property
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import regex
from fontTools.ttLib import TTFont, TTLibError
from PIL import Image, ImageDraw, ImageFont, features

from videre.errors import ConfigError, DataError

SHIPPED = "DejaVuSans.ttf"
_KEPT = 20_000
"""Words remembered; with some hundred bytes of pixels each this is a few megabytes."""

_SHAPED = regex.compile(
    r"[\p{M}\p{Arabic}\p{Hebrew}\p{Syriac}\p{Thaana}\p{Nko}\p{Devanagari}\p{Bengali}\p{Gurmukhi}\p{Gujarati}\p{Oriya}"
    r"\p{Tamil}\p{Telugu}\p{Kannada}\p{Malayalam}\p{Sinhala}\p{Thai}\p{Lao}\p{Tibetan}\p{Myanmar}\p{Khmer}\p{Mongolian}]"
)
_RIGHT_TO_LEFT = regex.compile(r"[\p{Bidi_Class=R}\p{Bidi_Class=AL}]")
_STRONG = regex.compile(r"[\p{Bidi_Class=L}\p{Bidi_Class=R}\p{Bidi_Class=AL}]")
_INVISIBLE = regex.compile(r"\p{Default_Ignorable_Code_Point}")


@dataclass(frozen=True)
class Word:
    """What a word takes on the page, in pixels from its pen position at the top of the line.

    Attributes:
        advance: by how much the pen moves.
        left: x of its first column of pixels; negative where ink stands before the pen.
        top: y of its first row of pixels.
        pixels: uint8 `[h, w]`, 255 is full ink.
    """

    advance: int
    left: int
    top: int
    pixels: np.ndarray

    @property
    def right(self) -> int:
        """Where the word ends: its advance, or its ink where that is further."""
        return max(self.advance, self.left + self.pixels.shape[1])

    @property
    def bottom(self) -> int:
        """y after its last row of pixels."""
        return self.top + self.pixels.shape[0]


class Face:
    """A font file at a size.

    Args:
        path: a TrueType or OpenType file; None is DejaVu Sans, which is part of the package.
        size_px: pixels of the em square.

    Raises:
        ConfigError: the file is no font.
    """

    def __init__(self, path: str | Path | None, size_px: int) -> None:
        self.path = str(path) if path else SHIPPED
        self._words: dict[tuple[str, bool | None], Word] = {}
        try:
            with as_file(files("videre.methods.t2vid") / "font" / SHIPPED) as shipped:
                self._basic = ImageFont.truetype(path or shipped, size_px, layout_engine=ImageFont.Layout.BASIC)
                self._shaping = ImageFont.truetype(path or shipped, size_px, layout_engine=ImageFont.Layout.RAQM)
                with TTFont(path or shipped, lazy=True, fontNumber=0) as tables:
                    self.characters = frozenset(tables.getBestCmap() or ())
        except (OSError, TTLibError) as error:
            raise ConfigError(f"{path}: not a font that can be read ({error}); name a .ttf or .otf file") from error
        self.ascent_px, self.descent_px = self._basic.getmetrics()

    @cached_property
    def space_px(self) -> int:
        """Width of a space."""
        return round(self._basic.getlength(" "))

    def has(self, character: str) -> bool:
        """Whether the font draws this character, or nothing needs to be drawn for it."""
        return ord(character) in self.characters or _INVISIBLE.match(character) is not None

    def word(self, text: str, *, right_to_left: bool | None = None) -> Word:
        """The word, shaped where its script needs that.

        Args:
            text: what to draw, in the order of reading; every character is one that the font has.
            right_to_left: the direction of a whole line of mixed scripts; None for a word.

        Raises:
            DataError: it needs shaping, and this Pillow has none.
        """
        key = (text, right_to_left)
        found = self._words.get(key)
        if found is None:
            if len(self._words) >= _KEPT:
                self._words.clear()
            found = self._words[key] = self._drawn(text, right_to_left)
        return found

    def _drawn(self, text: str, right_to_left: bool | None) -> Word:
        shaped = right_to_left is not None or needs_shaping(text)
        if shaped:
            check_shaping(text)
        font = self._shaping if shaped else self._basic
        direction = None if right_to_left is None else "rtl" if right_to_left else "ltr"
        visible = text if shaped else _INVISIBLE.sub("", text)
        left, top, right, bottom = (round(edge) for edge in font.getbbox(visible, direction=direction))
        picture = Image.new("L", (max(0, right - left), max(0, bottom - top)))
        if picture.width and picture.height:
            ImageDraw.Draw(picture).text((-left, -top), visible, fill=255, font=font, direction=direction)
        advance = -(-font.getlength(visible, direction=direction) // 1)
        return _trimmed(int(advance), left, top, np.asarray(picture))


def needs_shaping(text: str) -> bool:
    """Whether letters of the text change or move with their neighbours, or run from right to left."""
    return not text.isascii() and (_SHAPED.search(text) is not None or _RIGHT_TO_LEFT.search(text) is not None)


def runs_left(text: str) -> bool | None:
    """Whether a paragraph runs from right to left; None where nothing in it does."""
    if text.isascii() or not _RIGHT_TO_LEFT.search(text):
        return None
    first = _STRONG.search(text)
    return first is not None and _RIGHT_TO_LEFT.match(first[0]) is not None


def check_shaping(text: str) -> None:
    """Returns where Pillow can shape text.

    Raises:
        DataError: it cannot; the message shows the text and the next step.
    """
    if not (features.check("raqm") and features.check("fribidi")):
        raise DataError(
            f"{text[:20]!r} is in a script whose letters must be shaped, and this Pillow has no Raqm layout: "
            "install libraqm and fribidi (apt-get install libraqm0 libfribidi0)",
            code="no_shaping",
        )


def _trimmed(advance: int, left: int, top: int, pixels: np.ndarray) -> Word:
    """The word without empty rows and columns around its ink."""
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    if not len(rows):
        return Word(advance, 0, 0, np.zeros((0, 0), np.uint8))
    y0, y1, x0, x1 = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    return Word(advance, left + int(x0), top + int(y0), pixels[y0:y1, x0:x1].copy())
