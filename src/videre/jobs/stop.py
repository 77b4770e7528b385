"""Stopping well: the first Ctrl-C or SIGTERM finishes what is in hand, the second stops now."""

import _thread
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
LAST_SECONDS = 1.0


class Now(BaseException):
    """Stop at once. No `Exception`, so that the work's own error handling does not swallow it."""


class Stop:
    """A wish to end the run, from a signal or from another thread.

    Args:
        grace_seconds: how long items in hand may take to finish.
    """

    def __init__(self, *, grace_seconds: float = 5.0) -> None:
        self.grace_seconds = grace_seconds
        self.signum: int | None = None
        self._deadline = float("inf")
        self._now = False
        self._over = threading.Event()

    @property
    def requested(self) -> bool:
        """Whether no further item may begin."""
        return self.signum is not None

    @property
    def expired(self) -> bool:
        """Whether the items in hand have had their time."""
        return time.monotonic() >= self._deadline

    def request(self, signum: int = signal.SIGINT) -> None:
        """Lets no further item begin; `signum` decides the exit code."""
        if self.signum is None:
            self._deadline = time.monotonic() + self.grace_seconds * 0.9  # engines leave before `_insist`
            self.signum = signum

    @contextlib.contextmanager
    def listening(self, say: Callable[[str], None]) -> Iterator[None]:
        """Requests this stop on SIGINT and SIGTERM, and says so. Does nothing outside the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def handle(signum: int, frame: FrameType | None) -> None:
            if self._now or self._over.is_set():
                return
            if self.requested:
                self._now = True
                raise Now
            self.request(signum)
            threading.Thread(target=self._insist, args=(signal.Signals(signum),), daemon=True).start()
            say(f"finishing what is in hand, at most {self.grace_seconds:g} s; again to stop now")

        before = {signum: signal.signal(signum, handle) for signum in SIGNALS}
        try:
            yield
        finally:
            self._over.set()
            for signum, handler in before.items():
                signal.signal(signum, handler)

    def _insist(self, signum: signal.Signals) -> None:
        if self._over.wait(self.grace_seconds):
            return
        _thread.interrupt_main(signum)
        if not self._over.wait(LAST_SECONDS):  # inside a call that never returns to Python: the rows are in the log
            os._exit(128 + signum)
