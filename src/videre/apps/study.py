"""`videre study`: what a model makes of more frames, of their order, of each other; how different instructions are."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from videre.apps import naming
from videre.apps.inputs import checked_question
from videre.apps.selector_study import command as selectors
from videre.apps.study_run import Study, device_of, numbers
from videre.errors import ConfigError, DataError

FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group()
def command() -> None:
    """Study a model: accuracy by frames and by their order, attention among frames, diversity of instructions."""


command.add_command(selectors)


def _asking(function: Callable[..., Any]) -> Callable[..., Any]:
    options = (
        click.argument("benchmark"),
        click.option("--annotations", type=click.Path(path_type=Path), help="The published file; none for the world."),
        click.option("--videos", type=FOLDER, help="Folder of the videos."),
        click.option("-m", "--model", default="builtin", show_default=True),
        click.option("--device", help="cpu, cuda, ..."),
        click.option("--limit", type=click.IntRange(1), help="Ask only the first so many questions."),
        click.option("--size-px", type=click.IntRange(16), default=768, show_default=True),
        click.option("-o", "--out", type=FOLDER, required=True),
        click.option("--seed", type=int, default=0, show_default=True),
        click.option("--json", "as_json", is_flag=True, help="One JSON object."),
        click.option("-q", "--quiet", is_flag=True),
    )
    for option in reversed(options):
        function = option(function)
    return function


@command.command("frames")
@_asking
@click.option("--counts", default="1,2,4,8,16,32,64", show_default=True, help="Numbers of frames.")
def frames(counts: str, **given: Any) -> None:
    """Accuracy by number of frames of a BENCHMARK (world, rows, video-mme, ...), and where it saturates.

    Saturation is the smallest number whose next step adds less than one point. A number that does not fit into the
    model's context ends the sweep. OUT gets a run a number, frames.json and frames.png.
    """
    from videre.methods.t2vid import plots
    from videre.methods.t2vid.curves import Curve, by_group

    wanted = numbers(counts)
    study = Study(given)
    found: dict[str, list[Any]] = {}
    done: list[int] = []
    for number in wanted:
        right = study.right(study.model, number, f"frames-{number:03d}")
        if right is None:
            click.echo(f"videre: {number} frames do not fit into the model's context: the sweep ends", err=True)
            break
        done.append(number)
        for group, share in by_group(right, study.groups, study.ids).items():
            found.setdefault(group, []).append(share)
    if not done:
        raise ConfigError(f"not even {wanted[0]} frames fit into the model's context")
    made = {group: Curve(tuple(done), tuple(shares)) for group, shares in found.items()}
    plots.curves(study.out / "frames.png", made)
    table = {
        group: {"frames": list(curve.frames), **_shares(curve.shares), "saturation": curve.saturation()}
        for group, curve in made.items()
    }
    _tell({"study": "frames", "model": study.model.name, "groups": table}, study.out / "frames.json", given["as_json"])


@command.command("order")
@_asking
@click.option("--frames", "number", type=click.IntRange(1), default=8, show_default=True)
def order(number: int, **given: Any) -> None:
    """Accuracy with frames in order, reversed, shuffled, with a single one, and with grey ones.

    OUT gets a run an order, order.json and order.png.
    """
    from videre.methods.t2vid import plots
    from videre.methods.t2vid.curves import ORDERS, Reordered, by_group

    study = Study(given)
    made = {}
    for name in ORDERS:
        model = Reordered(study.model, name, seed=given["seed"])
        right = study.right(model, number, name)
        if right is None:
            raise ConfigError(f"{number} frames do not fit into the model's context: show fewer with --frames")
        made[name] = by_group(right, study.groups, study.ids)
    plots.orders(study.out / "order.png", {name: groups["all"] for name, groups in made.items()})
    table = {group: _shares([made[name][group] for name in ORDERS]) for group in made["ordered"]}
    told = {"study": "order", "model": study.model.name, "frames": number, "orders": list(ORDERS), "groups": table}
    _tell(told, study.out / "order.json", given["as_json"])


@command.command("attention")
@click.argument("video", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("question")
@click.option("-m", "--model", default="builtin", show_default=True)
@click.option("--device", help="cpu, cuda, ...")
@click.option("--frames", "number", type=click.IntRange(1), default=8, show_default=True)
@click.option("--size-px", type=click.IntRange(16), default=768, show_default=True)
@click.option("-o", "--out", type=FOLDER, required=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def attention(
    video: Path,
    question: str,
    model: str,
    device: str | None,
    number: int,
    size_px: int,
    out: Path,
    as_json: bool,
) -> None:
    """How much frames of VIDEO look at themselves, at their neighbours, and which of them the QUESTION looks at.

    OUT gets attention.json and attention.png.
    """
    from videre.methods.t2vid import plots
    from videre.methods.t2vid.attention import looks
    from videre.video.look import look
    from videre.video.open import open_video
    from videre.video.sample import uniform

    loaded = naming.model(model, **device_of(model, device))
    if not hasattr(loaded, "network"):
        raise ConfigError(f"{model} does not run here, so its attention cannot be seen: name a checkpoint")
    asked = checked_question(question, ())
    with open_video(video, isolate=True) as opened:
        shown = look(opened, uniform(number)(opened, asked), size_px=size_px)
    found = looks(loaded, [shown], asked)
    out.mkdir(parents=True, exist_ok=True)
    plots.matrix(out / "attention.png", found.frames)
    told = {
        "study": "attention",
        "model": loaded.name,
        "seconds": [float(t) for t in shown.seconds],
        "within": found.within,
        "neighbour": found.neighbour,
        "text_entropy": found.text_entropy,
        "frames": found.frames.tolist(),
        "text": found.text.tolist(),
    }
    _tell(told, out / "attention.json", as_json)


@command.command("diversity")
@click.argument("sets", nargs=-1, required=True, type=FILE)
@click.option("--embedder", default="letters", show_default=True, help="letters, or a sentence-transformers model.")
@click.option("--take", type=click.IntRange(2), default=5000, show_default=True, help="Instructions of each set.")
@click.option("--radius", type=click.FloatRange(0, 2), default=0.1, show_default=True, help="What counts as near.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("-o", "--out", type=FOLDER, required=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def diversity(
    sets: Sequence[Path], embedder: str, take: int, radius: float, seed: int, out: Path, as_json: bool
) -> None:
    """How different the instructions of SETS (rows for trainers) are, in numbers and on a plane.

    OUT gets diversity.json and diversity.png.
    """
    from videre.methods.t2vid import diversity as measure
    from videre.methods.t2vid import plots

    embed = measure.letters if embedder == "letters" else measure.sentences(embedder)
    texts = {path.stem: _instructions(path, take, seed) for path in sets}
    if len(texts) < len(sets):
        raise ConfigError("two sets have the same file name: give one of them another")
    out.mkdir(parents=True, exist_ok=True)
    numbers = {name: asdict(measure.diversity(one, embed, radius=radius)) for name, one in texts.items()}
    plots.plane(out / "diversity.png", measure.t_sne(texts, embed, seed=seed))
    _tell({"study": "diversity", "embedder": embedder, "sets": numbers}, out / "diversity.json", as_json)


def _instructions(path: Path, take: int, seed: int) -> list[str]:
    import random

    from videre.data import training_rows

    texts = [row.question for row in training_rows.read(path)]
    if len(texts) < 2:
        raise DataError(f"{path}: diversity is of two instructions or more, there is {len(texts)}")
    return texts if len(texts) <= take else random.Random(f"{seed}/{path.stem}").sample(texts, take)  # noqa: S311


def _shares(shares: Sequence[Any]) -> dict[str, Any]:
    return {
        "right": [share.right for share in shares],
        "count": shares[0].count,
        "percent": [round(share.percent, 2) for share in shares],
        "low": [round(100 * share.interval[0], 2) for share in shares],
        "high": [round(100 * share.interval[1], 2) for share in shares],
    }


def _tell(told: dict[str, Any], path: Path, as_json: bool) -> None:
    from videre.jobs import replace_file
    from videre.methods.t2vid.page import page

    plot = path.with_suffix(".png")
    replace_file(path, json.dumps(told, indent=1) + "\n")
    replace_file(path.with_suffix(".html"), page(told, plot.read_bytes()))
    if as_json:
        click.echo(json.dumps(told))
        return
    for line in lines(told):
        click.echo(line)
    click.echo(f"wrote {path}, {plot} and {path.with_suffix('.html')}")


def lines(told: Mapping[str, Any]) -> list[str]:
    """The table of a study for a terminal: that of its page."""
    from videre.methods.t2vid.page import figures

    heads, rows = figures(told)
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in (heads, *rows)]
