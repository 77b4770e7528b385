"""Videos with labels and no questions: like Kinetics, FineDiving, Something-Something, STAR; rows of one's own.

Files: Kinetics, a CSV of label, youtube_id, time_start, time_end (the clips named `ID_000010_000020` as its downloaders
do); Something-Something v2, a JSON list of {id, label, template, placeholders}; FineDiving-like, JSON lines of {id,
video, steps, difficulty, score}, its steps in the order in which they happen.

Source: Kay et al. 2017, Goyal et al. ICCV 2017, Xu et al. CVPR 2022. Kinetics and Something-Something are unverified:
our copy of the benchmarks lacks both, this follows the published descriptions.
Differs: FineDiving is published as a pickle, which runs code when it is read: convert it to JSON lines first.
"""

from dataclasses import dataclass

from videre.data import spans, star
from videre.data.annotations import Source, collect, table
from videre.data.fields import Row
from videre.data.json_rows import rows
from videre.types import Box, Sample, Span


@dataclass(frozen=True)
class Labelled:
    """What is known of one video. What its set does not tell is empty.

    Attributes:
        id: unique in its file.
        video: relative to the folder of the videos.
        action: its class, or what is done in words.
        steps: what happens, in order.
        objects: what takes part.
        difficulty: of the action, as its judges give it.
        score: as its judges give it.
        spans: named events, in seconds.
        boxes: named things at a moment.
        asked: a question and its answer, where the set has one.
        clip: the part of the video that all this is about; None for all of it.
        duration_seconds: of the whole video, where it is known.
    """

    id: str
    video: str
    action: str = ""
    steps: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
    difficulty: float | None = None
    score: float | None = None
    spans: tuple[Span, ...] = ()
    boxes: tuple[Box, ...] = ()
    asked: Sample | None = None
    clip: Span | None = None
    duration_seconds: float | None = None


def kinetics(path: Source) -> list[Labelled]:
    """One action class a clip."""
    return collect(table(path, ("label", "youtube_id", "time_start", "time_end")), _kinetics, path=path)


def fine_diving(path: Source) -> list[Labelled]:
    """Steps in order, difficulty and score of a dive, or of any action that judges mark."""
    return collect(rows(path), _diving, path=path)


def something(path: Source) -> list[Labelled]:
    """What is done with which things: "Putting cup on table" and its two things."""
    return collect(rows(path), _something, path=path)


def star_questions(path: Source) -> list[Labelled]:
    """STAR's questions; the part of the video that each is about is its event."""
    return [
        Labelled(s.id, s.video, asked=s, spans=(Span(s.clip.start_seconds, s.clip.end_seconds),) if s.clip else ())
        for s in star.read(path)
        if s.answer is not None
    ]


def own(path: Source) -> list[Labelled]:
    """Rows of one's own, JSON lines with any of the fields of `Labelled`.

    Spans are `[start, end]` in seconds or {"start_seconds", "end_seconds", "label"}; boxes are {"seconds", "x0", "y0",
    "x1", "y1", "label"} in [0, 1] of the displayed frame.
    """
    return collect(rows(path), _own, path=path)


def _kinetics(row: Row) -> Labelled:
    start, end = row.whole("time_start"), row.whole("time_end")
    name = f"{row.text('youtube_id')}_{start:06d}_{end:06d}"
    return Labelled(name, name, action=row.text("label"), duration_seconds=float(end - start) if end > start else None)


def _diving(row: Row) -> Labelled:
    return Labelled(
        id=row.label("id"),
        video=row.video("video"),
        steps=row.strings("steps"),
        difficulty=row.number("difficulty") if row.has("difficulty") else None,
        score=row.number("score") if row.has("score") else None,
        duration_seconds=_duration(row),
    )


def _something(row: Row) -> Labelled:
    name = row.label("id")
    things = row.strings("placeholders") if row.has("placeholders") else ()
    return Labelled(name, row.video("id"), action=row.text("label"), objects=things)


def _own(row: Row) -> Labelled:
    duration = _duration(row)
    return Labelled(
        id=row.label("id"),
        video=row.video("video"),
        action=row.text("action") if row.has("action") else "",
        steps=row.strings("steps") if row.has("steps") else (),
        objects=row.strings("objects") if row.has("objects") else (),
        difficulty=row.number("difficulty") if row.has("difficulty") else None,
        score=row.number("score") if row.has("score") else None,
        spans=tuple(_span(row, item, duration) for item in (row.items("spans") if row.has("spans") else [])),
        boxes=tuple(_box(item) for item in (row.inners("boxes") if row.has("boxes") else [])),
        clip=_span(row, row.get("clip"), duration) if row.has("clip") else None,
        duration_seconds=duration,
    )


def _duration(row: Row) -> float | None:
    return row.number("duration_seconds") if row.has("duration_seconds") else None


def _span(row: Row, item: object, duration: float | None) -> Span:
    if not isinstance(item, dict):
        return spans.span(row, item, duration_seconds=duration)
    pair = [item.get("start_seconds"), item.get("end_seconds")]
    label = item.get("label")
    return spans.span(row, pair, duration_seconds=duration, label=None if label is None else str(label))


def _box(row: Row) -> Box:
    corners = [row.number(side) for side in ("x0", "y0", "x1", "y1")]
    label = row.text("label") if row.has("label") else None
    return spans.box(row, corners, seconds=row.number("seconds"), label=label)
