"""Grounded question answering as NExT-GQA scores it: when the answer lies, and whether it is right for that reason.

Question ids are the official ones, `VIDEO_QID`. The order of operations is the official one, in float64 and without
an epsilon, because thresholds are met or missed in the last digit.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float64

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


@dataclass(frozen=True, eq=False)
class Grounded:
    """What each scored question got, one place a question: IoU and IoP in [0, 1], and whether its answer is right."""

    questions: tuple[str, ...]
    iou: Float64[np.ndarray, " Q"]
    iop: Float64[np.ndarray, " Q"]
    right: Bool[np.ndarray, " Q"]


@dataclass(frozen=True, eq=False)
class GroundedScore:
    """The official seven numbers, in percent, with what stands behind them.

    Attributes:
        metrics: `Acc@GQA`, `mIoP`, `IoP@0.3`, `IoP@0.5`, `mIoU`, `IoU@0.3`, `IoU@0.5`, each in [0, 100].
        intervals: the 95 % interval of each, in percent: Wilson for shares, bootstrap over videos for means.
        counts: items behind each share, and `n_items`, `n_scored`, `n_missing`.
        missing: the rule for questions without a span.
        questions: the scores of each question behind them.
    """

    metrics: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    counts: Mapping[str, int]
    missing: str
    questions: Grounded = field(repr=False)

    def printed(self) -> dict[str, str]:
        """The numbers as the official script prints them, with one decimal."""
        return {name: f"{value:.1f}" for name, value in self.metrics.items()}


def overlap(
    predictions: Float64[np.ndarray, "S 2"], segments: Float64[np.ndarray, "S 2"]
) -> tuple[Float64[np.ndarray, " S"], Float64[np.ndarray, " S"]]:
    """(IoU, IoP) of predicted spans and true segments, row by row, unclamped: apart, they are negative.

    IoU is the intersection over the hull of both, which is the union where they meet; IoP is the intersection over
    the prediction. A prediction of no length has IoU 0, and IoP 1 where it lies inside.

    >>> overlap(np.array([[3.0, 5.0]]), np.array([[2.0, 6.0]]))
    (array([0.5]), array([1.]))

    Source: NExT-GQA, `get_tIoU` in `code/TempGQA/eval_ground.py` (63772e0).
    """
    (start, end), (first, last) = predictions.T, segments.T
    inter, hull = np.minimum(last, end) - np.maximum(first, start), np.maximum(last, end) - np.minimum(first, start)
    inside = ((start == end) & (first <= start) & (start <= last)).astype(np.float64)
    iou = np.divide(inter, hull, out=np.zeros_like(inter), where=(hull > 0) & (start != end))
    return iou, np.divide(inter, end - start, out=inside, where=end > start)


def ground(
    spans: Sequence[Segment], segments: Sequence[Sequence[Segment]]
) -> tuple[Float64[np.ndarray, " Q"], Float64[np.ndarray, " Q"]]:
    """(IoU, IoP) of questions, in [0, 1]: the two maxima, each over all true segments of a question.

    Segments are never merged and the two maxima may come from different ones.

    >>> ground([[9, 11]], [[[0, 2], [10, 20]]])
    (array([0.09090909]), array([0.5]))
    """
    ends = [(span[0], span[-1]) for span, known in zip(spans, segments, strict=True) for _ in known]
    true = [(segment[0], segment[-1]) for known in segments for segment in known]
    starts = np.cumsum([0, *(len(known) for known in segments)])[:-1]
    if not true:
        return np.zeros(0), np.zeros(0)
    pairs = overlap(np.array(ends, dtype=np.float64), np.array(true, dtype=np.float64))
    iou, iop = (np.maximum(0.0, np.maximum.reduceat(values, starts)) for values in pairs)
    return iou, iop


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
    bare = [question for question, known in truth.items() if not len(known.segments)]
    if bare:
        raise DataError(f"{len(bare)} questions have no true segment, such as {bare[0]}")
    seconds = _seconds(spans, truth) if normalised else spans
    scored = [question for question in truth if question in seconds or missing == "zero"]
    if not scored:
        raise DataError("no question has a predicted span: are the keys VIDEO_QID?", code="no_spans")
    iou, iop = ground([seconds.get(q, _NOWHERE) for q in scored], [truth[q].segments for q in scored])
    right = _rights(scored, answers, strict=missing == "official")
    counts = {"n_items": len(truth), "n_scored": len(scored), "n_missing": sum(q not in spans for q in truth)}
    groups = [truth[question].video for question in scored]
    found = Grounded(tuple(scored), iou, iop, right)
    return _summary(found, groups, counts=counts, missing=missing, resamples=resamples)


_NOWHERE = (math.nan, math.nan)
"""A span that meets nothing: what a silent system is scored as under "zero"."""

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
) -> Bool[np.ndarray, " Q"]:
    if answers is None:
        return np.zeros(len(questions), dtype=bool)
    absent = [question for question in questions if question not in answers]
    if absent and strict:
        raise DataError(f"{len(absent)} questions have a span but no answer, such as {absent[0]}: score missing='zero'")
    return np.array([q in answers and bool(answers[q][0] == answers[q][1]) for q in questions], dtype=bool)


def _summary(
    found: Grounded, groups: Sequence[str], *, counts: Mapping[str, int], missing: str, resamples: int
) -> GroundedScore:
    n, values = len(found.questions), {"mIoP": found.iop, "mIoU": found.iou}
    hits = {"Acc@GQA": int((found.right & (found.iop >= 0.5)).sum())}
    hits |= {f"IoP@{x}": int((found.iop >= x).sum()) for x in (0.3, 0.5)}
    hits |= {f"IoU@{x}": int((found.iou >= x).sum()) for x in (0.3, 0.5)}
    metrics = {name: (hits[name] if name in hits else float(values[name].sum())) / n * 100 for name in METRICS}
    bounds = {name: Share(hit, n).interval for name, hit in hits.items()}
    if resamples:
        bounds |= {name: bootstrap(some, groups=groups, resamples=resamples) for name, some in values.items()}
    percents = {name: (bounds[name][0] * 100, bounds[name][1] * 100) for name in METRICS if name in bounds}
    return GroundedScore(metrics, percents, {**hits, **counts}, missing, found)


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
    right = dict(zip(kinds, _rights(list(kinds), answers, strict=False).tolist(), strict=True))
    table = {name: [q for q in names if names[q] == name] for name in ("CW", "CH", "TN", "TC")}
    table |= {group: [q for q in names if names[q].startswith(group)] for group in ("C", "T")}
    table["Acc@QA"] = list(names)
    return {name: Share(sum(right[q] for q in questions), len(questions)) for name, questions in table.items()}
