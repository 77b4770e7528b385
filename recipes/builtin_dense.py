"""Stages 3 and 4: tiny questions of a few tokens, thirty behind every clip, so that the text side learns to look up.

`red` is to be followed by the shape of the red thing, `star` by the colour of the star, `red before blue` by yes or no.
Each stands in a block of its own (see `builtin_language.mask`), so that none is copied from another. Sentences teach
the same in the end, at thirty tokens a question; in a trial they had bound no colour to its shape after 31,000
questions on one frame, and these had after 60 steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import builtin_language as language
import numpy as np
import torch
from builtin_tower import normal
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from videre.data import world
from videre.data.world.scene import COLOURS, SHAPES, Thing

KINDS = ("shape", "colour", "presence", "direction", "order", "extreme", "count")
Mini = tuple[str, str, str]
"""Kind, what is asked, and the one token that follows."""


def minis(clip: world.Clip, times: np.ndarray, rng: np.random.Generator) -> list[Mini]:
    """All tiny questions that these frames can answer."""
    things = [t for t in clip.things if t.shown(times).any()]
    asked = [*_lookups(things, rng), *_presences(things, rng)]
    return [*asked, *_motions(things), *_orders(clip, things)] if len(times) >= 6 else asked


def _lookups(things: Sequence[Thing], rng: np.random.Generator) -> list[Mini]:
    shape_of = {t.colour: t.shape for t in things}
    shapes = [t.shape for t in things]
    colours = [c for c in COLOURS if c in shape_of or rng.random() < 0.35]
    asked: list[Mini] = [("shape", f" {c}", f" {shape_of.get(c, 'no')}") for c in colours]
    for shape in SHAPES:
        if shapes.count(shape) == 1:
            asked.append(("colour", f" {shape}", f" {things[shapes.index(shape)].colour}"))
        elif shape not in shapes and rng.random() < 0.5:
            asked.append(("colour", f" {shape}", " no"))
    return asked


def _presences(things: Sequence[Thing], rng: np.random.Generator) -> list[Mini]:
    asked: list[Mini] = []
    for _ in range(4 if things else 0):
        thing, is_there = things[int(rng.integers(len(things)))], bool(rng.random() < 0.5)
        shape = thing.shape if is_there else str(rng.choice([s for s in SHAPES if s != thing.shape]))
        asked.append(("presence", f" {thing.colour} {shape}", " yes" if is_there else " no"))
    return asked


def _motions(things: Sequence[Thing]) -> list[Mini]:
    return [("direction", f" {t.colour} moves", f" {t.direction or 'still'}") for t in things]


def _orders(clip: world.Clip, things: Sequence[Thing]) -> list[Mini]:
    place = {t.colour: i for i, t in enumerate(clip.things)}
    pairs = [(a.colour, b.colour) for a in things for b in things if a is not b]
    asked: list[Mini] = [("order", f" {a} before {b}", " yes" if place[a] < place[b] else " no") for a, b in pairs]
    if len(things) == len(clip.things) > 1:
        asked += [("extreme", " first", f" {things[0].colour}"), ("extreme", " last", f" {things[-1].colour}")]
        asked.append(("count", " things", f" {len(things)}"))
    return asked


def encode(
    words: PreTrainedTokenizerFast, start: str, asked: Sequence[Mini], *, first_block: int = 1
) -> dict[str, list[int]]:
    """One clip's row, as `builtin_language.encode` makes it; the kind stands on the token that is scored."""
    ids = words(start, add_special_tokens=False)["input_ids"]
    count = len(ids)
    row = {"ids": list(ids), "block": [0] * count, "position": list(range(count)), "label": [-100] * count}
    row["kind"] = [-1] * count
    for block, (kind, text, answer) in enumerate(asked, start=first_block):
        said = words(text, add_special_tokens=False)["input_ids"]
        (wanted,) = words(answer, add_special_tokens=False)["input_ids"]
        row["ids"] += said
        row["block"] += [block] * len(said)
        row["position"] += range(count, count + len(said))
        row["label"] += [-100] * (len(said) - 1) + [wanted]
        row["kind"] += [-1] * (len(said) - 1) + [KINDS.index(kind)]
    return row


@dataclass(frozen=True)
class Minis:
    """Batches of clips with tiny questions.

    Attributes:
        words: the model's tokenizer.
        steps: how many batches there are.
        clips: clips a batch, a quarter of them where six frames or more are shown.
        frames: how many frames a batch may show; drawn evenly from these.
        frame_tokens: tokens a frame.
        seed: first clip seed.
    """

    words: PreTrainedTokenizerFast
    steps: int
    clips: int = 32
    frames: tuple[int, ...] = (1, 2)
    frame_tokens: int = 16
    seed: int = 50_000_000

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.seed, index])
        count = int(rng.choice(self.frames))
        rows, pixels = [], []
        for i in range(self.clips if count < 6 else max(1, self.clips // 4)):
            clip, times, layout = drawn(self.seed + index * self.clips + i, count, rng)
            pixels.append(normal(world.render(clip, times, 64).pixels, rng))
            start = language.prefix(times, clip.config.seconds, self.frame_tokens, layout)
            rows.append(encode(self.words, start + language.BRIDGE[layout], minis(clip, times, rng)))
        return {"pixels": torch.from_numpy(np.concatenate(pixels)), **language.pack(rows)}


@dataclass(frozen=True)
class Mixed(language.Lessons):
    """Stage 4: questions in sentences, with ten tiny ones behind each clip so that what was learned stays."""

    tiny: int = 10

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.seed, index])
        is_easy = index < self.easy * self.steps
        count = int(rng.choice([1, 2] if is_easy else self.frames))
        rows, pixels = [], []
        for i in range(self.clips * (2 if is_easy else 1)):
            clip, times, layout = drawn(self.seed + index * 2 * self.clips + i, count, rng)
            pixels.append(normal(world.render(clip, times, 64).pixels, rng))
            rows.append(self._row(clip, times, layout, rng))
        return {"pixels": torch.from_numpy(np.concatenate(pixels)), **language.pack(rows)}

    def _row(self, clip: world.Clip, times: np.ndarray, layout: str, rng: np.random.Generator) -> dict[str, list[int]]:
        start = language.prefix(times, clip.config.seconds, self.frame_tokens, layout)
        bridge = language.BRIDGE[layout]
        asked = language.texts(language.drafts(clip, times, self.asks, rng), self.choice, rng)
        row = language.encode(self.words, start, asked, bridge=bridge)
        pool = minis(clip, times, rng)
        some = [(kind, bridge + text, answer) for kind, text, answer in (pool[j] for j in rng.permutation(len(pool)))]
        extra = encode(self.words, start, some[: self.tiny], first_block=max(row["block"]) + 1)
        shared = extra["block"].count(0)
        extra["kind"] = [-1] * len(extra["kind"])  # the kinds of a mixed batch are those of its sentences
        return {key: row[key] + extra[key][shared:] for key in row}


def drawn(seed: int, count: int, rng: np.random.Generator) -> tuple[world.Clip, np.ndarray, str]:
    """A clip of some length, the moments that are shown of it, and how they reach the model."""
    clip = world.make(seed, world.Config(seconds=float(rng.choice([6, 8, 8, 8, 10, 12]))))
    layout = str(rng.choice(list(language.LAYOUTS), p=list(language.LAYOUTS.values())))
    return clip, language.moments(clip, count, rng), layout
