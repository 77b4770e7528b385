"""Of the boxes that a detector saw in each frame, the ones that are one thing's: chosen together, not frame by frame.

A detector may like a second thing better in one frame, and see nothing in the next. The path whose scores and overlaps
sum to the most wins (a Viterbi search), and frames without a box between two that have one are filled in on a line.

Source: our own; a tracking operator is an option of the specification, the paper has none.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from videre.methods.msr_vir.modules import Seen
from videre.types import JSON

Held = tuple[int, Seen]
"""The number of a frame, and the box that was taken in it."""
MISS = 0.25
"""What a frame without a box costs: below it a box is worth leaving out, were scores all that counts."""
MOST = 8
"""Boxes of a frame that are looked at, the best ones."""
JUMP = 1.0
"""What it costs at most to be elsewhere one sampled frame later."""


def linked(found: Sequence[Sequence[Seen]]) -> list[list[Seen]]:
    """The boxes of one thing, at most one a frame, in frames that follow one another.

    Args:
        found: the boxes of each frame, best first, in pixels.

    Returns:
        As many frames; those before the thing is first seen and after it is last seen stay empty.
    """
    path = _path(found)
    seen = [i for i, choice in enumerate(path) if choice is not None]
    return [[_at(i, path, seen)] if seen and seen[0] <= i <= seen[-1] else [] for i in range(len(found))]


def changes(found: Sequence[Sequence[Seen]], one: Sequence[Sequence[Seen]]) -> dict[str, JSON]:
    """The frames where another box than the best was taken, one was filled in, or none was taken."""
    pairs = list(zip(found, one, strict=True))
    return {
        "other_box": [i for i, (seen, now) in enumerate(pairs) if now and now[0] in seen[1:]],
        "filled_in": [i for i, (seen, now) in enumerate(pairs) if now and now[0] not in seen],
        "left_out": [i for i, (seen, now) in enumerate(pairs) if seen and not now],
    }


def _path(found: Sequence[Sequence[Seen]]) -> list[Seen | None]:
    """The best choice for each frame. A state is the last box that was taken, with its frame; a miss keeps it."""
    best: dict[Held | None, tuple[float, list[Seen | None]]] = {None: (0.0, [])}
    for i, boxes in enumerate(found):
        fresh = {held: (worth - MISS, [*path, None]) for held, (worth, path) in best.items()}
        for box in boxes[:MOST]:
            gained = ((worth + box[4] - jump(held, (i, box)), path) for held, (worth, path) in best.items())
            worth, path = max(gained, key=lambda pair: pair[0])
            fresh[i, box] = (worth, [*path, box])
        best = fresh
    return max(best.values(), key=lambda pair: pair[0])[1]


def jump(before: Held | None, now: Held) -> float:
    """What going from one box to another costs a frame: how far the centre goes, in sizes of the box, and growth."""
    if before is None:
        return 0.0
    (x, y, w, h), (u, v, a, b) = _centred(before[1]), _centred(now[1])
    size = math.sqrt(max(w * h, a * b))
    far = math.hypot(x - u, y - v) / (4 * size)
    growth = abs(math.log((w * h) / (a * b))) / 4
    return min(JUMP, (far + growth) / (now[0] - before[0]))


def _centred(box: Seen) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = box[:4]
    return (x0 + x1) / 2, (y0 + y1) / 2, max(x1 - x0, 1.0), max(y1 - y0, 1.0)


def _at(i: int, path: Sequence[Seen | None], seen: Sequence[int]) -> Seen:
    """The box of a frame, on a line between its neighbours where none was taken; then with the lower of both scores."""
    chosen = path[i]
    if chosen is not None:
        return chosen
    left, right = max(j for j in seen if j < i), min(j for j in seen if j > i)
    a, b = (np.array(path[j], np.float64) for j in (left, right))
    share = (i - left) / (right - left)
    corners: Float[np.ndarray, 5] = (1 - share) * a + share * b
    x0, y0, x1, y1 = corners[:4].tolist()
    return x0, y0, x1, y1, float(min(a[4], b[4]))
