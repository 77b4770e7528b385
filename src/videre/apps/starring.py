"""`videre star RECIPE.toml`: labelled videos in, a model that was trained by its own verified answers out."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import click

from videre.apps.training import read_recipe
from videre.errors import ConfigError
from videre.train.recipe import known, one_of, table

FORMATS = ("own", "kinetics", "fine_diving", "something", "star_questions", "table", "vstar")
ARMS = ("star", "unverified", "templates", "annotator")


@dataclass(frozen=True)
class Labels:
    """`[labels]`: where the labels are, and how they become questions.

    `format` is one of own, kinetics, fine_diving, something, star_questions, table for rows that have questions, or
    vstar for the published VSTaR-1M files; `questions` names a model that writes questions in place of templates;
    `limit` takes the first so many rows.
    """

    file: str
    videos: str
    format: str = "own"
    task: str = "video understanding"
    seed: int = 0
    questions: str = ""
    limit: int = 0


@dataclass(frozen=True)
class Models:
    """`[model]`: the checkpoint that every training starts from, who answers first, and what they are shown.

    `direct` and `hinted` replace the paper's prompts; see `videre.methods.video_star.prompts.Wording`.
    """

    start: str = "builtin"
    first: str = ""
    select: str = "uniform"
    frames: int = 8
    size_px: int = 768
    answer_tokens: int = 512
    at_once: int = 1
    device: str = "auto"
    isolate: bool = True
    direct: str = ""
    hinted: str = ""


@dataclass(frozen=True)
class Cycles:
    """`[cycles]`: see `videre.methods.video_star.cycle.Plan`; `arm` is star or one of the baselines.

    `template` says how the baselines tell a label, such as "{value}"; empty is a sentence. The arm annotator asks
    `annotated` of the rows (0 is all) and adds `template_share` of the rest by template.
    """

    arm: str = "star"
    cycles: int = 3
    rationalize: bool = True
    generate: bool = True
    verify: bool = True
    warm_start: bool = False
    stop_share: float = 0.01
    profile: str = "default"
    embedder: str = "letters"
    template: str = ""
    template_share: float = 0.5
    annotated: int = 0


@dataclass(frozen=True)
class Mix:
    """`[mix]`: general instruction data in LLaVA's form, added to what every cycle trains on."""

    files: tuple[str, ...] = ()
    videos: str = ""
    limit: int = 0


@dataclass(frozen=True)
class Told:
    """A whole recipe."""

    labels: Labels
    model: Models = field(default_factory=Models)
    cycles: Cycles = field(default_factory=Cycles)
    mix: Mix = field(default_factory=Mix)
    fit: dict[str, Any] = field(default_factory=dict)
    export: dict[str, Any] = field(default_factory=dict)


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


def read(told: dict[str, Any]) -> Told:
    """A recipe with every table and key checked.

    Raises:
        ConfigError: an unknown table, key or value; the nearest name is shown.
    """
    known(told, [f.name for f in fields(Told)], "the recipe")
    if "labels" not in told:
        raise ConfigError("the recipe has no table [labels]; it names file and videos")
    made = Told(
        labels=table(Labels, told["labels"], "[labels]"),
        model=table(Models, told.get("model", {}), "[model]"),
        cycles=table(Cycles, told.get("cycles", {}), "[cycles]"),
        mix=table(Mix, told.get("mix", {}), "[mix]"),
        fit=dict(told.get("fit", {})),
        export=dict(told.get("export", {})),
    )
    one_of(made.labels.format, FORMATS, "labels.format")
    one_of(made.cycles.arm, ARMS, "cycles.arm")
    one_of(made.cycles.profile, ("default", "paper", "official"), "cycles.profile")
    return made
