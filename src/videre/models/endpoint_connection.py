"""A connection that opens at its first use, once a process, and closes when nobody holds it any more."""

import os
import threading
import weakref
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

import httpx

from videre.errors import ModelError
from videre.models.endpoint_address import Address
from videre.models.endpoint_line import Line, Patience
from videre.models.endpoint_reply import Reply
from videre.models.endpoint_thread import LoopThread

T = TypeVar("T")
CONNECT_SECONDS = 10.0


class Connection:
    """One line to a server and the thread it runs in."""

    def __init__(self, address: Address, model: str, *, key: str | None, patience: Patience) -> None:
        self._address, self._model, self._key, self._patience = address, model, key, patience
        self._opening = threading.Lock()
        self._thread: LoopThread | None = None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine that may `ask`."""
        return self._open(work).run(work)

    def submit(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """The coming result of a coroutine that may `ask`."""
        return self._open(work).submit(work)

    async def ask(self, body: bytes) -> Reply:
        """As `Line.ask`; to be awaited in what `run` and `submit` were given."""
        return await self._line.ask(body)

    def close(self) -> None:
        """Ends what is under way. The next `run` opens the connection again."""
        with self._opening:
            if self._thread is not None:
                self._finalizer()
                self._thread = None

    def _open(self, work: Coroutine[Any, Any, Any]) -> LoopThread:
        # A fork inherits the values, not the thread: it opens its own.
        with self._opening:
            if self._thread is None or self._thread.process != os.getpid():
                try:
                    self._line = _line(self._address, self._model, self._key, self._patience)
                except BaseException:
                    # Ctrl-C included: work that nobody will run says so when it is dropped.
                    work.close()
                    raise
                self._thread = LoopThread()
                self._finalizer = weakref.finalize(self, _end, self._thread, self._line)
            return self._thread


def _end(thread: LoopThread, line: Line) -> None:
    thread.close(line.close())


def _line(address: Address, model: str, key: str | None, patience: Patience) -> Line:
    secrets = tuple(filter(None, (key, *(address.login or ()))))
    url, name = f"{address.url}/chat/completions", f"{model} at {address.url}"
    return Line(_client(address, key, patience), url, name, patience=patience, secrets=secrets)


def _client(address: Address, key: str | None, patience: Patience) -> httpx.AsyncClient:
    try:
        return httpx.AsyncClient(
            headers={"Accept-Encoding": "identity", "Content-Type": "application/json", **_authorization(key)},
            auth=address.login,
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=patience.concurrency, max_keepalive_connections=patience.concurrency),
            # A redirect would carry frames and key to a host that nobody named.
            follow_redirects=False,
            # A proxy that the environment names is for the way out: a server on this machine is asked directly.
            trust_env=not address.local,
        )
    except (ImportError, ValueError) as error:
        step = "mend HTTPS_PROXY and ALL_PROXY, or set NO_PROXY"
        words = f"{address.url}: the proxy settings of the environment cannot be used; {step}"
        raise ModelError(words, code="proxy") from error


def _authorization(key: str | None) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}
