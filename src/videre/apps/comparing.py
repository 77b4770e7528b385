"""`videre eval diff`: two run folders -> what differs between them, exactly."""

import contextlib
import json
from pathlib import Path
from typing import Any

from videre.types import JSON

RUN = "run.json"
METRICS = "metrics.json"
CAUSES = ("benchmark", "settings", "files", "versions", "judge")
"""Parts of `run.json` that decide what comes out; the model's card and the selector are compared in the records."""


def compared(first: Path, second: Path) -> dict[str, JSON]:
    """Settings and versions of the two runs, every fact of their run cards, and their scores.

    Raises:
        DataError: one of them is not a run.
    """
    from videre import evaluate

    found = evaluate.difference(evaluate.records(first), evaluate.records(second))
    cards, tables = ([_read(path / name) for path in (first, second)] for name in (RUN, METRICS))
    return {
        "questions": len(found.common),
        "only_first": list(found.only_first),
        "only_second": list(found.only_second),
        "settings": _leaves_that_differ(*cards),
        "differ": {name: {"count": len(f.differ), "values": list(f.values)} for name, f in found.differing.items()},
        "ids": {name: list(fact.differ) for name, fact in found.differing.items()},
        "equal": [name for name, fact in found.facts.items() if not fact.differ],
        "scores": [table.get("headline") for table in tables],
    }


def text(found: dict[str, Any]) -> str:
    """The comparison for a person: causes, then what was shown and answered, then what is equal."""
    n = found["questions"]
    lines = [f"{n} questions in both runs"]
    for side in ("first", "second"):
        if alone := found[f"only_{side}"]:
            lines.append(f"only in the {side}: {len(alone)}, such as {alone[0]}")
    lines += [f"{name}: {before} vs {after}" for name, (before, after) in found["settings"].items()]
    for name, fact in found["differ"].items():
        pairs = "; ".join(f"{a} vs {b} ({count})" for a, b, count in fact["values"])
        lines.append(f"{name} differ on {fact['count']} of {n}" + (f": {pairs}" if pairs else ""))
    lines += [f"equal: {', '.join(found['equal'])}"] if found["equal"] else []
    if all(found["scores"]):
        first, second = found["scores"]
        lines.append(f"{first['name']}: {first['value']:.4g} vs {second['value']:.4g}")
    return "\n".join(lines)


def _leaves_that_differ(first: JSON, second: JSON) -> dict[str, list[JSON]]:
    before, after = ({name: value for part in CAUSES for name, value in _leaves(card.get(part), part)}
                     for card in (first, second))  # fmt: skip
    names = [name for name in dict.fromkeys([*before, *after]) if before.get(name) != after.get(name)]
    return {name: [before.get(name), after.get(name)] for name in names}


def _leaves(value: JSON, name: str) -> list[tuple[str, JSON]]:
    if isinstance(value, dict):
        return [leaf for part, inner in value.items() for leaf in _leaves(inner, f"{name}.{part}")]
    return [] if value is None else [(name, value)]


def _read(path: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        return json.loads(path.read_bytes())
    return {}
