"""Scores from captions: a model describes each frame, a language model lists the frames that the question needs.

Source: section 3.3, temporal pseudo labels. The wording is ours; the paper's is not published.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from videre.methods.frame_selector.scored import Scored
from videre.types import JSON, MLLM, Frames, Question

CAPTION = "Describe this video frame in one short sentence."
LIST = (
    "These are captions of {count} frames of one video, in time order, each after its index.\n\n{captions}\n\n"
    "Question: {question}\nWhich frames are most helpful to answer the question? Think of what must be seen, also "
    "where the question does not name it. Reply with their indices only, as a list such as [3, 17]."
)
MOST = 999_999
_RANGE = re.compile(r"(?<![\w.-])(\d{1,6})(?:\s*(?:-|–|—|\bto\b|\bthrough\b|\.\.\.?)\s*(\d{1,6}))?(?!\.?\d|\w)")
_LIST = re.compile(r"\[([^\[\]]*)\]")
_AFTER = re.compile(
    r"\b(?:frames?|index|indices|indexes)\b[\s:#]*(?:are|is|no\.?|numbers?)?[\s:#]*"
    r"((?:\d{1,6}(?:[\s,;&–—-]|\band\b|\bto\b|\bthrough\b|\bor\b)*)+)",
    re.IGNORECASE,
)


@runtime_checkable
class Writer(Protocol):
    """A language model: what `videre.models.text` and a server have."""

    name: str
    card: Any

    def generate(self, prompt: str, *, max_tokens: int = 128) -> str:
        """Text that follows a prompt."""
        ...


@dataclass(frozen=True)
class Temporal:
    """1 for the frames that a language model lists from the captions, 0 for the others.

    Attributes:
        captioner: describes each frame alone.
        reasoner: lists the frames; None is the captioner, without frames.
        caption_tokens: most tokens of a caption.
        list_tokens: most tokens of the list.
    """

    captioner: MLLM
    reasoner: Writer | None = None
    caption_tokens: int = 48
    list_tokens: int = 256

    @property
    def name(self) -> str:
        """Names both models."""
        return f"frames listed by {(self.reasoner or self.captioner).name} from captions of {self.captioner.name}"

    @property
    def card(self) -> JSON:
        """Both cards, both prompts."""
        cards = [dict(model.card) for model in (self.captioner, self.reasoner) if model is not None]
        tokens = [self.caption_tokens, self.list_tokens]
        return {"scorer": "temporal", "models": cards, "prompts": [CAPTION, LIST], "tokens": tokens}

    def __call__(self, frames: Frames, question: Question) -> Scored:
        """Zeros and ones."""
        return Scored(self.listed(self.captions(frames), question.text))

    def captions(self, frames: Frames) -> list[str]:
        """One line a frame."""
        alone = [Frames(frames.pixels[i : i + 1], frames.seconds[i : i + 1]) for i in range(len(frames))]
        said = [self.captioner.generate(CAPTION, [frame], max_tokens=self.caption_tokens) for frame in alone]
        return [" ".join(text.split()) for text in said]

    def listed(self, captions: Sequence[str], question: str) -> np.ndarray:
        """Zeros and ones from captions and question."""
        return marks(self.reply(captions, question), len(captions))

    def reply(self, captions: Sequence[str], question: str) -> str:
        """What the language model said, as it said it."""
        lines = "\n".join(f"{i}: {caption}" for i, caption in enumerate(captions))
        prompt = LIST.format(count=len(captions), captions=lines, question=question)
        return (self.reasoner or self.captioner).generate(prompt, max_tokens=self.list_tokens)


def marks(reply: str, count: int) -> np.ndarray:
    """1.0 at every index that a reply lists, else 0.0; all zeros where it lists none `[count]`."""
    found = np.zeros(count)
    found[indices(reply, count)] = 1.0
    return found


def indices(reply: str, count: int) -> list[int]:
    """The indices in [0, count) that a reply names, ascending: lists, prose, ranges; what lies outside is passed over.

    A list in brackets counts alone; else the numbers after the word "frame" or "index"; else all whole numbers. What
    stands in <think> tags is no answer.

    >>> indices("Frames 3 to 5 and 17, since the 2 dogs run there.", 16), indices("[12, 3, 12, 99]", 16)
    ([3, 4, 5], [3, 12])
    """
    text = re.sub(r"<think>.*?(?:</think>|$)", " ", reply, flags=re.DOTALL)
    lists = [part for part in _LIST.findall(text) if _RANGE.search(part)]
    named = [match[1] for match in _AFTER.finditer(text)]
    found: set[int] = set()
    for part in lists or named or [text]:
        for first, last in _RANGE.findall(part):
            low, high = sorted((int(first), int(last or first)))
            found |= set(range(low, min(high, count - 1) + 1))
    return sorted(found)
