"""Moment retrieval: which stretch of a video a sentence names, scored as QVHighlights and Charades-STA do.

A prediction is a list of windows [start, end, score] in seconds, the best first; the truth is a list of windows.
"""

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float64, Int64

from videre.errors import DataError
from videre.metrics.interval import Share, bootstrap
from videre.types import Span

Window = Sequence[float]
"""[start, end] in seconds, of a prediction [start, end, score]."""

THRESHOLDS = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))
"""IoU 0.5, 0.55, ..., 0.95."""

RANGES: Mapping[str, tuple[float, float]] = {
    "short": (0.0, 10.0),
    "middle": (10.0, 30.0),
    "long": (30.0, 150.0),
    "full": (-1.0, float("inf")),
}
"""Lengths (more than, at most) of the true windows that QVHighlights counts apart, in seconds."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Scores over queries.

    Attributes:
        recall: R@1 by IoU threshold: the first window meets one of the true ones with at least that IoU.
        precision: mean average precision by IoU threshold, in [0, 1].
        n_queries: all of them, those without a prediction among them, which score 0.
        n_missing: queries without a prediction.
        ious: of each query, the IoU of the first window with the true one that it meets best, in [0, 1].
        queries: average precision of each query, a row, at each threshold, a column.
    """

    recall: Mapping[float, Share]
    precision: Mapping[float, float]
    n_queries: int
    n_missing: int
    ious: Float64[np.ndarray, " Q"] = field(repr=False)
    queries: Float64[np.ndarray, "Q X"] = field(repr=False)

    @property
    def mean_precision(self) -> float:
        """mAP averaged over the thresholds, in [0, 1]."""
        return float(np.mean(list(self.precision.values())))

    @property
    def mean_iou(self) -> float:
        """The mean of `ious`, in [0, 1]."""
        return float(self.ious.mean())

    @property
    def mean_iou_interval(self) -> tuple[float, float]:
        """Its 95 % bootstrap interval, drawn over queries."""
        return bootstrap(self.ious)

    @property
    def mean_precision_interval(self) -> tuple[float, float]:
        """Its 95 % bootstrap interval, drawn over queries."""
        return bootstrap(self.queries.mean(axis=1))

    def precision_interval(self, threshold: float) -> tuple[float, float]:
        """The 95 % bootstrap interval of mAP at one threshold, drawn over queries."""
        return bootstrap(self.queries[:, list(self.precision).index(threshold)])


def retrieve(
    predictions: Mapping[Hashable, Sequence[Window]],
    truth: Mapping[Hashable, Sequence[Window]],
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    max_windows: int | None = 10,
) -> Moments:
    """R@1 at IoU, mAP and mean IoU over queries.

    Args:
        predictions: windows [start, end, score] by query, the best first; without scores, their order ranks them.
        truth: true windows by query, at least one each.
        thresholds: IoU values that must be reached (>=).
        max_windows: windows of a query that count for mAP; None for all.

    Raises:
        DataError: a query has no true window, or there is no query.

    Source: QVHighlights, `compute_mr_ap` and `compute_mr_r1` in `standalone_eval/eval.py` (moment_detr 2fa9e32, MIT).
    Differs: a query without predictions counts as 0; the official script refuses it, or leaves it out of mAP.
    """
    if not truth or not all(len(windows) for windows in truth.values()):
        raise DataError("every query needs a true window, and there must be one query")
    said = [_array(predictions.get(query, ())) for query in truth]
    true = [_array(windows)[:, :2] for windows in truth.values()]
    firsts = overlaps(_filled([windows[:1, :2] for windows in said]), _filled(true))
    ious = np.nan_to_num(firsts).max(axis=(1, 2)).astype(np.float64)
    ranked = [by_score(windows[:max_windows], None)[0][:, :2] for windows in said]
    hits = _claims(np.nan_to_num(overlaps(_filled(ranked), _filled(true)), nan=-1.0), thresholds)
    table = envelope_area(hits, np.array([len(windows) for windows in true])[:, None, None])
    return Moments(
        recall={x: Share(int((ious >= x).sum()), len(ious)) for x in thresholds},
        precision=dict(zip(thresholds, map(float, table.mean(axis=0)), strict=True)),
        n_queries=len(truth),
        n_missing=sum(not len(windows) for windows in said),
        ious=ious,
        queries=table,
    )


def _filled(windows: Sequence[Float64[np.ndarray, "_ 2"]]) -> Float64[np.ndarray, "Q P 2"]:
    """Windows of queries as one table, at least one a query, filled up with NaN."""
    table = np.full((len(windows), max(1, *map(len, windows)), 2), np.nan)
    for row, some in zip(table, windows, strict=True):
        row[: len(some)] = some
    return table


def of_length(truth: Mapping[Hashable, Sequence[Window]], limits: tuple[float, float]) -> dict[Hashable, list[Window]]:
    """The true windows longer than limits[0] and at most limits[1] seconds, and the queries that have any.

    >>> of_length({"q": [[0, 4], [0, 20]], "r": [[0, 30]]}, RANGES["short"])
    {'q': [[0, 4]]}
    """
    low, high = limits
    kept = {query: [w for w in windows if low < w[1] - w[0] <= high] for query, windows in truth.items()}
    return {query: windows for query, windows in kept.items() if windows}


