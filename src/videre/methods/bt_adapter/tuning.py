"""`videre train bt-chat recipe.toml`: a chat model learns from questions about videos, through the branch and its map.

Language model and picture tower stay frozen; the branch, without its gates, and the chat model's map to words learn.
What comes out is an adapter's folder with `projector.safetensors` beside the branch, for
`-m bt-adapter:CHECKPOINT#adapter=FOLDER`.

Source: section 1.10 of the method's specification, "reserve": 3 epochs, 2e-5, warm-up 0.03, 8 videos a step, no decay.
Differs: frames are decoded at their turn, nothing is stored beforehand; there are no tokens around a video, so no row
    of the embedding table is learned.
"""

import os
import random
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from videre import compat
from videre.data import training_rows
from videre.data.videos import resolve
from videre.errors import ConfigError, DataError
from videre.jobs import begun
from videre.train.recipe import known, table

compat.need_hf()

import torch  # noqa: E402
from torch import nn  # noqa: E402

from videre.methods.bt_adapter import chat_model, store  # noqa: E402
from videre.methods.bt_adapter.adapter import Adapter  # noqa: E402
from videre.train.fit import FitConfig, fit  # noqa: E402
from videre.types import Question, Span, Video  # noqa: E402
from videre.video.open import open_video  # noqa: E402
from videre.video.part import Part  # noqa: E402
from videre.video.sample import uniform  # noqa: E402

PUBLISHED = {"lr": 2e-5, "warmup": 0.03, "weight_decay": 0.0, "accumulate": 8, "save_steps": 200}


@dataclass(frozen=True)
class DataConfig:
    """What to learn from, and how it is shown.

    Attributes:
        rows: questions with answers about videos, in any form that `data.training_rows` reads.
        videos: the folder that the videos lie in.
        frames: frames of each video, spread evenly.
        epochs: how often every row is shown, where `[fit]` names no steps.
        seed: of the order.
    """

    rows: str
    videos: str
    frames: int = 100
    epochs: float = 3.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.frames < 1 or self.epochs <= 0:
            raise ValueError(f"frames are 1 or more, epochs above 0, got {self.frames=} {self.epochs=}")


@dataclass(frozen=True)
class Recipe:
    """A recipe's tables.

    Attributes:
        base: the chat model's checkpoint.
        adapter: a folder of an adapter trained beside its tower, to begin with.
        data: see `DataConfig`.
        fit: how to train; `accumulate` is how many videos of each process a step has.
        gates: whether the gates between tower and branch learn too; in the released code they do not.
        device: as for `mllm.load`.
    """

    base: str
    adapter: str
    data: DataConfig
    fit: dict[str, Any] = field(default_factory=dict)
    gates: bool = False
    device: str = "auto"


class Tuned(nn.Module):
    """What learns of a chat model; checkpoints hold this and nothing of what is frozen."""

    def __init__(self, model: Any, *, gates: bool) -> None:
        super().__init__()
        self.branch = chat_model.branch_of(model)
        self.projector = chat_model.projector(model)
        model.network.requires_grad_(False)
        self.requires_grad_(True)
        for name, gate in self.named_parameters():
            if name.endswith("balance"):
                gate.requires_grad_(gates)


class Rows:
    """One row a batch, in an order that the seed decides anew for each epoch.

    Args:
        data: see `DataConfig`.
        count: rows to give, several epochs among them.

    Raises:
        DataError: a row has no video, or there is none.
    """

    def __init__(self, data: DataConfig, count: int) -> None:
        self.rows, self.data, self.count = training_rows.read(data.rows), data, count
        if not self.rows or not all(row.video for row in self.rows):
            raise DataError(f"{data.rows}: every row asks about a video, and there is one row at least")
        self._select = uniform(data.frames)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Any]:
        epoch, place = divmod(index, len(self.rows))
        order = list(range(len(self.rows)))
        random.Random(f"{self.data.seed}/{epoch}").shuffle(order)  # noqa: S311
        row = self.rows[order[place]]
        with open_video(resolve(self.data.videos, row.video)) as whole:
            video: Video = Part(whole, Span(*row.clip)) if row.clip else whole
            frames = video.at(self._select(video, Question(row.question)).seconds)
        return {"frames": [frames], "question": Question(row.question), "target": row.answer}


def train(told: dict[str, Any], out: Path) -> None:
    """Trains as a recipe tells and writes the folder; the same call again goes on where it stopped.

    Raises:
        ConfigError: an unknown key, a value out of range, or another recipe than the one that `out` was begun with.
        DataError: a row asks about no video.
        ModelError: chat model and adapter do not belong together.
    """
    recipe = read(told)
    begun(out, told)
    if (out / store.FACTS).exists():
        return
    rows = Rows(recipe.data, 0)
    config = _fit_config(recipe, len(rows.rows), out)
    rows.count = config.steps * config.accumulate * _processes()
    torch.manual_seed(config.seed)
    model = chat_model.load(recipe.base, recipe.adapter, device=recipe.device)
    fit(Tuned(model, gates=recipe.gates), rows, _loss_of(model), config)
    _write(model, recipe, out)


def read(told: dict[str, Any]) -> Recipe:
    """A recipe from its tables.

    Raises:
        ConfigError: an unknown key, with the nearest known one, or a value out of range.
    """
    known(told, Recipe.__dataclass_fields__, "the recipe")
    for key in ("base", "adapter"):
        if not isinstance(told.get(key), str):
            raise ConfigError(f'the recipe has no {key}: name a chat checkpoint (base) and an adapter, {key} = "..."')
    rest = {key: told[key] for key in ("gates", "device") if key in told}
    data = table(DataConfig, told.get("data", {}), "[data]")
    table(FitConfig, {"out": "", "steps": 1, **told.get("fit", {})}, "[fit]")
    return Recipe(told["base"], told["adapter"], data, told.get("fit", {}), **rest)


def _fit_config(recipe: Recipe, rows: int, out: Path) -> FitConfig:
    given = {**PUBLISHED, **recipe.fit}
    steps = max(1, round(recipe.data.epochs * rows / (given["accumulate"] * _processes())))
    return FitConfig(**{"steps": steps, "resume": True, **given, "out": str(out / "fit")})


def _loss_of(model: Any) -> Any:
    def loss(_: nn.Module, batch: dict[str, Any]) -> torch.Tensor:
        return model.loss(batch["frames"], batch["question"], batch["target"]).mean()

    return loss


def _processes() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))  # Each takes rows of its own.


def _write(model: Any, recipe: Recipe, out: Path) -> None:
    beside = store.facts(recipe.adapter)
    made = Adapter(chat_model.vision_of(model))
    made.branch = chat_model.branch_of(model)
    store.write_projector(out, chat_model.projector(model).state_dict())
    note = {"tuned_with": model.card, "from": beside["note"], "recipe": asdict(recipe)}
    store.write(out, made, base=beside["base"], note=note)
