"""NeedleFrames: short events in long videos, questions that break a different cue each, models that read its pixels.

A video is n candidate frames of 24 x 24 pixels, a grid of 3 x 3 cells. In it happen a few events: a shape in a colour
in one cell, for a frame or two; three events also carry a small badge in another cell. Families of questions:

    S  which shape carries badge b?                 a caption names shape and colour, never the badge
    T  which colour comes right after / before s?   the frame that must be shown is not named by the question
    G  which colour has shape s?                    both see it

Everything that scores, labels, captions or answers is a network that was trained to read single frames, on other
videos. The generator's truth trains these and says which answers are right, and nothing else.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as tf
from torch import nn

from videre.train.fit import FitConfig, fit

CELL, SIDE = 8, 24
SHAPES = ("square", "disc", "cross", "ex", "ring", "triangle", "bar", "pole")
COLOURS = ("red", "green", "blue", "yellow", "purple", "cyan")
BADGES = 6
FAMILIES = ("S", "after", "before", "G")
PAINT = np.array([[220, 50, 50], [50, 190, 70], [60, 90, 230], [230, 210, 60], [170, 60, 200], [60, 210, 210]])


@dataclass(frozen=True)
class Needles:
    """How videos are: candidates, events, first and last burst length in frames, least gap, how many carry badges."""

    n: int = 32
    events: int = 6
    bursts: tuple[int, int] = (1, 2)
    gap: int = 3
    badged: int = 3


@dataclass(frozen=True, eq=False)
class Films:
    """B videos: `pixels` uint8 `[B, n, 3, 24, 24]`; for each of M events start, stop, shape, colour, badge or -1."""

    pixels: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    shape: np.ndarray
    colour: np.ndarray
    badge: np.ndarray


@dataclass(frozen=True)
class Asked:
    """A question: the video it is about, its family, a shape or a badge, and the number of its true answer."""

    film: int
    family: str
    about: int
    answer: int
    evidence: tuple[int, ...]

    @property
    def tokens(self) -> list[int]:
        """As a language model of 18 words reads it."""
        return [FAMILIES.index(self.family), 4 + self.about + (8 if self.family == "S" else 0)]


def masks() -> np.ndarray:
    """The eight shapes `[8, 8, 8]`."""
    y, x = np.mgrid[0:8, 0:8] - 3.5
    inside = np.maximum(abs(x), abs(y)) < 3.2
    found = [
        inside, x**2 + y**2 < 10, inside & ((abs(x) < 1.2) | (abs(y) < 1.2)), inside & (abs(abs(x) - abs(y)) < 1.2),
        inside & (np.maximum(abs(x), abs(y)) > 1.6), inside & (abs(x) < (y + 3.5) / 2), inside & (abs(y) < 1.2),
        inside & (abs(x) < 1.2),
    ]  # fmt: skip
    return np.stack(found)


def badges() -> np.ndarray:
    """Six patterns of 3 x 3 `[6, 3, 3]`."""
    rows = ["111000000", "100100100", "100010001", "010101010", "101000101", "001010100"]
    return np.array([[int(c) for c in row] for row in rows], bool).reshape(BADGES, 3, 3)


def films(draw: np.random.Generator, count: int, config: Needles = Needles()) -> Films:
    """Videos, drawn."""
    n, m = config.n, config.events
    length = draw.integers(config.bursts[0], config.bursts[1] + 1, (count, m))
    slack = n - length.sum(1) - config.gap * (m - 1)
    if slack.min() < 0:
        raise ValueError(f"{config} does not fit")
    cuts = np.sort(draw.integers(0, slack[:, None] + 1, (count, m)), 1)
    before = np.cumsum(length, 1) - length + config.gap * np.arange(m)
    start = cuts + before
    shape = draw.permuted(np.tile(np.arange(8), (count, 1)), axis=1)[:, :m]
    colour = draw.integers(0, len(COLOURS), (count, m))
    badge = np.full((count, m), -1)
    badge[:, : config.badged] = draw.permuted(np.tile(np.arange(BADGES), (count, 1)), axis=1)[:, : config.badged]
    badge = draw.permuted(badge, axis=1)
    told = Films(np.zeros((count, n, 3, SIDE, SIDE), np.uint8), start, start + length, shape, colour, badge)
    return dataclasses.replace(told, pixels=_painted(draw, told, n))


def _painted(draw: np.random.Generator, told: Films, n: int) -> np.ndarray:
    count, m = told.start.shape
    scene = draw.uniform(60, 120, (count, 1, 3, 1, 1)) + 15 * np.sin(np.arange(n) / 9)[None, :, None, None, None]
    pixels = np.broadcast_to(scene, (count, n, 3, SIDE, SIDE)).copy()
    shapes, marks = masks(), badges()
    cell, other = draw.integers(0, 9, (count, m)), draw.integers(1, 9, (count, m))
    for b in range(count):
        for e in range(m):
            frames = pixels[b, told.start[b, e] : told.stop[b, e]]
            y, x = (CELL * v for v in divmod(int(cell[b, e]), 3))
            where = shapes[told.shape[b, e]]
            frames[:, :, y : y + CELL, x : x + CELL][:, :, where] = PAINT[told.colour[b, e]][:, None]
            if told.badge[b, e] >= 0:
                y, x = (CELL * v + 2 for v in divmod(int((cell[b, e] + other[b, e]) % 9), 3))
                pattern = np.where(marks[told.badge[b, e]], 255.0, 0.0)
                frames[:, :, y : y + 3, x : x + 3] = pattern
    noisy = pixels + draw.normal(0, 0.08 * 255, pixels.shape)
    return noisy.clip(0, 255).astype(np.uint8)


def questions(draw: np.random.Generator, told: Films, each: int) -> list[Asked]:
    """`each` questions about every video, families by turns."""
    count = len(told.start)
    return [_question(draw, told, b, "STG"[(b * each + i) % 3]) for b in range(count) for i in range(each)]


def _question(draw: np.random.Generator, told: Films, b: int, family: str) -> Asked:
    m = told.start.shape[1]
    if family == "S":
        e = int(draw.choice(np.flatnonzero(told.badge[b] >= 0)))
        return Asked(b, "S", int(told.badge[b, e]), int(told.shape[b, e]), (e,))
    if family == "G":
        e = int(draw.integers(m))
        return Asked(b, "G", int(told.shape[b, e]), int(told.colour[b, e]), (e,))
    first = int(draw.integers(m - 1))
    anchor, target = (first, first + 1) if draw.random() < 0.5 else (first + 1, first)
    family = "after" if target > anchor else "before"
    return Asked(b, family, int(told.shape[b, anchor]), int(told.colour[b, target]), (anchor, target))


class Seen(nn.Module):
    """A tower and three heads that read one frame: shape, colour, badge, the last class of each being none."""

    def __init__(self, tower: nn.Module, width: int) -> None:
        super().__init__()
        self.tower = tower
        self.mix = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU())
        self.heads = nn.ModuleList(nn.Linear(2 * width, size) for size in (9, 7, 7))

    def forward(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """Logits of shape, colour and badge, for float pixels `[T, 3, 24, 24]` in [-1, 1]."""
        out = self.tower(pixels)
        cells = self.mix(getattr(out, "last_hidden_state", out)).amax(1)
        return [head(cells) for head in self.heads]

    @torch.no_grad()
    def read(self, pixels: np.ndarray) -> list[np.ndarray]:
        """Probabilities of shape `[..., 9]`, colour `[..., 7]`, badge `[..., 7]` for uint8 `[..., 3, 24, 24]`."""
        lead = pixels.shape[:-3]
        told = self(floats(pixels.reshape(-1, 3, SIDE, SIDE)))
        return [torch.softmax(logits, -1).numpy().reshape(*lead, -1) for logits in told]


class Cells(nn.Module):
    """A convolution over cells: another architecture than the transformer's."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, width, CELL, stride=CELL), nn.Conv2d(width, width, 1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """`[T, 9, width]`."""
        return self.second(nn.functional.gelu(self.first(pixels))).flatten(2).transpose(1, 2)


