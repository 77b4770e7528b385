"""A long text in pieces, each of which becomes a picture. The pieces joined are the text again, always.

Source: section 3.2 of arXiv 2411.19951 (115 tokens a picture); official `split_text.py`.
Differs: pieces are spans of the source, so that nothing of it is lost (the official code joins NLTK tokens by spaces:
paragraphs vanish, "can't" becomes "ca n't"); a token is a run of letters and digits or one symbol, and in scripts
written without spaces each character; no piece ends inside a grapheme.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import regex

By = Literal["tokens", "words", "sentences", "lines"]
PAPER_TOKENS = 115

SPACELESS = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_TOKEN = regex.compile(rf"(?:[{SPACELESS}]|(?:(?![{SPACELESS}])\w)+|\S)[\p{{M}}\p{{Default_Ignorable_Code_Point}}]*")
_WORD = regex.compile(r"\S+")
_LINE = regex.compile(r"[^\n]*\n|[^\n]+")
_SENTENCE = regex.compile(r"(?:[^.!?。！？\n]|[.!?](?=\w)|\n(?!\s*\n))*(?:[.!?。！？]+[\"'”’)\]」』]*|\n|$)\s*")
_OPEN = regex.compile(rf"[{SPACELESS}]")
_GRAPHEME = regex.compile(r"\X")


@dataclass(frozen=True)
class Piece:
    """Characters `start` up to `end` of a text."""

    start: int
    end: int

    def of(self, text: str) -> str:
        """The characters themselves."""
        return text[self.start : self.end]


def cut(text: str, *, by: By = "tokens", limit: int = PAPER_TOKENS) -> list[Piece]:
    """Pieces of the text that follow one another without a gap; none for an empty text.

    Args:
        text: anything.
        by: what is counted. "sentences" keeps sentences whole and counts their tokens; a sentence that is longer than
            the limit is cut inside.
        limit: most tokens, words or lines of a piece.

    Raises:
        ValueError: the limit is below 1.
    """
    if limit < 1:
        raise ValueError(f"a piece holds one of the {by} or more, got {limit=}")
    if not text:
        return []
    bounds = [0, *_bounds(text, by, limit), len(text)]
    return [Piece(start, end) for start, end in itertools.pairwise(bounds)]


def tokens(text: str) -> int:
    """How many tokens `cut` counts."""
    return sum(1 for _ in _TOKEN.finditer(text))


def graphemes(text: str) -> list[str]:
    """The characters as a reader sees them: a letter with its accents, a family of emoji."""
    return _GRAPHEME.findall(text)


def _bounds(text: str, by: By, limit: int) -> Iterator[int]:
    """Where pieces begin, the first left out: greedily as far as the limit allows, then back to a good place."""
    if by == "sentences":
        yield from _sentence_bounds(text, limit)
        return
    unit = {"tokens": _TOKEN, "words": _WORD, "lines": _LINE}[by]
    starts = [match.start() for match in unit.finditer(text)]
    yield from _greedy(text, starts, limit, allowed=_whole(text) if by == "tokens" else lambda at: True)


def _greedy(text: str, starts: list[int], limit: int, *, allowed: Callable[[int], bool]) -> Iterator[int]:
    first = 0
    while first + limit < len(starts):
        last = first + limit
        places = range(last, first, -1)
        best = next((i for i in places if _is_open(text, starts[i])), None)
        best = best or next((i for i in places if allowed(starts[i])), None)
        # One grapheme of more tokens than the limit stays whole.
        best = best or next((i for i in range(last, len(starts)) if allowed(starts[i])), len(starts))
        if best < len(starts):
            yield starts[best]
        first = best


def _is_open(text: str, at: int) -> bool:
    """Whether a reader would not miss a sign of division here: after a space, or in a script without spaces."""
    return text[at - 1].isspace() or _OPEN.match(text, at) is not None


def _whole(text: str) -> Callable[[int], bool]:
    """Whether a place lies between two graphemes."""
    if text.isascii():
        return lambda at: True
    starts = frozenset(match.start() for match in _GRAPHEME.finditer(text))
    return starts.__contains__


def _sentence_bounds(text: str, limit: int) -> Iterator[int]:
    held = 0
    for match in _SENTENCE.finditer(text):
        if not match[0]:
            continue
        count = tokens(match[0])
        if held and held + count > limit:
            yield match.start()
            held = 0
        if count > limit:
            inner = [match.start() + piece.start for piece in cut(match[0], limit=limit)[1:]]
            yield from inner
            count = tokens(text[inner[-1] : match.end()])
        held += count
