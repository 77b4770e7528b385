"""Tasks -> records: a model and a selector are made once, then each item is an answer or a failed row."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from videre import errors
from videre.apps import catalog
from videre.apps.inputs import Task
from videre.errors import DataError, VidereError
from videre.record import Record, error_record
from videre.types import MLLM, Question, Selector

Work = Callable[[Task], Record]


@dataclass(frozen=True)
class Settings:
    """What was set on the command line: all that the answers depend on, beside the inputs."""

    model: str
    select: str
    frames: int
    size_px: int
    seed: int
    device: str | None = None
    dtype: str | None = None
    revision: str | None = None
    trust_remote_code: bool = False


def load(settings: Settings) -> tuple[MLLM, Selector]:
    """The model and the selector that the settings name.

    Raises:
        ModelError: the model cannot be loaded.
        ConfigError: no such selector.
    """
    select = catalog.selector(settings.select, k=settings.frames)
    remote = settings.trust_remote_code or None
    loader = {"device": settings.device, "dtype": settings.dtype, "revision": settings.revision}
    return catalog.model(settings.model, **loader, trust_remote_code=remote), select


def answerer(model: MLLM, select: Selector, settings: Settings) -> Work:
    """A function from a task to its record; the video is read in a process of its own, under limits."""
    from videre.ask import ask
    from videre.video.open import open_video

    def work(task: Task) -> Record:
        with open_video(task.path, isolate=True) as video:
            return ask(
                video,
                task.question,
                model=model,
                select=select,
                size_px=settings.size_px,
                seed=settings.seed,
                id=task.id,
            )

    return work


def answered(tasks: Iterable[Task | DataError], work: Work) -> Iterator[Record]:
    """A record an item, in order; an item that fails is a record of its error, and the rest goes on.

    Raises:
        VidereError: the model is gone, so that no item can be answered.
    """
    for task in tasks:
        if isinstance(task, DataError):
            yield error_record(task, id=str(task), path="", question=Question("(row not readable)"))
            continue
        try:
            yield work(task)
        except VidereError as error:
            if error.exit_code == errors.NO_MODEL:
                raise
            yield error_record(error, id=task.id, path=task.path, question=task.question)


def exit_code(records: Iterable[Record]) -> int:
    """0 if all were answered, 4 if some failed; if all failed, their common code, or 3."""
    codes = [(record.error or {}).get("exit_code", errors.OK) for record in records]
    failed = {code for code in codes if code != errors.OK}
    if not failed:
        return errors.OK
    if errors.OK in codes:
        return errors.SOME_FAILED
    return failed.pop() if len(failed) == 1 else errors.NO_INPUT
