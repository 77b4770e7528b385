"""The tables of benchmarks that are no questions with one right answer: moments, captions, anticipation."""

import shutil
from collections import Counter
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

from videre.apps.benchmarks import Benchmark
from videre.errors import ConfigError
from videre.types import JSON

if TYPE_CHECKING:
    from videre.evaluate import Run
    from videre.metrics.anticipation import Anticipation

K = 5
KINDS = ("action", "verb", "noun")


def moments(seen: "Run", benchmark: Benchmark) -> dict[str, JSON]:
    """What the selector's spans score, in percent, beside spans that need no question.

    R@1 at IoU 0.3, 0.5 and 0.7 and mean IoU; where the benchmark scores clips, the official keys of QVHighlights.
    """
    from videre.evaluate import scores
    from videre.metrics import qvhighlights

    said, true = scores.ranked_spans(seen), scores.true_spans(seen)
    if not true:
        return {"scores": {}, "notes": ["no sentence has a true window in this file"]}
    table = _official if benchmark.known else _recall
    found, bounds = table(said, true)
    counts = {"n_queries": len(true), "n_missing": len(true.keys() - said.keys())}
    section = {
        "scores": found,
        "intervals": bounds,
        "counts": counts,
        "baselines": {},
        "notes": span_notes(counts["n_queries"], counts["n_missing"]),
    }
    lengths = {id: benchmark.durations[str(id)] for id in true if id in benchmark.durations}
    if len(lengths) == len(true):
        section["baselines"] = {name: table(some, true)[0] for name, some in qvhighlights.blind(lengths).items()}
    return _with_highlights(section, seen, benchmark.known) if benchmark.known else section


def captions(seen: "Run", blind: "Run | None", benchmark: Benchmark) -> dict[str, JSON]:
    """Caption scores by the reference library, beside the blind run's, or in words why there are none."""
    from videre import evaluate

    tokens = "java" if shutil.which("java") else "plain"
    try:
        found = evaluate.captioned(seen, benchmark.known, tokens=tokens)  # type: ignore[arg-type]
        dark = evaluate.captioned(blind, benchmark.known, tokens=tokens) if blind else None  # type: ignore[arg-type]
    except ConfigError as error:
        return {"scores": {}, "notes": [str(error)]}
    return {
        "scores": dict(found.scores),
        "intervals": {name: list(interval) for name, interval in found.intervals.items()},
        "baselines": {"grey frames": dict(dark.scores)} if dark else {},
        "counts": {"n_items": len(seen.samples)},
        "notes": [] if tokens == "java" else ["without Java: plain tokens, no METEOR"],
    }


def anticipation(seen: "Run", blind: "Run | None", benchmark: Benchmark) -> dict[str, JSON]:
    """Top-5 accuracy and class-mean top-5 recall of action, verb and noun, in percent, of actions named in words.

    Beside them: the five most common classes of the annotation file for every item, and the blind run.
    """
    found = {kind: _anticipated(seen, benchmark, kind) for kind in KINDS}
    baselines = {"most common five": _scores({kind: _common(seen, benchmark, kind) for kind in KINDS})}
    if blind:
        baselines["grey frames"] = _scores({kind: _anticipated(blind, benchmark, kind) for kind in KINDS})
    bounds = {f"{kind} top-5": some.accuracy.interval for kind, some in found.items()}
    bounds |= {f"{kind} recall@5": some.class_recall_interval for kind, some in found.items()}
    counts = {"n_items": len(seen.samples), **{f"n_{kind}_classes": some.n_classes for kind, some in found.items()}}
    return {
        "scores": _scores(found),
        "intervals": {name: [100 * bound for bound in pair] for name, pair in bounds.items()},
        "counts": counts,
        "baselines": baselines,
        "notes": ["guesses are read by the words of the annotation file, and of --verbs and --nouns where given"],
    }


