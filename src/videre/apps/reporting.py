"""`videre report`: evidence records in, one HTML page out."""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from videre.apps import pages
from videre.errors import NO_INPUT, DataError
from videre.record import Record, from_row


@click.command()
@click.argument("files", nargs=-1, required=True)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("report.html"),
    show_default=True,
    help="The page to write.",
)
@click.option("--title", help="Title of the page.")
@click.option("--embed-video", is_flag=True, help="Put the videos into the page, so that it can be sent to others.")
def command(files: tuple[str, ...], out: Path, title: str | None, embed_video: bool) -> None:
    """Turn evidence records into one HTML page that opens offline.

    FILES hold one record a line, as `videre ask --json` prints them; `-` is standard input.
    """
    records = [record for name in files for record in _records(name)]
    if not records:
        raise DataError(f"no records in {', '.join(files)}: is the command before it done?", exit_code=NO_INPUT)
    click.echo(pages.write(records, out, title=title, embed_video=embed_video))


def _records(name: str) -> Iterator[Record]:
    if name == "-":
        yield from _read(sys.stdin, "standard input")
        return
    try:
        with open(name, encoding="utf-8-sig", errors="surrogateescape") as lines:
            yield from _read(lines, name)
    except OSError as error:
        raise DataError(
            f"{name}: {error.strerror}; expected records of `videre ask --json`", exit_code=NO_INPUT
        ) from error


def _read(lines: Iterable[str], name: str) -> Iterator[Record]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            wanted = "expected a line that `videre ask --json` wrote"
            raise DataError(f"{name}, line {number}: not JSON; {wanted}") from error
        try:
            yield from_row(row)
        except DataError as error:
            raise DataError(f"{name}, line {number}: {error}") from error
