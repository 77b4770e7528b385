"""An engine of threads: for models on a server, which answer many questions at once while this machine waits."""

from collections.abc import Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from videre.jobs.engine import PerWorker, Result, attempt, loaded
from videre.jobs.item import Item, Work
from videre.jobs.stop import Stop


@dataclass(frozen=True)
class Threads:
    """Works on `count` items at a time in this process; what `PerWorker` loads is loaded once and shared."""

    count: int

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"at least one thread works, got {self.count}")

    def results(self, items: Iterator[Item], work: Work | PerWorker, stop: Stop) -> Generator[Result, None, None]:
        """As `videre.jobs.Engine.results`."""
        do: Work | None = None
        running: set[Future[Result]] = set()
        pool = ThreadPoolExecutor(self.count, thread_name_prefix="videre-work")
        try:
            while True:
                while len(running) < self.count and not stop.requested and (item := next(items, None)) is not None:
                    do = do or loaded(work)
                    running.add(pool.submit(attempt, do, item))
                if not running or stop.expired:
                    return
                done, running = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
                # Answers first: they are not lost where one of the others ends the run.
                for future in sorted(done, key=lambda f: f.exception() is not None):
                    yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
