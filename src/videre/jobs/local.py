"""The engine of this machine: here in this process, or in others that are replaced when they die."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass

from videre.jobs.engine import PerWorker, Result, attempt, loaded
from videre.jobs.item import Item, Work
from videre.jobs.pool import pooled
from videre.jobs.stop import Stop


@dataclass(frozen=True)
class Local:
    """This machine: in this process, or in `workers` other processes that are replaced when they die.

    Args:
        workers: 0 or 1 works here, in order; more start that many processes.
        isolate: use another process for one worker too, so that its crash is a row and not the end.
        limit_seconds: an item that takes longer is ended with its process and becomes a row; implies `isolate`.
    """

    workers: int = 0
    isolate: bool = False
    limit_seconds: float | None = None

    def __post_init__(self) -> None:
        if self.workers < 0 or (self.limit_seconds is not None and self.limit_seconds <= 0):
            raise ValueError(f"workers >= 0 and limit_seconds > 0, got {self}")

    def results(self, items: Iterator[Item], work: Work | PerWorker, stop: Stop) -> Generator[Result, None, None]:
        """As `Engine.results`."""
        if self.workers <= 1 and not self.isolate and self.limit_seconds is None:
            return _here(items, work, stop)
        return pooled(items, work, stop, workers=max(1, self.workers), limit_seconds=self.limit_seconds)


def _here(items: Iterator[Item], work: Work | PerWorker, stop: Stop) -> Generator[Result, None, None]:
    do: Work | None = None
    for item in items:
        if stop.requested:
            return
        do = do or loaded(work)
        yield attempt(do, item)
