"""Evidence as files that other tools read: WebVTT and SRT for players, CSV for spreadsheets.

A cue stands for a span; a record without spans gives a short cue for each chosen moment. The text of a cue is the
label of the span, or else the question and the answer. Text from strangers cannot start a new cue, markup or formula.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from videre.record import Record
from videre.types import JSON, Answer, Box, Question, Span

MOMENT_SECONDS = 1.0
"""How long the cue of a single moment stands, or less where the next moment comes sooner."""
SHORTEST_SECONDS = 0.001

COLUMNS = (
    "id", "video", "question", "options", "answer", "option", "confidence",
    "frames_seconds", "spans_seconds", "boxes", "notes", "error",
)  # fmt: skip
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


@dataclass(frozen=True)
class Cue:
    """A line of text over a stretch of time."""

    start_seconds: float
    end_seconds: float
    text: str


def webvtt(items: Iterable[Record | Span]) -> str:
    """The spans as a WebVTT file, in the order of time.

    >>> print(webvtt([Span(1.0, 2.5, label="a <dog>")]), end="")
    WEBVTT
    <BLANKLINE>
    1
    00:00:01.000 --> 00:00:02.500
    a &lt;dog&gt;
    """
    blocks = [
        f"{number}\n{_stamp(cue.start_seconds)} --> {_stamp(cue.end_seconds)}\n{_markup(cue.text)}\n"
        for number, cue in enumerate(cues(items), start=1)
    ]
    return "\n".join(["WEBVTT\n", *blocks])


def srt(items: Iterable[Record | Span]) -> str:
    """The spans as an SRT file, in the order of time. SRT has no escapes: `<` and `>` become `‹` and `›`."""
    blocks = [
        f"{number}\n{_stamp(cue.start_seconds, ',')} --> {_stamp(cue.end_seconds, ',')}\n{_bare(cue.text)}\n"
        for number, cue in enumerate(cues(items), start=1)
    ]
    return "\n".join(blocks)


def cues(items: Iterable[Record | Span]) -> list[Cue]:
    """The cues of spans and records, in the order of time; failed records give none."""
    found = [cue for item in items for cue in _of(item)]
    return sorted(found, key=lambda cue: (cue.start_seconds, cue.end_seconds))


def csv_table(records: Iterable[Record]) -> str:
    """The records as CSV (RFC 4180), one row each under `COLUMNS`, safe to open in a spreadsheet.

    Text that a spreadsheet would run as a formula gets a `'` in front. Lists are joined by `; `.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows([_cell(value) for value in _row(record)] for record in records)
    return buffer.getvalue()


def _of(item: Record | Span) -> Iterator[Cue]:
    if isinstance(item, Span):
        yield _cue(item.start_seconds, item.end_seconds, item.label or "")
        return
    if item.answer is None:
        return
    said, evidence = _said(item.question, item.answer), item.evidence
    for span in evidence.spans:
        yield _cue(span.start_seconds, span.end_seconds, f"{span.label}: {said}" if span.label else said)
    if not evidence.spans:
        nexts = (*evidence.seconds[1:], float("inf"))
        for start, following in zip(evidence.seconds, nexts, strict=False):
            yield _cue(start, min(start + MOMENT_SECONDS, following), said)


def _cue(start_seconds: float, end_seconds: float, text: str) -> Cue:
    """A cue that players show: not before the start of the video, and at least a millisecond long."""
    start = max(0.0, start_seconds)
    return Cue(start, max(start + SHORTEST_SECONDS, end_seconds), text)


def _said(question: Question, answer: Answer) -> str:
    chosen = answer.option is not None and 0 <= answer.option < len(question.options)
    return f"{question.text} {question.options[answer.option or 0] if chosen else answer.text}"


def _stamp(seconds: float, mark: str = ".") -> str:
    minutes, millis = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{millis // 1000:02d}{mark}{millis % 1000:03d}"


def _line(text: str) -> str:
    """One line: an empty one would end the cue, and a control character might be obeyed."""
    return " ".join(_CONTROL.sub(" ", text).split()) or "-"


def _markup(text: str) -> str:
    return _line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _bare(text: str) -> str:
    return _line(text).replace("<", "‹").replace(">", "›").replace("{", "(").replace("}", ")")


def _row(record: Record) -> list[JSON]:
    answer, evidence = record.answer, record.evidence
    return [
        record.id,
        str(record.video.get("path", "")),
        record.question.text,
        "; ".join(record.question.options),
        answer.text if answer else None,
        answer.option if answer else None,
        answer.confidence if answer else None,
        "; ".join(f"{seconds:.3f}" for seconds in evidence.seconds),
        "; ".join(f"{span.start_seconds:.3f}-{span.end_seconds:.3f}" for span in evidence.spans),
        "; ".join(_corners(box) for box in evidence.boxes),
        "; ".join(answer.notes) if answer else None,
        (record.error or {}).get("message") if record.error else None,
    ]


def _corners(box: Box) -> str:
    corners = " ".join(f"{corner:.4f}" for corner in (box.x0, box.y0, box.x1, box.y1))
    return f"{box.seconds:.3f} {corners} {box.label or ''}".rstrip()


def _cell(value: JSON) -> JSON:
    if not isinstance(value, str):
        return value
    text = "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in value)
    return f"'{text}" if value.startswith(_FORMULA) or value.lstrip().startswith(_FORMULA) else text
