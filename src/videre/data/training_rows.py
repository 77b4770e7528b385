"""Rows that a trainer reads: a question and its answer about pictures, a video, or text alone; four published forms.

- "messages": `messages` with typed content and the files in `images` or `videos` (HF chat templates, TRL);
- "swift": `messages` with `<image>` and `<video>` tags (ms-swift);
- "llama-factory": `conversations` with tags (LLaMA-Factory's sharegpt), and an entry for its `dataset_info.json`;
- "llava": `conversations` and one `video` (LLaVA style).

Source: the dataset formats that TRL ("vision dataset"), ms-swift ("custom dataset") and LLaMA-Factory ("sharegpt")
publish.
"""

import json
import os
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from videre.data.annotations import Source, filled
from videre.data.fields import Row
from videre.data.json_rows import rows
from videre.errors import DataError
from videre.types import JSON

Form = Literal["messages", "swift", "llama-factory", "llava"]
_TAG = re.compile(r"<(?:image|video)>\n?")


@dataclass(frozen=True)
class TrainingRow:
    """A question and the answer to learn.

    Attributes:
        images: pictures in the order in which they are shown, as paths; for a video, none.
        video: a path; empty for pictures and for text alone.
        clip: start and end in seconds of the part of the video that is shown; None for all of it.
        source: the set that it is from.
    """

    id: str
    question: str
    answer: str
    images: tuple[str, ...] = ()
    video: str = ""
    clip: tuple[float, float] | None = None
    source: str = ""

    def __post_init__(self) -> None:
        if self.images and self.video:
            raise ValueError(f"row {self.id} has pictures and a video, one of them was expected")


def twin(row: TrainingRow, context: str) -> TrainingRow:
    """The same row as pure text, for the control of the paper: the context in words, no pictures."""
    return replace(row, images=(), video="", question=f"{context}\n\n{row.question}")


def written(row: TrainingRow, form: Form) -> dict[str, JSON]:
    """The row as one JSON object of a form."""
    return {"id": row.id, "source": row.source, **_FORMS[form](row)}


def dataset_info(name: str, file_name: str, row: TrainingRow) -> dict[str, JSON]:
    """What LLaMA-Factory's `dataset_info.json` says of a file of rows such as this one."""
    columns = {"messages": "conversations"} | {name: name for name in _media(row)}
    return {name: {"file_name": file_name, "formatting": "sharegpt", "columns": columns}}


def read(path: Source) -> list[TrainingRow]:
    """Rows of any of the four forms, one a turn; ids that come twice get a number.

    Raises:
        DataError: a row is of no form, or its turns are no pairs.
    """
    seen: dict[str, int] = {}
    made = []
    for number, row in enumerate(rows(path)):
        for one in _parsed(row, str(number)):
            seen[one.id] = seen.get(one.id, 0) + 1
            made.append(one if seen[one.id] == 1 else replace(one, id=f"{one.id}-{seen[one.id]}"))
    return filled(made, path=path)


def mix(
    parts: Mapping[str, Sequence[TrainingRow]], shares: Mapping[str, float], *, count: int, seed: int = 0
) -> list[TrainingRow]:
    """So many rows of several sets in these proportions, drawn without repetition and shuffled.

    Counts are the exact proportions rounded down; what is left goes to the sets with the largest remainders, the first
    named first. The paper's mix is {"synthetic": 1, "video": 2}.

    Args:
        parts: rows by the name of their set.
        shares: the part of each set in the mix, of any sum.
        count: rows of the mix.
        seed: of the choice and of the order.

    Raises:
        DataError: a set has too few rows, or an id stands in two of them.
    """
    counts = _counts(shares, count)
    chosen = list[TrainingRow]()
    for name in shares:
        if counts[name] > len(parts.get(name, ())):
            have = len(parts.get(name, ()))
            raise DataError(f"the mix needs {counts[name]} rows of {name!r} and there are {have}: take a smaller count")
        chosen += random.Random(f"{seed}/{name}").sample(list(parts[name]), counts[name])  # noqa: S311
    ids = [row.id for row in chosen]
    if len(set(ids)) < len(ids):
        twice = next(one for one in ids if ids.count(one) > 1)
        raise DataError(f"the id {twice!r} stands in two sets of the mix: give one of them other ids")
    random.Random(f"{seed}/order").shuffle(chosen)  # noqa: S311
    return chosen


