"""Runs items through an engine into the log of a folder: the same command continues where it ended."""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass
from pathlib import Path

from videre.errors import INTERRUPTED, OK, OUT_OF_SPACE, SOME_FAILED, TERMINATED, ModelError
from videre.jobs.engine import Engine, PerWorker, Result
from videre.jobs.folder import LOG, OutOfSpace, check_manifest, check_own, locked
from videre.jobs.item import Item, Work
from videre.jobs.local import Local
from videre.jobs.log import ASIDE, Log, unseal
from videre.jobs.status import Progress, Tally
from videre.jobs.stop import Now, Stop
from videre.types import JSON

WINDOW = 100
ENOUGH = 20
"""A run ends when half of its last `WINDOW` items, at least `ENOUGH`, failed in the model."""
STATES = {
    OK: "finished",
    SOME_FAILED: "finished",
    OUT_OF_SPACE: "out_of_space",
    INTERRUPTED: "interrupted",
    TERMINATED: "interrupted",
}


@dataclass(frozen=True)
class Outcome:
    """How a run ended. Run the same again to work on what is left.

    Attributes:
        done: items with an answer, from this run or before.
        failed: items whose row is an error, from this run or before.
        skipped: how many of both were there before.
        left: items without a row; None where the items came from an iterator that did not end.
        set_aside: damaged lines of the log that were moved to `set_aside.txt`; their items were answered again.
        exit_code: 0 all answered, 4 some failed, 6 out of space, 130 or 143 interrupted.
        path: the log.
        message: all this in one line, with the next step.
    """

    done: int
    failed: int
    skipped: int
    left: int | None
    set_aside: int
    exit_code: int
    path: Path
    message: str


def run(
    items: Iterable[Item],
    work: Work | PerWorker,
    *,
    folder: str | Path,
    manifest: Mapping[str, JSON],
    engine: Engine | None = None,
    retry_failed: bool = False,
    force: bool = False,
    total: int | None = None,
    quiet: bool = False,
    stop: Stop | None = None,
) -> Outcome:
    """Works on every item that has no row yet, and appends one row an item to `folder/answers.jsonl`.

    Args:
        items: may be an iterator of any length; ids are unique.
        work: answers an item with a row, or `PerWorker` where a model must be loaded first.
        manifest: the inputs of the whole run (model, selector, prompt, data hash, versions), JSON.
        engine: where the work runs; None is this process.
        retry_failed: work again on items whose row is an error; the new row then counts.
        force: accept a changed manifest; only items whose key changed are answered again.
        total: the number of items where `items` has no length.
        quiet: no progress on stderr.
        stop: lets another thread end the run.

    Raises:
        ConfigError: another process holds the folder ("locked"), its inputs differ ("changed_inputs"), or what lies
            there is not a run's ("not_a_run").
        DataError: two items share an id ("duplicate_id").
        ModelError: the model cannot be loaded, refused for good, or failed at most items ("failing").
    """
    folder, stop = Path(folder), stop or Stop()
    tally = Tally(len(items) if total is None and isinstance(items, Sized) else total)
    try:
        with locked(folder), contextlib.closing(_log(folder, force=force)) as log:
            check_manifest(folder, manifest, empty=len(log) == 0, force=force)
            progress = Progress(folder, tally, quiet=quiet)
            todo = _todo(items, log, progress, retry_failed)
            return _finish((engine or Local()).results(todo, work, stop), log, progress, stop)
    except OutOfSpace as error:  # before the first item
        return _outcome(tally, folder / LOG, str(error), stop)


def _log(folder: Path, *, force: bool) -> Log:
    if not force:
        check_own(folder)
    return Log(folder)


def _finish(results: Generator[Result, None, None], log: Log, progress: Progress, stop: Stop) -> Outcome:
    """Writes what the engine gives until it ends or is stopped, and says how it went."""
    problem = ""
    progress.warn(_mended(log))
    try:
        with stop.listening(progress.warn), _every_second(log.sync, progress.write), contextlib.closing(results):
            _collect(results, log, progress, stop)
        log.settle()
    except Now:
        pass
    except OutOfSpace as error:
        problem = str(error)
    except BaseException as error:
        progress.write("error", message=str(error))
        raise
    finally:
        progress.close()
    outcome = _outcome(progress.tally, log.path, problem, stop, set_aside=log.set_aside)
    progress.write(STATES[outcome.exit_code], exit_code=outcome.exit_code, message=outcome.message)
    return outcome


def _todo(items: Iterable[Item], log: Log, progress: Progress, retry_failed: bool) -> Iterator[Item]:
    for item in items:
        progress.tally.taken += 1
        known = log.give(item.key, item.id)
        if known is None or (known == "failed" and retry_failed):
            yield item
        else:
            progress.count(failed=known == "failed", skipped=True)
    progress.tally.total = progress.tally.taken  # an iterator has told its length only now


def _collect(results: Iterable[Result], log: Log, progress: Progress, stop: Stop) -> None:
    recent: deque[bool] = deque(maxlen=WINDOW)
    for result in results:
        if result.failed and stop.signum is not None:
            continue  # the signal may have struck what the item needed, such as a decoder: it is done again
        log.append(result.line, key=result.key, id=result.id, failed=result.failed)
        progress.count(failed=result.failed)
        recent.append(result.by_model)
        if len(recent) >= ENOUGH and 2 * sum(recent) >= len(recent):
            why = (unseal(result.line) or {}).get("error") or {}
            raise ModelError(
                f"{sum(recent)} of the last {len(recent)} items failed in the model, one with {why.get('message')!r}: "
                f"mend that and run the same again with failed rows retried; {len(log)} rows are kept",
                code="failing",
            )


def _outcome(tally: Tally, path: Path, problem: str, stop: Stop, *, set_aside: int = 0) -> Outcome:
    interrupted = stop.signum is not None and tally.left != 0
    exit_code = OUT_OF_SPACE if problem else 128 + (stop.signum or 0) if interrupted else OK
    if exit_code == OK and tally.failed:
        exit_code = SOME_FAILED
    kept = f"{tally.done} answered, {tally.failed} failed, {'?' if tally.left is None else tally.left} left in {path}"
    advice = {
        OUT_OF_SPACE: f"{problem}: {tally.written} rows written by this run are kept; make room and run the same again",
        SOME_FAILED: "failed rows can be retried",
    }.get(exit_code, "run the same again to continue" if interrupted else "")
    message = "; ".join(part for part in (kept, advice) if part)
    return Outcome(tally.done, tally.failed, tally.skipped, tally.left, set_aside, exit_code, path, message)


def _mended(log: Log) -> str:
    torn = f"{log.path}: cut off a torn tail of {log.trimmed_bytes} bytes" if log.trimmed_bytes else ""
    aside = f"{log.path}: moved {log.set_aside} damaged lines to {ASIDE}" if log.set_aside else ""
    return "; ".join(part for part in (torn, aside) if part)


@contextlib.contextmanager
def _every_second(*calls: Callable[[], None]) -> Iterator[None]:
    """Makes the calls once a second in a thread, as the main one may be inside one item for minutes."""
    over = threading.Event()

    def tick() -> None:
        while True:
            for call in calls:
                call()
            if over.wait(1.0):
                return

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
