"""Prediction and annotation files as rows with checked fields; errors name file, line and field."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from videre.data import annotations, json_rows
from videre.data.fields import Row as DataRow
from videre.data.spans import finite
from videre.errors import DataError
from videre.metrics.interval import Share
from videre.types import JSON

Report = dict[str, JSON]

FORM = "docs/metrics.md says what this file holds"


@dataclass(frozen=True)
class Row(DataRow):
    """A row of a file to score; what is wrong with it points to the list of forms."""

    def wrong(self, reason: str, *, fix: str = FORM, code: str = "row") -> DataError:
        """The error to raise: where, what is wrong, and what to do next."""
        return super().wrong(reason, fix=fix, code=code)

    def inner(self, name: str) -> "Row":
        """An object inside this row, as a row that stands at the same place."""
        return _own(super().inner(name))

    def inners(self, name: str) -> list["Row"]:  # type: ignore[override]
        """The objects of a list inside this row, each named by its number from 0."""
        return [_own(row) for row in super().inners(name)]

    def maybe_text(self, name: str) -> str | None:
        """Text, which may be empty; None where the field is absent or null."""
        return self.text(name, blank=True) if self.has(name) else None

    def numbers(self, name: str) -> list[float]:
        """A list of finite numbers; an absent or null one is empty."""
        return list(finite(self, self.get(name), what=f'"{name}"')) if self.has(name) else []

    def windows(self, name: str, *, most: int = 2) -> list[list[float]]:
        """A list of windows of equal size, each of 2 to `most` finite numbers: [start, end, ...]."""
        found = [list(finite(self, item, what=f'a window of "{name}"')) for item in self.items(name)]
        for window in found:
            if not 2 <= len(window) <= most or len(window) != len(found[0]):
                sizes = "2" if most == 2 else f"2 to {most}, all of them as many,"
                raise self.wrong(f'a window of "{name}" is {window}, {sizes} numbers were expected')
        return found


def keyed(path: Path) -> dict[str, Row]:
    """The members of a JSON object by their keys; one that is no object is the field `value`."""
    if not annotations.read_text(path).lstrip().startswith("{"):
        raise annotations.at_line(path, 1, "a JSON object was expected", fix=FORM)
    return {row.name: _own(row) for row in json_rows.members(path)}


def objects(path: Path) -> dict[str, Row]:
    """The members of a JSON object by their keys, each an object itself."""
    return {name: _object(row) for name, row in keyed(path).items()}


def listed(path: Path) -> list[Row]:
    """The objects of a JSON list, or one object a line; a file without any is an error."""
    is_list = annotations.read_text(path).lstrip().startswith("[")
    rows = json_rows.members(path) if is_list else json_rows.jsonl(path)
    return annotations.filled([_object(_own(row)) for row in rows], path=path)


def table(path: Path, columns: Collection[str]) -> list[Row]:
    """The rows of a csv file with a header that has these columns; a file without any is an error."""
    return annotations.filled([_own(row) for row in annotations.table(path, tuple(columns))], path=path)


def read_ids(path: Path) -> list[str]:
    """Ids: a JSON list, the keys of a JSON object, or one a line."""
    text = annotations.read_text(path).lstrip()
    if text.startswith("{"):
        return list(keyed(path))
    if text.startswith("["):
        return [_own(row).label("value") for row in json_rows.members(path)]
    return text.split()


def by_id(path: Path, name: str) -> dict[str, Row]:
    """The rows of `listed` by an id, text or a whole number, which each must have and no two may share."""
    found: dict[str, Row] = {}
    for row in listed(path):
        key = row.label(name)
        if key in found:
            raise row.wrong(f'"{name}" {key} occurs twice, before at {found[key].where}', fix="remove one of the two")
        found[key] = row
    return found


def unknown(said: Collection[str], truth: Collection[str], *, path: Path, known_from: Path) -> int:
    """How many predicted ids the annotation does not have; when it has none of them, that is an error."""
    lost = [key for key in said if key not in truth]
    if not said:
        raise DataError(f"{path}: there is no prediction in this file; {FORM}", code="no_replies")
    if len(lost) == len(said):
        few = ", ".join(map(str, lost[:3]))
        there = ", ".join(list(map(str, truth))[:3])
        reason = f"{path}: none of its {len(said)} ids ({few}) is in {known_from} ({there})"
        raise DataError(f"{reason}; are they files of one benchmark and split?", code="no_match")
    return len(lost)


def notes_of(counts: Mapping[str, int]) -> list[str]:
    """In words, what predictions were left out and which questions had none."""
    unknown, missing = counts.get("n_unknown", 0), counts.get("n_missing", 0)
    notes = [f"{missing} have no prediction: they count as wrong"] if missing else []
    return notes + ([f"{unknown} predictions are of ids that the annotation does not have"] if unknown else [])


def percents(interval: tuple[float, float]) -> list[float]:
    """An interval in percent."""
    return [interval[0] * 100, interval[1] * 100]


def bounds_of(intervals: Mapping[str, tuple[float, float] | None]) -> dict[str, list[float]]:
    """Named intervals as lists, as JSON has them; those that could not be drawn are left out."""
    return {name: list(pair) for name, pair in intervals.items() if pair is not None}


def share_report(shares: Mapping[str, Share]) -> Report:
    """Scores, intervals and right answers of named shares, in percent; null where nothing was counted."""
    return {
        "scores": {name: share.percent if share.count else None for name, share in shares.items()},
        "intervals": {name: percents(share.interval) for name, share in shares.items()},
        "right": {name: [share.right, share.count] for name, share in shares.items()},
    }


def first(rows: Iterable[Row]) -> Row:
    """The first of rows that are known to be there."""
    return next(iter(rows))


def _own(row: DataRow) -> Row:
    return Row(row.source, row.line, row.fields, row.name, row.texts)


def _object(row: Row) -> Row:
    if set(row.fields) == {"value"}:
        raise row.wrong(f"an object was expected, this is {str(row.fields['value'])[:40]!r}", code="wrong_type")
    return row
