"""Two options beside the paper: a verifier that ranks spans anew, and an answer that is found first and grounded then.

Source: VideoMind (candidates widened by half their length on both sides, yes against no) and MUPA (the path that
answers before it grounds); own code from their descriptions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from videre.methods.msr_vir import operators as ops
from videre.methods.msr_vir.modules import TemporalGrounder
from videre.types import JSON, MLLM, Question, Span, Video
from videre.video.look import shrunk
from videre.video.sample import centres

ASKS = 'These frames are from {start:.1f} s to {end:.1f} s of a video. Does this happen in them: "{query}"?'
YES_NO = ("yes", "no")


@dataclass
class Verified:
    """A `TemporalGrounder` whose spans a model has looked at: the likelier "yes" comes first.

    Args:
        inner: names the spans.
        model: scores "yes" and "no".
        candidates: spans that it looks at.
        frames: of each that it is shown.
        size_px: their longer side, at most.
    """

    inner: TemporalGrounder
    model: MLLM
    candidates: int = 5
    frames: int = 8
    size_px: int = 336

    @property
    def name(self) -> str:
        """Of the module, verified."""
        return f"{self.inner.name}, verified"

    @property
    def card(self) -> Mapping[str, JSON]:
        """Module, model and settings."""
        settings = {"candidates": self.candidates, "frames": self.frames, "size_px": self.size_px, "prompt": ASKS}
        return {**self.inner.card, "verifier": {"model": dict(self.model.card), **settings}}

    def ground(self, video: Video, query: str, *, window: Span, top_k: int = 1) -> list[Span]:
        """The spans of the module, the likeliest first; their confidence is the share of "yes"."""
        found = self.inner.ground(video, query, window=window, top_k=max(top_k, self.candidates))
        sure = [self.share_of_yes(video, query, span) for span in found]
        order = sorted(range(len(found)), key=lambda i: -sure[i])
        return [Span(found[i].start_seconds, found[i].end_seconds, sure[i]) for i in order[:top_k]]

    def prepare(self, video: Video, queries: list[str]) -> None:
        """As the module can."""
        prepare: Any = getattr(self.inner, "prepare", None)
        if prepare is not None:
            prepare(video, queries)

    def share_of_yes(self, video: Video, query: str, span: Span) -> float:
        """How likely "yes" is against "no" on the span, widened by half its length on both sides."""
        half = span.seconds / 2
        wide = ops.padded(span, before=half, after=half, duration_seconds=video.duration_seconds)
        seconds = [wide.start_seconds + t for t in centres(wide.seconds, self.frames)]
        asked = Question(ASKS.format(start=wide.start_seconds, end=wide.end_seconds, query=query))
        scores = self.model.score([shrunk(video.at(seconds), self.size_px)], asked, YES_NO)
        return float(1 / (1 + np.exp(scores[1] - scores[0])))


def answer_query(model: MLLM, video: Video, question: Question, *, frames: int = 8, size_px: int = 336) -> str:
    """Question and the model's first answer from frames evenly over the video, as one thing to look for."""
    shown = shrunk(video.at(centres(video.duration_seconds, frames)), size_px)
    answer = model.answer([shown], question)
    said = question.options[answer.option] if answer.option is not None else answer.text
    return " ".join(f"{question.text} {said}".split())[:160]
