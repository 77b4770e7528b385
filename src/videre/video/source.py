"""Bytes that a person named: a regular file held by its descriptor, or a bytes object.

FFmpeg is never given a name. It reads through `Source.reader()`, so no string can make it open a network address, a
device, a pattern or another file, and odd names ("-x", "a%03d|b") are literal.
"""

import contextlib
import difflib
import hashlib
import io
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from typing import Any

from videre.errors import REFUSED, VideoError

_PROTOCOL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+[:,]")  # two letters at least: "c:\clip.mp4" is a path
_KERNEL_FOLDERS = ("/proc/", "/sys/", "/dev/")


class Source:
    """A regular file or a bytes object, opened once.

    Attributes:
        path: the name as given, or empty for bytes.
        name: the same for messages: one line, printable.
        size_bytes: when it was opened.
    """

    def __init__(self, source: str | os.PathLike[str] | bytes) -> None:
        self._descriptor = -1
        self._bytes = b""
        if isinstance(source, bytes | bytearray | memoryview):
            self.path, self.name, self._bytes = "", "<bytes>", bytes(source)
            self.size_bytes = len(self._bytes)
            return
        self.path = os.fsdecode(source)
        self.name = printable(self.path)
        self._descriptor, self._opened = _open_regular(self.path, self.name)
        self.size_bytes = self._opened.st_size

    @classmethod
    def adopt(cls, descriptor: int, name: str) -> "Source":
        """A source around a descriptor that another process checked; it is never compared with a path."""
        source = cls(b"")
        source.path, source.name, source._descriptor = "", name, descriptor
        source._opened = os.fstat(descriptor)
        source.size_bytes = source._opened.st_size
        return source

    @contextlib.contextmanager
    def inheritable(self) -> Iterator[int]:
        """A descriptor that a child process can read; bytes are put into a nameless file."""
        if self._descriptor >= 0:
            yield self._descriptor
            return
        with tempfile.TemporaryFile() as file:
            file.write(self._bytes)
            file.flush()
            yield file.fileno()

    def reader(self) -> io.RawIOBase | io.BytesIO:
        """A reader with its own position."""
        return io.BytesIO(self._bytes) if self._descriptor < 0 else _Reader(self._descriptor, self.size_bytes)

    def read(self, start: int, count: int) -> bytes:
        """At most `count` bytes from an offset."""
        return os.pread(self._descriptor, count, start) if self._descriptor >= 0 else self._bytes[start : start + count]

    def check_unchanged(self) -> None:
        """Raises `VideoError` ("changed") where the file was replaced or written to since it was opened."""
        if self._descriptor < 0:
            return
        seen = [os.fstat(self._descriptor)]
        with contextlib.suppress(OSError):  # unlinked since, or never had a name: what we hold is still whole
            seen.append(os.stat(self.path))
        if any(_identity(now) != _identity(self._opened) for now in seen):
            raise VideoError(
                f"{self.name}: the file changed while it was read; run again when it is complete", code="changed"
            )

    def sha256(self) -> str:
        """A hash of all bytes, as hex."""
        digest, reader = hashlib.sha256(), self.reader()
        while block := reader.read(1 << 20):
            digest.update(block)
        return digest.hexdigest()

    def close(self) -> None:
        """Gives the descriptor back; harmless twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class _Reader(io.RawIOBase):
    """Reads a shared descriptor at its own position; never past the size that was checked."""

    def __init__(self, descriptor: int, size_bytes: int) -> None:
        self._descriptor, self._size, self._position = descriptor, size_bytes, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = max(0, (0, self._position, self._size)[whence] + offset)
        return self._position

    def read(self, count: int = -1) -> bytes:
        left = max(0, self._size - self._position)
        block = os.pread(self._descriptor, left if count < 0 else min(count, left), self._position)
        self._position += len(block)
        return block

    def readinto(self, buffer: Any) -> int:
        block = self.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)


def printable(path: str) -> str:
    """A file name for one line of text: control characters and undecodable bytes are escaped."""
    text = path.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _open_regular(path: str, name: str) -> tuple[int, os.stat_result]:
    """Opens a regular file without waiting on a FIFO or touching a device. Raises `VideoError`."""
    try:
        _check_regular(os.stat(path), path, name)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | getattr(os, "O_NOCTTY", 0))
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise _missing(path, name) from error
    except PermissionError as error:
        raise _forbidden(path, name) from error
    except OSError as error:
        raise VideoError(f"{name}: cannot be opened ({error.strerror}); check the path", code="no_such_file") from error
    opened = os.fstat(descriptor)
    try:
        _check_regular(opened, path, name)
    except VideoError:
        os.close(descriptor)
        raise
    return descriptor, opened


def _check_regular(found: os.stat_result, path: str, name: str) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise VideoError(f"{name}: is a directory; did you mean {name.rstrip('/')}/*.mp4?", code="is_directory")
    real = os.path.realpath(path)
    kernel = real.startswith(_KERNEL_FOLDERS) and not real.startswith("/dev/shm/")  # noqa: S108  (a RAM disk)
    if kernel or not stat.S_ISREG(found.st_mode):
        raise VideoError(
            f"{name}: not a regular file; copy its content to a file first", code="not_a_file", exit_code=REFUSED
        )


def _missing(path: str, name: str) -> VideoError:
    if _PROTOCOL.match(path) and not os.path.lexists(path):
        return VideoError(
            f"{name}: a network address or protocol is not a file; download it and pass the path",
            code="not_a_path",
            exit_code=REFUSED,
        )
    folder, base = os.path.split(path)
    try:
        others = [name for name in os.listdir(folder or ".")[:10_000] if name != base]
        near = difflib.get_close_matches(base, others, n=3, cutoff=0.6)
    except (OSError, ValueError):
        near = []
    hint = f"did you mean {', '.join(map(printable, near))}?" if near else "check the path"
    dangling = " (a link to a file that is gone)" if "\0" not in path and os.path.islink(path) else ""
    return VideoError(f"{name}: no such file{dangling}; {hint}", code="no_such_file")


def _forbidden(path: str, name: str) -> VideoError:
    try:
        found = os.stat(path)
        who = f" (owner {found.st_uid}, mode {stat.filemode(found.st_mode)})"
    except OSError:
        who = ""
    return VideoError(f"{name}: no permission to read it{who}; change its mode", code="no_permission")


def _identity(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
