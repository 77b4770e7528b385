"""LVU: seven things to know of a film clip, such as its director or its scene, each a closed set of labels.

Files: `data/lvu/annotation/{train,val,test}.json` of boheumd/MA-LMM, {video: {duration, num_frames, and for some of the
tasks TASK and TASK_answer}}.

Source: Wu and Kraehenbuehl, CVPR 2021; windows as in MA-LMM's `lvu_cls_datasets.py`. Verified.
"""

from collections.abc import Iterator
from dataclasses import replace

from videre.data.annotations import Source, collect
from videre.data.fields import Row
from videre.data.json_rows import members
from videre.errors import DataError
from videre.types import Question, Sample, Span

TASKS = ("director", "genre", "relationship", "scene", "way_speaking", "writer", "year")


def read(
    path: Source, task: str | None = None, *, window_seconds: int | None = None, stride_seconds: int = 20
) -> list[Sample]:
    """The questions, `kind` the task, the answer its label.

    Args:
        path: the annotation of a split.
        task: one of `TASKS`; None for all.
        window_seconds: asks once a window of this length, `clip`, as MA-LMM does with 100; None asks once a video.
        stride_seconds: from one window's start to the next; the first window is there in short videos too.
    """
    if task is not None and task not in TASKS:
        raise DataError(f"{task!r} is no task of LVU; pass one of {', '.join(TASKS)}", code="task")
    tasks = TASKS if task is None else (task,)
    rows = _asked(path, tasks)
    if window_seconds is not None:
        rows = _windows(rows, window_seconds, stride=stride_seconds)
    return collect(rows, _sample, path=path)


def _asked(path: Source, tasks: tuple[str, ...]) -> Iterator[Row]:
    for row in members(path):
        for task in tasks:
            if row.has(task):
                yield replace(row, fields={**row.fields, "task": task})


def _windows(rows: Iterator[Row], window: int, *, stride: int) -> Iterator[Row]:
    for row in rows:
        duration = row.whole("duration")
        for start in (0, *range(stride, duration - window + 1, stride)):
            clip = (start, min(start + window - 1, duration))
            yield replace(row, fields={**row.fields, "clip": clip})


def _sample(row: Row) -> Sample:
    task = row.text("task")
    clip = Span(*row.fields["clip"]) if "clip" in row.fields else None
    start = f"_{clip.start_seconds:g}" if clip else ""
    return Sample(
        id=f"{task}/{row.name}{start}",
        video=row.own_video(),
        question=Question(f"what is the {task} of the movie?"),
        answer=row.text(task),
        kind=task,
        clip=clip,
    )
