"""Tasks -> records: a model and a selector are made once, then each item is an answer or a failed row."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import click

from videre import errors
from videre.apps import naming
from videre.apps.catalog import MODELS, SELECTORS
from videre.apps.inputs import Task
from videre.errors import DataError, VidereError
from videre.record import Record, error_record
from videre.types import JSON, Answerer, Question, Selector

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

    def told(self) -> dict[str, JSON]:
        """What manifests and run cards say of them: no login of a server is among it."""
        return {name: naming.told(value) if isinstance(value, str) else value for name, value in asdict(self).items()}


DTYPES = ("auto", "float32", "bfloat16", "float16")
_OPTIONS = (
    click.option(
        "-m",
        "--model",
        default="builtin",
        show_default=True,
        help="builtin, a hub id, a folder, http://HOST/v1#NAME, or FILE.py:FUNCTION; a method's model as "
        f"METHOD:FOLDER ({', '.join(sorted(MODELS))}).",
    ),
    click.option(
        "-s",
        "--select",
        default="uniform",
        show_default=True,
        help=f"NAME:key=value,... ({', '.join(sorted(SELECTORS))}), a trained selector's folder, or FILE.py:FUNCTION.",
    ),
    click.option(
        "-k", "--frames", type=click.IntRange(1, 36_000), default=8, show_default=True, help="Frames to show."
    ),
    click.option(
        "--size-px",
        type=click.IntRange(16),
        default=768,
        show_default=True,
        help="Scale larger frames down to this longer side.",
    ),
    click.option("--seed", type=int, default=0, show_default=True, help="For selectors that draw."),
    click.option("--device", help="cpu, cuda, cuda:1, ...; default: a GPU where there is one."),
    click.option("--dtype", type=click.Choice(DTYPES), help="Default: the checkpoint's own."),
    click.option("--revision", help="Commit of a hub model."),
    click.option("--trust-remote-code", is_flag=True, help="Run code from the model's repository; needs --revision."),
)


def model_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that make `Settings`, for every command that runs a model."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def load(settings: Settings, *, at_once: int = 8) -> tuple[Answerer, Selector]:
    """The model, asked so many questions at once where it is on a server, and the selector that the settings name.

    Raises:
        ModelError: the model cannot be loaded.
        ConfigError: no such selector.
    """
    select = naming.selector(settings.select, k=settings.frames, seed=settings.seed)
    remote = settings.trust_remote_code or None
    loader = {"device": settings.device, "dtype": settings.dtype, "revision": settings.revision}
    return naming.model(settings.model, at_once=at_once, **loader, trust_remote_code=remote), select


def answerer(model: Answerer, select: Selector, settings: Settings, *, track: int | None = None) -> Work:
    """A function from a task to its record; the video is read in a process of its own, under limits.

    Args:
        model: who answers.
        select: which moments are shown.
        settings: size of the frames and seed.
        track: which moving-picture track; None takes the file's own choice.
    """
    from videre.ask import ask
    from videre.video.open import open_video

    def work(task: Task) -> Record:
        with open_video(task.path, isolate=True, track=track) as video:
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


def engine(model: str, at_once: int) -> Any:
    """Threads for a model on a server; None, this process, for one that runs here."""
    from videre import jobs

    return jobs.Threads(at_once) if naming.is_server(model) and at_once > 1 else None


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