def span_notes(n_items: int, n_missing: int) -> list[str]:
    """In words, how many questions have no predicted span."""
    if not n_missing:
        return []
    who = "the selector names no span" if n_missing == n_items else f"{n_missing} of {n_items} have no span"
    return [f"{who}: a question without a span counts as 0 (strict rule)"]


def _recall(said: Any, true: Any) -> tuple[dict[str, float], dict[str, list[float]]]:
    """R@1 at three IoU thresholds and mean IoU, in percent, with their intervals."""
    from videre.metrics import moments as metric

    found = metric.retrieve(said, true, thresholds=(0.3, 0.5, 0.7))
    shares = {f"R@1 IoU={x:g}": share for x, share in found.recall.items()}
    bounds = {name: share.interval for name, share in shares.items()} | {"mIoU": found.mean_iou_interval}
    scores = {name: share.percent for name, share in shares.items()} | {"mIoU": 100 * found.mean_iou}
    return scores, {name: [100 * bound for bound in pair] for name, pair in bounds.items()}


def _official(said: Any, true: Any) -> tuple[dict[str, float], dict[str, list[float]]]:
    """QVHighlights' numbers of moments, and mean IoU."""
    from videre.metrics import qvhighlights

    found = qvhighlights.by_length(said, true)
    bounds = {name: list(pair) for name, pair in qvhighlights.moment_intervals(found).items()}
    iou = [100 * bound for bound in found["full"].mean_iou_interval]
    scores = qvhighlights.moment_scores(found) | {"mIoU": 100 * found["full"].mean_iou}
    return scores, bounds | {"mIoU": iou}


def _with_highlights(section: dict[str, JSON], seen: "Run", known: Mapping[str, Any]) -> dict[str, JSON]:
    """The section with mAP and HIT@1 of the selector's scores, where it scores moments."""
    from videre.evaluate import scores
    from videre.metrics import qvhighlights

    true: dict[Hashable, Any] = {sample.id: known[sample.id] for sample in seen.samples}
    said = scores.saliency(seen, {sample.id: len(known[sample.id]) for sample in seen.samples})
    section["counts"] |= {"n_missing_saliency": len(true.keys() - said.keys())}
    if not said:
        return section | {"notes": [*section["notes"], "the selector scores no moments: no HL mAP and HIT@1"]}
    found, bounds = qvhighlights.highlight_scores(said, true)
    section["scores"] |= found
    section["intervals"] |= {name: list(pair) for name, pair in bounds.items()}
    section["baselines"]["level_saliency"] = qvhighlights.highlight_scores(qvhighlights.level(true), true)[0]
    return section


def _anticipated(run: "Run", benchmark: Benchmark, kind: str) -> "Anticipation":
    from videre import evaluate

    labels = {sample.id: _class(benchmark.known[sample.id], kind) for sample in run.samples}
    return evaluate.anticipated(run, labels, read=lambda guess: _class(benchmark.read(guess), kind), k=K)  # type: ignore[misc]


def _common(run: "Run", benchmark: Benchmark, kind: str) -> "Anticipation":
    """The scores of the five most common classes of all samples, said of each."""
    from videre.metrics import anticipation as metric

    usual = [c for c, _ in Counter(_class(pair, kind) for pair in benchmark.known.values()).most_common(K)]
    labels = [_class(benchmark.known[sample.id], kind) for sample in run.samples]
    return metric.top_k([usual] * len(labels), labels, k=K)


def _class(action: tuple[int | None, int | None], kind: str) -> Hashable:
    """The verb, the noun, or both of a (verb, noun) pair; None where a part that is asked for is missing."""
    verb, noun = action
    pair = None if verb is None or noun is None else (verb, noun)
    return {"verb": verb, "noun": noun, "action": pair}[kind]


def _scores(found: Mapping[str, "Anticipation"]) -> dict[str, float]:
    scores = {f"{kind} top-5": some.accuracy.percent for kind, some in found.items()}
    return scores | {f"{kind} recall@5": 100 * some.class_recall for kind, some in found.items()}
