"""STAR, situated reasoning: four options, Charades videos, each question about the part between start and end.

Files: `STAR_train.json`, `STAR_val.json`, `STAR_test.json` (lists of question_id, question, answer, choices, video_id,
start, end, question_program, situations); the text tables in `annotations/STAR_classes` of csbobby/STAR_Benchmark.

Source: Wu et al., NeurIPS 2021. The question files are unverified: they are not on GitHub and our copy of the benchmark
lacks them; this follows the published description. The text tables are verified (`videre.data.labels`).
"""

from dataclasses import replace

from videre.data import choices, spans
from videre.data.annotations import Source, collect
from videre.data.fields import Row
from videre.data.json_rows import rows
from videre.errors import ConfigError
from videre.types import Sample

KINDS = ("Interaction", "Sequence", "Prediction", "Feasibility")
SUB = KINDS[:2]
"""STAR-sub: what MSR-ViR is measured on, since the other kinds ask for what is not in the video."""


def read(path: Source, *, part: str | None = None, whole: bool = False) -> list[Sample]:
    """The questions of one split. Test has no answers.

    Args:
        path: its file.
        part: "sub" for STAR-sub alone; None for all kinds.
        whole: ask about the whole video; else `clip` is the part of it that a question is about.

    Raises:
        ConfigError: another part.
    """
    if part not in (None, "sub"):
        raise ConfigError(f"a part of star is sub (Interaction and Sequence), got {part!r}")
    found = [s for s in collect(rows(path), _sample, path=path) if part is None or s.kind in SUB]
    return [replace(s, clip=None) for s in found] if whole else found


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
