"""Films for grounded questions: one small moving thing after another, and what is asked, drawn and known of them.

A film has a scene for each colour of the world, in random order, and one thing in it. A scene is so short that even
frames over the film show it about once, so that its way cannot be seen: "which way does the red thing move?" needs the
right moment. Things are as large as those that the built-in model knows, or half as large (`SMALL`): then it tells
their colour and their way, but not their shape, which needs a close-up.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from videre.data import world
from videre.data.world.scene import COLOURS, DIRECTIONS, SHAPES, Clip, Config, Thing
from videre.types import Question, Sample, Span

RADIUS, SMALL = 0.115, 0.055
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
ORDER = ("Which appears {w}, {x} or {y}?", "What comes {w}, {x} or {y}?")
ENDS = ("Which colour appears {w}?", "What colour appears {w}?", "Which colour comes {w}?")
FORMS = tuple((what, where) for what in ASKS for where in WHERE if (what, where) != ("colour", "self"))


def film(seed: int, radius: float = RADIUS) -> Clip:
    """The film of a seed: a clip whose things take the stage one after another, without a gap."""
    rng = np.random.default_rng([seed, 51])
    lengths = rng.uniform(*SCENE_SECONDS, len(COLOURS))
    ends = np.round(np.cumsum(lengths) / lengths.sum() * CONFIG.seconds * CONFIG.fps) / CONFIG.fps
    starts = [0.0, *ends[:-1].tolist()]
    colours = [str(c) for c in rng.permutation(list(COLOURS))]
    things = [_thing(rng, c, (a, b), radius) for c, a, b in zip(colours, starts, ends.tolist(), strict=True)]
    r, g, b = (int(v) for v in rng.integers(14, 34) + rng.integers(0, 26, 3))
    return Clip(seed, CONFIG, (r, g, b), tuple(things))


def _thing(rng: np.random.Generator, colour: str, ends: tuple[float, float], radius: float) -> Thing:
    direction, shape = str(rng.choice(list(DIRECTIONS))), str(rng.choice(list(SHAPES)))
    lane, length = float(rng.uniform(0.13, 0.87)), float(rng.uniform(0.4, 0.7))
    low = float(rng.uniform(0.13, 0.87 - length))
    a, b = (low, low + length) if direction in ("right", "down") else (low + length, low)
    path = (a, lane, b, lane) if direction in ("left", "right") else (lane, a, lane, b)
    rgb = tuple(int(v) for v in np.clip(np.array(COLOURS[colour]) + rng.integers(-10, 11, 3), 0, 255))
    return Thing(colour, shape, "small", rgb, radius, *ends, path=path, direction=direction)  # type: ignore[arg-type]


def questions(shown: Clip) -> list[Sample]:
    """One question of each form, with the scene that answers it; wrong colours and shapes are drawn from all."""
    found = []
    for number, (what, where) in enumerate(FORMS):
        rng = np.random.default_rng([shown.seed, 52, number])
        found.append(asked(shown, what, where, answered_in(shown, where, rng), rng, number=number))
    return found


def named(shown: Clip) -> list[Sample]:
    """Which way each thing moves and what shape it is, the thing named by its colour."""
    rng = np.random.default_rng([shown.seed, 55])
    both = [(place, what) for place in range(len(shown.things)) for what in ("direction", "shape")]
    return [asked(shown, what, "self", place, rng, number=i) for i, (place, what) in enumerate(both)]


def mixed(shown: Clip) -> list[Sample]:
    """As `questions`, and four that the whole film answers: its first and its last colour, and twice which of two
    things appears first or last.
    """
    rng = np.random.default_rng([shown.seed, 56])
    pairs = [tuple(map(int, rng.permutation(len(shown.things))[:2])) for _ in range(2)]
    ends = [at_end(shown, word, rng, number=len(FORMS) + 2 + i) for i, word in enumerate(("first", "last"))]
    return questions(shown) + [ordered(shown, p, rng, number=len(FORMS) + i) for i, p in enumerate(pairs)] + ends


def at_end(shown: Clip, word: str, rng: np.random.Generator, *, number: int = 0) -> Sample:
    """Which colour appears first, or last."""
    thing = shown.things[0 if word == "first" else -1]
    others = rng.permutation([c for c in COLOURS if c != thing.colour])[:3]
    options = tuple(map(str, rng.permutation([thing.colour, *others])))
    return Sample(
        id=f"{name(shown)[:-4]}_{number}",
        video=name(shown),
        question=Question(str(rng.choice(ENDS)).format(w=word), options),
        answer=thing.colour,
        spans=(Span(thing.start_seconds, thing.end_seconds),),
        kind="ends",
    )


def ordered(shown: Clip, pair: tuple[int, int], rng: np.random.Generator, *, number: int = 0) -> Sample:
    """Which of two things appears first, or last; the first of the pair is named first."""
    word = str(rng.choice(["first", "last"]))
    names = [f"the {shown.things[place].colour} thing" for place in pair]
    place = min(pair) if word == "first" else max(pair)
    return Sample(
        id=f"{name(shown)[:-4]}_{number}",
        video=name(shown),
        question=Question(str(rng.choice(ORDER)).format(w=word, x=names[0], y=names[1]), tuple(names)),
        answer=names[pair.index(place)],
        spans=tuple(Span(shown.things[p].start_seconds, shown.things[p].end_seconds) for p in sorted(pair)),
        kind="order",
    )


STEP = {"self": 0, "after": 1, "before": -1}
"""How many scenes from the thing that is named to the one that answers."""


def answered_in(shown: Clip, where: str, rng: np.random.Generator) -> int:
    """A scene that can answer a question of this kind: one that has the thing to be named beside it."""
    step = STEP[where]
    return step + int(rng.integers(max(0, -step), len(shown.things) - max(0, step)))


def asked(shown: Clip, what: str, where: str, place: int, rng: np.random.Generator, *, number: int = 0) -> Sample:
    """A question that the scene at this place answers."""
    anchor, thing = shown.things[place - STEP[where]], shown.things[place]
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


def written(
    seeds: Sequence[int], folder: Path, ask: Callable[[Clip], list[Sample]] = questions, *, radius: float = RADIUS
) -> list[Sample]:
    """The questions of these films, which lie in the folder afterwards as H.264."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for seed in seeds:
        shown = film(seed, radius)
        if not (folder / name(shown)).exists():
            part = folder / f"{seed}.part"
            world.write(shown, part)
            part.replace(folder / name(shown))
        found += ask(shown)
    return found
