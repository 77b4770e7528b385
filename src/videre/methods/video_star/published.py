"""The published VSTaR-1M rows, with their labels, so that they can be verified again or asked of another model.

Files: `kinetics700_tune_.json`, `starb_tune_.json`, `finediving_tune_.json`: lists of {question_id, question, label:
{name: value}, label_type: [name], verifier_type: [kind], output, conversations, rationale, cls_correct, duration, video
or video_path}. Rows that are to be trained on as they stand are read by `videre.data.conversations.llava` as well.

Source: the fields that the official code writes, orrzohar/Video-STaR at 191559d. Unverified: our copy of the benchmarks
holds none of these files.
Differs: a label that no answer could match (an empty or inverted range) is left out with its reason; boxes there are of
the frame padded to a square.
"""

from collections.abc import Callable
from typing import NamedTuple

from videre.data.annotations import Source
from videre.data.fields import Row as Line
from videre.data.json_rows import rows
from videre.data.videos import checked_name
from videre.errors import DataError
from videre.methods.video_star.label import OFFICIAL_KINDS, Label, Row
from videre.methods.video_star.store import Kept
from videre.types import JSON


class Published(NamedTuple):
    """What a file holds: the answers with their rows, and for the rows that cannot be verified why."""

    kept: list[Kept]
    refused: list[str]


def read(path: Source, *, rejected: bool = False) -> Published:
    """The rows of a file of VSTaR-1M.

    Args:
        path: one of the published files.
        rejected: also the rows that the authors' verifier turned down, which are in the files (`cls_correct: false`).

    Raises:
        DataError: the file is not readable JSON, or no row of it holds.
    """
    found = Published([], [])
    for line in rows(path):
        if not rejected and not line.fields.get("cls_correct", True):
            continue
        try:
            found.kept.append(_kept(line))
        except (DataError, ValueError) as error:
            found.refused.append(str(error))
    if not found.kept:
        why = f": {found.refused[0]}" if found.refused else ""
        raise DataError(f"{path}: no row of it holds{why}", code="empty")
    return found


def _kept(line: Line) -> Kept:
    id = line.label("question_id" if line.has("question_id") else "id")
    video = line.text("video" if line.has("video") else "video_path")
    duration = line.number("duration") if line.has("duration") else 0.0
    labels = tuple(_labels(line, id))
    row = Row(id, checked_name(video), line.text("question"), labels, duration if duration > 0 else None)
    return Kept(row, _output(line), bool(line.fields.get("rationale", True)), 1)


def _labels(line: Line, id: str) -> list[Label]:
    values = line.inner("label").fields
    names, kinds = line.strings("label_type"), line.strings("verifier_type")
    if len(names) != len(kinds):
        raise line.wrong(f"{id}: {len(names)} names of labels and {len(kinds)} kinds")
    unknown = [kind for kind in kinds if kind not in OFFICIAL_KINDS]
    if unknown:
        raise line.wrong(f"{id}: a label is of kind {unknown[0]!r}")
    return [_label(name, kind, values.get(name)) for name, kind in zip(names, kinds, strict=True)]


def _label(name: str, official: str, value: JSON) -> Label:
    kind = OFFICIAL_KINDS[official]
    if kind == "sentence" and isinstance(value, list):  # a set of actions: official code joins and splits it again
        return Label(name, "unordered", [str(part) for part in value])
    return Label(name, kind, _TYPED.get(kind, lambda given: given)(value))


def _numbers(value: JSON) -> JSON:
    return [float(part) for part in value] if isinstance(value, list) else value


def _number(value: JSON) -> JSON:
    return float(value) if isinstance(value, str) else value


def _texts(value: JSON) -> JSON:
    return [str(part) for part in value] if isinstance(value, list) else value


_TYPED: dict[str, Callable[[JSON], JSON]] = {
    "time_range": _numbers,
    "box": _numbers,
    "number": _number,
    "time_point": _number,
    "ordered": _texts,
}


def _output(line: Line) -> str:
    if line.has("output"):
        return line.text("output", blank=True)
    return line.inners("conversations")[1].text("value")
