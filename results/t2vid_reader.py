"""Teaches the built-in model to read the world's names on pages, and not to forget what it sees on frames.

Each token of a page is held to look like the words that are printed where it looks, as tokens of frames look like the
words for what they show (stage 2 of `recipes/builtin.py`); tokens of frames are held to stay as they are. Only the eye
and the connector learn. What is read is the 8 colours, 6 shapes, 4 directions and "still", in the package's font.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from videre import compat

compat.need_hf()

import builtin_tower as tower  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from t2vid_shown import PAUSES, laid, sentence  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from videre.data.world.scene import COLOURS, DIRECTIONS, SHAPES  # noqa: E402
from videre.methods.t2vid.face import Face  # noqa: E402
from videre.methods.t2vid.layout import Page  # noqa: E402
from videre.methods.t2vid.render import pixels  # noqa: E402
from videre.train.fit import FitConfig, fit  # noqa: E402

WORDS = [*COLOURS, *SHAPES, *DIRECTIONS, "still"]
CELL_PX, SIDE = 16, 4
PAUSED = 0.08
"""Share of pages that name nothing."""
LEAST_PX = (5, 4)
"""A cell shows a word where so many of its pixels, across and down, lie in the word's box."""


class Reader(nn.Module):
    """The eye and the connector of a model, and the words that tokens of pages are to look like."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        words, core = model.processor.tokenizer, model.network.model
        ids = [words.convert_tokens_to_ids(words.tokenize(f" {word}"))[0] for word in WORDS]
        self.vision, self.connector = core.vision_model, core.connector
        self.register_buffer("words", model.network.get_input_embeddings().weight[ids].detach().clone())
        self.bias = nn.Parameter(torch.full((len(WORDS),), -3.0))

    def forward(self, seen: Tensor) -> Tensor:
        """Tokens `[B, 16, D]` of pictures."""
        return self.connector(self.vision(pixel_values=seen).last_hidden_state).float()

    def read(self, tokens: Tensor) -> Tensor:
        """Logits of each word in each token, `[B, 16, W]`."""
        return 10.0 * tokens @ self.words.T + self.bias


@dataclass(frozen=True)
class Batches:
    """Pages with the words of their cells, and a quarter as many frames of the world."""

    face: Face
    steps: int
    size: int
    seed: int

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.seed, index])
        drawn = [page(self.face, rng) for _ in range(self.size)]
        frames = tower.Scenes(self.steps, frames=max(4, self.size // 4), alone=0.0, seed=self.seed)[index]["pixels"]
        words = torch.from_numpy(np.stack([cells(one) for one in drawn]))
        return {"pages": normal(drawn), "words": words, "frames": frames}


def page(face: Face, rng: np.random.Generator) -> Page:
    """A sentence on a page, of any thing that could be; now and then of none."""
    if rng.random() < PAUSED:
        return laid(str(rng.choice(PAUSES)), face)[0]
    name = f"{rng.choice(list(COLOURS))} {rng.choice(list(SHAPES))}"
    return laid(sentence(name, str(rng.choice(["", *DIRECTIONS])), rng, new=bool(rng.integers(2))), face)[0]


def cells(shown: Page) -> np.ndarray:
    """Which words each cell of a page shows, `[16, W]`."""
    truth = np.zeros((SIDE, SIDE, len(WORDS)), np.float32)
    starts = CELL_PX * np.arange(SIDE)
    for one in shown.fragments:
        word = one.text.lower().strip(".")
        if word in WORDS:
            across = _shared(starts, one.x_px, one.width_px) >= LEAST_PX[0]
            down = _shared(starts, one.y_px, one.height_px) >= LEAST_PX[1]
            truth[down[:, None] & across[None], WORDS.index(word)] = 1.0
    return truth.reshape(SIDE * SIDE, len(WORDS))


def _shared(starts: np.ndarray, start: int, length: int) -> np.ndarray:
    return np.minimum(starts + CELL_PX, start + length) - np.maximum(starts, start)


def normal(shown: list[Page]) -> Tensor:
    """Pixels of pages as the processor hands them over."""
    grey = np.stack([pixels(one) for one in shown])[:, None].astype(np.float32)
    return torch.from_numpy(np.repeat((grey / 255 - tower.MEAN) / tower.STD, 3, axis=1))


def loss(before: Callable[[Tensor], Tensor]) -> Any:
    """How far pages are from their words, and frames from what they were."""

    def far(reader: Reader, batch: dict[str, Tensor]) -> Tensor:
        with torch.no_grad():
            wanted = before(batch["frames"])
        tokens = reader(torch.cat([batch["pages"], batch["frames"]]))
        pages, frames = tokens.split([len(batch["pages"]), len(wanted)])
        named = F.binary_cross_entropy_with_logits(
            reader.read(pages), batch["words"], pos_weight=torch.tensor(3.0, device=pages.device)
        )
        kept = (frames - wanted).square().sum() / wanted.square().sum()
        return named + 2.0 * kept + 0.003 * pages.square().sum(-1).mean()

    return far


def teach(load: Callable[[], Any], *, steps: int, size: int, face: Face, out: Path) -> Path:
    """The folder of a checkpoint that reads; what was taught before is not taught again."""
    folder = out / "model"
    if (folder / "config.json").is_file():
        return folder
    model, before = load(), Reader(load()).requires_grad_(False)
    model.network.requires_grad_(False)
    reader = Reader(model)
    for part in (reader.vision, reader.connector):
        part.requires_grad_(True)
    settings = FitConfig(
        str(out / "fit"), steps, lr=4e-4, warmup=0.15, bf16=True, log_steps=20, save_steps=50, resume=True
    )
    fit(reader, Batches(face, steps, size, seed=93_000_000), loss(before), settings)
    model.network.save_pretrained(str(folder))
    model.processor.save_pretrained(str(folder))
    return folder


@torch.no_grad()
def accuracy(load: Callable[[], Any], pages: int, face: Face) -> dict[str, float]:
    """On pages that were not drawn before: how often the colour and the shape are the likeliest of theirs."""
    rng = np.random.default_rng(94_000_000)
    drawn = [page(face, rng) for _ in range(pages)]
    truth = torch.from_numpy(np.stack([cells(one).max(0) for one in drawn]))
    reader = Reader(load())
    best = (10.0 * reader(normal(drawn)) @ reader.words.T).amax(1)
    groups = {"colour": slice(0, len(COLOURS)), "shape": slice(len(COLOURS), len(COLOURS) + len(SHAPES))}
    return {
        name: float((best[:, at].argmax(1) == truth[:, at].argmax(1)).float().mean()) for name, at in groups.items()
    }
