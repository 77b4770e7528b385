"""An answerer that is one network from pixels to answer: what the claims call the second answerer.

A convolution reads each frame, a transformer reads the question and the frames that it is shown, in their order, and
names one of 14 answers. It is trained once, on videos of its own and on choices of frames of its own: some that hold
the evidence and some at random. Nothing of any selector is known to it, and no selector learns from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import needle_frames as needles
import numpy as np
import torch
from needle_frames import Asked, Films, Lots
from torch import nn

from videre.train.fit import FitConfig, fit

MOST = 16
ANSWERS = len(needles.SHAPES) + len(needles.COLOURS)


@dataclass(frozen=True)
class Lesson:
    """How it learns: steps, questions a step, width, learning rate."""

    steps: int = 700
    films: int = 48
    width: int = 96
    lr: float = 1.5e-3


class Network(nn.Module):
    """Frames and a question in, logits of the 14 answers out.

    Args:
        eyes: a reader of single frames whose features it begins from; they stay as they are.
        width: of the transformer.
    """

    def __init__(self, eyes: needles.Seen, width: int) -> None:
        super().__init__()
        self.eyes = eyes.requires_grad_(False)
        self.frame = nn.Linear(eyes.heads[0].in_features, width)
        self.words = nn.Embedding(18, width)
        self.place = nn.Parameter(torch.randn(MOST + 2, width) * 0.3)
        block = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(block, 3, enable_nested_tensor=False)
        self.out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, ANSWERS))

    @torch.no_grad()
    def features(self, pixels: np.ndarray) -> torch.Tensor:
        """What is seen in each frame `[T, F]`, for uint8 `[T, 3, 24, 24]`."""
        out = self.eyes.tower(needles.floats(pixels))
        return self.eyes.mix(getattr(out, "last_hidden_state", out)).amax(1)

    def forward(self, frames: torch.Tensor, words: torch.Tensor, shown: torch.Tensor) -> torch.Tensor:
        """Logits `[B, 14]` for features `[B, k, F]`, words `[B, 2]`, and which of the k are shown `[B, k]`."""
        tokens = torch.cat([self.words(words), self.frame(frames)], 1)
        hidden = torch.cat([torch.zeros(len(words), 2, dtype=torch.bool), ~shown], 1)
        seen = self.blocks(tokens + self.place[: tokens.shape[1]], src_key_padding_mask=hidden)
        return self.out(seen[:, 0])


def trained(seed: int, lesson: Lesson, reader_steps: int, out: Path) -> Network:
    """The network, trained on questions whose frames are chosen by chance, half the time with the evidence."""
    eyes = needles.reader("cells", reader_steps, seed, out / "eyes")
    torch.manual_seed(seed)
    model = Network(eyes, lesson.width)

    def batch(draw: np.random.Generator) -> dict[str, torch.Tensor]:
        told = needles.films(draw, lesson.films)
        asked = needles.questions(draw, told, 4)
        k = int(draw.choice([4, 8, 16]))
        return given(model, told, asked, [shown(draw, told, one, k) for one in asked])

    fit(model, Lots(batch, lesson.steps, seed), loss, FitConfig(str(out / "network"), lesson.steps, lr=lesson.lr))
    return model.eval()


def loss(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Cross-entropy of the answer where the evidence is shown; where it is not, there is nothing to learn."""
    logits = model(batch["frames"], batch["words"], batch["shown"])
    whole = nn.functional.cross_entropy(logits, batch["answer"], reduction="none")
    return (whole * batch["whole"]).sum() / batch["whole"].sum().clamp(min=1)


def shown(draw: np.random.Generator, told: Films, one: Asked, k: int) -> list[int]:
    """`k` frames by chance; all of the evidence is among them nine times in ten."""
    n = told.pixels.shape[1]
    kept = []
    if draw.random() < 0.9:
        kept = [int(draw.integers(told.start[one.film, e], told.stop[one.film, e])) for e in one.evidence]
    rest = draw.permutation([i for i in range(n) if i not in kept])[: k - len(kept)]
    return sorted([*kept, *(int(i) for i in rest)])


def given(
    model: Network, told: Films, asked: Sequence[Asked], chosen: Sequence[Sequence[int]]
) -> dict[str, torch.Tensor]:
    """What the network takes; the chosen frames alone are looked at, each once for all questions about its video."""
    count, n = told.pixels.shape[:2]
    features = model.features(told.pixels.reshape(-1, *told.pixels.shape[2:])).view(count, n, -1)
    k = max(len(frames) for frames in chosen)
    places = torch.tensor([[*frames, *[0] * (k - len(frames))] for frames in chosen])
    films = torch.tensor([one.film for one in asked])
    return {
        "frames": features[films[:, None], places],
        "words": torch.tensor([one.tokens for one in asked]),
        "shown": torch.arange(k)[None] < torch.tensor([len(frames) for frames in chosen])[:, None],
        "answer": torch.tensor([number(one) for one in asked]),
        "whole": torch.tensor([_holds(told, one, frames) for one, frames in zip(asked, chosen, strict=True)]),
    }


def number(one: Asked) -> int:
    """The number of the true answer among shapes, then colours."""
    return one.answer + (0 if one.family == "S" else len(needles.SHAPES))


def _holds(told: Films, one: Asked, frames: Sequence[int]) -> float:
    spans = [(told.start[one.film, e], told.stop[one.film, e]) for e in one.evidence]
    return float(all(any(low <= i < high for i in frames) for low, high in spans))


@torch.no_grad()
def answers(model: Network, told: Films, asked: Sequence[Asked], chosen: Sequence[Sequence[int]]) -> np.ndarray:
    """Whether each question is answered right from the chosen frames, 0 or 1 `[Q]`."""
    batch = given(model, told, asked, chosen)
    logits = model(batch["frames"], batch["words"], batch["shown"])
    kinds = torch.tensor([one.family == "S" for one in asked])
    shapes = torch.arange(ANSWERS)[None] < len(needles.SHAPES)
    logits = logits.masked_fill(shapes != kinds[:, None], -torch.inf)  # The question says which kind is asked for.
    return (logits.argmax(1) == batch["answer"]).double().numpy()
