"""Draws a clip: any moments at any size, straight to pixels, with smooth edges."""

from collections.abc import Callable, Sequence

import numpy as np

from videre.data.world.scene import Clip, Thing
from videre.types import Frames

Grid = np.ndarray


def render(clip: Clip, seconds: Sequence[float] | np.ndarray, size_px: int | None = None) -> Frames:
    """What the clip shows at these moments, without any coding loss.

    Args:
        clip: what to draw.
        seconds: ascending moments within the clip.
        size_px: side of the square frames; None takes the clip's own.
    """
    size = size_px or clip.config.size_px
    times = np.asarray(seconds, dtype=np.float64)
    pixels = np.empty((len(times), 3, size, size), dtype=np.float32)
    pixels[:] = np.array(clip.background, dtype=np.float32)[:, None, None]
    for thing in clip.things:
        _paint(pixels, thing, times)
    if clip.config.noise:
        pixels += _grain(clip, times, size)
    return Frames(np.clip(np.rint(pixels), 0, 255).astype(np.uint8), times)


def _paint(pixels: np.ndarray, thing: Thing, seconds: np.ndarray) -> None:
    size, rgb = pixels.shape[-1], np.array(thing.rgb, dtype=np.float32)[:, None, None]
    shown = np.flatnonzero(thing.shown(seconds))
    radius_px = thing.radius * size
    reach = int(np.ceil(radius_px)) + 1
    for i, (x, y) in zip(shown, thing.centre(seconds[shown]) * size, strict=True):
        left, top = max(int(x) - reach, 0), max(int(y) - reach, 0)
        right, bottom = min(int(x) + reach + 1, size), min(int(y) + reach + 1, size)
        v, u = np.ogrid[top:bottom, left:right]
        distance = DISTANCE[thing.shape]((u + 0.5 - x) / radius_px, (v + 0.5 - y) / radius_px)
        alpha = np.clip(0.5 - distance * radius_px, 0.0, 1.0).astype(np.float32)
        patch = pixels[i, :, top:bottom, left:right]
        patch += alpha * (rgb - patch)


def _grain(clip: Clip, seconds: np.ndarray, size: int) -> np.ndarray:
    # Seeded by the moment, so that a frame looks the same whichever others are drawn with it.
    grains = [np.random.default_rng([clip.seed, round(s * 1000)]).normal(size=(3, size, size)) for s in seconds]
    return clip.config.noise * np.array(grains, dtype=np.float32).reshape(-1, 3, size, size)


def _circle(x: Grid, y: Grid) -> Grid:
    return np.hypot(x, y) - 1.0


def _ring(x: Grid, y: Grid) -> Grid:
    return np.abs(np.hypot(x, y) - 0.76) - 0.24


def _square(x: Grid, y: Grid) -> Grid:
    return np.maximum(np.abs(x), np.abs(y)) - 0.86


def _cross(x: Grid, y: Grid) -> Grid:
    ax, ay = np.abs(x), np.abs(y)
    return np.minimum(np.maximum(ax - 0.3, ay - 1.0), np.maximum(ax - 1.0, ay - 0.3))


def _triangle(x: Grid, y: Grid) -> Grid:
    # Corners (0, -0.9), (1, 0.8), (-1, 0.8): below the base line and outside the slanted sides is positive.
    side = (np.abs(x) * 1.7 - (y + 0.9)) / np.hypot(1.7, 1.0)
    return np.maximum(side, y - 0.8)


def _star(x: Grid, y: Grid) -> Grid:
    # Five points: fold the plane into half a point, then take the distance to the one edge that is left.
    angle, radius = np.arctan2(x, -y), np.hypot(x, y)
    half = np.pi / 5
    folded = np.abs((angle + half) % (2 * half) - half)
    u, v = radius * np.cos(folded), radius * np.sin(folded)
    inner = 0.42
    du, dv = inner * np.cos(half) - 1.0, inner * np.sin(half)
    return (dv * (u - 1.0) - du * v) / np.hypot(du, dv)


DISTANCE: dict[str, Callable[[Grid, Grid], Grid]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "cross": _cross,
    "ring": _ring,
}
"""Signed distance to each shape's edge in units of its radius, negative inside."""
