"""The page of the study: `reasoner.md` out of `reasoner.json`."""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FIRST = """## The settings before these

The films were first drawn with things half as large (radius 0.055 of the side), so that shapes needed the close-up,
and the answerer had 900 lessons in steps of 12. Its loss stayed where guessing is, and so did its answers. On 120
questions: grounded 32.5 %, equal frames 23.3 %, without close-ups 25.0 %, raw question 26.7 %, blind 20.0 % (chance
25 %); mIoU of the policies 57.5 %, of the raw question 23.6 %. On 500 questions 99.5 % of 303 pairs of policies ground
differently, but the lower loss had the higher IoU in 54.1 % [48.0, 59.8] of pairs, and losses and IoU had a rank
correlation of 0.00: such losses cannot teach a parser, and no reflection was run on them. The things were then made as
large as the built-in model knows them, and the lessons 1000 in steps of 8; what is measured above is of other films
and another seed of the answerer.
"""
SHOWS = """## What it shows and what not

Films have one thing on the stage at a time, scenes of 4 to 8 s, and questions within the reach of the rule-based
parser; all models are small and were trained for these films. So the figures tell whether the parts do what they are
built for, and nothing of real footage. There is one CLIP pair, one detector, one schooling of the parser,
{answerers} answerer and {seeds} orders of the same pairs; intervals are over films and do not hold what another
training of these would change. The negated and the tied parser have one cycle. The answerer does not learn between cycles
(`judge = "frozen"`).
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
        *_facts(told["facts"]),
        "\n## Parsers\n",
        *_table(["parser", "Acc@GQA", "Acc@QA", "mIoU", "IoP@0.5"], map(_parser, told["parsers"].items())),
        "",
        SHOWS.format(**size),
        FIRST,
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
