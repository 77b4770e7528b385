"""The operators of MoST-Grounding as plain functions: seconds in, seconds out; pixels in, pixels out.

Source: MSR-ViR appendix C, equations 8 to 14, with the holes of the paper closed where a docstring says so.
"""

import math
import re

from videre.types import Span
from videre.video.sample import centres

Pixels = tuple[float, float, float, float]
"""Corners x0, y0, x1, y1 in pixels of the displayed frame."""

UNDER = ("bottom", "down", "below", "under", "beneath", "sit on", "stand on", "lying on", "lie on")
OVER = ("top", "above", "up", "carry", "lift", "on")
AROUND = ("next to", "beside", "near", "surround")
CONTACT = ("hold", "touch", "contact", "take")
KINDS = {"left": "left", "right": "right"} | {
    word: kind
    for kind, words in {"under": UNDER, "over": OVER, "around": AROUND, "contact": CONTACT}.items()
    for word in words
}
FORMS = {
    "sit": "sitting|sits|sat", "stand": "standing|stands|stood", "lie": "lies|lay", "carry": "carrying|carries",
    "lift": "lifting|lifts|lifted", "surround": "surrounding|surrounds|surrounded by|around", "hold": "holding|holds",
    "touch": "touching|touches", "contact": "contacting|contacts|in contact with", "take": "taking|takes",
    "lying": "laying", "next to": "by the side of|close to|adjacent to", "above": "over", "below": "underneath",
}  # fmt: skip


def localized(preposition: str, span: Span, duration_seconds: float) -> Span:
    """The span that a preposition makes of an anchor: itself, or one of the same length right before or after it.

    Raises:
        ValueError: no such preposition.

    Source: equation 8.
    """
    start, end = span.start_seconds, span.end_seconds
    if preposition in ("when", "while", "as"):
        return span
    if preposition == "after":
        return Span(end, max(end, min(2 * end - start, duration_seconds)))
    if preposition == "before":
        return Span(max(0.0, 2 * start - end), start)
    raise ValueError(f"a preposition is when, while, as, after or before, got {preposition!r}")


def rest(preposition: str, span: Span, duration_seconds: float) -> Span:
    """As `localized`, up to the end or from the start of the video."""
    if preposition == "after":
        return Span(span.end_seconds, max(span.end_seconds, duration_seconds))
    return Span(0.0, span.start_seconds) if preposition == "before" else span


def hull(a: Span, b: Span) -> Span:
    """The smallest span that holds both. Source: equation 9."""
    return Span(min(a.start_seconds, b.start_seconds), max(a.end_seconds, b.end_seconds))


def gap(a: Span, b: Span) -> Span | None:
    """What lies between two spans; None where they touch or overlap."""
    start, end = min(a.end_seconds, b.end_seconds), max(a.start_seconds, b.start_seconds)
    return Span(start, end) if start < end else None


def position(where: str, fraction: float, window: Span) -> Span:
    """The start, middle or end of a window."""
    length = fraction * window.seconds
    room = window.seconds - length
    offset = {"start": 0.0, "middle": room / 2, "end": room}[where]
    start = window.start_seconds + offset
    return Span(start, window.end_seconds if where == "end" else min(window.end_seconds, start + length))


def padded(span: Span, *, before: float, after: float, duration_seconds: float) -> Span:
    """A wider span, within the video."""
    return Span(max(0.0, span.start_seconds - before), min(duration_seconds, span.end_seconds + after))


def at_least(span: Span, seconds: float, *, duration_seconds: float) -> Span:
    """A span of at least this length around the same centre, moved to lie inside the video.

    Differs: the paper lets empty spans through; a point would count as perfect precision.
    """
    start, end = max(0.0, span.start_seconds), min(duration_seconds, span.end_seconds)
    if end - start >= min(seconds, duration_seconds):
        return Span(start, end)
    length = min(seconds, duration_seconds)
    start = min(max(0.0, (span.start_seconds + span.end_seconds - length) / 2), duration_seconds - length)
    return Span(start, duration_seconds if start + length > duration_seconds else start + length)


def moments(span: Span, count: int, *, whole_seconds: bool = True) -> tuple[float, ...]:
    """Where frames of a span are taken; the middle of the span for one frame.

    Args:
        span: of the key moment.
        count: how many.
        whole_seconds: both whole-second ends around the span are among them; else the middles of `count` equal parts.

    Source: equation 10. Differs: it is undefined for one frame. And in whole seconds it shows up to a second of what
    comes before the moment, and after it, which an answerer may take for the moment: hence the other rule.
    """
    if not whole_seconds or count == 1:
        return tuple(span.start_seconds + t for t in centres(span.seconds, count))
    start, end = math.floor(span.start_seconds), math.ceil(span.end_seconds)
    return tuple(start + (end - start) * i / (count - 1) for i in range(count))


def relation_kind(word: str) -> str | None:
    """left, right, under, over, around or contact; None for a word that is not known.

    >>> relation_kind("sitting on the")
    'under'
    """
    text = " " + re.sub(r"[^a-z ]", " ", word.lower()) + " "
    for root, others in FORMS.items():
        text = re.sub(rf"\b(?:{others})\b", root, text)
    plain = " ".join(text.split())
    if plain in KINDS:
        return KINDS[plain]
    bare = " ".join(re.sub(r"\b(?:is|are|in|at|to|of|the|a|side|with)\b", " ", text).split())
    return (
        KINDS.get(bare)
        or KINDS.get(bare.removeprefix("on ").removesuffix(" on"))
        or ("around" if bare == "next" else None)
    )


def beside(relation: str, box: Pixels, *, width_px: float, height_px: float) -> Pixels:
    """The place that a kind of relation names beside a box; for `contact` give the box of the hand.

    Source: equations 12 and 13.
    """
    x0, y0, x1, y1 = box
    places = {
        "left": (max(0, 2 * x0 - x1), y0, x0, y1),
        "right": (x1, y0, min(width_px, 2 * x1 - x0), y1),
        "under": (x0, y1, x1, min(height_px, 2 * y1 - y0)),
        "over": (x0, max(0, 2 * y0 - y1), x1, y0),
    }
    around = (max(0, 2 * x0 - x1), max(0, 2 * y0 - y1), min(width_px, 2 * x1 - x0), min(height_px, 2 * y1 - y0))
    return places.get(relation, around)


def union(boxes: list[Pixels]) -> Pixels:
    """The smallest box that holds all. Source: equation 14."""
    return min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)


def is_on(side: str, box: Pixels, *, width_px: float, height_px: float) -> bool:
    """Whether the centre of a box lies on a side of the frame; the middle is its middle third across."""
    x, y = (box[0] + box[2]) / 2 / width_px, (box[1] + box[3]) / 2 / height_px
    return {"left": x < 0.5, "right": x > 0.5, "top": y < 0.5, "bottom": y > 0.5, "middle": 1 / 3 <= x <= 2 / 3}[side]


def grown(box: Pixels, smallest_px: float, *, width_px: float, height_px: float) -> Pixels:
    """A box with sides of at least `smallest_px`, inside the frame."""
    x0, x1 = _stretched(box[0], box[2], smallest_px, width_px)
    y0, y1 = _stretched(box[1], box[3], smallest_px, height_px)
    return x0, y0, x1, y1


def _stretched(low: float, high: float, least: float, most: float) -> tuple[float, float]:
    low, high = min(max(0.0, low), most), min(max(0.0, high), most)
    if high - low >= min(least, most):
        return low, high
    length = min(least, most)
    start = min(max(0.0, (low + high - length) / 2), most - length)
    return start, start + length
