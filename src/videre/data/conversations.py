"""Training sets of questions and answers about videos: LLaVA style, Video-ChatGPT-100K, VideoChat2 style.

Files: LLaVA style, lists of {id, video, conversations: [{from: human, value}, {from: gpt, value}]} (ShareGemini,
T2Vid-Synthetic, Video-STaR); Video-ChatGPT-100K, lists of {video_id, q, a}; VideoChat2 style, lists of {video, QA: [{i,
q, a}]}, some with start and end.

Source: the data of T2Vid (arXiv 2411.19951), Video-STaR (arXiv 2407.06189), Maaz et al. 2024 and Li et al. 2024.
Unverified: our copy of the benchmarks holds none of these files; this follows their descriptions.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from videre.data import spans
from videre.data.annotations import Source, collect
from videre.data.fields import Row
from videre.data.json_rows import rows
from videre.types import Question, Sample, Span

_MEDIA = re.compile(r"<(video|image|VideoHere|ImageHere)>\n?")


@dataclass(frozen=True)
class Turn:
    """What a person asked and what was answered."""

    question: str
    answer: str


@dataclass(frozen=True)
class Conversation:
    """The turns of one row, about one video.

    Attributes:
        id: the row's own, or its number in the file.
        video: relative to the video root; empty where a row is about text only.
        turns: in order; placeholders such as `<video>` are taken out.
        clip: the part of the video that it is about; None for all of it.
    """

    id: str
    video: str
    turns: tuple[Turn, ...]
    clip: Span | None = None

    def samples(self) -> list[Sample]:
        """One sample a turn, each as if it were the only one."""
        return [
            Sample(f"{self.id}#{number}", self.video, Question(turn.question), turn.answer, clip=self.clip)
            for number, turn in enumerate(self.turns)
        ]


def llava(path: Source) -> list[Conversation]:
    """LLaVA style rows; those that Video-STaR marks `cls_correct: false` are left out, as their format asks."""
    kept = (row for row in rows(path) if row.fields.get("cls_correct", True))
    return _read(kept, _llava, path=path)


def share_gemini(path: Source) -> list[Conversation]:
    """ShareGemini's captions of WebVid and Kinetics videos, in LLaVA style."""
    return llava(path)


def video_chatgpt_100k(path: Source) -> list[Conversation]:
    """Video-ChatGPT-100K: one question and answer a row, over ActivityNet videos."""
    return _read(rows(path), lambda row: (row.video("video_id"), (_turn(row, "q", "a"),)), path=path)


def videochat2(path: Source) -> list[Conversation]:
    """VideoChat2 style: several questions a row; an instruction `i` stands before its question."""
    return _read(rows(path), lambda row: (row.video("video"), _qa(row)), path=path)


def _read(
    found: Iterable[Row], build: Callable[[Row], tuple[str, tuple[Turn, ...]]], *, path: Source
) -> list[Conversation]:
    def conversation(row: Row) -> Conversation:
        video, turns = build(row)
        if not turns:
            raise row.wrong("the row has no turns")
        return Conversation(row.text("row_id"), video, turns, _clip(row))

    return collect(_named(found), conversation, path=path)


def _named(found: Iterable[Row]) -> Iterator[Row]:
    counts: dict[str, int] = {}
    for number, row in enumerate(found):
        name = row.label("id") if row.has("id") else str(number)
        counts[name] = counts.get(name, 0) + 1
        unique = name if counts[name] == 1 else f"{name}-{counts[name]}"
        yield replace(row, fields={**row.fields, "row_id": unique})


def _llava(row: Row) -> tuple[str, tuple[Turn, ...]]:
    said = row.inners("conversations")
    if len(said) % 2:
        raise row.wrong(f"{len(said)} messages, pairs of human and gpt were expected")
    turns = []
    for asked, answered in zip(said[::2], said[1::2], strict=True):
        speakers = (asked.text("from"), answered.text("from"))
        if speakers not in (("human", "gpt"), ("user", "assistant")):
            raise asked.wrong(f"{speakers[0]} and {speakers[1]} speak, human and gpt were expected")
        turns.append(Turn(_words(asked, "value"), answered.text("value")))
    return row.video("video") if row.has("video") else "", tuple(turns)


def _qa(row: Row) -> tuple[Turn, ...]:
    return tuple(_turn(pair, "q", "a") for pair in row.inners("QA"))


def _turn(row: Row, question: str, answer: str) -> Turn:
    parts = [row.text("i", blank=True) if row.has("i") else "", row.text(question, blank=True)]
    asked = _MEDIA.sub("", "\n".join(part for part in parts if part)).strip()
    if not asked:
        raise row.wrong("the question is empty")
    return Turn(asked, row.text(answer))


def _words(row: Row, name: str) -> str:
    words = _MEDIA.sub("", row.text(name)).strip()
    if not words:
        raise row.wrong(f'"{name}" is empty but for its placeholder')
    return words


def _clip(row: Row) -> Span | None:
    bounded = row.has("start") and row.has("end")
    return spans.published(row, [row.number("start"), row.number("end")]) if bounded else None
