"""A finished run -> what its table holds: scores with their intervals, chance, constant and blind baselines, counts."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from videre.apps import set_tables
from videre.apps.benchmarks import Benchmark
from videre.types import JSON, Sample

if TYPE_CHECKING:
    from videre.evaluate import Run
    from videre.metrics.choice import Choice
    from videre.metrics.interval import Share


def build(benchmark: Benchmark, seen: "Run", blind: "Run | None") -> dict[str, JSON]:
    """Every section that the benchmark has: `choice`, `open`, `grounding`, `moments`, `captions`, `anticipation`."""
    sections: dict[str, JSON] = {}
    if any(sample.option is not None for sample in seen.samples):
        sections["choice"] = choice(seen, blind, benchmark)
    if benchmark.scores in ("questions", "grounded") and any(_is_open(s) for s in seen.samples):
        sections["open"] = opened(seen, blind, match=benchmark.match)
    if benchmark.scores == "grounded" and any(sample.spans for sample in seen.samples):
        sections["grounding"] = grounding(seen, benchmark)
    if benchmark.scores == "moments":
        sections["moments"] = set_tables.moments(seen, benchmark)
    if benchmark.scores == "captions":
        sections["captions"] = set_tables.captions(seen, blind, benchmark)
    if benchmark.scores == "anticipation":
        sections["anticipation"] = set_tables.anticipation(seen, blind, benchmark)
    return sections


def choice(seen: "Run", blind: "Run | None", benchmark: Benchmark) -> dict[str, JSON]:
    """Accuracy overall, by kind and by group, each beside chance, the best constant letter and the blind run."""
    from videre import evaluate
    from videre.metrics import choice as metric

    found, dark = evaluate.accuracy(seen), evaluate.accuracy(blind) if blind else None
    asked = [sample for sample in seen.samples if sample.option is not None]
    letter, constant = metric.best_constant([s.option for s in asked if s.option is not None])
    section = {
        "n_items": found.n_items,
        "n_scored": found.n_scored,
        "n_unparsed": found.n_unparsed,
        "macro": found.macro,
        "macro_interval": list(found.macro_interval),
        "constant": {"letter": letter, "accuracy": constant.value},
        "kinds": _rows(_all_kinds(found), _all_kinds(dark), asked),
        "rules": by_rules(seen, benchmark.rules),
    }
    groups = {s.id: benchmark.groups[s.id] for s in asked if s.id in benchmark.groups}
    if len(groups) == len(asked):
        grouped = evaluate.accuracy(seen, groups=groups)
        shades = evaluate.accuracy(blind, groups=groups).kinds if blind else None
        section["groups"] = _rows(grouped.kinds, shades, asked, groups)
    return section


def by_rules(seen: "Run", rules: Sequence[str]) -> dict[str, JSON]:
    """Accuracy of the same replies under the benchmark's official extractors."""
    from videre.metrics import choice as metric
    from videre.metrics.extractors import RULES

    asked = [(s, r) for s, r in zip(seen.samples, seen.replies(), strict=True) if s.option is not None]
    options, right = [s.question.options for s, _ in asked], [s.option for s, _ in asked if s.option is not None]
    found = {
        name: _tempcompass(asked)
        if name == "tempcompass"
        else metric.accuracy_of_replies([r for _, r in asked], options, right, rule=RULES[name])
        for name in rules
    }
    return {name: _share(some.overall) | {"n_unparsed": some.n_unparsed} for name, some in found.items()}


def opened(seen: "Run", blind: "Run | None", *, match: str) -> dict[str, JSON]:
    """Accuracy of short open answers by one rule, by kind, beside the blind run."""
    from videre import evaluate
    from videre.metrics.text import MATCHES

    found = evaluate.matched(seen, match=MATCHES[match])
    dark = evaluate.matched(blind, match=MATCHES[match]) if blind else None
    return {
        "match": match,
        "n_items": found.n_items,
        "n_scored": found.n_scored,
        "kinds": _rows(_all_kinds(found), _all_kinds(dark), []),
    }


def grounding(seen: "Run", benchmark: Benchmark) -> dict[str, JSON]:
    """NExT-GQA's seven numbers in percent by the strict rule, beside spans that need no question."""
    from videre.evaluate import scores
    from videre.metrics import grounding as metric

    truth = scores.truths(seen.samples, {**scores.durations(seen), **benchmark.durations})
    answers = {id: pair for id, pair in scores.answers(seen).items() if id in truth}
    found = metric.nextgqa(scores.predicted(seen), truth, answers=answers, missing="zero")
    blind = metric.blind_baselines(truth, answers=answers)
    section = {
        "scores": dict(found.metrics),
        "intervals": {name: list(bounds) for name, bounds in found.intervals.items()},
        "counts": dict(found.counts),
        "baselines": {name: dict(score.metrics) for name, score in blind.items()},
        "notes": set_tables.span_notes(found.counts["n_items"], found.counts["n_missing"]),
    }
    kinds = {s.id: s.kind for s in seen.samples if s.id in truth}
    if benchmark.name == "nextgqa":
        section["answers"] = {name: _share(s) for name, s in metric.nextgqa_answers(answers, kinds).items() if s.count}
    return section


def _rows(
    shares: Mapping[str, "Share"],
    dark: Mapping[str, "Share"] | None,
    asked: Sequence[Sample],
    groups: Mapping[str, str] | None = None,
) -> dict[str, JSON]:
    """A row a kind; `asked` gives chance, where there are options."""
    from videre.metrics.choice import chance

    rows = {}
    for name, share in shares.items():
        own = [s for s in asked if name == "all" or (groups[s.id] if groups else s.kind) == name]
        blind = dark[name].value if dark and name in dark else None
        rows[name] = _share(share) | {"chance": chance([len(s.question.options) for s in own]) if own else None}
        rows[name]["blind"] = blind
    return rows


def _all_kinds(found: "Choice | None") -> dict[str, "Share"]:
    return {"all": found.overall, **found.kinds} if found else {}


def _share(share: "Share") -> dict[str, Any]:
    return {"accuracy": share.value, "interval": list(share.interval), "count": share.count}


def _is_open(sample: Sample) -> bool:
    return not sample.question.options and sample.answer is not None


def _tempcompass(asked: Sequence[tuple[Sample, str | None]]) -> Any:
    """TempCompass's own matching; what it would hand to a judge is wrong, and counted."""
    from videre.metrics import choice as metric
    from videre.metrics.tempcompass import TASKS
    from videre.options import letter

    marks: list[bool | None] = []
    for sample, reply in asked:
        task = sample.id.partition("/")[0] if "/" in sample.id else "multi-choice"
        head = "Option " if task == "caption_matching" else ""
        mark = ": " if head else ". "
        lines = [f"{head}{letter(i)}{mark}{text}" for i, text in enumerate(sample.question.options)]
        answer = lines[sample.option or 0] if task != "yes_no" else str(sample.answer)
        asked_text = "\n".join([sample.question.text, *lines])
        marks.append(None if reply is None else TASKS[task](reply, answer, asked_text))
    return metric.tally([bool(mark) for mark in marks], n_unparsed=sum(mark is None for mark in marks))
