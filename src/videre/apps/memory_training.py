"""`videre train memory RECIPE.toml`: the memory of a MA-LMM learns from questions with answers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from videre.apps import naming, remembering
from videre.errors import ConfigError
from videre.jobs import begun
from videre.train.recipe import known, table
from videre.types import Sample

TABLES = ("model", "memory", "data", "fit")
MODEL = ("start", "official", "rows")
OWN_DATA = ("benchmark", "annotations", "options")


def train(told: dict[str, Any], out: Path) -> None:
    """Trains as a recipe tells and writes what was learned into `out`; the same call again goes on where it stopped.

    The folder is then a model by itself, `ma-lmm:OUT`: it names the checkpoint that it was trained over.

    Raises:
        ConfigError: an unknown key, a value out of range, or another recipe than the one that `out` was begun with.
    """
    from videre.methods.ma_lmm.loading import save_learned
    from videre.methods.ma_lmm.training import Batches, DataConfig, Learning, loss_of
    from videre.train.fit import FitConfig, fit

    known(told, TABLES, "the recipe")
    start = dict(told.get("model", {}))
    known(start, MODEL, "[model]")
    if "start" not in start:
        raise ConfigError('recipe [model]: name what to start from: start = "Salesforce/instructblip-vicuna-7b"')
    data = {key: value for key, value in told.get("data", {}).items() if key not in OWN_DATA}
    shown = table(DataConfig, data, "[data]")
    settings = {"resume": True, "save_steps": 200, "lr": 1e-4, "weight_decay": 0.05, "beta2": 0.999}
    config = table(FitConfig, {**settings, **told.get("fit", {}), "out": str(out / "fit")}, "[fit]")
    begun(out, told)
    if (out / "memory.json").exists():
        return
    model = begin(start, told.get("memory", {}), seed=config.seed)
    batches = Batches(model, samples(told.get("data", {})), shown, count=config.steps * config.accumulate)
    fit(Learning(model), batches, loss_of, config)
    save_learned(model, out, base=start["start"])


def begin(start: dict[str, Any], memory: dict[str, Any], *, seed: int) -> Any:
    """The model to start from, with `rows` position vectors of zero where it has none."""
    import torch

    torch.manual_seed(seed)
    official = f"official={start['official']}" if start.get("official") else ""
    model = remembering.model(f"{start['start']}#{official}")
    model.settings = remembering.settings(model.settings, remembering.checked(memory))
    rows = start.get("rows", 120)
    if model.positions is not None:
        model.positions = torch.nn.Parameter(model.positions.detach().clone())
    elif rows:
        width = model.network.config.vision_config.hidden_size
        model.positions = torch.nn.Parameter(torch.zeros(rows, width, device=model.network.device))
    return model


def samples(data: dict[str, Any]) -> list[Sample]:
    """The questions of a benchmark's annotations, each with its answer as text.

    Raises:
        ConfigError: no annotations, or no such benchmark.
    """
    if "annotations" not in data:
        raise ConfigError("recipe [data]: name the annotations, and the benchmark that they are of (default: rows)")
    entry = naming.benchmark(data.get("benchmark", "rows"))
    if entry.get("reader") is None:
        raise ConfigError("recipe [data]: the world is generated; write its rows first and take benchmark = 'rows'")
    found = entry["reader"](Path(data["annotations"]), **data.get("options", {}))
    return [replace(sample, question=replace(sample.question, options=())) for sample in found]
