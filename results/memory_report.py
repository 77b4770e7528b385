"""From what was run to what is claimed: the table of the memory's study."""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from videre.metrics.interval import bootstrap

CLAIMS: dict[str, tuple[str, str, float]] = {
    "merging above first-in-first-out": ("merge", "fifo", 0.0),
    "merging above an average": ("merge", "pool", 0.0),
    "merging above token merging (ToMe) in frames": ("merge", "tome in frames", 0.0),
    "merging above token merging (ToMe) in time": ("merge", "tome", 0.0),
    "merging above every n-th frame": ("merge", "uniform", 0.0),
    "a visual bank above none": ("merge", "none", 0.0),
    "query banks above none": ("windows: query", "none", 0.0),
    "both banks above the visual one": ("windows: both", "windows: visual", 0.0),
    "more slots help: eight above two": ("merge", "merge2", 0.0),
}
"""Claim -> arm, the arm that it is to exceed, by how much: it holds where the whole 95 % interval of the paired
difference in accuracy lies above that."""
SATURATES = ("merge32", "merge16", 0.05)
"""One more: the bank saturates, that is, twice as many slots bring less than 0.05, with the whole interval."""


def report(root: Path, arms: Sequence[str], *, write_to: Path | None = None) -> dict[str, Any]:
    """What the arms that were run say about the claims."""
    read = [json.loads(path.read_text()) for path in sorted(root.glob("seed-*/*.json"))]
    by_arm = {arm: {one["seed"]: one for one in read if one["arm"] == arm} for arm in arms}
    claims = {}
    for name, (ours, theirs, threshold) in CLAIMS.items():
        claims[name] = difference(by_arm[ours], by_arm[theirs], threshold)
    more, fewer, most = SATURATES
    grown = difference(by_arm[more], by_arm[fewer], most)
    claims["the bank saturates"] = grown | {"holds": None if grown["high"] is None else grown["high"] < most}
    found = {"name": "memory", "claims": claims, "arms": by_arm}
    found["page"] = page(found)
    if write_to is not None:
        (write_to / "memory.md").write_text(found["page"])
        kept = {key: found[key] for key in ("name", "claims", "arms")}
        (write_to / "memory.json").write_text(json.dumps(kept, indent=1) + "\n")
    return found


def difference(ours: dict[int, Any], theirs: dict[int, Any], threshold: float) -> dict[str, Any]:
    """The paired difference of two arms over the videos of the seeds that both have; resampled by video."""
    seeds = sorted(set(ours) & set(theirs))
    pairs = [
        statistics.fmean(x) - statistics.fmean(y)
        for s in seeds
        for x, y in zip(ours[s]["right"], theirs[s]["right"], strict=True)
    ]
    found: dict[str, Any] = {"value": None, "low": None, "high": None, "threshold": threshold, "holds": None}
    if pairs:
        low, high = bootstrap(pairs)
        found |= {"value": statistics.fmean(pairs), "low": low, "high": high, "holds": low > threshold}
    return found | {"seeds": seeds}


def page(found: dict[str, Any]) -> str:
    """The report as a page."""
    lines = ["| arm | right, by seed | mean | before training | slots | tokens read | memory a video |",
             "| --- | --- | ---: | ---: | ---: | ---: | ---: |"]  # fmt: skip
    for arm, by_seed in found["arms"].items():
        lines.append(_row(arm, list(by_seed.values())))
    lines += ["", "| claim | difference | 95 % interval | must exceed | seeds | holds |",
              "| --- | ---: | --- | ---: | --- | --- |"]  # fmt: skip
    lines += [_claim(name, told) for name, told in found["claims"].items()]
    return "\n".join(lines) + "\n"


def _row(arm: str, runs: list[Any]) -> str:
    if not runs:
        return f"| {arm} | not run | | | | | |"
    marks = ", ".join(f"{one['accuracy']:.3f}" for one in runs)
    mean, before = (statistics.fmean(one[key] for one in runs) for key in ("accuracy", "training_free"))
    one = runs[0]
    room = f"{one['slots']} | {one['keys']} | {one['bytes'] / 1024:.0f} KB"
    return f"| {arm} | {marks} | {mean:.3f} | {before:.3f} | {room} |"


def _claim(name: str, told: dict[str, Any]) -> str:
    if told["value"] is None:
        return f"| {name} | | | {told['threshold']:g} | | not run |"
    holds = "yes" if told["holds"] else "**no**"
    interval = f"{told['low']:+.3f} to {told['high']:+.3f}"
    return f"| {name} | {told['value']:+.3f} | {interval} | {told['threshold']:g} | {told['seeds']} | {holds} |"
