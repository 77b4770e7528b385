"""Moments and highlights that others predicted: QVHighlights and Charades-STA, beside spans that need no question."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
from jaxtyping import Float64

from videre.metrics import highlights, moments
from videre.score.files import Report, Row, by_id, first, notes_of, percents, unknown

Rows = Mapping[str, Row]
Windows = Mapping[Hashable, Sequence[Sequence[float]]]

WINDOWS, SALIENCY = "pred_relevant_windows", "pred_saliency_scores"

BLIND: Mapping[str, Callable[[float], list[float]]] = MappingProxyType(
    {"whole_video": lambda d: [0.0, d], "middle_third": lambda d: [d / 3, 2 * d / 3]}
)
"""Windows that need no question, from the duration of the video in seconds."""


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
    found = _by_length(_windows(said), true)
    report["scores"] |= _moment_scores(found)
    report["intervals"] |= _moment_intervals(found)
    report["detail"] = {
        name: {
            "MR-mAP": {str(x): ap * 100 for x, ap in score.precision.items()},
            "MR-R1": {str(x): r.percent for x, r in score.recall.items()},
        }
        for name, score in found.items()
    }
    for name, windows in _blind(truth).items():
        report["baselines"][name] = _moment_scores(_by_length(windows, true))
    return found["full"].n_missing


def _by_length(windows: Windows, true: Windows) -> dict[str, moments.Moments]:
    kept = {name: moments.of_length(true, limits) for name, limits in moments.RANGES.items()}
    return {name: moments.retrieve(windows, some) for name, some in kept.items() if some}


def _moment_scores(found: Mapping[str, moments.Moments]) -> dict[str, float]:
    full = found["full"]
    scores = {f"MR-{name}-mAP": score.mean_precision * 100 for name, score in found.items()}
    scores |= {f"MR-full-mAP@{x}": full.precision[x] * 100 for x in (0.5, 0.75)}
    return scores | {f"MR-full-R1@{x}": full.recall[x].percent for x in (0.5, 0.7)}


def _moment_intervals(found: Mapping[str, moments.Moments]) -> dict[str, list[float]]:
    full = found["full"]
    bounds = {f"MR-{name}-mAP": percents(score.mean_precision_interval) for name, score in found.items()}
    bounds |= {f"MR-full-mAP@{x}": percents(full.precision_interval(x)) for x in (0.5, 0.75)}
    return bounds | {f"MR-full-R1@{x}": percents(full.recall[x].interval) for x in (0.5, 0.7)}


def _highlights(report: Report, said: Rows, truth: Rows) -> int:
    """Adds what the saliency scores to the report; how many queries have none."""
    clips: dict[Hashable, list[float]] = {qid: row.numbers(SALIENCY) for qid, row in said.items()}
    true: dict[Hashable, np.ndarray] = {qid: _saliency(row) for qid, row in truth.items()}
    level: dict[Hashable, list[float]] = {qid: [0.0] * len(table) for qid, table in true.items()}
    report["baselines"]["level_saliency"] = {}
    odd = sum(len(clips[qid]) != len(table) for qid, table in true.items() if clips.get(qid))
    if odd:
        report["notes"] = [f"{odd} have more or fewer saliency scores than clips: cut, or filled with 0"]
    for name, least in highlights.LEVELS.items():
        found, blind = (highlights.highlights(some, true, least=least) for some in (clips, level))
        keys = f"HL-min-{name}-mAP", f"HL-min-{name}-Hit1"
        report["scores"] |= dict(zip(keys, (found.mean_precision * 100, found.hit_at_1 * 100), strict=True))
        bounds = percents(found.mean_precision_interval), percents(found.hits.interval)
        report["intervals"] |= dict(zip(keys, bounds, strict=True))
        values = blind.mean_precision * 100, blind.hit_at_1 * 100
        report["baselines"]["level_saliency"] |= dict(zip(keys, values, strict=True))
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
    lengths = {qid: row.number("duration") for qid, row in truth.items()}
    return {name: {qid: [rule(d)] for qid, d in lengths.items()} for name, rule in BLIND.items()}


def _charades(windows: Windows, true: Windows) -> moments.Moments:
    return moments.retrieve(windows, true, thresholds=(0.3, 0.5, 0.7))


def _charades_scores(found: moments.Moments) -> dict[str, float]:
    return {f"R1@{x}": share.percent for x, share in found.recall.items()} | {"mIoU": found.mean_iou * 100}
