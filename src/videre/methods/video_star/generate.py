"""Answer generation and label rationalization: one evidence record a row, kept raw, over `videre.jobs`.

Source: sections 2.1 and 2.2 of the paper; official `generate_*.py`.
Differs: decoding is greedy where the official code samples at temperature 0.2, so that a resumed run equals one that
was not interrupted. Verdicts are not part of the log: another threshold filters the same answers again.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from videre.ask import ask
from videre.data.videos import resolve
from videre.errors import VideoError
from videre.jobs import Engine, Item, Outcome, PerWorker, file_key, key, rows, run
from videre.methods.video_star import prompts
from videre.methods.video_star.label import Row
from videre.record import to_row
from videre.types import JSON, Answerer, Question, Selector
from videre.video.open import open_video
from videre.video.part import Part

Stage = Literal["direct", "hinted"]


@dataclass(frozen=True)
class Show:
    """How a row's video reaches the model.

    Attributes:
        videos: the folder of the videos.
        select: which moments are shown.
        size_px: longest side of a frame; None shows it as it is.
        isolate: decode in a process of its own.
        wording: how rows are asked.
    """

    videos: Path
    select: Selector
    size_px: int | None = 768
    isolate: bool = False
    wording: prompts.Wording = prompts.PAPER


def prompt(row: Row, stage: Stage, wording: prompts.Wording = prompts.PAPER) -> str:
    """What is asked: the question, or the question with the label shown."""
    if stage == "direct":
        return prompts.answer(row.question, wording=wording)
    return prompts.rationalize(row.question, row.values, wording=wording)


def generate(
    table: Iterable[Row],
    load: Callable[[], Answerer],
    stage: Stage,
    *,
    show: Show,
    folder: Path,
    model: JSON,
    engine: Engine | None = None,
    retry_failed: bool = True,
    quiet: bool = False,
) -> Outcome:
    """Asks every row that has no answer yet; one evidence record a row in `folder`.

    Args:
        table: the rows to ask.
        load: gives the model, once in each process, when there is something to ask.
        stage: "direct" or "hinted".
        show: how the videos are shown.
        folder: of the stage.
        model: what the answers depend on: the name of the model and the fingerprint of its weights.
        engine: where the work runs; None is this process.
        retry_failed: ask rows again that failed, such as those whose video could not be read.
        quiet: no progress on stderr.

    Raises:
        ConfigError: the folder was begun with another model or other settings.
        ModelError: the model cannot be loaded, or fails at most rows.
    """
    items = [item(row, stage, show=show, model=model) for row in table]
    name = getattr(show.select, "name", None) or getattr(show.select, "__qualname__", "selector")
    manifest = {"stage": stage, "model": model, "selector": name, "size_px": show.size_px}
    work = PerWorker(lambda: _work(load(), show))
    return run(items, work, folder=folder, manifest=manifest, engine=engine, retry_failed=retry_failed, quiet=quiet)


def item(row: Row, stage: Stage, *, show: Show, model: JSON) -> Item:
    """The row as an item of work, with the key of all that its answer depends on."""
    question = Question(prompt(row, stage, show.wording))
    path = _path(row, show.videos)
    clip = [row.clip.start_seconds, row.clip.end_seconds] if row.clip else None
    known = key(video=file_key(path, cheap=True), question=question, clip=clip, model=model, size_px=show.size_px)
    return Item(known, row.id, payload=row, path=str(path), question=question)


def answers(folder: Path) -> dict[str, str | None]:
    """What the model said to each row of a stage; None where the row failed."""
    return {row["id"]: None if row.get("error") else str(row["answer"]) for row in rows(folder)}


def _work(model: Answerer, show: Show) -> Callable[[Item], dict[str, JSON]]:
    def work(todo: Item) -> dict[str, JSON]:
        row, question = todo.payload, todo.question or Question("?")
        path = resolve(show.videos, row.video)
        with open_video(path, isolate=show.isolate) as whole:
            video = Part(whole, row.clip) if row.clip else whole
            if video.duration_seconds <= 0:
                raise VideoError(f"{path}: the part {row.clip} is empty", code="empty_part")
            record = ask(video, question, model=model, select=show.select, size_px=show.size_px, id=row.id)
        return to_row(record)

    return work


def _path(row: Row, videos: Path) -> Path:
    plain = videos / row.video
    return plain if plain.is_file() else plain.with_suffix(".mp4")
