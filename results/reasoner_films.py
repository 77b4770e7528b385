"""Films for grounded questions: one small moving thing after another, and what is asked, drawn and known of them.

A film has a scene for each colour of the world, in random order. The thing of a scene is so small that its shape cannot
be made out in a whole frame of 64 px, and a scene is so short that even frames over the film show it about once, so
that its way cannot be seen. "What shape is the thing after the red thing?" needs the right moment and a close look.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from videre.data import world
from videre.data.world.scene import COLOURS, DIRECTIONS, SHAPES, Clip, Config, Thing
from videre.types import JSON, Frames, Question, Sample, Span, Video

RADIUS = 0.055
CONFIG = Config(seconds=48.0, fps=5, size_px=192, things=(len(COLOURS), len(COLOURS)))
SCENE_SECONDS = (4.0, 8.0)
ASKS = {
    "direction": ("Which way does {x} move?", "In which direction does {x} move?"),
    "shape": ("What shape is {x}?", "Which shape is {x}?"),
    "colour": ("What colour is {x}?", "Which colour is {x}?"),
}
WHERE = {
    "self": ("the {c} thing",),
    "after": ("the thing after the {c} thing", "the thing right after the {c} thing"),
    "before": ("the thing before the {c} thing", "the thing right before the {c} thing"),
}
FORMS = tuple((what, where) for what in ASKS for where in WHERE if (what, where) != ("colour", "self"))


def film(seed: int) -> Clip:
    """The film of a seed: a clip whose things take the stage one after another, without a gap."""
    rng = np.random.default_rng([seed, 51])
    lengths = rng.uniform(*SCENE_SECONDS, len(COLOURS))
    ends = np.round(np.cumsum(lengths) / lengths.sum() * CONFIG.seconds * CONFIG.fps) / CONFIG.fps
    starts = [0.0, *ends[:-1].tolist()]
    colours = [str(c) for c in rng.permutation(list(COLOURS))]
    things = [_thing(rng, c, (a, b)) for c, a, b in zip(colours, starts, ends.tolist(), strict=True)]
    r, g, b = (int(v) for v in rng.integers(14, 34) + rng.integers(0, 26, 3))
    return Clip(seed, CONFIG, (r, g, b), tuple(things))


def _thing(rng: np.random.Generator, colour: str, ends: tuple[float, float]) -> Thing:
    direction, shape = str(rng.choice(list(DIRECTIONS))), str(rng.choice(list(SHAPES)))
    lane, length = float(rng.uniform(0.1, 0.9)), float(rng.uniform(0.4, 0.8))
    low = float(rng.uniform(0.1, 0.9 - length))
    a, b = (low, low + length) if direction in ("right", "down") else (low + length, low)
    path = (a, lane, b, lane) if direction in ("left", "right") else (lane, a, lane, b)
    rgb = tuple(int(v) for v in np.clip(np.array(COLOURS[colour]) + rng.integers(-10, 11, 3), 0, 255))
    return Thing(colour, shape, "small", rgb, RADIUS, *ends, path=path, direction=direction)  # type: ignore[arg-type]


def questions(shown: Clip) -> list[Sample]:
    """One question of each form, with the scene that answers it; wrong colours and shapes are drawn from all."""
    return [_sample(shown, number, what, where) for number, (what, where) in enumerate(FORMS)]


def _sample(shown: Clip, number: int, what: str, where: str) -> Sample:
    rng = np.random.default_rng([shown.seed, 52, number])
    step = {"self": 0, "after": 1, "before": -1}[where]
    place = int(rng.integers(max(0, -step), len(shown.things) - max(0, step)))
    anchor, thing = shown.things[place], shown.things[place + step]
    wording = str(rng.choice(WHERE[where])).format(c=anchor.colour)
    answer = getattr(thing, what)
    # The colour that the question names is never the answer: it is no option.
    every = [v for v in {"direction": DIRECTIONS, "shape": SHAPES, "colour": COLOURS}[what] if v != answer]
    others = [v for v in every if what != "colour" or v != anchor.colour]
    options = rng.permutation([answer, *rng.permutation(others)[:3]])
    return Sample(
        id=f"{name(shown)[:-4]}_{number}",
        video=name(shown),
        question=Question(str(rng.choice(ASKS[what])).format(x=wording), tuple(map(str, options))),
        answer=answer,
        spans=(Span(thing.start_seconds, thing.end_seconds),),
        kind=f"{what} {where}",
    )


def name(shown: Clip) -> str:
    """The film's file."""
    return f"film{shown.seed:08d}.mp4"


def written(seeds: Sequence[int], folder: Path) -> list[Sample]:
    """The questions of these films, which lie in the folder afterwards as H.264."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for seed in seeds:
        shown = film(seed)
        if not (folder / name(shown)).exists():
            part = folder / f"{seed}.part"
            world.write(shown, part)
            part.replace(folder / name(shown))
        found += questions(shown)
    return found


@dataclass(frozen=True)
class Drawn:
    """A film as a `Video` that was never coded: for training, where thousands are looked at once."""

    clip: Clip
    notes: tuple[str, ...] = ()
    info: Mapping[str, JSON] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The name it would have."""
        return name(self.clip)

    @property
    def duration_seconds(self) -> float:
        """Of the film."""
        return self.clip.config.seconds

    @property
    def width_px(self) -> int:
        """The side of the frame."""
        return self.clip.config.size_px

    height_px = width_px

    def at(self, seconds: Sequence[float]) -> Frames:
        """The frames on the stage at these moments."""
        fps, last = self.clip.config.fps, len(self.clip.frame_seconds) - 1
        places = sorted({min(int(t * fps + 1e-6), last) for t in seconds})
        return world.render(self.clip, self.clip.frame_seconds[places])

    def stream(self, fps: float, start_seconds: float = 0.0) -> Iterator[Frames]:
        """All of it at once."""
        yield self.at(np.arange(start_seconds, self.duration_seconds, 1 / fps).tolist())


@dataclass(frozen=True)
class Told:
    """Both modules out of what the film knows, a little off: the answerer's lessons, never its tests."""

    clip: Clip
    rng: np.random.Generator
    name: str = "told"
    card: Mapping[str, JSON] = field(default_factory=lambda: {"name": "told"})

    def ground(self, video: Video, query: str, *, window: Span, top_k: int = 1) -> list[Span]:
        """The scene of the colour that the query names, its ends off by up to 0.8 s."""
        thing = next(t for t in self.clip.things if t.colour in query.split())
        off = self.rng.uniform(-0.8, 0.8, 2)
        start, end = max(0.0, thing.start_seconds + off[0]), min(video.duration_seconds, thing.end_seconds + off[1])
        return [Span(float(start), float(end), 1.0)]

    def detect(self, frames: Frames, query: str) -> list[list[Any]]:
        """The box of the thing on the stage, its corners off by a tenth of its size."""
        found = []
        for moment in frames.seconds:
            box = self.clip.boxes(float(moment))[0]
            off = self.rng.uniform(-0.1, 0.1, 4) * (box.x1 - box.x0)
            corners = np.clip(np.array([box.x0, box.y0, box.x1, box.y1]) + off, 0, 1) * self.clip.config.size_px
            found.append([(*map(float, corners), 0.9)])
        return found
