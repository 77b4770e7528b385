"""Where and when things are: temporal action localisation as ActivityNet scores it, boxes on frames as AVA does."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Float64, Int64

from videre.metrics.interval import middle
from videre.metrics.moments import by_score, claims, envelope_area
from videre.types import Box, Span

ACTIVITYNET_THRESHOLDS = tuple(float(x) for x in np.linspace(0.5, 0.95, 10))
"""The official values, in the official float64 digits."""


RESAMPLES = 200
"""Draws for an interval of mAP: each ranks all predictions anew."""

Interval = tuple[float, float]
Item = TypeVar("Item", Box, Span)


@dataclass(frozen=True)
class Localisation:
    """Mean over labels of average precision, in [0, 1], at each threshold, and by label over all thresholds.

    `intervals` by threshold and `mean_interval` are 95 % bootstrap intervals, drawn over videos; none for one video.
    """

    precision: Mapping[float, float]
    labels: Mapping[str, float]
    intervals: Mapping[float, Interval] = field(default_factory=dict)
    mean_interval: Interval | None = None

    @property
    def mean_precision(self) -> float:
        """The mean over thresholds."""
        return float(np.mean(list(self.precision.values())))


def localise(
    predictions: Mapping[str, Sequence[Span]],
    truth: Mapping[str, Sequence[Span]],
    *,
    thresholds: Sequence[float] = ACTIVITYNET_THRESHOLDS,
) -> Localisation:
    """mAP of labelled spans by video; `confidence` ranks the predicted ones over all videos.

    A predicted label that no true span has is ignored. Videos without predictions cost recall.

    Source: ActivityNet detection, as in mmaction2 0.x `core/evaluation/eval_detection.py` (Apache-2.0).
    Differs: the official script stops at an unknown label.
    """
    labels = list(dict.fromkeys(span.label or "" for spans in truth.values() for span in spans))
    videos = {video: i for i, video in enumerate([*truth, *(v for v in predictions if v not in truth)])}
    weights = _draws(len(truth), len(videos))
    table, drawn = np.zeros((len(labels), len(thresholds))), _Means((len(thresholds), RESAMPLES))
    predicted, known = _by_label(predictions), _by_label(truth)
    for row, label in enumerate(labels):
        said, said_in = by_score(*_rows(predicted.get(label, {}), videos))
        true, true_in = _rows(known[label], videos)
        hits = claims(said, true, thresholds, videos=said_in, truth_videos=true_in)
        table[row] = envelope_area(hits, len(true))
        drawn.add(weighted_areas(hits, weights[:, said_in], weights[:, true_in].sum(axis=1)))
    means = table.mean(axis=0) if labels else np.zeros(len(thresholds))
    found = dict(zip(thresholds, map(float, means), strict=True))
    by_label = {label: float(table[i].mean()) for i, label in enumerate(labels)}
    if len(truth) < 2:
        return Localisation(found, by_label)
    areas = drawn.values
    return Localisation(found, by_label, dict(zip(thresholds, map(middle, areas), strict=True)),
                        middle(areas.mean(axis=0)))  # fmt: skip


def weighted_areas(
    hits: Bool[np.ndarray, "X P"], weights: Int64[np.ndarray, "R P"], counts: Int64[np.ndarray, " R"]
) -> Float64[np.ndarray, "X R"]:
    """`envelope_area` of ranked predictions that come several times each, in R draws at once.

    Args:
        hits: which ranked predictions are right, at each threshold.
        weights: how often each prediction comes in each draw.
        counts: how many truths there are in each draw; without any, the area is NaN.

    >>> weighted_areas(np.array([[True, False, True]]), np.array([[1, 1, 1]]), np.array([2]))
    array([[0.83333333]])
    """
    ranks = np.cumsum(weights, axis=1)
    areas = np.full((len(hits), len(weights)), np.nan)
    known = counts > 0
    for x, row in enumerate(hits):
        # Precision peaks at hits, and recall rises nowhere else: misses count through the ranks alone.
        own = weights[:, row]
        precision = np.cumsum(own, axis=1) / np.maximum(ranks[:, row], 1)
        envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        areas[x, known] = (own * envelope).sum(axis=1)[known] / counts[known]
    return areas


@dataclass(frozen=True)
class Boxes:
    """Mean over labels of average precision on frames, in [0, 1], and by label; labels without truth are left out.

    `interval` is the 95 % bootstrap interval of the mean, drawn over groups of frames; none for one group.
    """

    mean_precision: float
    labels: Mapping[str, float]
    interval: Interval | None = None


def boxes_on_frames(
    predictions: Mapping[str, Sequence[Box]],
    truth: Mapping[str, Sequence[Box]],
    *,
    labels: Collection[str] | None = None,
    groups: Mapping[str, str] | None = None,
    threshold: float = 0.5,
) -> Boxes:
    """Frame mAP at an IoU threshold: boxes by frame id, with labels; `confidence` ranks the predicted ones.

    On a frame each box looks only at the true box that it overlaps most; where a better box has that one already,
    it is wrong. Labels without a true box are left out of the mean.

    Args:
        predictions: boxes by frame.
        truth: true boxes by frame; a frame without any is one where every box is wrong.
        labels: count these alone; None for all that occur.
        groups: what each frame belongs to, such as its video, and is drawn with; None draws frames.
        threshold: IoU that must be reached (>=).

    Source: AVA, `ava_evaluation/per_image_evaluation.py` (TensorFlow object detection, Apache-2.0).
    """
    groups = groups or {frame: frame for frame in [*truth, *predictions]}
    names = {name: i for i, name in enumerate(dict.fromkeys(groups[frame] for frame in [*truth, *predictions]))}
    weights = _draws(len({groups[frame] for frame in truth}), len(names))
    true, scores, drawn = _by_label(truth), dict[str, float](), _Means((1, RESAMPLES))
    said = _by_label(predictions)
    for label in sorted(name for name in true if labels is None or name in labels):
        hits, frames = _ranked(said.get(label, {}), true[label], threshold)
        own = np.array([names[groups[frame]] for frame in frames], dtype=np.int64)
        counts = np.bincount([names[groups[f]] for f, some in true[label].items() for _ in some], minlength=len(names))
        scores[label] = float(envelope_area(hits[None], int(counts.sum()))[0])
        drawn.add(weighted_areas(hits[None], weights[:, own], weights @ counts))
    mean = float(np.mean(list(scores.values()))) if scores else float("nan")
    many = scores and len({groups[frame] for frame in truth}) > 1
    return Boxes(mean, scores, middle(drawn.values[0]) if many else None)


class _Means:
    """Means over labels of drawn areas; a label that a draw has no truth of is left out of that draw."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._sums, self._counts = np.zeros(shape), np.zeros(shape)

    def add(self, areas: Float64[np.ndarray, "X R"]) -> None:
        self._sums += np.nan_to_num(areas)
        self._counts += ~np.isnan(areas)

    @property
    def values(self) -> Float64[np.ndarray, "X R"]:
        found = np.full(self._sums.shape, np.nan)
        return np.divide(self._sums, self._counts, out=found, where=self._counts > 0)


