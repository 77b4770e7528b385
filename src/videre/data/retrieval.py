"""Text to video retrieval: which video a sentence belongs to, one pair a video, as the papers' test protocols have it.

Files: MSR-VTT 1k-A, `msrvtt_test.csv` (key, vid_key, video_id, sentence; commas or semicolons); DiDeMo,
`test_data.json` of LocalizingMoments; LSMDC, `LSMDC16_challenge_1000_publictect.csv` (tabs, no header); ActivityNet
Captions, `val_1.json` or lighthouse's JSON lines; YouCook2, `validation_youcook.csv`; EPIC-KITCHENS-100,
`EPIC_100_retrieval_test_sentence.csv`.

Source: protocols of CLIP4Clip and BT-Adapter: DiDeMo and ActivityNet as paragraphs, all sentences of a video joined by
spaces in file order. Verified: MSR-VTT, DiDeMo, ActivityNet's JSON lines, YouCook2, EPIC. Unverified: LSMDC (needs an
agreement) and ActivityNet's `val_1.json`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from videre.data import spans
from videre.data.annotations import Source, collect, filled, table
from videre.data.fields import Row
from videre.data.json_rows import jsonl, members
from videre.types import Span

LSMDC_COLUMNS = ("clip", "start_aligned", "end_aligned", "start_extracted", "end_extracted", "sentence")


@dataclass(frozen=True)
class Pair:
    """A text and the video that it was written for.

    Attributes:
        id: of the text, unique in its set.
        video: relative to the video root; several texts may share one.
        text: a sentence, or the sentences of a video joined.
        clip: the part of the video that the text is about; None for all of it.
    """

    id: str
    video: str
    text: str
    clip: Span | None = None


def msrvtt(path: Source) -> list[Pair]:
    """The 1000 pairs of the 1k-A (JSFusion) test split."""
    rows = table(path, ("key", "video_id", "sentence"), delimiters=",;")
    return collect(rows, lambda row: Pair(row.text("key"), row.video("video_id"), row.text("sentence")), path=path)


def didemo(path: Source) -> list[Pair]:
    """One pair a video: its descriptions joined in file order. Video names keep the ending they were uploaded with."""
    return _paragraphs(((row.video("video"), row.text("description")) for row in members(path)), path=path)


def lsmdc(path: Source) -> list[Pair]:
    """One pair a row; videos lie in a folder a film. In the training file, a clip may come with several sentences."""
    rows = table(path, LSMDC_COLUMNS, delimiters="\t", header=False, quotes=False)
    pairs = [Pair("", _lsmdc_video(row), row.text("sentence")) for row in rows]
    return filled(list(_numbered(pairs)), path=path)


def activitynet(path: Source) -> list[Pair]:
    """One pair a video: its sentences joined in file order."""
    if str(path).endswith(".jsonl"):
        return _paragraphs(((row.video("vid"), row.text("query")) for row in jsonl(path)), path=path)
    sentences = ((row.own_video(), text) for row in members(path) for text in row.strings("sentences"))
    return _paragraphs(sentences, path=path)


def youcook2(path: Source) -> list[Pair]:
    """One pair a segment, `clip` its time in the video. Every row is a segment of its own."""
    rows = table(path, ("end", "start", "text", "video_id"))
    return collect(rows, _youcook2, path=path)


def epic_kitchens(path: Source) -> list[Pair]:
    """One pair a narration; where it lies in the video stands in the annotation file of the split."""
    rows = table(path, ("narration_id", "narration"))
    return collect(rows, _epic_kitchens, path=path)


def _paragraphs(texts: Iterable[tuple[str, str]], *, path: Source) -> list[Pair]:
    joined: dict[str, list[str]] = {}
    for video, text in texts:
        joined.setdefault(video, []).append(text)
    return filled([Pair(video, video, " ".join(lines)) for video, lines in joined.items()], path=path)


def _lsmdc_video(row: Row) -> str:
    clip = row.video("clip")
    return f"{clip.rsplit('_', 1)[0]}/{clip}"


def _numbered(pairs: Iterable[Pair]) -> Iterator[Pair]:
    counts: dict[str, int] = {}
    for pair in pairs:
        name = pair.video.rsplit("/", 1)[-1]
        counts[name] = counts.get(name, 0) + 1
        yield Pair(name if counts[name] == 1 else f"{name}#{counts[name]}", pair.video, pair.text)


def _youcook2(row: Row) -> Pair:
    clip = spans.published(row, [row.number("start"), row.number("end")])
    video = row.video("video_id")
    return Pair(f"{video}_{row.line}", video, row.text("text"), clip)


def _epic_kitchens(row: Row) -> Pair:
    name = row.text("narration_id")
    video = name.rsplit("_", 1)[0]
    return Pair(name, f"{video.split('_')[0]}/videos/{video}", row.text("narration"))
