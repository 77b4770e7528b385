"""`videre train selector RECIPE`: a recipe's tables in, a trained selector's folder out."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

from videre.data.videos import resolve
from videre.errors import ConfigError
from videre.jobs import begun
from videre.methods.frame_selector import labels, store
from videre.methods.frame_selector.lessons import Lessons
from videre.methods.frame_selector.stages import LoRA, first_stage, loss, merged, second_stage
from videre.train.fit import FitConfig, fit
from videre.train.recipe import known, table
from videre.video.open import open_video


@dataclass(frozen=True)
class Parts:
    """`[model]`: what the selector is built from, or the trained one that it goes on from (`start`)."""

    vision: str = "google/siglip-large-patch16-256"
    llm: str = "Qwen/Qwen2.5-1.5B-Instruct"
    layout: str = "query"
    n: int = 128
    grid: int = 3
    seed: int = 0
    device: str = ""
    dtype: str = "float32"
    start: str = ""


@dataclass(frozen=True)
class Data:
    """`[data]`: a run of `videre label`, the folder of its videos, the longest side of frames."""

    labels: str
    videos: str
    size_px: int = 448


@dataclass(frozen=True)
class Stage:
    """`[stage1]` and `[stage2]`: epochs over the labels (0 leaves the stage out), or a number of steps."""

    epochs: int
    lr: float
    batch: int = 128
    at_once: int = 8
    steps: int = 0
    warmup: float = 0.03
    answers: bool = False
    bf16: bool = False
    save_steps: int = 200
    log_steps: int = 10

    def __post_init__(self) -> None:
        if self.epochs < 0 or self.at_once < 1 or self.batch % self.at_once:
            raise ValueError(f"batch is a multiple of at_once, got {self.batch=} {self.at_once=} {self.epochs=}")


@dataclass(frozen=True)
class Told:
    """A whole recipe."""

    data: Data
    model: Parts = field(default_factory=Parts)
    stage1: Stage = field(default_factory=lambda: Stage(2, 1e-3, answers=True))
    stage2: Stage = field(default_factory=lambda: Stage(5, 1e-5))
    lora: LoRA = field(default_factory=LoRA)


def train(told: dict[str, Any], out: Path) -> None:
    """Trains both stages and writes the selector into `out`; the same call again goes on where the last one stopped.

    Raises:
        ConfigError: an unknown table or key, or another recipe than the one that `out` was begun with.
        DataError: no labels.
        ModelError: a part cannot be loaded.
    """
    recipe = read(told)
    begun(out, asdict(recipe))
    if (out / "config.json").is_file():
        return
    rows = list(labels.read(Path(recipe.data.labels)))
    first = out / "stage1" / "selector"
    if not (first / "config.json").is_file():
        selector = store.load(recipe.model.start) if recipe.model.start else _built(recipe.model)
        if recipe.stage1.epochs:
            first_stage(selector.model)
            _learn(selector, rows, recipe, recipe.stage1, out / "stage1")
        selector.save(first)
    selector = store.load(str(first), device=recipe.model.device or None)
    if recipe.stage2.epochs:
        second_stage(selector.model, recipe.lora)
        _learn(selector, rows, recipe, recipe.stage2, out / "stage2")
        merged(selector.model)
    selector.save(out)


def read(told: dict[str, Any]) -> Told:
    """A recipe with every table and key checked; the published settings where it says nothing.

    Raises:
        ConfigError: an unknown table, key or value; the nearest name is shown.
    """
    known(told, [f.name for f in fields(Told)], "the recipe")
    if "data" not in told:
        raise ConfigError("the recipe has no table [data]; it names labels and videos")
    return Told(
        data=table(Data, told["data"], "[data]"),
        model=table(Parts, told.get("model", {}), "[model]"),
        stage1=table(Stage, {"epochs": 2, "lr": 1e-3, "answers": True} | told.get("stage1", {}), "[stage1]"),
        stage2=table(Stage, {"epochs": 5, "lr": 1e-5} | told.get("stage2", {}), "[stage2]"),
        lora=table(LoRA, told.get("lora", {}), "[lora]"),
    )


def _built(parts: Parts) -> store.Trained:
    given = {
        f.name: getattr(parts, f.name) for f in fields(Parts) if f.name not in ("vision", "llm", "start", "device")
    }
    return store.build(parts.vision, parts.llm, device=parts.device or None, **given)


def _learn(selector: store.Trained, rows: list[Any], recipe: Told, stage: Stage, out: Path) -> None:
    find: Callable[[str], Path] = partial(resolve, recipe.data.videos)
    lessons = Lessons(
        selector, rows, find, open_video, batch=stage.at_once, epochs=stage.epochs, answers=stage.answers,
        size_px=recipe.data.size_px, seed=recipe.model.seed,
    )  # fmt: skip
    accumulate = stage.batch // stage.at_once
    steps = stage.steps or max(1, -(-len(lessons) // accumulate))
    settings = {name: getattr(stage, name) for name in ("lr", "warmup", "bf16", "save_steps", "log_steps")}
    config = FitConfig(
        str(out), steps, accumulate=accumulate, seed=recipe.model.seed, beta2=0.999, resume=True, **settings
    )
    fit(selector.model, lessons, loss, config)
