"""The words of the house: the values that flow through every room, and the four shapes of thing that act on them.

Times are seconds from the first displayed frame. Boxes are corners in [0, 1] of the displayed frame. Values check
themselves when they are made and print shapes, not pixels. Axis letters: `T` frames, `H W` picture, `K` options,
`L` text tokens, `D` width.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float64, UInt8

JSON = Any
"""What `json.dumps` takes: None, bool, int, float, str, and lists and str-keyed dicts of these."""


@dataclass(frozen=True)
class Span:
    """A stretch of time, closed at both ends.

    >>> Span(0.0, 2.0).iou(Span(1.0, 3.0))
    0.3333333333333333
    """

    start_seconds: float
    end_seconds: float
    confidence: float | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        _finite("Span.start_seconds", self.start_seconds)
        _finite("Span.end_seconds", self.end_seconds)
        if self.end_seconds < self.start_seconds:
            raise ValueError(f"a span ends before it starts: {self.start_seconds=} {self.end_seconds=}")

    @property
    def seconds(self) -> float:
        """The length, in seconds."""
        return self.end_seconds - self.start_seconds

    def overlap_seconds(self, other: "Span") -> float:
        """The length of the intersection, 0.0 where the two do not meet."""
        return max(0.0, min(self.end_seconds, other.end_seconds) - max(self.start_seconds, other.start_seconds))

    def iou(self, other: "Span") -> float:
        """Intersection over union in [0, 1]; 0.0 for two empty spans."""
        overlap = self.overlap_seconds(other)
        union = self.seconds + other.seconds - overlap
        return overlap / union if union > 0 else 0.0


@dataclass(frozen=True)
class Box:
    """A rectangle at one moment: corners in [0, 1] of the displayed frame, x to the right, y down.

    >>> Box(0.0, 0.0, 0.0, 0.5, 0.5).iou(Box(0.0, 0.0, 0.0, 0.5, 1.0))
    0.5
    """

    seconds: float
    x0: float
    y0: float
    x1: float
    y1: float
    label: str | None = None
    confidence: float | None = None

    def __post_init__(self) -> None:
        _finite("Box.seconds", self.seconds)
        if not (0.0 <= self.x0 <= self.x1 <= 1.0 and 0.0 <= self.y0 <= self.y1 <= 1.0):
            corners = (self.x0, self.y0, self.x1, self.y1)
            raise ValueError(f"box corners are x0 <= x1, y0 <= y1 in [0, 1] of the displayed frame, got {corners}")

    @property
    def area(self) -> float:
        """The share of the frame that it covers, in [0, 1]."""
        return (self.x1 - self.x0) * (self.y1 - self.y0)

    def iou(self, other: "Box") -> float:
        """Intersection over union in [0, 1] of the two rectangles, whatever their times."""
        width = max(0.0, min(self.x1, other.x1) - max(self.x0, other.x0))
        height = max(0.0, min(self.y1, other.y1) - max(self.y0, other.y0))
        union = self.area + other.area - width * height
        return width * height / union if union > 0 else 0.0


@dataclass(frozen=True, eq=False, repr=False)
class Frames:
    """One chunk of what a model is shown: upright RGB pictures of one size, with their true times.

    A model takes an iterable of chunks; each has its own size and label (overview, key moment, close-up).

    Attributes:
        pixels: RGB, square pixels, upright.
        seconds: from the first displayed frame, ascending, the same length as `pixels`.
        label: what the chunk is for; empty for the only one.
    """

    pixels: UInt8[np.ndarray, "T 3 H W"]
    seconds: Float64[np.ndarray, " T"]
    label: str = ""

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 4 or self.pixels.shape[1] != 3:
            raise ValueError(f"pixels are uint8 [T, 3, H, W], got {self.pixels.dtype} {list(self.pixels.shape)}")
        if self.seconds.dtype != np.float64 or self.seconds.shape != self.pixels.shape[:1]:
            got = f"{self.seconds.dtype} {list(self.seconds.shape)}"
            raise ValueError(f"seconds are float64 [{len(self.pixels)}], one a frame, got {got}")
        if not np.isfinite(self.seconds).all() or (np.diff(self.seconds) < 0).any():
            raise ValueError(f"seconds are finite and ascending, got {self.seconds}")

    def __len__(self) -> int:
        return len(self.pixels)

    def __repr__(self) -> str:
        times = f"{self.seconds[0]:.2f}..{self.seconds[-1]:.2f} s" if len(self) else "empty"
        label = f", {self.label!r}" if self.label else ""
        return f"Frames(uint8 {list(self.pixels.shape)}, {times}{label})"

    @property
    def height_px(self) -> int:
        """Height of every frame."""
        return self.pixels.shape[2]

    @property
    def width_px(self) -> int:
        """Width of every frame."""
        return self.pixels.shape[3]

    def sha256(self) -> list[str]:
        """A hash of the pixels and size of each frame, as hex."""
        size = f"{self.height_px}x{self.width_px}:".encode()
        return [hashlib.sha256(size + np.ascontiguousarray(frame).tobytes()).hexdigest() for frame in self.pixels]


@dataclass(frozen=True)
class Question:
    """A question about a video; with options it is multiple choice."""

    text: str
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise ValueError("the question is empty")
        if len(self.options) == 1:
            raise ValueError(f"a multiple-choice question has two options or more, got {self.options}")


@dataclass(frozen=True)
class Step:
    """One step on the way to the evidence, so that a path can be read and replayed. Inputs and output are JSON."""

    name: str
    inputs: Mapping[str, JSON]
    output: JSON
    milliseconds: float = 0.0


@dataclass(frozen=True)
class ScoreLine:
    """How relevant each candidate moment was, the chosen ones among them: times and scores of equal length."""

    seconds: tuple[float, ...]
    scores: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.seconds) != len(self.scores):
            raise ValueError(f"one score a moment: {len(self.seconds)} times, {len(self.scores)} scores")


@dataclass(frozen=True)
class Evidence:
    """What a selector or localizer returns: when, where, how sure, by which steps.

    Attributes:
        seconds: the chosen moments, ascending; the frames shown at them are what the model will see.
        scores: one a chosen moment, or empty where the selector does not score.
        spans: when the answer lies.
        boxes: where it lies.
        steps: how this was found, in order.
        scored: the score of every candidate moment, where the selector looked at more than it chose.
    """

    seconds: tuple[float, ...] = ()
    scores: tuple[float, ...] = ()
    spans: tuple[Span, ...] = ()
    boxes: tuple[Box, ...] = ()
    steps: tuple[Step, ...] = ()
    scored: ScoreLine | None = None

    def __post_init__(self) -> None:
        if any(b < a for a, b in zip(self.seconds, self.seconds[1:], strict=False)):
            raise ValueError(f"chosen moments are ascending, got {self.seconds}")
        if self.scores and len(self.scores) != len(self.seconds):
            raise ValueError(f"one score a chosen moment: {len(self.seconds)} moments, {len(self.scores)} scores")


@dataclass(frozen=True)
class Usage:
    """What an answer cost. A field is None where the model does not tell."""

    frames: int = 0
    prompt_tokens: int | None = None
    answer_tokens: int | None = None
    milliseconds: float = 0.0


@dataclass(frozen=True)
class Answer:
    """A model's answer and the evidence it rests on.

    Attributes:
        text: the reply, as the model gave it.
        option: index of the chosen option; None for an open question, or where the reply names none.
        rationale: why, where the model says so.
        confidence: in [0, 1], where the model gives probabilities.
        evidence: what the model was shown and how that was chosen.
        usage: what it cost.
        run: the run card: versions, model revision, decoder, frame times and hashes, prompt hash, seed.
        ranking: ordered guesses, best first (top-5 anticipation, beams).
        notes: remarks a person must see, such as "this clip is not from the model's world".
    """

    text: str
    option: int | None = None
    rationale: str | None = None
    confidence: float | None = None
    evidence: Evidence = field(default_factory=Evidence)
    usage: Usage = field(default_factory=Usage)
    run: Mapping[str, JSON] = field(default_factory=dict)
    ranking: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Sample:
    """One row of a dataset: a question about a video with what is known of its answer.

    Attributes:
        video: a path, relative to the dataset's video root.
        answer: the true answer as text; for multiple choice, one of `question.options`.
        kind: the dataset's own name for the kind of question ("causal", "TP").
        clip: the part of the video that the question is about; None for all of it.
    """

    id: str
    video: str
    question: Question
    answer: str | None = None
    spans: tuple[Span, ...] = ()
    boxes: tuple[Box, ...] = ()
    kind: str = ""
    clip: Span | None = None

    @property
    def option(self) -> int | None:
        """The index of the true option, None for an open question."""
        return self.question.options.index(self.answer) if self.question.options and self.answer is not None else None


@runtime_checkable
class Video(Protocol):
    """What a file is, after its container was checked."""

    @property
    def path(self) -> str:
        """Where it lies, as it was given; empty for bytes."""
        ...

    @property
    def duration_seconds(self) -> float:
        """From the first displayed frame to the end of the last one."""
        ...

    @property
    def width_px(self) -> int:
        """As displayed: upright, square pixels."""
        ...

    @property
    def height_px(self) -> int:
        """As displayed: upright, square pixels."""
        ...

    @property
    def info(self) -> Mapping[str, JSON]:
        """Facts for the record: sha256, codec, fps_avg, vfr, rotation, start_time, decoder."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person must know of this file: which track was taken, what could not be decoded."""
        ...

    def at(self, seconds: Sequence[float]) -> Frames:
        """The frames shown at these moments, each with its own true time, ascending, without duplicates."""
        ...

    def stream(self, fps: float, start_seconds: float = 0.0) -> Iterator[Frames]:
        """Chunks of the whole video at `fps` frames a second, in constant memory."""
        ...


