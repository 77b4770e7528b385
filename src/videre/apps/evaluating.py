"""`videre eval`: a model behind a selector over a benchmark, with everything that a number needs beside it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from videre.apps import comparing, showing
from videre.apps.answering import Settings, model_options
from videre.apps.catalog import BENCHMARKS
from videre.apps.plan import Plan

FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)


class _Eval(click.Group):
    """`videre eval NAME` runs the benchmark of that name; only `diff` is a command of its own."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        return super().resolve_command(ctx, args if args[0] in self.commands else ["run", *args])


@click.group(cls=_Eval, epilog=f"Benchmarks: {', '.join(BENCHMARKS)}.")
def command() -> None:
    """Evaluate a model: `videre eval BENCHMARK ...` (options: `videre eval run --help`), or compare two runs."""


_OPTIONS = (
    click.option("--annotations", type=click.Path(path_type=Path), help="The published file; docs/data.md says which."),
    click.option("--videos", type=FOLDER, help="Folder of the videos."),
    click.option("--grounds", type=FILE, help="nextgqa: gsub_val.json or gsub_test.json."),
    click.option("--folders", type=FILE, help="nextqa, nextgqa: map_vid_vidorID.json."),
    click.option("--answers", type=FILE, help="activitynet-qa, egoschema: the file of the answers."),
    click.option("--bounds", type=FOLDER, help="mvbench: the folder json/, for start and end."),
    click.option("--task", help="tempcompass, tgif-qa: the task, where the file's name does not say it."),
    click.option("--part", help="video-chatgpt: generic, temporal or consistency; star: sub."),
    click.option("--whole", is_flag=True, default=None, help="star: the whole video, not the part asked about."),
    click.option("--verbs", type=FILE, help="epic-kitchens: EPIC_100_verb_classes.csv, for more words of a verb."),
    click.option("--nouns", type=FILE, help="epic-kitchens: EPIC_100_noun_classes.csv, for more words of a thing."),
    click.option("--dedupe", is_flag=True, default=None, help="rows: keep the first of several rows with one id."),
    click.option("--limit", type=click.IntRange(1), help="Ask only the first so many questions."),
    click.option("-o", "--out", type=FOLDER, help="Run folder; run again to resume. [default: under runs/]"),
    click.option(
        "--blind/--no-blind", default=True, show_default=True, help="Ask again with grey frames, as a baseline."
    ),
    click.option(
        "--at-once",
        type=click.IntRange(1, 128),  # each holds a decoder and a connection: five files of the usual 1024
        default=8,
        show_default=True,
        help="A model on a server: questions under way at once.",
    ),
    click.option("--judge", help="A model that grades open answers and reads unclear replies; named like --model."),
    click.option("--judge-prompt", type=FILE, help="A text file in place of the judge's prompt."),
    click.option("--allow-partial", is_flag=True, help="Print a score although videos are missing."),
    click.option("--retry-failed", is_flag=True, help="Ask the questions that failed again."),
    click.option("--new-run", is_flag=True, help="Start a new folder beside --out."),
    click.option("--force", is_flag=True, help="Go on in --out although its settings differ."),
    click.option("--json", "as_json", is_flag=True, help="One JSON object."),
    click.option("-q", "--quiet", is_flag=True, help="No progress on standard error."),
)


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@command.command("run", short_help="Evaluate on a benchmark.")
@click.argument("benchmark")
@_options
@model_options
def run(benchmark: str, as_json: bool, **given: Any) -> None:
    """Evaluate on BENCHMARK: world or world-gqa (generated here), rows (your own JSON lines), or a published one.

    Prints scores with 95 % intervals beside chance, the best constant letter and the model's own answers to grey
    frames. Exits with 4 where questions failed or videos are missing.
    """
    names = Settings.__dataclass_fields__
    settings = Settings(**{name: given.pop(name) for name in names})
    plan = Plan.of(benchmark, settings, **given)
    table = plan.run()
    click.echo(json.dumps(table) if as_json else showing.evaluation(table))
    raise SystemExit(table["exit_code"])


@command.command("diff", short_help="Say what differs between two runs.")
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def diff(first: Path, second: Path, as_json: bool) -> None:
    """Say what differs between two runs: settings, frames, prompts, models, versions, answers, scores."""
    found = comparing.compared(first, second)
    click.echo(json.dumps(found) if as_json else comparing.text(found))
