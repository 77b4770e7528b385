"""`videre train answerer RECIPE.toml`: an image or video LLM learns from mixes of pictures, videos and texts."""

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from videre.apps import naming
from videre.apps.lessons import Data, Show, Shown, Source, page_maker, style_of
from videre.apps.synth import READERS
from videre.data import long_texts, training_rows
from videre.data.long_texts import LongText
from videre.data.training_rows import TrainingRow
from videre.errors import ConfigError
from videre.jobs import begun, replace_file
from videre.train.answerer import LoRA, Schooling
from videre.train.answerer import train as school
from videre.train.recipe import known, table


@dataclass(frozen=True)
class Model:
    """`[model]`: the checkpoint to start from ("builtin", a folder or a hub id), and where it runs."""

    start: str = "builtin"
    device: str = "auto"
    dtype: str = "auto"


@dataclass(frozen=True)
class Mix:
    """`[mix]`: how many rows of all sets together (0: all of the first set, others by their shares), and the seed."""

    count: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Recipe:
    """A whole recipe."""

    model: Model
    show: Show
    data: tuple[Data, ...]
    mix: Mix
    lora: LoRA
    fit: Schooling


def train(told: dict[str, Any], out: Path) -> None:
    """Trains as a recipe tells; `out/model` is then a checkpoint for `--model`. The same call again goes on.

    `out/mix.json` says which rows were taken of which set, and how many were left out for which reason.

    Raises:
        ConfigError: an unknown key, a value out of range, or another recipe than the one that `out` was begun with.
        DataError: too few rows for the mix, or a row that does not hold.
    """
    recipe = read(told)
    begun(out, told)
    sources, dropped = mixed(recipe)
    counts = {data.name: sum(one.data == data for one in sources) for data in recipe.data}
    told_mix = {"counts": counts, "left_out": dropped, "ids": [one.row.id for one in sources]}
    replace_file(out / "mix.json", json.dumps(told_mix, indent=1) + "\n")
    show = Shown(recipe.show)

    def load() -> Any:
        return naming.model(recipe.model.start, **_where(recipe.model))

    school(load, sources, show, recipe.fit, out=out, lora=recipe.lora)


def read(told: dict[str, Any]) -> Recipe:
    """A recipe with every table and key checked.

    Raises:
        ConfigError: an unknown table, key or value; the nearest name is shown.
    """
    known(told, [each.name for each in fields(Recipe)], "the recipe")
    sets = told.get("data")
    if not isinstance(sets, list) or not sets:
        raise ConfigError("the recipe has no [[data]]; each names a set: name, and rows or texts")
    lora = dict(told.get("lora", {}))
    fit = dict(told.get("fit", {}))
    for part, key in ((lora, "targets"), (fit, "frozen")):
        if isinstance(part.get(key), str):
            part[key] = (part[key],)
    return Recipe(
        model=table(Model, told.get("model", {}), "[model]"),
        show=table(Show, told.get("show", {}), "[show]"),
        data=tuple(table(Data, one, "[[data]]") for one in sets),
        mix=table(Mix, told.get("mix", {}), "[mix]"),
        lora=table(LoRA, lora, "[lora]"),
        fit=table(Schooling, fit, "[fit]"),
    )


def mixed(recipe: Recipe) -> tuple[list[Source], dict[str, dict[str, int]]]:
    """The rows to train on, in the order of the mix, and what was left out of each set."""
    parts, dropped = dict[str, dict[str, Source]](), dict[str, dict[str, int]]()
    for data in recipe.data:
        if data.name in parts:
            raise ConfigError(f"two [[data]] are named {data.name!r}")
        found, lost = _sources(data, recipe.model)
        parts[data.name], dropped[data.name] = {one.row.id: one for one in found}, lost
    shares = {data.name: data.share for data in recipe.data}
    count = recipe.mix.count or _all_of_the_first(parts, shares)
    rows = {name: [one.row for one in part.values()] for name, part in parts.items()}
    chosen = training_rows.mix(rows, shares, count=count, seed=recipe.mix.seed)
    every = {id: one for part in parts.values() for id, one in part.items()}
    return [every[row.id] for row in chosen], dropped


def _sources(data: Data, model: Model) -> tuple[list[Source], dict[str, int]]:
    if data.rows:
        root = data.root or str(Path(data.rows).parent)
        rows = (replace(row, source=row.source or data.name) for row in training_rows.read(data.rows))
        return [Source(row, root, data=data) for row in rows], {}
    found = getattr(long_texts, READERS[data.format])(data.texts)
    kept = long_texts.short_enough(found.texts, **_limits(data, model))
    sources = [Source(_row(text, data), "", text, data) for text in kept.texts]
    return sources, dict(found.dropped + kept.dropped)


def _row(text: LongText, data: Data) -> TrainingRow:
    row = TrainingRow(text.id, text.question, text.answer, source=data.name)
    return training_rows.twin(row, text.context) if data.shown == "words" else row


def _limits(data: Data, model: Model) -> dict[str, Any]:
    """The limits of the texts as pages, also where they stay words: the control has the same rows."""
    limits: dict[str, Any] = {"question_words": data.question_words or None}
    from videre.methods.t2vid.budget import Budget
    from videre.models.builtin import FOLDER

    style, maker = style_of(data.style), page_maker(json.dumps([data.by, data.limit, data.style]))
    start = str(FOLDER) if model.start == "builtin" else model.start
    budget = Budget(start, page_px=(style.width_px, style.height_px))
    limits["tokens"] = lambda text: budget.tokens(len(maker(text)), text.question, text.answer)
    return limits | {"most_tokens": data.most_tokens or budget.context_tokens}


def _all_of_the_first(parts: dict[str, dict[str, Source]], shares: dict[str, float]) -> int:
    first = next(iter(shares))
    return round(len(parts[first]) * sum(shares.values()) / shares[first])


def _where(model: Model) -> dict[str, Any]:
    return {} if model.start == "builtin" else {"device": model.device, "dtype": model.dtype}
