"""Grounded question answering as NExT-GQA scores it: when the answer lies, and whether it is right for that reason.

Question ids are the official ones, `VIDEO_QID`. The order of operations is the official one, in float64 and without
an epsilon, because thresholds are met or missed in the last digit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from videre.errors import DataError
from videre.metrics.interval import Share, bootstrap

Segment = Sequence[float]
"""[start, end] in seconds; of a longer list, the first and the last number count."""


@dataclass(frozen=True)
class Truth:
    """What is known of one question: its video, the video's length in whole seconds, and when the answer lies."""

    video: str
    duration_seconds: int
    segments: Sequence[Segment]


@dataclass(frozen=True)
class Grounding:
    """Scores of one question, in [0, 1], and whether its answer is right; None where there are no answers."""

    iou: float
    iop: float
    right: bool | None = None


@dataclass(frozen=True)
class GroundedScore:
    """The official seven numbers, in percent, with what stands behind them.

    Attributes:
        metrics: `Acc@GQA`, `mIoP`, `IoP@0.3`, `IoP@0.5`, `mIoU`, `IoU@0.3`, `IoU@0.5`, each in [0, 100].
        intervals: the 95 % interval of each, in percent: Wilson for shares, bootstrap over videos for means.
        counts: items behind each share, and `n_items`, `n_scored`, `n_missing`.
        missing: the rule for questions without a span.
    """

    metrics: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    counts: Mapping[str, int]
    missing: str
    questions: Mapping[str, Grounding] = field(repr=False, default_factory=dict)

    def printed(self) -> dict[str, str]:
        """The numbers as the official script prints them, with one decimal."""
        return {name: f"{value:.1f}" for name, value in self.metrics.items()}


def overlap(prediction: Segment, segment: Segment) -> tuple[float, float]:
    """(IoU, IoP) of a predicted span and one true segment, unclamped: apart, they are negative.

    IoU is the intersection over the hull of both, which is the union where they meet; IoP is the intersection over
    the prediction. A prediction of no length has IoU 0, and IoP 1 where it lies inside.

    >>> overlap([3, 5], [2, 6])
    (0.5, 1.0)

    Source: NExT-GQA, `get_tIoU` in `code/TempGQA/eval_ground.py` (63772e0).
    """
    start, end, first, last = prediction[0], prediction[-1], segment[0], segment[-1]
    if start == end:
        return 0.0, float(first <= start <= last)
    inter, hull = min(last, end) - max(first, start), max(last, end) - min(first, start)
    return (inter / hull if hull > 0 else 0.0), (inter / (end - start) if end > start else 0.0)


def ground(prediction: Segment, segments: Sequence[Segment]) -> tuple[float, float]:
    """(IoU, IoP) of a predicted span and a question, in [0, 1]: the two maxima, each over all true segments.

    Segments are never merged and the two maxima may come from different ones.

    >>> ground([9, 11], [[0, 2], [10, 20]])
    (0.09090909090909091, 0.5)
    """
    pairs = [overlap(prediction, segment) for segment in segments]
    return max([0.0, *(iou for iou, _ in pairs)]), max([0.0, *(iop for _, iop in pairs)])


def nextgqa(
    spans: Mapping[str, Segment],
    truth: Mapping[str, Truth],
    *,
    answers: Mapping[str, tuple[Any, Any]] | None = None,
    normalised: bool = False,
    missing: Literal["official", "zero"] = "official",
    resamples: int = 1000,
) -> GroundedScore:
    """NExT-GQA's scores of predicted spans and answers.

    Acc@GQA is the share of questions with IoP >= 0.5 and a right answer; @x is the share with >= x.

    Args:
        spans: predicted [start, end] by question id, in seconds; unknown ids are ignored.
        truth: the questions to score, by id; leave some out to score a subset.
        answers: (prediction, answer) by question id, compared with ==; None gives Acc@GQA 0.
        normalised: spans are in [0, 1]; they are multiplied by the whole-second duration and rounded to 0.1 s.
        missing: "official" leaves questions without a span out of the denominator, so that a silent system gains;
            "zero" counts them as 0.
        resamples: bootstrap draws for the intervals of the means.

    Raises:
        DataError: a scored question has a span but no answer (official rule), or no question has a span.

    Source: NExT-GQA, `eval_ground` in `code/TempGQA/eval_ground.py` (63772e0).
    Differs: an unanswered question is wrong under "zero"; the official script raises KeyError and cannot score it.
    """
    seconds = _seconds(spans, truth) if normalised else spans
    questions = [question for question in truth if question in seconds or missing == "zero"]
    rights = _rights(questions, answers, strict=missing == "official")
    scored = {}
    for question in questions:
        span = seconds.get(question)
        iou, iop = (0.0, 0.0) if span is None else ground(span, truth[question].segments)
        scored[question] = Grounding(iou, iop, rights[question])
    if not scored:
        raise DataError("no question has a predicted span: are the keys VIDEO_QID?", code="no_spans")
    n_missing = sum(question not in spans for question in truth)
    groups = [truth[question].video for question in scored]
    return _summary(scored, groups, n_items=len(truth), n_missing=n_missing, missing=missing, resamples=resamples)


