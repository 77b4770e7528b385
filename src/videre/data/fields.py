"""One row of an annotation file: fields with their types checked, and errors that name file, line and next step."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from videre.data.videos import checked_name
from videre.errors import DataError
from videre.types import JSON

PUBLISHED = "compare this row with the file as published, or fetch that again"

LARGEST = 1e300
"""No number of a row is larger; whole numbers beyond it have no value as seconds or counts."""

_WORDS = {
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


@dataclass(frozen=True)
class Row:
    """One row and where it stands.

    Attributes:
        source: the file, as the caller named it.
        line: from 1.
        fields: the values by name.
        name: the key of a row in a JSON object, or `row 17` in a JSON list; empty where the line says enough.
        texts: every value is text (CSV), so numbers are read out of text.
    """

    source: str
    line: int
    fields: Mapping[str, JSON]
    name: str = ""
    texts: bool = False

    @property
    def where(self) -> str:
        """File and line, and the row's own name: `val.csv:12`."""
        return f"{self.source}:{self.line}" + (f" ({self.name})" if self.name else "")

    def wrong(self, reason: str, *, fix: str = PUBLISHED, code: str = "row") -> DataError:
        """The error to raise: where, what is wrong, and what to do next."""
        return DataError(f"{self.where}: {reason}; {fix}", code=code)

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self.fields.get(name) is not None

    def get(self, name: str) -> JSON:
        """The value as it stands.

        Raises:
            DataError: there is no such field.
        """
        if name not in self.fields:
            there = ", ".join(str(key) for key in list(self.fields)[:12]) or "nothing"
            raise self.wrong(f'no field "{name}" (there is {there})')
        return self.fields[name]

    def text(self, name: str, *, blank: bool = False) -> str:
        """Text without the spaces around it; an empty one is an error unless `blank`."""
        value = self.get(name)
        if not isinstance(value, str):
            raise self._type(name, value, "text")
        if not value.strip() and not blank:
            raise self.wrong(f'"{name}" is empty')
        return value.strip()

    def label(self, name: str) -> str:
        """Text, or a whole number as text: what datasets use as ids."""
        value = self.get(name)
        whole = isinstance(value, int) and not isinstance(value, bool)
        return str(value) if whole else self.text(name)

    def number(self, name: str) -> float:
        """A finite number."""
        value = self.get(name)
        if self.texts and isinstance(value, str):
            value = self._parsed(name, value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._type(name, value, "a number")
        if not abs(value) <= LARGEST:
            raise self.wrong(f'"{name}" is {value}, a finite number was expected')
        return value

    def whole(self, name: str) -> int:
        """A whole number."""
        value = self.number(name)
        if value != int(value):
            raise self.wrong(f'"{name}" is {value}, a whole number was expected')
        return int(value)

    def items(self, name: str) -> list:
        """A list of anything."""
        value = self.get(name)
        if not isinstance(value, list):
            raise self._type(name, value, "a list")
        return value

    def strings(self, name: str) -> tuple[str, ...]:
        """A list of texts; numbers among them become text, as options like 3 do."""
        values = self.items(name)
        if any(isinstance(value, dict | list | bool) or value is None for value in values):
            raise self.wrong(f'"{name}" is a list that holds other things than text')
        return tuple(str(value).strip() for value in values)

    def inner(self, name: str) -> "Row":
        """An object inside this row, as a row that stands at the same place."""
        value = self.get(name)
        if not isinstance(value, dict):
            raise self._type(name, value, "an object")
        return replace(self, fields=value)

    def inners(self, name: str) -> list["Row"]:
        """The objects of a list inside this row, each named by its number from 0."""
        values = self.items(name)
        if not all(isinstance(value, dict) for value in values):
            raise self.wrong(f'"{name}" is a list that holds other things than objects')
        prefix = f"{self.name}, " if self.name else ""
        return [replace(self, fields=value, name=f"{prefix}{name}[{i}]") for i, value in enumerate(values)]

    def video(self, name: str) -> str:
        """A video's name, relative to the video root; one that leads out of the root is refused."""
        return checked_name(self.label(name), where=self.where)

    def own_video(self) -> str:
        """The row's own name as a video's name, in files that are keyed by video."""
        return checked_name(self.name, where=f"{self.source}:{self.line}")

    def _parsed(self, name: str, value: str) -> float:
        try:
            return float(value)
        except ValueError:
            raise self.wrong(f'"{name}" is {value!r}, a number was expected') from None

    def _type(self, name: str, value: JSON, expected: str) -> DataError:
        got = _WORDS.get(type(value), type(value).__name__)
        return self.wrong(f'"{name}" is {got}, {expected} was expected', code="wrong_type")
