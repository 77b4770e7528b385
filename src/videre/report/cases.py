"""Records sorted for reading: one case for each question about a video, with every answer to it side by side."""

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from videre.record import Record
from videre.types import JSON, Question


@dataclass(frozen=True)
class Entry:
    """One answer (or failure) and its place on the page."""

    record: Record
    index: int

    @property
    def label(self) -> str:
        """What tells it from another answer to the same question: selector and model, or else the id."""
        run = self.record.answer.run if self.record.answer else {}
        words = [name(run.get(key)) for key in ("selector", "model")]
        return " · ".join(word for word in words if word) or self.record.id


@dataclass(frozen=True)
class Case:
    """A question about a video, and everything that was answered to it."""

    path: str
    question: Question
    entries: tuple[Entry, ...]

    @property
    def video(self) -> Mapping[str, JSON]:
        """What is known of the video: the facts of the first record that has any."""
        known = [entry.record.video for entry in self.entries if "duration_seconds" in entry.record.video]
        return (known or [self.entries[0].record.video])[0]

    @property
    def name(self) -> str:
        """The file name without its folder."""
        return os.path.basename(self.path) or self.path or "(no video)"

    @property
    def duration_seconds(self) -> float:
        """The length of the video, and never less than the last time that a record names."""
        named = max((t for entry in self.entries for t in _times(entry.record)), default=0.0)
        return max(named, positive(self.video.get("duration_seconds")) or 0.0)


def cases_of(records: Iterable[Record]) -> list[Case]:
    """The cases, those of one video together, in the order in which videos and questions first appear."""
    videos: dict[str, dict[Question, list[Entry]]] = {}
    for index, record in enumerate(records):
        questions = videos.setdefault(str(record.video.get("path", "")), {})
        questions.setdefault(record.question, []).append(Entry(record, index))
    return [
        Case(path, question, tuple(entries))
        for path, questions in videos.items()
        for question, entries in questions.items()
    ]


def name(value: JSON) -> str:
    """How a run card names a thing: a plain word, or the `name` or `id` of its own card."""
    if isinstance(value, Mapping):
        return str(value.get("name") or value.get("id") or "")
    return "" if value is None else str(value)


def positive(value: JSON) -> float | None:
    """The value where it is a finite number above zero, as a fact of a video should be."""
    return value if isinstance(value, int | float) and math.isfinite(value) and value > 0 else None


def _times(record: Record) -> list[float]:
    evidence = record.evidence
    scored = evidence.scored.seconds if evidence.scored else ()
    found = (*evidence.seconds, *scored, *(s.end_seconds for s in evidence.spans), *(b.seconds for b in evidence.boxes))
    return [seconds for seconds in found if math.isfinite(seconds)]
