"""The pages of the official code, its faults included, for comparison with published data.

Source: official `split_text.py` and `render_text.py` (xjtupanda/T2Vid @e4d5ea2).
Differs: NLTK's sentence model must be fetched by its own user; without it sentences end where an untrained Punkt model
ends them, which is the same for texts without abbreviations. Layout is the basic one, which is the same everywhere,
unless Raqm is asked for.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from videre.errors import ConfigError
from videre.methods.t2vid.cut import PAPER_TOKENS

CANVAS_PX, MARGIN_PX = 448, 20
Font = ImageFont.FreeTypeFont


@dataclass(frozen=True)
class OfficialLine:
    """A line as the official code places it; it may lie outside the canvas."""

    text: str
    y_px: float
    right_px: int
    height_px: int


@dataclass(frozen=True)
class OfficialPage:
    """The lines of one picture."""

    lines: tuple[OfficialLine, ...]

    @property
    def top_px(self) -> float:
        """Where the block begins; negative where it is higher than the canvas."""
        return (CANVAS_PX - self.height_px) / 2

    @property
    def height_px(self) -> int:
        """Of the block."""
        return sum(line.height_px for line in self.lines)

    @property
    def leaves_canvas(self) -> bool:
        """Whether something is cut off, at the right, or at the top and bottom."""
        return self.height_px > CANVAS_PX or any(line.right_px > CANVAS_PX for line in self.lines)


def font(path: str | None = None, *, layout: Literal["basic", "raqm"] = "basic") -> Font:
    """A font at the official 20 px (the official one is Arial; DejaVu Sans is shipped)."""
    from importlib.resources import as_file, files

    engine = ImageFont.Layout.BASIC if layout == "basic" else ImageFont.Layout.RAQM
    with as_file(files("videre.methods.t2vid") / "font" / "DejaVuSans.ttf") as shipped:
        return ImageFont.truetype(path or shipped, 20, layout_engine=engine)


def chunks(text: str, *, limit: int = PAPER_TOKENS) -> list[str]:
    """NLTK tokens, joined by single spaces, so many a picture."""
    words = tokens(text)
    return [" ".join(words[at : at + limit]) for at in range(0, len(words), limit)]


def tokens(text: str) -> list[str]:
    """What NLTK's `word_tokenize` gives.

    Raises:
        ConfigError: NLTK is not installed.
    """
    splitter, tokenizer = _nltk()
    return [token for sentence in splitter.tokenize(text) for token in tokenizer.tokenize(sentence)]


@lru_cache(maxsize=1)
def _nltk() -> tuple[Any, Any]:
    try:
        from nltk.tokenize import NLTKWordTokenizer, PunktSentenceTokenizer
        from nltk.tokenize.punkt import PunktTokenizer
    except ImportError as error:
        raise ConfigError("the official pages are cut by NLTK: pip install nltk") from error
    try:
        return PunktTokenizer("english"), NLTKWordTokenizer()
    except LookupError:
        return PunktSentenceTokenizer(), NLTKWordTokenizer()


def lay_out(chunk: str, font: Font) -> OfficialPage:
    """The lines of one chunk: greedy, each word measured with the space after it, leading as high as the line's ink."""
    lines, line, width = list[str](), "", 0.0
    for word in chunk.split():
        step = font.getbbox(word + " ")[2]
        if width + step <= CANVAS_PX - 2 * MARGIN_PX:
            line, width = line + word + " ", width + step
        else:
            lines.append(line.strip())
            line, width = word + " ", step
    lines.append(line.strip())
    boxes = [font.getbbox(text) for text in lines]
    y, made = (CANVAS_PX - sum(int(box[3]) for box in boxes)) / 2, list[OfficialLine]()
    for text, box in zip(lines, boxes, strict=True):
        made.append(OfficialLine(text, y, MARGIN_PX + int(box[2]), int(box[3])))
        y += int(box[3])
    return OfficialPage(tuple(made))


def draw(page: OfficialPage, font: Font) -> Image.Image:
    """The picture, RGB; what lies outside the canvas is lost."""
    picture = Image.new("RGB", (CANVAS_PX, CANVAS_PX), "white")
    pen = ImageDraw.Draw(picture)
    for line in page.lines:
        pen.text((MARGIN_PX, line.y_px), line.text, fill="black", font=font)
    return picture


def ink_box(picture: Image.Image) -> tuple[int, int, int, int] | None:
    """The corners of everything that is not paper; None for a blank picture."""
    dark: UInt8[np.ndarray, "H W"] = np.asarray(picture.convert("L"))
    rows, columns = np.flatnonzero((dark < 255).any(1)), np.flatnonzero((dark < 255).any(0))
    return (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1) if len(rows) else None
