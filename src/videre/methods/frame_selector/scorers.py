"""Scores of frames from models that know nothing of selection: likeness to the question, and P(True)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from videre.errors import ConfigError
from videre.methods.frame_selector.scored import Scored
from videre.types import JSON, MLLM, Encoder, Frames, Question

DIRECT = (
    "Question: {question}\nDoes this single video frame contain information that helps to answer the question? "
    "Reply with 'Evaluation: True' or 'Evaluation: False'."
)
REASONED = (
    "Question: {question}\nDoes this single video frame contain information that helps to answer the question? "
    "Explain briefly, then finish with 'Evaluation: True' or 'Evaluation: False'."
)
LETTERS = (
    "Question: {question}\nDoes this single video frame contain information that helps to answer the question? "
    "Reply with one letter: Y for yes, N for no."
)
VERDICT = "Evaluation:"
TRUE = ("True", " True", "true", " true", "TRUE", " TRUE")
FALSE = ("False", " False", "false", " false", "FALSE", " FALSE")


@dataclass(frozen=True)
class Similarity:
    """Likeness of frame and question in the space of a CLIP or SigLIP, in [-1, 1], with the vectors themselves."""

    encoder: Encoder

    @property
    def name(self) -> str:
        """Names the encoder."""
        return f"similarity of {self.encoder.name}"

    @property
    def card(self) -> JSON:
        """The encoder's own card."""
        return {"scorer": "similarity", "encoder": dict(getattr(self.encoder, "card", {"id": self.encoder.name}))}

    def __call__(self, frames: Frames, question: Question) -> Scored:
        """Scores and features of the frames."""
        features = np.asarray(self.encoder.images(frames), np.float64)
        asked = np.asarray(self.encoder.texts([question.text])[0], np.float64)
        return Scored(features @ asked, features, asked)


@dataclass(frozen=True)
class Truth:
    """P(True) that a frame alone helps with the question, read where the model gives its verdict.

    Attributes:
        model: a model that runs here, whose next token can be read, or any `MLLM` that scores replies.
        reasoned: let the model explain first, as the paper does: some twenty times the cost.
        letters: ask for Y or N, which a server that lists likely tokens can score.
        batch: frames that are read at once by a model that runs here.
        most_tokens: of an explanation.
        question_first: put the prompt before the picture, where the template keeps the order: a model that runs here
            reads it once for all frames. Scores differ; most models were taught with the picture first.

    Source: section 3.3, spatial pseudo labels. The wording is ours; the paper's is not published.
    """

    model: MLLM
    reasoned: bool = False
    letters: bool = False
    batch: int = 16
    most_tokens: int = 128
    question_first: bool = False

    def __post_init__(self) -> None:
        if self.question_first and (self.reasoned or not hasattr(self.model, "next_tokens")):
            raise ConfigError("question_first is for the direct verdict of a model that runs here: leave it out")

    @property
    def name(self) -> str:
        """Names the model."""
        return f"P(True) of {self.model.name}"

    @property
    def card(self) -> JSON:
        """The model's card and the prompt; the size of a batch changes nothing."""
        card = {name: value for name, value in self.model.card.items() if name not in ("device", "torch")}
        told = {"scorer": "truth", "model": card, "prompt": self.prompt, "most_tokens": self.most_tokens}
        return told | ({"question_first": True} if self.question_first else {})

    @property
    def prompt(self) -> str:
        """The text beside each frame, with a place for the question."""
        return LETTERS if self.letters else REASONED if self.reasoned else DIRECT

    def __call__(self, frames: Frames, question: Question) -> Scored:
        """Scores in [0, 1]."""
        text = self.prompt.format(question=question.text)
        if not hasattr(self.model, "next_tokens"):
            return Scored(np.array([self._replied(frame, text) for frame in _each(frames)]))
        if self.reasoned:
            return Scored(np.array([self._explained(frame, text) for frame in _each(frames)]))
        yes, no = verdict_tokens(self.model.network, self.model.processor.tokenizer)  # type: ignore[attr-defined]
        before, after = (text, "") if self.question_first else ("", text)
        told = self.model.next_tokens(frames, after, [*yes, *no], start=VERDICT, before=before, batch=self.batch)
        return Scored(share(told[:, : len(yes)], told[:, len(yes) :]))

    def _explained(self, frame: Frames, text: str) -> float:
        """The verdict after the model's own explanation, in one session on the frame."""
        model: Any = self.model
        yes, no = verdict_tokens(model.network, model.processor.tokenizer)
        session = model.each(frame)
        said = session.generate(text, max_tokens=self.most_tokens)
        logs = session.next_token(text, start=up_to_verdict(said)).double().cpu().numpy()
        return float(share(logs[None, yes], logs[None, no])[0])

    def _replied(self, frame: Frames, text: str) -> float:
        """The share of the true reply among both."""
        options = ("Y", "N") if self.letters else ("True", "False")
        scores = self.model.score([frame], Question(text), options)
        return float(share(scores[None, :1], scores[None, 1:])[0])


def share(yes: Float[np.ndarray, "T a"], no: Float[np.ndarray, "T b"]) -> Float[np.ndarray, " T"]:
    """p(yes) / (p(yes) + p(no)) of log-probabilities, each summed over its variants; 0 where neither is possible.

    >>> share(np.log([[0.3, 0.3]]), np.log([[0.2]]))
    array([0.75])
    """
    top = np.maximum(yes.max(1), no.max(1))
    top = np.where(np.isfinite(top), top, 0.0)[:, None]
    true, false = np.exp(yes - top).sum(1), np.exp(no - top).sum(1)
    whole = true + false
    return np.where(whole > 0, true / np.where(whole > 0, whole, 1.0), 0.0)


def verdict_tokens(network: Any, tokenizer: Any) -> tuple[list[int], list[int]]:
    """The tokens that begin a true and a false verdict, in every casing, with and without a space before.

    A token that begins both (a space of its own) tells nothing and is left out.
    """
    firsts = [
        {ids[0] for word in words if (ids := tokenizer(word, add_special_tokens=False)["input_ids"])}
        for words in (TRUE, FALSE)
    ]
    both = firsts[0] & firsts[1]
    yes, no = sorted(firsts[0] - both), sorted(firsts[1] - both)
    if not yes or not no:
        raise ValueError(f"{type(network).__name__}: its tokenizer does not tell True from False by a first token")
    return yes, no


def up_to_verdict(said: str) -> str:
    """An explanation up to the place where its verdict stands; one that gives none is asked for it.

    >>> up_to_verdict("A dog runs. Evaluation: True"), up_to_verdict("A dog runs.")
    ('A dog runs. Evaluation:', 'A dog runs.\\nEvaluation:')
    """
    before, found, _ = said.rpartition(VERDICT)
    return before + found if found else f"{said}\n{VERDICT}"


def _each(frames: Frames) -> Sequence[Frames]:
    return [Frames(frames.pixels[i : i + 1], frames.seconds[i : i + 1]) for i in range(len(frames))]
