"""A piece of text in lines: words with their pixels, broken where a reader would break them.

Source: section 3.2 of arXiv 2411.19951.
Differs: words wider than a line break between graphemes; scripts without spaces break between characters, closing signs
stay with what they close; a line that runs from right to left is measured whole; paragraphs stay.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import regex

from videre.errors import ConfigError
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
class Unit:
    """A word. `before` is the space before it in the source, `gap` the number of spaces that are drawn of it."""

    text: str
    start: int
    before: str
    gap: int
    word: Word
    shown: str


Line = tuple[list[Unit], bool | None]
"""Units, and whether the line runs from right to left (None: no part of it does)."""


def lines(text: str, shown: dict[str, str], face: Face, style: Style, *, start: int) -> Iterator[Line]:
    """The lines of a text; `shown` says what stands in place of a character.

    Raises:
        ConfigError: a single character is wider than a line.
    """
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


def _units(paragraph: str, shown: dict[str, str], face: Face, width: int, *, start: int, keep: bool) -> Iterator[Unit]:
    space = ""
    for match in (_ASCII_UNIT if paragraph.isascii() else _UNIT).finditer(paragraph):
        text = match[0]
        if text.isspace():
            space += text
            continue
        at, gap = start + match.start(), len(space.replace("\t", " " * TAB)) if keep else min(1, len(space))
        for part in _broken(text, shown, face, width):
            told = _shown(part, shown)
            yield Unit(part, at, space, gap, face.word(told), told)
            at, space, gap = at + len(part), "", 0


def _shown(text: str, shown: dict[str, str]) -> str:
    return "".join(shown.get(c, c) for c in text) if shown else text


def _broken(text: str, shown: dict[str, str], face: Face, width: int) -> list[str]:
    """The word in parts none of which is wider than a line, cut between graphemes."""
    if width_of(face.word(_shown(text, shown))) <= width:
        return [text]
    parts, letters = [], graphemes(text)
    while letters:
        low, high = 1, 8
        while high < len(letters) and width_of(face.word(_shown("".join(letters[:high]), shown))) <= width:
            low, high = high, 2 * high
        high = min(high, len(letters))
        while low < high:
            middle = (low + high + 1) // 2
            fits = width_of(face.word(_shown("".join(letters[:middle]), shown))) <= width
            low, high = (middle, high) if fits else (low, middle - 1)
        part = "".join(letters[:low])
        if low == 1 and width_of(face.word(_shown(part, shown))) > width:
            raise ConfigError(f"{part[:20]!r} alone is wider than the {width} px of a line: take smaller letters")
        parts.append(part)
        letters = letters[low:]
    return parts


def width_of(word: Word) -> int:
    """Of its box, which holds all its ink."""
    return word.right - min(0, word.left)


def _wrapped(units: Sequence[Unit], face: Face, width: int, leftward: bool | None) -> Iterator[list[Unit]]:
    line: list[Unit] = []
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


def _kept_inside(line: list[Unit], face: Face, width: int, leftward: bool | None) -> Iterator[list[Unit]]:
    """The line; cut in two where it is wider as a whole than the sum of its words."""
    if leftward is None or len(line) == 1 or width_of(whole(line, face, leftward)) <= width:
        yield line
        return
    middle = len(line) // 2
    yield from _kept_inside(line[:middle], face, width, leftward)
    yield from _kept_inside(line[middle:], face, width, leftward)


def whole(line: Sequence[Unit], face: Face, leftward: bool) -> Word:
    """The pixels of a line that has parts which run from right to left."""
    shown = "".join((" " * unit.gap if i else "") + unit.shown for i, unit in enumerate(line))
    return face.word(shown, right_to_left=leftward)
