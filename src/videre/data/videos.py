"""Where the video of a row lies: a name relative to the dataset's video root, found with or without its extension.

A row never reaches outside the root: absolute names, `..` and links that lead out are refused with exit code 7.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

from videre.errors import NO_INPUT, REFUSED, DataError

EXTENSIONS = ("", ".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v", ".gif", ".MP4")
"""What is tried after a name, in this order; the empty one is the name as it stands in the row."""

FOLDERS = ("", "videos", "video", "data", "NExTVideo")
"""Where a name is looked for below the root, in this order: the folders that the benchmarks' archives unpack to."""

PREFIXES = ("", "v_")
"""What is tried before the file's name: ActivityNet's files start with `v_`, its question files leave that out."""


@runtime_checkable
class HasVideo(Protocol):
    """Anything that names a video relative to a root: a sample, a pair, a caption row."""

    @property
    def video(self) -> str:
        """The name, relative to the video root."""
        ...


Item = TypeVar("Item", bound=HasVideo)


class Present(NamedTuple):
    """The items whose video is there and those whose video is not, in order; prints `n present / n defined`."""

    here: list
    missing: list

    def __str__(self) -> str:
        return f"{len(self.here)} present / {len(self.here) + len(self.missing)} defined"


def checked_name(name: str, *, where: str = "") -> str:
    """The name itself where it stays below the root.

    Args:
        name: a path relative to the video root, with forward slashes.
        where: file and line for the message.

    Raises:
        DataError: the name is absolute, climbs by `..`, is a URL or has control characters (exit code 7).
    """
    reason = _escape(name)
    if reason is None:
        return name
    shown = f"{where}: {name!r}" if where else repr(name)
    fix = "write the path relative to the video root"
    raise DataError(f"{shown} {reason}; {fix}", code="escapes_root", exit_code=REFUSED)


def resolve(root: str | os.PathLike, name: str, *, folders: Sequence[str] = FOLDERS) -> Path:
    """The path of a video that is there.

    Args:
        root: the folder that the dataset's videos lie in.
        name: the video of a row, relative to the root, with or without extension.
        folders: folders below the root to look in, in order.

    Raises:
        DataError: no such file (`missing_video`, exit code 3), or the name or a link leads out of the root
            (`escapes_root`, exit code 7).
    """
    found = _find(root, name, folders=folders)
    if found is None:
        tried = ", ".join(extension for extension in EXTENSIONS if extension)
        reason = f"{name!r} is not under {os.fspath(root)} (as it stands or with {tried})"
        fix = "fetch the video, or pass the folder that holds it as the video root"
        raise DataError(f"{reason}; {fix}", code="missing_video", exit_code=NO_INPUT)
    return found


def present(samples: Iterable[Item], root: str | os.PathLike, *, folders: Sequence[str] = FOLDERS) -> Present:
    """The samples split by whether their video is there: `here, missing = present(samples, root)`.

    Nothing is dropped: `len(here) + len(missing)` is the number of samples that the benchmark defines.

    Raises:
        DataError: a name or a link leads out of the root (exit code 7).
    """
    known: dict[str, bool] = {}
    split = Present([], [])
    for sample in samples:
        if sample.video not in known:
            known[sample.video] = _find(root, sample.video, folders=folders) is not None
        (split.here if known[sample.video] else split.missing).append(sample)
    return split


def _escape(name: str) -> str | None:
    if not name.strip():
        return "is an empty video name"
    if not PurePosixPath(name).name:
        return "names no file"
    if any(ord(letter) < 32 for letter in name):
        return "has control characters"
    if "://" in name:
        return "is a URL, not a file"
    if name.startswith("/") or PureWindowsPath(name).drive or name.startswith("\\"):
        return "is an absolute path"
    if ".." in name.replace("\\", "/").split("/"):
        return "climbs out of the video root by '..'"
    return None


def _find(root: str | os.PathLike, name: str, *, folders: Sequence[str]) -> Path | None:
    checked_name(name)
    base = Path(root)
    for candidate in _candidates(base, name, folders=folders):
        if os.path.isfile(candidate):
            return _inside(base, candidate)
    return None


def _candidates(base: Path, name: str, *, folders: Sequence[str]) -> Iterable[Path]:
    for folder in folders:
        plain = base / folder / name
        for prefix in PREFIXES:
            for extension in EXTENSIONS:
                yield plain.with_name(f"{prefix}{plain.name}{extension}")


def _inside(base: Path, candidate: Path) -> Path:
    if candidate.resolve().is_relative_to(base.resolve()):
        return candidate
    reason = f"{candidate} is a link that leads out of the video root {base}"
    fix = "copy the file there, or pass the folder that the links point into"
    raise DataError(f"{reason}; {fix}", code="escapes_root", exit_code=REFUSED)
