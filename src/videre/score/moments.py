"""Moments, highlights, actions and boxes that others predicted: QVHighlights, Charades-STA, ActivityNet, AVA."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from videre.errors import DataError
from videre.metrics import detection, highlights, moments
from videre.score.files import Report, by_key, need, percents, read_object, read_rows, read_text
from videre.types import Box, Span

Rows = Mapping[Any, Mapping[str, Any]]


def score_qvhighlights(predictions: Path, annotations: Path) -> Report:
    """QVHighlights' numbers under their official keys, in percent: moments by length, highlights where predicted.

    Args:
        predictions: one object a line: `qid`, `pred_relevant_windows` [[start, end, score], ...] and, where there
            are any, `pred_saliency_scores`.
        annotations: `highlight_val_release.jsonl`.
    """
    said, truth = (by_key(read_rows(path), "qid", path) for path in (predictions, annotations))
    windows, true = _windows(said), {qid: row["relevant_windows"] for qid, row in truth.items()}
    found = {
        name: moments.retrieve(windows, kept)
        for name, limits in moments.RANGES.items()
        if (kept := moments.of_length(true, limits))
    }
    full, scores = found["full"], {f"MR-{name}-mAP": score.mean_precision * 100 for name, score in found.items()}
    scores |= {f"MR-full-mAP@{x}": full.precision[x] * 100 for x in (0.5, 0.75)}
    scores |= {f"MR-full-R1@{x}": full.recall[x].percent for x in (0.5, 0.7)}
    if any("pred_saliency_scores" in row for row in said.values()):
        scores |= _highlights(said, truth)
    return {
        "benchmark": "qvhighlights",
        "scores": scores,
        "intervals": {f"MR-full-R1@{x}": percents(full.recall[x].interval) for x in (0.5, 0.7)},
        "counts": _counts(full, said, truth),
        "detail": {
            name: {
                "MR-mAP": {str(x): ap * 100 for x, ap in score.precision.items()},
                "MR-R1": {str(x): r.percent for x, r in score.recall.items()},
            }
            for name, score in found.items()
        },
    }


def score_charades_sta(predictions: Path, annotations: Path) -> Report:
    """R@1 at IoU 0.3, 0.5 and 0.7 and mIoU, in percent, of files in the form of `score_qvhighlights`."""
    said, truth = (by_key(read_rows(path), "qid", path) for path in (predictions, annotations))
    true = {qid: row["relevant_windows"] for qid, row in truth.items()}
    found = moments.retrieve(_windows(said), true, thresholds=(0.3, 0.5, 0.7))
    scores = {f"R1@{x}": share.percent for x, share in found.recall.items()}
    intervals = {f"R1@{x}": percents(share.interval) for x, share in found.recall.items()}
    return {
        "benchmark": "charades-sta",
        "scores": scores | {"mIoU": found.mean_iou * 100},
        "intervals": intervals | {"mIoU": percents(found.mean_iou_interval)},
        "counts": _counts(found, said, truth),
    }


def score_activitynet_localisation(predictions: Path, annotations: Path) -> Report:
    """mAP at IoU 0.5 to 0.95 and their mean, in [0, 1].

    Args:
        predictions: `{"results": {video: [{"label", "score", "segment"}]}}`.
        annotations: `{"v_VIDEO": {"annotations": [{"label", "segment"}]}}`.
    """
    results = need(read_object(predictions), "results", str(predictions))
    said = {video: [_span(row) for row in rows] for video, rows in results.items()}
    known = read_object(annotations).items()
    truth = {video.removeprefix("v_"): [_span(row) for row in facts["annotations"]] for video, facts in known}
    found = detection.localise(said, truth)
    return {
        "benchmark": "activitynet-localisation",
        "scores": {f"mAP@{x:.2f}": value for x, value in found.precision.items()} | {"mAP": found.mean_precision},
        "labels": dict(found.labels),
        "counts": {"n_videos": len(truth), "n_missing": len(truth.keys() - said.keys())},
    }


def score_ava_detection(predictions: Path, annotations: Path) -> Report:
    """AVA's frame mAP at IoU 0.5, in [0, 1], of csv rows `video,second,x1,y1,x2,y2,label[,score]`."""
    said, truth = _boxes(predictions, scored=True), _boxes(annotations, scored=False)
    found = detection.boxes_on_frames(said, truth)
    return {
        "benchmark": "ava-detection",
        "scores": {"mAP@0.5IOU": found.mean_precision},
        "labels": dict(found.labels),
        "counts": {"n_frames": len(truth), "n_missing": len(truth.keys() - said.keys())},
    }


def _highlights(said: Rows, truth: Rows) -> dict[str, float]:
    clips = {qid: row.get("pred_saliency_scores") or [] for qid, row in said.items()}
    true = {
        qid: highlights.saliency_of(row["relevant_clip_ids"], row["saliency_scores"], duration_seconds=row["duration"])
        for qid, row in truth.items()
    }
    scores: dict[str, float] = {}
    for name, least in highlights.LEVELS.items():
        found = highlights.highlights(clips, true, least=least)
        scores |= {f"HL-min-{name}-mAP": found.mean_precision * 100, f"HL-min-{name}-Hit1": found.hit_at_1 * 100}
    return scores


def _windows(said: Rows) -> dict[Any, list[list[float]]]:
    return {qid: row.get("pred_relevant_windows") or [] for qid, row in said.items()}


def _counts(found: moments.Moments, said: Rows, truth: Rows) -> dict[str, int]:
    unknown = len(said.keys() - truth.keys())
    return {"n_queries": found.n_queries, "n_missing": found.n_missing, "n_unknown": unknown}


def _span(row: Mapping[str, Any]) -> Span:
    start, end = map(float, row["segment"])
    return Span(start, end, confidence=row.get("score"), label=row["label"])


def _boxes(path: Path, *, scored: bool) -> dict[str, list[Box]]:
    frames: dict[str, list[Box]] = {}
    for number, row in enumerate(csv.reader(read_text(path).splitlines()), 1):
        if not row:
            continue
        try:
            seconds, x0, y0, x1, y1 = map(float, row[1:6])
            box = Box(seconds, x0, y0, x1, y1, label=row[6], confidence=float(row[7]) if scored else None)
        except (ValueError, IndexError, TypeError) as error:
            raise DataError(
                f"{path}, line {number}: expected video,second,x1,y1,x2,y2,label,score ({error})"
            ) from error
        frames.setdefault(f"{row[0]},{row[1]}", []).append(box)
    return frames
