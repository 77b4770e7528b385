"""NExT-GQA predictions of others, beside the blind baselines."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from videre.data.spans import finite
from videre.errors import DataError
from videre.metrics import grounding
from videre.score.files import Report, Row, keyed, objects, read_ids, share_report, table, unknown

Answers = Mapping[str, tuple[Any, Any]]
Spans = Mapping[str, list[float]]
Truths = Mapping[str, grounding.Truth]


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
    that Acc@GQA is the ceiling of the rule); `baselines_scored` the same over the questions that the official rule
    counts, where these are fewer.

    Args:
        spans: `{"VIDEO_QID": [start, end]}`; of a longer list the first and the last number count.
        annotations: `gsub_val.json` or `gsub_test.json`.
        answers: `{"VIDEO_QID": {"prediction": 3, "answer": 1}}`; without them Acc@GQA is left out.
        questions: the csv of the split: gives accuracy by kind, and checks the true answers in `answers`.
        normalised: spans are in [0, 1].
        subset: ids to score, as a JSON list or object, or one a line.
    """
    known, said, answered = _truth(annotations), _spans(spans), _answers(answers)
    n_unknown = unknown(said, known, path=spans, known_from=annotations)
    if answers is not None and answered is not None:
        _check_answered(answered, known, path=answers, known_from=annotations)
    truth, absent = _subset(known, subset, known_from=annotations)
    unanswered = [q for q in said if q in truth and answered is not None and q not in answered]
    rule: Literal["official", "zero"] = "zero" if unanswered else "official"
    official = grounding.nextgqa(said, truth, answers=answered, normalised=normalised, missing=rule)
    strict = grounding.nextgqa(said, truth, answers=answered, normalised=normalised, missing="zero")
    names = [name for name in grounding.METRICS if answered is not None or name != "Acc@GQA"]
    counts = {**official.counts, "n_unknown": n_unknown}
    return {
        "benchmark": "nextgqa",
        "scores": {name: official.metrics[name] for name in names},
        "printed": {name: official.printed()[name] for name in names},
        "intervals": {name: list(official.intervals[name]) for name in names},
        "strict": {name: strict.metrics[name] for name in names},
        "right": {name: [counts.pop(name), counts["n_scored"]] for name in grounding.METRICS if name in counts},
        "counts": counts,
        **_baselines(truth, said, answered, partial=rule == "official" and counts["n_missing"] > 0),
        "answers": None if answered is None else _by_kind(answered, truth, questions),
        "notes": [
            *([f"{len(absent)} ids of {subset} are not in the annotation ({', '.join(absent[:3])})"] if absent else []),
            *_missing_notes(unanswered, counts),
            *_range_notes([span for q, span in said.items() if q in truth], normalised=normalised, path=spans),
            *_kind_notes(answered or {}),
        ],
    }


def _baselines(truth: Truths, said: Spans, answered: Answers | None, *, partial: bool) -> Report:
    """What blind spans score on all questions and, of a partial file, on those that it has spans for."""
    sets = {"baselines": truth}
    if partial:
        sets["baselines_scored"] = {question: known for question, known in truth.items() if question in said}
    return {
        name: {rule: dict(s.metrics) for rule, s in grounding.blind_baselines(some, answers=answered).items()}
        for name, some in sets.items()
    }


def _missing_notes(unanswered: list[str], counts: Mapping[str, int]) -> list[str]:
    notes, missing = [], counts["n_missing"]
    if unanswered:
        few = ", ".join(unanswered[:3])
        notes.append(f"{len(unanswered)} questions have a span but no answer ({few}): the official script would stop "
                     "here, so all numbers are by the strict rule")  # fmt: skip
    elif missing:
        notes.append(f"{missing} questions have no span: the official rule leaves them out, "
                     "the strict one counts them as 0")  # fmt: skip
    if counts["n_unknown"]:
        notes.append(f"{counts['n_unknown']} spans are of questions that the annotation does not have")
    return notes


def _range_notes(spans: list[list[float]], *, normalised: bool, path: Path) -> list[str]:
    """Where spans look like seconds though they are called shares, or the other way round."""
    outside = sum(max(span[0], span[-1]) > 1 for span in spans)
    turned = sum(span[-1] < span[0] for span in spans)
    if normalised and 2 * outside > len(spans):
        reason = f"{path}: {outside} of {len(spans)} spans reach past 1, so they are seconds"
        raise DataError(f"{reason}; leave --normalised out", code="unit")
    notes = [f"{turned} spans end before they start: they overlap nothing"] if turned else []
    if normalised and outside:
        notes.append(f"{outside} of {len(spans)} normalised spans reach past 1, the end of the video")
    if not normalised and not outside:
        notes.append("no span reaches past the first second: if they are shares of the video, give --normalised")
    return notes


