"""What a person sees on standard error while a command works: a bar on a terminal, a line now and then elsewhere."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

import click

from videre.apps.printing import printable
from videre.record import Record

Item = TypeVar("Item")


def progress(items: Iterable[Item], total: int, *, quiet: bool = False, every: int = 20) -> Iterator[Item]:
    """The same items; a single one shows no bar."""
    if quiet or total < 2:
        yield from items
    elif sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(items, total=total, unit="item", file=sys.stderr)
    else:
        for number, item in enumerate(items, 1):
            yield item
            if number % every == 0 or number == total:
                click.echo(f"videre: {number}/{total} items", err=True)


def noted(record: Record, *, quiet: bool = False) -> None:
    """Says why an item failed, and what a person must know of its video and its answer."""
    if record.error is not None:
        click.echo(f"videre: error: {printable(str(record.error['message']))}", err=True)
    elif not quiet and record.answer is not None:
        for note in (*record.video.get("notes", ()), *record.answer.notes):
            click.echo(f"videre: note: {printable(record.id)}: {printable(str(note))}", err=True)
