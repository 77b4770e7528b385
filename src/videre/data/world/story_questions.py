"""Questions about a story in the types of NExT-QA (why, before and after, what is seen) and of STAR.

Every question names a thing of the story, and wrong options are about the story's own things too, so that words alone
do not tell the answer. STAR-sub, as MSR-ViR's authors cut it, is `kinds=("Interaction", "Sequence")`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from videre.data.world.story import NAMES, TURNED, Act, Story
from videre.types import Question, Sample, Span

NEXT_KINDS = ("CW", "TN", "TP", "DC", "DO", "CH", "TC", "DL")
"""NExT-QA's: why, after, before, how often, what else, how, meanwhile, where."""

STAR_KINDS = ("Interaction", "Sequence", "Prediction", "Feasibility")
STORY_KINDS = (*NEXT_KINDS, *STAR_KINDS)

DOES = {
    "collision": "it hits another thing that starts to move",
    "recolour": "it touches another thing that changes colour",
    "blink": "it blinks",
    "stop": "it moves and stops",
    "follow": "another thing follows it",
}
"""What happens with the actor of an event, whatever it is called."""

TOUCHES = {
    "right": "from the left",
    "left": "from the right",
    "down": "from above",
    "up": "from below",
    "": "it does not",
}
"""How a thing that moves this way touches another."""

PLACES = ("in the middle", "on the left", "on the right", "at the top", "at the bottom")


@dataclass(frozen=True)
class Asked:
    """A question before it is about a file."""

    text: str
    options: tuple[str, ...]
    answer: str
    about: Act
    clip: Span | None = None


def story_name(story: Story) -> str:
    """The file name of a story in a folder of stories."""
    return f"story-{story.seed:08d}.mp4"


def story_questions(story: Story, *, kinds: Sequence[str] = STORY_KINDS) -> list[Sample]:
    """One question of each kind that the story can carry, always the same ones, with the span of their evidence."""
    return list(_samples(story, kinds))


def ask(story: Story, kind: str, rng: np.random.Generator) -> Asked | None:
    """A question of one of `STORY_KINDS`, another one for another generator; None where the story has none."""
    return _KIND[kind](story, rng)


def _samples(story: Story, kinds: Sequence[str]) -> Iterator[Sample]:
    for number, kind in enumerate(STORY_KINDS):
        asked = ask(story, kind, np.random.default_rng([story.seed, 21, number])) if kind in kinds else None
        if asked:
            yield Sample(
                id=f"story-{story.seed:08d}-{kind}",
                video=story_name(story),
                question=Question(asked.text, asked.options),
                answer=asked.answer,
                spans=(replace(asked.about.span, label=asked.about.kind),),
                kind=kind,
                clip=asked.clip,
            )


Asker = Callable[[Story, np.random.Generator], Asked | None]


def _why(story: Story, rng: np.random.Generator) -> Asked | None:
    """Why something starts to move or changes colour: the thing that touches it."""
    caused = [act for act in story.events if act.kind in ("collision", "recolour")]
    if not caused:
        return None
    act = caused[int(rng.integers(len(caused)))]
    happens = "start to move" if act.kind == "collision" else "change colour"
    text = f"Why does the {act.other} {happens}?"
    options = _five(rng, act.actor, _others(story.events, act), _absent(act))
    return Asked(text, tuple(f"the {o} touches it" for o in options), f"the {act.actor} touches it", act)


def _next_to(step: int, word: str, *, situated: bool = False) -> Asker:
    """What happens right after or before an event that is named by its thing; situated: within a part of the story."""

    def ask(story: Story, rng: np.random.Generator) -> Asked | None:
        low, high = (0, len(story.events) - 1) if step > 0 else (1, len(story.events))
        if low >= high:
            return None
        index = int(rng.integers(low, high))
        anchor, act = story.events[index], story.events[index + step]
        part = story.events[max(0, index - 2) : index + 4] if situated else story.events
        options = _five(rng, act.actor, _others(part, act, anchor), _absent(act, anchor))
        text = f"Which thing acts right {word} the {anchor.actor}?"
        clip = Span(part[0].span.start_seconds, part[-1].span.end_seconds) if situated else None
        return Asked(text, tuple(f"the {o}" for o in options), f"the {act.actor}", act, clip)

    return ask


def _count(story: Story, rng: np.random.Generator) -> Asked | None:
    blinks = [act for act in story.events if act.kind == "blink"]
    if not blinks:
        return None
    act = blinks[int(rng.integers(len(blinks)))]
    return Asked(f"How many times does the {act.actor} blink?", ("1", "2", "3", "4", "5"), str(act.count), act)


def _colour(story: Story, rng: np.random.Generator) -> Asked | None:
    turned = [act for act in story.events if act.kind == "recolour"]
    if not turned:
        return None
    act = turned[int(rng.integers(len(turned)))]
    return Asked(f"Which colour does the {act.other} turn?", TURNED, act.colour, act)


