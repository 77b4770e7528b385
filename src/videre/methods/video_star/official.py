"""The official verifiers, rule for rule, so that published sets can be filtered as their authors did.

Where the official code raises (no number, an empty answer, a label of 0) the item was lost there; here it is a reject
with the error's name as its reason. Two of its models are injected: the extractive reader and the tagger of times.

Source: `verifier.py` of orrzohar/Video-STaR at 191559d (Apache-2.0), by the figures of its execution. Stop words are
those of spaCy 3.7 (MIT), in `stop_words.txt`.
"""

import itertools
import re
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files

import numpy as np
from jaxtyping import Float
from rapidfuzz import fuzz

from videre.methods.video_star.label import Label, Verdict, accept, reject
from videre.methods.video_star.sentences import Embedder, split

IOU, TIME, SCORE, FUZZ, SENTENCE, STEP = 0.5, 0.1, 0.1, 85, 0.6, 0.25
_NUMBER = re.compile(r"-?\d+\.?\d*")
_BOX = re.compile(r"\[\s*(\d+\.\d+),\s*(\d+\.\d+),\s*(\d+\.\d+),\s*(\d+\.\d+)\s*\]")
_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+")
_SPAN_NAMES = ("answer_question", "question_from_answer", "action_after_action", "action_before_action")


def verify(
    answer: str,
    label: Label,
    question: str,
    *,
    embed: Embedder,
    read: Callable[[str, str], str] | None = None,
    tag: Callable[[str], Sequence[float]],
) -> Verdict:
    """The official verdict; an error of the official code is a reject."""
    spanned = label.kind == "object" or (label.kind == "sentence" and label.name in _SPAN_NAMES)
    text = read(question, answer) if read and spanned else answer
    try:
        is_kept, found = _verdict(text, label, embed, tag)
    except (TypeError, ValueError, ZeroDivisionError) as error:
        return reject(f"the official code raises {type(error).__name__} here")
    return accept("as the official code", found=found) if is_kept else reject("as the official code", found=found)


def _verdict(text: str, label: Label, embed: Embedder, tag: Callable[[str], Sequence[float]]) -> tuple[bool, object]:
    kind, value = label.kind, label.value
    if kind == "time_range":
        pair = last_pair(tag(text))
        return (bool(pair) and one_dim_range(pair or (), value)), list(pair or ())
    if kind == "time_point":
        last = next(reversed(all_numbers(text)), None)
        return normalized_float(last, value), last
    if kind == "number":
        found = all_numbers(text) or None
        return abs_float(found, value), found
    if kind == "box":
        box = last_box(text)
        return bool(box) and two_dim_range(box or (), value), list(box or ())
    if kind in ("object", "keywords"):
        return word_matching(text, str(value)), text
    if kind == "same":
        mentions = re.findall(r"\bbe (not )?the same\b|\bare (not )?the same\b", text, re.IGNORECASE)
        return bool(mentions) and any(mentions[-1]) != bool(value), text
    steps = list(value) if kind in ("ordered", "unordered") else split(str(value))
    likeness = _likeness(steps, split(text), embed)
    return (in_order(likeness, STEP) if kind == "ordered" else all_found(likeness, SENTENCE)), text


def one_dim_range(found: Sequence[float | None], gold: Sequence[float]) -> bool:
    """Whether the overlap over the union of two ranges exceeds 0.5, in plain floats."""
    (a, b), (c, d) = found, gold
    if a is None or b is None:
        return False
    overlap = max(0.0, min(b, d) - max(a, c))
    return overlap > 0 and overlap / ((b - a) + (d - c) - overlap) > IOU


def normalized_float(found: float | Sequence[float] | None, gold: float) -> bool:
    """Whether a number, or one of several, is within 0.1 of the label."""
    several = [found] if isinstance(found, int | float) else found or []
    return any(abs(value - gold) <= TIME for value in several)


def abs_float(found: float | Sequence[float] | None, gold: float) -> bool:
    """Whether any of the numbers is within 10 % of the label.

    Raises:
        TypeError: there is no number.
        ZeroDivisionError: the label is 0.
    """
    if found is None:
        raise TypeError("no number")
    several = [found] if isinstance(found, int | float) else list(found)
    return min(abs(value - gold) / gold for value in several) <= SCORE


def two_dim_range(found: Sequence[float | None], gold: Sequence[float]) -> bool:
    """Whether two boxes, taken for centre and size, overlap by more than 0.5.

    Raises:
        ZeroDivisionError: both are empty.
    """
    known = [value for value in found if value is not None]
    if len(known) < 4:
        return False
    (ax, ay, aw, ah), (bx, by, bw, bh) = known, gold
    width = min(ax + aw / 2, bx + bw / 2) - max(ax - aw / 2, bx - bw / 2)
    height = min(ay + ah / 2, by + bh / 2) - max(ay - ah / 2, by - bh / 2)
    overlap = max(0.0, width) * max(0.0, height)
    return overlap / (aw * ah + bw * bh - overlap) > IOU


def word_matching(text: str, label: str) -> bool:
    """Whether each word of the label that is no stop word has a likeness above 85 with some such word of the text.

    Raises:
        ValueError: the text has no such word and the label has.
    """
    there = _content(text)
    return all(max(round(fuzz.ratio(word, other)) for other in there) > FUZZ for word in _content(label))


def in_order(likeness: Float[np.ndarray, "K T"], floor: float) -> bool:
    """Whether each step reaches the floor somewhere, and the likeliest places never go back."""
    places = likeness.argmax(axis=1)
    return bool((likeness.max(axis=1) >= floor).all() and (np.diff(places) >= 0).all())


def all_found(likeness: Float[np.ndarray, "K T"], floor: float) -> bool:
    """Whether each step reaches the floor somewhere."""
    return bool((likeness.max(axis=1) >= floor).all())


def all_numbers(text: str) -> list[float]:
    """Every number of a text; "1-100" is 1 and -100."""
    return [float(number) for number in _NUMBER.findall(text)]


def last_box(text: str) -> tuple[float, ...] | None:
    """The last box in square brackets whose four numbers all have a decimal point."""
    found = _BOX.findall(text)
    return tuple(map(float, found[-1])) if found else None


def last_pair(times: Sequence[float]) -> tuple[float, float] | None:
    """The last two neighbours that ascend strictly inside (0, 1)."""
    pairs = [(a, b) for a, b in itertools.pairwise(times) if 0 < a < b < 1]
    return pairs[-1] if pairs else None


def decimals(text: str) -> list[float]:
    """Decimals of a text: stands in for the official tagger, which is no part of this project and finds fewer."""
    return [float(number) for number in re.findall(r"(?<![\d.])\d*\.\d+(?!\d|\.\d)", text)]


def _content(text: str) -> list[str]:
    tokens = (match[0].lower() for match in _TOKEN.finditer(text))
    return [token for token in tokens if len(token) > 2 and token not in _stop_words()]


def _likeness(steps: Sequence[str], parts: Sequence[str], embed: Embedder) -> Float[np.ndarray, "K T"]:
    vectors = embed([*steps, *parts])
    return vectors[: len(steps)] @ vectors[len(steps) :].T


@cache
def _stop_words() -> frozenset[str]:
    text = files("videre.methods.video_star").joinpath("stop_words.txt").read_text("utf-8")
    return frozenset(word for line in text.splitlines() if not line.startswith("#") for word in line.split())
