"""Curves over NeedleFrames: right answers by candidates, by how long events last, and by how near two events lie."""

import needle_frames as needles
import numpy as np
from needle_frames import Films, Needles
from needle_selectors import World, labels

from videre.video.strategies import nms_greedy, top_k


def uniform(n: int, k: int) -> list[int]:
    """Bin centres."""
    return [int((i + 0.5) * n / k) for i in range(k)]


def density(models: World, seed: int, films: int) -> list[tuple[int, float]]:
    """Right answers from 4 frames by both labels, by the number of candidates that may be chosen from."""
    draw = np.random.default_rng([seed, 78])
    told = needles.films(draw, films)
    asked = needles.questions(draw, told, 4)
    seen, curve = models.other.read(told.pixels), labels(models, told, asked, draw)["both"]
    rows = []
    for pool in (4, 8, 16, 32):
        places = np.array(uniform(Needles().n, pool))
        chosen = [places[nms_greedy(line[places], 4)] for line in curve]
        rows.append((pool, float(needles.answers(seen, asked, chosen).mean())))
    return rows


def bursts(models: World, seed: int, films: int) -> list[tuple[str, float]]:
    """The gain of 4 frames by both labels over 8 uniform ones, by how long events last; 64 candidates."""
    rows = []
    for low, high in ((1, 2), (3, 4), (5, 6), (7, 8)):
        config = Needles(n=64, events=5, bursts=(low, high), gap=4)
        draw = np.random.default_rng([seed, 79])
        told = needles.films(draw, films // 2, config)
        asked = needles.questions(draw, told, 4)
        seen, curve = models.other.read(told.pixels), labels(models, told, asked, draw)["both"]
        ours = needles.answers(seen, asked, [nms_greedy(line, 4) for line in curve]).mean()
        even = needles.answers(seen, asked, [uniform(64, 8)] * len(asked)).mean()
        rows.append((f"{low}-{high}", float(ours - even)))
    return rows


def nms_limit(models: World, seed: int, films: int) -> list[tuple[int, float, float]]:
    """Questions of order whose two events lie `gap` apart: right by NMS and by top-k, 4 of 128 candidates (delta 8)."""
    rows = []
    for gap in (1, 2, 4, 6, 8, 12):
        config = Needles(n=128, events=2, bursts=(1, 1), gap=gap, badged=0)
        draw = np.random.default_rng([seed, 80])
        told = _near(needles.films(draw, max(6, films // 2), config), draw, gap)
        asked = [needles._question(draw, told, b, "T") for b in range(len(told.start))]
        seen, curve = models.other.read(told.pixels), labels(models, told, asked, draw)["both"]
        by = [needles.answers(seen, asked, [pick(line, 4) for line in curve]).mean() for pick in (nms_greedy, top_k)]
        rows.append((gap, float(by[0]), float(by[1])))
    return rows


def _near(told: Films, draw: np.random.Generator, gap: int) -> Films:
    """The same videos with the second event `gap` frames after the first."""
    start = told.start.copy()
    start[:, 0] = np.minimum(start[:, 0], told.pixels.shape[1] - gap - 1)
    start[:, 1] = start[:, 0] + gap
    moved = needles.dataclasses.replace(told, start=start, stop=start + 1)
    return needles.dataclasses.replace(moved, pixels=needles._painted(draw, moved, told.pixels.shape[1]))


CURVES = {"density": density, "bursts": bursts, "nms limit": nms_limit}
