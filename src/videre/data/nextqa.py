"""NExT-QA, multiple choice: why, how, before and after, and what is seen, over videos of VidOR.

Files: `val.csv`, `test.csv`, `train.csv` (video_id or video, frame_count, width, height, question, answer, qid, type,
a0-a4) and `map_vid_vidorID.json` of doc-doc/NExT-QA; doc-doc/NExT-GQA has a copy under `datasets/nextqa`.

Source: Xiao et al., CVPR 2021. Verified on the copy in doc-doc/NExT-GQA, where the answer is the option's text. The
original release with the answer as an index 0-4 is read too and unverified.
"""

from collections.abc import Mapping, Sequence

from videre.data import choices
from videre.data.annotations import Source, at_line, collect, table
from videre.data.fields import PUBLISHED, Row
from videre.data.json_rows import members
from videre.data.videos import checked_name
from videre.types import Sample, Span

COLUMNS = ("question", "answer", "qid", "type", "a0", "a1", "a2", "a3", "a4")

GROUPS = {"CW": "C", "CH": "C", "TN": "T", "TP": "T", "TC": "T", "DC": "D", "DL": "D", "DO": "D"}
"""The group that papers report a kind under: causal, temporal, descriptive."""


def read(path: Source, *, folders: Mapping[str, str] | None = None) -> list[Sample]:
    """The questions of one split, in file order, named `{video_id}_{qid}` as in result files.

    Args:
        path: `val.csv`, `test.csv` or `train.csv`.
        folders: the folder layout of the videos, from `read_folders`; without it all lie in one folder.
    """
    return read_grounded(path, folders=folders, spans={})


def read_grounded(
    path: Source, *, folders: Mapping[str, str] | None, spans: Mapping[str, Mapping[str, tuple[Span, ...]]]
) -> list[Sample]:
    """As `read`, with the spans of `{video_id: {qid: spans}}`; where that has videos, it must have every question."""
    rows = list(table(path, COLUMNS))
    if rows and not {"video_id", "video"} & set(rows[0].fields):
        raise at_line(path, 1, f"no column video_id (there is {', '.join(rows[0].fields)})", fix=PUBLISHED)
    indexed = all(row.fields["answer"] in ("0", "1", "2", "3", "4") for row in rows)

    def build(row: Row) -> Sample:
        return _sample(row, indexed=indexed, folders=folders, spans=spans)

    return collect(rows, build, path=path)


def read_folders(path: Source) -> dict[str, str]:
    """`map_vid_vidorID.json`: where each video lies below the video root, `{video_id: "0101/3404210548"}`."""
    return {row.name: checked_name(row.text("value"), where=row.where) for row in members(path)}


def _sample(
    row: Row,
    *,
    indexed: bool,
    folders: Mapping[str, str] | None,
    spans: Mapping[str, Mapping[str, tuple[Span, ...]]],
) -> Sample:
    video = row.video("video_id" if "video_id" in row.fields else "video")
    qid = row.label("qid")
    kind = row.text("type")
    _check_kind(row, kind)
    options = tuple(row.text(name, blank=True) for name in COLUMNS[4:])
    read_answer = choices.by_index if indexed else choices.by_text
    return Sample(
        id=f"{video}_{qid}",
        video=_folder(row, video, folders=folders),
        question=choices.asked(row.text("question"), options),
        answer=read_answer(row, "answer", options=options),
        spans=_spans(row, spans, keys=(video, qid)),
        kind=kind,
    )


def _check_kind(row: Row, kind: str) -> None:
    if kind not in GROUPS:
        raise row.wrong(f'"type" is {kind!r}, one of {", ".join(GROUPS)} was expected')


def _folder(row: Row, video: str, *, folders: Mapping[str, str] | None) -> str:
    if folders is None:
        return video
    if video not in folders:
        raise row.wrong(f"the video {video} is not in the folder map", fix="use the map of the same release")
    return folders[video]


def _spans(row: Row, spans: Mapping[str, Mapping[str, tuple[Span, ...]]], *, keys: Sequence[str]) -> tuple[Span, ...]:
    video, qid = keys
    if not spans:
        return ()
    if qid not in spans.get(video, {}):
        raise row.wrong(f"no spans for {video}_{qid}", fix="use the gsub file of the same split")
    return spans[video][qid]
