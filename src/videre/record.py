"""The evidence record: one JSON line an answer, the same from ask, jobs, evaluate, the server and the page.

Times are seconds from the first displayed frame; boxes are corners in [0, 1] of the displayed frame, whose size in
pixels stands under `video`. A failed item is a row with `error` and without an answer.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import NoneType

from videre.errors import BUG, DataError, VidereError
from videre.types import JSON, Answer, Box, Evidence, Question, ScoreLine, Span, Step, Usage, Video

VERSION = 1


@dataclass(frozen=True)
class Record:
    """One row read back: the question, what is known of the video, and the answer or the error."""

    id: str
    video: Mapping[str, JSON]
    question: Question
    answer: Answer | None
    error: Mapping[str, JSON] | None = None

    def __str__(self) -> str:
        return self.answer.text if self.answer else f"error: {(self.error or {}).get('message', 'no answer')}"

    @property
    def evidence(self) -> Evidence:
        """What the answer rests on; empty where there is no answer."""
        return self.answer.evidence if self.answer else Evidence()


def to_row(record: Record) -> dict[str, JSON]:
    """The record as one JSON object, ready for `dumps`."""
    if record.answer is None:
        return _head(record) | {"error": dict(record.error or {})}
    return _head(record) | _answer_row(record.answer, record.question) | {"error": None}


def error_record(error: Exception, *, id: str, path: str, question: Question) -> Record:
    """The record of an item that failed: its question, and why in one line."""
    code, exit_code = (error.code, error.exit_code) if isinstance(error, VidereError) else (type(error).__name__, BUG)
    facts = {"code": code, "message": str(error), "exit_code": exit_code}
    return Record(id, {"path": path}, question, None, facts)


def _head(record: Record) -> dict[str, JSON]:
    return {"record": VERSION, "id": record.id, "video": dict(record.video), "question": asdict(record.question)}


def _answer_row(answer: Answer, question: Question) -> dict[str, JSON]:
    evidence = answer.evidence
    hashes = answer.run.get("frames_sha256", [])
    scores = evidence.scores or (None,) * len(evidence.seconds)
    return {
        "frames": [
            {"seconds": t, "score": s, "sha256": hashes[i] if i < len(hashes) else None}
            for i, (t, s) in enumerate(zip(evidence.seconds, scores, strict=True))
        ],
        "scored": asdict(evidence.scored) if evidence.scored else None,
        "spans": [asdict(span) for span in evidence.spans],
        "boxes": [asdict(box) for box in evidence.boxes],
        "steps": [asdict(step) for step in evidence.steps],
        "answer": answer.text,
        "option": answer.option,
        "parse_ok": answer.option is not None if question.options else True,
        "rationale": answer.rationale,
        "confidence": answer.confidence,
        "ranking": list(answer.ranking),
        "notes": list(answer.notes),
        "usage": asdict(answer.usage),
        "run": dict(answer.run),
    }


def video_facts(video: Video) -> dict[str, JSON]:
    """What the record says of a video."""
    return {
        "path": video.path,
        "duration_seconds": video.duration_seconds,
        "width_px": video.width_px,
        "height_px": video.height_px,
        **video.info,
        "notes": list(video.notes),
    }


def from_row(row: Mapping[str, JSON]) -> Record:
    """A record read back from its row. Of a score line, moments whose score was not a finite number are left out.

    Raises:
        DataError: the row is not an evidence record; the message names the key that is missing or of another type.
    """
    try:
        asked, error = _of(row, "question", Mapping), dict(row.get("error") or {}) or None
        question = Question(_of(asked, "text", str), tuple(map(str, asked["options"])))
        return Record(str(row["id"]), dict(row["video"]), question, None if error else _answer(row), error)
    except (KeyError, TypeError, ValueError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise DataError(f"not an evidence record: {reason}; expected a line that `videre ask --json` wrote") from error


def dumps(row: Mapping[str, JSON]) -> str:
    """The row as one line of strict JSON: no newline inside, ASCII only, and null for a number that is not finite."""
    return json.dumps(_finite(row), allow_nan=False)


def _answer(row: Mapping[str, JSON]) -> Answer:
    return Answer(
        _of(row, "answer", str),
        option=_of(row, "option", int, NoneType),
        rationale=_of(row, "rationale", str, NoneType),
        confidence=_of(row, "confidence", float, int, NoneType),
        evidence=_evidence(row),
        usage=Usage(**row["usage"]),
        run=dict(row["run"]),
        ranking=tuple(map(str, row["ranking"])),
        notes=tuple(map(str, row["notes"])),
    )


def _of(row: Mapping[str, JSON], name: str, *kinds: type) -> JSON:
    if not isinstance(row[name], kinds):
        raise TypeError(f"{name!r} is of type {type(row[name]).__name__}")
    return row[name]


def _evidence(row: Mapping[str, JSON]) -> Evidence:
    scores = tuple(frame["score"] for frame in row["frames"])
    pairs = zip(row["scored"]["seconds"], row["scored"]["scores"], strict=True) if row["scored"] else ()
    scored = tuple(pair for pair in pairs if None not in pair)  # null stands for a score that was no finite number
    return Evidence(
        seconds=tuple(frame["seconds"] for frame in row["frames"]),
        scores=() if None in scores else scores,
        spans=tuple(Span(**span) for span in row["spans"]),
        boxes=tuple(Box(**box) for box in row["boxes"]),
        steps=tuple(Step(**{**step, "inputs": dict(step["inputs"])}) for step in row["steps"]),
        scored=ScoreLine(*zip(*scored, strict=True)) if scored else None,
    )


def _finite(value: JSON) -> JSON:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
