"""Labelled spans and boxes that others predicted: ActivityNet's localisation, AVA's detection."""

import csv
from pathlib import Path

from videre.data import annotations as files
from videre.data import spans
from videre.metrics import detection
from videre.score.files import FORM, Report, Row, bounds_of, keyed, notes_of, objects, unknown
from videre.types import Box, Span

NO_INTERVAL = "videos are too few for an interval"


def score_activitynet_localisation(predictions: Path, annotations: Path) -> Report:
    """mAP at IoU 0.5 to 0.95 and their mean, in [0, 1].

    Args:
        predictions: `{"results": {video: [{"label", "score", "segment"}]}}`.
        annotations: `{"v_VIDEO": {"annotations": [{"label", "segment"}]}}`.
    """
    results = keyed(predictions).get("results")
    if results is None:
        raise files.at_line(predictions, 1, 'no field "results"', fix=FORM)
    said = {video: [_span(row, scored=True) for row in results.inners(video)] for video in results.fields}
    known = objects(annotations).items()
    truth = {video.removeprefix("v_"): [_span(row) for row in row.inners("annotations")] for video, row in known}
    n_unknown = unknown(said, truth, path=predictions, known_from=annotations)
    found = detection.localise(said, truth)
    names = [f"mAP@{x:.2f}" for x in found.precision]
    counts = {"n_videos": len(truth), "n_missing": len(truth.keys() - said.keys()), "n_unknown": n_unknown}
    bounds = {name: found.intervals.get(x) for name, x in zip(names, found.precision, strict=True)}
    return {
        "benchmark": "activitynet-localisation",
        "scores": dict(zip(names, found.precision.values(), strict=True)) | {"mAP": found.mean_precision},
        "intervals": bounds_of(bounds | {"mAP": found.mean_interval}),
        "labels": dict(found.labels),
        "counts": counts,
        "notes": notes_of(counts) + ([] if found.mean_interval else [NO_INTERVAL]),
    }


def score_ava_detection(predictions: Path, annotations: Path) -> Report:
    """AVA's frame mAP at IoU 0.5, in [0, 1], of csv rows `video,second,x1,y1,x2,y2,label[,score]`."""
    said, truth = _boxes(predictions, scored=True), _boxes(annotations, scored=False)
    n_unknown = unknown(said, truth, path=predictions, known_from=annotations)
    found = detection.boxes_on_frames(said, truth, groups={frame: frame.split(",")[0] for frame in [*said, *truth]})
    counts = {"n_frames": len(truth), "n_missing": len(truth.keys() - said.keys()), "n_unknown": n_unknown}
    return {
        "benchmark": "ava-detection",
        "scores": {"mAP@0.5IOU": found.mean_precision},
        "intervals": bounds_of({"mAP@0.5IOU": found.interval}),
        "labels": dict(found.labels),
        "counts": counts,
        "notes": notes_of(counts) + ([] if found.interval else [NO_INTERVAL]),
    }


def _span(row: Row, *, scored: bool = False) -> Span:
    span = spans.published(row, row.get("segment"), label=row.label("label"))
    return Span(span.start_seconds, span.end_seconds, row.number("score") if scored else None, span.label)


def _boxes(path: Path, *, scored: bool) -> dict[str, list[Box]]:
    frames: dict[str, list[Box]] = {}
    for number, row in enumerate(csv.reader(files.read_text(path).splitlines()), 1):
        if not row:
            continue
        try:
            seconds, x0, y0, x1, y1 = map(float, row[1:6])
            box = Box(seconds, x0, y0, x1, y1, label=row[6], confidence=float(row[7]) if scored else None)
        except (ValueError, IndexError, TypeError) as error:
            reason = f"video,second,x1,y1,x2,y2,label{',score' if scored else ''} was expected ({error})"
            raise files.at_line(path, number, reason, fix=FORM) from error
        frames.setdefault(f"{row[0]},{row[1]}", []).append(box)
    return frames
