"""A recipe's tables, as TOML gives them, into the values that they set; what is wrong with one is said in words."""

from collections.abc import Callable, Iterable
from dataclasses import fields
from difflib import get_close_matches
from typing import Any, TypeVar

from videre.errors import ConfigError

Made = TypeVar("Made")


def table(kind: Callable[..., Made], told: Any, place: str) -> Made:
    """A table as the dataclass that it sets; its lists become tuples.

    Args:
        kind: a dataclass whose fields are the keys of the table.
        told: what the recipe holds there.
        place: how messages name the table, such as "[fit]".

    Raises:
        ConfigError: no table, an unknown key (the nearest one is shown), a key that is missing, a value out of range.
    """
    known(told, [each.name for each in fields(kind)], place)  # type: ignore[arg-type]
    try:
        return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in told.items()})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{place}: {error}") from error


def known(told: Any, names: Iterable[str], place: str) -> None:
    """Returns where `told` is a table and every key of it is one of the names.

    Raises:
        ConfigError: it is not; the nearest name is shown.
    """
    if not isinstance(told, dict):
        raise ConfigError(f"{place} is a table, got {told!r}")
    there = list(names)
    for key in told:
        if key not in there:
            raise ConfigError(f"{place} has no {key!r}; {_nearest(key, there)}")


def one_of(value: str, names: Iterable[str], key: str) -> None:
    """Returns where a value is one of the names.

    Raises:
        ConfigError: it is not; the nearest name is shown.
    """
    there = list(names)
    if value not in there:
        raise ConfigError(f"{key} is {value!r}; {_nearest(value, there)}")


def _nearest(name: str, names: list[str]) -> str:
    close = get_close_matches(name, names, 1)
    return f"did you mean {close[0]!r}?" if close else f"there are {', '.join(names)}"
