"""`videre train adapter recipe.toml`: the branch learns from videos with captions."""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8

from videre import compat
from videre.errors import ConfigError, DataError, VideoError
from videre.jobs import begun

compat.need_hf()

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from videre.data.videos import resolve  # noqa: E402
from videre.methods.bt_adapter import captions, store  # noqa: E402
from videre.methods.bt_adapter.adapter import Adapter  # noqa: E402
from videre.methods.bt_adapter.branch import BranchConfig  # noqa: E402
from videre.methods.bt_adapter.encoder import VideoEncoder, frames_at  # noqa: E402
from videre.methods.bt_adapter.losses import Pretraining, Weights, losses  # noqa: E402
from videre.methods.bt_adapter.mask import Layout, kept_tokens  # noqa: E402
from videre.models import clip  # noqa: E402
from videre.train.fit import FitConfig, fit  # noqa: E402
from videre.train.recipe import known, table  # noqa: E402
from videre.types import Video  # noqa: E402
from videre.video.open import open_video  # noqa: E402

RATES = {"branch.temporal": 100.0, "branch": 10.0, "align": 10.0, "balance": 100.0}
"""Factors on the learning rate; of several that fit, the longest counts, so `branch.temporal` before `balance`."""


@dataclass(frozen=True)
class DataConfig:
    """What to learn from, and how it is shown.

    Attributes:
        captions: a file that `captions.read` knows.
        videos: the folder that its videos lie in.
        frames: frames of each video: one random moment of each of so many equal parts.
        batch: videos a step.
        crop: smallest and largest share of a frame's area that is shown, the same place in all frames of a video.
        seed: of shuffling, moments, crops, masks and the choice among several captions.
        bad_videos: "stop" at a video that cannot be read, or "skip" it and make the batch smaller.
    """

    captions: str
    videos: str
    frames: int = 8
    batch: int = 16
    crop: tuple[float, float] = (1.0, 1.0)
    seed: int = 0
    bad_videos: Literal["stop", "skip"] = "stop"

    def __post_init__(self) -> None:
        if self.frames < 1 or self.batch < 2:
            raise ValueError(f"a video has 1 frame, a batch 2 videos at least, got {self.frames=} {self.batch=}")
        if not 0.0 < self.crop[0] <= self.crop[1] <= 1.0:
            raise ValueError(f"crop is two shares in (0, 1], the smaller first, got {self.crop}")
        if self.bad_videos not in ("stop", "skip"):
            raise ValueError(f"bad_videos is stop or skip, got {self.bad_videos!r}")


@dataclass(frozen=True)
class MaskConfig:
    """Which tokens the branch does not see while training, see `mask.kept_tokens`."""

    ratio: float = 0.7
    layout: Layout = "tube"


@dataclass(frozen=True)
class Recipe:
    """A recipe's tables."""

    base: str
    data: DataConfig
    fit: FitConfig
    branch: BranchConfig = field(default_factory=BranchConfig)
    mask: MaskConfig = field(default_factory=MaskConfig)
    losses: Weights = field(default_factory=Weights)


def train(told: dict[str, Any], out: Path) -> None:
    """Trains as a recipe tells and writes the adapter into `out`; the same call again goes on where it stopped.

    Raises:
        ConfigError: an unknown key, a value out of range, or another recipe than the one that `out` was begun with.
    """
    recipe = read(told, out)
    begun(out, asdict(recipe))
    if (out / store.FACTS).exists():
        return
    pair = clip.load(recipe.base)
    torch.manual_seed(recipe.fit.seed)
    model = Pretraining(Adapter(pair.network, recipe.branch))
    learned(model, CaptionBatches(pair, recipe), recipe)
    store.write(out, model.adapter, base=pair.card, note={"recipe": asdict(recipe)})


def learned(model: Pretraining, batches: Any, recipe: Recipe) -> nn.Module:
    """The model, trained on ready batches `{"pixels", "tokens", "kept"}`."""
    return fit(model, batches, loss_of(recipe.losses, recipe.mask.layout), recipe.fit)


def loss_of(weights: Weights, layout: Layout = "tube") -> Callable[[nn.Module, dict[str, Any]], Tensor]:
    """What `fit` minimises; texts go through the frozen text tower without gradients."""

    def loss(model: Any, batch: dict[str, Any]) -> Tensor:
        with torch.no_grad():
            texts = model.adapter.network.get_text_features(**batch["tokens"]).pooler_output
        found = losses(model, batch["pixels"], texts, kept=batch.get("kept"), layout=layout, weights=weights)
        return torch.stack(list(found.values())).sum()

    return loss


