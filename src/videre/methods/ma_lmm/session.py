"""A video that is being watched: frames come in one by one, and it answers at any moment.

Three ways lead to an answer, and each answer says which was taken:

- `live`: the question was known beforehand, so its query banks grew along with the video. Exact, constant memory.
- `replay`: the tokens of all frames were kept, and the Q-Former reads them again with the new question. Exact; memory
  and time grow with the video.
- `visual`: the new question meets the visual bank and the last frame. Constant memory; the query banks, which hold what
  the queries made of earlier frames under *their* question, are missing. It is the paper's "visual bank only".
"""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from videre.errors import USAGE, ModelError
from videre.methods.ma_lmm.memory import Seen, State, remembered, step, watched
from videre.models.voice import Writing
from videre.options import letter, listed, read_option
from videre.types import JSON, Answer, Frames, Question, Usage

if TYPE_CHECKING:
    from videre.methods.ma_lmm.model import MALMM


@dataclass(frozen=True, eq=False)
class Looked:
    """What the queries saw at the last frame, and on what road.

    Attributes:
        seen: the last layer; None without frames.
        state: the memory behind it.
        road: `live`, `replay`, `visual`, or `none` without frames.
    """

    seen: Seen | None
    state: State
    road: str


@dataclass
class _Followed:
    state: State = field(default_factory=State)
    seen: Seen | None = None


class Watching:
    """The session of a `MALMM`: see `videre.types.Session`.

    Args:
        model: the model.
        follow: texts of the questions known beforehand.
        recall: what other questions rest on; None refuses them.
    """

    def __init__(self, model: "MALMM", follow: Sequence[str], recall: str | None) -> None:
        self.model = model
        self.recall = recall
        self.frames = 0
        self.last_seconds: float | None = None
        self._followed = {text: _Followed() for text in follow}
        self._kept: list[Tensor] = []
        self._before = State()
        self._newest: Tensor | None = None

    @torch.no_grad()
    def push(self, chunk: Frames) -> None:
        """Takes in the next frames."""
        for token, seconds in zip(self.model.seen(chunk), chunk.seconds, strict=True):
            self._take(token)
            self.frames, self.last_seconds = self.frames + 1, float(seconds)

    @property
    def bytes(self) -> int:
        """What the memory takes: banks, and the frames where they are kept."""
        states = [*(one.state for one in self._followed.values()), self._before]
        return sum(state.bytes for state in states) + sum(t.numel() * t.element_size() for t in self._kept)

    def answer(self, question: Question) -> Answer:
        """The reply; with options the one that it names and the share of its letter; with beams all of them, ranked."""
        start = time.perf_counter()
        text, looked = listed(question), self._look(listed(question))
        prompt = self._prompt(looked, text)
        replies = self.model.voice.reply(prompt, self.model.settings.writing)
        said = [self.model.voice.said(reply) for reply in replies]
        option = read_option(said[0], question.options) if question.options else None
        spent_ms = (time.perf_counter() - start) * 1e3
        return Answer(
            said[0],
            option=option,
            confidence=None if option is None else self._confidence(prompt, question, option),
            usage=Usage(self.frames, prompt.shape[1], len(replies[0]), spent_ms),
            run=self._run(text, looked),
            ranking=tuple(dict.fromkeys(said)) if len(said) > 1 else (),
        )

    def generate(self, prompt: str, *, max_tokens: int = 128) -> str:
        """Text that follows a prompt."""
        writing = replace(self.model.settings.writing, answer_tokens=max_tokens)
        return self._reply(self._prompt(self._look(prompt), prompt), writing)

    @torch.no_grad()
    def score(self, question: Question, options: Sequence[str]) -> Float[np.ndarray, " K"]:
        """Log-probability of each option as the reply, summed over its tokens."""
        text = listed(question)
        return self._scores(self._prompt(self._look(text), text), options)

    def _take(self, token: Float[Tensor, "N C"]) -> None:
        model, memory = self.model, self.model.settings.memory
        frame = model.normed(token)[None]
        for text, one in self._followed.items():
            one.seen, one.state = step(model.parts, one.state, frame, words=model.words(text), memory=memory)
        if self.recall == "replay":
            self._kept.append(token)
        elif self.recall == "visual":
            if self._newest is not None:
                self._before = remembered(model.parts, self._before, self._newest, memory=memory)
            self._newest = frame

    @torch.no_grad()
    def _look(self, text: str) -> Looked:
        """What the queries saw at the last frame, with this question, on the road that is open."""
        model, memory = self.model, self.model.settings.memory
        if not self.frames:
            return Looked(None, State(), "none")
        if text in self._followed:
            one = self._followed[text]
            return Looked(one.seen, one.state, "live")
        if self.recall == "replay":
            frames = (model.normed(token)[None] for token in self._kept)
            return Looked(*watched(model.parts, frames, words=model.words(text), memory=memory), "replay")
        if self.recall == "visual" and self._newest is not None:
            alone = replace(memory, query=0)
            return Looked(
                *step(model.parts, self._before, self._newest, words=model.words(text), memory=alone), "visual"
            )
        message = "this session follows other questions: name this one beforehand, or watch with recall='replay'"
        raise ModelError(message, code="not_followed", exit_code=USAGE)

    @torch.no_grad()
    def _prompt(self, looked: Looked, text: str) -> Float[Tensor, "1 L E"]:
        if looked.seen is None:
            width = self.model.network.language_projection.out_features
            return self.model.voice.prompt(torch.zeros(1, 0, width, device=self.model.network.device), text)
        return self.model.voice.prompt(self.model.projected(looked.seen), text)

    def _reply(self, prompt: Float[Tensor, "1 L E"], writing: Writing) -> str:
        return self.model.voice.said(self.model.voice.reply(prompt, writing)[0])

    @torch.no_grad()
    def _scores(self, prompt: Float[Tensor, "1 L E"], options: Sequence[str]) -> Float[np.ndarray, " K"]:
        return np.array([-float(self.model.voice.losses(prompt, option).sum()) for option in options], np.float64)

    def _confidence(self, prompt: Float[Tensor, "1 L E"], question: Question, option: int) -> float:
        scores = self._scores(prompt, [letter(i) for i in range(len(question.options))])
        shares = np.exp(scores - scores.max())
        return float(shares[option] / shares.sum())

    def _run(self, text: str, looked: Looked) -> dict[str, JSON]:
        """What the run card says: the model, a hash of the prompt, and what the memory held."""
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        return {"model": dict(self.model.card), "prompt_sha256": digest, "memory": self._told(looked)}

    def _told(self, looked: Looked) -> dict[str, Any]:
        memory, bank = self.model.settings.memory, looked.state.visual
        told = {
            "recall": looked.road,
            "frames": self.frames,
            "visual_slots": memory.visual,
            "query_slots": 0 if looked.road == "visual" else memory.query,
            "positions": memory.positions,
            "reduce": memory.reduce.__name__,
            "bytes": self.bytes,
        }
        if bank is not None:
            told["frames_in_slots"] = [round(float(size), 2) for size in bank.sizes.mean((0, 2))]
        return told
