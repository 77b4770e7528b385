"""The other side of `isolate.py`: decodes one file in a process with limits and answers over a pipe.

Requests and answers are JSON lines; pixels follow their line as raw bytes. Nothing is pickled in either direction, so
a decoder that an attacker took over can lie about pixels and nothing else.
"""

import json
import os
import resource
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from videre.errors import REFUSED, VideoError
from videre.types import JSON
from videre.video import open as opening
from videre.video.limits import Limits
from videre.video.source import Source


def serve() -> None:
    """Answers until the parent closes the pipe. Arguments of the process: descriptors of file and life line."""
    file, life = int(sys.argv[1]), int(sys.argv[2])
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):  # what a library prints must not look like an answer
        os.dup2(null, standard)
    threading.Thread(target=_die_with_parent, args=(life,), daemon=True).start()
    try:
        _answer_all(requests, answers, file)
    finally:
        os._exit(0)  # a decoder's threads may hang on a tidy exit


def _answer_all(requests: Any, answers: Any, file: int) -> None:
    conversation = _Conversation(requests, answers)
    reader = None
    for request in iter(conversation.hear, None):
        with conversation.errors_told():
            if request["do"] == "open":
                limits = Limits(**request["limits"])
                _limit_process(limits)
                source = Source.adopt(file, request["name"])
                reader = opening.read(source, limits, request["backend"], request["track"])
                layout = reader.layout
                conversation.say(
                    opened=vars(layout), duration_seconds=reader.duration_seconds, remarks=reader.remarks()
                )
            elif reader is not None and request["do"] == "facts":
                conversation.say(facts=reader.facts(), remarks=reader.remarks())
            elif reader is not None:
                _show(reader, request, conversation)


def _show(reader: opening.Reader, request: dict[str, JSON], conversation: "_Conversation") -> None:
    layout = reader.layout.at_most(request["size_px"])
    row = np.empty((layout.height_px, layout.width_px, 3), np.uint8)
    for seconds in reader.shown(conversation.moments(request), request["size_px"], lambda: row):
        conversation.say(row, seconds=seconds)
    conversation.say(done=True, remarks=reader.remarks())


class _Conversation:
    """Lines in, lines and pixels out."""

    def __init__(self, requests: Any, answers: Any) -> None:
        self._requests, self._answers = requests, answers

    def hear(self) -> dict[str, JSON] | None:
        """The next request; None when the parent is done."""
        line = self._requests.readline()
        return json.loads(line) if line else None

    def say(self, pixels: np.ndarray | None = None, **answer: JSON) -> None:
        """One answer."""
        self._write(json.dumps(answer).encode() + b"\n")
        if pixels is not None:
            self._write(memoryview(pixels.reshape(-1).data))

    def _write(self, data: Any) -> None:
        view = memoryview(data)
        while len(view):
            view = view[self._answers.write(view) :]

    def moments(self, request: dict[str, JSON]) -> Iterator[float]:
        """The moments of a request; the parent is asked for more until it has none."""
        while request["moments"]:
            yield from request["moments"]
            if not request["more"]:
                return
            self.say(more=True)
            request = self.hear() or {"moments": []}

    def errors_told(self) -> "_ErrorsTold":
        """A block whose errors become answers."""
        return _ErrorsTold(self.say)


class _ErrorsTold:
    """Turns an exception into an answer."""

    def __init__(self, say: Callable[..., None]) -> None:
        self._say = say

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if isinstance(error, MemoryError):
            error = VideoError("needs more memory than the limit", code="too_much_memory", exit_code=REFUSED)
        if isinstance(error, VideoError):
            self._say(error=str(error), code=error.code, exit_code=error.exit_code)
        elif isinstance(error, Exception):
            self._say(error=f"{type(error).__name__}: {error}", code="", exit_code=0, kind=type(error).__name__)
        return isinstance(error, Exception)


def _limit_process(limits: Limits) -> None:
    """Memory, processor time, no files written, no core dump."""
    wishes = {
        resource.RLIMIT_AS: limits.child_bytes,
        resource.RLIMIT_CPU: max(1, round(limits.cpu_seconds)),
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    for what, most in wishes.items():
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, hard))  # the soft limit alone: its signal tells what happened


def _die_with_parent(life: int) -> None:
    os.read(life, 1)
    os._exit(0)
