"""`--dry-run`: how many frames, tokens and bytes each item would take, before any model is loaded."""

import json
from collections.abc import Sequence

import click

from videre import errors
from videre.apps import naming
from videre.apps.answering import Settings
from videre.apps.catalog import MODELS
from videre.apps.inputs import Task
from videre.apps.printing import printable
from videre.errors import DataError, VideoError
from videre.types import JSON, Question, Selector


def show(tasks: Sequence[Task | DataError], settings: Settings, *, as_json: bool) -> int:
    """Prints a line an item; returns 0, or 3 where nothing could be read, or 4 where some could not."""
    select = naming.selector(settings.select, k=settings.frames, seed=settings.seed)
    failed = 0
    for task in tasks:
        try:
            if isinstance(task, DataError):
                raise task
            plan = _plan(task, settings, select)
        except (VideoError, DataError) as error:
            failed += 1
            click.echo(f"videre: error: {error}", err=True)
            continue
        click.echo(json.dumps(plan) if as_json else _line(plan))
    if failed == len(tasks):
        return errors.NO_INPUT
    return errors.SOME_FAILED if failed else errors.OK


def _plan(task: Task, settings: Settings, select: Selector) -> dict[str, JSON]:
    from videre.video.open import open_video

    with open_video(task.path, isolate=True) as video:
        frames = len(select(video, task.question).seconds)
        scale = min(1.0, settings.size_px / max(video.width_px, video.height_px))
        width_px, height_px = round(video.width_px * scale), round(video.height_px * scale)
    plan = {"id": task.id, "frames": frames, "width_px": width_px, "height_px": height_px}
    return plan | {"frames_bytes": frames * 3 * width_px * height_px} | _model_costs(settings, plan, task.question)


def _model_costs(settings: Settings, plan: dict[str, JSON], question: Question) -> dict[str, JSON]:
    if settings.model.partition(":")[0] in MODELS:
        return {"tokens": None, "note": "this kind of model tells its tokens with its answer"}
    if naming.is_server(settings.model) or naming.is_own(settings.model):
        return {"tokens": None, "note": "only the server or your own code knows its tokens"}
    from videre.models import builtin
    from videre.models.estimate import estimate

    path = str(builtin.FOLDER) if settings.model == "builtin" else settings.model
    return estimate(
        path, plan["frames"], plan["width_px"], plan["height_px"], question=question, dtype=settings.dtype or "auto"
    )


def _line(plan: dict[str, JSON]) -> str:
    size = f"{plan['frames']} frames of {plan['width_px']}x{plan['height_px']} px ({plan['frames_bytes'] / 1e6:.1f} MB)"
    known = {name: value for name, value in list(plan.items())[5:] if name != "note" and value is not None}
    rest = [f"{name.replace('_', ' ')} {_number(name, value)}" for name, value in known.items()]
    return f"{printable(plan['id'])}: {', '.join([size, *rest])}" + (f"; {plan['note']}" if "note" in plan else "")


def _number(name: str, value: JSON) -> str:
    if name.endswith("_bytes") and isinstance(value, int | float):
        return f"{value / 1e9:.2f} GB" if value > 1e8 else f"{value / 1e6:.1f} MB"
    return f"{value:,}" if isinstance(value, int) else str(value)
