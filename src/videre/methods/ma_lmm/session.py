"""A video that is being watched: frames come in one by one, and it answers at any moment.

Three ways lead to an answer, and each answer says which was taken:

- `live`: the question was known beforehand, so its query banks grew along with the video. Exact, constant memory.
- `replay`: the tokens of all frames were kept, and the Q-Former reads them again with the new question. Exact; memory
  and time grow with the video.
- `visual`: the new question meets the visual bank and the last frame. Constant memory; the query banks, which hold what
  the queries made of earlier frames under *their* question, are missing. It is the paper's "visual bank only".
"""

import hashlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from videre.errors import USAGE, ModelError
from videre.methods.ma_lmm.memory import Seen, State, remembered, step, up_to_last
from videre.methods.ma_lmm.where import runs
from videre.models.voice import Writing
from videre.options import letter, listed, read_option
from videre.types import JSON, Answer, Frames, Question, Span, Usage

if TYPE_CHECKING:
    from videre.methods.ma_lmm.model import MALMM


@dataclass(frozen=True, eq=False)
class Looked:
    """What the queries saw at the last frame, and on what road.

    Attributes:
        seen: the last layer; None without frames.
        state: the memory behind it.
        road: `live`, `replay`, `visual`, or `none` without frames.
        before: the memory as the last frame came, where it is kept.
    """

    seen: Seen | None
    state: State
    road: str
    before: State | None = None


@dataclass
class _Followed:
    state: State = field(default_factory=State)
    seen: Seen | None = None
    before: State | None = None


class Watching:
    """The session of a `MALMM`: see `videre.types.Session`.

    Args:
        model: the model.
        follow: texts of the questions known beforehand.
        recall: what other questions rest on; None refuses them.
        where: keep, of each question that is followed, the memory as it was one frame ago, so that `where` can be
            asked; its banks then take twice the room.
    """

    def __init__(self, model: "MALMM", follow: Sequence[str], recall: str | None, *, where: bool = False) -> None:
        self.model = model
        self.recall = recall
        self.frames = 0
        self.first_seconds: float | None = None
        self.last_seconds: float | None = None
        self._keeps_before = where
        self._followed = {text: _Followed() for text in follow}
        self._kept: list[Tensor] = []
        self._before = State()
        self._newest: Tensor | None = None

    @torch.no_grad()
    def push(self, chunk: Frames) -> None:
        """Takes in the next frames."""
        for token, seconds in zip(self.model.seen(chunk), chunk.seconds, strict=True):
            self._take(token)
            self.first_seconds = float(seconds) if self.first_seconds is None else self.first_seconds
            self.frames, self.last_seconds = self.frames + 1, float(seconds)

    @property
    def bytes(self) -> int:
        """What the memory takes: banks, and the frames where they are kept."""
        followed = self._followed.values()
        states = [*(one.state for one in followed), *(one.before for one in followed if one.before), self._before]
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

    def where(self, question: Question, reply: str, *, most: int = 3) -> tuple[Span, ...]:
        """When what the reply rests on was seen: the stretches without which it would be least likely, strongest first.

        They come from the visual bank, and are as fine as its slots. Times between the first and the last frame are
        taken to be evenly spaced. `confidence` is the share of the reply's likelihood that is lost without them.

        Raises:
            ModelError: the question is followed by a session that was not made with `where=True`.
        """
        text = listed(question)
        looked = self._look(text)
        if looked.seen is None or self._newest is None:
            return ()
        if looked.before is None:
            message = "where a reply comes from is not known: watch with where=True to ask for it"
            raise ModelError(message, code="no_where", exit_code=USAGE)
        found = runs(self.model, looked.before, self._newest, text, reply, most=most)
        return tuple(Span(self._at(run.first), self._at(run.last), 1 - math.exp(-run.loss)) for run in found)

    def _at(self, frame: int) -> float:
        first, last = self.first_seconds or 0.0, self.last_seconds or 0.0
        return first + frame * (last - first) / max(self.frames - 1, 1)

    def _take(self, token: Float[Tensor, "N C"]) -> None:
        model, memory = self.model, self.model.settings.memory
        frame = model.normed(token)[None]
        for text, one in self._followed.items():
            one.before = one.state if self._keeps_before else None
            one.seen, one.state = step(model.parts, one.state, frame, words=model.words(text), memory=memory)
        if self.recall == "replay":
            self._kept.append(token)
        elif self.recall == "visual" and self._newest is not None:
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
            return Looked(one.seen, one.state, "live", one.before)
        if self.recall == "replay":
            frames = (model.normed(token)[None] for token in self._kept)
            before, newest = up_to_last(model.parts, frames, words=model.words(text), memory=memory)
            return Looked(*step(model.parts, before, newest, words=model.words(text), memory=memory), "replay", before)
        if self.recall == "visual" and self._newest is not None:
            alone, before = replace(memory, query=0), self._before
            return Looked(
                *step(model.parts, before, self._newest, words=model.words(text), memory=alone), "visual", before
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
