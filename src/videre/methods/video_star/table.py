"""The question table: rows out of labelled videos, made once and the same in every cycle.

Source: section 2.2 of the paper; dataset builders of the official code.
Differs: label and question of one row show numbers with the same number of decimals; a range that is nearly or wholly
emptied by rounding is asked for as a moment; steps keep the order in which they happen.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from videre.data.label_sets import Labelled
from videre.methods.video_star.label import Label, Row
from videre.methods.video_star.templates import POOLS, Pools, drawn, pick
from videre.types import Box, Span

Words = Mapping[str, str]
NO_WORDS: Words = MappingProxyType({})
SHORT = 0.02
"""Share of the clip below which an event is a moment."""
Derive = Callable[[Labelled, "Asker"], Iterator[Row]]


class Asker:
    """Draws questions for the rows of one task: the same for a seed, whatever the order.

    Args:
        task: what the labels were made for.
        pools: ways to ask.
        seed: of the draw.
        classes: every class name of the set, for multiple choice and for the verifier.
    """

    def __init__(self, task: str, *, pools: Pools = POOLS, seed: int = 0, classes: Sequence[str] = ()) -> None:
        self.task, self.pools, self.seed, self.classes = task, pools, seed, tuple(classes)

    def row(
        self, item: Labelled, kind: str, labels: Iterable[Label], *, words: Words = NO_WORDS, clip: Span | None = None
    ) -> Row:
        """A row with a question of the pool `kind`."""
        id = f"{item.id}/{kind}" + (f"/{words['number']}" if "number" in words else "")
        question = pick(kind, id, seed=self.seed, pools=self.pools).format(**words)
        return self.asked(item, id, question, labels, clip=clip)

    def asked(
        self, item: Labelled, id: str, question: str, labels: Iterable[Label], *, clip: Span | None = None
    ) -> Row:
        """A row with this question."""
        shown = clip or item.clip
        seconds = shown.seconds if shown else item.duration_seconds
        return Row(id, item.video, question, tuple(labels), seconds, shown, self.task)

    def digits(self, id: str) -> int:
        """Decimals of the numbers of a row, 2 to 4."""
        return 2 + drawn(f"digits/{id}", 3, seed=self.seed)


def build(items: Sequence[Labelled], task: str, *, pools: Pools = POOLS, seed: int = 0) -> list[Row]:
    """Every row that the labels carry, in order.

    Args:
        items: of one set.
        task: what its labels were made for, such as "action recognition".
        pools: ways to ask, `templates.POOLS` or some with questions that a model wrote.
        seed: of the draw among them.
    """
    classes = sorted({item.action for item in items if item.action})
    asker = Asker(task, pools=pools, seed=seed, classes=classes if len(classes) < len(items) else ())
    return [row for item in items for derive in _DERIVED for row in derive(item, asker)]


def _action(item: Labelled, asker: Asker) -> Iterator[Row]:
    if item.action and not item.objects:
        yield asker.row(item, "action", [Label("class", "keywords", item.action, asker.classes)])


def _interaction(item: Labelled, asker: Asker) -> Iterator[Row]:
    if item.action and item.objects:
        labels = [Label("action", "sentence", item.action), Label("objects", "unordered", list(item.objects))]
        yield asker.row(item, "interaction", labels)


def _steps(item: Labelled, asker: Asker) -> Iterator[Row]:
    steps = list(item.steps)
    if len(steps) >= 2:
        yield asker.row(item, "steps", [Label("action_sequence", "ordered", steps)])
    for number, (a, b) in enumerate(itertools.pairwise(steps)):
        if steps.count(a) == 1:
            label = Label("action_after_action", "sentence", b)
            yield asker.row(item, "next_step", [label], words={"step": a, "number": str(number)})
        if steps.count(b) == 1:
            label = Label("action_before_action", "sentence", a)
            yield asker.row(item, "previous_step", [label], words={"step": b, "number": str(number)})


def _quality(item: Labelled, asker: Asker) -> Iterator[Row]:
    if item.score is None:
        return
    score = Label("final_score", "number", item.score)
    yield asker.row(item, "score", [score])
    if item.steps and item.difficulty is not None:
        labels = [Label("action_sequence", "ordered", list(item.steps)), _difficulty(item.difficulty), score]
        yield asker.row(item, "quality", labels)


def _question(item: Labelled, asker: Asker) -> Iterator[Row]:
    sample = item.asked
    if sample is None or sample.answer is None:
        return
    question, answer = sample.question.text, sample.answer
    label = Label("answer_question", "sentence", answer)
    yield asker.asked(item, f"{item.id}/question", question, [label], clip=sample.clip)
    reverse = Label("question_from_answer", "sentence", question)
    yield asker.row(item, "question_of", [reverse], words={"answer": answer}, clip=sample.clip)
    for span in item.spans[:1]:
        pair = _range(item, span, asker.digits(item.id))
        if pair:
            label = Label("temporal_range", "time_range", pair)
            yield asker.row(item, "when_answered", [label], words={"question": question, "answer": answer})


def _events(item: Labelled, asker: Asker) -> Iterator[Row]:
    for number, span in enumerate(item.spans):
        pair = _range(item, span, asker.digits(f"{item.id}/{number}"))
        named = {"number": str(number)}
        if span.label and item.duration_seconds and (pair is None or span.seconds < SHORT * item.duration_seconds):
            yield from _moment(item, span, asker, named)
        elif span.label and pair:
            yield from _stretch(item, span, pair, asker, named)


def _moment(item: Labelled, span: Span, asker: Asker, named: Words) -> Iterator[Row]:
    """An event that is too short to overlap with: when it is, and what is there then."""
    middle = (span.start_seconds + span.end_seconds) / 2
    share = round(min(max(middle / (item.duration_seconds or 1.0), 0.0), 1.0), asker.digits(f"{item.id}/{named}"))
    point = Label("normalized_time", "time_point", share)
    yield asker.row(item, "when_time", [point], words={"event": span.label or "", **named})
    there = [s.label for s in item.spans if s.label and s.start_seconds <= middle <= s.end_seconds]
    actions = Label("actions", "unordered", list(dict.fromkeys(there)))
    yield asker.row(item, "what_at_time", [actions], words={"time": str(share), **named})


def _stretch(item: Labelled, span: Span, pair: list[float], asker: Asker, named: Words) -> Iterator[Row]:
    """An event with a beginning and an end: when it is, and what happens meanwhile."""
    start, end = (f"{value}" for value in pair)
    label = Label("temporal_range", "time_range", pair)
    yield asker.row(item, "when_range", [label], words={"event": span.label or "", **named})
    during = [s.label for s in item.spans if s.label and s.overlap_seconds(span) > 0.5 * s.seconds]
    actions = Label("actions", "unordered", list(dict.fromkeys(during)))
    words = {"range": f"{start} and {end}", "start": start, "end": end, **named}
    yield asker.row(item, "what_in_range", [actions], words=words)


def _things(item: Labelled, asker: Asker) -> Iterator[Row]:
    known = [box for box in item.boxes if box.label and item.duration_seconds and box.area > 0]
    for number, box in enumerate(known):
        digits = asker.digits(f"{item.id}/box/{number}")
        words = {"box": str(_corners(box, digits)), "time": _time(item, box, digits), "number": str(number)}
        yield asker.row(item, "object_at", [Label("object", "object", box.label)], words=words)
        corners = _corners(box, digits)
        if corners[0] < corners[2] and corners[1] < corners[3] and box.label:
            place = Label("location", "box", corners)
            yield asker.row(item, "where", [place], words=words | {"thing": box.label})
    for number, (a, b) in enumerate(itertools.pairwise(known)):
        yield _pair(item, a, b, asker, number)


def _pair(item: Labelled, a: Box, b: Box, asker: Asker, number: int) -> Row:
    digits = asker.digits(f"{item.id}/pair/{number}")
    first, second = Label("first_object", "keywords", a.label), Label("second_object", "keywords", b.label)
    told = "the objects are the same" if a.label == b.label else "the objects are NOT the same"
    words = {"box": str(_corners(a, digits)), "time": _time(item, a, digits)}
    words |= {"other": str(_corners(b, digits)), "other_time": _time(item, b, digits), "number": str(number)}
    return asker.row(item, "two_objects", [first, second, Label("same_or_not", "same", told)], words=words)


def _difficulty(value: float) -> Label:
    return Label("action_difficulty", "number", value)


def _range(item: Labelled, span: Span, digits: int) -> list[float] | None:
    if not item.duration_seconds:
        return None
    length = item.duration_seconds
    start, end = (round(min(max(t / length, 0.0), 1.0), digits) for t in (span.start_seconds, span.end_seconds))
    return [start, end] if start < end else None


def _time(item: Labelled, box: Box, digits: int) -> str:
    return str(round(min(box.seconds / (item.duration_seconds or 1.0), 1.0), digits))


def _corners(box: Box, digits: int) -> list[float]:
    return [round(corner, digits) for corner in (box.x0, box.y0, box.x1, box.y1)]


_DERIVED: tuple[Derive, ...] = (_action, _interaction, _steps, _quality, _question, _events, _things)
