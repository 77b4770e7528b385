"""Records -> what a person or a program reads on standard output."""

import click

from videre.record import Record, dumps, to_row
from videre.types import Answer, Question


def as_json(record: Record) -> str:
    """The record as one line."""
    return dumps(to_row(record))


def as_text(record: Record) -> str:
    """The record in a few lines: the answer first, then what it rests on."""
    head = f"{click.style(printable(record.id), bold=True)}  {printable(record.question.text)}"
    if record.answer is None:
        return f"{head}\n  {printable(str(record))}"
    return "\n".join([head, *(f"  {line}" for line in _lines(record.answer, record.question))])


def clock(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any.

    >>> clock(75.25), clock(3600)
    ('01:15.25', '1:00:00.00')
    """
    minutes, rest = divmod(round(seconds * 100), 6000)
    hours, minutes = divmod(minutes, 60)
    return f"{f'{hours}:' if hours else ''}{minutes:02d}:{rest / 100:05.2f}"


def printable(text: str) -> str:
    r"""The text without what a terminal would obey.

    >>> printable("a\x1b[31mb\n")
    'a\\x1b[31mb\\n'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _lines(answer: Answer, question: Question) -> list[str]:
    evidence = answer.evidence
    option = question.options[answer.option] if answer.option is not None else answer.text
    chosen = f" = {option}" if option.casefold() != answer.text.strip().casefold() else ""
    sure = f"  (confidence {answer.confidence:.2f})" if answer.confidence is not None else ""
    lines = [f"answer  {click.style(printable(answer.text + chosen), fg='green', bold=True)}{sure}"]
    if answer.rationale:
        lines.append(f"because {printable(answer.rationale)}")
    if question.options and answer.option is None:
        lines.append("        (the reply names none of the options)")
    lines.append(f"seen    {len(evidence.seconds)} frames at {' '.join(clock(t) for t in evidence.seconds)}")
    lines += [f"when    {clock(span.start_seconds)} - {clock(span.end_seconds)}" for span in evidence.spans]
    lines += [f"where   {box.label or 'box'} at {clock(box.seconds)}" for box in evidence.boxes]
    return lines
