"""How far a run is: counts, a progress bar or lines on stderr, and a JSON status file for dashboards."""

import contextlib
import json
import os
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from videre.errors import DataError
from videre.jobs.folder import STATUS, OutOfSpace, is_locked, now, replace_file
from videre.types import JSON


@dataclass
class Tally:
    """The counts of a run.

    Attributes:
        done: items with an answer, from this run or before.
        failed: items whose row is an error, from this run or before.
        skipped: how many of both were there before.
        total: how many items there are; None where they come from an iterator that has not ended.
        taken: items that were looked at.
    """

    total: int | None
    done: int = 0
    failed: int = 0
    skipped: int = 0
    taken: int = 0

    @property
    def written(self) -> int:
        """Rows written by this run."""
        return self.done + self.failed - self.skipped

    @property
    def left(self) -> int | None:
        """Items without a row; None where the total is not known."""
        return None if self.total is None else max(0, self.total - self.done - self.failed)

    def count(self, *, failed: bool, skipped: bool = False) -> None:
        """Counts one item."""
        self.done += not failed
        self.failed += failed
        self.skipped += skipped


class Progress:
    """Shows a tally while it grows.

    Args:
        quiet: nothing on stderr; the status file is written all the same.
        every: how many items a line on stderr, where that is no terminal.
    """

    def __init__(self, folder: Path, tally: Tally, *, quiet: bool, every: int | None = None) -> None:
        self.folder = folder
        self.tally = tally
        self.began = time.monotonic()
        self.every = every or max(1, min(1000, (tally.total or 2000) // 20))
        self.quiet = quiet
        self.lines = not quiet and not sys.stderr.isatty()
        self.bar = tqdm(total=tally.total, unit="item", disable=quiet or self.lines, file=sys.stderr)

    def count(self, *, failed: bool, skipped: bool = False) -> None:
        """Counts one item and shows it."""
        self.tally.count(failed=failed, skipped=skipped)
        self.bar.update(1)
        if failed:
            self.bar.set_postfix(failed=self.tally.failed, refresh=False)
        if self.lines and not skipped and self.tally.written % self.every == 0:
            print(self.line(), file=sys.stderr, flush=True)

    def warn(self, text: str) -> None:
        """Says one line on stderr; not by `print`, as a signal handler may interrupt one."""
        if text and not self.quiet:
            with contextlib.suppress(OSError):
                os.write(2, f"{'' if self.bar.disable else chr(10)}{text}\n".encode(errors="replace"))

    def line(self) -> str:
        """The tally in one line."""
        facts = self.facts()
        total = "" if self.tally.total is None else f"/{self.tally.total}"
        eta = "" if facts["eta_seconds"] is None else f", about {facts['eta_seconds']:.0f} s left"
        count = self.tally.done + self.tally.failed
        return f"{count}{total} items, {self.tally.failed} failed, {facts['items_per_second'] or 0:.3g} a second{eta}"

    def facts(self) -> dict[str, JSON]:
        """What the status file says of the counts; speed is of this run, without what was there before."""
        tally, elapsed = self.tally, time.monotonic() - self.began
        speed = tally.written / elapsed if tally.written and elapsed > 0 else None
        counts = {"done": tally.done, "failed": tally.failed, "skipped": tally.skipped}
        return {
            **counts,
            "left": tally.left,
            "total": tally.total,
            "items_per_second": speed,
            "eta_seconds": tally.left / speed if speed and tally.left is not None else None,
            "elapsed_seconds": elapsed,
        }

    def write(self, state: str = "running", **more: JSON) -> None:
        """Writes the status file; where even that finds no space, the log is what tells."""
        owner = {"pid": os.getpid(), "host": socket.gethostname(), "updated": now()}
        text = json.dumps({"state": state, **self.facts(), **more, **owner})
        with contextlib.suppress(OutOfSpace):
            replace_file(self.folder / STATUS, text + "\n")

    def close(self) -> None:
        """Leaves the bar as it stands."""
        self.bar.close()


def status(folder: str | Path) -> dict[str, JSON]:
    """The last status of a run; its state is "killed" where it still says "running" and no process holds the folder.

    Raises:
        DataError: the folder has no status.
    """
    try:
        facts = json.loads((Path(folder) / STATUS).read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{folder} is not a run: no readable {STATUS}", code="no_run") from error
    if facts["state"] == "running" and not is_locked(Path(folder)):
        facts["state"] = "killed"
    return facts
