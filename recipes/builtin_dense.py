"""Tiny questions of a few tokens, up to forty behind every clip, so that the text side learns to look up.

`red` is to be followed by the shape of the red thing, `star` by the colour of the star, `red before blue` by yes or no.
Each stands in a block of its own (see `builtin_language.mask`), so that none is copied from another. Sentences teach
the same in the end, at thirty tokens a question; in a trial they had bound no colour to its shape after 31,000
questions on one frame, and these had after 60 steps.
"""

from collections.abc import Sequence

import builtin_language as language
import numpy as np
from transformers import PreTrainedTokenizerFast

from videre.data import world
from videre.data.world.scene import COLOURS, SHAPES, Thing

KINDS = ("shape", "colour", "presence", "direction", "order", "first", "last", "count")
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
        asked += [("first", " first", f" {things[0].colour}"), ("last", " last", f" {things[-1].colour}")]
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


def drawn(seed: int, count: int, rng: np.random.Generator, *, most: int) -> tuple[world.Clip, np.ndarray, str]:
    """A clip with at most so many things, which moments of it are shown, and how they reach the model."""
    config = world.Config(seconds=float(rng.choice([6, 8, 8, 8, 10, 12])), things=(1, most))
    clip = world.make(seed, config)
    layout = str(rng.choice(list(language.LAYOUTS), p=list(language.LAYOUTS.values())))
    return clip, language.moments(clip, count, rng), layout
