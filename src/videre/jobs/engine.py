"""Where items are worked on. An engine takes items one by one and gives results back in the order they are ready.

The engine decides only where the work runs: keys, rows and the log are the same under each.
"""

import errno
import traceback
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from videre.errors import NO_MODEL, STOP_CODES, ModelError, VidereError
from videre.jobs.folder import OutOfSpace
from videre.jobs.item import Item, Work
from videre.jobs.log import seal
from videre.jobs.stop import Stop
from videre.record import error_record, to_row
from videre.types import Question

FULL = (errno.ENOSPC, errno.EDQUOT)
NO_QUESTION = Question("(no question)")


@dataclass(frozen=True)
class PerWorker:
    """Work that needs loading, such as a model: `load` is called once in each process, when there is an item to do.

    Args:
        load: gives the work function; for engines with other processes, a function at the top level of a module or a
            `functools.partial` of one.
    """

    load: Callable[[], Work]


@dataclass(frozen=True)
class Result:
    """What became of an item: its sealed row.

    Attributes:
        failed: the row is an error.
        by_model: it failed in the model or in the process, not by what is in the item.
    """

    key: str
    id: str
    line: bytes
    failed: bool = False
    by_model: bool = False


@runtime_checkable
class Engine(Protocol):
    """The seam: anything that turns items into results."""

    def results(self, items: Iterator[Item], work: Work | PerWorker, stop: Stop) -> Generator[Result, None, None]:
        """One result an item, as they finish, in any order; closing the generator gives up what is in hand.

        Takes an item only when it can begin, so that `items` may be endless; takes none once `stop.requested`, and
        gives up what is in hand once `stop.expired`. Failures of an item are results (`attempt`); what is raised
        ends the run.
        """
        ...


def loaded(work: Work | PerWorker) -> Work:
    """The work function, ready."""
    return work.load() if isinstance(work, PerWorker) else work


def attempt(work: Work, item: Item) -> Result:
    """The result of an item, an error row where the work raised.

    Raises:
        OutOfSpace: the work met a full disk, as every item after it would.
        ModelError: one of the `STOP_CODES`.
    """
    try:
        row = work(item)
        line = seal({"key": item.key, **row, "id": item.id})
        return Result(item.key, item.id, line, bool(row.get("error")))
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise OutOfSpace(f"item {item.id}: {error}") from error
        if isinstance(error, OutOfSpace) or (isinstance(error, ModelError) and error.code in STOP_CODES):
            raise
        return failure(error, item)


def failure(error: Exception, item: Item, *, by_model: bool = False) -> Result:
    """The error row of an item. A bug of the work also says where it was raised, as its message seldom does."""
    row = to_row(error_record(error, id=item.id, path=item.path, question=item.question or NO_QUESTION))
    if not isinstance(error, VidereError) and (frames := traceback.extract_tb(error.__traceback__)):
        row["error"]["where"] = f"{Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name}"
    by_model = by_model or (isinstance(error, ModelError) and error.exit_code == NO_MODEL)
    return Result(item.key, item.id, seal({"key": item.key, **row}), failed=True, by_model=by_model)
