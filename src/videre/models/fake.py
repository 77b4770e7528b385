"""A model without weights, for tests and examples: it says what a table or a function tells it to say.

It looks at no picture. Its answers are right or wrong by design, so nothing that it says is a result; its run card says
`"fake": true`.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from videre.errors import ModelError
from videre.options import letter, listed, read_option
from videre.types import JSON, Answer, Frames, Question, Usage

Says = Mapping[str, str] | Callable[[Sequence[Frames], str], str]


@dataclass
class FakeMLLM:
    """A `videre.types.MLLM` that replies from a table of question to reply, or from a function of frames and text.

    >>> model = FakeMLLM({"Which colour?": "B"})
    >>> model.answer([], Question("Which colour?", ("red", "blue"))).option
    1

    Args:
        says: a table (an unknown question gets `otherwise`), or `f(chunks, text) -> reply`.
        otherwise: the reply to a question that the table does not hold.
        name: what records call it.
        asked: every text it was asked, in order; for a test to look at.
        videos_read: how often frames were read; for a test to look at.
    """

    says: Says = field(default_factory=dict)
    otherwise: str = "I do not know."
    name: str = "fake"
    asked: list[str] = field(default_factory=list)
    videos_read: int = 0

    @property
    def card(self) -> Mapping[str, JSON]:
        """Says that this is no model."""
        return {"id": self.name, "class": "FakeMLLM", "fake": True}

    def answer(self, frames: Iterable[Frames], question: Question) -> Answer:
        """The reply to `question.text`, with the option that it names."""
        return self.watch(frames).answer(question)

    def generate(self, prompt: str, frames: Iterable[Frames] = (), *, max_tokens: int = 128) -> str:
        """The reply to a prompt, at most `max_tokens` words of it."""
        return self.watch(frames).generate(prompt, max_tokens=max_tokens)

    def score(self, frames: Iterable[Frames], question: Question, options: Sequence[str]) -> Float[np.ndarray, " K"]:
        """Log of 0.9 for the option that the reply names, and the rest shared among the others."""
        return self.watch(frames).score(question, options)

    def loss(self, frames: Iterable[Frames], question: Question, target: str) -> Float[np.ndarray, " L"]:
        """Refuses: there is nothing to train.

        Raises:
            ModelError: always.
        """
        raise ModelError("the fake model has no weights to train: load a real one", code="no_loss")

    def watch(self, frames: Iterable[Frames]) -> "FakeSession":
        """A session on these frames."""
        self.videos_read += 1
        return FakeSession(self, tuple(frames))


@dataclass(frozen=True)
class FakeSession:
    """The session of a `FakeMLLM`."""

    model: FakeMLLM
    chunks: tuple[Frames, ...]

    def answer(self, question: Question) -> Answer:
        """As `FakeMLLM.answer`."""
        start = time.perf_counter()
        reply = self._say(question.text)
        text = listed(question)
        option = read_option(reply, question.options) if question.options else None
        frames = sum(map(len, self.chunks))
        return Answer(
            reply,
            option=option,
            confidence=0.9 if option is not None else None,
            usage=Usage(frames, len(text.split()), len(reply.split()), (time.perf_counter() - start) * 1e3),
            run={"model": dict(self.model.card), "prompt_sha256": hashlib.sha256(text.encode()).hexdigest()},
        )

    def generate(self, prompt: str, *, max_tokens: int = 128) -> str:
        """As `FakeMLLM.generate`."""
        reply = self._say(prompt)
        words = reply.split()
        return reply if len(words) <= max_tokens else " ".join(words[:max_tokens])

    def score(self, question: Question, options: Sequence[str]) -> Float[np.ndarray, " K"]:
        """As `FakeMLLM.score`. Options may be letters or full texts."""
        reply = self._say(question.text)
        named = read_option(reply, question.options or tuple(options))
        if named is not None and question.options and list(options) == [letter(i) for i in range(len(options))]:
            chosen: str | None = letter(named)
        else:
            chosen = None if named is None else (question.options or tuple(options))[named]
        rest = 0.1 / max(1, len(options) - 1) if chosen in options else 1 / len(options)
        return np.log([0.9 if option == chosen else rest for option in options])

    def _say(self, text: str) -> str:
        self.model.asked.append(text)
        says = self.model.says
        return says.get(text, self.model.otherwise) if isinstance(says, Mapping) else says(self.chunks, text)
