"""Selectors for NeedleFrames: labelled films, and frame selectors trained on them in the paper's layout or by frame.

A film is labelled once, as a dataset is: what the frozen vision tower sees of it is kept, and all selectors of a seed
learn from the same labelled films.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import needle_frames as needles
import numpy as np
import torch
import transformers as tf
from needle_frames import Asked, Films, Needles
from needle_network import ANSWERS, number

from videre.methods.frame_selector.lessons import answer_labels
from videre.methods.frame_selector.model import FrameSelector, FrameSelectorConfig
from videre.methods.frame_selector.stages import loss
from videre.train.fit import FitConfig, fit

WORDS = 18
"""Words of questions; answers are the words after them."""


@dataclass(frozen=True)
class World:
    """The frozen models of a seed: a reader that judges frames, another that captions and answers, a CLIP."""

    eyes: Any
    other: Any
    clip: Any


def labels(models: World, told: Films, asked: Sequence[Asked], draw: np.random.Generator) -> dict[str, np.ndarray]:
    """Spatial labels of one reader, temporal ones of the other's captions, and their mean `[Q, n]`."""
    spatial = needles.spatial(models.eyes.read(told.pixels), asked)
    temporal = needles.temporal(models.other.read(told.pixels), asked, draw)
    return {"spatial": spatial, "temporal": temporal, "both": (spatial + temporal) / 2}


@dataclass(frozen=True, eq=False)
class Labelled:
    """Questions about films that are labelled: what the tower sees `[films, n, 9, V]`, and a row a question."""

    patches: torch.Tensor
    films: torch.Tensor
    words: torch.Tensor
    answers: torch.Tensor
    targets: dict[str, torch.Tensor]


def labelled(models: World, seed: int, films: int) -> Labelled:
    """So many films with four questions each, labelled."""
    draw = np.random.default_rng([seed, 76])
    told = needles.films(draw, films)
    asked = needles.questions(draw, told, 4)
    return Labelled(
        patches(models.eyes.tower, told).half(),
        torch.tensor([one.film for one in asked]),
        torch.tensor([one.tokens for one in asked]),
        torch.tensor([WORDS + number(one) for one in asked]),
        {kind: torch.from_numpy(rows).float() for kind, rows in labels(models, told, asked, draw).items()},
    )


@torch.no_grad()
def patches(tower: Any, told: Films) -> torch.Tensor:
    """What the frozen tower sees `[films, n, 9, V]`."""
    parts = [tower(pixel_values=needles.floats(film)).last_hidden_state for film in told.pixels]
    return torch.stack(parts)


def lot(count: int, place: int, *, batch: int, seed: int) -> torch.Tensor:
    """Which of `count` rows make batch number `place`: each row once an epoch, in an order of its own."""
    once = max(1, count // batch)
    order = torch.from_numpy(np.random.default_rng([seed, place // once]).permutation(count))
    return order[place % once * batch :][:batch]


@dataclass(frozen=True, eq=False)
class Lots:
    """Numbered batches of labelled questions, each question once an epoch; answers and scores may take turns."""

    rows: Labelled
    kind: str
    count: int
    batch: int
    answers: bool
    seed: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, place: int) -> dict[str, torch.Tensor]:
        if not 0 <= place < self.count:
            raise IndexError(place)
        turn = place // 2 if self.answers else place
        chosen = lot(len(self.rows.films), turn, batch=self.batch, seed=self.seed)
        words, patches = self.rows.words[chosen], self.rows.patches[self.rows.films[chosen]].float()
        lengths = torch.full((len(chosen),), 2)
        if self.answers and place % 2 == 0:
            ids = torch.cat([words, self.rows.answers[chosen, None]], 1)
            return {"patches": patches, "input_ids": ids, "labels": answer_labels(ids, lengths, [3] * len(chosen))}
        targets = self.rows.targets[self.kind][chosen]
        return {"patches": patches, "input_ids": words, "lengths": lengths, "targets": targets}


@dataclass(frozen=True)
class Course:
    """How a selector learns: its layout, steps, whether batches of answers take turns with those of scores."""

    layout: str
    steps: int
    answers: bool = False
    batch: int = 64
    lr: float = 2e-3


def untrained(layout: str, tower: Any, seed: int) -> FrameSelector:
    """A selector around the frozen tower: one token a frame, a language model of four blocks."""
    torch.manual_seed(seed)
    config = FrameSelectorConfig(
        vision_config=tower.config, text_config=language(layout), layout=layout, n=Needles().n, grid=1
    )
    model = FrameSelector(config)
    model.vision.load_state_dict(tower.state_dict())
    model.vision.requires_grad_(False)
    if layout == "query":
        _told_places(model.llm.transformer.wpe.weight)
    return model


def language(layout: str) -> Any:
    """The language model; the score query tells of all frames in one vector, so its model learns places (GPT-2)."""
    if layout == "query":
        return tf.GPT2Config(
            vocab_size=WORDS + ANSWERS, n_embd=64, n_layer=4, n_head=4, n_inner=192, n_positions=48,
            bos_token_id=0, eos_token_id=0, initializer_range=0.05, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        )  # fmt: skip
    return tf.Qwen2Config(
        vocab_size=WORDS + ANSWERS, hidden_size=64, intermediate_size=192, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=4, initializer_range=0.05, tie_word_embeddings=True,
    )  # fmt: skip


def _told_places(weight: torch.Tensor, norm: float = 4.0) -> None:
    """Places that are told apart from the first step on; a language model that has read much tells them apart."""
    with torch.no_grad():
        torch.nn.init.orthogonal_(weight)
        weight.mul_(norm / weight.norm(dim=1, keepdim=True))


def trained(models: World, rows: Labelled, kind: str, course: Course, seed: int, out: Path) -> FrameSelector:
    """A selector trained on one kind of label. It has no language model to start from, so that all of it learns."""
    model = untrained(course.layout, models.eyes.tower, seed)
    lots = Lots(rows, kind, course.steps, course.batch, course.answers, seed)
    fit(model, lots, loss, FitConfig(str(out), course.steps, lr=course.lr, seed=seed, log_steps=50))
    return model.eval()


@torch.no_grad()
def scores(model: FrameSelector, told: Films, asked: Sequence[Asked]) -> np.ndarray:
    """Probabilities `[Q, n]`."""
    seen, parts = patches(model.vision, told), []
    for start in range(0, len(asked), 64):
        part = asked[start : start + 64]
        ids = torch.tensor([one.tokens for one in part])
        logits = model(seen[[one.film for one in part]], ids, torch.full((len(part),), 2))
        parts.append(torch.sigmoid(logits).double().numpy())
    return np.concatenate(parts)
