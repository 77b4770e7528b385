"""Text in lines, lines on pages: where each fragment stands, so that a page can be checked without reading pixels.

Source: section 3.2 of arXiv 2411.19951: 448 x 448 white, black letters of 20 px, 20 px of margin.
Differs: margins hold on all four sides and leading is constant; what does not fit flows to the next page (the official
code draws it outside the canvas); words wider than a line break between graphemes; a character that the font lacks is
named; paragraphs stay.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import regex

from videre.errors import ConfigError, DataError
from videre.methods.t2vid.cut import SPACELESS, graphemes
from videre.methods.t2vid.face import Face, Word, runs_left

_UNIT = regex.compile(
    rf"\s+|[\p{{Ps}}\p{{Pi}}]*[{SPACELESS}]\p{{M}}*[\p{{Pe}}\p{{Pf}}。，、．：；！？,.:;!?]*|(?:(?![{SPACELESS}])\S)+"
)
_ASCII_UNIT = re.compile(r"\s+|\S+")  # the same where no letter is beyond ASCII, five times as fast
_PARAGRAPH_END = regex.compile(r"\n[^\S\n]*\n")
TAB = 4
SMALLEST_PX = 6


@dataclass(frozen=True)
class Style:
    """How pages look.

    Attributes:
        font: a TrueType or OpenType file; None is DejaVu Sans, which is part of the package.
        size_px: of the letters.
        width_px: of the page.
        height_px: of the page.
        margin_px: on all four sides.
        newlines: "join" lets text flow over single line breaks and keeps paragraphs; "keep" keeps every line break
            and every space (code, tables, verse).
        overflow: what becomes of text that does not fit its page: "flow" (the next page), "shrink" (smaller letters),
            "error".
        missing: what becomes of a character that the font lacks: "error", "replace" (by U+FFFD), "skip".
    """

    font: str | None = None
    size_px: int = 20
    width_px: int = 448
    height_px: int = 448
    margin_px: int = 20
    newlines: Literal["join", "keep"] = "join"
    overflow: Literal["flow", "shrink", "error"] = "flow"
    missing: Literal["error", "replace", "skip"] = "error"

    def __post_init__(self) -> None:
        if min(self.width_px, self.height_px) - 2 * self.margin_px < self.size_px or self.size_px < SMALLEST_PX:
            raise ValueError(f"a page has room for a letter of {SMALLEST_PX} px or more inside its margins, got {self}")


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


@dataclass(frozen=True)
class _Unit:
    """A word. `before` is the space before it in the source, `gap` the number of spaces that are drawn of it."""

    text: str
    start: int
    before: str
    gap: int
    word: Word
    shown: str


_Line = tuple[list[_Unit], bool | None]
"""Units, and whether the line runs from right to left (None: no part of it does)."""


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
    lines = list(_lines(text, shown, face, style, start=start))
    made = [_page(group, face, style, missing) for group in _grouped(lines, face, style)]
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


def _lines(text: str, shown: dict[str, str], face: Face, style: Style, *, start: int) -> Iterator[_Line]:
    width = style.width_px - 2 * style.margin_px
    for at, paragraph in _paragraphs(text, style):
        if not paragraph:
            yield [], None
            continue
        leftward = runs_left(paragraph)
        units = list(_units(paragraph, shown, face, width, start=start + at, keep=style.newlines == "keep"))
        yield from ((line, leftward) for line in _wrapped(units, face, width, leftward))


def _paragraphs(text: str, style: Style) -> Iterator[tuple[int, str]]:
    """What starts on a line of its own, with its place; an empty text stands for an empty line in kept text."""
    if style.newlines == "join":
        ends = [(match.start(), match.end()) for match in _PARAGRAPH_END.finditer(text)]
        starts = [0, *(end for _, end in ends)]
        for at, stop in zip(starts, [*(first for first, _ in ends), len(text)], strict=True):
            if text[at:stop].strip():
                yield at, text[at:stop]
        return
    at, last = 0, len(text.rstrip())
    for line in text[:last].split("\n"):
        yield at, line if line.strip() else ""
        at += len(line) + 1


def _units(paragraph: str, shown: dict[str, str], face: Face, width: int, *, start: int, keep: bool) -> Iterator[_Unit]:
    space = ""
    for match in (_ASCII_UNIT if paragraph.isascii() else _UNIT).finditer(paragraph):
        text = match[0]
        if text.isspace():
            space += text
            continue
        at, gap = start + match.start(), len(space.replace("\t", " " * TAB)) if keep else min(1, len(space))
        for part in _broken(text, shown, face, width):
            told = _shown(part, shown)
            yield _Unit(part, at, space, gap, face.word(told), told)
            at, space, gap = at + len(part), "", 0


def _shown(text: str, shown: dict[str, str]) -> str:
    return "".join(shown.get(c, c) for c in text) if shown else text


def _broken(text: str, shown: dict[str, str], face: Face, width: int) -> list[str]:
    """The word in parts none of which is wider than a line, cut between graphemes."""
    if _width(face.word(_shown(text, shown))) <= width:
        return [text]
    parts, letters = [], graphemes(text)
    while letters:
        low, high = 1, 8
        while high < len(letters) and _width(face.word(_shown("".join(letters[:high]), shown))) <= width:
            low, high = high, 2 * high
        high = min(high, len(letters))
        while low < high:
            middle = (low + high + 1) // 2
            fits = _width(face.word(_shown("".join(letters[:middle]), shown))) <= width
            low, high = (middle, high) if fits else (low, middle - 1)
        part = "".join(letters[:low])
        if low == 1 and _width(face.word(_shown(part, shown))) > width:
            raise ConfigError(f"{part[:20]!r} alone is wider than the {width} px of a line: take smaller letters")
        parts.append(part)
        letters = letters[low:]
    return parts


def _width(word: Word) -> int:
    return word.right - min(0, word.left)


def _wrapped(units: Sequence[_Unit], face: Face, width: int, leftward: bool | None) -> Iterator[list[_Unit]]:
    line: list[_Unit] = []
    pen = 0
    for unit in units:
        gap = unit.gap * face.space_px
        if line and pen + gap + unit.word.right > width:
            yield from _kept_inside(line, face, width, leftward)
            line, gap = [], 0
        if not line:
            pen = -min(0, unit.word.left)
            gap = min(gap, width - unit.word.right - pen)
        pen += gap + unit.word.advance
        line.append(replace(unit, gap=gap // face.space_px) if not line else unit)
    if line:
        yield from _kept_inside(line, face, width, leftward)


def _kept_inside(line: list[_Unit], face: Face, width: int, leftward: bool | None) -> Iterator[list[_Unit]]:
    """The line; cut in two where it is wider as a whole than the sum of its words."""
    if leftward is None or len(line) == 1 or _width(_whole(line, face, leftward)) <= width:
        yield line
        return
    middle = len(line) // 2
    yield from _kept_inside(line[:middle], face, width, leftward)
    yield from _kept_inside(line[middle:], face, width, leftward)


def _whole(line: Sequence[_Unit], face: Face, leftward: bool) -> Word:
    shown = "".join((" " * unit.gap if i else "") + unit.shown for i, unit in enumerate(line))
    return face.word(shown, right_to_left=leftward)


def _grouped(lines: Sequence[_Line], face: Face, style: Style) -> Iterator[list[tuple[_Line, int, int]]]:
    """Lines of one page each, with the ascent above and the height that each takes."""
    room, used = style.height_px - 2 * style.margin_px, 0
    group: list[tuple[_Line, int, int]] = []
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


def _height(line: _Line, face: Face) -> tuple[int, int]:
    """How far ink stands above the line, and the height of the line: constant but for towers of accents."""
    words = [unit.word for unit in line[0]]
    if line[1] is not None and words:
        words.append(_whole(line[0], face, line[1]))
    above = max([0, *(-word.top for word in words)])
    below = max([face.ascent_px + face.descent_px, *(word.bottom for word in words if word.ink)])
    return above, above + below


def _page(group: Sequence[tuple[_Line, int, int]], face: Face, style: Style, missing: Sequence[str]) -> Page:
    y = (style.height_px - sum(height for _, _, height in group)) // 2
    fragments: list[Fragment] = []
    for (units, leftward), above, height in group:
        if units:
            fragments += _placed(units, leftward, face, style, y=y, above=above, height=height)
        y += height
    lost = tuple(c for c in missing if any(c in fragment.text for fragment in fragments))
    return Page(tuple(fragments), style.width_px, style.height_px, lost)


def _placed(
    units: Sequence[_Unit], leftward: bool | None, face: Face, style: Style, *, y: int, above: int, height: int
) -> Iterator[Fragment]:
    if leftward is not None:
        word = _whole(units, face, leftward)
        width, left = _width(word), style.margin_px
        x = style.width_px - style.margin_px - width if leftward else left
        text = "".join((unit.before if i else "") + unit.text for i, unit in enumerate(units))
        yield Fragment(text, units[0].start, x, y, width, height, (x - min(0, word.left), y + above), word)
        return
    pen = style.margin_px - min(0, units[0].word.left)
    for unit in units:
        pen += unit.gap * face.space_px
        x = pen + min(0, unit.word.left)
        yield Fragment(unit.text, unit.start, x, y, _width(unit.word), height, (pen, y + above), unit.word)
        pen += unit.word.advance
