"""`videre study selectors`: answers by how frames were chosen, at equal numbers of frames, and what choosing costs."""

import json
import re
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from videre import __version__
from videre.apps import benchmarks, naming
from videre.apps.plan import EXTRAS
from videre.apps.study_run import device_of, numbers
from videre.errors import ConfigError, DataError
from videre.types import JSON, Answerer, Sample

FILE = click.Path(path_type=Path)
FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command("selectors")
@click.argument("benchmark")
@click.option("--annotations", type=FILE, help="The published file; none for the world.")
@click.option("--videos", type=FOLDER, help="Folder of the videos.")
@click.option("-m", "--model", "models", multiple=True, default=("builtin",), show_default=True, help="Several may be.")
@click.option(
    "-s", "--select", "selectors", multiple=True, default=("uniform",), show_default=True,
    help="Several; the first is what the others are compared with.",
)  # fmt: skip
@click.option("--counts", default="8", show_default=True, help="Numbers of frames, such as 4,8,16,32.")
@click.option("--device", help="cpu, cuda, ...")
@click.option("--limit", type=click.IntRange(1), help="Ask only the first so many questions.")
@click.option("--size-px", type=click.IntRange(16), default=768, show_default=True)
@click.option("-o", "--out", type=FOLDER, required=True, help="A run each; run again to resume.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("-q", "--quiet", is_flag=True)
@click.option("--grounds", type=FILE, hidden=True)
@click.option("--folders", type=FILE, hidden=True)
@click.option("--answers", type=FILE, hidden=True)
@click.option("--bounds", type=FOLDER, hidden=True)
@click.option("--task", hidden=True)
@click.option("--part", hidden=True)
def command(benchmark: str, models: Sequence[str], selectors: Sequence[str], counts: str, **given: Any) -> None:
    """Compare selectors on BENCHMARK: right answers and the time that choosing and answering take.

    \b
    videre study selectors nextqa --annotations test.csv --videos DIR --counts 4,8 -o study -m Qwen/Qwen2-VL-7B-Instruct
        -s uniform -s top-k:clip=openai/clip-vit-large-patch14-336 -s runs/selector

    The further files of a benchmark are named by the same options as with `videre eval`. A model `option:MODEL`
    answers as the paper has it: its reply is begun with "Option", and the likeliest letter counts.
    """
    table = list(_rows(benchmark, models, selectors, numbers(counts), given))
    told = {"study": "selectors", "benchmark": benchmark, "rows": table}
    from videre.jobs import replace_file

    replace_file(given["out"] / "selectors.json", json.dumps(told, indent=1) + "\n")
    click.echo(json.dumps(told) if given["as_json"] else shown(table))


def _rows(
    benchmark: str, models: Sequence[str], selectors: Sequence[str], counts: Sequence[int], given: dict[str, Any]
) -> Iterator[dict[str, JSON]]:
    """A row for each model, number of frames and selector."""
    found = benchmarks.load(benchmark, given["annotations"], {name: given.get(name) for name in EXTRAS})
    samples = [sample for sample in found.samples if sample.answer is not None or sample.option is not None]
    samples = samples[: given["limit"]]
    if not samples:
        raise DataError(f"{benchmark} has no question with an answer")
    root = given["videos"] or given["out"] / "videos"
    if found.generated:
        benchmarks.write_clips(samples, root)
    elif given["videos"] is None:
        raise ConfigError(f"{benchmark} needs --videos, the folder of its videos")
    for name in models:
        model = naming.model(name, **device_of(name, given["device"]))
        for count in counts:
            first: list[bool] = []
            for text in selectors:
                right, cost = _asked(model, text, count, samples, root, found.match, given)
                first = first or right
                yield {"model": name, "frames": count, "select": text, **_shares(right, first), **cost}


def _asked(
    model: Answerer, text: str, count: int, samples: list[Sample], root: Path, match: str, given: dict[str, Any]
) -> tuple[list[bool], dict[str, JSON]]:
    """Whether each answer is right, a failure being wrong, and what the run cost; its records stay in a folder."""
    from videre import evaluate
    from videre.ask import system
    from videre.data.videos import resolve
    from videre.metrics.text import MATCHES

    select = naming.selector(text, k=count)
    told = {"videre": __version__, "model": dict(model.card), "select": text, "frames": count}
    folder = given["out"] / slug(model.name) / f"{slug(text)}-{count:03d}"

    def place(sample: Sample) -> Path:
        return resolve(root, sample.video)

    answers = system(model, select, size_px=given["size_px"], seed=given["seed"])
    with evaluate.Answering(answers, place) as work:
        done = evaluate.run(
            samples, work, folder=folder, manifest={**told, "size_px": given["size_px"]}, videos=place,
            retry_failed=True, quiet=given["quiet"],
        )  # fmt: skip
    if done.outcome.exit_code in (6, 130, 143):
        raise SystemExit(done.outcome.exit_code)
    said = zip(samples, done.chosen(), done.replies(), strict=True)
    right = [_right(sample, option, reply, MATCHES[match]) for sample, option, reply in said]
    return right, {**costs(done.records.values()), "failed": len(samples) - len(done.answered)}


def _right(sample: Sample, option: int | None, reply: str | None, match: Any) -> bool:
    if sample.question.options:
        return option is not None and option == sample.option
    return reply is not None and bool(match(reply, sample.answer))


def costs(records: Any) -> dict[str, JSON]:
    """Medians of milliseconds a question: choosing (its decoding and scoring included), looking, answering.

    Scores that came out of a cache cost nothing now, so that these questions are left out of choosing.
    """
    spent: dict[str, list[float]] = {"choose_ms": [], "look_ms": [], "answer_ms": []}
    for record in records:
        if record.answer is None:
            continue
        steps = {step.name: step for step in record.evidence.steps}
        if not any((step.inputs or {}).get("cached") for step in steps.values()):
            rest = [step.milliseconds for name, step in steps.items() if name not in ("look", "answer")]
            spent["choose_ms"].append(sum(rest))
        for name in ("look", "answer"):
            if name in steps:
                spent[f"{name}_ms"].append(steps[name].milliseconds)
    return {name: round(statistics.median(times), 2) if times else None for name, times in spent.items()}


def _shares(right: list[bool], first: list[bool]) -> dict[str, JSON]:
    from videre.metrics.interval import Share, paired

    share, gain = Share(sum(right), len(right)), paired(right, first)
    low, high = share.interval
    return {
        "right": sum(right), "count": len(right), "percent": round(share.percent, 2),
        "interval": [round(100 * low, 2), round(100 * high, 2)],
        "gain": round(100 * gain.mean, 2),
        "gain_interval": None if right is first else [round(100 * gain.low, 2), round(100 * gain.high, 2)],
    }  # fmt: skip


def shown(table: Sequence[dict[str, Any]]) -> str:
    """The table for a person."""
    lines = [f"{'right':>6}  {'95 % interval':<15} {'gain':>6} {'choose ms':>10} {'answer ms':>10}"]
    before: tuple[str, int] | None = None
    for row in table:
        if (row["model"], row["frames"]) != before:
            before = (row["model"], row["frames"])
            lines.append(f"{row['model']}, {row['frames']} frames, {row['count']} questions")
        low, high = row["interval"]
        choose = "-" if row["choose_ms"] is None else f"{row['choose_ms']:.1f}"
        answer = "-" if row["answer_ms"] is None else f"{row['answer_ms']:.1f}"
        span = f"[{low:.1f}, {high:.1f}]"
        lines.append(
            f"{row['percent']:6.1f}  {span:<15} {row['gain']:+6.1f} {choose:>10} {answer:>10}  {row['select']}"
            + (f", {row['failed']} failed" if row["failed"] else "")
        )
    return "\n".join(lines)


def slug(text: str) -> str:
    """A name of a folder for a model or selector, told apart from others by a hash where letters were lost.

    >>> slug("uniform")
    'uniform'
    """
    from videre.jobs import key

    plain = re.sub(r"[^A-Za-z0-9.-]+", "-", text).strip("-.")[-60:]
    return plain if plain == text else f"{plain}-{key(text=text)[:8]}"
