"""Questions about a clip, with the true answer, the options, when and where it can be seen.

Answers are balanced, and wrong options come from the clip itself where that is possible, so that guessing from the
words alone stays at chance. A person's own wording should work too: each kind has several phrasings.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from videre.data.world.phrases import article, phrase, plural
from videre.data.world.scene import COLOURS, DIRECTIONS, SHAPES, Clip, Thing
from videre.types import Question, Sample

KINDS = ("colour", "shape", "presence", "count", "order", "first", "last", "direction", "motion")
"""Kinds with options. "describe" is one more, always open."""
SINGLE_FRAME_KINDS = ("colour", "shape", "presence")
"""Kinds that one frame can answer, if it shows the thing that is asked about."""


@dataclass(frozen=True)
class Draft:
    """A question before it is about a file: what it asks, the truth, and the things that must be seen to answer it."""

    kind: str
    text: str
    options: tuple[str, ...]
    answer: str
    about: tuple[Thing, ...]


def questions(clip: Clip, *, open_share: float = 0.0, kinds: Sequence[str] = KINDS) -> list[Sample]:
    """One question of each kind that the clip can carry, always the same ones.

    Args:
        clip: the clip; its `Sample.video` is `video_name(clip)`.
        open_share: share of questions asked without options.
        kinds: which kinds, see `KINDS`.
    """
    rng = np.random.default_rng([clip.seed, 7])
    drafts = [draft for kind in kinds if (draft := ask(clip, kind, rng))]
    return [_sample(clip, draft, bool(rng.random() < open_share)) for draft in drafts]


def video_name(clip: Clip) -> str:
    """The file name of a clip in a folder of clips."""
    return f"world-{clip.seed:08d}.mp4"


def ask(clip: Clip, kind: str, rng: np.random.Generator) -> Draft | None:
    """A question of this kind, or None where the clip does not carry one."""
    return _KIND[kind](clip, rng)


def refer(clip: Clip, thing: Thing, rng: np.random.Generator) -> str:
    """Words that mean this thing and no other: "the red circle", "the red thing", "the circle"."""
    alone = sum(t.shape == thing.shape for t in clip.things) == 1
    ways = [f"the {thing.name}", f"the {thing.name}", f"the {thing.colour} {_pick(rng, ('thing', 'object'))}"]
    return str(_pick(rng, [*ways, f"the {thing.shape}"] if alone else ways))


def _sample(clip: Clip, draft: Draft, is_open: bool) -> Sample:
    times = [t.start_seconds + 0.5 * (t.end_seconds - t.start_seconds) for t in draft.about]
    return Sample(
        id=f"world-{clip.seed:08d}-{draft.kind}",
        video=video_name(clip),
        question=Question(draft.text, () if is_open else draft.options),
        answer=draft.answer,
        spans=tuple(t.span for t in draft.about),
        boxes=tuple(t.box(s) for t, s in zip(draft.about, times, strict=True)),
        kind=draft.kind,
    )


def _colour(clip: Clip, rng: np.random.Generator) -> Draft | None:
    alone = [t for t in clip.things if sum(o.shape == t.shape for o in clip.things) == 1]
    if not alone:
        return None
    thing: Thing = _pick(rng, alone)
    options = _options(rng, thing.colour, [t.colour for t in clip.things], list(COLOURS))
    return Draft("colour", phrase(rng, "colour", x=thing.shape), options, thing.colour, (thing,))


def _shape(clip: Clip, rng: np.random.Generator) -> Draft | None:
    if not clip.things:
        return None
    thing: Thing = _pick(rng, clip.things)
    options = _options(rng, thing.shape, [t.shape for t in clip.things], list(SHAPES))
    return Draft("shape", phrase(rng, "shape", x=thing.colour), options, thing.shape, (thing,))


def _presence(clip: Clip, rng: np.random.Generator) -> Draft | None:
    """Half yes, half no; a "no" is near to the truth: a present colour with another shape, or the reverse."""
    if not clip.things:
        return None
    is_there, way = bool(rng.random() < 0.5), rng.random()
    thing: Thing = _pick(rng, clip.things)
    colour, shape = thing.colour, thing.shape
    if not is_there and way >= 0.35:
        colour = _pick(rng, _absent(COLOURS, [t.colour for t in clip.things]))
    if not is_there and way < 0.35:
        shape = _pick(rng, [s for s in SHAPES if s != thing.shape])
    elif not is_there and way > 0.7:
        shape = _pick(rng, list(SHAPES))
    what = f"{article(colour)} {_pick(rng, ('thing', 'object')) if way > 0.85 else shape}"
    about = (thing,) if is_there else ()
    return Draft("presence", phrase(rng, "presence", x=what), ("yes", "no"), "yes" if is_there else "no", about)


def _count(clip: Clip, rng: np.random.Generator) -> Draft | None:
    shapes = [t.shape for t in clip.things]
    several = sorted({s for s in shapes if shapes.count(s) > 1})
    # By shape mostly where there are several of it: otherwise "how many circles" would always mean one.
    shape = str(_pick(rng, several or shapes)) if shapes and rng.random() < (0.6 if several else 0.06) else ""
    counted = [t for t in clip.things if not shape or t.shape == shape]
    if not counted:
        return None
    what = plural(shape) if shape else str(_pick(rng, ("things", "objects", "shapes")))
    highest = max(4, len(counted))
    options = tuple(str(n) for n in range(highest - 3, highest + 1))
    return Draft("count", phrase(rng, "count", x=what), options, str(len(counted)), clip.things)


def _order(clip: Clip, rng: np.random.Generator) -> Draft | None:
    if len(clip.things) < 2:
        return None
    i, j = (int(k) for k in rng.permutation(len(clip.things))[:2])
    a, b = clip.things[i], clip.things[j]
    x, y, earlier = refer(clip, a, rng), refer(clip, b, rng), i < j
    way = rng.random()
    if way < 0.5:
        options, answer = ("before", "after"), ("after", "before")[earlier]
        text = phrase(rng, "before_after", x=x, y=y)
    elif way < 0.8:
        is_first = bool(rng.random() < 0.5)
        text = phrase(rng, "which_order", x=x, y=y, w="first" if is_first else "last")
        options, answer = (x, y), x if earlier == is_first else y
    else:
        text, options, answer = phrase(rng, "yes_order", x=x, y=y), ("yes", "no"), ("no", "yes")[earlier]
    return Draft("order", text, options, answer, (a, b))


def _extreme(kind: str, index: int) -> Callable[[Clip, np.random.Generator], Draft | None]:
    def draft(clip: Clip, rng: np.random.Generator) -> Draft | None:
        if len(clip.things) < 2:
            return None
        thing, way = clip.things[index], rng.random()
        if way < 0.25:
            noun, answer, others, rest = "colour", thing.colour, [t.colour for t in clip.things], list(COLOURS)
        elif way < 0.4:
            noun, answer, others, rest = "shape", thing.shape, [t.shape for t in clip.things], list(SHAPES)
        else:
            noun = str(_pick(rng, ("thing", "object")))
            answer, others, rest = thing.name, [t.name for t in clip.things], []
        options = _options(rng, answer, others, rest if len(set(others)) < 2 else [])
        return Draft(kind, phrase(rng, "extreme", n=noun, w=kind), options, answer, (thing,))

    return draft


def _direction(clip: Clip, rng: np.random.Generator) -> Draft | None:
    moving = [t for t in clip.things if t.direction]
    if not moving:
        return None
    thing: Thing = _pick(rng, moving)
    options = tuple(str(d) for d in rng.permutation(list(DIRECTIONS)))
    return Draft("direction", phrase(rng, "direction", x=refer(clip, thing, rng)), options, thing.direction, (thing,))


def _motion(clip: Clip, rng: np.random.Generator) -> Draft | None:
    if len({bool(t.direction) for t in clip.things}) < 2:
        return None
    wanted = bool(rng.random() < 0.5)
    pool = [t for t in clip.things if bool(t.direction) == wanted]
    thing, asks_rest = _pick(rng, pool), bool(rng.random() < 0.3)
    text = phrase(rng, "rest" if asks_rest else "motion", x=refer(clip, thing, rng))
    return Draft("motion", text, ("yes", "no"), "yes" if wanted != asks_rest else "no", (thing,))


def _describe(clip: Clip, rng: np.random.Generator) -> Draft | None:
    if not clip.things:
        return None
    return Draft("describe", phrase(rng, "describe"), (), describe(clip), clip.things)


def describe(clip: Clip) -> str:
    """A caption: what appears, in order, and what each thing does."""
    does = [f"moves {t.direction}" if t.direction else "stays still" for t in clip.things]
    return ", then ".join(f"{article(t.name)} {d}" for t, d in zip(clip.things, does, strict=True))


_KIND: dict[str, Callable[[Clip, np.random.Generator], Draft | None]] = {
    "colour": _colour,
    "shape": _shape,
    "presence": _presence,
    "count": _count,
    "order": _order,
    "first": _extreme("first", 0),
    "last": _extreme("last", -1),
    "direction": _direction,
    "motion": _motion,
    "describe": _describe,
}


def _options(rng: np.random.Generator, answer: str, near: Sequence[str], far: Sequence[str]) -> tuple[str, ...]:
    """Up to four options in random order: the answer, then what the clip shows, then the rest of the world."""
    nearer = [str(o) for o in rng.permutation(sorted(set(near) - {answer}))]
    further = [str(o) for o in rng.permutation(sorted(set(far) - set(near) - {answer}))]
    return tuple(str(o) for o in rng.permutation([answer, *(nearer + further)[:3]]))


def _pick(rng: np.random.Generator, values: Sequence[Any]) -> Any:
    return values[int(rng.integers(len(values)))]


def _absent(names: dict[str, tuple], shown: Sequence[str]) -> list[str]:
    return [n for n in names if n not in shown]
