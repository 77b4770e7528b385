"""Guessers who see the true things of some frames and their places, and nothing of when: what order adds to a question.

A guesser takes the options that what is seen leaves open, by rules of the kind of question, and draws one of them.
Shown all frames of the asked part it is `shuffled`, shown one of them `one frame`.
"""

import re
from collections.abc import Iterator, Sequence

import numpy as np

from videre.data import world
from videre.data.world.scene import COLOURS, SHAPES
from videre.data.world.story_questions import DOES
from videre.types import Box, Sample

NAMED = re.compile(rf"\b(?:{'|'.join(COLOURS)}) (?:{'|'.join(SHAPES)})\b")
FPS = 2.0
SIDES = {(0, 1): "left", (0, -1): "right", (1, 1): "above", (1, -1): "below"}
"""Axis and sign of the way from the one that touches to the one that is touched -> where it comes from."""
AHEAD = {(0, 1): "right", (0, -1): "left", (1, 1): "down", (1, -1): "up"}
PLACED = {(0, 1): "on the right", (0, -1): "on the left", (1, 1): "at the bottom", (1, -1): "at the top"}

Seen = Sequence[Sequence[Box]]
"""The things of each frame."""


def frames(story: world.Story) -> list[tuple[float, Sequence[Box]]]:
    """Moments of a story, twice a second, and what each shows."""
    moments = np.arange(0, story.config.seconds - 0.1, 1 / FPS)
    return [(float(t), story.window(t, t).boxes(t)) for t in moments]


def shares(whole: Sequence[tuple[float, Sequence[Box]]], sample: Sample) -> dict[str, float]:
    """How often each guesser is right about a question, by the frames of the part that it asks about."""
    part = sample.clip
    seen = [boxes for t, boxes in whole if not part or part.start_seconds <= t < part.end_seconds]
    return {"one_frame": float(np.mean([right(sample, [one]) for one in seen])), "shuffled": right(sample, seen)}


def right(sample: Sample, seen: Seen) -> float:
    """How often a guess among the options that are left is right."""
    left = list(_left(sample, seen)) or list(sample.question.options)
    return (sample.answer in left) / len(left)


def _left(sample: Sample, seen: Seen) -> Iterator[str]:
    options, kind = sample.question.options, str(sample.kind)
    asked = NAMED.findall(sample.question.text)
    if kind == "Interaction":
        yield from _happens(asked[0], seen)
    elif kind in ("DO", "DL", "CH", "Prediction"):
        told = {"DO": _turned, "DL": _placed, "CH": _sided, "Prediction": _ahead}[kind](asked, seen)
        yield from (option for option in options if told and option.endswith(told))
    elif kind != "DC":
        is_with = kind in ("CW", "TC", "Feasibility")
        near = {box.label for boxes in seen if not is_with or _one(asked[0], boxes) for box in boxes} - set(asked)
        names = near or {box.label for boxes in seen for box in boxes} - set(asked)
        yield from (option for option in options if names & set(NAMED.findall(option)))


def _one(name: str, boxes: Sequence[Box]) -> Box | None:
    return next((box for box in boxes if box.label == name), None)


def _happens(name: str, seen: Seen) -> Iterator[str]:
    """What may happen with a thing that is seen alone, or with another, or with one that has changed its colour."""
    known = [boxes for boxes in seen if _one(name, boxes)]
    if known and max(map(len, known)) == 1:
        yield from (DOES["blink"], DOES["stop"])
    elif known:
        has_turned = any(box.label.startswith(("cyan", "white")) for boxes in known for box in boxes)
        yield from ([DOES["recolour"]] if has_turned else [DOES["collision"], DOES["follow"]])


def _turned(asked: Sequence[str], seen: Seen) -> str:
    shape = asked[0].split()[1]
    labels = [box.label for boxes in seen for box in boxes]
    return next((label.split()[0] for label in labels if label in (f"cyan {shape}", f"white {shape}")), "")


def _placed(asked: Sequence[str], seen: Seen) -> str:
    boxes = [box for some in seen if (box := _one(asked[0], some))]
    if not boxes:
        return ""
    off = _middle(boxes[0]) - 0.5
    return "in the middle" if np.abs(off).max() < 0.1 else PLACED[_way(off)]


def _sided(asked: Sequence[str], seen: Seen) -> str:
    return _between(asked[0], asked[1], seen, SIDES)


def _ahead(asked: Sequence[str], seen: Seen) -> str:
    others = {box.label for boxes in seen if _one(asked[0], boxes) for box in boxes} - {asked[0]}
    return _between(asked[0], min(others), seen, AHEAD) if others else ""


def _between(first: str, second: str, seen: Seen, words: dict[tuple[int, int], str]) -> str:
    pairs = [(a, b) for boxes in seen if (a := _one(first, boxes)) and (b := _one(second, boxes))]
    return words[_way(_middle(pairs[0][1]) - _middle(pairs[0][0]))] if pairs else ""


def _middle(box: Box) -> np.ndarray:
    return np.array([(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2])


def _way(off: np.ndarray) -> tuple[int, int]:
    axis = int(np.abs(off).argmax())
    return axis, 1 if off[axis] > 0 else -1