def _counts(shares: Mapping[str, float], count: int) -> dict[str, int]:
    whole = sum(shares.values())
    if count < 1 or not shares or min(shares.values()) <= 0:
        raise ValueError(f"a mix has one row or more and shares above 0, got {count=} {dict(shares)}")
    exact = {name: count * share / whole for name, share in shares.items()}
    counts = {name: int(value) for name, value in exact.items()}
    largest = sorted(exact, key=lambda name: counts[name] - exact[name])
    for name in largest[: count - sum(counts.values())]:
        counts[name] += 1
    return counts


def _media(row: TrainingRow) -> dict[str, JSON]:
    if row.video:
        return {"videos": [row.video]}
    return {"images": list(row.images)}


def _clipped(row: TrainingRow) -> dict[str, JSON]:
    return {"clip": list(row.clip)} if row.clip else {}


def _tagged(row: TrainingRow) -> str:
    return "<video>" * bool(row.video) + "<image>" * len(row.images) + row.question


def _messages(row: TrainingRow) -> dict[str, JSON]:
    shown = [{"type": "video"}] if row.video else [{"type": "image"}] * len(row.images)
    asked = [*shown, {"type": "text", "text": row.question}]
    told = [{"type": "text", "text": row.answer}]
    turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": told}]
    return {**_clipped(row), **_media(row), "messages": turns}


def _swift(row: TrainingRow) -> dict[str, JSON]:
    turns = [{"role": "user", "content": _tagged(row)}, {"role": "assistant", "content": row.answer}]
    return {**_clipped(row), "messages": turns, **_media(row)}


def _llama_factory(row: TrainingRow) -> dict[str, JSON]:
    turns = [{"from": "human", "value": _tagged(row)}, {"from": "gpt", "value": row.answer}]
    return {**_clipped(row), "conversations": turns, **_media(row)}


def _llava(row: TrainingRow) -> dict[str, JSON]:
    tag = "<video>\n" if row.video or row.images else ""
    turns = [{"from": "human", "value": tag + row.question}, {"from": "gpt", "value": row.answer}]
    media: dict[str, JSON] = {"video": row.video or os.path.dirname(row.images[0])} if tag else {}
    return {**_clipped(row), **media, "conversations": turns}


_FORMS: dict[str, Callable[[TrainingRow], dict[str, JSON]]] = {
    "messages": _messages,
    "swift": _swift,
    "llama-factory": _llama_factory,
    "llava": _llava,
}


def lines(made: Sequence[TrainingRow], form: Form) -> str:
    """The text of a JSON lines file; for LLaMA-Factory a JSON list with a row a line."""
    told = [json.dumps(written(row, form), ensure_ascii=False) for row in made]
    return "[\n" + ",\n".join(told) + "\n]\n" if form == "llama-factory" else "".join(f"{one}\n" for one in told)


def _parsed(row: Row, number: str) -> list[TrainingRow]:
    turns = [_turn(inner) for inner in row.inners("messages" if row.has("messages") else "conversations")]
    turns = [turn for turn in turns if turn[0] != "system"]
    if not turns or [who for who, _, _ in turns] != ["user", "assistant"] * (len(turns) // 2):
        raise row.wrong("the turns are no pairs of user and assistant")
    shown = [file for _, _, files in turns for file in files]
    images = _files(row, "images") or tuple(shown)
    video = next(iter(_files(row, "videos") or ([row.label("video")] if row.has("video") else [])), "")
    id = row.label("id") if row.has("id") else number
    source = row.text("source", blank=True) if row.has("source") else ""
    clip = tuple(float(edge) for edge in row.items("clip")) if row.has("clip") else None
    pairs = zip(turns[::2], turns[1::2], strict=True)
    return [
        TrainingRow(id, asked[1], told[1], () if video else images, video, clip, source)  # type: ignore[arg-type]
        for asked, told in pairs
    ]


def _files(row: Row, name: str) -> tuple[str, ...]:
    return row.strings(name) if row.has(name) else ()


def _turn(row: Row) -> tuple[str, str, list[str]]:
    """Who speaks, what is said without tags, and files that stand inside the content."""
    who = row.text("role" if row.has("role") else "from")
    said: Any = row.get("content" if row.has("content") else "value")
    who = {"human": "user", "gpt": "assistant"}.get(who, who)
    if isinstance(said, str):
        return who, _TAG.sub("", said).strip(), []
    parts = row.inners("content")
    text = "\n".join(part.text("text", blank=True) for part in parts if part.has("text"))
    return who, text.strip(), [part.text("image") for part in parts if part.has("image")]
