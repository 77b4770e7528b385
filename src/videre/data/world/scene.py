"""The generated world: a seed in, a clip out that knows the exact truth about itself.

A clip is a flat dark stage on which coloured shapes appear, cross or rest, and leave. Colours are unique within a clip,
so a colour names a thing. Moments of appearance are well apart, so that order can be told from a handful of frames.
Nothing here draws or writes: see `render` and `film`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from videre.types import Box, Span

VERSION = 1
"""Part of every seed: the same seed of another version is another clip."""

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (225, 40, 40),
    "green": (40, 175, 70),
    "blue": (45, 85, 235),
    "yellow": (242, 222, 50),
    "purple": (150, 55, 200),
    "orange": (245, 140, 30),
    "cyan": (60, 210, 220),
    "white": (242, 242, 242),
}
SHAPES: dict[str, tuple[float, float, float, float]] = {
    "circle": (-1.0, -1.0, 1.0, 1.0),
    "square": (-0.86, -0.86, 0.86, 0.86),
    "triangle": (-1.0, -0.9, 1.0, 0.8),
    "star": (-0.951057, -1.0, 0.951057, 0.809017),
    "cross": (-1.0, -1.0, 1.0, 1.0),
    "ring": (-1.0, -1.0, 1.0, 1.0),
}
"""Each shape's exact extent (x0, y0, x1, y1) in units of its radius."""

DIRECTIONS: dict[str, tuple[float, float]] = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
SIZES: dict[str, tuple[float, float]] = {"small": (0.105, 0.125), "large": (0.15, 0.18)}
"""Radius of a thing, lowest and highest, as a share of the frame's side."""


@dataclass(frozen=True)
class Config:
    """What kind of clips to make.

    Attributes:
        seconds: length of the clip.
        fps: frames a second.
        size_px: side of the square frame.
        things: fewest and most things in a clip.
        still: share of things that do not move.
        noise: standard deviation of grain on every pixel, in grey levels; 0 for none.
    """

    seconds: float = 8.0
    fps: int = 10
    size_px: int = 192
    things: tuple[int, int] = (1, 4)
    still: float = 0.2
    noise: float = 0.0

    def __post_init__(self) -> None:
        low, high = self.things
        if not 1 <= low <= high <= len(COLOURS):
            raise ValueError(f"things are 1 to {len(COLOURS)}, fewest first, got {self.things}")
        if self.seconds < 1 or self.fps < 1 or self.size_px < 16 or self.size_px % 2:
            raise ValueError(f"a clip has 1 s, 1 fps and an even side of 16 px at least, got {self}")


@dataclass(frozen=True)
class Thing:
    """A coloured shape, from where and when it appears to where and when it leaves.

    Positions and `radius` are shares of the frame's side; it is shown at `start <= t < end`. `direction` is "" for one
    at rest.
    """

    colour: str
    shape: str
    size: str
    rgb: tuple[int, int, int]
    radius: float
    start_seconds: float
    end_seconds: float
    path: tuple[float, float, float, float]
    direction: str

    @property
    def name(self) -> str:
        """What people call it: "red circle"."""
        return f"{self.colour} {self.shape}"

    @property
    def span(self) -> Span:
        """When it is shown."""
        return Span(self.start_seconds, self.end_seconds, label=self.name)

    def shown(self, seconds: Float64[np.ndarray, " T"]) -> np.ndarray:
        """Whether it is on the stage at each moment, `[T]` of bool."""
        return (seconds >= self.start_seconds - 1e-9) & (seconds < self.end_seconds - 1e-9)

    def centre(self, seconds: Float64[np.ndarray, " T"]) -> Float64[np.ndarray, "T 2"]:
        """Where its centre is, x and y as shares of the frame's side."""
        x0, y0, x1, y1 = self.path
        share = np.clip((seconds - self.start_seconds) / (self.end_seconds - self.start_seconds), 0.0, 1.0)
        return np.stack([x0 + (x1 - x0) * share, y0 + (y1 - y0) * share], axis=1)

    def box(self, seconds: float) -> Box:
        """Its exact extent at one moment."""
        (x, y), extent = self.centre(np.array([seconds]))[0], SHAPES[self.shape]
        corners = [c + self.radius * e for c, e in zip((x, y, x, y), extent, strict=True)]
        x0, y0, x1, y1 = (float(min(max(c, 0.0), 1.0)) for c in corners)
        return Box(seconds, x0, y0, x1, y1, label=self.name)


