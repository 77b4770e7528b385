"""NExT-GQA predictions of others, beside the blind baselines."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from videre.errors import DataError
from videre.metrics import grounding
from videre.score.files import Report, need, read_csv, read_ids, read_object, share_report

Answers = Mapping[str, tuple[Any, Any]]


def score_nextgqa(
    spans: Path,
    annotations: Path,
    *,
    answers: Path | None = None,
    questions: Path | None = None,
    normalised: bool = False,
    subset: Path | None = None,
) -> Report:
    """NExT-GQA's seven numbers, by the official and the strict rule for missing spans, beside the blind baselines.

    `baselines` holds what spans score that need no question, with the same answers (without answers: all right, so
    that Acc@GQA is the ceiling of the rule).

    Args:
        spans: `{"VIDEO_QID": [start, end]}`.
        annotations: `gsub_val.json` or `gsub_test.json`.
        answers: `{"VIDEO_QID": {"prediction": 3, "answer": 1}}`; without them Acc@GQA is left out.
        questions: the csv of the split: gives accuracy by kind, and checks the true answers in `answers`.
        normalised: spans are in [0, 1].
        subset: ids to score, as a JSON list or object, or one a line.
    """
    truth, said, answered = _truth(annotations, subset), _spans(spans), _answers(answers)
    unanswered = [q for q in said if q in truth and answered is not None and q not in answered]
    rule: Literal["official", "zero"] = "zero" if unanswered else "official"
    official = grounding.nextgqa(said, truth, answers=answered, normalised=normalised, missing=rule)
    strict = grounding.nextgqa(said, truth, answers=answered, normalised=normalised, missing="zero")
    names = [name for name in grounding.METRICS if answered is not None or name != "Acc@GQA"]
    return {
        "benchmark": "nextgqa",
        "scores": {name: official.metrics[name] for name in names},
        "printed": {name: official.printed()[name] for name in names},
        "intervals": {name: list(official.intervals[name]) for name in names},
        "strict": {name: strict.metrics[name] for name in names},
        "counts": {**official.counts, "n_unknown": sum(key not in truth for key in said)},
        "baselines": {
            name: dict(score.metrics) for name, score in grounding.blind_baselines(truth, answers=answered).items()
        },
        "answers": None if answered is None else _by_kind(answered, truth, questions),
        "notes": _notes(unanswered, official),
    }


def _notes(unanswered: Sequence[str], official: grounding.GroundedScore) -> list[str]:
    notes = []
    if unanswered:
        few = ", ".join(unanswered[:3])
        notes.append(f"{len(unanswered)} questions have a span but no answer ({few}): the official script would stop "
                     "here, so all numbers are by the strict rule")  # fmt: skip
    elif official.counts["n_missing"]:
        notes.append(f"{official.counts['n_missing']} questions have no span: the official rule leaves them out, "
                     "the strict one counts them as 0")  # fmt: skip
    return notes


def _truth(path: Path, subset: Path | None) -> dict[str, grounding.Truth]:
    wanted = None if subset is None else set(read_ids(subset))
    truth = {}
    for video, known in read_object(path).items():
        duration, location = (need(known, key, f"{path}, video {video}") for key in ("duration", "location"))
        for qid, segments in location.items():
            if wanted is None or f"{video}_{qid}" in wanted:
                truth[f"{video}_{qid}"] = grounding.Truth(video, duration, segments)
    if not truth:
        raise DataError(f"{path}: no question left to score" + (f" in {subset}" if subset else ""))
    return truth


def _spans(path: Path) -> dict[str, Sequence[float]]:
    spans = read_object(path)
    for key, span in spans.items():
        if not (isinstance(span, list) and span and all(isinstance(x, int | float) for x in span)):
            raise DataError(f"{path}, {key}: expected [start, end] in numbers, got {str(span)[:60]}")
    return spans


def _answers(path: Path | None) -> Answers | None:
    if path is None:
        return None
    rows = read_object(path)
    return {
        key: (need(row, "prediction", f"{path}, {key}"), need(row, "answer", f"{path}, {key}"))
        for key, row in rows.items()
    }


def _by_kind(answers: Answers, truth: Mapping[str, grounding.Truth], questions: Path | None) -> Report:
    """Acc@QA, and by kind where the questions are known; their true answers must be those of the answers."""
    if questions is None:
        shares = grounding.nextgqa_answers(answers, dict.fromkeys(truth, ""))
        return share_report({"Acc@QA": shares["Acc@QA"]})
    rows = {f"{row['video_id']}_{row['qid']}": row for row in read_csv(questions)}
    absent = [key for key in truth if key not in rows]
    if absent:
        raise DataError(f"{questions}: {len(absent)} questions are not in it, such as {absent[:3]}")
    wrong = [key for key in truth if key in answers and not _agrees(rows[key], answers[key][1])]
    report = share_report(grounding.nextgqa_answers(answers, {key: rows[key]["type"] for key in truth}))
    return {**report, "n_other_answer": len(wrong), "other_answer": wrong[:10]}


def _agrees(row: Mapping[str, str], answer: Any) -> bool:
    """Whether the true answer that a prediction file claims is the one of the annotation."""
    if "answer_idx" in row:
        return str(answer) == row["answer_idx"]
    return isinstance(answer, int) and 0 <= answer <= 4 and row[f"a{answer}"] == row["answer"]
