"""Video-MME: 900 videos of three lengths, three questions each, four options.

Files: the official JSON, a list of {video_id, duration, domain, sub_category, url, questions: [{question_id, task_type,
question, options, answer}]}, or the hub dataset's rows (videoID, duration, question_id, question, options, answer) as
JSON or JSON lines.

Source: Fu et al., CVPR 2025. Unverified: its terms forbid copies, so this follows the published description and is
tested on rows written by hand.
"""

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qs, urlparse

from videre.data import choices
from videre.data.annotations import Source, collect
from videre.data.fields import Row
from videre.data.json_rows import rows
from videre.types import Sample

LENGTHS = ("short", "medium", "long")


def read(path: Source) -> list[Sample]:
    """The questions, `kind` the length of the video: short, medium or long. A video is named by its YouTube id."""
    return collect(_questions(path), _sample, path=path)


def read_task_types(path: Source) -> dict[str, str]:
    """The task type of each question ("Counting Problem", ...), by question id."""
    return {row.label("question_id"): row.text("task_type") for row in _questions(path)}


def _questions(path: Source) -> Iterator[Row]:
    for row in rows(path):
        if "questions" not in row.fields:
            yield row
            continue
        shared = {name: value for name, value in row.fields.items() if name != "questions"}
        for question in row.inners("questions"):
            yield replace(question, fields={**shared, **question.fields})


def _sample(row: Row) -> Sample:
    options = choices.labelled(row, "options")
    length = row.text("duration")
    if length not in LENGTHS:
        raise row.wrong(f'"duration" is {length!r}, one of {", ".join(LENGTHS)} was expected')
    return Sample(
        id=row.label("question_id"),
        video=_video(row),
        question=choices.asked(row.text("question"), options.options),
        answer=choices.by_letter(row, "answer", letters=options.letters) if row.has("answer") else None,
        kind=length,
    )


def _video(row: Row) -> str:
    if "videoID" in row.fields or not row.has("url"):
        return row.video("videoID" if "videoID" in row.fields else "video_id")
    parsed = urlparse(row.text("url"))
    named = parse_qs(parsed.query).get("v") or [parsed.path.rsplit("/", 1)[-1]]
    return replace(row, fields={"url": named[0]}).video("url")
