"""Prediction and annotation files, read with an error that names the file and the line."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from videre.errors import NO_INPUT, DataError
from videre.metrics.interval import Share
from videre.types import JSON

Report = dict[str, JSON]


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object of a file."""
    found = _json(read_text(path), path)
    if not isinstance(found, dict):
        raise DataError(f"{path}: expected a JSON object, got a {type(found).__name__}")
    return found


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The objects of a file: a JSON list, or one object a line."""
    text = read_text(path)
    if text.lstrip().startswith("["):
        rows = _json(text, path)
    else:
        lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        rows = [_json(line, path, number) for number, line in lines]
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise DataError(f"{path}, row {number}: expected a JSON object, got {str(row)[:40]!r}")
    return rows


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows of a csv file with a header."""
    return list(csv.DictReader(read_text(path).splitlines()))


def read_ids(path: Path) -> list[str]:
    """Ids: a JSON list or object, or one a line."""
    text = read_text(path)
    if text.lstrip()[:1] in ("[", "{"):
        return [str(name) for name in _json(text, path)]
    return text.split()


def by_key(rows: Sequence[Mapping[str, Any]], key: str, path: Path) -> dict[Any, Mapping[str, Any]]:
    """Rows by one of their values, which each must have and no two may share."""
    found: dict[Any, Mapping[str, Any]] = {}
    for number, row in enumerate(rows, 1):
        if key not in row:
            raise DataError(f"{path}, row {number}: no {key!r}; it has {', '.join(map(str, row))}")
        if row[key] in found:
            raise DataError(f"{path}, row {number}: {key} {row[key]!r} occurs twice")
        found[row[key]] = row
    return found


def need(row: Mapping[str, Any], key: str, where: str) -> Any:
    """The value under a key; DataError that says where it is missing."""
    if key not in row:
        raise DataError(f"{where}: no {key!r}; it has {', '.join(map(str, row))}")
    return row[key]


def read_text(path: Path) -> str:
    """The text of a file; DataError where there is none."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"no such file: {path}", exit_code=NO_INPUT) from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a UTF-8 text file ({error.reason})") from error


def percents(interval: tuple[float, float]) -> list[float]:
    """An interval in percent."""
    return [interval[0] * 100, interval[1] * 100]


def share_report(shares: Mapping[str, Share]) -> Report:
    """Scores, intervals and right answers of named shares, in percent; null where nothing was counted."""
    return {
        "scores": {name: share.percent if share.count else None for name, share in shares.items()},
        "intervals": {name: percents(share.interval) for name, share in shares.items()},
        "right": {name: [share.right, share.count] for name, share in shares.items()},
    }


def _json(text: str, path: Path, line: int | None = None) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        at = line if line is not None else error.lineno
        raise DataError(f"{path}, line {at}: not JSON ({error.msg})") from error