def transformer_tower(width: int = 48) -> Any:
    """A SigLIP vision tower over nine patches."""
    return tf.SiglipVisionModel(
        tf.SiglipVisionConfig(
            hidden_size=width, intermediate_size=2 * width, num_hidden_layers=2, num_attention_heads=4, image_size=SIDE,
            patch_size=CELL, vision_use_head=False,
        )
    )  # fmt: skip


def floats(pixels: np.ndarray) -> torch.Tensor:
    """To [-1, 1]."""
    return torch.from_numpy(pixels).float() / 127.5 - 1


@dataclass(frozen=True)
class Lots:
    """Numbered batches, each drawn from a seed of its own by `make`."""

    make: Callable[[np.random.Generator], Any]
    count: int
    seed: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> Any:
        if not 0 <= number < self.count:
            raise IndexError(number)
        return self.make(np.random.default_rng([self.seed, number]))


def single_frames(draw: np.random.Generator, count: int = 192) -> dict[str, torch.Tensor]:
    """Frames of many videos with what each shows, most of them in an event."""
    told = films(draw, count // 4)
    pixels, truth = [], []
    for b in range(len(told.start)):
        for e in draw.choice(told.start.shape[1], 3, replace=False):
            pixels.append(told.pixels[b, told.start[b, e]])
            truth.append((told.shape[b, e], told.colour[b, e], told.badge[b, e] if told.badge[b, e] >= 0 else BADGES))
        covered = np.zeros(told.pixels.shape[1], bool)
        for start, stop in zip(told.start[b], told.stop[b], strict=True):
            covered[start:stop] = True
        pixels.append(told.pixels[b, int(draw.choice(np.flatnonzero(~covered)))])
        truth.append((len(SHAPES), len(COLOURS), BADGES))
    return {"pixels": floats(np.stack(pixels)), "truth": torch.tensor(np.array(truth))}


def reading_loss(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Cross-entropy of the three heads."""
    logits = model(batch["pixels"])
    losses = [nn.functional.cross_entropy(one, batch["truth"][:, i]) for i, one in enumerate(logits)]
    return torch.stack(losses).sum()


def unread(kind: str) -> Seen:
    """A reader that has not learned yet: a `transformer` or `cells`."""
    return Seen(transformer_tower(), 48) if kind == "transformer" else Seen(Cells(96), 96)


def reader(kind: str, steps: int, seed: int, out: Path) -> Seen:
    """A network that reads single frames, trained on videos of its own."""
    torch.manual_seed(seed)
    model = unread(kind)
    fit(model, Lots(single_frames, steps, seed), reading_loss, FitConfig(str(out), steps, lr=4e-3, seed=seed))
    return model.eval()


class Likeness(nn.Module):
    """A small CLIP: frames and captions of shape and colour in one space."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.tower, self.out = Cells(width), nn.Linear(width, 32)
        self.words = nn.Embedding(len(SHAPES) + len(COLOURS) + 1, 32)

    def images(self, pixels: torch.Tensor) -> torch.Tensor:
        """Unit vectors of frames."""
        return nn.functional.normalize(self.out(self.tower(pixels).amax(1)), dim=-1)

    def texts(self, shape: torch.Tensor, colour: torch.Tensor) -> torch.Tensor:
        """Unit vectors of captions; a word that is not said is the class past the last."""
        shown = shape.clamp(max=len(SHAPES)), colour + len(SHAPES) + 1
        words = self.words(shown[0]) + torch.where(
            (colour < len(COLOURS))[:, None], self.words(shown[1].clamp(max=len(SHAPES) + len(COLOURS))), 0.0
        )
        return nn.functional.normalize(words, dim=-1)


def likeness_loss(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Contrastive: each frame with its caption among those of the batch; equal captions are all right."""
    shape, colour = batch["truth"][:, 0], batch["truth"][:, 1]
    logits = 10 * model.images(batch["pixels"]) @ model.texts(shape, colour).T
    same = ((shape[:, None] == shape) & (colour[:, None] == colour)).float()
    return nn.functional.cross_entropy(logits, same / same.sum(1, keepdim=True))


def likeness(steps: int, seed: int, out: Path) -> Likeness:
    """The CLIP stand-in, trained on captions of single frames."""
    torch.manual_seed(seed)
    model = Likeness()
    fit(model, Lots(single_frames, steps, seed), likeness_loss, FitConfig(str(out), steps, lr=4e-3, seed=seed))
    return model.eval()


@torch.no_grad()
def similarity(model: Likeness, told: Films, asked: Sequence[Asked]) -> np.ndarray:
    """Cosine of each frame with the words of the question that a caption could hold `[Q, n]`."""
    count, n = told.pixels.shape[:2]
    images = model.images(floats(told.pixels.reshape(-1, 3, SIDE, SIDE))).view(count, n, -1)
    shape = torch.tensor([len(SHAPES) if one.family == "S" else one.about for one in asked])
    texts = model.texts(shape, torch.full_like(shape, len(COLOURS)))
    # A question for a badge names nothing that a caption holds: what is left of it is "something that is there".
    sign = torch.tensor([-1.0 if one.family == "S" else 1.0 for one in asked])
    return torch.einsum("qnd,qd->qn", images[[one.film for one in asked]], texts * sign[:, None]).double().numpy()


def spatial(seen: Sequence[np.ndarray], asked: Sequence[Asked]) -> np.ndarray:
    """P(True) of a judge that looks at one frame and reads the question `[Q, n]`.

    It says True to what is asked for, where it sees it; of an order it cannot say which other event matters, and marks
    each a little.
    """
    shape, _, badge = seen
    scores = []
    for one in asked:
        named = shape[one.film, :, one.about] if one.family != "S" else badge[one.film, :, one.about]
        nothing = shape[one.film, :, len(SHAPES)]
        other = (1 - nothing - named).clip(0)
        scores.append(named if one.family in "SG" else 0.9 * named + 0.3 * other + 0.05 * nothing)
    return np.stack(scores)


def captions(seen: Sequence[np.ndarray]) -> list[list[str]]:
    """One line a frame: shape and colour, or nothing; badges are too small for a caption."""
    shape, colour = seen[0].argmax(-1), seen[1].argmax(-1)
    return [
        [
            "nothing" if s == len(SHAPES) else f"a {COLOURS[min(c, len(COLOURS) - 1)]} {SHAPES[s]}"
            for s, c in zip(shapes, colours, strict=True)
        ]
        for shapes, colours in zip(shape, colour, strict=True)
    ]


def listed(lines: Sequence[str], one: Asked, draw: np.random.Generator) -> list[int]:
    """What a reader of captions lists for a question: frames that show the shape, and for an order the next event too.

    A badge stands in no caption: three events are guessed.
    """
    runs: list[tuple[str, list[int]]] = []
    for i, line in enumerate(lines):
        word = line.rpartition(" ")[2]
        if word == "nothing":
            continue
        if runs and runs[-1][0] == word and i - runs[-1][1][-1] == 1:
            runs[-1][1].append(i)
        else:
            runs.append((word, [i]))
    if one.family == "S":
        picked = draw.permutation(len(runs))[:3]
        return sorted(i for place in picked for i in runs[place][1])
    anchors = [i for i, (word, _) in enumerate(runs) if word == SHAPES[one.about]]
    step = {"after": 1, "before": -1, "G": 0}[one.family]
    wanted = {j for i in anchors for j in (i, i + step) if 0 <= j < len(runs)}
    return sorted(i for j in wanted for i in runs[j][1])


def temporal(seen: Sequence[np.ndarray], asked: Sequence[Asked], draw: np.random.Generator) -> np.ndarray:
    """Zeros and ones of the frames that are listed from captions `[Q, n]`."""
    lines = captions(seen)
    scores = np.zeros((len(asked), seen[0].shape[1]))
    for row, one in zip(scores, asked, strict=True):
        row[listed(lines[one.film], one, draw)] = 1.0
    return scores


def answers(seen: Sequence[np.ndarray], asked: Sequence[Asked], chosen: Sequence[Sequence[int]]) -> np.ndarray:
    """Whether each question is answered right from the chosen frames alone, 0 or 1 `[Q]`; what is not seen is guessed.

    The answerer reads the frames with its own network and goes by their order.
    """
    read = [part.argmax(-1) for part in seen]
    pairs = zip(asked, chosen, strict=True)
    return np.array([_right(one, *(part[one.film][list(frames)] for part in read)) for one, frames in pairs])


def _right(one: Asked, shape: np.ndarray, colour: np.ndarray, badge: np.ndarray) -> float:
    guess = 1 / (len(SHAPES) if one.family == "S" else len(COLOURS))
    if one.family == "S":
        found = shape[(badge == one.about) & (shape < len(SHAPES))]
        return float(found[0] == one.answer) if len(found) else guess
    there = np.flatnonzero(shape == one.about)
    if not len(there):
        return guess
    if one.family == "G":
        return float(colour[there[0]] == one.answer)
    events = np.flatnonzero((shape < len(SHAPES)) & (shape != one.about))
    later = events[events > there[-1]] if one.family == "after" else events[events < there[0]][::-1]
    return float(colour[later[0]] == one.answer) if len(later) else guess
