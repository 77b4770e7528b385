"""TempCompass: the same videos asked by multiple choice, yes or no, caption matching and captioning.

Files: `questions/{multi-choice,yes_no,caption_matching,captioning}.json` of llyx97/TempCompass ({video: {dimension:
[{question, answer}]}}), its `meta_info.json`, the rows of the hub dataset as JSON lines (video_id, question, answer,
dim), or `benchmarks/TempCompass/TempCompass.jsonl` of xjtupanda/T2Vid (question_id, video, prompt, GT, category).

Source: Liu et al., ACL Findings 2024. Verified, but for the rows of the hub dataset. A captioning question lists its
information in the text and has no options; its answer is the right piece of information, as published.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from videre.data import choices
from videre.data.annotations import Source, collect
from videre.data.fields import Row
from videre.data.json_rows import jsonl, members
from videre.errors import DataError
from videre.types import Question, Sample

TASKS = ("multi-choice", "yes_no", "caption_matching", "captioning")
DIMENSIONS = ("action", "direction", "speed", "order", "attribute_change")

_SENTENCE = re.compile(r"(?:Option|Sentence|Caption) (\w): (.*)")


def read(path: Source, *, task: str | None = None) -> list[Sample]:
    """The questions of one task, `kind` the dimension ("action", "direction", ...).

    Args:
        path: the JSON of one task, or JSON lines.
        task: one of `TASKS`; None takes it from the file's name, and multi-choice for rows with a prompt.
    """
    if str(path).endswith(".jsonl"):
        return collect(jsonl(path), lambda row: _line(row, task or Path(path).stem), path=path)
    return collect(_questions(path), lambda row: _official(row, task or Path(path).stem), path=path)


def read_fine_grained(path: Source) -> dict[tuple[str, str], str]:
    """`meta_info.json`: the fine-grained type of a video's dimension, such as ("1034419625", "action").

    The dimension "order" has no finer types and stands for itself.
    """
    types: dict[tuple[str, str], str] = {}
    for row in members(path):
        asked = row.inner("eval_dim")
        for dimension in (name for name in asked.fields if asked.has(name)):
            told = asked.inner(dimension)
            types[row.name, dimension] = told.text("type") if told.has("type") else dimension
    return types


def _questions(path: Source) -> Iterator[Row]:
    for video in members(path):
        for dimension in video.fields:
            for number, row in enumerate(video.inners(dimension)):
                fields = {**row.fields, "video_id": video.name, "dim": dimension, "number": number}
                yield replace(row, fields=fields)


def _official(row: Row, task: str) -> Sample:
    video, dimension = row.video("video_id"), _dimension(row, "dim")
    question, answer = _reader(row, task)(row)
    name = f"{task}/{video}/{dimension}/{row.fields.get('number', row.line)}"
    return Sample(id=name, video=video, question=question, answer=answer, kind=dimension)


def _line(row: Row, task: str) -> Sample:
    if "prompt" not in row.fields:
        return _official(row, task)
    asked = choices.prompt(row, row.text("prompt"))
    return Sample(
        id=row.label("question_id"),
        video=row.video("video"),
        question=asked.asked(),
        answer=choices.by_letter(row, "GT", letters=asked.letters),
        kind=_dimension(row, "category"),
    )


def _dimension(row: Row, name: str) -> str:
    dimension = row.text(name)
    if dimension not in DIMENSIONS:
        raise row.wrong(f"the dimension {dimension!r} is none of {', '.join(DIMENSIONS)}")
    return dimension


def _reader(row: Row, task: str) -> Callable[[Row], tuple[Question, str]]:
    readers = {
        "multi-choice": _multi_choice,
        "yes_no": _yes_no,
        "caption_matching": _caption_matching,
        "captioning": _captioning,
    }
    if task not in readers:
        reason = f"{row.source}: {task!r} is none of TempCompass's tasks"
        raise DataError(f"{reason}; pass task= one of {', '.join(TASKS)}", code="task")
    return readers[task]


def _multi_choice(row: Row) -> tuple[Question, str]:
    asked = choices.prompt(row, row.text("question"))
    answer = re.sub(r"[A-Z]\. ?", "", row.text("answer"), count=1)
    if answer not in asked.options:
        raise row.wrong(f'"answer" is {answer!r}, which is none of the options {asked.options}', code="wrong_answer")
    return asked.asked(), answer


def _yes_no(row: Row) -> tuple[Question, str]:
    answer = row.text("answer").lower()
    if answer not in ("yes", "no"):
        raise row.wrong(f'"answer" is {answer!r}, yes or no was expected', code="wrong_answer")
    return Question(row.text("question"), ("yes", "no")), answer


def _caption_matching(row: Row) -> tuple[Question, str]:
    question, *lines = row.text("question").split("\n")
    texts = {line.strip(): match.group(2).strip() for line in lines if (match := _SENTENCE.fullmatch(line.strip()))}
    answer = row.text("answer")
    if answer not in texts:
        raise row.wrong(f'"answer" is {answer!r}, which is none of the lines of the question', code="wrong_answer")
    return choices.asked(question, tuple(texts.values())), texts[answer]


def _captioning(row: Row) -> tuple[Question, str]:
    return Question(row.text("question")), re.sub(r"[A-Z]\. ?", "", row.text("answer"), count=1)
