"""An event loop in a thread of its own: callers that wait, callers that await and whole jobs share one connection."""

import asyncio
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """Runs coroutines for any thread of this process. The thread starts here and ends with `close`."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="videre-endpoint", daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """The coming result of a coroutine that runs now; cancelling it cancels the coroutine."""
        if self._loop.is_closed():
            work.close()
            raise RuntimeError("this connection is closed")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine. Ctrl-C ends the wait and the coroutine."""
        coming = self.submit(work)
        try:
            return coming.result()
        except BaseException:
            coming.cancel()
            raise

    def close(self, last: Coroutine[Any, Any, None]) -> None:
        """Cancels what still runs, runs `last`, and ends the thread. A fork of this process has nothing to end."""
        if self._loop.is_closed() or self.process != os.getpid():
            last.close()
            return
        if threading.current_thread() is self._thread:
            # Collected inside its own loop: nobody may wait here for what only this thread can do.
            self._loop.create_task(self._end(last)).add_done_callback(lambda _: self._loop.stop())
            return
        asyncio.run_coroutine_threadsafe(self._end(last), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self, last: Coroutine[Any, Any, None]) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await last
        await self._loop.shutdown_default_executor()
