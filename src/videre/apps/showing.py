"""Scores -> lines for a person."""

from collections.abc import Iterator, Mapping

import click

from videre.types import JSON


def report(report: Mapping[str, JSON], name: str) -> str:
    """The scores, a line each, with interval and strict value; then answers, counts, baselines and notes."""
    lines = [click.style(name, bold=True), *_partial(report), *_scores(report)]
    answers = report.get("answers") or {}
    lines += _scores(answers, head="answers ")
    fine = {"scores": report.get("fine_grained"), "intervals": report.get("fine_grained_intervals")}
    lines += _scores(fine, head="fine-grained: ")
    counts = _flat(report.get("counts") or {})
    lines += ["  counts: " + ", ".join(f"{key} {value}" for key, value in counts)] if counts else []
    lines += _baselines(answers.get("baselines"), "answers blind")
    lines += _baselines(report.get("baselines"), "blind")
    lines += _baselines(report.get("baselines_scored"), "blind, on the scored alone")
    return "\n".join(lines + [f"  note: {note}" for note in report.get("notes") or ()])


def _partial(report: Mapping[str, JSON]) -> list[str]:
    """A warning where predictions are missing: how many of how many were scored."""
    counts = report.get("counts") or {}
    defined = next((counts[key] for key in ("n_items", "n_queries", "n_videos", "n_frames") if key in counts), 0)
    missing = counts.get("n_missing", 0)
    if not missing:
        return []
    return [click.style(f"  warning: {defined - missing} predicted / {defined} defined: a partial set", bold=True)]


def _scores(report: Mapping[str, JSON], head: str = "") -> list[str]:
    """A line a score with its interval; where predictions are missing, with what it is when they count as wrong."""
    bounds, strict = dict(_flat(report.get("intervals") or {})), report.get("strict") or {}
    shown = strict if (report.get("counts") or {}).get("n_missing") else {}
    scores = _flat(report.get("scores") or {})
    wide = max([28, *(len(head + name) for name, _ in scores)])
    lines = [f"  {'':{wide}s} {'official':>8s}   {'95 % interval':20s} {'strict':>8s}"] if shown else []
    for name, value in scores:
        line = f"  {head + name:{wide}s} {_number(value)}{_interval(bounds.get(name))}"
        lines.append(f"{line:{wide + 33}s} {_number(shown[name])}" if name in shown else line)
    return lines


def _baselines(rows: JSON, head: str) -> list[str]:
    """A line a baseline; those of the same scores under one header."""
    found = {n: _flat(scores) if isinstance(scores, Mapping) else [("", scores)] for n, scores in (rows or {}).items()}
    wide = max([len(head) + 1, *map(len, found)])
    lines, last = [], None
    for name, scores in found.items():
        names = [key for key, _ in scores]
        if names != last and names != [""]:
            lines.append(f"  {head + ':':{wide}s}" + "".join(f"  {key:>8s}" for key in names))
        mark = f"{head}: " if names == [""] else ""
        lines.append(f"  {mark}{name:{wide}s}" + "".join(f"  {_number(v):>{max(8, len(key))}s}" for key, v in scores))
        last = names
    return lines


def evaluation(table: Mapping[str, JSON]) -> str:
    """The table of a run: counts first, then every section that there is."""
    return "\n".join(_lines(table))


def counted(table: Mapping[str, JSON]) -> str:
    """How many of the questions that the benchmark defines were asked, in words."""
    counts = table["counts"]
    line = f"{table['benchmark']}: {counts['n_scored']} scored / {counts['n_defined']} defined"
    parts = [f"{counts['n_missing']} without their video"] if counts["n_missing"] else []
    if counts["n_not_asked"]:
        parts.append(f"{counts['n_not_asked']} beyond --limit")
    if counts["n_without_answer"]:
        parts.append(f"{counts['n_without_answer']} asked, their answer is not public")
    if counts["n_failed"]:
        parts.append(f"{counts['n_failed']} failed, which count as wrong")
    return f"{line} ({', '.join(parts)})" if parts else line


def _lines(table: Mapping[str, JSON]) -> Iterator[str]:
    yield click.style(counted(table), bold=True)
    if "choice" in table:
        yield from _choice(table["choice"])
    if "open" in table:
        yield f"open answers, match: {table['open']['match']}"
        yield from _rows(table["open"]["kinds"])
    if "grounding" in table:
        yield from _grounding(table["grounding"])
    for name in ("moments", "captions", "anticipation"):
        if name in table:
            yield report(table[name], name)
    for name, judged in (table.get("judge") or {}).items():
        yield from _judged(name, judged)
    yield f"run folder: {table['run']}"


