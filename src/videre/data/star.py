"""STAR, situated reasoning: four options, Charades videos, each question about the part between start and end.

Files: `STAR_train.json`, `STAR_val.json`, `STAR_test.json` (lists of question_id, question, answer, choices, video_id,
start, end, question_program, situations); the text tables in `annotations/STAR_classes` of csbobby/STAR_Benchmark.

Source: Wu et al., NeurIPS 2021. The question files are unverified: they are not on GitHub and our copy of the benchmark
lacks them; this follows the published description. The text tables are verified (`videre.data.labels`).
"""

from videre.data import choices, spans
from videre.data.annotations import Source, collect
from videre.data.fields import Row
from videre.data.json_rows import rows
from videre.types import Sample

KINDS = ("Interaction", "Sequence", "Prediction", "Feasibility")


def read(path: Source) -> list[Sample]:
    """The questions of one split; `clip` is the part of the video that a question is about. Test has no answers."""
    return collect(rows(path), _sample, path=path)


def _sample(row: Row) -> Sample:
    name = row.text("question_id")
    kind = name.split("_")[0]
    if kind not in KINDS:
        raise row.wrong(f'"question_id" is {name!r}, it starts with one of {", ".join(KINDS)}')
    options = tuple(choice.label("choice") for choice in row.inners("choices"))
    return Sample(
        id=name,
        video=row.video("video_id"),
        question=choices.asked(row.text("question"), options),
        answer=choices.by_text(row, "answer", options=options) if row.has("answer") else None,
        kind=kind,
        clip=spans.published(row, [row.number("start"), row.number("end")]),
    )
