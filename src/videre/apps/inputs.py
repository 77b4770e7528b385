"""What was asked on the command line -> tasks: several videos, quoted globs, rows on standard input."""

import glob
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from videre.errors import DataError
from videre.options import MOST_OPTIONS
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
    """One task a video, named once or more, each with the same question; quoted patterns are expanded.

    Raises:
        DataError: the question is empty or too long.
    """
    question = checked_question(text, tuple(options))
    paths = list(dict.fromkeys(path for video in videos for path in expanded(video)))
    names = [Path(path).name for path in paths]
    counts = Counter(names)
    return [Task(name if counts[name] == 1 else path, path, question) for name, path in zip(names, paths, strict=True)]


def expanded(video: str) -> list[str]:
    """The files that a pattern matches, sorted; the name itself where it exists or is no pattern."""
    if os.path.lexists(video) or not glob.has_magic(video):
        return [video]
    return sorted(glob.glob(video, recursive=True)) or [video]


def rows(stream: Iterable[bytes], *, name: str = "standard input") -> Iterator[Task | DataError]:
    """Tasks from JSON lines `{"video", "question", "options"?, "id"?}` in UTF-8; a bad line becomes its error."""
    seen: set[str] = set()
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        place = f"{name}, line {number}"
        try:
            task = _task(_object(line, place), place, number)
            if task.id in seen:
                raise DataError(f"{place}: the id {task.id!r} is given twice", code="duplicate_id")
        except DataError as error:
            yield error
            continue
        seen.add(task.id)
        yield task


def checked_question(text: str, options: tuple[str, ...], place: str = "") -> Question:
    """The question, or the reason why it is none, with the place where it stands.

    Raises:
        DataError: empty, too long, with a single option, or with more than there are letters.
    """
    where = f"{place}: " if place else ""
    if len(text) > LONGEST_QUESTION:
        long = f"the question has {len(text):,} characters; at most {LONGEST_QUESTION:,} are taken"
        raise DataError(f"{where}{long}", code="question")
    if len(options) > MOST_OPTIONS:
        raise DataError(
            f"{where}the question has {len(options)} options; at most {MOST_OPTIONS} are taken", code="question"
        )
    try:
        return Question(text, options)
    except ValueError as error:
        raise DataError(f"{where}{error}", code="question") from error


def _object(line: bytes, place: str) -> dict[str, JSON]:
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DataError(f"{place}: not UTF-8 (byte {error.start + 1})", code="bad_row") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{place}: not JSON ({error.msg} at column {error.colno})", code="bad_row") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: no JSON that can be read ({error})", code="bad_row") from error
    if not isinstance(row, dict):
        raise DataError(
            f'{place}: expected an object with "video" and "question", got {type(row).__name__}', code="bad_row"
        )
    return row


def _task(row: dict[str, JSON], place: str, number: int) -> Task:
    for key in ("video", "question"):
        if not isinstance(row.get(key), str):
            raise DataError(f"{place}: {key!r} is missing or not text", code="bad_row")
    if not row["video"]:
        raise DataError(f"{place}: 'video' is empty", code="bad_row")
    name = row.get("id")
    if isinstance(name, bool) or not isinstance(name, str | int | None):
        raise DataError(f"{place}: 'id' is text or a whole number, got {name!r}", code="bad_row")
    options = row.get("options") or []
    if not isinstance(options, list) or not all(isinstance(option, str) for option in options):
        raise DataError(f"{place}: 'options' is a list of texts, got {options!r}", code="bad_row")
    question = checked_question(row["question"], tuple(options), place)
    return Task(f"row-{number}" if name in (None, "") else str(name), row["video"], question)
