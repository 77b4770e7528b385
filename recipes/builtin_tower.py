"""Stages 1 and 2: the vision tower learns to name what stands where, then the connector to say it in the words' space.

Trained through answers alone the model does not bind shapes to colours; told directly, the tower learns it in minutes.
For each colour a linear reading of a frame's mean token must give its shape (or absence), its place and its size; for
each patch a reading must give the colour and the shape that cover it.
"""

from dataclasses import dataclass

import numpy as np
import torch
from builtin_model import MEAN, STD
from torch import Tensor, nn
from torch.nn import functional as F

from videre.data import world
from videre.data.world.scene import COLOURS, SHAPES, SIZES, Clip

COLOUR_NAMES, SHAPE_NAMES, SIZE_NAMES = list(COLOURS), list(SHAPES), list(SIZES)
ABSENT = len(SHAPE_NAMES)
PATCH_CENTRES = (np.stack(np.meshgrid(np.arange(8), np.arange(8)), -1).reshape(64, 2) + 0.5) / 8
"""Where each 8 px patch of a 64 px frame lies, x and y as shares of the side."""


class Tower(nn.Module):
    """The built-in model's eye with the three readings that teach it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.vision, self.connector = model.model.vision_model, model.model.connector
        width = model.config.text_config.hidden_size
        self.norm = nn.LayerNorm(width)
        self.shape = nn.Linear(width, len(COLOURS) * (ABSENT + 1))
        self.place = nn.Linear(width, len(COLOURS) * 2)
        self.size = nn.Linear(width, len(COLOURS) * 2)
        self.patch = nn.Linear(model.config.vision_config.hidden_size, len(COLOURS) + 1 + ABSENT)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """For each colour logits of shape `[B, 8, 7]`, place, logits of size `[B, 8, 2]`; of patches `[B, 64, 15]`."""
        patches = self.vision(pixel_values=pixels).last_hidden_state
        mean = self.norm(self.connector(patches).mean(1))
        views = (self.shape(mean), self.place(mean), self.size(mean))
        return *(v.unflatten(-1, (len(COLOURS), -1)) for v in views), self.patch(patches)  # type: ignore[return-value]


def loss(tower: Tower, batch: dict[str, Tensor]) -> Tensor:
    """How far the readings are from the truth, in one number."""
    shape, place, size, patch = tower(batch["pixels"])
    seen = batch["shape"] != ABSENT
    named = F.cross_entropy(shape.flatten(0, 1).float(), batch["shape"].flatten(), reduction="none").view_as(seen)
    # Half the weight on what is there: most colours are absent, and "nothing anywhere" is a trap to fall into.
    named = 0.5 * (named[seen].mean() + named[~seen].mean())
    placed = F.smooth_l1_loss(place[seen].float(), batch["place"][seen], beta=0.05)
    sized = F.cross_entropy(size[seen].float(), batch["size"][seen])
    colour_of, shape_of = patch.float().split((len(COLOURS) + 1, ABSENT), dim=-1)
    covered = batch["patch"][..., 0] != len(COLOURS)
    local = F.cross_entropy(shape_of[covered], batch["patch"][..., 1][covered])
    local = local + 0.5 * F.cross_entropy(colour_of.flatten(0, 1), batch["patch"][..., 0].flatten())
    return 2.0 * named + 2.0 * placed + 0.1 * sized + local


class Naming(nn.Module):
    """Frame tokens held to the text side's own words: where a red circle is, a token looks like "red" and "circle".

    A text side that meets such tokens finds a thing by its word at once; without this, looking up does not emerge in
    hours. Two more directions of the token's space say where the thing is, in x and y: motion is read off them.
    """

    def __init__(self, model: nn.Module, word_ids: list[int]) -> None:
        super().__init__()
        self.vision, self.connector = model.model.vision_model, model.model.connector
        words = model.get_input_embeddings().weight[word_ids].detach().clone()
        self.register_buffer("words", words)
        axes = torch.randn(2, words.shape[1], generator=torch.Generator().manual_seed(0))
        self.register_buffer("axes", axes / axes.norm(dim=1, keepdim=True))
        self.bias = nn.Parameter(torch.full((len(word_ids),), -3.0))
        # Begun anew and small: what is neither word nor place should not drown them.
        nn.init.normal_(self.connector.modality_projection.proj.weight, std=0.0025)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits `[B, N, 14]` of colours and shapes in each token, its place `[B, N, 2]`, the tokens `[B, N, D]`."""
        with torch.no_grad():
            patches = self.vision(pixel_values=pixels).last_hidden_state
        tokens = self.connector(patches).float()
        return 10.0 * tokens @ self.words.T + self.bias, tokens @ self.axes.T, tokens