def _how(story: Story, rng: np.random.Generator) -> Asked | None:
    """From which side a thing touches another, or that it only goes before it."""
    pairs = [act for act in story.events if act.kind in ("collision", "recolour")]
    chased = [act for act in story.events if act.kind == "follow"]
    pool = chased if chased and rng.random() < 1 / len(TOUCHES) else pairs
    if not pool:
        return None
    act = pool[int(rng.integers(len(pool)))]
    answer = TOUCHES[act.pieces[0].direction] if act.kind != "follow" else TOUCHES[""]
    options = tuple(str(o) for o in rng.permutation(sorted(TOUCHES.values())))
    return Asked(f"How does the {act.actor} touch the {act.other}?", options, answer, act)


def _meanwhile(story: Story, rng: np.random.Generator) -> Asked | None:
    """What is there at the same time."""
    known = [act for act in story.events if act.other]
    if not known:
        return None
    act = known[int(rng.integers(len(known)))]
    shown, asked = (act.actor, act.other) if rng.random() < 0.5 else (act.other, act.actor)
    options = _five(rng, asked, _others(story.events, act), _absent(act))
    return Asked(f"What is there while the {shown} is?", tuple(f"the {o}" for o in options), f"the {asked}", act)


def _where(story: Story, rng: np.random.Generator) -> Asked | None:
    """Where a thing blinks. The middle is twice as likely as any side, so half of those are not asked."""
    blinks = [act for act in story.events if act.kind == "blink"]
    if not blinks:
        return None
    act = blinks[int(rng.integers(len(blinks)))]
    answer = _place(*act.pieces[0].path[:2])
    if answer is None or (answer == PLACES[0] and rng.random() < 0.5):
        return None
    options = tuple(str(o) for o in rng.permutation(PLACES))
    return Asked(f"Where does the {act.actor} blink?", options, answer, act)


def _place(x: float, y: float) -> str | None:
    """The place in words; None where people would not agree on it."""
    offset, side = (x - 0.5, 1) if abs(x - 0.5) > abs(y - 0.5) else (y - 0.5, 3)
    if abs(offset) < 0.06:
        return PLACES[0]
    return PLACES[side + (offset > 0)] if abs(offset) > 0.14 else None


def _feasible(story: Story, rng: np.random.Generator) -> Asked | None:
    """What a thing could touch if it went on, seen until shortly before it does, with what was there before."""
    known = [i for i, act in enumerate(story.events) if act.kind in ("collision", "recolour")]
    if not known:
        return None
    index = known[int(rng.integers(len(known)))]
    part, act = story.events[max(0, index - 3) : index + 1], story.events[index]
    last = act.span.start_seconds + 0.8 * (act.turn_seconds - act.span.start_seconds)
    seen = Span(part[0].span.start_seconds, last)
    options = _five(rng, act.other, _others(part, act), _absent(act))
    text = f"What is the {act.actor} able to touch if it goes on?"
    return Asked(text, tuple(f"the {o}" for o in options), f"the {act.other}", act, seen)


def _interaction(story: Story, rng: np.random.Generator) -> Asked | None:
    act = story.events[int(rng.integers(len(story.events)))]
    options = tuple(str(o) for o in rng.permutation(sorted(DOES.values())))
    return Asked(f"What happens with the {act.actor}?", options, DOES[act.kind], act, act.span)


def _prediction(story: Story, rng: np.random.Generator) -> Asked | None:
    """Where a follower goes on, seen to the middle of its way. What a touch will cause cannot be known before."""
    known = [act for act in story.events if act.kind == "follow"]
    if not known:
        return None
    act = known[int(rng.integers(len(known)))]
    middle = (act.span.start_seconds + act.span.end_seconds) / 2
    options = tuple(str(o) for o in rng.permutation(["left", "right", "up", "down"]))
    text = f"Which way will the {act.other} go on?"
    return Asked(text, options, act.pieces[1].direction, act, Span(act.span.start_seconds, middle))


def _others(acts: Sequence[Act], *known: Act) -> list[str]:
    """The other things of these acts, by name."""
    out = {name for act in known for name in (act.actor, act.other)}
    return sorted({name for act in acts for name in (act.actor, act.other) if name} - out)


def _absent(*known: Act) -> list[str]:
    """All names but those of these events."""
    return sorted({" ".join(name) for name in NAMES} - {name for act in known for name in (act.actor, act.other)})


def _five(rng: np.random.Generator, answer: str, near: Sequence[str], far: Sequence[str]) -> list[str]:
    """Up to five options in random order: the answer, then the nearer ones, then the others."""
    first = [str(o) for o in rng.permutation(near)] if near else []
    rest = [str(o) for o in rng.permutation(sorted(set(far) - set(near) - {answer}))] if far else []
    return [str(o) for o in rng.permutation([answer, *(first + rest)[:4]])]


_KIND: dict[str, Asker] = {
    "CW": _why,
    "TN": _next_to(1, "after"),
    "TP": _next_to(-1, "before"),
    "DC": _count,
    "DO": _colour,
    "CH": _how,
    "TC": _meanwhile,
    "DL": _where,
    "Interaction": _interaction,
    "Sequence": _next_to(1, "after", situated=True),
    "Prediction": _prediction,
    "Feasibility": _feasible,
}
