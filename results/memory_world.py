"""What the memory's study looks at: pictures of things among scenery, minutes with needles, and hours with one.

All of it is written as H.264 and decoded again. A question is always "what shape is the COLOUR thing ?".
"""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from videre.data import world
from videre.data.world.scene import COLOURS, SHAPES, Clip, Config, Thing
from videre.video.open import open_video

SIDE_PX, CELLS = 48, 9
"""A picture has 3 x 3 cells, and each thing lies in one of them."""
GREYS = ((70, 70, 74), (96, 92, 88), (120, 122, 128))
STAGES = ((24, 24, 28), (16, 28, 40), (40, 24, 24), (22, 40, 26), (44, 40, 20), (36, 22, 44))
RADIUS = 0.15


@dataclass(frozen=True)
class Minute:
    """How a video with needles is made.

    Attributes:
        frames: frames, one a second.
        things: coloured things, each shown alone and once.
        shown: frames that a thing is shown.
        scenes: stretches with a stage and scenery of their own, one after the other.
        scenery: grey things in each scene.
    """

    frames: int = 60
    things: int = 6
    shown: int = 2
    scenes: int = 4
    scenery: int = 3


def thing(rng: np.random.Generator, colour: str, cell: int, start: float, stop: float) -> Thing:
    """A thing of a colour, of a random shape, in a cell."""
    x, y = ((place + 0.5) / 3 + rng.uniform(-0.02, 0.02) for place in (cell % 3, cell // 3))
    rgb = COLOURS.get(colour) or GREYS[rng.integers(len(GREYS))]
    return Thing(colour, str(rng.choice(list(SHAPES))), "large", rgb, RADIUS, start, stop, (x, y, x, y), "")


def stage(rng: np.random.Generator, start: float, stop: float) -> Thing:
    """What lies behind everything for a while."""
    rgb = STAGES[rng.integers(len(STAGES))]
    return Thing("stage", "square", "large", rgb, 2.0, start, stop, (0.5, 0.5, 0.5, 0.5), "")


def pictures(seed: int, count: int = 60) -> Clip:
    """A video of single pictures, a second each: one to four coloured things among scenery."""
    rng = np.random.default_rng([8, seed])
    told: list[Thing] = []
    for k in range(count):
        start, stop, cells = k - 0.25, k + 0.75, rng.permutation(CELLS)
        grey, bright = int(rng.integers(0, 4)), int(rng.integers(1, 5))
        told.append(stage(rng, start, stop))
        told += [thing(rng, "grey", int(cell), start, stop) for cell in cells[:grey]]
        colours = rng.permutation(list(COLOURS))[:bright]
        told += [thing(rng, str(c), int(cell), start, stop) for c, cell in zip(colours, cells[4:], strict=False)]
    return Clip(seed, Config(seconds=float(count), fps=1, size_px=SIDE_PX, noise=2.0), (24, 24, 28), tuple(told))


def minute(seed: int, how: Minute) -> Clip:
    """A video in scenes, with things that are shown for a moment each, one after the other."""
    rng = np.random.default_rng([9, seed])
    cuts = [0, *sorted(rng.permutation(np.arange(5, how.frames - 5))[: how.scenes - 1].tolist()), how.frames]
    told: list[Thing] = []
    for start, stop in pairwise(cuts):
        told.append(stage(rng, start - 0.25, stop - 0.25))
        told += [thing(rng, "grey", int(c), start - 0.25, stop - 0.25) for c in rng.permutation(CELLS)[: how.scenery]]
    room = how.shown + 1
    starts = np.sort(rng.permutation((how.frames - 3) // room)[: how.things]) * room + 1
    colours = rng.permutation(list(COLOURS))[: how.things]
    told += [
        thing(rng, str(c), int(rng.integers(CELLS)), s - 0.25, s - 0.25 + how.shown)
        for c, s in zip(colours, starts.tolist(), strict=True)
    ]
    config = Config(seconds=float(how.frames), fps=1, size_px=SIDE_PX, noise=2.0)
    return Clip(seed, config, (24, 24, 28), tuple(told))


def asked(clip: Clip) -> list[Thing]:
    """The things that there is a question about, in order of appearance."""
    return [one for one in clip.things if one.colour in COLOURS]


def decoded(clips: Iterable[Clip]) -> Iterator[np.ndarray]:
    """The frames of each clip once it was written and read again `[T, 3, H, W]`."""
    with tempfile.TemporaryDirectory() as folder:
        for clip in clips:
            path = world.write(clip, Path(folder) / "clip.mp4")
            with open_video(path) as video:
                yield np.concatenate([chunk.pixels for chunk in video.stream(1.0)])


def labels(clips: Sequence[Clip], frames: int) -> np.ndarray:
    """The colour and the shape in each cell of each frame, past the last for none `[V, T, 9, 2]`."""
    truth = np.full((len(clips), frames, CELLS, 2), (len(COLOURS) + 1, len(SHAPES)))
    for v, clip in enumerate(clips):
        for one in clip.things:
            if one.colour == "stage":
                continue
            cell = int(one.path[0] * 3) + 3 * int(one.path[1] * 3)
            number = [*COLOURS, "grey"].index(one.colour), list(SHAPES).index(one.shape)
            truth[v, one.shown(np.arange(float(frames))), cell] = number
    return truth