def naming_loss(naming: Naming, batch: dict[str, Tensor]) -> Tensor:
    """How far each frame token is from what stands in its cell and where that is, and how much else it holds."""
    logits, places, tokens = naming(batch["pixels"])
    truth = cell_words(batch["patch"])
    named = F.binary_cross_entropy_with_logits(logits, truth)
    colours = truth[..., : len(COLOURS)]
    some = colours.sum(-1) > 0
    centre = torch.einsum("bnk,bkx->bnx", colours, batch["place"])[some] / colours.sum(-1)[some][:, None]
    placed = F.smooth_l1_loss(places[some], 4.0 * (centre - 0.5), beta=0.1)
    return named + 0.3 * placed + 0.01 * tokens.square().sum(-1).mean()


def cell_words(patch: Tensor) -> Tensor:
    """Which of the 8 colours and 6 shapes are in each cell of 2 x 2 patches, `[B, 16, 14]`."""
    colour = F.one_hot(patch[..., 0], len(COLOURS) + 1)[..., :-1]
    shape = F.one_hot(patch[..., 1], ABSENT + 1)[..., :-1]
    grid = torch.cat([colour, shape], dim=-1).unflatten(1, (4, 2, 4, 2))
    return grid.amax((2, 4)).flatten(1, 2).float()


@dataclass(frozen=True)
class Scenes:
    """Batches of single frames: one thing a frame at first, then up to five.

    Attributes:
        steps: how many batches there are.
        frames: frames a batch.
        alone: share of the batches with a single thing.
        seed: first clip seed; every batch has its own.
    """

    steps: int
    frames: int = 64
    alone: float = 0.07
    seed: int = 10_000_000

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        many = 1 if index < self.alone * self.steps else 5
        config = world.Config(things=(1, many))
        rng = np.random.default_rng([self.seed, index])
        first = self.seed + index * self.frames
        clips = [world.make(first + i, config) for i in range(self.frames // 4)]
        return batch([(c, t) for c in clips for t in np.sort(rng.uniform(0, config.seconds, 4))], rng)


def batch(moments: list[tuple[Clip, float]], rng: np.random.Generator | None) -> dict[str, Tensor]:
    """Pixels of these moments and the truth about them; with a generator, coding noise is put on the pixels."""
    pixels = np.concatenate([world.render(clip, [t], 64).pixels for clip, t in moments])
    shape = np.full((len(moments), len(COLOURS)), ABSENT)
    place, size = np.zeros((*shape.shape, 2), np.float32), np.zeros(shape.shape, np.int64)
    patch = np.full((len(moments), 64, 2), (len(COLOURS), ABSENT))
    for i, (clip, t) in enumerate(moments):
        now = np.array([t])
        for thing in (x for x in clip.things if x.shown(now)[0]):
            colour = COLOUR_NAMES.index(thing.colour)
            shape[i, colour], size[i, colour] = SHAPE_NAMES.index(thing.shape), SIZE_NAMES.index(thing.size)
            place[i, colour] = thing.centre(now)[0]
            patch[i, np.abs(PATCH_CENTRES - place[i, colour]).max(1) < thing.radius] = colour, shape[i, colour]
    truth = {
        "shape": torch.from_numpy(shape),
        "place": torch.from_numpy(place),
        "size": torch.from_numpy(size),
        "patch": torch.from_numpy(patch),
    }
    return {"pixels": torch.from_numpy(normal(pixels, rng)), **truth}


def normal(pixels: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
    """Pixels as the processor hands them over, roughened as a codec would where a generator is given."""
    values = pixels.astype(np.float32)
    if rng is not None:
        values += rng.uniform(0, 5) * rng.standard_normal(values.shape, dtype=np.float32)
        values = (values + rng.uniform(-6, 6)) * rng.uniform(0.94, 1.06)
        if rng.random() < 0.5:
            values = soften(values, rng.uniform(0, 0.25))
    return (np.clip(values, 0, 255) / 255 - MEAN) / STD


def soften(values: np.ndarray, share: float) -> np.ndarray:
    """A slight blur, as scaling down a decoded frame leaves it."""
    for axis in (-1, -2):
        values = (1 - share) * values + share / 2 * (np.roll(values, 1, axis) + np.roll(values, -1, axis))
    return values


@torch.no_grad()
def accuracy(tower: Tower, clips: int, seed: int) -> dict[str, float]:
    """On fresh frames: share of things with the right shape, of frames all right, and the mean miss of the place."""
    rng = np.random.default_rng(seed)
    right, total, whole, miss = 0.0, 0.0, 0.0, 0.0
    for start in range(0, clips, 50):
        made = [world.make(seed + start + i, world.Config(things=(1, 4))) for i in range(50)]
        truth = batch([(c, float(rng.uniform(0, 8))) for c in made], None)
        shape, place, _, _ = tower.eval()(truth["pixels"])
        hit, seen = shape.argmax(-1) == truth["shape"], truth["shape"] != ABSENT
        right, total, whole = right + float(hit[seen].sum()), total + float(seen.sum()), whole + float(hit.all(1).sum())
        miss += float((place[seen] - truth["place"][seen]).abs().sum() / 2)
    return {"shape": right / total, "frame": whole / clips, "place_miss": miss / total}
