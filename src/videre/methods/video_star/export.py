"""Kept answers as training files: VSTaR-like rows, HF `messages`, ms-swift, LLaMA-Factory; questions for `videre eval`.

Source: section 3 of the paper; official `final_parser.py`.
Differs: rows are typed and homogeneous; each variant stands alone; nothing is rewritten by another model unless one is
given; wrong options come from labels of the same kind and are never the label in other words.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from videre.methods.video_star.label import Label, Row
from videre.methods.video_star.prompts import label_text
from videre.methods.video_star.store import Kept
from videre.methods.video_star.templates import drawn
from videre.methods.video_star.words import lemma, words
from videre.options import letter
from videre.types import JSON

Variant = Literal["direct", "chain", "choice"]
Form = Literal["messages", "swift", "llama-factory", "llava"]
EXPLAIN = (
    "Explain step by step.",
    "Think step by step before you answer.",
    "Give your reasons.",
    "Say how you come to your answer.",
    "Reason aloud.",
    "Show each step of your thinking.",
    "Why? Go through it step by step.",
    "Walk me through your reasoning.",
    "Justify the answer with what you see.",
    "What in the video makes you say so?",
)


@dataclass(frozen=True)
class Example:
    """A question and the answer to learn, about one video.

    Attributes:
        clip: start and end in seconds of the part that is shown; None for all of it.
        is_direct: the answer was said without the label being shown.
    """

    id: str
    video: str
    question: str
    target: str
    variant: Variant
    is_direct: bool
    clip: tuple[float, float] | None = None
    root: str = ""


def examples(
    kept: Sequence[Kept],
    *,
    variants: Sequence[Variant] = ("direct", "chain", "choice"),
    rewrite: Callable[[Kept], str] | None = None,
    seed: int = 0,
) -> list[Example]:
    """Every variant of every kept answer.

    Args:
        kept: of one cycle.
        variants: "direct" is question and label in words, "chain" question and rationale, "choice" multiple choice for
            rows with one text label and at least one wrong option.
        rewrite: makes a concise chain of thought out of a kept answer, with a model of one's own; None keeps the text.
        seed: of suffixes and options.
    """
    made = (_made(one, variant, kept, rewrite, seed) for one in kept for variant in variants)
    return [example for example in made if example is not None]


def rationales(kept: Sequence[Kept]) -> list[Example]:
    """What a cycle trains on: the plain question and what the model said, never the hint nor the request to explain."""
    return [_example(one, "chain", one.row.question, one.text, plain=True) for one in kept]


def said(labels: Sequence[Label]) -> str:
    """Labels as a short answer: the value of one, "name: value" of several."""
    if len(labels) == 1:
        text = label_text({"": labels[0].value}).removeprefix(": ")
        return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
    return label_text({label.name: label.value for label in labels}).capitalize() + "."


def rows(made: Sequence[Example], form: Form) -> Iterator[dict[str, JSON]]:
    """Examples in the form that a trainer reads, one JSON object each."""
    for one in made:
        yield _FORMS[form](one)


def eval_rows(table: Sequence[Row]) -> Iterator[dict[str, JSON]]:
    """Rows of a question table as `videre eval rows` reads them: an adapted test set, to be scored by a judge."""
    for row in table:
        clip = {"clip": [row.clip.start_seconds, row.clip.end_seconds]} if row.clip else {}
        told: dict[str, JSON] = {"id": row.id, "video": row.video, "question": row.question, "answer": said(row.labels)}
        yield told | {"kind": row.task or row.labels[0].kind} | clip


def choices(label: Label, others: Sequence[Label], key: str, *, seed: int = 0, most: int = 4) -> list[str]:
    """Options in a random order: the label once, and up to three other labels of its kind that mean something else."""
    own = _meaning(str(label.value))
    pool = [*label.options, *(str(o.value) for o in others if o.kind == label.kind and o.name == label.name)]
    wrong = {_meaning(text): text for text in pool if _meaning(text) != own}
    ordered = sorted(wrong.values(), key=lambda text: drawn(f"{key}/{text}", 2**32, seed=seed))
    options = [str(label.value), *ordered[: most - 1]]
    return sorted(options, key=lambda text: drawn(f"{key}/place/{text}", 2**32, seed=seed))


def _made(
    one: Kept, variant: Variant, kept: Sequence[Kept], rewrite: Callable[[Kept], str] | None, seed: int
) -> Example | None:
    row = one.row
    if variant == "direct":
        return _example(one, variant, row.question, said(row.labels))
    if variant == "chain":
        suffix = EXPLAIN[drawn(f"{row.id}/explain", len(EXPLAIN), seed=seed)]
        return _example(one, variant, f"{row.question} {suffix}", rewrite(one) if rewrite else one.text)
    label = row.labels[0]
    if len(row.labels) != 1 or label.kind not in ("keywords", "object", "sentence"):
        return None
    options = choices(label, [k.row.labels[0] for k in kept], row.id, seed=seed)
    if len(options) < 2:
        return None
    listed = "\n".join(f"{letter(i)}. {text}" for i, text in enumerate(options))
    return _example(one, variant, f"{row.question}\nChoices are:\n{listed}", letter(options.index(str(label.value))))


def _example(one: Kept, variant: Variant, question: str, target: str, *, plain: bool = False) -> Example:
    clip = (one.row.clip.start_seconds, one.row.clip.end_seconds) if one.row.clip else None
    id = one.row.id if plain else f"{one.row.id}#{variant}"
    return Example(id, one.row.video, question, target, variant, one.is_direct, clip)


def _meaning(text: str) -> tuple[str, ...]:
    return tuple(sorted(lemma(word) for word in words(text.replace("_", " "))))


def _facts(one: Example) -> dict[str, JSON]:
    return {"id": one.id, "clip": list(one.clip) if one.clip else None, "rationale": one.is_direct}


def _messages(one: Example) -> dict[str, JSON]:
    asked = [{"type": "video", "video": one.video}, {"type": "text", "text": one.question}]
    told = [{"type": "text", "text": one.target}]
    return _facts(one) | {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": told}]}


def _swift(one: Example) -> dict[str, JSON]:
    turns = [{"role": "user", "content": f"<video>{one.question}"}, {"role": "assistant", "content": one.target}]
    return _facts(one) | {"messages": turns, "videos": [one.video]}


def _llama_factory(one: Example) -> dict[str, JSON]:
    turns = [{"from": "human", "value": f"<video>{one.question}"}, {"from": "gpt", "value": one.target}]
    return _facts(one) | {"conversations": turns, "videos": [one.video]}


def _llava(one: Example) -> dict[str, JSON]:
    turns = [{"from": "human", "value": f"<video>\n{one.question}"}, {"from": "gpt", "value": one.target}]
    return _facts(one) | {"video": one.video, "conversations": turns, "cls_correct": True}


_FORMS: dict[str, Callable[[Example], dict[str, JSON]]] = {
    "messages": _messages,
    "swift": _swift,
    "llama-factory": _llama_factory,
    "llava": _llava,
}
