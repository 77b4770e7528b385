"""Annotation files: opened as UTF-8, CSV as rows with their lines, and rows collected into samples."""

import csv
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from videre.data.fields import Row
from videre.errors import NO_INPUT, DataError

Source = str | os.PathLike
EDITOR = "open it in an editor at that line, or fetch the file again"


@runtime_checkable
class HasId(Protocol):
    """Anything that a benchmark names by an id of its own."""

    @property
    def id(self) -> str:
        """Unique in its file."""
        ...


Item = TypeVar("Item", bound=HasId)


def collect(rows: Iterable[Row], build: Callable[[Row], Item], *, path: Source) -> list[Item]:
    """What `build` makes of every row of the file at `path`, in order.

    Raises:
        DataError: a row does not hold, an id comes twice, or there is no row at all.
    """
    lines: dict[str, int] = {}
    items = []
    for row in rows:
        try:
            item = build(row)
        except ValueError as error:
            raise row.wrong(str(error)) from error
        if item.id in lines:
            reason = f"the id {item.id!r} was used before, on line {lines[item.id]}"
            raise row.wrong(reason, fix="remove one of the two rows", code="duplicate_id")
        lines[item.id] = row.line
        items.append(item)
    return filled(items, path=path)


def filled(items: list[Any], *, path: Source) -> list[Any]:
    """The items; a file that has none is an error."""
    if not items:
        raise at_line(path, 1, "the file has no rows", fix="fetch it again")
    return items


def table(
    path: Source, columns: Sequence[str], *, delimiters: str = ",", header: bool = True, quotes: bool = True
) -> Iterator[Row]:
    """The rows of a CSV file.

    Args:
        path: the file.
        columns: the columns that must be there; without a header, the names of all columns in order.
        delimiters: what may stand between fields; the first line decides.
        header: whether the first line names the columns.
        quotes: whether `"` quotes a field.
    """
    text = read_text(path)
    first = text.split("\n", 1)[0]
    delimiter = max(delimiters, key=first.count)
    names = None if header else list(columns)
    lines = io.StringIO(text, newline="")
    if quotes:
        reader = csv.DictReader(lines, names, delimiter=delimiter, strict=True)
    else:
        reader = csv.DictReader(lines, names, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    last = 0
    try:
        _check_header(path, columns, reader.fieldnames or [])
        last = reader.line_num
        for fields in reader:
            last = reader.line_num
            yield _csv_row(path, last, fields)
    except csv.Error as error:
        raise at_line(path, last + 1, f"not readable as CSV ({error})") from error


def missing_file(path: Source, reason: str = "there is no such file") -> DataError:
    """The error for an annotation file that cannot be opened (exit code 3)."""
    fix = "docs/data.md says where each annotation file is from"
    return DataError(f"{os.fspath(path)}: {reason}; {fix}", code="no_annotations", exit_code=NO_INPUT)


def open_bytes(path: Source) -> io.BufferedReader:
    """The file, opened; a missing or unreadable one is a `DataError` with exit code 3."""
    try:
        return open(path, "rb")
    except OSError as error:
        raise missing_file(path, error.strerror or str(error)) from error


def read_text(path: Source) -> str:
    """The text of a UTF-8 file, without its byte order mark."""
    with open_bytes(path) as file:
        data = file.read()
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise at_line(path, 1, "the file is UTF-16", fix="save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise at_line(path, line, "the text is not UTF-8", fix="save the file as UTF-8") from error


def at_line(path: Source, line: int, reason: str, *, fix: str = EDITOR) -> DataError:
    """The error for a line that does not make a row: file and line, the reason, the next step."""
    return DataError(f"{os.fspath(path)}:{line}: {reason}; {fix}", code="row")


def _check_header(path: Source, columns: Sequence[str], names: Sequence[str]) -> None:
    lost = [name for name in columns if name not in names]
    if lost:
        there = ", ".join(names) or "nothing"
        raise at_line(path, 1, f"no column {', '.join(lost)} (there is {there})", fix="fetch the file as published")


def _csv_row(path: Source, line: int, fields: dict) -> Row:
    if None in fields or None in fields.values():
        reason = "more fields than columns" if None in fields else "fewer fields than columns"
        raise at_line(path, line, reason, fix="quote fields that hold the delimiter, or fetch the file again")
    return Row(os.fspath(path), line, fields, texts=True)