def _draws(n_true: int, n_all: int) -> Int64[np.ndarray, "R G"]:
    """How often each group is drawn; those behind the first `n_true` have no truth and come once in each draw."""
    rng, weights = np.random.default_rng(0), np.ones((RESAMPLES, n_all), dtype=np.int64)
    if n_true:
        weights[:, :n_true] = rng.multinomial(n_true, np.full(n_true, 1 / n_true), size=RESAMPLES)
    return weights


def _by_label(items: Mapping[str, Sequence[Item]]) -> dict[str, dict[str, list[Item]]]:
    """Boxes by label and frame, spans by label and video."""
    found: dict[str, dict[str, list[Item]]] = {}
    for place, some in items.items():
        for item in some:
            found.setdefault(item.label or "", {}).setdefault(place, []).append(item)
    return found


def _ranked(
    said: Mapping[str, Sequence[Box]], true: Mapping[str, Sequence[Box]], threshold: float
) -> tuple[Bool[np.ndarray, " P"], list[str]]:
    """Whether each box of a label is right, and its frame, by falling confidence."""
    confidences: list[float] = []
    hits: list[bool] = []
    frames: list[str] = []
    for frame in dict.fromkeys([*true, *said]):
        ranked = sorted(said.get(frame, ()), key=lambda box: -_confidence(box))
        confidences += [_confidence(box) for box in ranked]
        hits += _matches(ranked, true.get(frame, ()), threshold)
        frames += [frame] * len(ranked)
    order = np.argsort(-np.asarray(confidences), kind="stable")
    return np.array(hits, dtype=bool)[order], [frames[i] for i in order]


def _matches(said: Sequence[Box], true: Sequence[Box], threshold: float) -> list[bool]:
    taken, hits = set(), []
    for box in said:
        iou = [box.iou(other) for other in true]
        best = int(np.argmax(iou)) if iou else -1
        hits.append(best >= 0 and iou[best] >= threshold and best not in taken)
        if hits[-1]:
            taken.add(best)
    return hits


def _confidence(item: Box | Span) -> float:
    return 0.0 if item.confidence is None else item.confidence


def _rows(
    spans: Mapping[str, Sequence[Span]], videos: Mapping[str, int]
) -> tuple[Float64[np.ndarray, "P 3"], Int64[np.ndarray, " P"]]:
    """[start, end, confidence] of spans, and the number of the video of each."""
    found = [(video, span) for video, some in spans.items() for span in some]
    rows = [[span.start_seconds, span.end_seconds, _confidence(span)] for _, span in found]
    return np.array(rows, dtype=np.float64).reshape(-1, 3), np.array([videos[video] for video, _ in found], dtype=int)
