"""Text in lines, lines on pages: where each fragment stands, so that a page can be checked without reading pixels.

Source: section 3.2 of arXiv 2411.19951: 448 x 448 white, black letters of 20 px, 20 px of margin.
Differs: margins hold on all four sides and leading is constant; what does not fit flows to the next page (the official
code draws it outside the canvas); words wider than a line break between graphemes; a character that the font lacks is
named; paragraphs stay.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from videre.errors import ConfigError, DataError
from videre.methods.t2vid.face import Face, Word
from videre.methods.t2vid.wrap import SMALLEST_PX, Line, Style, Unit, lines, whole, width_of

__all__ = ["Fragment", "Page", "Style", "pages"]


@dataclass(frozen=True)
class Fragment:
    """A word, or a line that runs from right to left, where it stands on the page.

    Attributes:
        text: the characters of the source.
        start: of the text in the source.
        x_px: left edge of its box; the box holds all its ink.
        y_px: top edge of its box.
        width_px: of its box.
        height_px: of its box: the height of the line.
        pen_px: where drawing starts: x, and y of the top of the line.
        word: its pixels.
    """

    text: str
    start: int
    x_px: int
    y_px: int
    width_px: int
    height_px: int
    pen_px: tuple[int, int]
    word: Word


@dataclass(frozen=True)
class Page:
    """One picture to be: its fragments in reading order, and the characters that were replaced or left out."""

    fragments: tuple[Fragment, ...]
    width_px: int
    height_px: int
    missing: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What stands on the page, words separated by single spaces."""
        return " ".join(fragment.text for fragment in self.fragments)


def pages(text: str, face: Face, style: Style, *, start: int = 0) -> list[Page]:
    """The pages of one piece of text, one where it fits; none for a blank one.

    Args:
        text: the piece.
        face: the font at the size of the style.
        style: how it looks.
        start: of the piece in its source.

    Raises:
        DataError: characters that the font lacks, text that does not fit, a script that this Pillow cannot shape.
        ConfigError: a single character is larger than the page.
    """
    shown, missing = _checked(text, face, style)
    laid = list(lines(text, shown, face, style, start=start))
    made = [_page(group, face, style, missing) for group in _grouped(laid, face, style)]
    if len(made) < 2 or style.overflow == "flow":
        return made
    if style.overflow == "error" or style.size_px <= SMALLEST_PX:
        raise DataError(
            f"a piece of {len(text)} characters from {text[:30]!r} needs {len(made)} pages at {style.size_px} px: "
            'cut shorter pieces, or let them flow (overflow="flow")',
            code="overflow",
        )
    smaller = replace(style, size_px=style.size_px - 1)
    return pages(text, _smaller(smaller.font, smaller.size_px), smaller, start=start)


@lru_cache(maxsize=16)
def _smaller(font: str | None, size_px: int) -> Face:
    return Face(font, size_px)


def _checked(text: str, face: Face, style: Style) -> tuple[dict[str, str], tuple[str, ...]]:
    """What to show in place of each character that the font lacks."""
    lost = sorted({c for c in set(text) if not (c.isspace() or face.has(c))})
    if lost and style.missing == "error":
        named = " ".join(f"{c if c.isprintable() else ''}(U+{ord(c):04X})" for c in lost[:12])
        raise DataError(
            f"{face.path} has no {named}{' ...' if len(lost) > 12 else ''}: name a font that has them, "
            'or pass missing="replace" or "skip"',
            code="missing_glyph",
        )
    stand_in = "" if style.missing == "skip" else "\ufffd" if face.has("\ufffd") else "?"
    return dict.fromkeys(lost, stand_in), tuple(lost)


def _grouped(lines: Sequence[Line], face: Face, style: Style) -> Iterator[list[tuple[Line, int, int]]]:
    """Lines of one page each, with the ascent above and the height that each takes."""
    room, used = style.height_px - 2 * style.margin_px, 0
    group: list[tuple[Line, int, int]] = []
    for line in lines:
        above, height = _height(line, face)
        if height > room:
            raise ConfigError(f"a line of {height} px is higher than the {room} px of a page: take smaller letters")
        if used + height > room:
            yield from [group] if any(units for (units, _), _, _ in group) else []
            group, used = [], 0
        group.append((line, above, height))
        used += height
    if any(units for (units, _), _, _ in group):
        yield group


def _height(line: Line, face: Face) -> tuple[int, int]:
    """How far ink stands above the line, and the height of the line: constant but for towers of accents."""
    words = [unit.word for unit in line[0]]
    if line[1] is not None and words:
        words.append(whole(line[0], face, line[1]))
    above = max([0, *(-word.top for word in words)])
    below = max([face.ascent_px + face.descent_px, *(word.bottom for word in words if word.ink)])
    return above, above + below


def _page(group: Sequence[tuple[Line, int, int]], face: Face, style: Style, missing: Sequence[str]) -> Page:
    y = (style.height_px - sum(height for _, _, height in group)) // 2
    fragments: list[Fragment] = []
    for (units, leftward), above, height in group:
        if units:
            fragments += _placed(units, leftward, face, style, y=y, above=above, height=height)
        y += height
    lost = tuple(c for c in missing if any(c in fragment.text for fragment in fragments))
    return Page(tuple(fragments), style.width_px, style.height_px, lost)


def _placed(
    units: Sequence[Unit], leftward: bool | None, face: Face, style: Style, *, y: int, above: int, height: int
) -> Iterator[Fragment]:
    if leftward is not None:
        word = whole(units, face, leftward)
        width, left = width_of(word), style.margin_px
        x = style.width_px - style.margin_px - width if leftward else left
        text = "".join((unit.before if i else "") + unit.text for i, unit in enumerate(units))
        yield Fragment(text, units[0].start, x, y, width, height, (x - min(0, word.left), y + above), word)
        return
    pen = style.margin_px - min(0, units[0].word.left)
    for unit in units:
        pen += unit.gap * face.space_px
        x = pen + min(0, unit.word.left)
        yield Fragment(unit.text, unit.start, x, y, width_of(unit.word), height, (pen, y + above), unit.word)
        pen += unit.word.advance
