"""Multiple choice in words: how options are shown to a model, and which option a reply names."""

import re
import string
from collections.abc import Sequence

from videre.types import Question

INSTRUCTION = "Answer with the letter of the right option."


def letter(index: int) -> str:
    """The name of an option: A, B, C, ... up to Z.

    >>> letter(2)
    'C'
    """
    if not 0 <= index < 26:
        raise ValueError(f"options are named A to Z, got index {index}")
    return string.ascii_uppercase[index]


def listed(question: Question) -> str:
    """The text a model is asked: the question alone, or with its options, one a line, and what to reply.

    >>> print(listed(Question("Which colour?", ("red", "blue"))))
    Which colour?
    A. red
    B. blue
    Answer with the letter of the right option.
    """
    if not question.options:
        return question.text
    rows = [f"{letter(i)}. {option}" for i, option in enumerate(question.options)]
    return "\n".join([question.text, *rows, INSTRUCTION])


def read_option(reply: str, options: Sequence[str]) -> int | None:
    """The index of the option that a reply names, by its letter or by its text; None where it names none or several.

    >>> read_option("(B) because the ball is blue", ["red", "blue"])
    1
    >>> read_option("it is Red.", ["red", "blue"])
    0
    """
    by_letter = _read_letter(reply.strip(), len(options))
    return by_letter if by_letter is not None else _read_text(reply, options)


def _read_letter(reply: str, count: int) -> int | None:
    names = string.ascii_uppercase[:count]
    start = re.match(rf"\(?([{names}])(?:[).:,]|\s|$)", reply)
    said = re.search(rf"(?i:answer|option)(?:\s+is)?\s*:?\s*\(?([{names}])(?:[).:,]|\s|$)", reply)
    found = start or said
    return names.index(found.group(1)) if found else None


def _read_text(reply: str, options: Sequence[str]) -> int | None:
    words = f" {_plain(reply)} "
    named = [i for i, option in enumerate(options) if _plain(option) and f" {_plain(option)} " in words]
    return named[0] if len(named) == 1 else None


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))
