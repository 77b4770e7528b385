"""Selectors for NeedleFrames: labelled films, and frame selectors trained on them in the paper's layout or by frame.

A film is labelled once, as a dataset is: what the frozen vision tower sees of it is kept, and all selectors of a seed
learn from the same labelled films.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import needle_frames as needles
import needle_start as start
import numpy as np
import torch
import transformers as tf
from needle_frames import Asked, Films, Needles
from needle_network import ANSWERS, number

from videre.methods.frame_selector.model import FrameSelector, FrameSelectorConfig
from videre.methods.frame_selector.stages import joint, loss
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
    """Films that are labelled: what the tower sees `[F, n, 9, V]`; of Q questions about each the words `[F, Q, 2]`,
    the answer's token `[F, Q]`, and for each kind of label the targets `[F, Q, n]`."""

    patches: torch.Tensor
    words: torch.Tensor
    answers: torch.Tensor
    targets: dict[str, torch.Tensor]


def labelled(models: World, seed: int, films: int, each: int, *, at_once: int = 500) -> Labelled:
    """So many films with `each` questions about every one, labelled."""
    draw = np.random.default_rng([seed, 76])
    parts = [_labelled(models, draw, min(at_once, films - start), each) for start in range(0, films, at_once)]
    return Labelled(
        *(torch.cat([getattr(part, name) for part in parts]) for name in ("patches", "words", "answers")),
        {kind: torch.cat([part.targets[kind] for part in parts]) for kind in parts[0].targets},
    )


def _labelled(models: World, draw: np.random.Generator, films: int, each: int) -> Labelled:
    told = needles.films(draw, films)
    asked = needles.questions(draw, told, each)
    return Labelled(
        patches(models.eyes.tower, told).half(),
        torch.tensor([one.tokens for one in asked]).unflatten(0, (films, each)),
        torch.tensor([WORDS + number(one) for one in asked]).unflatten(0, (films, each)),
        {
            kind: torch.from_numpy(rows).float().unflatten(0, (films, each))
            for kind, rows in labels(models, told, asked, draw).items()
        },
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


@dataclass(frozen=True)
class Course:
    """How a selector learns.

    Attributes:
        layout: `frame` learns from scores alone; `query` from scores and answers, the paper's two losses, in each step.
        steps: of training.
        batch: questions a step, or in the layout `query` films with all of their questions, which share the frames.
        lr: highest learning rate.
    """

    layout: str
    steps: int
    batch: int
    lr: float


@dataclass(frozen=True, eq=False)
class Lots:
    """Numbered batches, each question once an epoch; the layout `query` takes all questions about a film together."""

    rows: Labelled
    kind: str
    course: Course
    seed: int

    def __len__(self) -> int:
        return self.course.steps

    def __getitem__(self, place: int) -> dict[str, torch.Tensor]:
        if not 0 <= place < len(self):
            raise IndexError(place)
        films, each = self.rows.answers.shape
        together = self.course.layout == "query"
        chosen = lot(films if together else films * each, place, batch=self.course.batch, seed=self.seed)
        at = (chosen,) if together else (chosen // each, chosen % each)
        words = self.rows.words[at]
        return {
            "patches": self.rows.patches[at[0]].float(),
            "input_ids": words,
            "lengths": torch.full(words.shape[:-1], words.shape[-1]),
            "targets": self.rows.targets[self.kind][at],
            "answers": self.rows.answers[at],
        }


def untrained(layout: str, tower: Any, seed: int) -> FrameSelector:
    """A selector around the frozen tower: one token a frame, a language model of four blocks."""
    torch.manual_seed(seed)
    config = FrameSelectorConfig(
        vision_config=tower.config, text_config=language(layout), layout=layout, n=Needles().n, grid=1
    )
    model = FrameSelector(config)
    model.vision.load_state_dict(tower.state_dict())
    model.vision.requires_grad_(False)
    return start.begun(model) if layout == "query" else model


def language(layout: str) -> Any:
    """The language model; the score query tells of all frames in one vector, so its model learns places (GPT-2)."""
    if layout == "query":
        return tf.GPT2Config(
            vocab_size=WORDS + ANSWERS, n_embd=64, n_layer=4, n_head=4, n_inner=192, n_positions=48, bos_token_id=0,
            eos_token_id=0, initializer_range=start.SPREAD, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        )  # fmt: skip
    return tf.Qwen2Config(
        vocab_size=WORDS + ANSWERS, hidden_size=64, intermediate_size=192, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=4, initializer_range=0.05, tie_word_embeddings=True,
    )  # fmt: skip


def trained(models: World, rows: Labelled, kind: str, course: Course, seed: int, out: Path) -> FrameSelector:
    """A selector trained on one kind of label. It has no language model to start from, so that all of it learns."""
    model = untrained(course.layout, models.eyes.tower, seed)
    config = FitConfig(str(out), course.steps, lr=course.lr, seed=seed, log_steps=50)
    return fit(model, Lots(rows, kind, course, seed), joint if course.layout == "query" else loss, config).eval()


@torch.no_grad()
def scores(model: FrameSelector, told: Films, asked: Sequence[Asked]) -> np.ndarray:
    """Probabilities `[Q, n]`, for as many questions about each film, film by film."""
    seen, each = patches(model.vision, told), len(asked) // len(told.pixels)
    words = torch.tensor([one.tokens for one in asked]).unflatten(0, (-1, each))
    lengths = torch.full(words.shape[:2], words.shape[2])
    parts = [_scores(model, *part) for part in zip(seen.split(16), words.split(16), lengths.split(16), strict=True)]
    return torch.sigmoid(torch.cat(parts)).double().numpy()


def _scores(model: FrameSelector, seen: torch.Tensor, words: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Logits `[F * Q, n]`; in the layout `query` each film is read once for all of its questions."""
    if model.config.layout == "query":
        return model.several(seen, words, lengths).flatten(0, 1)
    return model(seen.repeat_interleave(words.shape[1], 0), words.flatten(0, 1), lengths.flatten())
