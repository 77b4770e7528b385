"""JSON files as rows: JSON lines, and the members of a JSON list or object, each with the line it starts on."""

import io
import json
import os
import re
from collections.abc import Iterator

from videre.data.annotations import EDITOR, Source, at_line, open_bytes, read_text
from videre.data.fields import Row
from videre.errors import DataError
from videre.types import JSON

LINE_BYTES = 16 * 1024 * 1024
"""A longer line of JSON lines is refused; annotation rows are some kilobytes."""

_A_LIST = "this is a JSON list, not JSON lines"
_AS_JSON = "name the file .json, or write one object a line"
_SPACE = re.compile(r"[ \t\r\n]*")


def rows(path: Source) -> Iterator[Row]:
    """The rows of a `.jsonl` file, or the members of a `.json` list or object."""
    return jsonl(path) if os.fspath(path).endswith(".jsonl") else members(path)


def jsonl(path: Source) -> Iterator[Row]:
    """One row a line; the first line that does not hold is raised."""
    for row in each_line(path):
        if isinstance(row, DataError):
            raise row
        yield row


def each_line(path: Source) -> Iterator[Row | DataError]:
    """One row a line, or the reason why that line is none. Empty lines are passed over, a BOM and CRLF are allowed."""
    with open_bytes(path) as file:
        for line, raw in enumerate(_raw_lines(file), start=1):
            if isinstance(raw, str):
                yield at_line(path, line, raw, fix="split the row, or keep what is large in a file of its own")
            elif raw.strip():
                yield _line(path, line, raw)


def members(path: Source) -> Iterator[Row]:
    """The members of a JSON list or object, each with its line; a member that is no object is the field `value`."""
    text = read_text(path)
    line, last = 1, 0
    for name, start, value in _scan(path, text):
        line, last = line + text.count("\n", last, start), start
        yield Row(os.fspath(path), line, value if isinstance(value, dict) else {"value": value}, name)


def keyed(path: Source) -> dict[str, Row]:
    """The members of a JSON object by their keys."""
    return {row.name: row for row in members(path)}


def _raw_lines(file: io.BufferedIOBase) -> Iterator[bytes | str]:
    line = file.readline(LINE_BYTES + 1).removeprefix(b"\xef\xbb\xbf")
    while line:
        if len(line) <= LINE_BYTES:
            yield line
        else:
            while line and not line.endswith(b"\n"):
                line = file.readline(LINE_BYTES)
            yield f"the line is longer than {LINE_BYTES} bytes"
        line = file.readline(LINE_BYTES + 1)


def _line(path: Source, line: int, raw: bytes) -> Row | DataError:
    try:
        value = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError:
        return at_line(path, line, "the text is not UTF-8", fix="save the file as UTF-8")
    except (ValueError, RecursionError) as error:
        reason, fix = _line_reason(raw, str(error))
        return at_line(path, line, reason, fix=fix)
    if isinstance(value, list):
        return at_line(path, line, _A_LIST, fix=_AS_JSON)
    if not isinstance(value, dict):
        return at_line(path, line, "the line is no JSON object", fix='write {"id": ..., "video": ..., ...} on one line')
    return Row(os.fspath(path), line, value)


def _line_reason(raw: bytes, error: str) -> tuple[str, str]:
    text = raw.strip()
    if text in (b"[", b"]") or text.startswith(b"[{"):
        return _A_LIST, _AS_JSON
    if text.endswith(b"},"):
        return "a comma follows the closing brace", "remove it: JSON lines has one object a line without commas"
    if re.search(rb",\s*[}\]]", text):
        return "a comma stands before a closing bracket", "remove that comma"
    if not raw.endswith(b"\n"):
        return f"the last line is torn or not JSON ({error})", "delete it if the file was cut while it was written"
    return f"not JSON ({error})", EDITOR


def _scan(path: Source, text: str) -> Iterator[tuple[str, int, JSON]]:
    at = _skip(text, 0)
    closer = {"[": "]", "{": "}"}.get(text[at : at + 1], "")
    if not closer:
        raise _broken(path, text, at, "a JSON list or object was expected")
    at, number, seen = _skip(text, at + 1), 0, set[str]()
    while text[at : at + 1] != closer or number:
        start = at
        name, at = (f"row {number}", at) if closer == "]" else _key(path, text, at)
        if name in seen:
            raise _broken(path, text, start, f"the key {name!r} comes twice")
        seen.add(name)
        value, at = _value(path, text, at)
        yield name, start, value
        number += 1
        if text[at : at + 1] == closer:
            break
        at = _after_comma(path, text, at, closer)
    if text[at + 1 :].strip():
        raise _broken(path, text, _skip(text, at + 1), "something follows the closing bracket")


def _key(path: Source, text: str, at: int) -> tuple[str, int]:
    name, at = _value(path, text, at)
    if not isinstance(name, str) or text[at : at + 1] != ":":
        raise _broken(path, text, at, 'a key and ":" were expected')
    return name, _skip(text, at + 1)


def _value(path: Source, text: str, at: int) -> tuple[JSON, int]:
    try:
        value, end = json.JSONDecoder().raw_decode(text, at)
    except json.JSONDecodeError as error:
        before = text[: error.pos].rstrip()[-1:]
        comma = before == "," and text[error.pos : error.pos + 1] in ("}", "]")
        reason = "a comma stands before a closing bracket" if comma else f"not JSON ({error.msg})"
        raise _broken(path, text, error.pos, reason) from error
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else "a number with thousands of digits"
        raise _broken(path, text, at, reason) from error
    return value, _skip(text, end)


def _after_comma(path: Source, text: str, at: int, closer: str) -> int:
    if text[at : at + 1] != ",":
        raise _broken(path, text, at, f'"," or "{closer}" was expected: the file may be cut short')
    after = _skip(text, at + 1)
    if text[after : after + 1] == closer:
        raise _broken(path, text, at, "a comma stands before a closing bracket")
    return after


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _broken(path: Source, text: str, at: int, reason: str) -> DataError:
    return at_line(path, text.count("\n", 0, at) + 1, reason)
