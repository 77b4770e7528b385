"""One line to a server: bounded concurrency, retries with full jitter, deadlines, and the moments to stop for good.

A request that fails is tried again after a random time below a bound that doubles. `Retry-After` holds back every
request of this line, not only the one that heard it: the limit is the server's, not the item's.
"""

import asyncio
import random
from collections import deque
from dataclasses import dataclass, replace

import httpx

from videre.errors import ModelError
from videre.models.endpoint_reply import REPLY_BYTES, Reply, Trouble, judge, printable

LONGEST_BACKOFF_SECONDS = 30.0
BREAKER_WINDOW = 100
BREAKER_FAILURES = 50
BREAKER_REST_SECONDS = 30.0


@dataclass(frozen=True)
class Patience:
    """How much is asked of a server at once, and for how long.

    Attributes:
        concurrency: requests under way at once.
        deadline_seconds: for an item, with all its tries and waits, from its first request on.
        try_seconds: for one request.
        retries: further tries after the first. Being told to wait (429) is no failure and is not counted.
        backoff_seconds: bound of the first random wait; it doubles with each failure, up to 30 seconds.
    """

    concurrency: int = 8
    deadline_seconds: float = 600.0
    try_seconds: float = 120.0
    retries: int = 6
    backoff_seconds: float = 0.5

    def __post_init__(self) -> None:
        if self.concurrency < 1 or self.retries < 0:
            raise ValueError(f"concurrency is 1 or more and retries 0 or more: {self.concurrency=} {self.retries=}")
        if min(self.deadline_seconds, self.try_seconds, self.backoff_seconds) <= 0:
            raise ValueError(f"times are more than 0 seconds, got {self}")


@dataclass
class _Item:
    """One item under way."""

    body: bytes
    deadline: float | None = None
    tries: int = 0
    failures: int = 0
    trouble: Trouble | None = None


