"""Options of a multiple-choice row, as files give them: a list, `A.` lines in a prompt, an answer by its name.

A question with one option only is asked as an open one (MVBench has five of them): there is nothing to choose.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from videre.data.fields import Row
from videre.types import Question

TAIL = "Answer with the option's letter from the given choices directly."
"""The last line of a prompt in the T2Vid files; no part of the question."""

_OPTION = re.compile(r"([A-Z])\. ?(.*)", re.DOTALL)
_LABEL = re.compile(r"\(?([A-Z])[.):] *(.*)", re.DOTALL)
_STUCK = re.compile(r"(.*?\?)A\. (.+)", re.DOTALL)


@dataclass(frozen=True)
class Lettered:
    """A question and its options by the letters that the file gives them.

    Attributes:
        question: without the options.
        options: in the order they are shown.
        letters: the letter in the file and the option it names.
    """

    question: str
    options: tuple[str, ...]
    letters: Mapping[str, str]

    def asked(self) -> Question:
        """The question as a model is asked."""
        return asked(self.question, self.options)


def asked(text: str, options: Sequence[str]) -> Question:
    """The question with its options; with a single option, an open question."""
    return Question(text, tuple(options) if len(options) > 1 else ())


def prompt(row: Row, text: str) -> Lettered:
    """The question and options of a text that lists its options on lines `A. ...`, `B. ...`.

    An option may run over several lines, or be empty, as two of a row in MLVU are. Two TempCompass rows have their
    first option stuck to the question and the letters A, A, B; it becomes an option of its own, and the letter A stays
    with the line that starts with it, which is what their answers mean.

    Source: the rows of MVBench, TempCompass and MLVU in xjtupanda/T2Vid and VITA-MLLM/Sparrow, benchmarks/.
    """
    lines = text.strip().removesuffix(TAIL).rstrip().split("\n")
    starts = [number for number, line in enumerate(lines) if re.match(r"A\.", line)]
    if not starts:
        raise row.wrong('the prompt has no line that starts with "A."')
    letters = _letters(row, lines[starts[-1] :])
    question = "\n".join(lines[: starts[-1]]).strip().removeprefix("Question:").strip()
    stuck = _STUCK.fullmatch(question)
    options = tuple(letters.values())
    if stuck and starts[-1] > 0:
        question, options = stuck.group(1), (stuck.group(2).strip(), *options)
    return Lettered(question, options, letters)


def labelled(row: Row, name: str) -> Lettered:
    """The options of a list field whose texts start with `A. `, `(B) ` or `C: `; the question is left empty."""
    letters: dict[str, str] = {}
    for number, text in enumerate(row.strings(name)):
        match = _LABEL.fullmatch(text)
        if not match or match.group(1) != chr(ord("A") + number):
            raise row.wrong(f'"{name}"[{number}] is {text!r}, an option {chr(ord("A") + number)}. was expected')
        letters[match.group(1)] = match.group(2).strip()
    return Lettered("", tuple(letters.values()), letters)


def by_letter(row: Row, name: str, *, letters: Mapping[str, str]) -> str:
    """The option that the letter in the field `name` names: `B`, `(B)` or `B.`."""
    said = row.text(name)
    letter = said.strip("(). ")
    if letter not in letters:
        raise row.wrong(f'"{name}" is {said!r}, the options are {", ".join(letters)}', code="wrong_answer")
    return letters[letter]


def by_index(row: Row, name: str, *, options: Sequence[str]) -> str:
    """The option at the index in the field `name`, from 0."""
    index = row.whole(name)
    if not 0 <= index < len(options):
        raise row.wrong(f'"{name}" is {index}, the options are 0 to {len(options) - 1}', code="wrong_answer")
    return options[index]


def by_text(row: Row, name: str, *, options: Sequence[str]) -> str:
    """The text in the field `name`, which must be one of the options."""
    answer = row.label(name)
    if answer not in options:
        shown = ", ".join(repr(option) for option in options)
        raise row.wrong(f'"{name}" is {answer!r}, which is none of the options {shown}', code="wrong_answer")
    return answer


def _letters(row: Row, lines: Sequence[str]) -> dict[str, str]:
    letters: dict[str, str] = {}
    for line in lines:
        expected = chr(ord("A") + len(letters))
        match = _OPTION.fullmatch(line)
        if match and match.group(1) == expected:
            letters[expected] = match.group(2)
        elif re.match(r"[A-H]\. ", line):
            raise row.wrong(f"the options skip from {expected} to {line[:1]}")
        else:
            letters[chr(ord(expected) - 1)] += "\n" + line
    return {letter: option.strip() for letter, option in letters.items()}
