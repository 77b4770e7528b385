"""EPIC-KITCHENS-100, anticipation: which action starts a second after what was seen.

Files of epic-kitchens/epic-kitchens-100-annotations: `EPIC_100_{train,validation}.csv`, `EPIC_100_verb_classes.csv`,
`EPIC_100_noun_classes.csv`, `EPIC_100_tail_{verbs,nouns}.csv`, `EPIC_100_video_info.csv`.

Source: Damen et al., IJCV 2022. Verified.
"""

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from videre.data import spans
from videre.data.annotations import Source, collect, table
from videre.data.fields import Row
from videre.types import Question, Sample, Span

Parsed = TypeVar("Parsed")

QUESTION = "what will the person do next?"
COLUMNS = ("narration_id", "participant_id", "video_id", "start_timestamp", "stop_timestamp", "narration")
LABELS = ("verb", "verb_class", "noun", "noun_class")


@dataclass(frozen=True)
class Anticipation:
    """An action to foresee.

    Attributes:
        id: the narration's.
        sample: the question; `clip` is what may be seen, the answer is the narration.
        action: when the action itself happens; not to be seen.
        verb_class: 0 to 96.
        noun_class: 0 to 299.
        observable: False where the action starts before anything can be seen; `sample.clip` is then empty.
        noun: the thing, as it was named; the verb is `sample.kind`.
    """

    id: str
    sample: Sample
    action: Span
    verb_class: int
    noun_class: int
    observable: bool
    noun: str


@dataclass(frozen=True)
class ActionClass:
    """A verb or a noun class: its number, its name, the words that are counted to it, and its category."""

    id: str
    key: str
    instances: tuple[str, ...]
    category: str


def anticipation(
    path: Source, *, gap_seconds: float = 1.0, observed_seconds: float | None = None
) -> list[Anticipation]:
    """The actions of a split, each with the part of the video that ends `gap_seconds` before it.

    Args:
        path: `EPIC_100_train.csv` or `EPIC_100_validation.csv`.
        gap_seconds: from the last moment seen to the action's start; the challenge has 1.
        observed_seconds: how much is seen before that; None for all from the video's start.
    """

    def build(row: Row) -> Anticipation:
        return _anticipation(row, gap=gap_seconds, observed=observed_seconds)

    return collect(table(path, (*COLUMNS, *LABELS)), build, path=path)


def read_classes(path: Source) -> list[ActionClass]:
    """The verb or noun classes, the class's number as `id`."""
    return collect(table(path, ("id", "key", "instances", "category")), _class, path=path)


def read_tail(path: Source) -> frozenset[int]:
    """The class numbers of `EPIC_100_tail_verbs.csv` or `EPIC_100_tail_nouns.csv`: the rare ones."""
    column = "verb" if "verb" in str(path).rsplit("/", 1)[-1] else "noun"
    return frozenset(row.whole(column) for row in table(path, (column,)))


def read_durations(path: Source) -> dict[str, float]:
    """`EPIC_100_video_info.csv`: the length of each video in seconds, by video id."""
    return {row.text("video_id"): row.number("duration") for row in table(path, ("video_id", "duration"))}


def _anticipation(row: Row, *, gap: float, observed: float | None) -> Anticipation:
    times = [_parsed(row, name, parse=_clock, form="HH:MM:SS.mmm") for name in ("start_timestamp", "stop_timestamp")]
    action = spans.published(row, times)
    end = max(0.0, action.start_seconds - gap)
    start = 0.0 if observed is None else max(0.0, end - observed)
    name, participant = row.text("narration_id"), row.text("participant_id")
    sample = Sample(
        id=name,
        video=f"{participant}/videos/{row.video('video_id')}",
        question=Question(QUESTION),
        answer=row.text("narration"),
        kind=row.text("verb"),
        clip=Span(start, end),
    )
    classes = row.whole("verb_class"), row.whole("noun_class")
    return Anticipation(name, sample, action, *classes, observable=end > start, noun=row.text("noun"))


def _class(row: Row) -> ActionClass:
    return ActionClass(
        row.label("id"),
        row.text("key"),
        _parsed(row, "instances", parse=_words, form="a list of words"),
        row.text("category", blank=True),
    )


def _clock(text: str) -> float:
    hours, minutes, seconds = text.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _words(text: str) -> tuple[str, ...]:
    return tuple(str(word) for word in ast.literal_eval(text))


def _parsed(row: Row, name: str, *, parse: Callable[[str], Parsed], form: str) -> Parsed:
    try:
        return parse(row.text(name))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise row.wrong(f'"{name}" is {row.fields[name]!r}, {form} was expected') from None
