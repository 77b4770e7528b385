"""`videre world`: videos of the generated world, with their truth."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from videre.apps.progress import progress


@click.group(invoke_without_command=True)
@click.option("-n", "--count", type=click.IntRange(1), default=1, show_default=True, help="How many videos.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the first; the next has seed + 1."
)
@click.option("--seconds", type=click.FloatRange(1.0, 3600.0), help="Length of each video.")
@click.option("--things", type=click.IntRange(1, 8), help="How many things are shown in each.")
@click.option("-o", "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("world"), show_default=True)
@click.option("-q", "--quiet", is_flag=True, help="No progress on standard error.")
@click.pass_context
def command(
    ctx: click.Context, count: int, seed: int, seconds: float | None, things: int | None, out: Path, quiet: bool
) -> None:
    """Write videos of the generated world, with their truth and questions.

    OUT gets an H.264 file and a contact sheet a video, and samples.jsonl: questions with answers, spans and boxes.
    The same seed gives the same bytes.
    """
    if ctx.invoked_subcommand is not None:
        return
    from videre.data import world

    given: dict[str, Any] = {"seconds": seconds, "things": things and (things, things)}
    config = world.Config(**{name: value for name, value in given.items() if value is not None})
    out.mkdir(parents=True, exist_ok=True)
    clips = (world.make(number, config) for number in range(seed, seed + count))
    with (out / "samples.jsonl").open("w", encoding="utf-8") as samples:
        for clip in progress(clips, count, quiet=quiet):
            path = out / world.video_name(clip)
            world.write(clip, path)
            world.contact_sheet(clip).save(path.with_suffix(".png"))
            samples.writelines(json.dumps(asdict(sample)) + "\n" for sample in world.questions(clip))
            click.echo(path)


@command.command("sample")
@click.option("--question", is_flag=True, help="Print the question instead of the path.")
def sample(question: bool) -> None:
    """Print the path of the sample video that is part of the package."""
    from videre.data import world

    click.echo(world.SAMPLE_QUESTION if question else world.SAMPLE)


@command.command("stories")
@click.option("-n", "--count", type=click.IntRange(1), default=1, show_default=True, help="How many videos.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the first.")
@click.option("--seconds", type=click.FloatRange(1.0, 86400.0), help="Length of each, up to a day.")
@click.option("--events", type=click.IntRange(1, 8), help="Events with a cause in each.")
@click.option("--distractors", type=click.IntRange(0), help="Stretches in which a thing only rests.")
@click.option("--act-seconds", type=click.FloatRange(1.0), help="Length of an event; short is a needle.")
@click.option("--fps", type=click.IntRange(1, 60), help="Frames a second.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("stories"), show_default=True
)
@click.option("-q", "--quiet", is_flag=True, help="No progress on standard error.")
def stories(count: int, seed: int, out: Path, quiet: bool, **given: Any) -> None:
    """Write videos in which events have causes, with questions and labels in the files of published benchmarks.

    OUT gets an H.264 file and a contact sheet a story, samples.jsonl, and the annotation files of NExT-QA, NExT-GQA,
    STAR, MSR-VTT, Breakfast, COIN, Kinetics and EPIC-KITCHENS for them. The same seed gives the same bytes.
    """
    from videre.data import world
    from videre.data.world.exports import export, own_row

    try:
        config = world.StoryConfig(**{name: value for name, value in given.items() if value is not None})
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    told = [world.tell(number, config) for number in range(seed, seed + count)]
    export(told, out)
    with (out / "samples.jsonl").open("w", encoding="utf-8") as samples:
        for story in progress(told, count, quiet=quiet):
            path = world.write(story, out / world.story_name(story))
            world.story_sheet(story).save(path.with_suffix(".png"))
            click.echo(path)
            samples.writelines(json.dumps(own_row(sample)) + "\n" for sample in world.story_questions(story))
