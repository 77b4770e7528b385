"""The time line of one answer: the score of every candidate, chosen frames as ticks, spans as bands, boxes as dots."""

import math
from collections.abc import Sequence

from videre.report.markup import Html, between, clock, number, tag
from videre.report.path import trail
from videre.types import Evidence, ScoreLine

WIDTH = 1000
"""The drawing is this wide and is stretched to the page; all heights are in px."""
_TOP, _FLOOR = 8, 62
_BANDS, _BAND_HEIGHT = 70, 12
_DOTS = 92
_HEIGHT = 98


def timeline(evidence: Evidence, *, duration_seconds: float) -> Html:
    """The drawing with its axis; a mark that carries `data-seek` moves the player there."""
    drawing = tag(
        "svg",
        tag("line", class_="floor", x1=0, x2=WIDTH, y1=_FLOOR, y2=_FLOOR),
        *_bands(evidence, duration_seconds),
        *_score_line(evidence, duration_seconds),
        *_ticks(evidence, duration_seconds),
        *_dots(evidence, duration_seconds),
        *_trail(evidence, duration_seconds),
        tag("line", class_="head", x1=0, x2=0, y1=0, y2=_HEIGHT),
        viewBox=f"0 0 {WIDTH} {_HEIGHT}",
        preserveAspectRatio="none",
        aria_hidden="true",
        focusable="false",
    )
    slider = tag(
        "div",
        drawing,
        class_="line",
        role="slider",
        tabindex=0,
        aria_label="Position in the video",
        aria_valuemin=0,
        aria_valuemax=round(duration_seconds, 3),
        aria_valuenow=0,
        aria_valuetext=clock(0),
    )
    return tag("div", slider, _axis(evidence, duration_seconds), class_="timeline")


def score_range(evidence: Evidence) -> tuple[float, float] | None:
    """The lowest and the highest score that the drawing shows; None where nothing was scored."""
    scores = [*(evidence.scored.scores if evidence.scored else ()), *evidence.scores]
    known = [score for score in scores if math.isfinite(score)]
    return (min(known), max(known)) if known else None


def chosen(evidence: Evidence) -> list[tuple[float, float | None]]:
    """The chosen moments that are numbers, each with its score; None where there is none, or none that is a number."""
    scores: Sequence[float | None] = evidence.scores or (None,) * len(evidence.seconds)
    pairs = zip(evidence.seconds, scores, strict=True)
    known = [(t, score if score is not None and math.isfinite(score) else None) for t, score in pairs]
    return [(t, score) for t, score in known if math.isfinite(t)]


def _x(seconds: float, duration_seconds: float) -> float:
    return round(WIDTH * min(1.0, max(0.0, seconds / duration_seconds)), 2) if duration_seconds > 0 else 0.0


def _y(score: float, evidence: Evidence) -> float:
    low, high = score_range(evidence) or (0.0, 1.0)
    share = (score - low) / (high - low) if high > low else 0.5
    return round(_FLOOR - 4 - share * (_FLOOR - 4 - _TOP), 2)


def _score_line(evidence: Evidence, duration_seconds: float) -> list[Html]:
    line = evidence.scored or ScoreLine((), ())
    pairs = sorted(pair for pair in zip(line.seconds, line.scores, strict=True) if all(map(math.isfinite, pair)))
    if not pairs:
        return []
    points = [f"{_x(t, duration_seconds)},{_y(score, evidence)}" for t, score in pairs]
    first, last = points[0].split(",")[0], points[-1].split(",")[0]
    area = " ".join([f"{first},{_FLOOR}", *points, f"{last},{_FLOOR}"])
    return [tag("polygon", class_="area", points=area), tag("polyline", class_="score", points=" ".join(points))]


def _bands(evidence: Evidence, duration_seconds: float) -> list[Html]:
    found = []
    for span in evidence.spans:
        start, end = _x(span.start_seconds, duration_seconds), _x(span.end_seconds, duration_seconds)
        width, words = max(3.0, round(end - start, 2)), between(span.start_seconds, span.end_seconds)
        said = tag("title", " ".join(word for word in (words, span.label) if word))
        place = {"x": start, "width": width, "data_seek": span.start_seconds}
        found.append(tag("rect", said, class_="shade", y=0, height=_FLOOR, x=start, width=width))
        found.append(tag("rect", said, class_="band", y=_BANDS, height=_BAND_HEIGHT, rx=3, **place))
    return found


def _ticks(evidence: Evidence, duration_seconds: float) -> list[Html]:
    found = []
    for seconds, score in chosen(evidence):
        x, y = _x(seconds, duration_seconds), _FLOOR - 18 if score is None else _y(score, evidence)
        said = tag("title", moment_words(seconds, score))
        found.append(tag("line", class_="tick", x1=x, x2=x, y1=y, y2=_FLOOR))
        found.append(tag("line", class_="knob", x1=x, x2=x, y1=y, y2=y))
        found.append(tag("line", said, class_="hit", x1=x, x2=x, y1=_TOP, y2=_FLOOR, data_seek=seconds))
    return found


def _dots(evidence: Evidence, duration_seconds: float) -> list[Html]:
    found = []
    for seconds in sorted({box.seconds for box in evidence.boxes}):
        x = _x(seconds, duration_seconds)
        labels = ", ".join(sorted({box.label or "box" for box in evidence.boxes if box.seconds == seconds}))
        said = tag("title", f"{clock(seconds)} {labels}")
        found.append(tag("line", said, class_="dot", x1=x, x2=x, y1=_DOTS, y2=_DOTS, data_seek=seconds))
    return found


def _trail(evidence: Evidence, duration_seconds: float) -> list[Html]:
    """The span of every step, thin, under the bands of the answer; steps of a long path share the room."""
    steps = trail(evidence.steps)
    height = round(min(3.0, (_DOTS - _BANDS - _BAND_HEIGHT - 4) / max(1, len(steps))), 2)
    found = []
    for row, (words, start_seconds, end_seconds) in enumerate(steps):
        x, end = _x(start_seconds, duration_seconds), _x(end_seconds, duration_seconds)
        place = {"x": x, "width": max(2.0, round(end - x, 2)), "y": round(_BANDS + _BAND_HEIGHT + 1 + row * height, 2)}
        said = tag("title", f"{between(start_seconds, end_seconds)} {words}")
        found.append(tag("rect", said, class_="step", height=round(0.8 * height, 2), data_seek=start_seconds, **place))
    return found


def moment_words(seconds: float, score: float | None) -> str:
    """A chosen moment in words: its time and, where there is one, its score."""
    return clock(seconds) + (f", score {number(score)}" if score is not None else "")


def _axis(evidence: Evidence, duration_seconds: float) -> Html:
    digits = 0 if duration_seconds >= 60 else 1
    marks = [tag("span", clock(duration_seconds * share, digits=digits)) for share in (0, 0.25, 0.5, 0.75, 1)]
    limits = score_range(evidence)
    score = f"score {number(limits[0])} to {number(limits[1])}" if limits else None
    frames = f"{len(evidence.seconds)} frames shown" if evidence.seconds else None
    when, where = "when" if evidence.spans else None, "where" if evidence.boxes else None
    path = "steps" if trail(evidence.steps) else None
    words = {"score": score, "tick": frames, "band": when, "step": path, "dot": where}
    keys = [tag("span", tag("i", class_=f"key-{name}"), said) for name, said in words.items() if said]
    return tag("div", tag("div", *marks, class_="axis", aria_hidden="true"), tag("div", *keys, class_="key"))
