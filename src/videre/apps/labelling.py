"""`videre label BENCHMARK`: pseudo labels for the frame selector, over any dataset that has a reader."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from videre.errors import OK, SOME_FAILED, ConfigError, DataError
from videre.types import Sample

FILE = click.Path(path_type=Path)
FOLDER = click.Path(path_type=Path, file_okay=False)
EXTRAS = ("grounds", "folders", "answers", "bounds", "task", "part")


@click.command("label")
@click.argument("benchmark")
@click.option("--annotations", type=FILE, help="The published file; docs/data.md says which.")
@click.option("--videos", type=FOLDER, help="Folder of the videos.")
@click.option("-o", "--out", type=FOLDER, required=True, help="Run folder; run again to resume.")
@click.option("--spatial", default="", help="Model that judges each frame alone; empty leaves these labels out.")
@click.option("--captions", default="", help="Model that describes each frame; empty leaves temporal labels out.")
@click.option("--writer", default="", help="Text model that lists frames from captions; default: --captions.")
@click.option("--reasoned", is_flag=True, help="Let the spatial model explain before its verdict, as the paper does.")
@click.option(
    "-n", "--candidates", type=click.IntRange(1, 4096), default=128, show_default=True, help="Frames a video."
)
@click.option("--batch", type=click.IntRange(1), default=16, show_default=True, help="Frames judged at once.")
@click.option(
    "--question-first", is_flag=True, help="Put the question before the frame: read once for all; scores differ."
)
@click.option("--size-px", type=click.IntRange(16), default=448, show_default=True, help="Longest side of a frame.")
@click.option("--device", help="cpu, cuda, ...; default: a GPU where there is one.")
@click.option("--dedupe", is_flag=True, help="rows: keep the first of several rows with one id.")
@click.option("--limit", type=click.IntRange(1), help="Label only the first so many questions.")
@click.option("--retry-failed", is_flag=True, help="Label the questions that failed again.")
@click.option("--new-run", is_flag=True, help="Start a new folder beside --out.")
@click.option("--force", is_flag=True, help="Go on in --out although its settings differ.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on standard error.")
@click.option("--grounds", type=FILE, hidden=True)
@click.option("--folders", type=FILE, hidden=True)
@click.option("--answers", type=FILE, hidden=True)
@click.option("--bounds", type=FOLDER, hidden=True)
@click.option("--task", hidden=True)
@click.option("--part", hidden=True)
def command(benchmark: str, annotations: Path | None, videos: Path | None, out: Path, **given: Any) -> None:
    """Say for every question of BENCHMARK how much each frame of its video helps, as models see it.

    The labels train a frame selector: `videre train selector recipe.toml`. BENCHMARK is a name of `videre eval`, such
    as rows for JSON lines of your own; its further files are named by the same options.
    """
    from videre import jobs
    from videre.apps import benchmarks
    from videre.methods.frame_selector import labels
    from videre.video.open import open_video

    extras = {name: given.pop(name) for name in EXTRAS}
    found, bad = _rows(annotations, given) if benchmark == "rows" and annotations else (None, [])
    found = found or benchmarks.load(benchmark, annotations, extras)
    samples = sorted(found.samples[: given["limit"] or None], key=lambda sample: sample.video)
    labeller = _labeller(given)
    folder = jobs.new_folder(out) if given["new_run"] else out
    settings = {name: given[name] for name in ("retry_failed", "force", "quiet")}
    outcome = labels.run(
        samples, lambda: labeller, folder, card=labeller.card, find=_find(found, videos, samples), total=len(samples),
        open_video=partial(open_video, isolate=True), **settings,
    )  # fmt: skip
    unread = sum(row.get("parse_ok") is False for row in jobs.rows(folder)) if outcome.done else 0
    told = [outcome.message, *([f"{unread} replies list no frame"] if unread else [])]
    for line in [*told, *(str(error) for error in bad)]:
        click.echo(f"videre: {line}", err=True)
    click.echo(folder)
    raise SystemExit(outcome.exit_code or (SOME_FAILED if bad else OK))


def _rows(annotations: Path, given: dict[str, Any]) -> tuple[Any, list[DataError]]:
    """Rows of one's own that hold, and an error for each other one.

    Raises:
        DataError: none holds, or an id comes twice without --dedupe.
    """
    from videre.apps.benchmarks import Benchmark
    from videre.data import rows

    samples, bad = rows.split(annotations, dedupe=given["dedupe"])
    if not samples:
        raise bad[0] if bad else DataError(f"{annotations} holds no row")
    return Benchmark("rows", samples), bad


def _find(found: Any, videos: Path | None, samples: list[Sample]) -> Callable[[Sample], Path]:
    """Where the video of a sample lies; videos of the generated world are written first."""
    from videre.apps import benchmarks
    from videre.data.videos import resolve

    if videos is None and not found.generated:
        raise ConfigError(f"{found.name} needs --videos, the folder of its videos")
    root = videos or Path("runs") / "world-clips"
    if found.generated:
        benchmarks.write_clips(samples, root)
    return lambda sample: resolve(root, sample.video)


def _labeller(given: dict[str, Any]) -> Any:
    from videre.apps import naming
    from videre.methods.frame_selector.labels import Labeller
    from videre.methods.frame_selector.scorers import Truth
    from videre.methods.frame_selector.temporal import Temporal

    if not given["spatial"] and not given["captions"]:
        raise ConfigError("name a model that makes labels: --spatial MODEL, --captions MODEL, or both")
    loaded: dict[str, Any] = {}

    def model(name: str) -> Any:
        if name not in loaded:
            loaded[name] = naming.model(name, device=given["device"])
        return loaded[name]

    spatial = temporal = None
    if name := given["spatial"]:
        letters = naming.is_server(name)
        spatial = Truth(model(name), reasoned=given["reasoned"], letters=letters, batch=given["batch"],
                        question_first=given["question_first"])  # fmt: skip
    if name := given["captions"]:
        temporal = Temporal(model(name), naming.writer(given["writer"]) if given["writer"] else None)
    return Labeller(spatial, temporal, n=given["candidates"], size_px=given["size_px"])
