"""The page of the study: `reasoner.md` out of `reasoner.json`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from reasoner_notes import EARLIER, SHOWS, WHY

HERE = Path(__file__).parent
NOT_RUN = "Not run yet: `python results/reasoner.py --minutes 8` goes on where it stopped."


def page(told: dict[str, Any]) -> str:
    """The whole page as Markdown."""
    size = told["size"]
    parts = [
        "# Grounding, policies and reflection, on films\n",
        f"Made by `python results/reasoner.py` at commit {told['commit']}: {told['questions']} questions to the "
        f"answerer,\n{size['pairs']} with judged policies, {size['graded'] * 16} for every parser; "
        f"{_minutes(told)} minutes on one core.\n"
        "Claims and thresholds were written before the run, in `results/reasoner.py`; the films are in\n"
        "`results/reasoner_films.py`, the models in `results/reasoner_models.py`.\n",
        "## Claims\n",
        *_or_not(told["claims"], _claims),
        "\n## Answers, percent right\n",
        *_or_not(told["arms"], _answers),
        "\n## Grounding, percent\n",
        *_or_not(told["grounding"], _groundings),
        "\n## A model that was taught the layout\n",
        *_or_not(told.get("taught", {}), _taught),
        *_again(told.get("again")),
        "\n## What policies are worth before training\n",
        *_or_not(told["facts"], _facts),
        "\n## Parsers\n",
        *_or_not(told["parsers"], _parsers),
        "",
        SHOWS,
        WHY,
        EARLIER,
    ]
    return "\n".join(parts)


def _or_not(part: dict[str, Any], rows: Callable[[Any], list[str]]) -> list[str]:
    return rows(part) if part else [NOT_RUN]


def _table(head: list[str], rows: Any) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def _claims(told: dict[str, Any]) -> list[str]:
    return _table(["claim", "difference, points", "95 % interval", "wanted", "holds"], map(_claim, told.items()))


def _claim(item: tuple[str, Any]) -> list[str]:
    name, c = item
    about = f" ({c['rule']}: {_p(c['blind'])}, ours {_p(c['ours'])})" if "rule" in c else ""
    about += f" (seeds: {c['seeds']})" if "seeds" in c else ""
    wanted = f"above {100 * c['threshold']:.0f}"
    if "negated" in name:
        wanted = "below 0"
    if "no weight moves" in name:
        wanted = "0, no step"
    return [
        name + about, f"{100 * c['value']:+.1f}", f"[{100 * c['low']:+.1f}, {100 * c['high']:+.1f}]",
        wanted, "yes" if c["holds"] else "**no**",
    ]  # fmt: skip


def _taught(told: dict[str, Any]) -> list[str]:
    losses = told["losses"]
    ends = f"{np.mean(losses[:3]):.2f} over the first thirty of them and {np.mean(losses[-3:]):.2f} over the last"
    return [
        f"{told['questions']} questions on films of things half as large, {told['steps']} steps of lessons at a rate",
        f"of {told['rate']:g}; their loss was {ends}.\n",
        *_claims(told["claims"]),
        "",
        *_answers(told["arms"]),
        "",
        *_groundings(told["grounding"]),
    ]


def _again(told: dict[str, Any] | None) -> list[str]:
    if told is None:
        return []
    return [
        "\n### The overview on more films\n",
        f"Added after the tables above: {told['questions']} questions on 36 further films, by `python "
        f"results/reasoner_again.py`\nat commit {told['commit']}, with the same models and the same claims.\n",
        *_claims(told["claims"]),
        "",
        *_answers(told["arms"]),
    ]


def _answers(told: dict[str, Any]) -> list[str]:
    kinds = [kind for kind in next(iter(told.values())) if kind != "all"]
    rows = [[arm, *(_p(some[kind]) for kind in ("all", *kinds))] for arm, some in told.items()]
    return _table(["arm", "all", *kinds], rows)


def _groundings(told: dict[str, Any]) -> list[str]:
    return _table(["arm", "mIoU", "IoP@0.5", "Acc@GQA"], map(_grounding, told.items()))


def _grounding(item: tuple[str, Any]) -> list[str]:
    return [item[0], *(_p(item[1][name][0]) for name in ("mIoU", "IoP@0.5", "Acc@GQA"))]


def _parsers(told: dict[str, Any]) -> list[str]:
    return _table(["parser", "Acc@GQA", "Acc@QA", "mIoU", "IoP@0.5"], map(_parser, told.items()))


def _parser(item: tuple[str, Any]) -> list[str]:
    return [item[0], *(", ".join(_p(v) for v in item[1][name]) for name in ("Acc@GQA", "Acc@QA", "mIoU", "IoP@0.5"))]


def _facts(facts: dict[str, Any]) -> list[str]:
    low, high = facts["agree_interval"]
    apart, ranks = facts["share_of_pairs_that_ground_differently"], facts["rank_correlation_of_loss_and_iou"]
    return [
        f"{facts['policies']} policies for {facts['questions']} questions; {_p(apart)} % of pairs of different",
        "policies ground differently. Of those whose IoU differs by 0.1 or more, the lower loss has the higher IoU in",
        f"{_p(facts['agree'])} % [{_p(low)}, {_p(high)}]; the rank correlation of loss and IoU is {ranks:.2f}.",
    ]


def _minutes(told: dict[str, Any]) -> int:
    return sum(told["cpu_seconds"].values()) // 60


def _p(share: float) -> str:
    return f"{100 * share:.1f}"


if __name__ == "__main__":
    (HERE / "reasoner.md").write_text(page(json.loads((HERE / "reasoner.json").read_text("utf-8"))), "utf-8")
