"""How the heads of `builtin_looks.py` start: where they look, and what they pass on, read off the layers below them.

A small text side takes very long to find two heads that only help together. So each starts with queries, keys and
values that are linear readings of what the layers below it give, by ridge regression on some stories: names and what
cells show, frame numbers, which way is asked for. Then all is trained as one.

Source of the idea: Trockman and Kolter, "Mimetic initialization of self-attention layers" (2023). Which heads: ours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import builtin_language as language
import numpy as np
import torch
from builtin_looks import LOOKS, MOST_FRAMES, WAYS
from builtin_motion import ridge
from torch import Tensor

COLOUR_HEAD = (1, 0)
"""A shape's word takes along the colour before it."""
NEAR = (8, 10, 12, 14)
"""The pairs of a head's numbers whose turns make the token before nearest, and those a hundred tokens away far."""
STEPS = {"after": 2.3, "before": -2.3, "beside": 0.0}
"""So many frames on, as even frames of a story show its events; what is exact comes by training."""
MATCH = 12.0
"""What a head's score for the right colour and shape is to be."""
HARMONICS, PERIOD = 6, 48
"""A frame's number is passed on as so many sines and cosines."""
FRAME, THERE, ELSEWHERE = 3.0, 8.0, 60.0
"""How strongly a head looks for a frame's number, for any thing, and at the first token where it is not meant."""
LOUD, SPARE = 48.0, 40
"""What a word weighs that is said loudly, and the first of a head's numbers that it takes for that."""
HEAD = 64


@dataclass(frozen=True)
class Tokens:
    """All tokens of some batches in one row of N, padding left out, and those of them that look.

    Attributes:
        ids: `[N]`.
        shown: which colour and which shape a frame token shows, `[N, 14]`; none for words.
        number: of the latest frame, `[N]`.
        first: the first token of its row, `[N]`.
        names, replies: the tokens that look where a named thing is, and those that look back at the name.
        name_frames, reply_frames: for each of them on which frames that thing is, `[K, MOST_FRAMES]`.
        meant: for each of the replies whether it asks for what is after, before, beside.
    """

    ids: np.ndarray
    shown: np.ndarray
    number: np.ndarray
    first: np.ndarray
    names: np.ndarray
    name_frames: np.ndarray
    replies: np.ndarray
    reply_frames: np.ndarray
    meant: dict[str, np.ndarray]