def read(told: dict[str, Any], out: Path) -> Recipe:
    """A recipe from its tables; `[fit]` may leave out `rates`, which are then the published ones.

    Raises:
        ConfigError: an unknown key, with the nearest known one, or a value out of range.
    """
    known(told, [each.name for each in fields(Recipe)], "the recipe")
    if not isinstance(told.get("base"), str):
        raise ConfigError('recipe: name the frozen checkpoint first: base = "openai/clip-vit-large-patch14"')
    settings = {"rates": RATES, "resume": True, "save_steps": 200, **told.get("fit", {}), "out": str(out / "fit")}
    return Recipe(
        base=told["base"],
        data=table(DataConfig, told.get("data", {}), "[data]"),
        fit=table(FitConfig, settings, "[fit]"),
        branch=table(BranchConfig, told.get("branch", {}), "[branch]"),
        mask=table(MaskConfig, told.get("mask", {}), "[mask]"),
        losses=table(Weights, told.get("losses", {}), "[losses]"),
    )


class CaptionBatches:
    """Batches by number: each epoch is a shuffle of all videos, and a number always gives the same batch.

    Args:
        pair: prepares pictures and texts.
        recipe: what is shown, and how.
    """

    def __init__(self, pair: clip.ClipEncoder, recipe: Recipe) -> None:
        self.encoder = VideoEncoder(pair, Adapter(pair.network), name=pair.name)
        self.recipe = recipe
        self.items = captions.read(recipe.data.captions)
        if len(self.items) < recipe.data.batch:
            raise ConfigError(f"{recipe.data.captions} has {len(self.items)} videos, a batch wants {recipe.data.batch}")
        self.patches = self.encoder.adapter.tower.patches

    def __len__(self) -> int:
        processes = int(os.environ.get("WORLD_SIZE", "1"))  # Each takes batches of its own.
        return self.recipe.fit.steps * self.recipe.fit.accumulate * processes

    def __getitem__(self, index: int) -> dict[str, Any]:
        data, rng = self.recipe.data, np.random.default_rng([self.recipe.data.seed, index])
        shown = [each for item in self._taken(index) if (each := self._shown(item, rng)) is not None]
        if len(shown) < 2:
            raise DataError(f"batch {index}: fewer than two of its videos can be read: mend {data.videos}")
        texts = [text for _, text in shown]
        pixels = torch.cat([self.encoder.prepared(clip_pixels[None]) for clip_pixels, _ in shown])
        tokens = {name: value.cpu() for name, value in self.encoder.encoder.tokens(texts).items()}
        return {"pixels": pixels.cpu(), "tokens": tokens, "kept": self._kept(len(shown), rng)}

    def _taken(self, index: int) -> Sequence[captions.Caption]:
        size, seed = self.recipe.data.batch, self.recipe.data.seed
        each = len(self.items) // size
        order = np.random.default_rng([seed, 1 << 32, index // each]).permutation(len(self.items))
        start = (index % each) * size
        return [self.items[i] for i in order[start : start + size]]

    def _shown(self, item: captions.Caption, rng: np.random.Generator) -> tuple[np.ndarray, str] | None:
        text = item.texts[int(rng.integers(len(item.texts)))]
        draws = rng.random(self.recipe.data.frames), rng.random(4)
        try:
            with open_video(resolve(self.recipe.data.videos, item.video)) as video:
                return cropped(segments(video, draws[0]), draws[1], self.recipe.data.crop), text
        except (VideoError, DataError) as error:
            if self.recipe.data.bad_videos == "stop":
                raise
            print(f"videre: left out: {error}", flush=True)
            return None

    def _kept(self, batch: int, rng: np.random.Generator) -> Tensor | None:
        mask = self.recipe.mask
        if mask.ratio == 0:
            return None
        draw = torch.Generator().manual_seed(int(rng.integers(1 << 62)))
        return kept_tokens(batch, patches=self.patches, frames=self.recipe.data.frames, ratio=mask.ratio,
                           layout=mask.layout, generator=draw)  # fmt: skip


def segments(video: Video, draws: np.ndarray) -> UInt8[np.ndarray, "T 3 H W"]:
    """One frame of each of as many equal parts as there are draws in [0, 1)."""
    moments = (np.arange(len(draws)) + draws) * video.duration_seconds / len(draws)
    return frames_at(video, moments.tolist()).pixels


def cropped(
    pixels: UInt8[np.ndarray, "T 3 H W"], draws: np.ndarray, share: tuple[float, float]
) -> UInt8[np.ndarray, "T 3 h w"]:
    """One rectangle of all frames: an area in `share`, sides apart by up to 4 : 3; the draws are four in [0, 1)."""
    if share == (1.0, 1.0):
        return pixels
    height, width = pixels.shape[2:]
    area = share[0] + draws[0] * (share[1] - share[0])
    ratio = (4 / 3) ** (draws[1] - 0.5)
    h, w = (max(1, min(side, round(side * each))) for side, each in
            ((height, (area / ratio) ** 0.5), (width, (area * ratio) ** 0.5)))  # fmt: skip
    top, left = int(draws[2] * (height - h + 1)), int(draws[3] * (width - w + 1))
    return pixels[:, :, top : top + h, left : left + w]
