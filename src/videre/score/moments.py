"""Moments and highlights that others predicted: QVHighlights and Charades-STA, beside spans that need no question."""

from collections.abc import Hashable, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from videre.metrics import highlights, moments, qvhighlights
from videre.metrics.qvhighlights import Windows
from videre.score.files import Report, Row, bounds_of, by_id, first, notes_of, percents, unknown

Rows = Mapping[str, Row]

WINDOWS, SALIENCY = "pred_relevant_windows", "pred_saliency_scores"


def score_qvhighlights(predictions: Path, annotations: Path) -> Report:
    """QVHighlights' numbers under their official keys, in percent: moments by length, highlights where predicted.

    Args:
        predictions: one object a line: `qid`, `pred_relevant_windows` [[start, end, score], ...] and, where there
            are any, `pred_saliency_scores`; a file may hold one of the two alone.
        annotations: `highlight_val_release.jsonl`.
    """
    said, truth = by_id(predictions, "qid"), by_id(annotations, "qid")
    n_unknown = unknown(said, truth, path=predictions, known_from=annotations)
    kinds = {name for name in (WINDOWS, SALIENCY) if any(row.has(name) for row in said.values())}
    if not kinds:
        raise first(said.values()).wrong(f'neither "{WINDOWS}" nor "{SALIENCY}" is in any row of this file')
    report: Report = {"benchmark": "qvhighlights", "scores": {}, "intervals": {}, "baselines": {}, "notes": []}
    counts = {"n_queries": len(truth), "n_unknown": n_unknown}
    if WINDOWS in kinds:
        counts["n_missing"] = _moments(report, said, truth)
    if SALIENCY in kinds:
        missing = _highlights(report, said, truth)
        counts["n_missing_saliency" if WINDOWS in kinds else "n_missing"] = missing
    return report | {"counts": counts, "notes": [*notes_of(counts), *_saliency_notes(counts), *report["notes"]]}


def score_charades_sta(predictions: Path, annotations: Path) -> Report:
    """R@1 at IoU 0.3, 0.5 and 0.7 and mIoU, in percent, of files in the form of `score_qvhighlights`."""
    said, truth = by_id(predictions, "qid"), by_id(annotations, "qid")
    n_unknown = unknown(said, truth, path=predictions, known_from=annotations)
    if not any(row.has(WINDOWS) for row in said.values()):
        raise first(said.values()).wrong(f'"{WINDOWS}" is in no row of this file')
    found = _charades(_windows(said), _true(truth))
    scores, intervals = _charades_scores(found), {f"R1@{x}": percents(r.interval) for x, r in found.recall.items()}
    counts = {"n_queries": found.n_queries, "n_missing": found.n_missing, "n_unknown": n_unknown}
    return {
        "benchmark": "charades-sta",
        "scores": scores,
        "intervals": intervals | {"mIoU": percents(found.mean_iou_interval)},
        "baselines": {name: _charades_scores(_charades(some, _true(truth))) for name, some in _blind(truth).items()},
        "counts": counts,
        "notes": notes_of(counts),
    }


def _moments(report: Report, said: Rows, truth: Rows) -> int:
    """Adds what the windows score to the report; how many queries have none."""
    true = _true(truth)
    found = qvhighlights.by_length(_windows(said), true)
    report["scores"] |= qvhighlights.moment_scores(found)
    report["intervals"] |= bounds_of(qvhighlights.moment_intervals(found))
    report["detail"] = {
        name: {
            "MR-mAP": {str(x): ap * 100 for x, ap in score.precision.items()},
            "MR-R1": {str(x): r.percent for x, r in score.recall.items()},
        }
        for name, score in found.items()
    }
    for name, windows in _blind(truth).items():
        report["baselines"][name] = qvhighlights.moment_scores(qvhighlights.by_length(windows, true))
    return found["full"].n_missing


def _highlights(report: Report, said: Rows, truth: Rows) -> int:
    """Adds what the saliency scores to the report; how many queries have none."""
    clips: dict[Hashable, list[float]] = {qid: row.numbers(SALIENCY) for qid, row in said.items()}
    true: dict[Hashable, np.ndarray] = {qid: _saliency(row) for qid, row in truth.items()}
    odd = sum(len(clips[qid]) != len(table) for qid, table in true.items() if clips.get(qid))
    if odd:
        report["notes"] = [f"{odd} have more or fewer saliency scores than clips: cut, or filled with 0"]
    scores, bounds = qvhighlights.highlight_scores(clips, true)
    report["scores"] |= scores
    report["intervals"] |= bounds_of(bounds)
    report["baselines"]["level_saliency"] = qvhighlights.highlight_scores(qvhighlights.level(true), true)[0]
    return sum(not clips.get(qid) for qid in truth)


def _saliency(row: Row) -> Float64[np.ndarray, "C W"]:
    """The saliency of every clip by each annotator, from the clips that the annotation lists."""
    ids, duration = row.items("relevant_clip_ids"), row.number("duration")
    clips = int(duration / highlights.CLIP_SECONDS)
    if any(isinstance(i, bool) or not isinstance(i, int) or not 0 <= i < clips for i in ids):
        raise row.wrong(f'"relevant_clip_ids" holds others than the {clips} clips of {duration} s, 0 to {clips - 1}')
    scores = row.windows("saliency_scores", most=9)
    if len(scores) != len(ids):
        raise row.wrong(f'"saliency_scores" has {len(scores)} rows for {len(ids)} "relevant_clip_ids"')
    return highlights.saliency_of(ids, scores, duration_seconds=duration)


def _saliency_notes(counts: Mapping[str, int]) -> list[str]:
    missing = counts.get("n_missing_saliency", 0)
    return [f"{missing} have no saliency: their HL numbers are 0"] if missing else []


def _windows(said: Rows) -> Windows:
    return {qid: row.windows(WINDOWS, most=3) if row.has(WINDOWS) else [] for qid, row in said.items()}


def _true(truth: Rows) -> Windows:
    return {qid: _some(row) for qid, row in truth.items()}


def _some(row: Row) -> list[list[float]]:
    windows = row.windows("relevant_windows")
    if not windows:
        raise row.wrong('"relevant_windows" is empty')
    if any(end < start for start, end in windows):
        raise row.wrong(f'a window of "relevant_windows" ends before it starts: {windows}')
    return windows


def _blind(truth: Rows) -> dict[str, Windows]:
    """The windows of each blind rule; none where the annotation does not say how long videos are."""
    if not all(row.has("duration") for row in truth.values()):
        return {}
    return qvhighlights.blind({qid: row.number("duration") for qid, row in truth.items()})


def _charades(windows: Windows, true: Windows) -> moments.Moments:
    return moments.retrieve(windows, true, thresholds=(0.3, 0.5, 0.7))


def _charades_scores(found: moments.Moments) -> dict[str, float]:
    return {f"R1@{x}": share.percent for x, share in found.recall.items()} | {"mIoU": found.mean_iou * 100}