def overlaps(
    spans: Float64[np.ndarray, "*Q P 2"], others: Float64[np.ndarray, "*Q G 2"]
) -> Float64[np.ndarray, "*Q P G"]:
    """Intersection over union of every span with every other, in [0, 1]; 0 where both are empty, NaN of NaN."""
    start = np.maximum(spans[..., :, None, 0], others[..., None, :, 0])
    end = np.minimum(spans[..., :, None, 1], others[..., None, :, 1])
    inter = np.maximum(0.0, end - start)
    lengths, more = spans[..., 1] - spans[..., 0], others[..., 1] - others[..., 0]
    union = lengths[..., :, None] + more[..., None, :] - inter
    return np.divide(inter, union, out=inter * 0.0, where=union > 0)


def average_precision(
    spans: Float64[np.ndarray, "P _"],
    truths: Float64[np.ndarray, "G _"],
    thresholds: Sequence[float],
    *,
    videos: Int64[np.ndarray, " P"] | None = None,
    truth_videos: Int64[np.ndarray, " G"] | None = None,
) -> Float64[np.ndarray, " X"]:
    """Average precision at each IoU threshold, in [0, 1]: area under the envelope of precision over recall.

    Predictions are taken by falling score (of one score, in their order); each claims the free truth of its own
    video that it overlaps most, and is wrong where that overlap is below the threshold.

    Args:
        spans: [start, end, score] rows; without a score column their order ranks them.
        truths: [start, end] rows.
        thresholds: IoU values.
        videos: which video each span is from; None for one video.
        truth_videos: which video each truth is from.

    Source: ActivityNet, `compute_average_precision_detection`.
    """
    if len(spans) == 0 or len(truths) == 0:
        return np.zeros(len(thresholds))
    spans, videos = by_score(spans, videos)
    return envelope_area(claims(spans, truths, thresholds, videos=videos, truth_videos=truth_videos), len(truths))


def by_score(
    spans: Float64[np.ndarray, "P _"], videos: Int64[np.ndarray, " P"] | None
) -> tuple[Float64[np.ndarray, "P _"], Int64[np.ndarray, " P"] | None]:
    """Spans and their videos by falling score; of one score, and without scores, in their order."""
    if spans.shape[1] < 3:
        return spans, videos
    order = np.argsort(-spans[:, 2], kind="stable")
    return spans[order], None if videos is None else videos[order]


def claims(
    spans: Float64[np.ndarray, "P _"],
    truths: Float64[np.ndarray, "G _"],
    thresholds: Sequence[float],
    *,
    videos: Int64[np.ndarray, " P"] | None = None,
    truth_videos: Int64[np.ndarray, " G"] | None = None,
) -> Bool[np.ndarray, "X P"]:
    """Whether each ranked span claims a free truth of its video, at each threshold; see `average_precision`."""
    iou = overlaps(spans[:, :2], truths[:, :2])
    if videos is not None and truth_videos is not None:
        iou = np.where(videos[:, None] == truth_videos[None, :], iou, -1.0)
    return _claims(iou[None], thresholds)[0]


def envelope_area(
    hits: Bool[np.ndarray, "*X P"], n_truths: int | Int64[np.ndarray, "..."]
) -> Float64[np.ndarray, "*X"]:
    """The area under the envelope of precision over recall, in [0, 1], of each row of ranked hits and misses.

    Misses behind the last hit do not count, so that rows may be filled up with them.

    >>> envelope_area(np.array([[True, False, True]]), 2)
    array([0.83333333])

    Source: PASCAL VOC 2010, as in ActivityNet's `interpolated_prec_rec`.
    """
    found = np.cumsum(hits, axis=-1, dtype=np.float64)
    precision = found / np.arange(1, hits.shape[-1] + 1)
    recall = found / n_truths
    envelope = np.maximum.accumulate(precision[..., ::-1], axis=-1)[..., ::-1]
    return (np.diff(recall, axis=-1, prepend=0.0) * envelope).sum(axis=-1)


def read_span(reply: str) -> Span | None:
    """The stretch of time that a reply names: its first two numbers in order of time, or None.

    >>> read_span("The event happens in the 2.5 - 7 seconds")
    Span(start_seconds=2.5, end_seconds=7.0, confidence=None, label=None)

    Source: Charades-STA as lmms-eval and VTimeLLM read it: the first two floats.
    """
    numbers = [float(number) for number in re.findall(r"\d+(?:\.\d+)?", reply)[:2]]
    return Span(min(numbers), max(numbers)) if len(numbers) == 2 else None


def _claims(iou: Float64[np.ndarray, "Q P G"], thresholds: Sequence[float]) -> Bool[np.ndarray, "Q X P"]:
    """Whether, at each threshold, each prediction claims a truth that is still free, in order.

    Of truths that it meets equally the last is claimed, as the official order has it.
    """
    (queries, predictions, truths), levels = iou.shape, np.array(thresholds)[:, None]
    free = np.ones((queries, len(thresholds), truths), dtype=bool)
    hits = np.zeros((queries, len(thresholds), predictions), dtype=bool)
    for p in range(predictions):
        row = iou[:, p, None, :]
        met = free & (row >= levels)
        hits[:, :, p] = met.any(axis=-1)
        best = truths - 1 - np.argmax(np.where(met, row, -1.0)[..., ::-1], axis=-1)
        free &= ~met | (np.arange(truths) != best[..., None])
    return hits


def _array(windows: Sequence[Window]) -> Float64[np.ndarray, "P _"]:
    return np.asarray(windows, dtype=np.float64).reshape(len(windows), -1 if len(windows) else 3)
