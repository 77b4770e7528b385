"""Boxes in a text: any brackets, whole numbers and decimals, percent, or named sides; one declared way of writing them.

Differs: the official code takes corners for centre and size and needs a decimal point in all four numbers.
"""

import re
from collections.abc import Sequence

from videre.methods.video_star.label import Label, Profile, Space, Verdict, abstain, accept, reject
from videre.methods.video_star.numerals import EPSILON
from videre.types import Box

_N = r"([-+]?(?:\d+(?:\.\d+)?|\.\d+)(?:e[+-]?\d{1,2})?)\s*(%|px)?"
_SEP = r"\s*[,;\s]\s*"
_FOUR = _SEP.join([_N] * 4)
_BOX = re.compile(rf"[\[(<{{]+\s*{_FOUR}\s*[\])>}}]+", re.IGNORECASE)
_CORNER = rf"[\[(]\s*{_N}\s*,\s*{_N}\s*[\])]"
_BETWEEN = (
    r"\s*(?:(?:,|;|-|to|and)\s*){1,2}(?:the |at )*"
    r"(?:(?:bottom|lower)[- ]right(?: corner)?(?: (?:is|at|of))*:?\s*)?"
)
_TWO_CORNERS = re.compile(rf"{_CORNER}{_BETWEEN}{_CORNER}", re.IGNORECASE)
_PAIR = rf"\s*(?:is |runs |goes |spans |[:=])?\s*(?:from |between )?{_N}\s*(?:-|–|to|and|,)\s*{_N}"
_AXES = re.compile(rf"\bx{_PAIR}[\s,;]*(?:and )?\by{_PAIR}", re.IGNORECASE)
_NAMED = re.compile(
    r"[\"']?\b(x_?min|y_?min|x_?max|y_?max|x_?[012]|y_?[012]|left|top|right|bottom|w|h|width|height|cx|cy|x|y)[\"']?"
    rf"\s*(?:[:=]|is)\s*{_N}|\b(left|top|right|bottom)\s+{_N}",
    re.IGNORECASE,
)
_BARE = re.compile(rf"(?<![\w.])\s*{_FOUR}(?![\w]|\.\d|\s*,\s*\d)", re.IGNORECASE)
_SIDES = {
    "xmin": 0, "x0": 0, "left": 0, "ymin": 1, "y0": 1, "top": 1,
    "xmax": 2, "x2": 2, "right": 2, "ymax": 3, "y2": 3, "bottom": 3,
    "x": 0, "y": 1, "cx": 0, "cy": 1, "w": 2, "width": 2, "h": 3, "height": 3,
}  # fmt: skip
_ORIGIN = re.compile(
    r"\b(?:from|initially|originally|at first|(?:starts?|begins?|started|began)(?: out)?)\b[^.;\[(<{]{0,24}$",
    re.IGNORECASE,
)
_NOT = re.compile(r"(?:\bnot\b|n't|\brather than|\binstead of)\s+(?:\w+\s+){0,2}$", re.IGNORECASE)
_OR = re.compile(r"^\s*,?\s*or\s+(?:at |in |maybe |perhaps )?$", re.IGNORECASE)

Corners = tuple[float, float, float, float]


def verify(answer: str, label: Label, profile: Profile) -> Verdict:
    """Whether the box that the answer ends with overlaps enough with the label."""
    stated = boxes(answer, form=profile.space.form)
    if not stated:
        return reject("no box is stated")
    kept = [b for b in stated if not _NOT.search(answer[: b[0]])]
    if not kept:
        return reject("the box is denied", found=list(stated[-1][2]))
    if len(kept) > 1 and _OR.match(answer[kept[-2][1] : kept[-1][0]]):
        return reject("several boxes are offered as alternatives")
    aimed = [b for b in kept if not _ORIGIN.search(answer[max(0, b[0] - 40) : b[0]])] or kept
    numbers = aimed[-1][2]
    is_slip = max(numbers) < 2 and any(0 < number < 1 for number in numbers)  # a unit box that leaves the frame
    if profile.space.scale == "unit" and max(numbers) > 1 + EPSILON and not is_slip:
        return abstain("numbers above 1: declare the space of boxes (thousand or pixel)", found=list(numbers))
    return _compared(corners(numbers, profile.space), label, profile)


