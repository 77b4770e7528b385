r"""Rows of one's own: a plain JSON line a question, for data that no benchmark has.

    {"id": "a1", "video": "kitchen/01.mp4", "question": "What is cut?", "options": ["bread", "cheese"],
     "answer": "cheese", "kind": "object", "duration_seconds": 31.5, "clip": [0, 20], "spans": [[4.5, 9]],
     "boxes": [{"seconds": 5, "x0": 0.2, "y0": 0.1, "x1": 0.5, "y1": 0.6}]}

`id`, `video` and `question` must be there. Times are seconds from the first displayed frame; boxes are corners in
[0, 1] of the displayed frame. `duration_seconds` lets spans be checked against the video's length. Other fields are
passed over, but a field that is nearly one of these is taken for a slip.
"""

import difflib
from collections.abc import Iterator
from typing import NamedTuple

from videre.data import spans as times
from videre.data.annotations import Source, filled
from videre.data.fields import Row
from videre.data.json_rows import each_line
from videre.errors import REFUSED, DataError
from videre.options import MOST_OPTIONS
from videre.types import JSON, Box, Question, Sample, Span

FIELDS = ("id", "video", "question", "options", "answer", "kind", "duration_seconds", "clip", "spans", "boxes")


class Rows(NamedTuple):
    """The rows that hold, in file order, and an error for each one that does not."""

    samples: list[Sample]
    bad: list[DataError]


def read(path: Source, *, dedupe: bool = False) -> list[Sample]:
    """Every row as a sample.

    Args:
        path: the JSON lines.
        dedupe: keeps the first of several rows with one id, instead of refusing the file.

    Raises:
        DataError: the first row that does not hold, and how many more there are.
    """
    samples, bad = split(path, dedupe=dedupe)
    if bad:
        more = f" (and {len(bad) - 1} more bad rows)" if len(bad) > 1 else ""
        raise DataError(f"{bad[0]}{more}", code=bad[0].code, exit_code=bad[0].exit_code)
    return filled(samples, path=path)


def split(path: Source, *, dedupe: bool = False) -> Rows:
    """The rows that hold and the errors of those that do not, so that the good ones can run.

    Raises:
        DataError: the file cannot be opened, an id comes twice without `dedupe`, or a row names a video outside the
            video root (exit code 7).
    """
    found = Rows([], [])
    lines: dict[str, int] = {}
    for item in _samples(path):
        if isinstance(item, DataError):
            found.bad.append(item)
            continue
        row, sample = item
        if sample.id not in lines:
            found.samples.append(sample)
        elif not dedupe:
            reason = f"the id {sample.id!r} was used before, on line {lines[sample.id]}"
            fix = "remove one of the rows, or keep the first with --dedupe (dedupe=True)"
            raise row.wrong(reason, fix=fix, code="duplicate_id")
        lines.setdefault(sample.id, row.line)
    return found


def _samples(path: Source) -> Iterator[tuple[Row, Sample] | DataError]:
    for row in each_line(path):
        try:
            yield row if isinstance(row, DataError) else (row, _sample(row))
        except DataError as error:
            if error.exit_code == REFUSED:
                raise
            yield error


def _sample(row: Row) -> Sample:
    _check_names(row)
    options = row.strings("options") if row.has("options") else ()
    if row.has("options") and len(options) < 2:
        raise row.wrong(
            f'"options" has {len(options)}, a choice has two or more', fix="leave it out for an open question"
        )
    if len(options) > MOST_OPTIONS:
        raise row.wrong(
            f'"options" has {len(options)}, a choice has at most {MOST_OPTIONS}, A to Z', fix="leave some out"
        )
    duration = row.number("duration_seconds") if row.has("duration_seconds") else None
    return Sample(
        id=row.label("id"),
        video=row.video("video"),
        question=Question(row.text("question"), options),
        answer=_answer(row, options) if row.has("answer") else None,
        spans=tuple(_span(row, item, duration=duration) for item in _listed(row, "spans")),
        boxes=tuple(_box(row, item) for item in _listed(row, "boxes")),
        kind=row.label("kind") if row.has("kind") else "",
        clip=_span(row, row.get("clip"), duration=duration) if row.has("clip") else None,
    )


def _check_names(row: Row) -> None:
    for name in row.fields:
        near = difflib.get_close_matches(name.lower(), FIELDS, n=1, cutoff=0.8)
        if near and name not in FIELDS and near[0] not in row.fields:
            raise row.wrong(f'there is no field "{name}"', fix=f'write "{near[0]}"', code="unknown_field")


def _answer(row: Row, options: tuple[str, ...]) -> str:
    answer = row.label("answer")
    if not options or answer in options:
        return answer
    shown = ", ".join(repr(option) for option in options)
    fix = "write the option's text, not its letter or number"
    raise row.wrong(f'"answer" is {answer!r}, which is none of the options {shown}', fix=fix, code="wrong_answer")


def _listed(row: Row, name: str) -> list:
    return row.items(name) if row.has(name) else []


def _span(row: Row, item: JSON, *, duration: float | None) -> Span:
    if not isinstance(item, dict):
        return times.span(row, item, duration_seconds=duration)
    pair = [_part(row, item, name) for name in ("start_seconds", "end_seconds")]
    label = item.get("label")
    return times.span(row, pair, duration_seconds=duration, label=None if label is None else str(label))


def _box(row: Row, item: JSON) -> Box:
    if not isinstance(item, dict):
        fix = 'write {"seconds": ..., "x0": ..., "y0": ..., "x1": ..., "y1": ...}'
        raise row.wrong(f"a box is {item!r}, an object was expected", fix=fix, code="wrong_type")
    (seconds,) = times.finite(row, [_part(row, item, "seconds")], what="a box")
    label = item.get("label")
    corners = [_part(row, item, name) for name in ("x0", "y0", "x1", "y1")]
    return times.box(row, corners, seconds=seconds, label=None if label is None else str(label))


def _part(row: Row, item: dict, name: str) -> JSON:
    if name not in item:
        raise row.wrong(f'a span or box has no "{name}"', fix=f"it has {', '.join(map(str, item)) or 'nothing'}")
    return item[name]
