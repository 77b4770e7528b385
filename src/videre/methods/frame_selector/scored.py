"""What a scorer says of candidate frames, and what a scorer is."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from videre.types import JSON, Frames, Question


@dataclass(frozen=True, eq=False)
class Scored:
    """How much each candidate helps with a question.

    Attributes:
        scores: one a candidate frame, finite; higher is better.
        features: a vector a candidate, where the scorer has them.
        asked: the vector of the question in the same space.
    """

    scores: Float[np.ndarray, " n"]
    features: Float[np.ndarray, "n D"] | None = None
    asked: Float[np.ndarray, " D"] | None = None

    def __post_init__(self) -> None:
        if not np.isfinite(self.scores).all():
            raise ValueError(f"scores are finite, got {self.scores}")
        if self.features is not None and len(self.features) != len(self.scores):
            raise ValueError(f"one vector a candidate: {len(self.scores)} scores, {len(self.features)} vectors")


@runtime_checkable
class Scorer(Protocol):
    """Scores frames for a question. A question's options are no part of what it is asked."""

    @property
    def name(self) -> str:
        """How records call it."""
        ...

    @property
    def card(self) -> JSON:
        """All that its scores depend on beside frames and question: model, revision, prompt, settings."""
        ...

    def __call__(self, frames: Frames, question: Question) -> Scored:
        """One score a frame."""
        ...
