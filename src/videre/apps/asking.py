"""`videre ask`: one question about many videos, or many questions from rows."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from videre.apps import budget, outputs, printing
from videre.apps.answering import Settings, answered, answerer, exit_code, load, model_options
from videre.apps.inputs import Task, rows, tasks
from videre.apps.progress import noted, progress
from videre.errors import DataError
from videre.record import Record


@click.command()
@click.argument("arguments", nargs=-1, required=True, metavar="VIDEO... QUESTION")
@click.option("-O", "--option", "options", multiple=True, help="An option of a multiple-choice question; repeat it.")
@model_options
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the log and the files; run again to resume.",
)
@click.option(
    "-f",
    "--format",
    "formats",
    default="jsonl,html",
    show_default=True,
    help="Files in --out: jsonl, html, vtt, srt, csv.",
)
@click.option("--track", type=click.IntRange(0), help="Which moving-picture track, from 0; default: the file's own.")
@click.option(
    "--at-once", type=click.IntRange(1, 256), default=8, show_default=True,
    help="With --out, a model on a server: questions under way at once.",
)  # fmt: skip
@click.option("--new-run", is_flag=True, help="Start a new folder beside --out.")
@click.option("--force", is_flag=True, help="Go on in --out although its settings differ.")
@click.option("--json", "as_json", is_flag=True, help="One evidence record a line on standard output.")
@click.option("--dry-run", is_flag=True, help="Print frames, tokens and memory; load no model.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no notes on standard error.")
def command(
    arguments: tuple[str, ...],
    options: tuple[str, ...],
    out: Path | None,
    formats: str,
    track: int | None,
    at_once: int,
    new_run: bool,
    force: bool,
    as_json: bool,
    dry_run: bool,
    quiet: bool,
    **settings: object,
) -> None:
    """Ask a question about one or more videos and see the evidence.

    VIDEO is a file or a quoted pattern. `videre ask - < rows.jsonl` reads rows {"video", "question", "options"?, "id"?}
    from standard input, one JSON object a line. Without --out nothing is written. The same command with the same --out
    asks only what has no answer yet, and again what failed.
    """
    chosen = Settings(**settings)  # type: ignore[arg-type]
    asked = list(_asked(arguments, options))
    wanted = outputs.kinds(formats)
    if dry_run:
        raise SystemExit(budget.show(asked, chosen, as_json=as_json))
    write = printing.as_json if as_json else printing.as_text
    if out is None:
        raise SystemExit(_to_stdout(asked, chosen, track=track, write=write, quiet=quiet))
    run = outputs.Run(out, wanted, track=track, at_once=at_once, new_run=new_run, force=force, quiet=quiet)
    raise SystemExit(outputs.into_folder(asked, chosen, run, write=write))


def _asked(arguments: tuple[str, ...], options: tuple[str, ...]) -> Iterator[Task | DataError]:
    if arguments == ("-",):
        if options:
            raise click.UsageError("rows on standard input bring their own options: leave -O out")
        return rows(sys.stdin.buffer)
    if len(arguments) < 2:
        raise click.UsageError("give a video and a question: videre ask clip.mp4 'what happens?'")
    *videos, question = arguments
    if Path(question).suffix and os.path.isfile(question):
        raise click.UsageError(f"{question} is a file: the question comes last, after the videos")
    return iter(tasks(videos, question, options))


def _to_stdout(
    asked: list[Task | DataError],
    settings: Settings,
    *,
    track: int | None,
    write: Callable[[Record], str],
    quiet: bool,
) -> int:
    model, select = load(settings)
    work = answerer(model, select, settings, track=track)
    done: list[Record] = []
    for record in progress(answered(asked, work), len(asked), quiet=quiet):
        click.echo(write(record))
        noted(record, quiet=quiet)
        done.append(record)
    return exit_code(done)
