"""What a detector of the world finds on held-out frames."""

from collections.abc import Callable, Iterator

import numpy as np

from videre.data import world
from videre.data.world.scene import COLOURS, SHAPES
from videre.models.detector import Detector
from videre.types import Box, Frames

NAMES = [f"{colour} {shape}" for colour in COLOURS for shape in SHAPES]
Picture = Callable[[int, int], tuple[np.ndarray, tuple[Box, ...]]]
"""A seed and a side in pixels in, a frame `[3, H, W]` and the boxes of its things out."""


def measure(detector: Detector, picture: Picture, count: int = 300, size_px: int = 192) -> dict[str, float]:
    """On held-out frames: how often a name's best box is right, by colour alone too, and a missing name has none."""
    tallies: dict[str, list[float]] = {"named": [], "colour": [], "nothing there": [], "overlap": []}
    for kind, value in _tallied(detector, picture, count, size_px):
        tallies[kind].append(value)
    return {kind: float(np.mean(values or [0.0])) for kind, values in tallies.items()} | {
        "things": float(len(tallies["named"]))
    }


def _tallied(detector: Detector, picture: Picture, count: int, size_px: int) -> Iterator[tuple[str, float]]:
    for seed in range(world.HELD_OUT_SEED, world.HELD_OUT_SEED + count):
        pixels, boxes = picture(seed, size_px)
        frame = Frames(pixels[None], np.zeros(1))
        for box in boxes:
            overlaps = [_overlap(s, box, size_px) for s in detector.detect(frame, f"the {box.label}")[0][:1]] or [0.0]
            yield "named", float(overlaps[0] >= 0.5)
            if overlaps[0]:
                yield "overlap", overlaps[0]
            by_colour = detector.detect(frame, f"{box.label.split()[0]} thing")[0][:1]
            yield "colour", float(any(_overlap(s, box, size_px) >= 0.5 for s in by_colour))
        rng = np.random.default_rng([seed, 32])
        absent = sorted(set(NAMES) - {box.label for box in boxes})
        yield "nothing there", float(not detector.detect(frame, str(rng.choice(absent)))[0])


def _overlap(seen: tuple[float, ...], box: Box, size_px: int) -> float:
    a, b = seen[:4], [v * size_px for v in (box.x0, box.y0, box.x1, box.y1)]
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, wide) * max(0.0, high)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)