SPAN_RULES: Mapping[str, Callable[[float], tuple[float, float]]] = MappingProxyType({
    "whole_video": lambda d: (0, d),
    "first_half": lambda d: (0, d / 2),
    "middle_third": lambda d: (d / 3, 2 * d / 3),
    "middle_5s": lambda d: (max(0, d / 2 - 2.5), min(d, d / 2 + 2.5)),
    "first_5s": lambda d: (0, min(5, d)),
    "middle_point": lambda d: (d / 2, d / 2),
    "start_point_1s": lambda d: (1, 1),
})  # fmt: skip
"""Spans that need no question and no video, from its duration in seconds."""


def blind_baselines(
    truth: Mapping[str, Truth], *, answers: Mapping[str, tuple[Any, Any]] | None = None
) -> dict[str, GroundedScore]:
    """What each rule of `SPAN_RULES` scores; a system that grounds is above them in IoU, not in IoP alone.

    Args:
        truth: the questions.
        answers: a system's answers, for its Acc@GQA with blind spans; None takes every answer as right, so that
            Acc@GQA is the ceiling of the rule.
    """
    said = answers if answers is not None else dict.fromkeys(truth, (0, 0))
    return {
        name: nextgqa(
            {q: rule(known.duration_seconds) for q, known in truth.items()},
            truth, answers=said, missing="official" if answers is None else "zero", resamples=0,
        )
        for name, rule in SPAN_RULES.items()
    }  # fmt: skip


def _seconds(spans: Mapping[str, Segment], truth: Mapping[str, Truth]) -> dict[str, Segment]:
    """Normalised spans in seconds, rounded as the official script does: half to even, to 0.1 s."""
    known = {question: truth[question].duration_seconds for question in spans if question in truth}
    return {question: np.round(np.asarray(spans[question]) * t, 1).tolist() for question, t in known.items()}


def _rights(
    questions: Sequence[str], answers: Mapping[str, tuple[Any, Any]] | None, *, strict: bool
) -> dict[str, bool | None]:
    if answers is None:
        return dict.fromkeys(questions)
    absent = [question for question in questions if question not in answers]
    if absent and strict:
        raise DataError(f"{len(absent)} questions have a span but no answer, such as {absent[0]}: score missing='zero'")
    return {q: q in answers and bool(answers[q][0] == answers[q][1]) for q in questions}


def _summary(
    scored: Mapping[str, Grounding],
    groups: Sequence[str],
    n_items: int,
    n_missing: int,
    *,
    missing: str,
    resamples: int,
) -> GroundedScore:
    rows, n = list(scored.values()), len(scored)
    hits = {"Acc@GQA": sum(bool(row.right) and row.iop >= 0.5 for row in rows)}
    hits |= {f"IoP@{x}": sum(row.iop >= x for row in rows) for x in (0.3, 0.5)}
    hits |= {f"IoU@{x}": sum(row.iou >= x for row in rows) for x in (0.3, 0.5)}
    values = {"mIoP": [row.iop for row in rows], "mIoU": [row.iou for row in rows]}
    metrics = {name: hits[name] / n * 100 if name in hits else sum(values[name]) / n * 100 for name in METRICS}
    bounds = {name: Share(hit, n).interval for name, hit in hits.items()}
    if resamples:
        bounds |= {name: bootstrap(some, groups=groups, resamples=resamples) for name, some in values.items()}
    percents = {name: (bounds[name][0] * 100, bounds[name][1] * 100) for name in METRICS if name in bounds}
    counts = {**hits, "n_items": n_items, "n_scored": n, "n_missing": n_missing}
    return GroundedScore(metrics, percents, counts, missing, scored)


METRICS = ("Acc@GQA", "mIoP", "IoP@0.3", "IoP@0.5", "mIoU", "IoU@0.3", "IoU@0.5")
"""The official names, in the official order."""


def nextgqa_answers(answers: Mapping[str, tuple[Any, Any]], kinds: Mapping[str, str]) -> dict[str, Share]:
    """Answer accuracy as NExT-GQA reports it: by kind with TP counted as TN, by group C and T, and `Acc@QA` for all.

    Args:
        answers: (prediction, answer) by question id.
        kinds: CW, CH, TN, TP or TC of every question to score; one without an answer is wrong.

    Source: NExT-GQA, `eval_ground` in `code/TempGQA/eval_next.py` (63772e0).
    Differs: the official script raises KeyError where an answer is missing; here it counts as wrong.
    """
    names = {question: "TN" if kind == "TP" else kind for question, kind in kinds.items()}
    right = _rights(list(kinds), answers, strict=False)
    table = {name: [q for q in names if names[q] == name] for name in ("CW", "CH", "TN", "TC")}
    table |= {group: [q for q in names if names[q].startswith(group)] for group in ("C", "T")}
    table["Acc@QA"] = list(names)
    return {name: Share(sum(bool(right[q]) for q in questions), len(questions)) for name, questions in table.items()}
