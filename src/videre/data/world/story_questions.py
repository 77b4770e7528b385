"""Questions about a story in the types of NExT-QA (why, before and after, what is seen) and of STAR.

Every question names a thing of the story, and wrong options are about the story's own things too, so that words alone
do not tell the answer. STAR's fourth type, feasibility, is not asked: nothing in the world shows what could be done.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from videre.data.world.story import NAMES, TURNED, Act, Story
from videre.types import Question, Sample, Span

STORY_KINDS = ("CW", "TN", "TP", "DC", "DO", "Interaction", "Sequence", "Prediction")
"""NExT-QA's kinds, then STAR's."""

DOES = {
    "collision": "it hits another thing that starts to move",
    "recolour": "it touches another thing that changes colour",
    "blink": "it blinks",
    "stop": "it moves and stops",
    "follow": "another thing follows it",
}
"""What happens with the actor of an event, whatever it is called."""


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


def _samples(story: Story, kinds: Sequence[str]) -> Iterator[Sample]:
    for number, kind in enumerate(STORY_KINDS):
        asked = _KIND[kind](story, np.random.default_rng([story.seed, 21, number])) if kind in kinds else None
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
    options = _five(rng, act.actor, _others(story, act), _absent(act))
    return Asked(text, tuple(f"the {o} touches it" for o in options), f"the {act.actor} touches it", act)


def _next_to(step: int, word: str, *, situated: bool = False) -> Asker:
    """What happens right after or before an event that is named by its thing; situated: within the two events only."""

    def ask(story: Story, rng: np.random.Generator) -> Asked | None:
        low, high = (0, len(story.events) - 1) if step > 0 else (1, len(story.events))
        if low >= high:
            return None
        index = int(rng.integers(low, high))
        anchor, act = story.events[index], story.events[index + step]
        options = _five(rng, act.actor, _others(story, act, anchor), _absent(act, anchor))
        text = f"Which thing acts right {word} the {anchor.actor}?"
        clip = Span(anchor.span.start_seconds, act.span.end_seconds) if situated else None
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


def _others(story: Story, *known: Act) -> list[str]:
    """The story's other things, by name."""
    out = {name for act in known for name in (act.actor, act.other)}
    return sorted({name for act in story.events for name in (act.actor, act.other) if name} - out)


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
    "Interaction": _interaction,
    "Sequence": _next_to(1, "after", situated=True),
    "Prediction": _prediction,
}
