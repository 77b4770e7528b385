"""What the arms of `t2vid.py` are shown and asked: short clips, long clips, texts on pages, the same texts in words.

A long clip is several short ones, one after another, in which no colour comes twice. A text tells what appears in a
long clip that is never drawn, a line a second. Pages are the package's own: its font, its layout, its pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from videre.data import world
from videre.data.world.phrases import article
from videre.data.world.questions import Draft, ask
from videre.data.world.scene import COLOURS
from videre.methods.t2vid.cut import cut
from videre.methods.t2vid.face import Face
from videre.methods.t2vid.layout import Page, Style, pages
from videre.methods.t2vid.render import pixels
from videre.types import Frames

SHORT = world.Config(seconds=8.0, things=(2, 3))
PART = world.Config(seconds=8.0, things=(2, 2))
PAGE = Style(size_px=9, width_px=64, height_px=64, margin_px=2)
KINDS = ("order", "order", "first", "last")
"""What is asked about each clip and each text."""
PAUSES = ("Nothing is there.", "Nothing happens.", "Nothing new.")
NONE = -100


def short(seed: int) -> world.Clip:
    """Eight seconds with two or three things, as the built-in model knows them."""
    return world.make(seed, SHORT)


def long(seed: int, parts: int) -> world.Clip:
    """Short clips of two things each, one after another, in colours that differ."""
    rng = np.random.default_rng([seed, 17])
    colours = iter([str(c) for c in rng.permutation(list(COLOURS))])
    made = [world.make(10 * seed + part, PART) for part in range(parts)]
    things = [
        _later(thing, part * PART.seconds, next(colours))
        for part, clip in enumerate(made)
        for thing in sorted(clip.things, key=lambda t: t.start_seconds)
    ]
    config = world.Config(seconds=PART.seconds * parts, things=(1, len(COLOURS)))
    return world.Clip(seed, config, made[0].background, tuple(things))


def _later(thing: world.Thing, seconds: float, colour: str) -> world.Thing:
    span = (thing.start_seconds + seconds, thing.end_seconds + seconds)
    return replace(thing, start_seconds=span[0], end_seconds=span[1], colour=colour, rgb=COLOURS[colour])


def film(clip: world.Clip, count: int) -> Frames:
    """Evenly spread frames of a clip."""
    every = clip.frame_seconds
    return world.render(clip, every[np.linspace(0, len(every) - 1, count).round().astype(int)], 64)


def told(clip: world.Clip, rng: np.random.Generator) -> str:
    """What happens in a clip, a line a second: what is new, else what is there, else that nothing is."""
    known, made = set[str](), []
    for second in range(round(clip.config.seconds)):
        new = [t for t in clip.things if t.start_seconds < second + 1 and t.name not in known]
        here = [t for t in clip.things if t.shown(np.array([second + 0.5]))[0] and t.name in known]
        if new or here:
            thing = new[0] if new else here[int(rng.integers(len(here)))]
            made.append(sentence(thing.name, thing.direction, rng, new=bool(new)))
            known.add(thing.name)
        else:
            made.append(str(rng.choice(PAUSES)))
    return "\n".join(made)


def sentence(name: str, direction: str, rng: np.random.Generator, *, new: bool) -> str:
    """One of the ways to tell of one thing, as it comes or while it is there."""
    goes = f"moves {direction}" if direction else "stays still"
    if not new:
        return f"The {name} {rng.choice(['is there', goes])}."
    start = str(rng.choice(["", "Then ", "Now ", "Next "]))
    text = f"{start}{article(name)} {rng.choice(['appears', 'comes', 'is seen', goes])}."
    return text[0].upper() + text[1:]


def laid(text: str, face: Face) -> list[Page]:
    """The pages of a text, a line each."""
    return [page for piece in cut(text, by="lines", limit=1) for page in pages(piece.of(text), face, PAGE)]


def printed(text: str, face: Face) -> Frames:
    """The pages of a text as frames, a second apart, as `videre train answerer` shows them."""
    grey = np.stack([pixels(page) for page in laid(text, face)])
    return Frames(np.repeat(grey[:, None], 3, axis=1), np.arange(len(grey), dtype=np.float64))


def asked(clip: world.Clip) -> list[Draft]:
    """What is asked about a clip, or about the text that tells of it."""
    rng = np.random.default_rng([clip.seed, 23])
    return [draft for kind in KINDS if (draft := ask(clip, kind, rng))]


@dataclass(frozen=True)
class Encoder:
    """Rows and batches of tokens as the model's own prompts are, all questions of a row in one pass.

    Attributes:
        prompter: of the model.
        face: the font of the pages.
        frames: of a short clip.
    """

    prompter: Any
    face: Face
    frames: int = 8

    def row(self, kind: str, seed: int) -> dict[str, Any]:
        """A training row: "video" of a short clip, "pages" or "words" of a text.

        The text of a seed has four to eight things; both of its rows ask the same.
        """
        if kind == "video":
            clip = short(seed)
            return self.packed([film(clip, self.frames)], [(d.text, d.answer) for d in asked(clip)])
        rng = np.random.default_rng([seed, 29])
        clip = long(seed, int(rng.integers(2, 5)))
        text = told(clip, rng)
        if kind == "pages":
            return self.packed([printed(text, self.face)], [(d.text, d.answer) for d in asked(clip)])
        return self.packed([], [(f"{text}\n{d.text}", d.answer) for d in asked(clip)])

    def packed(self, frames: Sequence[Frames], pairs: Sequence[tuple[str, str]], *, end: bool = True) -> dict[str, Any]:
        """Frames once, then each question with its reply: ids, block (0 for the frames), position, label, pixels."""
        head = self.prompter.read(frames)
        ids = head.inputs["input_ids"][0].tolist()
        row: dict[str, Any] = {"ids": list(ids), "block": [0] * len(ids), "position": list(range(len(ids)))}
        row["label"] = [NONE] * len(ids)
        for number, (question, reply) in enumerate(pairs, start=1):
            said, answer = self.prompter.question(head, question), self.prompter.reply(reply, end=end)
            rest = said + answer
            row["ids"] += rest
            row["block"] += [number] * len(rest)
            row["position"] += range(len(ids), len(ids) + len(rest))
            row["label"] += [NONE] * (len(said) - 1) + answer + [NONE]  # a token's label is the token after it
        row["pixels"] = head.inputs["pixel_values"][0] if frames else None
        return row


def batch(rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Rows of unequal length as tensors `[B, L]`; pixels of all rows one after another."""
    longest = max(len(row["ids"]) for row in rows)
    blank = {"ids": 0, "block": -1, "position": 0, "label": NONE}
    made = {k: torch.tensor([row[k] + [v] * (longest - len(row[k])) for row in rows]) for k, v in blank.items()}
    seen = [row["pixels"] for row in rows if row["pixels"] is not None]
    return made | {"pixels": torch.cat(seen) if seen else torch.zeros(1, 3, 64, 64)}  # an eye needs a picture


@dataclass(frozen=True)
class Batches:
    """Numbered batches of an arm, in an order of the seed, each row once; rows shown alike stand together."""

    encoder: Encoder
    rows: Sequence[tuple[str, int]]
    size: int
    seed: int

    def __len__(self) -> int:
        return len(self.rows) // self.size

    def __getitem__(self, index: int) -> list[dict[str, torch.Tensor]]:
        order = np.random.default_rng([self.seed, 31]).permutation(len(self.rows))
        mine = [self.rows[i] for i in order[index * self.size : (index + 1) * self.size]]
        kinds = sorted({kind for kind, _ in mine})
        return [batch([self.encoder.row(*row) for row in mine if row[0] == kind]) for kind in kinds]
