"""What BT-Adapter's study came to: its claims, and its page."""

import json
import statistics
from typing import Any

from videre.metrics.interval import wilson

CLAIMS: dict[str, tuple[str, str, float]] = {
    "frozen pair at chance on time": ("frozen", "time", 0.5),
    "adapter right on time": ("branch", "time", 0.9),
}
"""Claim -> arm, measure, threshold; the first holds where every run is exactly there, the second where the lower end of
the interval of all seeds' answers together is at or above it. Further claims hold where they do in every seed:
separate-st below branch without interaction below branch, and without MBTA, and without MBCA, below branch; and static
captions hold where they are found at least as often as the lower end of the frozen pair's interval."""


def share(seeds: dict[int, Any], kind: str) -> dict[str, Any]:
    """Right answers of all seeds together, with their interval, and of each."""
    right, count = (sum(told[kind][i] for told in seeds.values()) for i in (0, 1))
    low, high = wilson(right, count)
    each = [told[kind][0] / told[kind][1] for told in seeds.values()]
    return {"value": right / count, "low": low, "high": high, "count": count, "seeds": each}


def claims_of(shares: dict[str, Any], found: dict[str, dict[int, Any]]) -> dict[str, Any]:
    """What became of the claims, as far as their arms have been run."""
    claims: dict[str, Any] = {}
    for name, (arm, kind, threshold) in CLAIMS.items():
        if arm in shares:
            reached = shares[arm][kind]
            holds = all(each == 0.5 for each in reached["seeds"]) if arm == "frozen" else reached["low"] >= threshold
            claims[name] = {**{k: reached[k] for k in ("value", "low", "high")}, "threshold": threshold, "holds": holds}
    orders = {"interaction helps": ("branch", "no-interaction"), "a branch helps": ("no-interaction", "separate-st"),
              "MBTA helps": ("branch", "no-mbta"), "MBCA helps": ("branch", "no-mbca")}  # fmt: skip
    for name, (more, less) in orders.items():
        both = sorted(found.get(more, {}).keys() & found.get(less, {}).keys())
        if both:
            gaps = [_rate(found[more][s], "time") - _rate(found[less][s], "time") for s in both]
            claims[name] = {"value": statistics.mean(gaps), "low": min(gaps), "high": max(gaps), "threshold": 0.0,
                            "holds": min(gaps) > 0}  # fmt: skip
    if "branch" in shares and "frozen" in shares:
        static, least = shares["branch"]["static"], shares["frozen"]["static"]["low"]
        ends = {key: static[key] for key in ("value", "low", "high")}
        claims["static captions no worse"] = {**ends, "threshold": least, "holds": static["value"] >= least}
    return claims


def _rate(right: dict[str, Any], kind: str) -> float:
    return right[kind][0] / right[kind][1]


INTRODUCTION = """# A frozen pair learns time: BT-Adapter in the generated world

Made by `python results/adapter.py --report` at commit {commit}; what is measured stands at the top of that file. Shares
of right answers, 95 % intervals over all answers of all seeds, and the range of seeds. Chance is 50 % on time.

An earlier world, without signs in the pair's pictures, is kept here as it was found: after 350 steps the frozen pair
was right on 50.0 % of the questions on time, the branch on 60.8 % (57.3 to 64.1), motion 49.5 %, order 72.0 %. The
reason was found afterwards: no picture told "moves left" from "moves right", so the pair's vectors of the two captions
lay at a cosine of 0.9998, and no branch can answer in a space that does not tell the answers apart. Signs, hard wrong
answers in the pair's batches, faster temporal blocks and larger patches without a mask were then fixed from pilots on
seed 0.

What it does not show: real videos, real weights, or a mask; captions come from a dozen words, and every clip has one or
two things.
"""


def page(told: dict[str, Any]) -> str:
    """The report as Markdown."""
    return INTRODUCTION.format(**told) + section("Settings as fixed first", told)


def section(title: str, told: dict[str, Any]) -> str:
    """The tables of one size."""
    lines = [
        "",
        f"## {title}",
        "",
        f"Settings: `{json.dumps(told['size'])}`.",
        "",
        "| arm | seeds | time | motion | order | static captions, R@1 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for arm, shares in told["arms"].items():
        cells = [_cell(shares[kind]) for kind in ("time", "motion", "order", "static")]
        lines.append(f"| {arm} | {len(told['seeds'][arm])} | {' | '.join(cells)} |")
    lines += ["", "| claim | value | low | high | threshold | holds |", "| --- | --- | --- | --- | --- | --- |"]
    for name, c in told["claims"].items():
        row = [f"{c[key]:.3f}" for key in ("value", "low", "high", "threshold")]
        lines.append(f"| {name} | {' | '.join(row)} | {'yes' if c['holds'] else '**no**'} |")
    return "\n".join([*lines, ""])


def _cell(share: dict[str, Any]) -> str:
    each = f", seeds {min(share['seeds']):.1%} to {max(share['seeds']):.1%}" if len(share["seeds"]) > 1 else ""
    return f"{share['value']:.1%} ({share['low']:.1%} to {share['high']:.1%}{each})"
