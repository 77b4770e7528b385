"""The log: one sealed JSON line a row, only ever appended to, mended when it is opened.

A seal is a checksum at the end of the line, so that a flipped byte is found even where the line is still JSON. The
row that counts is the last one of its id: a second try, or an answer to changed inputs, supersedes the first.
"""

import contextlib
import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

from videre.errors import DataError
from videre.jobs.folder import LOG, sync_folder, writing
from videre.record import dumps
from videre.types import JSON

ASIDE = "set_aside.txt"
FAILED = 1
GIVEN = 2
"""Flags in the low bits of what the log remembers of an id; GIVEN: this run was handed the id."""


def seal(row: Mapping[str, JSON]) -> bytes:
    """The row as one line with its checksum."""
    body = dumps(row).encode()[:-1]
    return body + _checksum(body) + b"\n"


def unseal(line: bytes) -> dict[str, JSON] | None:
    """The row of a line, None where the line is not as it was written."""
    line = line.removesuffix(b"\n")
    body = line[: -len(_checksum(b""))]
    if line != body + _checksum(body):
        return None
    with contextlib.suppress(ValueError):
        row = json.loads(body + b"}")
        return row if isinstance(row.get("id"), str) and isinstance(row.get("key"), str) else None
    return None


def rows(folder: str | Path) -> Iterator[dict[str, JSON]]:
    """The rows of a run, one an id, in the order they were written; a run may be adding to them meanwhile.

    Raises:
        DataError: there is no run, or a line is damaged; the message names it.
    """
    path = Path(folder) / LOG
    if not path.exists():
        raise DataError(f"{folder} is not a run: it has no {LOG}", code="no_run")
    last: dict[bytes, int] = {}
    for number, (offset, line) in enumerate(_lines(path), start=1):
        if not line.endswith(b"\n"):
            break  # being written, or torn by a kill
        row = unseal(line) or _damaged(path, f"line {number} is damaged")
        last[_digest(row["id"])] = offset
    with open(path, "rb") as file:
        for offset in last.values():
            file.seek(offset)
            yield unseal(file.readline()) or _damaged(path, "changed while it was read")


class Log:
    """The open log of a run folder: what is known, and the place to add to it.

    Attributes:
        trimmed_bytes: length of the torn tail that was cut off when the log was opened.
        set_aside: how many damaged lines were moved to `set_aside.txt`; their items are answered again.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOG
        self.trimmed_bytes = 0
        self.set_aside = 0
        self._known: dict[bytes, int] = {}  # about 170 bytes a row: 10^6 rows fit
        self._broken: OSError | None = None
        self._dirty = False
        with writing(self.path):
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            sync_folder(folder)
            self._mend()
            self._size = os.fstat(self._fd).st_size

    def __len__(self) -> int:
        """How many ids have a row; those that were only handed out have none."""
        return sum(value > GIVEN | FAILED for value in self._known.values())

    def give(self, key: str, id: str) -> str | None:
        """Marks an item as handed out in this run: "done" or "failed" where its row is there, else None.

        Raises:
            DataError: this run was given the id before.
        """
        digest, value = _digest(id), _value(key)
        known = self._known.get(digest, 0)
        if known & GIVEN:
            raise DataError(f"two items share the id {id!r}: ids are unique in a run", code="duplicate_id")
        same = known >> 2 == value >> 2 and known > 0
        self._known[digest] = (known if same else 0) | GIVEN
        if not same:
            return None
        return "failed" if known & FAILED else "done"

    def append(self, line: bytes, *, key: str, id: str, failed: bool) -> None:
        """Adds a row; when this returns the row survives the end of the process.

        Raises:
            OutOfSpace: it could not be written; the log ends with the row before.
        """
        with writing(self.path):
            if self._broken:
                raise self._broken
            try:
                written = 0
                while written < len(line):
                    written += os.write(self._fd, line[written:])
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._fd, self._size)
                raise
        self._size += len(line)
        self._known[_digest(id)] = _value(key) | GIVEN | (FAILED if failed else 0)
        self._dirty = True

    def sync(self) -> None:
        """Makes the rows survive a power cut; called every second, and a failure is told by the next `append`."""
        if self._dirty:
            self._dirty = False
            try:
                os.fsync(self._fd)
            except OSError as error:
                self._broken = error

    def settle(self) -> None:
        """Makes all rows survive a power cut.

        Raises:
            OutOfSpace: it cannot be promised.
        """
        self.sync()
        with writing(self.path):
            if self._broken:
                raise self._broken

    def close(self) -> None:
        """Syncs and closes."""
        self.sync()
        os.close(self._fd)

    def _mend(self) -> None:
        damaged: set[int] = set()
        end = 0
        for offset, line in _lines(self.path):
            row = unseal(line)
            end = offset + len(line)
            if row is not None:
                failed = FAILED if row.get("error") else 0
                self._known[_digest(row["id"])] = _value(row["key"]) | failed
                if not line.endswith(b"\n"):  # killed between the row and its line end
                    os.write(self._fd, b"\n")
            elif line.endswith(b"\n"):
                damaged.add(offset)
            else:
                os.ftruncate(self._fd, offset)
                self.trimmed_bytes = end - offset
        if damaged:
            self._move_aside(damaged)

    def _move_aside(self, damaged: set[int]) -> None:
        partial = self.path.with_name(f".{LOG}.partial")
        with open(self.path.with_name(ASIDE), "ab") as aside, open(partial, "wb") as kept:
            for offset, line in _lines(self.path):
                (aside if offset in damaged else kept).write(line)
            for file in (aside, kept):
                file.flush()
                os.fsync(file.fileno())
        os.replace(partial, self.path)
        sync_folder(self.path.parent)
        os.close(self._fd)
        self._fd = os.open(self.path, os.O_RDWR | os.O_APPEND)
        self.set_aside = len(damaged)


def _damaged(path: Path, how: str) -> NoReturn:
    raise DataError(f"{path}: {how}: run the same command again, it mends the log and answers what is lost")


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    offset = 0
    with open(path, "rb") as file:
        for line in file:
            yield offset, line
            offset += len(line)


def _checksum(body: bytes) -> bytes:
    return b', "crc32": "%08x"}' % zlib.crc32(body)


def _digest(id: str) -> bytes:
    return hashlib.blake2b(id.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _value(key: str) -> int:
    """62 bits of the key, never zero, above the two flags: enough, as it is only compared under one id."""
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest) | 4) & ~3
