"""`videre train parser RECIPE`: the answerer learns on what policies lead to, the parser on what it makes of them.

One cycle is a block of questions: policies are proposed, the answerer learns on one policy a question, the frozen
answerer judges all policies, pairs are made, the parser learns from them. Each part is written down when it is done, so
that the same call goes on where a killed one stopped.

Source: MSR-ViR algorithm 1. Differs: by default a question is judged by an answerer that did not learn on it
(`judge = "crossfit"`), since the losses on questions just learnt are near zero and their differences noise.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from videre import jobs
from videre.data import rows as own_rows
from videre.errors import DataError
from videre.methods.msr_vir.cycle import State, Work, folds, saved
from videre.methods.msr_vir.recipe import Recipe, read_recipe
from videre.models import text
from videre.types import Sample


def train(told: dict[str, Any], out: Path) -> None:
    """Trains as the recipe tells; the parser that came out lies in `out/parser`, the answerer where `done.json` says.

    Raises:
        ConfigError: an unknown table or key, or another recipe than the one that `out` was begun with.
        DataError: no rows, or rows without answers.
        ModelError: a part cannot be loaded.
    """
    recipe = read_recipe(told)
    jobs.begun(out, asdict(recipe))
    if (out / "parser" / "config.json").is_file():
        return
    samples = [s for s in own_rows.read(recipe.data.rows) if s.answer is not None]
    if len(samples) < 2:
        raise DataError(f"{recipe.data.rows}: two questions with answers are needed, there are {len(samples)}")
    state = State(recipe.models.parser, (recipe.models.answerer,) * len(folds(recipe.cycle)))
    for number in range(recipe.cycle.cycles):
        state = one_cycle(recipe, block(samples, number, recipe.cycle.questions), state, out / f"cycle_{number}")
    parser = text.load(state.parser, device=recipe.models.device)
    saved(parser, out / "parser")
    jobs.replace_file(out / "done.json", json.dumps(asdict(state), indent=1))


def block(samples: Sequence[Sample], number: int, size: int) -> list[Sample]:
    """The questions of a cycle: the next ones, round and round, each once."""
    size = min(size, len(samples))
    return [samples[(number * size + i) % len(samples)] for i in range(size)]


def one_cycle(recipe: Recipe, samples: Sequence[Sample], state: State, out: Path) -> State:
    """The state after a cycle; what `out` holds already is not done again."""
    done = out / "done.json"
    if done.is_file():
        told = json.loads(done.read_text("utf-8"))
        return State(told["parser"], tuple(told["answerers"]))
    work = Work(recipe, out)
    offered = work.proposals(samples, state)
    after = work.schooled(samples, offered, state)
    rows = work.judgements(samples, offered, after)
    parser = work.taught(samples, rows, state)
    told = {"parser": parser, "answerers": after}
    jobs.replace_file(done, json.dumps(told, indent=1))
    return State(parser, after)
