"""MLVU: seven multiple-choice tasks and two of generation over videos of three minutes to two hours.

Files: `benchmarks/MLVU/mlvu.jsonl` of VITA-MLLM/Sparrow (question_id, video, prompt, GT, category), or the official
`json/{1_plotQA,2_needle,...}.json` (lists of video, duration, question, candidates, answer, question_type; the two
generation tasks have no candidates).

Source: Zhou et al., CVPR 2025. The JSON lines are verified; the official JSON is unverified: our copy lacks it.
"""

from pathlib import Path

from videre.data import choices
from videre.data.annotations import Source, collect
from videre.data.fields import Row
from videre.data.json_rows import jsonl, members
from videre.types import Sample


def read(path: Source) -> list[Sample]:
    """The questions of `mlvu.jsonl` or of one official task file, `kind` the task ("plotQA", "count", ...).

    A video is named as in `mlvu.jsonl`, `video/4_count/count_126.mp4`; for an official file, its name without `.json`
    is the folder.
    """
    if str(path).endswith(".jsonl"):
        return collect(jsonl(path), _from_prompt, path=path)
    return collect(members(path), lambda row: _official(row, Path(path).stem), path=path)


def _from_prompt(row: Row) -> Sample:
    asked = choices.prompt(row, row.text("prompt"))
    return Sample(
        id=row.label("question_id"),
        video=row.video("video"),
        question=asked.asked(),
        answer=choices.by_letter(row, "GT", letters=asked.letters),
        kind=row.text("category"),
    )


def _official(row: Row, folder: str) -> Sample:
    options = row.strings("candidates") if row.has("candidates") else ()
    return Sample(
        id=f"{folder}_{row.name.removeprefix('row ')}",
        video=f"video/{folder}/{row.video('video')}",
        question=choices.asked(row.text("question"), options),
        answer=choices.by_text(row, "answer", options=options) if options else row.text("answer"),
        kind=row.text("question_type"),
    )
