"""An engine of threads: for models on a server, which answer many questions at once while this machine waits."""

import contextlib
import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from videre.jobs.engine import PerWorker, Result, attempt, loaded
from videre.jobs.item import Item, Work
from videre.jobs.stop import Stop

LOOK_SECONDS = 0.2
Given = SimpleQueue[Item | None]
Ended = SimpleQueue[Result | BaseException]


@dataclass(frozen=True)
class Threads:
    """Works on `count` items at a time in this process; what `PerWorker` loads is loaded once and shared.

    The threads do not hold the process: a request that was given up, and may wait for minutes, ends with it.
    """

    count: int

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"at least one thread works, got {self.count}")

    def results(self, items: Iterator[Item], work: Work | PerWorker, stop: Stop) -> Generator[Result, None, None]:
        """As `videre.jobs.Engine.results`."""
        do: Work | None = None
        given: Given = SimpleQueue()
        ended: Ended = SimpleQueue()
        threads = busy = 0
        try:
            while True:
                while busy < self.count and not stop.requested and (item := next(items, None)) is not None:
                    do = do or loaded(work)
                    given.put(item)
                    busy += 1
                    if threads < busy:
                        threading.Thread(target=_serve, args=(do, given, ended), daemon=True).start()
                        threads += 1
                if not busy or stop.expired:
                    return
                found = _ready(ended)
                busy -= len(found)
                # Answers first: they are not lost where one of the others ends the run.
                for result in sorted(found, key=lambda one: isinstance(one, BaseException)):
                    if isinstance(result, BaseException):
                        raise result
                    yield result
        finally:
            for _ in range(threads):
                given.put(None)


def _ready(ended: Ended) -> list[Result | BaseException]:
    """What has ended by now; waits a moment for the first."""
    found = list[Result | BaseException]()
    with contextlib.suppress(Empty):
        found.append(ended.get(timeout=LOOK_SECONDS))
        while True:
            found.append(ended.get_nowait())
    return found


def _serve(work: Work, given: Given, ended: Ended) -> None:
    """The life of a thread: items until there is none."""
    while (item := given.get()) is not None:
        try:
            ended.put(attempt(work, item))
        except BaseException as error:  # what ends the run, `sys.exit` in a person's own code too
            ended.put(error)
