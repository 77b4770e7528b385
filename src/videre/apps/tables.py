"""A finished run as a table: scores with their intervals, chance, constant and blind baselines, what failed."""

from typing import TYPE_CHECKING

import click

from videre.types import JSON

if TYPE_CHECKING:
    from videre.evaluate import Run


def choice(seen: "Run", blind: "Run | None", *, n_defined: int) -> dict[str, JSON]:
    """Accuracy overall and by kind, each beside chance, the best constant letter and the blind run."""
    from videre import evaluate
    from videre.metrics import choice as metric

    found = evaluate.accuracy(seen)
    unseen = evaluate.accuracy(blind) if blind else None
    asked = [sample for sample in seen.samples if sample.option is not None]
    letter, constant = metric.best_constant([sample.option for sample in asked if sample.option is not None])
    rows = {"all": found.overall, **found.kinds}
    dark = {"all": unseen.overall, **unseen.kinds} if unseen else {}
    return {
        "n_defined": n_defined,
        "n_scored": found.n_scored,
        "n_unparsed": found.n_unparsed,
        "n_failed": seen.outcome.failed,
        "macro": found.macro,
        "constant": {"letter": letter, "accuracy": constant.value},
        "kinds": {
            name: {
                "accuracy": share.value,
                "interval": list(share.interval),
                "count": share.count,
                "chance": metric.chance([len(s.question.options) for s in asked if name in ("all", s.kind)]),
                "blind": dark[name].value if name in dark else None,
            }
            for name, share in rows.items()
        },
    }


def text(table: dict[str, JSON], name: str) -> str:
    """The table for a person."""
    lines = [f"{click.style(name, bold=True)}: {table['n_scored']} scored / {table['n_defined']} defined"]
    lines.append(f"  {'kind':12s} {'n':>5s} {'accuracy':>9s}  {'95 % interval':14s} {'chance':>7s} {'blind':>7s}")
    for kind, row in table["kinds"].items():
        low, high = row["interval"]
        blind = "-" if row["blind"] is None else f"{row['blind']:.3f}"
        interval = f"[{low:.3f}, {high:.3f}]"
        lines.append(
            f"  {kind:12s} {row['count']:5d} {row['accuracy']:9.3f}  {interval:14s} {row['chance']:7.3f} {blind:>7s}"
        )
    constant = table["constant"]
    lines.append(f"  always {constant['letter']}: {constant['accuracy']:.3f}; mean over kinds: {table['macro']:.3f}")
    lines.append(f"  replies that name no option: {table['n_unparsed']}; failed items: {table['n_failed']}")
    return "\n".join(lines)