@dataclass(frozen=True)
class Clip:
    """A video that has not been drawn yet, and all that is true of it. Things are in order of appearance."""

    seed: int
    config: Config
    background: tuple[int, int, int]
    things: tuple[Thing, ...]

    @property
    def frame_seconds(self) -> Float64[np.ndarray, " T"]:
        """The moment of every frame of the written file."""
        count = round(self.config.seconds * self.config.fps)
        return np.arange(count, dtype=np.float64) / self.config.fps

    def boxes(self, seconds: float) -> tuple[Box, ...]:
        """The box of each thing on the stage at one moment."""
        return tuple(t.box(seconds) for t in self.things if t.shown(np.array([seconds]))[0])


def make(seed: int, config: Config | None = None) -> Clip:
    """The clip of a seed: the same seed and config, the same clip, down to the bytes of its file."""
    config = config or Config()
    rng = np.random.default_rng([VERSION, seed])
    count = int(rng.integers(config.things[0], config.things[1] + 1))
    colours = rng.permutation(list(COLOURS))[:count]
    background = tuple(int(v) for v in rng.integers(14, 34) + rng.integers(0, 26, 3))
    things: list[Thing] = []
    for colour, span in zip(colours, _spans(rng, count, config), strict=True):
        tries = (_thing(rng, str(colour), span, config) for _ in range(40))
        free = next((t for t in tries if not any(_collide(t, other) for other in things)), None)
        if free:
            things.append(free)
    return Clip(seed, config, background, tuple(things))  # type: ignore[arg-type]


def _spans(rng: np.random.Generator, count: int, config: Config) -> list[tuple[float, float]]:
    # Appearances lie at least a sixth of the clip apart: eight even frames then always show who came first.
    gap, least = config.seconds / 6, config.seconds / 3.2
    slack = max(0.0, config.seconds - least - gap * (count - 1))
    offsets = np.sort(rng.uniform(0, slack, count))
    if rng.random() < 0.6:
        offsets -= offsets[0]
    spans = []
    for i, offset in enumerate(offsets):
        start = min(offset + gap * i, config.seconds - least)
        end = config.seconds if rng.random() < 0.5 else rng.uniform(start + least, config.seconds)
        spans.append((round(start * config.fps) / config.fps, round(end * config.fps) / config.fps))
    return spans


def _thing(rng: np.random.Generator, colour: str, span: tuple[float, float], config: Config) -> Thing:
    size = str(rng.choice(list(SIZES)))
    radius = float(rng.uniform(*SIZES[size]))
    direction = "" if rng.random() < config.still else str(rng.choice(list(DIRECTIONS)))
    shape = str(rng.choice(list(SHAPES)))
    rgb = tuple(int(v) for v in np.clip(np.array(COLOURS[colour]) + rng.integers(-10, 11, 3), 0, 255))
    path = _path(rng, direction, radius + 0.01)
    return Thing(colour, shape, size, rgb, radius, *span, path=path, direction=direction)  # type: ignore[arg-type]


def _path(rng: np.random.Generator, direction: str, margin: float) -> tuple[float, float, float, float]:
    lane = float(rng.uniform(margin, 1 - margin))
    if not direction:
        other = float(rng.uniform(margin, 1 - margin))
        return (lane, other, lane, other)
    length = float(rng.uniform(0.35, 1 - 2 * margin))
    low = float(rng.uniform(margin, 1 - margin - length))
    start, end = (low, low + length) if direction in ("right", "down") else (low + length, low)
    return (start, lane, end, lane) if direction in ("left", "right") else (lane, start, lane, end)


def _collide(a: Thing, b: Thing) -> bool:
    """Whether one hides a good part of the other at some moment."""
    start, end = max(a.start_seconds, b.start_seconds), min(a.end_seconds, b.end_seconds)
    if end <= start:
        return False
    times = np.linspace(start, end, 12)
    apart = np.abs(a.centre(times) - b.centre(times)).max(axis=1)
    return bool((apart < 0.85 * (a.radius + b.radius)).any())
