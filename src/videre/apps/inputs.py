"""What was asked on the command line -> tasks: several videos, quoted globs, rows on standard input."""

import glob
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from videre.errors import DataError
from videre.types import JSON, Question

LONGEST_QUESTION = 20_000
"""Characters. A question longer than this is a file that was given by mistake."""


@dataclass(frozen=True)
class Task:
    """One question about one video."""

    id: str
    path: str
    question: Question


def tasks(videos: Sequence[str], text: str, options: Iterable[str] = ()) -> list[Task]:
    """One task a video, each with the same question; quoted patterns are expanded, other names are literal.

    Raises:
        DataError: the question is empty or too long.
    """
    question = checked_question(text, tuple(options), "the question")
    paths = [path for video in videos for path in expanded(video)]
    names = [Path(path).name for path in paths]
    return [
        Task(name if names.count(name) == 1 else path, path, question) for name, path in zip(names, paths, strict=True)
    ]


def expanded(video: str) -> list[str]:
    """The files that a pattern matches, sorted; the name itself where it exists or is no pattern."""
    if os.path.lexists(video) or not glob.has_magic(video):
        return [video]
    return sorted(glob.glob(video, recursive=True)) or [video]


def rows(stream: Iterable[str], *, name: str = "standard input") -> Iterator[Task | DataError]:
    """Tasks from JSON lines `{"video", "question", "options"?, "id"?}`; a bad line becomes its error."""
    seen: set[str] = set()
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        try:
            task = _task(
                _object(line.removeprefix("\ufeff"), f"{name}, line {number}"), f"{name}, line {number}", number
            )
            if task.id in seen:
                raise DataError(f"{name}, line {number}: the id {task.id!r} is given twice", code="duplicate_id")
        except DataError as error:
            yield error
            continue
        seen.add(task.id)
        yield task


def checked_question(text: str, options: tuple[str, ...], place: str) -> Question:
    """The question, or the reason why it is none.

    Raises:
        DataError: empty, too long, or with a single option.
    """
    if len(text) > LONGEST_QUESTION:
        raise DataError(
            f"{place} has {len(text):,} characters; at most {LONGEST_QUESTION:,} are taken", code="question"
        )
    try:
        return Question(text, options)
    except ValueError as error:
        raise DataError(f"{place}: {error}", code="question") from error


def _object(line: str, place: str) -> dict[str, JSON]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{place}: not JSON ({error.msg} at column {error.colno})", code="bad_row") from error
    if not isinstance(row, dict):
        raise DataError(
            f'{place}: expected an object with "video" and "question", got {type(row).__name__}', code="bad_row"
        )
    return row


def _task(row: dict[str, JSON], place: str, number: int) -> Task:
    for key in ("video", "question"):
        if not isinstance(row.get(key), str):
            raise DataError(f"{place}: {key!r} is missing or not text", code="bad_row")
    options = row.get("options") or []
    if not isinstance(options, list) or not all(isinstance(option, str) for option in options):
        raise DataError(f"{place}: 'options' is a list of texts, got {options!r}", code="bad_row")
    question = checked_question(row["question"], tuple(options), place)
    return Task(str(row.get("id", f"row-{number}")), row["video"], question)
