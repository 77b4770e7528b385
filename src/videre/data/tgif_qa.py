"""TGIF-QA: what repeats, how often, what follows, and what is seen, over animated GIFs.

Files of YunseokJANG/tgif-qa, `dataset/`: `{Train,Test,Total}_{action,transition,count,frameqa}_question.csv`,
separated by tabs: gif_name, question, answer, vid_id, and a1 to a5 where there are options (the answer is then their
index from 0).

Source: Jang et al., CVPR 2017. Unverified: our copy of the benchmarks lacks the files; this follows the repository's
description of the columns.
"""

from pathlib import Path

from videre.data import choices
from videre.data.annotations import Source, collect, table
from videre.data.fields import Row
from videre.types import Question, Sample

TASKS = ("action", "transition", "count", "frameqa")
FRAME_KINDS = ("object", "number", "color", "location")
"""The types 0 to 3 of frameqa."""


def read(path: Source, *, task: str | None = None) -> list[Sample]:
    """The questions of one task; `kind` is the task, for frameqa with its type: "frameqa/color".

    Args:
        path: one of the CSV files.
        task: one of `TASKS`; None takes it from the file's name.
    """
    known = next((name for name in TASKS if f"_{name}_" in Path(path).name), "frameqa")
    rows = table(path, ("gif_name", "question", "answer"), delimiters="\t,")
    return collect(rows, lambda row: _sample(row, task or known), path=path)


def _sample(row: Row, task: str) -> Sample:
    options = tuple(row.label(f"a{number}") for number in range(1, 6)) if "a1" in row.fields else ()
    return Sample(
        id=f"{task}_{row.line}",
        video=row.video("gif_name"),
        question=choices.asked(row.text("question"), options) if options else Question(row.text("question")),
        answer=choices.by_index(row, "answer", options=options) if options else row.label("answer"),
        kind=f"{task}/{_frame_kind(row)}" if task == "frameqa" and "type" in row.fields else task,
    )


def _frame_kind(row: Row) -> str:
    number = row.whole("type")
    if not 0 <= number < len(FRAME_KINDS):
        raise row.wrong(f'"type" is {number}, 0 to 3 was expected')
    return FRAME_KINDS[number]
