"""NExT-GQA: the causal and temporal questions of NExT-QA with the spans that their answers rest on.

Files of doc-doc/NExT-GQA, `datasets/nextgqa`: `val.csv`, `test.csv` (as NExT-QA), `gsub_{val,test}.json` (spans),
`frame2time_*.json` and `upbd_*.json` (the times of the 32 frames of two samplings), `map_vid_vidorID.json`,
`train_gpt4_sub.json` (paraphrases). The training split has no spans.

Source: Xiao et al., CVPR 2024, official commit 63772e0. Verified. Spans are never clipped: some start at -0.1 s, some
end up to 0.5 s after the rounded duration, as published.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from videre.data import nextqa
from videre.data import spans as times
from videre.data.annotations import Source
from videre.data.fields import Row
from videre.data.json_rows import members
from videre.types import Sample, Span


@dataclass(frozen=True)
class Ground:
    """What `gsub_*.json` says of a video.

    Attributes:
        duration_seconds: rounded to whole seconds, as the official evaluator uses it.
        fps: frames a second.
        spans: by qid, in file order.
    """

    duration_seconds: int
    fps: float
    spans: Mapping[str, tuple[Span, ...]]


def read(path: Source, grounds: Source | None = None, *, folders: Mapping[str, str] | None = None) -> list[Sample]:
    """The questions of one split with their spans.

    Args:
        path: `val.csv` or `test.csv`.
        grounds: `gsub_val.json` or `gsub_test.json` of the same split; None leaves the spans empty.
        folders: the folder layout of the videos, from `nextqa.read_folders`.

    Raises:
        DataError: a row does not hold, or a question has no spans in `grounds`.
    """
    spans = {} if grounds is None else {video: ground.spans for video, ground in read_grounds(grounds).items()}
    return nextqa.read_grounded(path, folders=folders, spans=spans)


def read_grounds(path: Source) -> dict[str, Ground]:
    """`gsub_*.json` by video."""
    return {row.name: _ground(row) for row in members(path)}


def read_frame_seconds(path: Source) -> dict[str, tuple[float, ...]]:
    """`frame2time_*.json` or `upbd_*.json`: the times of the frames that the baselines saw, by video."""
    return {row.name: _frame_seconds(row) for row in members(path)}


def read_paraphrases(path: Source) -> dict[str, tuple[str, ...]]:
    """`train_gpt4_sub.json`: other wordings of a training question, by `{video_id}_{qid}`."""
    return {row.name: row.strings("gen") for row in members(path)}


def _ground(row: Row) -> Ground:
    location = row.inner("location")
    spans = {qid: tuple(times.published(row, pair) for pair in location.items(qid)) for qid in location.fields}
    return Ground(row.whole("duration"), row.number("fps"), spans)


def _frame_seconds(row: Row) -> tuple[float, ...]:
    return times.finite(row, row.items("value"), what="the frame times")
