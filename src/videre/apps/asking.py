"""`videre ask`: one question about many videos, or many questions from rows."""

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
@click.option("--new-run", is_flag=True, help="Start --out afresh where its settings differ.")
@click.option("--json", "as_json", is_flag=True, help="One evidence record a line on standard output.")
@click.option("--dry-run", is_flag=True, help="Print frames, tokens and memory; load no model.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no notes on standard error.")
def command(
    arguments: tuple[str, ...],
    options: tuple[str, ...],
    out: Path | None,
    formats: str,
    new_run: bool,
    as_json: bool,
    dry_run: bool,
    quiet: bool,
    **settings: object,
) -> None:
    """Ask a question about one or more videos and see the evidence.

    VIDEO is a file or a quoted pattern. `videre ask -` reads rows {"video", "question", "options"?, "id"?} from
    standard input, one JSON object a line. Without --out nothing is written.
    """
    chosen = Settings(**settings)  # type: ignore[arg-type]
    asked = list(_asked(arguments, options))
    wanted = outputs.kinds(formats)
    if dry_run:
        raise SystemExit(budget.show(asked, chosen, as_json=as_json))
    write = printing.as_json if as_json else printing.as_text
    if out is not None:
        raise SystemExit(
            outputs.into_folder(asked, chosen, out, formats=wanted, new_run=new_run, write=write, quiet=quiet)
        )
    raise SystemExit(_to_stdout(asked, chosen, write=write, quiet=quiet))


def _asked(arguments: tuple[str, ...], options: tuple[str, ...]) -> Iterator[Task | DataError]:
    if arguments == ("-",):
        return rows(sys.stdin)
    if len(arguments) < 2:
        raise click.UsageError("give a video and a question: videre ask clip.mp4 'what happens?'")
    return iter(tasks(arguments[:-1], arguments[-1], options))


def _to_stdout(
    asked: list[Task | DataError], settings: Settings, *, write: Callable[[Record], str], quiet: bool
) -> int:
    model, select = load(settings)
    done: list[Record] = []
    for record in progress(answered(asked, answerer(model, select, settings)), len(asked), quiet=quiet):
        click.echo(write(record))
        noted(record, quiet=quiet)
        done.append(record)
    return exit_code(done)
