"""The page of the study: `reasoner.md` out of `reasoner.json`."""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NOT_RUN = "Not run: see below."
WHY_NOT = """The answerer is the weak part: after its lessons its loss is that of guessing among the options that a
question allows, and so are most of its answers (chance is 25 %). Its losses have nothing to do with where a policy
looks, so that no gain was to be expected of reflection, and its cycles were run in `--smoke` only. For the same reason
the rows without overview, prompt and close-ups say little: what is taken away was of little use. The answerer is the
pilot's: it was trained before the other settings were fixed, and kept.
"""
SHOWS = """## What it shows and what not

Films have one thing on the stage at a time, scenes of 4 to 8 s, and questions within the reach of the rule-based
parser; all models are small and were trained for these films. So the figures tell whether the parts do what they are
built for, and nothing of real footage. There is one CLIP pair, one detector, one schooling of the parser,
{answerers} answerer and {seeds} orders of the same pairs; intervals are over films and do not hold what another
training of these would change. The negated and the tied parser have one cycle. The answerer does not learn between
cycles (`judge = "frozen"`).
"""


def page(told: dict[str, Any]) -> str:
    """The whole page as Markdown."""
    size = told["size"]
    parts = [
        "# Grounding, policies and reflection, on films\n",
        f"Made by `python results/reasoner.py` at commit {told['commit']}: {told['questions']} questions to the "
        f"answerer,\n{size['pairs']} with judged policies, {size['graded'] * 8} for every parser; "
        f"{_minutes(told)} minutes on one core.\n"
        "Claims and thresholds were written before the run, in `results/reasoner.py`; the films are in\n"
        "`results/reasoner_films.py`, the models in `results/reasoner_models.py`.\n",
        "## Claims\n",
        *_table(
            ["claim", "difference, points", "95 % interval", "wanted", "holds"], map(_claim, told["claims"].items())
        ),
        "\n## Answers, percent right\n",
        *_answers(told),
        "\n## Grounding, percent\n",
        *_table(["arm", "mIoU", "IoP@0.5", "Acc@GQA"], map(_grounding, told["grounding"].items())),
        "\n## What policies are worth before training\n",
        *(_facts(told["facts"]) if told["facts"] else [NOT_RUN]),
        "\n## Parsers\n",
        *(_parsers(told["parsers"]) if told["parsers"] else [NOT_RUN]),
        "",
        SHOWS.format(**size),
        *([] if told["parsers"] else [WHY_NOT]),
    ]
    return "\n".join(parts)


def _table(head: list[str], rows: Any) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def _claim(item: tuple[str, Any]) -> list[str]:
    name, c = item
    about = f" ({c['rule']}: {_p(c['blind'])}, ours {_p(c['ours'])})" if "rule" in c else ""
    wanted = {
        "with the preference negated Acc@GQA falls": "below 0",
        "where all pairs tie no weight moves": "0, no step",
    }
    return [
        name + about, f"{100 * c['value']:+.1f}", f"[{100 * c['low']:+.1f}, {100 * c['high']:+.1f}]",
        wanted.get(name, f"above {100 * c['threshold']:.0f}"), "yes" if c["holds"] else "**no**",
    ]  # fmt: skip


def _answers(told: dict[str, Any]) -> list[str]:
    kinds = [kind for kind in told["arms"]["grounded"] if kind != "all"]
    rows = [[arm, *(_p(some[kind]) for kind in ("all", *kinds))] for arm, some in told["arms"].items()]
    return _table(["arm", "all", *kinds], rows)


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
        f"{_p(facts['agree'])} % [{_p(low)}, {_p(high)}]; the rank correlation of loss and IoU over all is {ranks:.2f}",
        f"({facts['of_probe_and_iou']:.2f} without the overview).",
    ]


def _minutes(told: dict[str, Any]) -> int:
    return sum(told["cpu_seconds"].values()) // 60


def _p(share: float) -> str:
    return f"{100 * share:.1f}"


if __name__ == "__main__":
    (HERE / "reasoner.md").write_text(page(json.loads((HERE / "reasoner.json").read_text("utf-8"))), "utf-8")
