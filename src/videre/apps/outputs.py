"""`-o DIR`: a resumable log of answers, and the files that are derived from it."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from videre import __version__, errors, jobs
from videre.apps import pages, printing
from videre.apps.answering import Settings, answerer, engine, exit_code, load
from videre.apps.inputs import Task
from videre.apps.progress import noted
from videre.errors import ConfigError, DataError
from videre.record import Record, dumps, from_row, to_row
from videre.types import JSON

NAMES = {"jsonl": "evidence.jsonl", "html": "report.html", "vtt": "spans.vtt", "srt": "spans.srt", "csv": "answers.csv"}


def kinds(text: str) -> list[str]:
    """The formats of `--format`, checked.

    Raises:
        ConfigError: one of them is not known.
    """
    asked = [kind.strip() for kind in text.split(",") if kind.strip()]
    for kind in asked:
        if kind not in NAMES:
            raise ConfigError(f"no format {kind!r}; there are {', '.join(NAMES)}")
    return asked


@dataclass(frozen=True)
class Run:
    """How the items of a folder are worked on, beside the settings that make the answers.

    Attributes:
        folder: of the run; with `new_run` one beside it.
        formats: the files to derive.
        track: which moving-picture track; None takes the file's own choice.
        at_once: questions under way at a server.
        new_run: start a folder beside this one.
        force: go on in it although its inputs differ.
        quiet: no progress and no notes.
    """

    folder: Path
    formats: Sequence[str]
    track: int | None = None
    at_once: int = 8
    new_run: bool = False
    force: bool = False
    quiet: bool = False


def into_folder(
    asked: Sequence[Task | DataError], settings: Settings, run: Run, *, write: Callable[[Record], str]
) -> int:
    """Answers what has no answer yet, prints every record, writes the files; returns the exit code."""
    model, select = load(settings, at_once=run.at_once)
    work = answerer(model, select, settings, track=run.track)
    given = settings.told() | ({} if run.track is None else {"track": run.track})
    inputs = {"settings": given, "model": dict(model.card)}
    items = [_item(task, inputs) for task in asked]
    folder = jobs.new_folder(run.folder) if run.new_run else run.folder
    if not run.force:
        _check_questions(folder, items)
    manifest = {"videre": __version__, **inputs}
    outcome = jobs.run(
        items,
        lambda item: to_row(_worked(item, work)),
        folder=folder,
        manifest=manifest,
        engine=engine(settings.model, run.at_once),
        retry_failed=True,
        force=run.force,
        quiet=run.quiet or len(items) < 2,
    )
    records = _in_order(items, folder)
    for record in records:
        click.echo(write(record))
        noted(record, quiet=run.quiet)
    if outcome.exit_code not in (errors.OK, errors.SOME_FAILED):
        click.echo(f"videre: {outcome.message}", err=True)
        return outcome.exit_code
    derive(records, folder, run.formats, err=write is printing.as_json)
    return exit_code(records)


def derive(records: Sequence[Record], folder: Path, formats: Sequence[str], *, err: bool) -> None:
    """Writes the files that can be made again from the records, and says where they are, on stderr or stdout."""
    for kind in formats:
        path = folder / NAMES[kind]
        if kind == "html":
            pages.write(records, path)
        else:
            jobs.replace_file(path, _text(kind, records))
        click.echo(f"wrote {path}", err=err)


def _in_order(items: Sequence[jobs.Item], folder: Path) -> list[Record]:
    """The records of these items that are there, in the order in which they were asked for."""
    places = {item.id: place for place, item in enumerate(items)}
    found = {places[row["id"]]: from_row(row) for row in jobs.rows(folder) if row["id"] in places}
    return [found[place] for place in sorted(found)]


def _item(task: Task | DataError, inputs: Mapping[str, JSON]) -> jobs.Item:
    if isinstance(task, DataError):
        return jobs.Item(jobs.key(error=str(task)), str(task).partition(":")[0], task)
    key = jobs.key(question=task.question, video=jobs.file_key(task.path), **inputs)
    return jobs.Item(key, task.id, task, task.path, task.question)


def _check_questions(folder: Path, items: Sequence[jobs.Item]) -> None:
    """Raises `ConfigError` where the folder has, under the id of an item, the answer to another question."""
    asked = {item.id: item.question.text for item in items if item.question is not None}
    with contextlib.suppress(DataError):  # no run yet, or a damaged line, which the run itself will mend
        for row in jobs.rows(folder):
            told = row.get("question") or {}
            if row["id"] in asked and told.get("text") != asked[row["id"]]:
                raise ConfigError(
                    f"{folder} has another question under {printing.printable(row['id'])}: give another folder, start "
                    "a new run (--new-run) or put this question in its place (--force)",
                    code="changed_inputs",
                )


def _worked(item: jobs.Item, work: Callable[[Task], Record]) -> Record:
    if isinstance(item.payload, DataError):
        raise item.payload
    return work(item.payload)


def _text(kind: str, records: Sequence[Record]) -> str:
    from videre import subtitles

    if kind == "jsonl":
        return "".join(f"{dumps(to_row(record))}\n" for record in records)
    return {"vtt": subtitles.webvtt, "srt": subtitles.srt, "csv": subtitles.csv_table}[kind](records)
