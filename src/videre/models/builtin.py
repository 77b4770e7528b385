"""The small model that ships with the package. It knows the generated world only, and says so about anything else.

Its weights are a SmolVLM checkpoint like any other, trained by `recipes/builtin.py`; this file loads them and never
trains. Whether a clip comes from the world is read off the pixels: the world is a flat dark stage with a few flat
coloured shapes, so every pixel is the stage, a colour of the world, or the edge between the two. What those are stands
in `world.json` beside the weights.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from videre.models import mllm
from videre.models.session import Watched
from videre.types import JSON, Answer, Frames, Question

FOLDER = Path(__file__).parent / "builtin_weights"
"""Where the checkpoint lies."""

NOTE = (
    "this video is not from the generated world, the only thing that the built-in model knows, so its answer means "
    "nothing: pass --model with a hub id, a folder or a server URL"
)
SIDE_PX = 96
"""Frames are judged at this size: coding noise is averaged out, shapes are still flat inside."""


@dataclass(frozen=True)
class Familiar:
    """What a frame of the world looks like.

    Attributes:
        colours: the flat colours of things, grey levels.
        stage: lowest and highest grey level of the background.
        reach: how far a pixel may be from a colour, in grey levels, and still be of it.
        foreign_pixels: largest share of pixels that the world does not explain.
        edge_pixels: largest share of pixels between the stage and a colour.
        foreign_frames: largest share of frames beyond either.
    """

    colours: tuple[tuple[int, int, int], ...]
    stage: tuple[int, int]
    reach: float = 26.0
    foreign_pixels: float = 0.02
    edge_pixels: float = 0.09
    foreign_frames: float = 0.2


class Builtin:
    """The built-in model: a model as any other, whose answers carry a note where the frames are not of its world.

    Args:
        model: the loaded checkpoint.
        familiar: what its world looks like.
    """

    def __init__(self, model: mllm.TransformersMLLM, familiar: Familiar) -> None:
        self.name = "builtin"
        self.model = model
        self.familiar = familiar
        self.card: Mapping[str, JSON] = {**model.card, "knows": "the generated world"}

    def __getattr__(self, name: str) -> Any:
        # The parts of the loaded model, `network` and `processor` among them, for whoever trains it further.
        if name == "model":
            raise AttributeError(name)
        return getattr(self.model, name)

    def answer(self, frames: Iterable[Frames], question: Question) -> Answer:
        """As `MLLM.answer`, with a note where the frames are not of the generated world."""
        return self.watch(frames).answer(question)

    def generate(self, prompt: str, frames: Iterable[Frames] = (), *, max_tokens: int = 128) -> str:
        """As `MLLM.generate`."""
        return self.model.generate(prompt, frames, max_tokens=max_tokens)

    def score(self, frames: Iterable[Frames], question: Question, options: Sequence[str]) -> Float[np.ndarray, " K"]:
        """As `MLLM.score`."""
        return self.model.score(frames, question, options)

    def loss(self, frames: Iterable[Frames], question: Question, target: str, **kwargs: Any) -> Any:
        """As `MLLM.loss`."""
        return self.model.loss(frames, question, target, **kwargs)

    def watch(self, frames: Iterable[Frames]) -> "Watching":
        """As `MLLM.watch`: the frames are judged once, too."""
        chunks = list(frames)
        return Watching(self.model.watch(chunks), is_foreign(chunks, self.familiar))


@dataclass(frozen=True)
class Watching:
    """A session of the built-in model, and whether what it has read is foreign to it."""

    session: Watched
    foreign: bool

    def answer(self, question: Question) -> Answer:
        """As `Session.answer`, with the note where it belongs.

        Of options, the most likely one is the reply: so small a model names things, but not the letters of a list.
        """
        answer = self.session.choose(question) if question.options else self.session.answer(question)
        return replace(answer, notes=(*answer.notes, NOTE)) if self.foreign else answer

    def generate(self, prompt: str, *, max_tokens: int = 128) -> str:
        """As `Session.generate`."""
        return self.session.generate(prompt, max_tokens=max_tokens)

    def score(self, question: Question, options: Sequence[str]) -> Float[np.ndarray, " K"]:
        """As `Session.score`."""
        return self.session.score(question, options)

    def __getattr__(self, name: str) -> Any:
        if name == "session":
            raise AttributeError(name)
        return getattr(self.session, name)


def load(**settings: Any) -> Builtin:
    """The built-in model, ready to answer.

    Args:
        **settings: as for `mllm.load`: device, dtype, handover, answer_tokens.

    Raises:
        ModelError: torch or transformers is not installed, or the package is not whole.
    """
    model = mllm.load(str(FOLDER), **{"device": "cpu", "dtype": "float32", **settings})
    model.card["id"] = "builtin"  # Its folder differs from machine to machine; `revision` tells the weights.
    return Builtin(model, familiar())


def familiar() -> Familiar:
    """What the world of the shipped weights looks like."""
    told = json.loads((FOLDER / "world.json").read_text("utf-8"))
    return Familiar(tuple(tuple(c) for c in told["colours"]), tuple(told["stage"]))  # type: ignore[arg-type]


def is_foreign(chunks: Iterable[Frames], known: Familiar) -> bool:
    """Whether these frames come from anywhere but the world; no frames at all are not foreign."""
    judged = [_frame_is_foreign(picture, known) for chunk in chunks for picture in chunk.pixels.transpose(0, 2, 3, 1)]
    return bool(judged) and float(np.mean(judged)) > known.foreign_frames


def _frame_is_foreign(picture: UInt8[np.ndarray, "H W 3"], known: Familiar) -> bool:
    odd, edge, stage = explain(picture, known)
    is_stage = known.stage[0] - 6 <= stage.min() and stage.max() <= known.stage[1] + 6
    return not is_stage or odd > known.foreign_pixels or edge > known.edge_pixels


def explain(picture: UInt8[np.ndarray, "H W 3"], known: Familiar) -> tuple[float, float, np.ndarray]:
    """How far the world explains one frame.

    Returns:
        The share of pixels that are neither stage, colour nor a mix of the two; the share that are a mix; the stage's
        colour, as the median of the frame.
    """
    small = Image.fromarray(np.ascontiguousarray(picture)).resize((SIDE_PX, SIDE_PX), Image.Resampling.BOX)
    pixels = np.asarray(small, dtype=np.float32).reshape(-1, 3)
    stage = np.median(pixels, axis=0)
    colours = np.array(known.colours, dtype=np.float32) - stage
    share = np.clip((pixels - stage) @ colours.T / (colours**2).sum(1), 0.0, 1.0)
    miss = np.linalg.norm((pixels - stage)[:, None] - share[..., None] * colours, axis=2)
    best = miss.argmin(1)
    rows = np.arange(len(pixels))
    away = np.minimum(share[rows, best], 1 - share[rows, best]) * np.linalg.norm(colours[best], axis=1)
    odd = miss[rows, best] > known.reach
    return float(odd.mean()), float((~odd & (away > known.reach)).mean()), stage
