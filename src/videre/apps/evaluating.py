"""`videre eval`: a model behind a selector over a benchmark, with everything a number needs beside it."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from videre import __version__, errors
from videre.apps import naming, tables
from videre.apps.answering import Settings, Work, answerer, load, model_options
from videre.apps.inputs import Task
from videre.errors import ConfigError, DataError
from videre.record import Record
from videre.types import Sample

WORLD_CLIPS = 60


class _Eval(click.Group):
    """`videre eval NAME` runs the benchmark of that name; only `diff` is a command of its own."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        return super().resolve_command(ctx, args if args[0] in self.commands else ["run", *args])


@click.group(cls=_Eval)
def command() -> None:
    """Evaluate a model: `videre eval BENCHMARK ...` (see `videre eval run --help`), or compare two runs."""


@command.command("run")
@click.argument("benchmark")
@click.option("--annotations", type=click.Path(path_type=Path), help="The published annotation file.")
@click.option("--videos", type=click.Path(path_type=Path, file_okay=False), help="Folder of the videos.")
@click.option("--limit", type=click.IntRange(1), help="Only the first so many questions.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Run folder; run again to resume.",
)
@click.option("--blind/--no-blind", default=True, help="Ask the model again with grey frames, as a baseline.")
@click.option("--allow-partial", is_flag=True, help="Print a score although videos are missing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@model_options
def run(
    benchmark: str,
    annotations: Path | None,
    videos: Path | None,
    limit: int | None,
    out: Path,
    blind: bool,
    allow_partial: bool,
    as_json: bool,
    **settings: object,
) -> None:
    """Evaluate on BENCHMARK: world (generated here), rows (your own JSON lines), or a published one by name."""
    from videre import evaluate
    from videre.data.videos import present, resolve

    chosen = Settings(**settings)  # type: ignore[arg-type]
    samples, root = _samples(benchmark, annotations, videos, out)
    samples = samples[:limit]
    here, missing = present(samples, root)
    if missing and not allow_partial:
        click.echo(f"videre: {len(here)} present / {len(samples)} defined: no score without --allow-partial", err=True)
    model, select = load(chosen)
    manifest = {"videre": __version__, "benchmark": benchmark, "settings": asdict(chosen), "model": dict(model.card)}
    runs = {}
    for name in ("seen", "blind") if blind else ("seen",):
        runs[name] = evaluate.run(
            here,
            _work(answerer(model, select, chosen, blind=name == "blind"), root),
            folder=out if name == "seen" else out / name,
            manifest={**manifest, "frames_shown": name},
            videos=lambda sample: resolve(root, sample.video),
        )
        if runs[name].outcome.exit_code not in (errors.OK, errors.SOME_FAILED):
            raise SystemExit(runs[name].outcome.exit_code)
    if missing and not allow_partial:
        raise SystemExit(errors.SOME_FAILED)
    table = tables.choice(runs["seen"], runs.get("blind"), n_defined=len(samples))
    click.echo(json.dumps(table) if as_json else tables.text(table, benchmark))
    raise SystemExit(errors.SOME_FAILED if missing else runs["seen"].outcome.exit_code)


@command.command("diff")
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def diff(first: Path, second: Path, as_json: bool) -> None:
    """Say what differs between two runs: frames, prompts, models, versions, answers."""
    from videre import evaluate

    a, b = evaluate.records(first), evaluate.records(second)
    found = evaluate.difference(a, b)
    if as_json:
        click.echo(json.dumps({"questions": len(a.keys() & b.keys()), "differ": found}))
        return
    click.echo(f"{len(a.keys() & b.keys())} questions in both runs")
    for name, count in found.items():
        click.echo(f"  {name.replace('_', ' '):18s} differ on {count}")
    if not found:
        click.echo("  nothing differs")


def _work(answer: Work, root: Path) -> Callable[[Sample], Record]:
    from videre.data.videos import resolve

    return lambda sample: answer(Task(sample.id, str(resolve(root, sample.video)), sample.question))


def _samples(benchmark: str, annotations: Path | None, videos: Path | None, out: Path) -> tuple[Sequence[Sample], Path]:
    if benchmark == "world":
        return _world(out / "videos")
    reader = naming.benchmark(benchmark)
    if annotations is None or videos is None:
        raise ConfigError(f"{benchmark} needs --annotations FILE and --videos DIR")
    samples = reader(annotations)
    if not any(sample.option is not None for sample in samples):
        raise DataError(f"{annotations}: no multiple-choice question with a known answer, so nothing can be scored")
    return samples, videos


def _world(folder: Path) -> tuple[Sequence[Sample], Path]:
    """Fresh clips, of seeds far from those that the built-in model was trained on; written once."""
    from videre.data import world

    folder.mkdir(parents=True, exist_ok=True)
    clips = [world.make(world.HELD_OUT_SEED + i) for i in range(WORLD_CLIPS)]
    for clip in clips:
        if not (folder / world.video_name(clip)).exists():
            world.write(clip, folder / world.video_name(clip))
    return [s for clip in clips for s in world.questions(clip) if s.option is not None], folder