def tokens(batches: Sequence[dict[str, Tensor]], image: int, words: Sequence[int]) -> Tokens:
    """The tokens of batches of stories.

    Args:
        batches: as `builtin_stories.Lessons` makes them.
        image: the token of a frame.
        words: how many colours and shapes there are.
    """
    real = [batch["block"] >= 0 for batch in batches]
    offsets = np.cumsum([0, *(int(mine.sum()) for mine in real)])

    def each(value: Callable[[dict[str, Tensor]], Tensor]) -> np.ndarray:
        return np.concatenate([value(batch)[mine].numpy() for batch, mine in zip(batches, real, strict=True)])

    def looking(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        at, frames, meant = [], [], []
        for batch, mine, offset in zip(batches, real, offsets, strict=False):
            chosen = batch["looks"][:, 0] == list(LOOKS).index(name)
            row, query = batch["looks"][chosen, 1:].T
            at.append((mine.flatten().cumsum(0).view_as(mine) - 1)[row, query].numpy() + offset)
            frames.append(batch["frames"][chosen].numpy())
            meant.append(~batch["where"][chosen, 0].numpy())
        return np.concatenate(at), np.concatenate(frames), np.concatenate(meant)

    def shown(batch: dict[str, Tensor]) -> Tensor:
        hot = torch.zeros(*batch["ids"].shape, sum(words), dtype=torch.bool)
        told = [batch["shown"][:, i, None] == torch.arange(count) for i, count in enumerate(words)]
        hot[batch["ids"] == image] = torch.cat(told, 1)
        return hot

    return Tokens(
        each(lambda batch: batch["ids"]),
        each(shown),
        each(lambda batch: ((batch["ids"] == image).cumsum(1) - 1) // 16),
        each(lambda batch: batch["position"] == 0),
        *looking("name")[:2],
        *looking("carry")[:2],
        {name: looking(name)[2] for name in WAYS},
    )


class Start:
    """Starts the heads of a model, one after another: each reads what the ones before it write.

    Args:
        model: the model; its weights are changed.
        batches: stories, as `builtin_stories.Lessons` makes them.
        colours, shapes: the tokens of the words.
    """

    def __init__(self, model: Any, batches: Sequence[dict[str, Tensor]], colours: list[int], shapes: list[int]) -> None:
        self.model, self.batches, self.colours, self.shapes = model, batches, colours, shapes
        self.layers = model.model.text_model.layers
        self.told = tokens(batches, model.config.image_token_id, (len(colours), len(shapes)))
        self._held: list[tuple[Tensor, ...]] = []
        self._true_up_to = -1

    def run(self) -> None:
        """All heads."""
        told, steps = self.told, code(np.arange(MOST_FRAMES))
        self._take_colour()
        self._look_for_name()
        frames = told.ids == self.model.config.image_token_id
        self._pass_on("name", np.flatnonzero(frames), code(told.number[frames]), told.names)
        self._look_back()
        self._pass_on("carry", told.names, told.name_frames @ steps, told.replies)
        for name in WAYS:
            self._look_for_frames(name)
            self._say(name)

    def _take_colour(self) -> None:
        """The words of shapes look at the colour before them, and write it where they have room."""
        x, ids = self._read(COLOUR_HEAD[0]), self.told.ids
        is_colour, is_shape = np.isin(ids, self.colours), np.isin(ids, self.shapes)
        weight = np.where(is_colour | is_shape, 3.0, 1.0)
        hot = ids[:, None] == np.array(self.colours)
        colour, shape, any_colour = (
            ridge(x, wanted.astype(float), weight[:, None], 1e-4)
            for wanted in (hot, is_shape[:, None], is_colour[:, None])
        )
        self._aim(COLOUR_HEAD, shape.repeat(4, 1), any_colour.repeat(4, 1), 3.78, [*NEAR])
        self._write(COLOUR_HEAD, colour, free(x[is_shape], len(self.colours)), 12.0)

    def _look_for_name(self) -> None:
        """The last word of a name looks for its colour and its shape."""
        x, ids = self._read(LOOKS["name"][0]), self.told.ids
        names = np.flatnonzero(np.isin(ids[1:], self.shapes) & np.isin(ids[:-1], self.colours)) + 1
        said = np.concatenate([ids[names - 1, None] == self.colours, ids[names, None] == self.shapes], 1)
        query = ridge(x[names], said.astype(float), np.ones((len(names), 1)), 1e-3)
        shown, there = self.told.shown, self.told.shown.any(1)
        key = ridge(x, shown.astype(float), np.where(there, 1.0, 0.3)[:, None], 1e-3)
        # A true match of both is to score `MATCH`, however faintly they are read.
        faint = [(x[names] @ query * said).sum(1).mean(), (x[there] @ key * shown[there]).sum(1).mean()]
        self._aim(LOOKS["name"], 2 * query / faint[0], 2 * key / faint[1], MATCH / 2)

    def _look_back(self) -> None:
        """Replies look at the name in their question."""
        x, names = self._read(LOOKS["carry"][0]), self.told.names
        is_name = np.concatenate([np.zeros(len(x)), np.ones(len(names))])
        key = ridge(np.concatenate([x, x[names]]), is_name[:, None], np.where(is_name, 5.0, 1.0)[:, None], 1e-3)
        ones = np.ones((len(self.told.replies), 1))
        query = ridge(x[self.told.replies], ones, ones, 1e-3)
        self._aim(LOOKS["carry"], query.repeat(2, 1), key.repeat(2, 1), MATCH)

    def _look_for_frames(self, name: str) -> None:
        """From the frames of the named thing so many frames on, where there is a thing; else at the first token."""
        told, x = self.told, self._read(LOOKS[name][0])
        there, frames = told.shown.any(1)[:, None], told.reply_frames
        wanted = [
            frames @ code(np.arange(MOST_FRAMES) + STEPS[name]),
            np.ones((len(frames), 1)),
            ~told.meant[name][:, None],
        ]
        query = ridge(x[told.replies], np.concatenate(wanted, 1), np.ones((len(frames), 1)), 1e-3)
        given = np.concatenate([code(told.number) * there, there, told.first[:, None]], 1)
        key = ridge(x, given, np.where(there | told.first[:, None], 3.0, 1.0), 1e-3)
        strength = np.array([FRAME] * 2 * HARMONICS + [THERE, ELSEWHERE]) ** 0.5
        self._aim(LOOKS[name], query * strength, key * strength, 1.0)

    def _pass_on(self, name: str, given: np.ndarray, wanted: np.ndarray, readers: np.ndarray) -> None:
        """The head reads codes of frame numbers off some tokens, and writes them where its readers have room."""
        x = self._read(LOOKS[name][0])
        read = ridge(x[given], wanted, np.ones((len(given), 1)), 1e-3)
        self._write(LOOKS[name], read, free(self._read(LOOKS[name][0] + 1)[readers], 2 * HARMONICS), 6.0)

    def _say(self, name: str) -> None:
        """The head says the colour and the shape of what it looks at."""
        frames = self.told.ids == self.model.config.image_token_id
        shown = self.told.shown[frames]
        weight = np.where(shown.any(1), 1.0, 0.1)[:, None]
        read = ridge(self._read(LOOKS[name][0])[frames], shown.astype(float), weight, 1e-3)
        self._write(LOOKS[name], read, self._words(), 3.0)

    def speak(self) -> None:
        """The heads that look for frames say what they look at, loudly, beside what they already pass on."""
        told, x = self.told, self._read(LOOKS[WAYS[0]][0])
        some = told.first | (told.ids == self.model.config.image_token_id)
        shown = told.shown[some]
        weight = np.where(shown.any(1), 1.0, np.where(told.first[some], 5.0, 0.1))[:, None]
        read = ridge(x[some], shown.astype(float), weight, 1e-3)
        for name in WAYS:
            self._write(LOOKS[name], read, self._words(), LOUD, SPARE)

    def _words(self) -> np.ndarray:
        """Along which directions the words of colours and shapes are said, `[D, K]`."""
        words = self.model.lm_head.weight.detach()[[*self.colours, *self.shapes]].numpy().T
        return words / np.linalg.norm(words, axis=0)

    @torch.no_grad()
    def _aim(
        self, where: tuple[int, int], query: np.ndarray, key: np.ndarray, gain: float, places: Sequence[int] = ()
    ) -> None:
        """Gives a head these queries and keys, `[D, K]` each; the score is their product times the gain.

        They stand in those of the head's numbers that turn slowest with the position, unless places are given.
        """
        part, first = self.layers[where[0]].self_attn, where[1] * HEAD
        self._true_up_to = min(self._true_up_to, where[0])
        slow = [at for pair in range(HEAD // 2 - 1, -1, -1) for at in (pair, pair + HEAD // 2)]
        rows = [first + at for at in (places or slow[: query.shape[1]])]
        for proj, read in ((part.q_proj, query), (part.k_proj, key)):
            proj.weight[first : first + HEAD] = 0.0
            proj.weight[rows] = torch.from_numpy(np.ascontiguousarray(read.T) * (gain * HEAD**0.5) ** 0.5).float()

    @torch.no_grad()
    def _write(self, where: tuple[int, int], read: np.ndarray, write: np.ndarray, gain: float, kept: int = 0) -> None:
        """Gives a head the values `read`, written along `write`, `[D, K]` each; its first `kept` numbers stay."""
        part, first = self.layers[where[0]].self_attn, where[1] * HEAD
        self._true_up_to = min(self._true_up_to, where[0])
        rows, end = slice(first + kept, first + kept + read.shape[1]), first + HEAD
        part.v_proj.weight[first + kept : end] = 0.0
        part.o_proj.weight[:, first + kept : end] = 0.0
        part.v_proj.weight[rows] = torch.from_numpy(np.ascontiguousarray(read.T)).float()
        part.o_proj.weight[:, rows] = torch.from_numpy(gain * write).float()

    @torch.no_grad()
    def _read(self, layer: int) -> np.ndarray:
        """What a layer reads of all tokens, `[N, D]`; run anew where a head below it has changed since."""
        if layer > self._true_up_to:
            self._held = [language.states(self.model, batch)[:-1] for batch in self.batches]
            self._true_up_to = len(self.layers) - 1
        norm = self.layers[layer].input_layernorm
        real = (batch["block"] >= 0 for batch in self.batches)
        return np.concatenate([norm(held[layer])[mine].numpy() for held, mine in zip(self._held, real, strict=True)])


def code(number: np.ndarray) -> np.ndarray:
    """Numbers of frames as sines and cosines, `[N, 2 * HARMONICS]`."""
    angle = 2 * np.pi * number[:, None] / PERIOD * np.arange(1, HARMONICS + 1)
    return np.concatenate([np.cos(angle), np.sin(angle)], 1)


def free(x: np.ndarray, count: int) -> np.ndarray:
    """Directions that these tokens make the least use of, `[D, count]`."""
    return np.linalg.eigh(np.cov(x.T))[1][:, :count]
