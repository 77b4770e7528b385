"""Stopping well: the first Ctrl-C or SIGTERM finishes what is in hand, the second stops now."""

import _thread
import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
ECHO_SECONDS = 0.1
"""A second signal so soon is the first one again, sent by the terminal and by a program between it and us."""
LAST_SECONDS = 0.5


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
        self._urgent = False
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
            self._deadline = time.monotonic() + self.grace_seconds * 0.9  # engines leave before the watch ends them
            self.signum = signum

    @contextlib.contextmanager
    def listening(self, say: Callable[[str], None]) -> Iterator[None]:
        """Requests this stop on SIGINT and SIGTERM, and says so. Does nothing outside the main thread.

        The signals are watched by a thread, through Python's wake-up pipe: a handler would wait for the main thread,
        which may be inside one long call into a library.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        heard, woken = os.pipe()
        os.set_blocking(woken, False)
        wakeup = signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        # What the shell told us to ignore (Ctrl-C, for a job in the background) stays ignored.
        ours = [signum for signum in SIGNALS if signal.getsignal(signum) not in (signal.SIG_IGN, None)]
        before = {signum: signal.signal(signum, self._handle) for signum in ours}
        watch = threading.Thread(target=self._watch, args=(heard, say), daemon=True)
        watch.start()
        try:
            yield
        finally:
            self._over.set()
            for signum, handler in before.items():
                signal.signal(signum, handler)
            signal.set_wakeup_fd(wakeup)
            os.write(woken, b"\0")
            watch.join()
            os.close(heard)
            os.close(woken)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        self.request(signum)  # as the watch does, and at once: what fails from here on may have been struck as well
        if self._urgent and not self._over.is_set():
            self._urgent = False
            raise Now

    def _watch(self, heard: int, say: Callable[[str], None]) -> None:
        signum = self._next(heard, float("inf"))
        if signum is None:
            return
        echo, end = time.monotonic() + ECHO_SECONDS, time.monotonic() + self.grace_seconds
        self.request(signum)
        say(f"finishing what is in hand, at most {self.grace_seconds:g} s; again to stop now")
        while self._next(heard, end) and time.monotonic() < echo:
            pass
        if self._over.is_set():
            return
        self._urgent = True
        _thread.interrupt_main(signum)
        if not self._over.wait(LAST_SECONDS):  # inside a call that does not return to Python: the rows are in the log
            os._exit(128 + signum)

    def _next(self, heard: int, end: float) -> signal.Signals | None:
        """The next signal of ours; None at the end of the time or of the run."""
        while not self._over.is_set():
            seconds = end - time.monotonic()
            if not select.select([heard], [], [], max(0.0, seconds) if seconds < float("inf") else None)[0]:
                return None
            signum = os.read(heard, 1)[0]
            if signum in SIGNALS:
                return signal.Signals(signum)
        return None
