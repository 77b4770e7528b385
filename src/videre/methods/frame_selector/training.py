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
from videre.methods.frame_selector.reward import Drawing, Likelihood, Rewarded
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
class Third(Stage):
    """`[stage3]`: as the others, and the frozen model that rewards; left out unless `epochs` says otherwise.

    Attributes:
        answerer: folder or hub id of an image-text model.
        frames: that it sees, drawn by their scores.
        draws: choices of frames a question.
        temperature: of the drawing.
        labels: weight of the score loss beside the rewards.
    """

    epochs: int = 0
    lr: float = 1e-6
    answerer: str = ""
    frames: int = 4
    draws: int = 8
    temperature: float = 1.0
    labels: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.drawing
        if self.epochs and not self.answerer:
            raise ValueError("epochs above 0 need answerer, the frozen model that rewards")

    @property
    def drawing(self) -> Drawing:
        """How frames are drawn."""
        return Drawing(self.frames, self.draws, self.temperature, self.labels)


@dataclass(frozen=True)
class Told:
    """A whole recipe."""

    data: Data
    model: Parts = field(default_factory=Parts)
    stage1: Stage = field(default_factory=lambda: Stage(2, 1e-3, answers=True))
    stage2: Stage = field(default_factory=lambda: Stage(5, 1e-5))
    stage3: Third = field(default_factory=Third)
    lora: LoRA = field(default_factory=LoRA)


def train(told: dict[str, Any], out: Path) -> None:
    """Trains the stages and writes the selector into `out`; the same call again goes on where the last one stopped.

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
    device = recipe.model.device or None
    made = (
        partial(store.load, recipe.model.start, device=device) if recipe.model.start else partial(_built, recipe.model)
    )
    for name in ("stage1", "stage2", "stage3"):
        stage: Stage = getattr(recipe, name)
        folder = out / name / "selector"
        if stage.epochs and not (folder / "config.json").is_file():
            selector = made()
            first_stage(selector.model) if name == "stage1" else second_stage(selector.model, recipe.lora)
            _learn(selector, rows, recipe, stage, out / name)
            merged(selector.model)
            selector.save(folder)
        if stage.epochs:
            made = partial(store.load, str(folder), device=device)
    made().save(out)


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
        stage3=table(Third, told.get("stage3", {}), "[stage3]"),
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
    fit(selector.model, lessons, _rewarded(stage, lessons) if isinstance(stage, Third) else loss, config)


def _rewarded(stage: Third, lessons: Lessons) -> Rewarded:
    """The loss of the third stage; its model answers from the very frames that the labels are about."""
    from videre.models import mllm

    model = mllm.load(stage.answerer)
    model.network.requires_grad_(False)
    reward = Likelihood(
        model, lessons.rows, lessons.find, open_video, n=lessons.selector.candidates, size_px=lessons.size_px
    )
    return Rewarded(reward, stage.drawing)
