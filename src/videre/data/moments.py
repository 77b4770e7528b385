"""When in a video a sentence holds: Charades-STA, TACoS, ActivityNet Captions, QVHighlights, TVSum, YouTube Highlights.

Files: the JSON lines of jayleicn/moment_detr (`highlight_{train,val}_release.jsonl`) and line/lighthouse
(`charades_test_release.jsonl`, ...): qid, query, duration, vid, relevant_windows, and for highlights relevant_clip_ids
with saliency_scores, or a label for every clip of two seconds. DiDeMo and TEMPO: the JSON lists of LocalizingMoments.
What is said and when: HowTo100M's `{video}.csv` of antoine77340/MIL-NCE_HowTo100M (start, end, text).

Source: Lei et al., NeurIPS 2021; Gao et al., ICCV 2017; Regneri et al., TACL 2013; Krishna et al., ICCV 2017; Hendricks
et al., ICCV 2017 and EMNLP 2018; Miech et al., CVPR 2020. Verified.
"""

from dataclasses import dataclass

from videre.data import spans
from videre.data.annotations import Source, collect, table
from videre.data.fields import Row
from videre.data.json_rows import jsonl, members
from videre.types import Question, Sample, Span

CLIP_SECONDS = 2.0
"""The length of the clips that highlights are scored by."""

DIDEMO_SECONDS = 5.0
"""The length of the chunks that DiDeMo's times count."""

DIDEMO_CHUNKS = 6
"""DiDeMo looks at the first thirty seconds of a video."""


@dataclass(frozen=True)
class Highlight:
    """How much each short clip of a video matters to a sentence.

    Attributes:
        id: the qid.
        sample: the sentence, with the windows as spans where the set has them.
        duration_seconds: as published; TVSum's counts clips, not seconds.
        clip_ids: the clips that were scored, as numbers of two-second clips.
        saliency: one row a scored clip, one number an annotator (0-4 in QVHighlights, 1-5 in TVSum, 0 or 1 in YouTube).
    """

    id: str
    sample: Sample
    duration_seconds: float
    clip_ids: tuple[int, ...]
    saliency: tuple[tuple[float, ...], ...]


def read(path: Source) -> list[Sample]:
    """The sentences as questions, their windows as spans; the answer is the spans."""
    return collect(jsonl(path), _sample, path=path)


def read_highlights(path: Source) -> list[Highlight]:
    """The sentences of QVHighlights, TVSum or YouTube Highlights with the scores of the clips."""
    return collect(jsonl(path), _highlight, path=path)


def has_saliency(path: Source) -> bool:
    """Whether a file scores clips: QVHighlights' train and val releases do, its test release and other sets do not."""
    return any(row.has("saliency_scores") for row in jsonl(path))


def read_durations(path: Source) -> dict[str, float]:
    """The length of the video of each sentence, in seconds, by qid."""
    return {row.label("qid"): row.number("duration") for row in jsonl(path)}


def read_didemo(path: Source) -> list[Sample]:
    """DiDeMo (`val_data.json`) and TEMPO: descriptions with one span an annotator, out of five-second chunks."""
    return collect(members(path), _didemo, path=path)


def read_speech(path: Source) -> tuple[Span, ...]:
    """HowTo100M's speech recognition: the lines in file order, what is said as the label; they may overlap."""
    rows = table(path, ("start", "end", "text"))
    return tuple(
        spans.published(row, [row.number("start"), row.number("end")], label=row.text("text", blank=True))
        for row in rows
    )


def _sample(row: Row) -> Sample:
    windows = row.items("relevant_windows") if row.has("relevant_windows") else []
    return Sample(
        id=row.label("qid"),
        video=row.video("vid"),
        question=Question(row.text("query")),
        spans=tuple(_window(row, window) for window in windows),
        kind=row.text("domain") if "domain" in row.fields else "",
    )


def _window(row: Row, window: list) -> Span:
    found = spans.published(row, window)
    if found.end_seconds > 10 * row.number("duration"):
        fix = "divide the windows by 1000"
        raise row.wrong(f"the window {window} looks like milliseconds", fix=fix, code="milliseconds")
    return found


def _highlight(row: Row) -> Highlight:
    labelled = row.has("label")
    scores = row.items("label" if labelled else "saliency_scores")
    clips = list(range(len(scores))) if labelled else row.items("relevant_clip_ids")
    if len(clips) != len(scores):
        raise row.wrong(f"{len(clips)} clips but {len(scores)} saliency scores")
    saliency = tuple(spans.finite(row, score, what="the scores") for score in scores)
    return Highlight(row.label("qid"), _sample(row), row.number("duration"), tuple(clips), saliency)


def _didemo(row: Row) -> Sample:
    return Sample(
        id=row.label("annotation_id"),
        video=row.video("video"),
        question=Question(row.text("description")),
        spans=tuple(_chunks(row, times) for times in row.items("times")),
    )


def _chunks(row: Row, times: list) -> Span:
    chunks = spans.published(row, times)
    if not 0 <= chunks.start_seconds <= chunks.end_seconds < DIDEMO_CHUNKS:
        raise row.wrong(f"the times are {times}, chunks 0 to {DIDEMO_CHUNKS - 1} were expected")
    return Span(chunks.start_seconds * DIDEMO_SECONDS, (chunks.end_seconds + 1) * DIDEMO_SECONDS)
