"""LongVideoBench: questions that refer to a moment of a video of up to an hour, four or five options.

Files: `lvb_val.json`, `lvb_test_wo_gt.json` (video_path, question, candidates, correct_choice, position,
question_category, duration_group, subtitle_path, ...; test has no correct_choice), or rows with option0 to option4,
where "N/A" fills up.

Source: Wu et al., NeurIPS 2024. Verified on the 1337 validation rows as ncTimTang/AKS publishes them; the form with
option0 to option4 is unverified.
"""

from dataclasses import dataclass

from videre.data import choices
from videre.data.annotations import Source, collect
from videre.data.fields import Row
from videre.data.json_rows import rows
from videre.types import Sample


@dataclass(frozen=True)
class Reference:
    """What a row says of the moment that its question refers to.

    Attributes:
        id: of the question.
        position: frame numbers of the evidence, in the video's own frame rate.
        duration_group: 15, 60, 600 or 3600, the scores' strata.
        duration_seconds: of the video.
        level: "L1-Perception" or "L2-Relation".
        subtitles: the subtitle file, relative to the subtitle root.
    """

    id: str
    position: tuple[int, ...]
    duration_group: int
    duration_seconds: float
    level: str
    subtitles: str


def read(path: Source) -> list[Sample]:
    """The questions, `kind` the question category ("TOS", "S2E", ...)."""
    return collect(rows(path), _sample, path=path)


def read_references(path: Source) -> list[Reference]:
    """The evidence frames and strata of each question, in file order."""
    return collect(rows(path), _reference, path=path)


def _sample(row: Row) -> Sample:
    options = row.strings("candidates") if "candidates" in row.fields else _padded(row)
    return Sample(
        id=row.label("id"),
        video=row.video("video_path"),
        question=choices.asked(row.text("question"), options),
        answer=choices.by_index(row, "correct_choice", options=options) if _answered(row) else None,
        kind=row.text("question_category"),
    )


def _answered(row: Row) -> bool:
    return row.has("correct_choice") and row.fields["correct_choice"] != -1


def _padded(row: Row) -> tuple[str, ...]:
    options = [row.label(f"option{number}") for number in range(5)]
    while options and options[-1] == "N/A":
        options.pop()
    return tuple(options)


def _reference(row: Row) -> Reference:
    position = row.items("position")
    if not all(isinstance(frame, int) for frame in position):
        raise row.wrong('"position" holds other things than frame numbers')
    return Reference(
        id=row.label("id"),
        position=tuple(position),
        duration_group=row.whole("duration_group"),
        duration_seconds=row.number("duration"),
        level=row.text("level"),
        subtitles=row.video("subtitle_path"),
    )
