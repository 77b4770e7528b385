"""One font at one size: which characters it has, how wide words are, and their pixels, each measured once.

Words of simple scripts are measured and drawn with the basic layout of Pillow, which is the same everywhere. Scripts
that must be shaped (Arabic, Hebrew, Indic, marks on letters) need Pillow's Raqm layout, and are refused in words where
it is missing; they are never shown wrong.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import as_file, files
from pathlib import Path

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


@dataclass(frozen=True, eq=False)
class Word:
    """What a word takes on the page, in pixels from its pen position at the top of the line.

    Attributes:
        advance: by how much the pen moves.
        left: x of its first column of ink; negative where ink stands before the pen.
        top: y of its first row of ink.
        ink: grey, 255 is full ink, cut to what is inked; None where nothing is.
        right: where the word ends: its advance, or its ink where that is further.
        bottom: y after its last row of ink.
    """

    advance: int
    left: int = 0
    top: int = 0
    ink: Image.Image | None = None
    right: int = 0
    bottom: int = 0


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
        self._size_px = size_px
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
        advance = math.ceil(font.getlength(visible, direction=direction))
        height = self.ascent_px + self.descent_px
        pad = self._size_px  # more than any letter reaches beyond its place; towers of accents are measured
        if shaped:
            x0, y0, x1, y1 = font.getbbox(visible, direction=direction)
            pad += math.ceil(max(-x0, -y0, x1 - advance, y1 - height, 0))
        canvas = Image.new("L", (advance + 2 * pad, height + 2 * pad))
        ImageDraw.Draw(canvas).text((pad, pad), visible, fill=255, font=font, direction=direction)
        box = canvas.getbbox()
        if box is None:
            return Word(advance, right=advance)
        left, top, right, bottom = (edge - pad for edge in box)
        return Word(advance, left, top, canvas.crop(box), max(advance, right), bottom)


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
