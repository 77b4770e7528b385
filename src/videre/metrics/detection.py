"""Where and when things are: temporal action localisation as ActivityNet scores it, boxes on frames as AVA does."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from videre.metrics.moments import average_precision, envelope_area
from videre.types import Box, Span

ACTIVITYNET_THRESHOLDS = tuple(float(x) for x in np.linspace(0.5, 0.95, 10))
"""The official values, in the official float64 digits."""


@dataclass(frozen=True)
class Localisation:
    """Mean over labels of average precision, in [0, 1], at each threshold, and by label over all thresholds."""

    precision: Mapping[float, float]
    labels: Mapping[str, float]

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
    table = np.zeros((len(labels), len(thresholds)))
    for row, label in enumerate(labels):
        said, said_in = _rows(predictions, label, videos)
        true, true_in = _rows(truth, label, videos)
        table[row] = average_precision(said, true, thresholds, videos=said_in, truth_videos=true_in)
    means = table.mean(axis=0) if labels else np.zeros(len(thresholds))
    return Localisation(dict(zip(thresholds, map(float, means), strict=True)),
                        {label: float(table[i].mean()) for i, label in enumerate(labels)})  # fmt: skip


@dataclass(frozen=True)
class Boxes:
    """Mean over labels of average precision on frames, in [0, 1], and by label; labels without truth are left out."""

    mean_precision: float
    labels: Mapping[str, float]


def boxes_on_frames(
    predictions: Mapping[str, Sequence[Box]],
    truth: Mapping[str, Sequence[Box]],
    *,
    labels: Collection[str] | None = None,
    threshold: float = 0.5,
) -> Boxes:
    """Frame mAP at an IoU threshold: boxes by frame id, with labels; `confidence` ranks the predicted ones.

    On a frame each box looks only at the true box that it overlaps most; where a better box has that one already,
    it is wrong. Labels without a true box are left out of the mean.

    Args:
        predictions: boxes by frame.
        truth: true boxes by frame; a frame without any is one where every box is wrong.
        labels: count these alone; None for all that occur.
        threshold: IoU that must be reached (>=).

    Source: AVA, `ava_evaluation/per_image_evaluation.py` (TensorFlow object detection, Apache-2.0).
    """
    known = sorted({box.label or "" for boxes in truth.values() for box in boxes})
    scores = {
        label: _frame_precision(predictions, truth, label, threshold)
        for label in known
        if labels is None or label in labels
    }
    return Boxes(float(np.mean(list(scores.values()))) if scores else float("nan"), scores)


def _frame_precision(
    predictions: Mapping[str, Sequence[Box]], truth: Mapping[str, Sequence[Box]], label: str, threshold: float
) -> float:
    confidences: list[float] = []
    hits: list[bool] = []
    for frame in dict.fromkeys([*truth, *predictions]):
        said = sorted(_of(predictions, frame, label), key=lambda box: -_confidence(box))
        confidences += [_confidence(box) for box in said]
        hits += _matches(said, _of(truth, frame, label), threshold)
    order = np.argsort(-np.asarray(confidences), kind="stable")
    count = sum(len(_of(truth, frame, label)) for frame in truth)
    return float(envelope_area(np.array(hits, dtype=bool)[None, order], count)[0])


def _matches(said: Sequence[Box], true: Sequence[Box], threshold: float) -> list[bool]:
    taken, hits = set(), []
    for box in said:
        iou = [box.iou(other) for other in true]
        best = int(np.argmax(iou)) if iou else -1
        hits.append(best >= 0 and iou[best] >= threshold and best not in taken)
        if hits[-1]:
            taken.add(best)
    return hits


def _of(boxes: Mapping[str, Sequence[Box]], frame: str, label: str) -> list[Box]:
    return [box for box in boxes.get(frame, ()) if (box.label or "") == label]


def _confidence(item: Box | Span) -> float:
    return 0.0 if item.confidence is None else item.confidence


def _rows(
    spans: Mapping[str, Sequence[Span]], label: str, videos: Mapping[str, int]
) -> tuple[Float64[np.ndarray, "P 3"], Int64[np.ndarray, " P"]]:
    found = [(video, span) for video, some in spans.items() for span in some if (span.label or "") == label]
    rows = [[span.start_seconds, span.end_seconds, _confidence(span)] for _, span in found]
    return np.array(rows, dtype=np.float64).reshape(-1, 3), np.array([videos[video] for video, _ in found], dtype=int)
