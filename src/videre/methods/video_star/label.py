"""The words of the method: what is known of a video, a question whose answer should contain it, and the verdict."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from videre.types import JSON, Span

Kind = Literal[
    "time_range", "time_point", "number", "box", "object", "keywords", "sentence", "ordered", "unordered", "same"
]
KINDS: tuple[str, ...] = Kind.__args__  # type: ignore[attr-defined]
Status = Literal["accept", "reject", "abstain"]

OFFICIAL_KINDS: dict[str, Kind] = {
    "temporal_range": "time_range",
    "timestamp": "time_point",
    "float": "number",
    "bbox": "box",
    "obj_identify": "object",
    "obj_compare": "keywords",
    "simple": "keywords",
    "sentence": "sentence",
    "llm": "sentence",
    "classifier": "sentence",
    "sentence_sequence": "ordered",
    "classifier_sequence": "ordered",
    "same_or_not": "same",
}
"""`verifier_type` of the official rows -> kind. `llm` is `sentence` there too: its own branch is never reached."""


@dataclass(frozen=True)
class Label:
    """One thing that is known of a video, and how an answer is compared with it.

    Attributes:
        name: as the hint tells it: "final_score".
        kind: how it is verified, one of `KINDS`.
        value: text, a number, a list of texts; a time in [0, 1] of the clip; `[start, end]`; `[x0, y0, x1, y1]` in
            [0, 1] of the frame.
        options: the class names that it was one of, where the set is closed.
    """

    name: str
    kind: Kind
    value: JSON
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"a kind is one of {', '.join(KINDS)}, got {self.kind!r}")
        problem = _problem(self.kind, self.value)
        if problem:
            raise ValueError(f"label {self.name!r}: {problem}, got {self.value!r}")


@dataclass(frozen=True)
class Row:
    """One row of the question table: it does not change between cycles.

    Attributes:
        id: unique in the table.
        video: relative to the folder of the videos.
        question: what is asked; its answer should contain every label.
        labels: one to three.
        duration_seconds: of the clip that is shown, so that "5 s" can be compared; None where it is not known.
        clip: the part of the video that is shown; None for all of it.
        task: what the labels were made for, such as "action recognition".
    """

    id: str
    video: str
    question: str
    labels: tuple[Label, ...]
    duration_seconds: float | None = None
    clip: Span | None = None
    task: str = ""

    def __post_init__(self) -> None:
        if not self.id or not self.question.strip() or not self.labels:
            raise ValueError(f"a row has an id, a question and a label, got {self!r}")

    @property
    def values(self) -> dict[str, JSON]:
        """Each label's value by its name, as the hint and the official rows hold them."""
        return {label.name: label.value for label in self.labels}


@dataclass(frozen=True)
class Verdict:
    """What became of one label of an answer. "abstain" is not accepted, and counted apart.

    Attributes:
        status: accept, reject or abstain.
        reason: why, in words.
        score: what was compared with the threshold, where there is such a number.
        found: what was read from the answer, JSON.
        label: the label's name.
    """

    status: Status
    reason: str
    score: float | None = None
    found: JSON = None
    label: str = ""

    def named(self, name: str) -> "Verdict":
        """The same verdict about the label of this name."""
        return replace(self, label=name)


def accept(reason: str, score: float | None = None, found: JSON = None) -> Verdict:
    """The answer bears the label out."""
    return Verdict("accept", reason, score, found)


def reject(reason: str, score: float | None = None, found: JSON = None) -> Verdict:
    """The answer does not bear it out."""
    return Verdict("reject", reason, score, found)


def abstain(reason: str, score: float | None = None, found: JSON = None) -> Verdict:
    """It cannot be told."""
    return Verdict("abstain", reason, score, found)


@dataclass(frozen=True)
class Space:
    """How a model writes boxes: declared once, never guessed.

    Attributes:
        form: "xyxy" corners, "xywh" a corner and the size, "cxcywh" the centre and the size.
        scale: "unit", "thousand" (0 to 1000), or "pixel" with `frame_px`.
        frame_px: width and height of the frame that the model was shown.
    """

    form: Literal["xyxy", "xywh", "cxcywh"] = "xyxy"
    scale: Literal["unit", "thousand", "pixel"] = "unit"
    frame_px: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.scale == "pixel" and self.frame_px is None:
            raise ValueError('boxes in pixels need frame_px, such as (640, 360), or scale "unit"')


@dataclass(frozen=True)
class Profile:
    """Thresholds and rules of the verifiers.

    Attributes:
        name: "default", "paper" or "official".
        iou: of ranges and boxes, to be exceeded.
        time: largest distance of two moments, as a share of the clip.
        number: largest error of a number, as a share of the label.
        fuzz: likeness of two words in 0 to 100, to be exceeded (`official`) or reached.
        sentence: least likeness of two sentences.
        step: least likeness of a step of an ordered list.
        careful: lemmas, negation, hedging and listing count; without it, words are compared as they stand.
        space: how boxes are written.
    """

    name: str = "default"
    iou: float = 0.5
    time: float = 0.1
    number: float = 0.05
    fuzz: float = 85.0
    sentence: float = 0.6
    step: float = 0.4
    careful: bool = True
    space: Space = field(default_factory=Space)


PROFILES: Mapping[str, Profile] = {
    "default": Profile(),
    "paper": Profile("paper", time=0.05, number=0.05, fuzz=80.0, step=0.25, careful=False),
    "official": Profile("official", number=0.1, step=0.25, careful=False),
}
"""Names that recipes use. The paper gives no threshold for IoU and likeness: those are the official code's."""


def _problem(kind: str, value: JSON) -> str:
    if kind in ("time_range", "box"):
        count = 2 if kind == "time_range" else 4
        if not (isinstance(value, list | tuple) and len(value) == count and all(map(_is_share, value))):
            return f"{count} numbers in [0, 1] were expected"
        half = count // 2
        ordered = all(a < b for a, b in zip(value[:half], value[half:], strict=True))
        return "" if ordered else "an end after its start was expected, or no answer could ever match"
    if kind == "time_point":
        return "" if _is_share(value) else "a number in [0, 1] was expected"
    if kind == "number":
        return "" if isinstance(value, int | float) and not isinstance(value, bool) else "a number was expected"
    if kind in ("ordered", "unordered"):
        listed = isinstance(value, list | tuple) and len(value) > 0 and all(isinstance(v, str) and v for v in value)
        return "" if listed else "a list of texts was expected"
    return "" if str(value).strip() and not isinstance(value, dict | list) else "a text was expected"


def _is_share(value: JSON) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
