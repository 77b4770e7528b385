"""An item of work, and the key that says whether its answer is already known."""

import hashlib
import json
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from videre.types import JSON, Question


@dataclass(frozen=True)
class Item:
    """One thing to answer.

    Attributes:
        key: what the answer depends on, from `key`; the same key under the same id is not worked on again.
        id: its name, unique in a run; the row that counts is the last one of its id.
        payload: what the work function needs; must survive pickling where the engine uses other processes.
        path: the video, for the row of an item that failed.
        question: the question, for the row of an item that failed.
    """

    key: str
    id: str
    payload: Any = None
    path: str = ""
    question: Question | None = None

    def __post_init__(self) -> None:
        if not self.key or not self.id:
            raise ValueError(f"an item has a key and an id, got key={self.key!r} id={self.id!r}")


Work = Callable[[Item], Mapping[str, JSON]]
"""Answers one item with a row (`record.to_row`, or any JSON); an exception becomes an error row."""


def key(**inputs: JSON) -> str:
    """The sha256, as hex, of everything that an answer depends on: inputs only, never results or the clock.

    Values are JSON or dataclasses (a `Question`); the order of names does not matter.

    >>> key(video="9f", question="why?") == key(question="why?", video="9f")
    True

    Raises:
        TypeError: a value is neither JSON nor a dataclass.
        ValueError: a number is not finite.
    """
    text = json.dumps(inputs, sort_keys=True, allow_nan=False, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def file_key(path: str | Path, *, cheap: bool = False) -> str:
    """A file's part of a key: the sha256 of its bytes, or a cheap stand-in (absolute path, size, time of change).

    A file that is missing or unreadable has a key too, which changes when the file comes back: the item then fails
    in its own row, and is answered once the file is there. Devices and pipes are never opened.
    """
    try:
        facts = os.stat(path)
        if not stat.S_ISREG(facts.st_mode):
            return f"not-a-file:{path}"
        if cheap:
            return f"stand-in:{os.path.abspath(path)}:{facts.st_size}:{facts.st_mtime_ns}"
        return _sha256(os.path.abspath(path), facts.st_size, facts.st_mtime_ns)
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the path
        return f"unreadable:{type(error).__name__}:{path}"


@lru_cache(maxsize=4096)
def _sha256(path: str, size: int, mtime_ns: int) -> str:
    """Hashed once for the many questions on one video; size and time of change are there to drop a stale hash."""
    with open(path, "rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def _plain(value: Any) -> JSON:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"a key is made of JSON and dataclasses, got {type(value).__name__}: {value!r}")
