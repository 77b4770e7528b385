"""Any OpenAI-compatible server as a model: frames go out as timestamped pictures, replies come back as answers.

    model = connect("http://localhost:8000/v1", "Qwen/Qwen3-VL-8B-Instruct")

The protocol's calls wait for their reply; `answer_many` keeps many questions under way, `answer_async` is awaited. They
share one line to the server with its limits, so that threads together never ask more at once than `concurrency`.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import islice
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from videre.errors import STOP_CODES, ModelError, VidereError
from videre.models.endpoint_address import Address, key_for, parse
from videre.models.endpoint_connection import Connection
from videre.models.endpoint_letters import TOP_LOGPROBS, letter_scores
from videre.models.endpoint_line import Patience
from videre.models.endpoint_parts import Handover, Shown, show, text
from videre.models.endpoint_reply import Reply
from videre.models.endpoint_request import Form
from videre.options import listed, read_option
from videre.types import JSON, Answer, Frames, Question, Usage

Item = tuple[Iterable[Frames], Question]
READ_AHEAD = 4
"""Items that are encoded while others wait for the server."""


def connect(
    base_url: str,
    model: str,
    *,
    api_key: str | None = None,
    transport: Literal["images", "video"] = "images",
    image: Literal["jpeg", "png"] = "jpeg",
    jpeg_quality: int = 90,
    concurrency: int = 8,
    deadline_seconds: float = 600.0,
    try_seconds: float = 120.0,
    retries: int = 6,
    backoff_seconds: float = 0.5,
    max_tokens: int = 512,
    extra: Mapping[str, JSON] | None = None,
) -> "Endpoint":
    """A model that runs on a server. Nothing is sent before the first question.

    Args:
        base_url: up to and with `/v1`; a login in it is used and never shown.
        model: its name on the server.
        api_key: None takes VIDERE_API_KEY, else, over https or on this machine, OPENAI_API_KEY, else none.
        transport: "images" shows each frame as a picture after its time; "video" shows a chunk as one H.264 file,
            which few servers take, and which they sample again as they like.
        image: "jpeg", or "png" for exact pixels.
        jpeg_quality: 1 to 95.
        concurrency: requests under way at once.
        deadline_seconds: for an item with all its tries.
        try_seconds: for one request.
        retries: further tries of an item after one that failed.
        backoff_seconds: bound of the first random wait between tries; it doubles, up to 30 seconds.
        max_tokens: the longest reply to a question.
        extra: more fields of the request, such as `{"seed": 0}` or a server's own.

    Raises:
        ValueError: an argument is out of range, or the address is none.
    """
    patience = Patience(concurrency, deadline_seconds, try_seconds, retries, backoff_seconds)
    address = parse(base_url)
    key = key_for(address, api_key)
    how = Handover(transport, image, jpeg_quality)
    form = Form(model, dict(extra or {}))
    return Endpoint(address, form, key=key, how=how, patience=patience, max_tokens=max_tokens)


class Endpoint:
    """A model behind an OpenAI-compatible server; made by `connect`. An `MLLM`, save that it has no `loss`."""

    name: str
    card: dict[str, JSON]

    def __init__(
        self, address: Address, form: Form, *, key: str | None, how: Handover, patience: Patience, max_tokens: int
    ) -> None:
        if not form.model.strip() or max_tokens < 1:
            raise ValueError(f"a model has a name, and max_tokens is 1 or more, got {form.model!r} and {max_tokens}")
        self.name, self._how, self._max_tokens, self._form = form.model, how, max_tokens, form
        self._connection = Connection(address, form.model, key=key, patience=patience)
        self._at_once = patience.concurrency + READ_AHEAD
        self.card = {"kind": "endpoint", "id": form.model, "base_url": address.url, **how.card(), **form.card()}
        self.card |= {"max_tokens": max_tokens, "reported_model": None, "system_fingerprint": None}

    def __repr__(self) -> str:
        return f"Endpoint({self.name!r} at {self.card['base_url']})"

    def __enter__(self) -> "Endpoint":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connections and what is still under way. The next question opens them again."""
        self._connection.close()

    def answer(self, frames: Iterable[Frames], question: Question) -> Answer:
        """The server's reply, and the option it names where there are options.

        Raises:
            ModelError: the server cannot be reached, refused, or was given up on after retries.
        """
        return self._connection.run(self._answer(show(frames, self._how), question))

    def generate(
        self,
        prompt: str,
        frames: Iterable[Frames] = (),
        *,
        max_tokens: int = 128,
        schema: Mapping[str, JSON] | None = None,
    ) -> str:
        """Text that follows a prompt, greedily where the server allows it. Errors as in `answer`.

        Args:
            prompt: the text.
            frames: what the model sees.
            max_tokens: the longest reply.
            schema: a JSON schema that the server holds the reply to; one that refuses this writes freely.
        """
        held = {"type": "json_schema", "json_schema": {"name": "reply", "schema": dict(schema or {})}}
        more = {"response_format": held} if schema else {}
        return self._connection.run(self._reply(show(frames, self._how), prompt, max_tokens, **more)).text

    def score(self, frames: Iterable[Frames], question: Question, options: Sequence[str]) -> Float[np.ndarray, " K"]:
        """Log-probability that the reply begins with each option, where every option is one letter.

        An option that is not among the 20 tokens that the server lists as likeliest gets minus infinity.

        Raises:
            ModelError: "unsupported" where an option is longer, or where the server lists no log-probabilities; else
                as in `answer`.
        """
        return self._connection.run(self._score(show(frames, self._how), question, options))

    def loss(self, frames: Iterable[Frames], question: Question, target: str) -> Any:
        """Nothing: a server gives text, and no gradients.

        Raises:
            ModelError: always, with code "unsupported".
        """
        raise self._unsupported("a server gives no loss; load the checkpoint here, by its folder or hub id, to train")

    def watch(self, frames: Iterable[Frames]) -> "Watched":
        """A session that has encoded the frames once. Each question sends the same bytes first, under names that stay
        the same, so that a server with a prefix cache reads them once.
        """
        return Watched(self, show(frames, self._how))

    async def answer_async(self, frames: Iterable[Frames], question: Question) -> Answer:
        """As `answer`, awaited in any event loop; the frames are read and encoded in a worker thread."""
        return await asyncio.wrap_future(self._connection.submit(self._item(frames, question)))

    def answer_many(self, items: Iterable[Item]) -> Iterator[tuple[int, Answer | VidereError]]:
        """The place of each item and its answer, or the error that it ended with, in the order in which they end.

        Items are drawn as they are needed, so that their number has no limit and few hold their pixels at once.

        Raises:
            ModelError: one of `STOP_CODES`, such as a refused key: no further item would be answered. What is still
                under way is cancelled.
        """
        waiting = enumerate(items)
        running: dict[Future[Answer], int] = {}
        try:
            while True:
                for index, (frames, question) in islice(waiting, self._at_once - len(running)):
                    running[self._connection.submit(self._item(frames, question))] = index
                if not running:
                    return
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                # Answers first: they are not lost where one of the others ends the job.
                for future in sorted(done, key=lambda f: f.exception() is not None):
                    yield running.pop(future), _outcome(future)
        finally:
            for future in running:
                future.cancel()

    async def _item(self, frames: Iterable[Frames], question: Question) -> Answer:
        return await self._answer(await asyncio.to_thread(show, frames, self._how), question)

    async def _answer(self, shown: Shown, question: Question) -> Answer:
        started = time.perf_counter()
        reply = await self._reply(shown, listed(question), self._max_tokens)
        milliseconds = round((time.perf_counter() - started) * 1000, 3)
        return Answer(
            reply.text,
            option=read_option(reply.text, question.options) if question.options else None,
            rationale=reply.rationale,
            usage=Usage(shown.frames, reply.prompt_tokens, reply.answer_tokens, milliseconds),
            run={"server": reply.card()},
            notes=(f"the reply was cut at {self._max_tokens} tokens",) if reply.finish == "length" else (),
        )

    async def _score(self, shown: Shown, question: Question, options: Sequence[str]) -> Float[np.ndarray, " K"]:
        if not all(len(option) == 1 and option.isalnum() for option in options):
            raise self._unsupported("a server scores options of one letter only, such as 'A', 'B'; ask for the letter")
        more = {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
        try:
            reply = await self._reply(shown, listed(question), 1, **more)
        except ModelError as error:
            if error.code == "refused_request" and "logprob" in str(error):
                raise self._unsupported(f"score needs log-probabilities: {error}") from error
            raise
        if not reply.first:
            raise self._unsupported("the server lists no log-probabilities (top_logprobs), which score needs")
        return letter_scores(reply.first, options)

    async def _reply(self, shown: Shown, prompt: str, max_tokens: int, **more: JSON) -> Reply:
        """Asks, and asks anew in the form that this server takes where it refuses a field of ours by name."""
        parts = [*shown.parts, text(prompt)]
        while True:
            form = self._form
            body = await asyncio.to_thread(form.body, parts, max_tokens, more)
            try:
                reply = await self._connection.ask(body)
            except ModelError as error:
                found = form.refused_in(error)
                if not found:
                    raise
                self._form = self._form.without(found)
                self.card |= self._form.card()
                continue
            self.card |= {"reported_model": reply.model, "system_fingerprint": reply.fingerprint}
            return reply

    def _unsupported(self, words: str) -> ModelError:
        return ModelError(f"{self.name} at {self.card['base_url']}: {words}", code="unsupported")


class Watched:
    """A video that is encoded once, and questions on it. A `Session`."""

    def __init__(self, endpoint: Endpoint, shown: Shown) -> None:
        self._endpoint, self._shown = endpoint, shown

    def answer(self, question: Question) -> Answer:
        """As `Endpoint.answer`."""
        return self._endpoint._connection.run(self._endpoint._answer(self._shown, question))

    def generate(self, prompt: str, *, max_tokens: int = 128) -> str:
        """As `Endpoint.generate`."""
        return self._endpoint._connection.run(self._endpoint._reply(self._shown, prompt, max_tokens)).text

    def score(self, question: Question, options: Sequence[str]) -> Float[np.ndarray, " K"]:
        """As `Endpoint.score`."""
        return self._endpoint._connection.run(self._endpoint._score(self._shown, question, options))


def _outcome(future: "Future[Answer]") -> Answer | VidereError:
    try:
        return future.result()
    except VidereError as error:
        if error.code in STOP_CODES:
            raise
        return error
