"""`videre star RECIPE.toml`: labelled videos in, a model that was trained by its own verified answers out."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from videre.apps.star_recipe import read
from videre.apps.training import read_recipe


@click.command("star")
@click.argument("recipe", type=click.Path(path_type=Path, dir_okay=False))
@click.option("-o", "--out", type=click.Path(path_type=Path, file_okay=False), help="Default: runs/RECIPE.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change one value: --set cycles.cycles=1.")
@click.option("--refilter", is_flag=True, help="Judge the stored answers again, as the recipe says now; ask nothing.")
@click.option("--dry-run", is_flag=True, help="Make the question table, say what would be asked, and stop.")
@click.option("--questions", is_flag=True, help="Write the question table as rows for `videre eval rows`, and stop.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(
    recipe: Path,
    out: Path | None,
    changes: Sequence[str],
    refilter: bool,
    dry_run: bool,
    questions: bool,
    as_json: bool,
) -> None:
    """Let a model explain labelled videos, keep what the labels bear out, train on it; again and again.

    OUT gets the question table, every raw answer as an evidence record, what was kept and why, and the checkpoints.
    The same command again goes on where the last one stopped.
    """
    told = read(read_recipe(recipe, changes))
    folder = out or Path("runs") / recipe.stem
    from videre.apps import star_run  # loads what help does not need

    if refilter:
        result: dict[str, Any] = star_run.refiltered(told, folder)
    elif questions:
        result = star_run.questions(told, folder)
    elif dry_run:
        result = star_run.planned(told, folder)
    else:
        result = star_run.run(told, folder, tell=lambda text: click.echo(f"videre: {text}", err=True))
    click.echo(json.dumps(result) if as_json else star_run.text(result))
