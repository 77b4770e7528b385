"""A model whose reply is begun for it: after "Option", the likeliest letter is its answer.

Source: M-LLM based video frame selection, arXiv 2502.19680, section 4.1: the answer is prefilled with "Option" and the
next token is the prediction.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from videre.errors import ModelError
from videre.options import letter, listed
from videre.types import JSON, Answer, Frames, Question, Usage

BEGUN = "Option"


@dataclass(frozen=True)
class Prefilled:
    """Answers a question with options by its next token; other questions as the model itself does.

    Attributes:
        model: a model that runs here, whose next token can be read.
    """

    model: Any

    @property
    def name(self) -> str:
        """Names the model."""
        return f"{self.model.name}, begun with {BEGUN}"

    @property
    def card(self) -> dict[str, JSON]:
        """The model's card and how its reply begins."""
        return {**self.model.card, "begun": BEGUN}

    def answer(self, frames: Iterable[Frames], question: Question) -> Answer:
        """The likeliest letter, never none; its confidence is its share among the letters of the options."""
        if not question.options:
            return self.model.answer(frames, question)
        start = time.perf_counter()
        shown = list(frames)
        session = self.model.watch(shown)
        logs = session.next_token(listed(question), start=BEGUN).double().cpu().numpy()
        scores = np.array([_best(logs, self.model.processor.tokenizer, i) for i in range(len(question.options))])
        shares, best = np.exp(scores - scores.max()), int(scores.argmax())
        spent_ms = (time.perf_counter() - start) * 1e3
        usage = Usage(sum(len(chunk) for chunk in shown), 0, 1, spent_ms)
        return Answer(
            f"{BEGUN} {letter(best)}", option=best, confidence=float(shares[best] / shares.sum()), usage=usage,
            run={"model": self.card},
        )  # fmt: skip


def _best(logs: np.ndarray, tokenizer: Any, option: int) -> float:
    """Log-probability of a letter, with a space before it or without."""
    tokens = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (f" {letter(option)}", letter(option))]
    known = [ids[0] for ids in tokens if len(ids) == 1]
    if not known:
        raise ModelError(f"the tokenizer has no token for the letter {letter(option)}: ask the model itself")
    return float(logs[known].max())
