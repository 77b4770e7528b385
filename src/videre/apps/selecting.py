"""`videre select VIDEO QUESTION`: the moments that a question needs, with their scores, without asking a model."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from videre.apps import pages, printing
from videre.record import Record, video_facts
from videre.types import Answer, Evidence, Question, Selector, Step, Usage, Video

TIMES_SIZE_PX = 32
"""Longest side of frames of which only the times are wanted."""


@click.command("select")
@click.argument("video")
@click.argument("question")
@click.option(
    "-s", "--select", "selectors", multiple=True, default=("uniform",), show_default=True,
    help="NAME:key=value,..., a trained selector's folder, or FILE.py:FUNCTION; several are shown side by side.",
)  # fmt: skip
@click.option("-k", "--frames", type=click.IntRange(1, 10_000), default=8, show_default=True, help="Frames to choose.")
@click.option("--track", type=click.IntRange(0), help="Which moving-picture track, from 0; default: the file's own.")
@click.option("--sheet", type=click.Path(path_type=Path, dir_okay=False), help="Picture of the chosen frames.")
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="HTML page, selectors side by side.")
@click.option("--json", "as_json", is_flag=True, help="One evidence record a selector on standard output.")
def command(
    video: str,
    question: str,
    selectors: Sequence[str],
    frames: int,
    track: int | None,
    sheet: Path | None,
    report: Path | None,
    as_json: bool,
) -> None:
    """Choose the frames that a question needs, and show their times and scores.

    \b
    videre select clip.mp4 "who opens the door?" -k 8 -s uniform -s aks:clip=openai/clip-vit-base-patch32
    """
    from videre.apps import naming
    from videre.apps.inputs import checked_question
    from videre.video.open import open_video

    _check_picture(sheet)
    asked = checked_question(question, ())
    chosen = {text: naming.selector(text, k=frames) for text in selectors}
    with open_video(video, isolate=True, track=track) as opened:
        records = [_record(opened, asked, text, select) for text, select in chosen.items()]
        if sheet is not None:
            _sheet(opened, records, sheet)
    if report is not None:
        pages.write(records, report)
    aside = max(
        (step.inputs.get("damaged_files_set_aside", 0) for r in records for step in r.evidence.steps), default=0
    )
    if aside:
        click.echo(f"videre: {aside} damaged files of the cache were set aside and made again", err=True)
    for record in records:
        click.echo(printing.as_json(record) if as_json else "\n".join(_lines(record)))


def _record(video: Video, question: Question, text: str, select: Selector) -> Record:
    """What a selector chose, with the times of the frames that are shown at the moments that it named."""
    from videre.ask import shown_evidence
    from videre.video.look import look

    started = time.perf_counter()
    evidence = select(video, question)
    spent_ms = round((time.perf_counter() - started) * 1e3, 1)
    if evidence.seconds:
        evidence = shown_evidence(evidence, look(video, evidence, size_px=TIMES_SIZE_PX))
    steps = evidence.steps or (Step("select", {"selector": text}, list(evidence.seconds), spent_ms),)
    told = Evidence(evidence.seconds, evidence.scores, evidence.spans, evidence.boxes, steps, evidence.scored)
    count = f"{len(evidence.seconds)} frames by {text}"
    usage = Usage(len(evidence.seconds), milliseconds=spent_ms)
    answer = Answer(count, evidence=told, usage=usage, run={"selector": text, "model": {"id": text}})
    return Record(f"{Path(video.path).name} {text}", video_facts(video), question, answer)


def _lines(record: Record) -> list[str]:
    answer: Any = record.answer
    evidence = answer.evidence
    scores = evidence.scores or (None,) * len(evidence.seconds)
    known = f", {len(evidence.scored.seconds)} candidates scored" if evidence.scored else ""
    head = (
        f"{click.style(printing.printable(answer.text), bold=True)}  ({answer.usage.milliseconds / 1e3:.2f} s{known})"
    )
    rows = [
        f"  {printing.clock(seconds)}" + ("" if score is None else f"  {score:.4f}")
        for seconds, score in zip(evidence.seconds, scores, strict=True)
    ]
    return [head, *rows]


def _check_picture(path: Path | None) -> None:
    """Raises a usage error for a file whose ending is of no kind of picture, before anything is looked at."""
    from PIL import Image

    if path is not None and path.suffix.lower() not in Image.registered_extensions():
        raise click.UsageError(f"--sheet {path} is no picture: end its name with .png or .jpg")


def _sheet(video: Video, records: Sequence[Record], path: Path) -> None:
    """The chosen frames, a band of rows for each selector, in the order of the command."""
    from PIL import Image

    from videre.video.draw import contact_sheet
    from videre.video.look import look

    bands = [contact_sheet(look(video, record.evidence, size_px=320)) for record in records]
    sheet = Image.new("RGB", (max(band.width for band in bands), sum(band.height for band in bands)), "#202428")
    top = 0
    for band in bands:
        sheet.paste(band, (0, top))
        top += band.height
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
