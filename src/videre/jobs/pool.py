"""Processes that work on items: one item at a time each, replaced when they die, ended when an item takes too long."""

import contextlib
import multiprocessing
import signal
import time
import traceback
from collections.abc import Generator, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler

from videre.errors import ModelError, VidereError
from videre.jobs.engine import PerWorker, Result, attempt, failure, loaded
from videre.jobs.item import Item, Work
from videre.jobs.stop import SIGNALS, Stop

READY = "ready"
LOOK_SECONDS = 0.2
LEAVE_SECONDS = 2.0


class Worker:
    """One process and the item it has in hand."""

    def __init__(self, work: Work | PerWorker, item: Item) -> None:
        context = multiprocessing.get_context("spawn")  # fork would copy locks, threads and an initialised GPU
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, work))
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # Ctrl-C reaches it too: it must not die of it
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()
        self.item: Item | None = item
        self.begun: float | None = None

    def begin(self, item: Item) -> None:
        """Hands over an item; the process is waiting for one."""
        self.item = item
        self.begun = time.monotonic()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # dead: seen at the next look
            self.connection.send(item)

    def late(self, limit_seconds: float | None) -> bool:
        """Whether its item has had its time."""
        return limit_seconds is not None and self.begun is not None and time.monotonic() - self.begun > limit_seconds

    def end(self) -> str:
        """Ends the process, politely where nothing is in hand, and tells how it ended."""
        self.connection.close()
        if self.item is None:
            self.process.join(LEAVE_SECONDS)
        self.process.kill()
        self.process.join()
        code = self.process.exitcode or 0
        self.process.close()
        return signal.Signals(-code).name if code < 0 else f"exit status {code}"


def pooled(
    items: Iterator[Item], work: Work | PerWorker, stop: Stop, *, workers: int, limit_seconds: float | None
) -> Generator[Result, None, None]:
    """Results of up to `workers` processes, each started when there is an item for it.

    Raises:
        TypeError: the work cannot be handed to another process.
        ModelError: a process died while it loaded the work.
    """
    _check(work)
    pool: list[Worker] = []
    try:
        while True:
            _hand_out(pool, items, work, stop, workers)
            busy = [worker for worker in pool if worker.item]
            if not busy or stop.expired:
                return
            wait([worker.connection for worker in busy], timeout=LOOK_SECONDS)
            for worker in busy:
                if result := _look(worker, pool, limit_seconds):
                    yield result
    finally:
        for worker in sorted(pool, key=lambda worker: worker.item is None):  # who is busy is killed first
            worker.end()


def _hand_out(pool: list[Worker], items: Iterator[Item], work: Work | PerWorker, stop: Stop, workers: int) -> None:
    idle = [worker for worker in pool if worker.item is None]
    while not stop.requested and (idle or len(pool) < workers):
        item = next(items, None)
        if item is None:
            return
        if idle:
            idle.pop().begin(item)
        else:
            pool.append(Worker(work, item))


def _look(worker: Worker, pool: list[Worker], limit_seconds: float | None) -> Result | None:
    item = worker.item
    assert item is not None  # noqa: S101 - only busy workers are looked at
    alive = worker.process.is_alive()  # asked first: what it sent before it died is still read
    try:
        message = worker.connection.recv() if worker.connection.poll() else None
    except (EOFError, OSError):
        message, alive = None, False
    if isinstance(message, Exception):
        raise message
    if message == READY:
        worker.begin(item)
        return None
    if message is not None:
        worker.item = None
        return message
    if not alive or worker.late(limit_seconds):
        pool.remove(worker)
        return _lost(worker, item, None if not alive else limit_seconds)
    return None


def _lost(worker: Worker, item: Item, limit_seconds: float | None) -> Result:
    loading = worker.begun is None
    how = worker.end()
    if limit_seconds is not None:
        error = VidereError(f"no answer within {limit_seconds:g} s: its process was ended", code="timeout")
        return failure(error, item, by_model=False)
    hint = ", often a lack of memory" if how == "SIGKILL" else ""
    if loading:
        raise ModelError(f"a worker process died while it loaded the work ({how}{hint})", code="worker_died")
    error = VidereError(f"the worker process died of this item ({how}{hint})", code="worker_died")
    return failure(error, item, by_model=True)


def _check(work: Work | PerWorker) -> None:
    try:
        ForkingPickler.dumps(work)
    except Exception as error:
        raise TypeError(
            f"work for other processes is a function at the top level of a module, or a partial of one: {error}"
        ) from error


def _serve(connection: Connection, work: Work | PerWorker) -> None:
    """The life of a process: load, then answer items until the other end is closed."""
    for signum in SIGNALS:
        signal.signal(signum, signal.SIG_IGN)  # the parent ends it
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the other end is closed: done
        try:
            do = loaded(work)
        except Exception as error:
            connection.send(_portable(error))
            return
        connection.send(READY)
        while True:
            item = connection.recv()
            try:
                connection.send(attempt(do, item))
            except VidereError as error:
                connection.send(error)


def _portable(error: Exception) -> Exception:
    """An error that survives the way to the parent; one that is not ours with its traceback as text."""
    if isinstance(error, VidereError):
        return error
    return RuntimeError("in a worker process:\n" + "".join(traceback.format_exception(error)))
