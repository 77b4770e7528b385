"""Rows and kept answers as JSON lines: typed, the same columns in every row, whole or absent."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from videre.data.annotations import Source
from videre.data.fields import Row as Line
from videre.data.json_rows import jsonl
from videre.jobs import replace_file
from videre.methods.video_star.label import KINDS, Label, Row, Verdict
from videre.types import JSON, Span


@dataclass(frozen=True)
class Kept:
    """An answer that its labels bear out: a training example.

    Attributes:
        row: the row of the question table; its plain question is what is trained on, never the hint.
        text: what the model said.
        is_direct: it was said without the label being shown.
        cycle: from 1.
        verdicts: one a label.
    """

    row: Row
    text: str
    is_direct: bool
    cycle: int
    verdicts: tuple[Verdict, ...] = ()


def save_rows(path: Path, rows: Iterable[Row]) -> None:
    """Writes a question table."""
    replace_file(path, "".join(json.dumps(_row(row)) + "\n" for row in rows))


def load_rows(path: Source) -> list[Row]:
    """A question table, written by `save_rows` or by hand.

    Each line has id, video, question and labels, a list of {name, kind, value, options}; duration_seconds, clip
    (`[start, end]` in seconds) and task may be there.

    Raises:
        DataError: a line does not hold; the message names it.
    """
    return [_read(line) for line in jsonl(path)]


def save_kept(path: Path, kept: Sequence[Kept]) -> None:
    """Writes kept answers, sorted by id."""
    ordered = sorted(kept, key=lambda k: k.row.id)
    replace_file(path, "".join(json.dumps(_kept(k)) + "\n" for k in ordered))


def load_kept(path: Source) -> list[Kept]:
    """Kept answers, read back."""
    return [
        Kept(
            _read(line.inner("row")),
            line.text("text"),
            bool(line.get("is_direct")),
            line.whole("cycle"),
            tuple(Verdict(**verdict) for verdict in line.items("verdicts")),
        )
        for line in jsonl(path)
    ]


def _kept(kept: Kept) -> dict[str, JSON]:
    verdicts = [asdict(verdict) for verdict in kept.verdicts]
    facts = {"text": kept.text, "is_direct": kept.is_direct, "cycle": kept.cycle, "verdicts": verdicts}
    return {"id": kept.row.id, "row": _row(kept.row)} | facts


def _row(row: Row) -> dict[str, JSON]:
    told = asdict(row)
    told["clip"] = [row.clip.start_seconds, row.clip.end_seconds] if row.clip else None
    return told


def _read(line: Line) -> Row:
    clip = [float(t) for t in line.items("clip")] if line.has("clip") else None
    try:
        return Row(
            id=line.label("id"),
            video=line.video("video"),
            question=line.text("question"),
            labels=tuple(_label(inner) for inner in line.inners("labels")),
            duration_seconds=line.number("duration_seconds") if line.has("duration_seconds") else None,
            clip=Span(clip[0], clip[1]) if clip else None,
            task=line.text("task", blank=True) if line.has("task") else "",
        )
    except (TypeError, ValueError) as error:
        raise line.wrong(str(error), fix="mend the row") from error


def _label(line: Line) -> Label:
    options = line.strings("options") if line.has("options") else ()
    kind = line.text("kind")
    if kind not in KINDS:
        raise line.wrong(f"a label is of kind {kind!r}", fix=f"write one of {', '.join(KINDS)}")
    return Label(line.text("name"), kind, line.get("value"), options)  # type: ignore[arg-type]