def _choice(section: Mapping[str, JSON]) -> Iterator[str]:
    yield from _rows(section["kinds"])
    if "groups" in section:
        yield from _rows(section["groups"])
    constant = section["constant"]
    low, high = section["macro_interval"]
    macro = f"mean over kinds: {section['macro']:.3f} [{low:.3f}, {high:.3f}]"
    yield f"  always {constant['letter']}: {constant['accuracy']:.3f}; {macro}"
    yield f"  replies that name no option (wrong): {section['n_unparsed']} of {section['n_items']}"
    for name, rule in section["rules"].items():
        yield f"  by the rule {name}: {rule['accuracy']:.3f} ({rule['n_unparsed']} that it cannot read, wrong)"


def _rows(rows: Mapping[str, JSON]) -> Iterator[str]:
    width = max(12, *(len(name) for name in rows))
    yield f"  {'':{width}s} {'n':>5s} {'accuracy':>9s}  {'95 % interval':14s} {'chance':>7s} {'blind':>7s}"
    for name, row in rows.items():
        low, high = row["interval"]
        chance, blind = (f"{row[key]:.3f}" if row[key] is not None else "-" for key in ("chance", "blind"))
        head = f"  {name or '(no kind)':{width}s} {row['count']:5d} {row['accuracy']:9.3f}"
        yield f"{head}  [{low:.3f}, {high:.3f}] {chance:>7s} {blind:>7s}"


def _grounding(section: Mapping[str, JSON]) -> Iterator[str]:
    scores, counts = section["scores"], section["counts"]
    yield f"grounding, percent: {counts['n_items'] - counts['n_missing']} of {counts['n_items']} have a predicted span"
    yield f"  {'':15s}" + "".join(f"{name:>9s}" for name in scores)
    if counts["n_missing"] == counts["n_items"]:
        yield "  this run       names no span: --select one that does, such as msr-vir; strictly, each figure is 0"
    else:
        yield f"  {'this run':15s}" + "".join(f"{value:9.2f}" for value in scores.values())
        for side, name in enumerate(("95 % from", "to")):
            yield f"  {name:15s}" + "".join(f"{section['intervals'][key][side]:9.2f}" for key in scores)
    for rule, blind in section["baselines"].items():
        yield f"  {rule:15s}" + "".join(f"{blind[key]:9.2f}" for key in scores)
    yield "  rows below it: spans that need no question, with this run's answers"
    for kind, share in (section.get("answers") or {}).items():
        low, high = (100 * bound for bound in share["interval"])
        yield f"  answers {kind:7s}{100 * share['accuracy']:9.2f} [{low:.2f}, {high:.2f}] of {share['count']}"
    yield from (f"  note: {note}" for note in section["notes"])


def _judged(name: str, judged: Mapping[str, JSON]) -> Iterator[str]:
    yield f"judge {judged['judge']}, prompt {name} ({judged['prompt_sha256'][:8]})"
    if judged.get("accuracy") is not None:
        share = judged["accuracy"]
        low, high = share["interval"]
        yield f"  right of all {share['accuracy']:.3f} [{low:.3f}, {high:.3f}] ({share['count']} items)"
    if judged.get("score") is not None:
        low, high = judged["score_interval"]
        yield f"  mean score {judged['score']:.2f} of 5 [{low:.2f}, {high:.2f}]"
    yield f"  replies that cannot be read, or are missing: {judged['n_unread']} of {judged['n_items']}"


def _flat(scores: Mapping[str, JSON], head: str = "") -> list[tuple[str, JSON]]:
    flat: list[tuple[str, JSON]] = []
    for name, value in scores.items():
        flat += _flat(value, f"{head}{name} ") if isinstance(value, Mapping) else [(f"{head}{name}", value)]
    return flat


def _number(value: JSON) -> str:
    return f"{value:8.2f}" if isinstance(value, float) else f"{value!s:>8}"


def _interval(bounds: JSON) -> str:
    return f"   [{bounds[0]:.2f}, {bounds[1]:.2f}]" if bounds else ""
