"""The chosen frames of one answer as a strip of pictures with their true times, and the same evidence as a table."""

from collections.abc import Mapping

from videre.report.markup import BAR, Html, between, clock, number, tag
from videre.report.media import Still
from videre.report.timeline import chosen, moment_words, score_range
from videre.types import Box, Evidence

FEW = 8
"""Up to so many frames are shown large."""
SAME_MOMENT_SECONDS = 0.05
"""A box belongs to a frame when their times differ by no more than this."""


def strip(evidence: Evidence, stills: Mapping[float, Still]) -> Html:
    """The chosen frames in order; each is a button that moves the player to it."""
    items = [tag("li", _frame(evidence, seconds, score, stills.get(seconds))) for seconds, score in chosen(evidence)]
    return (
        tag(
            "ol",
            *items,
            class_="strip few" if len(items) <= FEW else "strip",
            aria_label="Frames that the model was shown",
        )
        if items
        else Html("")
    )


def _frame(evidence: Evidence, seconds: float, score: float | None, still: Still | None) -> Html:
    true_seconds = still.seconds if still else seconds
    boxes = [box for box in evidence.boxes if abs(box.seconds - true_seconds) <= SAME_MOMENT_SECONDS]
    picture = (
        tag("img", src=still.url, alt=_alt(true_seconds, score, boxes), decoding="async")
        if still
        else tag("span", "no picture", class_="blank")
    )
    said = None if still else _alt(true_seconds, score, boxes)
    caption = tag("span", tag("span", clock(true_seconds), class_="time"), _score(evidence, score), class_="caption")
    inside = tag("span", picture, _drawn(boxes) if still else None, class_="picture")
    return tag("button", inside, caption, type="button", class_="frame", data_seek=true_seconds, aria_label=said)


def _alt(seconds: float, score: float | None, boxes: list[Box]) -> str:
    seen = ", ".join(box.label or "a box" for box in boxes)
    return f"Frame at {moment_words(seconds, score)}" + (f"; marked: {seen}" if seen else "")


def _score(evidence: Evidence, score: float | None) -> Html | None:
    limits = score_range(evidence)
    if score is None or limits is None:
        return None
    low, high = limits
    share = (score - low) / (high - low) if high > low else 1.0
    bar = tag("svg", tag("rect", width=round(100 * share, 1), height=4), **BAR)
    value = tag("span", number(score), class_="value")
    return tag("span", value, bar, class_="score-bar", title=f"score {number(score)}", aria_hidden="true")


def _drawn(boxes: list[Box]) -> Html | None:
    """The boxes over a picture that fills its place: the same corners in hundredths."""
    if not boxes:
        return None
    rects = [
        tag(
            "rect",
            x=round(100 * box.x0, 3),
            y=round(100 * box.y0, 3),
            width=round(100 * (box.x1 - box.x0), 3),
            height=round(100 * (box.y1 - box.y0), 3),
        )
        for box in boxes
    ]
    place = {"viewBox": "0 0 100 100", "preserveAspectRatio": "none", "aria_hidden": "true"}
    return tag("svg", *rects, class_="drawn", **place)


def as_text(evidence: Evidence) -> Html:
    """When, where and how sure, as a table for readers, printers and screen readers."""
    rows: list[tuple[str, str, str | None, float | None]]
    rows = [("frame", clock(t), None, score) for t, score in chosen(evidence)]
    rows += [("span", between(s.start_seconds, s.end_seconds), s.label, s.confidence) for s in evidence.spans]
    rows += [("box", clock(b.seconds), f"{b.label or 'box'} {corners(b)}", b.confidence) for b in evidence.boxes]
    head = tag("tr", *(tag("th", word, scope="col") for word in ("what", "when", "which", "score")))
    body = [
        tag("tr", *(tag("td", cell) for cell in (what, when, which, "" if sure is None else number(sure))))
        for what, when, which, sure in rows
    ]
    return tag("table", tag("thead", head), tag("tbody", *body)) if rows else tag("p", "No evidence was recorded.")


def corners(box: Box) -> str:
    """The corners of a box in percent of the displayed frame."""
    x0, y0, x1, y1 = (f"{100 * corner:.0f}" for corner in (box.x0, box.y0, box.x1, box.y1))
    return f"({x0}–{x1} % across, {y0}–{y1} % down)"