@runtime_checkable
class Session(Protocol):
    """A model that has read a video once and answers many questions on it."""

    def answer(self, question: Question) -> Answer:
        """As `MLLM.answer`, without reading the video again."""
        ...

    def generate(self, prompt: str, *, max_tokens: int = 128) -> str:
        """As `MLLM.generate`, without reading the video again."""
        ...

    def score(self, question: Question, options: Sequence[str]) -> Float[np.ndarray, " K"]:
        """As `MLLM.score`, without reading the video again."""
        ...


@runtime_checkable
class Answerer(Protocol):
    """A model that answers questions about frames: all that asking needs."""

    @property
    def name(self) -> str:
        """How people call it."""
        ...

    @property
    def card(self) -> Mapping[str, JSON]:
        """What the run card says of it: id, revision, class, dtype, device, how frames are handed over."""
        ...

    def answer(self, frames: Iterable[Frames], question: Question) -> Answer:
        """The reply, and the option it names where there are options. The evidence of the answer is left empty.

        Frames come as an iterable of chunks, read once, in order.
        """
        ...


@runtime_checkable
class MLLM(Answerer, Protocol):
    """A model that reads pictures and text, for asking, scoring and training."""

    def generate(self, prompt: str, frames: Iterable[Frames] = (), *, max_tokens: int = 128) -> str:
        """Text that follows a prompt, greedily, with or without frames."""
        ...

    def score(self, frames: Iterable[Frames], question: Question, options: Sequence[str]) -> Float[np.ndarray, " K"]:
        """Log-probability of each option as the reply, summed over its tokens."""
        ...

    def loss(self, frames: Iterable[Frames], question: Question, target: str) -> Any:
        """Cross-entropy of each token of `target` `[L]`, a tensor that carries gradients."""
        ...

    def watch(self, frames: Iterable[Frames]) -> Session:
        """A session that has read these frames once."""
        ...


@runtime_checkable
class Encoder(Protocol):
    """Pictures and texts in one space; the dot product of two rows is their similarity."""

    @property
    def name(self) -> str:
        """How people call it."""
        ...

    def images(self, frames: Frames) -> Float[np.ndarray, "T D"]:
        """One unit vector a frame."""
        ...

    def texts(self, texts: Sequence[str]) -> Float[np.ndarray, "B D"]:
        """One unit vector a text."""
        ...


Selector = Callable[[Video, Question], Evidence]
"""Chooses which moments of a video a question needs."""

System = Callable[[Video, Question], Answer]
"""Answers a question about a video: anything that can be evaluated."""


def _finite(name: str, value: float) -> None:
    if not math.isfinite(value):
        raise ValueError(f"{name} is a finite number of seconds, got {value}")
