"""The run folder: one owner at a time, one set of inputs, and derived files that are whole or absent."""

import contextlib
import errno
import fcntl
import json
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from videre.errors import OUT_OF_SPACE, ConfigError, VidereError
from videre.types import JSON

LOG = "answers.jsonl"
MANIFEST = "manifest.json"
RECIPE = "recipe.json"
STATUS = "status.json"
LOCK = ".lock"
NO_PLACE = (
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.EACCES,
    errno.EPERM,
    errno.ENAMETOOLONG,
    errno.ELOOP,
)
"""A path that no room on the disk would make writable."""

SHOWN = 8
"""How many differences a refusal names."""


class OutOfSpace(VidereError):  # noqa: N818 - the state of a disk, named in exit codes and docs
    """The output cannot be written (disk full, quota, read-only): what was written is kept and can be resumed."""

    exit_code = OUT_OF_SPACE
    code = "out_of_space"


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns a failed write into `OutOfSpace`, or into `ConfigError` where nothing can be written at such a path."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_PLACE:
            message = f"cannot write {path}: {error.strerror}; choose a folder that you may write to"
            raise ConfigError(message, code="no_place") from error
        raise OutOfSpace(f"cannot write {path}: {error.strerror or error}") from error


def replace_file(path: str | Path, content: str | bytes) -> None:
    """Writes a derived file (metrics, tables, status) so that a reader sees the old one or the new one, whole.

    Raises:
        OutOfSpace: it could not be written; the old file is untouched.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.partial")
    data = content.encode() if isinstance(content, str) else content
    with writing(path):
        try:
            with open(partial, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        except OSError:
            partial.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes a new or renamed file in the folder survive a power cut."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def new_folder(folder: str | Path) -> Path:
    """The folder itself, made here, or the first of `folder-2`, `folder-3`, ... that does not exist yet.

    Raises:
        ConfigError: nothing can be written at such a path.
        OutOfSpace: there is no room for it.
    """
    folder = Path(folder)
    number = 1
    with writing(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
    while True:
        path = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        with writing(path), contextlib.suppress(FileExistsError):
            path.mkdir()
            return path
        number += 1


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Makes the folder and holds it for this process; the lock goes with the process, however that ends.

    Raises:
        ConfigError: another process holds it (code "locked"), named by pid, host and time.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    held = [fd]
    os.register_at_fork(after_in_child=lambda: _let_go(held))  # a child that outlives us would go on holding it
    try:
        _take(fd, folder)
        with writing(folder / LOCK):
            owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": now()}
            os.ftruncate(fd, 0)
            os.pwrite(fd, json.dumps(owner).encode(), 0)
        yield
    finally:
        if held:
            fcntl.flock(fd, fcntl.LOCK_UN)  # a child just forked shares the lock until it has run and let go
        _let_go(held)  # the file stays: unlinking it would let two owners hold two files of one name


def is_locked(folder: Path) -> bool:
    """Whether a process, this one too, holds the folder now."""
    try:
        fd = os.open(folder / LOCK, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def check_own(folder: Path) -> None:
    """Raises `ConfigError` ("not_a_run") where the log is not a run's, before anything in it is mended."""
    log = folder / LOG
    if log.is_file() and log.stat().st_size and _read(folder / MANIFEST) is None:
        raise ConfigError(f"{folder} has {LOG} but no readable {MANIFEST}: give another folder", code="not_a_run")


def check_manifest(folder: Path, manifest: Mapping[str, JSON], *, empty: bool, force: bool) -> None:
    """Keeps the inputs of the run beside its rows, and refuses to mix rows of other inputs with them.

    Args:
        empty: no row is there yet, so that nothing can be mixed.
        force: take the new inputs; rows whose keys still match are kept, the others are answered again.

    Raises:
        ConfigError: the inputs differ (code "changed_inputs").
    """
    path = folder / MANIFEST
    new = json.loads(json.dumps(manifest, sort_keys=True, allow_nan=False))
    old = _read(path)
    if old == new:
        return
    if not empty and not force:
        differences = "; ".join(difference(old, new))
        advice = "give another folder, or --new-run or --force where the command has them"
        raise ConfigError(f"{folder} was begun with other inputs: {differences}: {advice}", code="changed_inputs")
    if not empty and old is not None:
        history = len(list(folder.glob("manifest-*.json"))) + 1
        replace_file(folder / f"manifest-{history}.json", json.dumps(old, indent=2))
    replace_file(path, json.dumps(new, indent=2))


def begun(folder: Path, recipe: Mapping[str, JSON]) -> None:
    """Keeps a recipe beside what it makes, so that no other one goes on from there.

    Raises:
        ConfigError: the folder was begun with another one (code "changed_inputs"); what differs is named.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    path, new = folder / RECIPE, json.loads(json.dumps(recipe))
    old = _read(path)
    if old is None:
        replace_file(path, json.dumps(new, indent=1) + "\n")
    elif old != new:
        differences = "; ".join(difference(old, new))
        advice = "give another folder with -o, or the old recipe"
        raise ConfigError(f"{folder} was begun with another recipe: {differences}: {advice}", code="changed_inputs")


def difference(old: JSON, new: JSON) -> list[str]:
    """What changed between two manifests, one readable part a value, at most `SHOWN` of them.

    >>> difference({"model": {"id": "a", "seed": 0}}, {"model": {"id": "b", "seed": 0}})
    ["model.id was 'a', now 'b'"]
    """
    before, after = dict(_leaves(old)), dict(_leaves(new))
    names = [name for name in sorted(before | after) if before.get(name, "absent") != after.get(name, "absent")]
    shown = [f"{name} was {_short(before, name)}, now {_short(after, name)}" for name in names[:SHOWN]]
    return shown + ([f"and {len(names) - SHOWN} more"] if len(names) > SHOWN else [])


def now() -> str:
    """The time of day, for people: it stands in no key."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _let_go(held: list[int]) -> None:
    while held:
        os.close(held.pop())


def _take(fd: int, folder: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = _read(folder / LOCK) or {}
        who = "pid {pid} on {host} since {since}".format(**owner) if len(owner) == 3 else "another process"
        raise ConfigError(f"{folder} is locked by {who}: wait for it, or give another folder", code="locked") from None
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be locked ({error.strerror}): give a local folder", code="no_lock"
        ) from error


def _read(path: Path) -> JSON:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def _leaves(value: JSON, name: str = "") -> Iterator[tuple[str, JSON]]:
    if isinstance(value, dict) and value:
        for part, inner in value.items():
            yield from _leaves(inner, f"{name}.{part}" if name else part)
    else:
        yield name, value


def _short(values: Mapping[str, JSON], name: str) -> str:
    text = repr(values[name]) if name in values else "absent"
    return text if len(text) <= 60 else f"{text[:40]}...{text[-12:]}"
