"""A reader in a process of its own: a decoder that crashes, hangs or eats memory is an error of its file.

The child holds the file's descriptor, two pipes and nothing else; its limits are those of `Limits`.
"""

import dataclasses
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from videre.errors import REFUSED, VideoError
from videre.types import JSON
from videre.video.limits import Limits
from videre.video.picture import RGB, Layout
from videre.video.source import Source

_PROGRAM = "from videre.video.child import serve; serve()"
_AT_ONCE = 256
_LONGEST_LINE = 1 << 24


class IsolatedReader:
    """As `AvReader`, decoded elsewhere."""

    def __init__(self, source: Source, limits: Limits, backend: str, track: int | None) -> None:
        self._source, self._limits = source, limits
        self._request = {
            "do": "open",
            "name": source.name,
            "backend": backend,
            "track": track,
            "limits": dataclasses.asdict(limits),
        }
        self._lock = threading.Lock()
        self._idle: _Child | None = None
        child = self._take()
        self.duration_seconds = float(child.opened["duration_seconds"])
        told = child.opened["opened"]
        self.layout = Layout(**{**told, "turn": tuple(told["turn"])})
        self._remarks: tuple[str, ...] = tuple(child.opened["remarks"])
        self._give_back(child)

    def shown(self, moments: Iterable[float], size_px: int | None, row: Callable[[], RGB]) -> Iterator[float]:
        """As `AvReader.shown`."""
        pending = iter(moments)
        child = self._take()
        try:
            child.say({"do": "shown", "size_px": size_px, **_batch(pending)})
            while not (answer := child.hear()).get("done"):
                if answer.get("more"):
                    child.say(_batch(pending))
                else:
                    child.fill(row())
                    yield float(answer["seconds"])
            self._remarks = tuple(answer["remarks"])
        except BaseException:
            child.kill()
            raise
        self._give_back(child)

    def facts(self) -> dict[str, JSON]:
        """As `AvReader.facts`."""
        child = self._take()
        try:
            child.say({"do": "facts"})
            answer = child.hear()
        except BaseException:
            child.kill()
            raise
        self._give_back(child)
        return {**answer["facts"], "isolated": True}

    def remarks(self) -> tuple[str, ...]:
        """As `AvReader.remarks`, as of the last call that ended."""
        return self._remarks

    def close(self) -> None:
        """Ends the idle child."""
        with self._lock:
            child, self._idle = self._idle, None
        if child is not None:
            child.kill()

    def _take(self) -> "_Child":
        """The idle child, or a new one where that is busy with a stream."""
        with self._lock:
            child, self._idle = self._idle, None
        return child or _Child(self._source, self._limits, self._request)

    def _give_back(self, child: "_Child") -> None:
        with self._lock:
            spare, self._idle = self._idle, child
        if spare is not None:
            spare.kill()


def _batch(pending: Iterator[float]) -> dict[str, JSON]:
    moments = list(islice(pending, _AT_ONCE))
    return {"moments": moments, "more": len(moments) == _AT_ONCE}


class _Child:
    """One process and the pipes to it.

    Attributes:
        opened: its answer to the first request.
    """

    def __init__(self, source: Source, limits: Limits, request: dict[str, JSON]) -> None:
        self._name, self._limits = source.name, limits
        self._buffer = bytearray()
        life, self._life = os.pipe()
        with source.inheritable() as file:
            root = str(Path(__file__).parents[2])
            path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _PROGRAM, str(file), str(life)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=(file, life),
                start_new_session=True,  # Ctrl-C is for who asked: the frame in hand is finished or given up there
                cwd=tempfile.gettempdir() if os.name == "nt" else "/",
                env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"},
            )
        os.close(life)
        self._end = weakref.finalize(self, _kill, self._process, self._life)
        self.say(request)
        self.opened = self.hear()

    def say(self, request: dict[str, JSON]) -> None:
        """Sends one line."""
        assert self._process.stdin is not None  # noqa: S101  (a pipe, see above)
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def hear(self) -> dict[str, JSON]:
        """The next answer. Raises what the child raised, or what became of it."""
        deadline = time.monotonic() + self._limits.wall_seconds
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _LONGEST_LINE:
                raise self._ended()
            self._buffer += self._receive(1 << 16, deadline)
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        answer = json.loads(line)
        if "error" in answer:
            raise self._error(answer)
        return answer

    def fill(self, row: RGB) -> None:
        """Receives the pixels of one frame."""
        deadline = time.monotonic() + self._limits.wall_seconds
        view = memoryview(row.reshape(-1).data)
        ready = min(len(view), len(self._buffer))
        view[:ready] = self._buffer[:ready]
        del self._buffer[:ready]
        while ready < len(view):
            block = self._receive(len(view) - ready, deadline)
            view[ready : ready + len(block)] = block
            ready += len(block)

    def kill(self) -> None:
        """Ends the process at once; harmless twice."""
        self._end()

    def _receive(self, most: int, deadline: float) -> bytes:
        assert self._process.stdout is not None  # noqa: S101  (a pipe, see above)
        descriptor = self._process.stdout.fileno()
        ready = select.poll()  # `select.select` takes no descriptor above 1023
        ready.register(descriptor, select.POLLIN)
        if not ready.poll(max(0.0, deadline - time.monotonic()) * 1000):
            self.kill()
            what = f"{self._name}: the decoder hung for {self._limits.wall_seconds:g} s and was stopped"
            raise VideoError(f"{what}; convert it to MP4", code="decoder_hung")
        block = os.read(descriptor, min(most, 1 << 20))
        if not block:
            raise self._ended()
        return block

    def _error(self, answer: dict[str, JSON]) -> Exception:
        if answer["code"]:
            message = answer["error"] if self._name in answer["error"] else f"{self._name}: {answer['error']}"
            return VideoError(message, code=answer["code"], exit_code=answer["exit_code"])
        kinds: dict[str, type[Exception]] = {"ImportError": ImportError, "ModuleNotFoundError": ImportError}
        return kinds.get(answer["kind"], RuntimeError)(f"{self._name}: {answer['error']}")

    def _ended(self) -> VideoError:
        """What became of a child that says nothing more."""
        try:
            status = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            status = 0
        self.kill()
        if status == -signal.SIGXCPU:
            what = f"{self._name}: the decoder used {self._limits.cpu_seconds:g} s of processor time and was stopped"
            return VideoError(f"{what}; cut it into parts", code="decoder_over_time", exit_code=REFUSED)
        how = signal.Signals(-status).name if status < 0 else f"exit {status}"
        return VideoError(f"{self._name}: the decoder crashed ({how}); convert it to MP4", code="decoder_crashed")


def _kill(process: subprocess.Popen, life: int) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except BrokenPipeError:
                continue
    os.close(life)
