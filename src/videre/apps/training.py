"""`videre train KIND RECIPE.toml`: road 2, one recipe a table."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from videre.apps import naming
from videre.apps.catalog import TRAINERS
from videre.errors import ConfigError


@click.command("train", epilog=f"KIND is one of {', '.join(sorted(TRAINERS))}; recipes/ has recipes to begin from.")
@click.argument("kind", type=click.Choice(sorted(TRAINERS)), metavar="KIND")
@click.argument("recipe", type=click.Path(path_type=Path, dir_okay=False))
@click.option("-o", "--out", type=click.Path(path_type=Path, file_okay=False), help="Default: runs/RECIPE.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change one value: --set fit.steps=100.")
def command(kind: str, recipe: Path, out: Path | None, changes: Sequence[str]) -> None:
    """Train what a method needs, as its recipe says.

    The same command again goes on where the last one stopped.
    """
    told = read_recipe(recipe, changes)
    folder = out or Path("runs") / recipe.stem
    naming.trainer(kind)(told, folder)
    click.echo(folder)


def read_recipe(path: Path, changes: Sequence[str] = ()) -> dict[str, Any]:
    """A recipe's table with single values changed.

    Args:
        path: a TOML file.
        changes: `key=value` or `table.key=value`; the value is TOML, or else text.

    Raises:
        ConfigError: no such file, no TOML, or a change that names nothing.
    """
    try:
        told = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such recipe; see recipes/") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    for change in changes:
        key, is_set, value = change.partition("=")
        *tables, name = key.split(".")
        place: Any = told
        for table in tables:
            place = place.get(table) if isinstance(place, dict) else None
        if not is_set or not isinstance(place, dict):
            raise ConfigError(f"--set {change!r}: not KEY=VALUE with a table of {path}")
        place[name] = _value(value)
    return told


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
