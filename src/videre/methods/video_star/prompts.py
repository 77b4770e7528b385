"""What the models are asked: a question's answer, the same with the label shown, questions for labels.

Source: section 2.2 and appendix A.1 of the paper.
Differs: a range or box keeps its brackets in the hint, so that an answer that copies it can be read; `official=True`
writes it as the official code does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from videre.types import JSON

EXPLAIN = "Can you explain step-by-step how one can arrive at this conclusion?"
ASK = "A video is labeled {label} for the task of {task}. What questions could you ask someone about the video that " \
      "should contain the video labels in the response?"  # fmt: skip


@dataclass(frozen=True)
class Wording:
    """How rows are asked; the defaults are the paper's.

    Attributes:
        direct: with `{question}`.
        hinted: with `{question}` and `{label}` ("class: skiing"), or `{value}` for the value alone ("skiing").
    """

    direct: str = "Question: {question}\n" + EXPLAIN
    hinted: str = "Question: {question}\nAnswer: {label}.\n" + EXPLAIN

    def __post_init__(self) -> None:
        if "{question}" not in self.direct or not ("{label}" in self.hinted or "{value}" in self.hinted):
            raise ValueError("a direct prompt holds {question}, a hinted one {label} or {value} as well")


PAPER = Wording()


def answer(question: str, *, wording: Wording = PAPER) -> str:
    """The prompt of answer generation."""
    return wording.direct.replace("{question}", question)


def rationalize(question: str, label: Mapping[str, JSON], *, official: bool = False, wording: Wording = PAPER) -> str:
    """The prompt of label rationalization: the label is shown."""
    # The question last: a brace in it is text.
    shown = wording.hinted.replace("{label}", label_text(label, official=official))
    return shown.replace("{value}", value_text(label, official=official)).replace("{question}", question)


def questions(label: Mapping[str, JSON], task: str) -> str:
    """The prompt that makes questions out of labels and a task."""
    return ASK.format(label=label_text(label), task=task)


def label_text(label: Mapping[str, JSON], *, official: bool = False) -> str:
    """The labels in words: "final score: 63.0. action difficulty: 3.3".

    >>> label_text({"temporal_range": [0.2, 0.5]}), label_text({"temporal_range": [0.2, 0.5]}, official=True)
    ('temporal range: [0.2, 0.5]', 'temporal range: 0.2, 0.5')
    """
    return ". ".join(f"{name}: {_value(value, official)}" for name, value in label.items()).replace("_", " ")


def value_text(label: Mapping[str, JSON], *, official: bool = False) -> str:
    """The labels in words without their names: "63.0. 3.3"."""
    return ". ".join(_value(value, official) for value in label.values()).replace("_", " ")


def _value(value: JSON, official: bool) -> str:
    if official:
        # Whole numbers in a list are "complex" there, as is everything but text, floats and lists of these.
        if isinstance(value, list) and all(isinstance(item, str | float) for item in value):
            return ", ".join(map(str, value))
        return str(value) if isinstance(value, str | int | float) else "[Complex Data]"
    if isinstance(value, Sequence) and not isinstance(value, str):
        inner = ", ".join(map(str, value))
        return f"[{inner}]" if all(isinstance(item, int | float) for item in value) else inner
    return str(value)