class Line:
    """A connection with its own count of failures. Everything here runs in one event loop.

    Args:
        client: an HTTP client that carries the credentials.
        url: where chat completions are posted.
        name: how errors name the other end.
        patience: the limits.
        secrets: texts that may not appear in any error, whoever wrote them there.
    """

    def __init__(
        self, client: httpx.AsyncClient, url: str, name: str, *, patience: Patience, secrets: tuple[str, ...] = ()
    ) -> None:
        self._client, self._url, self._name, self._patience, self._secrets = client, url, name, patience, secrets
        self._slots = asyncio.Semaphore(patience.concurrency)
        self._halted = asyncio.Event()
        self._halt: ModelError | None = None
        self._halt_ends = float("inf")
        self._outcomes: deque[bool] = deque(maxlen=BREAKER_WINDOW)
        self._held_until = 0.0
        self._reached = False

    async def ask(self, body: bytes) -> Reply:
        """The reply to one request body, after as many tries as the limits allow.

        Raises:
            ModelError: the server refused, or was given up on; the code says which.
        """
        item = _Item(body)
        while True:
            async with self._slots:
                await self._turn(item)
                outcome = await self._try(item)
            if isinstance(outcome, Reply):
                self._count(True)
                return replace(outcome, tries=item.tries)
            await self._trouble(item, outcome)

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def _turn(self, item: _Item) -> None:
        """Waits until the server may be asked, and starts the item's clock at its first turn."""
        self._check()
        if item.deadline is None:
            item.deadline = _now() + self._patience.deadline_seconds
        while (wait := self._held_until - _now()) > 0:
            if _now() + wait >= item.deadline:
                limit = self._patience.deadline_seconds
                words = f"it asks to be left alone for {wait:.0f} s, longer than the deadline of {limit:g} s an item"
                raise self._error("wait_too_long", f"{words}; come back later, or raise deadline_seconds")
            await self._pause(wait + _jitter(self._patience.backoff_seconds))
        if _now() >= item.deadline:
            raise self._given_up(item, "deadline")

    async def _try(self, item: _Item) -> Reply | Trouble:
        item.tries += 1
        left = (item.deadline or 0.0) - _now()
        try:
            async with asyncio.timeout(min(self._patience.try_seconds, left)):
                return await self._post(item.body)
        except TimeoutError:
            return Trouble("timeout", f"no reply within {min(self._patience.try_seconds, left):.3g} s")
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            return self._no_connection(error)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return Trouble("connection", f"the connection broke ({_reason(error)})")

    async def _post(self, body: bytes) -> Reply | Trouble:
        async with self._client.stream("POST", self._url, content=body) as response:
            self._reached = True
            received = bytearray()
            async for chunk in response.aiter_bytes(1 << 16):
                received += chunk
                if len(received) > REPLY_BYTES:
                    return Trouble("reply_too_long", f"the reply is longer than {REPLY_BYTES >> 20} MiB", "give_up")
            return judge(response.status_code, response.headers, bytes(received))

    def _no_connection(self, error: httpx.TransportError) -> Trouble:
        if self._reached:
            return Trouble("connection", f"it no longer takes connections ({_reason(error)})")
        # Nobody was ever there: a wrong address, or a server that was not started, does not mend itself in seconds.
        step = "start the server, or check the address"
        return Trouble("unreachable", f"nobody answers there ({_reason(error)}); {step}", "give_up")

    async def _trouble(self, item: _Item, trouble: Trouble) -> None:
        """Waits before the next try, or raises where there is none."""
        item.trouble = trouble
        if trouble.then == "stop":
            raise self._stop(self._error(trouble.code, trouble.words))
        if not trouble.busy:
            item.failures += 1
            self._count(False, trouble.words)
        if trouble.then == "give_up":
            raise self._error(trouble.code, trouble.words)
        if item.failures > self._patience.retries:
            raise self._given_up(item, trouble.code)
        if trouble.after_seconds is not None:
            self._held_until = max(self._held_until, _now() + trouble.after_seconds)
        # The two waits run side by side; a server that says "0 seconds" again and again is not asked without end.
        bound = self._patience.backoff_seconds * 2.0 ** min(item.tries - 1, 30)
        await self._pause(_jitter(min(bound, LONGEST_BACKOFF_SECONDS)), until=item.deadline)

    async def _pause(self, seconds: float, *, until: float | None = None) -> None:
        """Sleeps, at most to `until`; wakes and raises at once where the line halts."""
        if until is not None:
            seconds = min(seconds, max(0.0, until - _now()))
        try:
            async with asyncio.timeout(seconds):
                await self._halted.wait()
        except TimeoutError:
            pass
        self._check()

    def _count(self, worked: bool, words: str = "") -> None:
        """Opens the circuit breaker where half of the last hundred requests failed."""
        self._outcomes.append(worked)
        failed = self._outcomes.count(False)
        if failed >= BREAKER_FAILURES and self._halt is None:
            said = f"{failed} of the last {BREAKER_WINDOW} requests failed, which is no progress; the last: {words}"
            self._stop(self._error("circuit_open", said), seconds=BREAKER_REST_SECONDS)

    def _stop(self, error: ModelError, *, seconds: float = float("inf")) -> ModelError:
        """Halts every item of this line, the waiting ones too."""
        if self._halt is None:
            self._halt, self._halt_ends = error, _now() + seconds
            self._halted.set()
        return self._halt

    def _check(self) -> None:
        if self._halt is None:
            return
        if _now() < self._halt_ends:
            # A fresh error each time: one that many threads raise would gather all their tracebacks.
            raise ModelError(str(self._halt), code=self._halt.code)
        self._halt = None
        self._halted.clear()
        self._outcomes.clear()

    def _given_up(self, item: _Item, code: str) -> ModelError:
        last = item.trouble.words if item.trouble else "it was never this item's turn"
        limit = f" within {self._patience.deadline_seconds:g} s" if code == "deadline" else ""
        return self._error(code, f"gave up{limit} after {item.tries} tries; the last: {last}")

    def _error(self, code: str, words: str) -> ModelError:
        line = f"{self._name}: {words}"
        for secret in self._secrets:
            line = line.replace(secret, "[key]")
        return ModelError(line, code=code)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _jitter(bound: float) -> float:
    # Full jitter: clients that failed together do not come back together.
    return random.uniform(0.0, bound)  # noqa: S311


def _reason(error: Exception) -> str:
    return printable(str(error), 120) or type(error).__name__
