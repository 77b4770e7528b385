"""Video-ChatGPT's generative questions: free answers about 500 ActivityNet videos, judged by five aspects.

Files of mbzuai-oryx/Video-ChatGPT, `Benchmarking_QA`: `generic_qa.json` and `temporal_qa.json`, lists of {Q, A,
video_name}, and `consistency_qa.json`, {Q1, Q2, A, video_name}.

Source: Maaz et al., ACL 2024. Unverified: our copy of the benchmarks lacks the files; this follows the repository's
description.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from videre.data.annotations import Source, collect
from videre.data.fields import Row
from videre.data.json_rows import members
from videre.errors import DataError
from videre.types import Question, Sample

ASPECTS = {
    "correctness": "generic",
    "detail": "generic",
    "context": "generic",
    "temporal": "temporal",
    "consistency": "consistency",
}
"""The aspect and the set it is judged on: the first three judge the same answers."""


def read(path: Source, *, part: str | None = None) -> list[Sample]:
    """The questions of one set, `kind` its name, the answer the reference that a judge compares with.

    Args:
        path: one of the three files.
        part: "generic", "temporal" or "consistency"; None takes it from the file's name. In the last, a row is two
            samples, `consistency_7_Q1` and `consistency_7_Q2`, with one reference.
    """
    known = part or Path(path).stem.split("_")[0]
    if known not in ASPECTS.values():
        reason = f"{path}: {known!r} is no set of Video-ChatGPT's"
        raise DataError(f"{reason}; pass part='generic', 'temporal' or 'consistency'", code="part")
    return collect(_questions(path, known), lambda row: _sample(row, known), path=path)


def _questions(path: Source, part: str) -> Iterator[Row]:
    names = ("Q1", "Q2") if part == "consistency" else ("Q",)
    for number, row in enumerate(members(path)):
        for name in names:
            tail = f"_{name}" if len(names) > 1 else ""
            yield replace(row, fields={**row.fields, "Q": row.text(name), "id": f"{part}_{number}{tail}"})


def _sample(row: Row, part: str) -> Sample:
    return Sample(
        id=row.text("id"),
        video=row.video("video_name"),
        question=Question(row.text("Q")),
        answer=row.text("A"),
        kind=part,
    )