def boxes(text: str, *, form: str = "xyxy") -> list[tuple[int, int, Corners]]:
    """Where each box begins and ends in a text, and its four numbers as they stand; percent as shares of one.

    Sides that are named as width and height are read so, whatever the form.
    """
    found = [(m.start(), m.end(), _numbers(m)) for m in [*_TWO_CORNERS.finditer(text), *_BOX.finditer(text)]]
    if not found:
        found = [(m.start(), m.end(), _crossed(_numbers(m))) for m in _AXES.finditer(text)]
    if not found:
        found = _named(text, form) or [(m.start(), m.end(), _numbers(m)) for m in _BARE.finditer(text)]
    return sorted(found)


def corners(numbers: Corners, space: Space) -> Corners:
    """Four numbers of a declared space as corners in [0, 1]."""
    width, height = {"unit": (1, 1), "thousand": (1000, 1000)}.get(space.scale) or space.frame_px or (1, 1)
    x, y, z, w = (n / s for n, s in zip(numbers, (width, height) * 2, strict=True))
    if space.form == "xywh":
        return x, y, x + z, y + w
    return (x - z / 2, y - w / 2, x + z / 2, y + w / 2) if space.form == "cxcywh" else (x, y, z, w)


def _compared(found: Corners, label: Label, profile: Profile) -> Verdict:
    x0, y0, x1, y1 = found
    if not (-EPSILON <= x0 < x1 <= 1 + EPSILON and -EPSILON <= y0 < y1 <= 1 + EPSILON):
        return reject("the box is empty, inverted or outside the frame", found=list(found))
    iou = _box(found).iou(_box(label.value))
    if iou > profile.iou + EPSILON:
        return accept("the boxes overlap enough", iou, list(found))
    return reject("the boxes overlap too little", iou, list(found))


def _box(corners: Sequence[float]) -> Box:
    x0, y0, x1, y1 = (min(max(float(corner), 0.0), 1.0) for corner in corners)
    return Box(0.0, x0, y0, x1, y1)


def _crossed(told: Corners) -> Corners:
    """`x0, x1, y0, y1` as corners."""
    return told[0], told[2], told[1], told[3]


def _numbers(match: re.Match[str]) -> Corners:
    groups = match.groups()
    a, b, c, d = (float(groups[i]) / (100 if groups[i + 1] == "%" else 1) for i in range(0, 8, 2))
    return a, b, c, d


def _named(text: str, form: str) -> list[tuple[int, int, Corners]]:
    """Boxes told side by side: "x1=0.2, y1=0.3, x2=0.5, y2=0.8"; `x1` is the left side where there is an `x2`."""
    sides: dict[int, float] = {}
    found, start = [], 0
    names = {(m[1] or m[4]).lower().replace("_", "") for m in _NAMED.finditer(text)}
    for match in _NAMED.finditer(text):
        name = (match[1] or match[4]).lower().replace("_", "")
        side = _SIDES.get(name, (0 if "x2" in names else 2) if name == "x1" else (1 if "y2" in names else 3))
        if side in sides:
            sides = {}
        start = start if sides else match.start()
        number, unit = (match[2], match[3]) if match[1] else (match[5], match[6])
        sides[side] = float(number) / (100 if unit == "%" else 1)
        if len(sides) == 4:
            four = (sides[0], sides[1], sides[2], sides[3])
            if form == "xyxy" and names & {"w", "width", "h", "height"}:
                four = corners(four, Space("cxcywh" if names & {"cx", "cy"} else "xywh"))
            found.append((start, match.end(), four))
            sides = {}
    return found
