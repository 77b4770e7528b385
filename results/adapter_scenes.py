"""Scenes of BT-Adapter's study: moving things, one after the other, at rest; their frames, signs and captions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from videre.data import world
from videre.data.world.scene import COLOURS, SHAPES

WAYS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
OPPOSITE = {"left": "right", "right": "left", "up": "down", "down": "up"}
SIDE_PX = 48
"""Side of a frame."""


@dataclass(frozen=True)
class Scene:
    """A clip, what it shows, and what it shows when it is run backwards; the same for what stays still."""

    clip: world.Clip
    caption: str
    backwards: str


def scene(seed: int, kind: str | None = None) -> Scene:
    """A thing that moves, two things one after the other, or two at rest side by side."""
    rng = np.random.default_rng([17, seed])
    kind = kind or str(rng.choice(["motion", "order", "still"]))
    background = tuple(int(v) for v in rng.integers(14, 40, 3))
    first, second = (_name(rng) for _ in range(2))
    while second == first:
        second = _name(rng)
    if kind == "motion":
        way = str(rng.choice(list(WAYS)))
        things, told = (_thing(rng, first, 0.0, 8.0, way),), f"the {' '.join(first)} moves"
        return _scene(seed, background, things, f"{told} {way}", f"{told} {OPPOSITE[way]}")
    one, two = " ".join(first), " ".join(second)
    if kind == "order":
        things = (_thing(rng, first, 0.0, 4.0, ""), _thing(rng, second, 4.0, 8.0, ""))
        return _scene(seed, background, things, f"the {one} then the {two}", f"the {two} then the {one}")
    left, right = (_thing(rng, name, 0.0, 8.0, "", x) for name, x in ((first, 0.25), (second, 0.75)))
    caption = f"a {one} and a {two}"
    return _scene(seed, background, (left, right), caption, caption)


def still(seed: int) -> tuple[torch.Tensor, str]:
    """A frame `[3, H, W]` of some scene with a caption: its own, or where the one thing is."""
    rng = np.random.default_rng([18, seed])
    made = scene(seed)
    moment = float(rng.uniform(0.0, 7.99))
    caption = made.caption if rng.random() < 0.5 else made.backwards
    shown = [t for t in made.clip.things if t.shown(np.array([moment]))[0]]
    if len(shown) == 1 and rng.random() < 0.5:
        x, y = shown[0].centre(np.array([moment]))[0] - 0.5
        side = ("left" if x < 0 else "right") if abs(x) > abs(y) else ("up" if y < 0 else "down")
        caption = f"a {shown[0].name} at the {side}"
    return pixels(made.clip, [moment])[0], caption


def signs(seed: int) -> list[tuple[torch.Tensor, str]]:
    """Two pictures that tell what a scene's captions say, forwards and backwards; none of a scene at rest."""
    rng, made = np.random.default_rng([19, seed]), scene(seed)
    if made.caption == made.backwards:
        return []
    sign = _edge_sign if len(made.clip.things) == 1 else _stack_sign
    return [
        (pixels(replace(made.clip, things=sign(rng, made, caption)), [1.0])[0], caption)
        for caption in (made.caption, made.backwards)
    ]


def _edge_sign(rng: np.random.Generator, made: Scene, caption: str) -> tuple[world.Thing, ...]:
    """The thing somewhere on its way, and a grey mark at the edge that it heads for."""
    (thing,) = made.clip.things
    x, y = thing.centre(np.array([rng.uniform(0.0, 7.99)]))[0].clip(0.3, 0.7)
    way = np.array(WAYS[caption.split()[-1]])
    edge = np.where(way == 0, rng.uniform(0.3, 0.7), 0.5 + 0.46 * way)
    mark = world.Thing("grey", "square", "small", (150, 150, 150), 0.1, 0.0, 8.0, path=(*edge, *edge), direction="")
    return mark, replace(thing, path=(x, y, x, y))


def _stack_sign(rng: np.random.Generator, made: Scene, caption: str) -> tuple[world.Thing, ...]:
    """Both things at once, what comes first above what comes then."""
    order = made.clip.things if caption == made.caption else made.clip.things[::-1]
    places = zip(order, rng.uniform(0.3, 0.7, 2), (0.25, 0.75), strict=True)
    return tuple(replace(t, start_seconds=0.0, end_seconds=8.0, path=(x, y, x, y)) for t, x, y in places)


def pixels(clip: world.Clip, seconds: Sequence[float], side_px: int = SIDE_PX) -> torch.Tensor:
    """Frames `[T, 3, H, W]` in [-1, 1]."""
    return torch.from_numpy(world.render(clip, seconds, side_px).pixels).float() / 127.5 - 1


def video(made: Scene, frames: int, side_px: int) -> torch.Tensor:
    """Frames `[T, 3, H, W]` in the middles of as many equal parts."""
    return pixels(made.clip, (np.arange(frames) + 0.5) * 8.0 / frames, side_px)


def _name(rng: np.random.Generator) -> tuple[str, str]:
    return str(rng.choice(list(COLOURS))), str(rng.choice(list(SHAPES)))


def _thing(rng: Any, name: tuple[str, str], start: float, end: float, way: str, x: float | None = None) -> world.Thing:
    radius = float(rng.uniform(0.13, 0.18))
    if way:
        length, lane = float(rng.uniform(0.4, 0.6)), float(rng.uniform(0.25, 0.75))
        a, b = 0.5 - length / 2, 0.5 + length / 2
        a, b = (b, a) if sum(WAYS[way]) < 0 else (a, b)
        path = (a, lane, b, lane) if WAYS[way][0] else (lane, a, lane, b)
    else:
        y = float(rng.uniform(0.25, 0.75))
        x = float(rng.uniform(0.25, 0.75)) if x is None else x
        path = (x, y, x, y)
    return world.Thing(*name, "large", COLOURS[name[0]], radius, start, end, path=path, direction=way)


def _scene(seed: int, background: Any, things: Any, caption: str, backwards: str) -> Scene:
    return Scene(world.Clip(seed, world.Config(), background, things), caption, backwards)