def _kind_notes(answers: Answers) -> list[str]:
    odd = [key for key, (said, true) in answers.items() if said != true and str(said) == str(true)]
    if not odd:
        return []
    said, true = answers[odd[0]]
    return [f"{len(odd)} predictions are the answer in another type ({said!r} and {true!r} of {odd[0]}): "
            "the official rule counts them as wrong"]  # fmt: skip


def _truth(path: Path) -> dict[str, grounding.Truth]:
    truth = {}
    for video, row in objects(path).items():
        duration, location = row.whole("duration"), row.inner("location")
        for qid in location.fields:
            segments = location.windows(qid)
            if not segments:
                raise row.wrong(f"question {qid} has no true segment")
            truth[f"{video}_{qid}"] = grounding.Truth(video, duration, segments)
    if not truth:
        raise DataError(f"{path}: no question to score")
    return truth


def _subset(known: Truths, path: Path | None, *, known_from: Path) -> tuple[Truths, list[str]]:
    """The questions that are asked for, and the wanted ids that the annotation does not have."""
    if path is None:
        return known, []
    wanted = dict.fromkeys(read_ids(path))
    kept = {key: truth for key, truth in known.items() if key in wanted}
    absent = [key for key in wanted if key not in known]
    if not kept:
        some = ", ".join(absent[:3]) or "it is empty"
        raise DataError(f"{path}: none of its ids is in {known_from} ({some}); VIDEO_QID was expected", code="no_match")
    return kept, absent


def _spans(path: Path) -> Spans:
    return {key: _span(row) for key, row in keyed(path).items()}


def _span(row: Row) -> list[float]:
    span = finite(row, row.fields.get("value", dict(row.fields)), what="a span [start, end]")
    if len(span) < 2:
        raise row.wrong(f"a span is {list(span)}, [start, end] in numbers was expected")
    return list(span)


def _answers(path: Path | None) -> Answers | None:
    if path is None:
        return None
    return {key: (_option(row, "prediction"), _option(row, "answer")) for key, row in objects(path).items()}


def _option(row: Row, name: str) -> int | str | None:
    """An option as its number or text; a prediction may be null."""
    value = row.get(name)
    if isinstance(value, bool | list | dict | float) or (value is None and name != "prediction"):
        raise row.wrong(f'"{name}" is {str(value)[:40]}, the number or text of an option was expected')
    return value


def _check_answered(answers: Answers, truth: Truths, *, path: Path, known_from: Path) -> None:
    unknown(answers, truth, path=path, known_from=known_from)
    if all(said is None for said, _ in answers.values()):
        raise DataError(f"{path}: every prediction is null; was the model's reply written to it?", code="no_replies")


def _by_kind(answers: Answers, truth: Truths, questions: Path | None) -> Report:
    """Acc@QA, and by kind where the questions are known; their true answers must be those of the answers."""
    baselines = _constant(answers, truth)
    if questions is None:
        shares = grounding.nextgqa_answers(answers, dict.fromkeys(truth, ""))
        return {**share_report({"Acc@QA": shares["Acc@QA"]}), "baselines": baselines}
    rows = {f"{row.text('video_id')}_{row.text('qid')}": row for row in table(questions, ("video_id", "qid", "type"))}
    absent = [key for key in truth if key not in rows]
    if absent:
        raise DataError(f"{questions}: {len(absent)} questions are not in it, such as {absent[:3]}")
    wrong = [key for key in truth if key in answers and not _agrees(rows[key], answers[key][1])]
    report = share_report(grounding.nextgqa_answers(answers, {key: rows[key].text("type") for key in truth}))
    return {**report, "baselines": baselines, "n_other_answer": len(wrong), "other_answer": wrong[:10]}


def _constant(answers: Answers, truth: Truths) -> dict[str, float]:
    """Chance among NExT-QA's five options and the best constant answer, in percent of all questions."""
    given = Counter(answers[key][1] for key in truth if key in answers)
    always = {f"always {answer}": count / len(truth) * 100 for answer, count in given.most_common(1)}
    return {"chance": 20.0, **always}


def _agrees(row: Row, answer: Any) -> bool:
    """Whether the true answer that a prediction file claims is the one of the annotation."""
    if row.has("answer_idx"):
        return str(answer) == row.get("answer_idx")
    return isinstance(answer, int) and 0 <= answer <= 4 and row.get(f"a{answer}") == row.get("answer")
