"""`videre study`: what a model makes of more frames, of their order, of each other; how different instructions are."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from videre import __version__
from videre.apps import benchmarks, naming
from videre.apps.benchmarks import Benchmark
from videre.errors import ConfigError, DataError
from videre.types import Answerer, Sample

FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group()
def command() -> None:
    """Study a model: accuracy by frames and by their order, attention among frames, diversity of instructions."""


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

    numbers = _numbers(counts)
    study = _Study(given)
    found: dict[str, list[Any]] = {}
    done: list[int] = []
    for number in numbers:
        right = study.right(study.model, number, f"frames-{number:03d}")
        if right is None:
            click.echo(f"videre: {number} frames do not fit into the model's context: the sweep ends", err=True)
            break
        done.append(number)
        for group, share in by_group(right, study.groups, study.ids).items():
            found.setdefault(group, []).append(share)
    if not done:
        raise ConfigError(f"not even {numbers[0]} frames fit into the model's context")
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

    study = _Study(given)
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
    from videre.types import Question
    from videre.video.look import look
    from videre.video.open import open_video
    from videre.video.sample import uniform

    loaded = naming.model(model, **_device(model, device))
    if not hasattr(loaded, "network"):
        raise ConfigError(f"{model} does not run here, so its attention cannot be seen: name a checkpoint")
    asked = Question(question)
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


class _Study:
    """Questions with options, a model, and runs of it that go on where they were stopped."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.given, self.out = given, given["out"]
        self.benchmark: Benchmark = benchmarks.load(given["benchmark"], given["annotations"], {})
        self.root: Path = given["videos"] or self.out / "videos"
        if self.benchmark.generated:
            benchmarks.write_clips(self.benchmark.samples[: given["limit"]], self.root)
        samples = [sample for sample in self.benchmark.samples if sample.question.options and sample.answer is not None]
        self.samples: list[Sample] = samples[: given["limit"]]
        if not self.samples:
            raise DataError(f"{given['benchmark']} has no question with options and an answer")
        self.ids = [sample.id for sample in self.samples]
        self.groups = {s.id: self.benchmark.groups.get(s.id) or s.kind for s in self.samples}
        self.model: Answerer = naming.model(given["model"], **_device(given["model"], given["device"]))
        self.out.mkdir(parents=True, exist_ok=True)

    def right(self, model: Answerer, number: int, folder: str) -> dict[str, bool] | None:
        """Whether each answer is right, a failure being wrong; None where the frames do not fit into the context."""
        from videre import evaluate
        from videre.ask import system
        from videre.data.videos import resolve
        from videre.video.sample import uniform

        def place(sample: Sample) -> Path:
            return resolve(self.root, sample.video)

        told = {"videre": __version__, "model": dict(model.card), "frames": number, "size_px": self.given["size_px"]}
        answers = system(model, uniform(number), size_px=self.given["size_px"], seed=self.given["seed"])
        with evaluate.Answering(answers, place) as work:
            done = evaluate.run(
                self.samples, work, folder=self.out / folder, manifest=told, videos=place, retry_failed=True,
                quiet=self.given["quiet"],
            )  # fmt: skip
        if done.outcome.exit_code in (6, 130, 143):
            raise SystemExit(done.outcome.exit_code)
        codes = {(record.error or {}).get("code") for record in done.records.values()}
        if codes == {"too_long"}:
            return None
        pairs = zip(self.samples, done.chosen(), strict=True)
        return {sample.id: option is not None and option == sample.option for sample, option in pairs}


def _numbers(text: str) -> list[int]:
    try:
        numbers = sorted({int(part) for part in text.split(",")})
    except ValueError as error:
        raise ConfigError(f"--counts is numbers separated by commas, got {text!r}") from error
    if not numbers or numbers[0] < 1:
        raise ConfigError(f"--counts is numbers of 1 or more, got {text!r}")
    return numbers


def _device(model: str, device: str | None) -> dict[str, Any]:
    return {} if model == "builtin" else {"device": device}


def _instructions(path: Path, take: int, seed: int) -> list[str]:
    import random

    from videre.data import training_rows

    texts = [row.question for row in training_rows.read(path)]
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

    replace_file(path, json.dumps(told, indent=1) + "\n")
    if as_json:
        click.echo(json.dumps(told))
        return
    for name, table in (told.get("groups") or told.get("sets") or {"": _short(told)}).items():
        click.echo(f"{name or told['study']}: " + ", ".join(f"{key} {value}" for key, value in table.items()))
    click.echo(f"wrote {path} and {path.with_suffix('.png')}")


def _short(told: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, 3) for key, value in told.items() if isinstance(value, float)}
