"""What the small text model of the world is taught: the house's prompts with sentences of the world, and right replies.

Three prompts, word for word as the methods send them: the frame selector's, which wants the indices of the frames that
a question needs; the reader's of MSR-ViR, which answers from descriptions; and MSR-ViR's parser, which wants a policy.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from videre.data import world
from videre.data.world.phrases import article
from videre.data.world.scene import COLOURS, SHAPES
from videre.data.world.story import Act, Story, StoryConfig
from videre.methods.frame_selector.temporal import LIST
from videre.methods.msr_vir.prompts import prompt as policy_prompt
from videre.methods.msr_vir.rivals import READ
from videre.options import letter, listed
from videre.types import Sample

SHAPE_WORDS = "|".join([*SHAPES, "thing", "object"])
NAMED = re.compile(rf"\b(?:(?:{'|'.join(COLOURS)}) )?(?:{SHAPE_WORDS})\b")
DIRECT_KINDS = ("CW", "DC", "DO", "CH", "TC", "DL", "Interaction")
"""Questions whose evidence is the event of the thing that they name."""
ORDER_KINDS = ("TN", "TP")
READ_KINDS = (*ORDER_KINDS, "TC")
WAYS = {"TN": "After", "TP": "Before", "TC": "With"}
"""How a reply starts that looks for another thing than the one that is named: what to look for stands next to it."""
STORY_EVENTS = 4
"""Of a story whose frames are described."""
Said = Callable[[Story, np.ndarray], list[str]]
POLICY_KINDS = (*world.STORY_KINDS, "colour", "shape", "presence", "count", "order", "first", "last", "direction")


@dataclass(frozen=True)
class Lesson:
    """A prompt, the right reply, and what of the reply counts.

    Attributes:
        truth: indices of frames, a letter, or a policy as JSON.
        options: how many replies a guess can choose from; 0 where they cannot be counted.
    """

    task: str
    kind: str
    prompt: str
    reply: str
    truth: Any
    options: int = 0


def story(seed: int, events: int, kinds: tuple[str, ...]) -> Story:
    """A story without distractors: a caption cannot tell a thing that rests from one that acts."""
    return world.tell(seed, StoryConfig(5.0 * events, events, 0, act_seconds=3.5, kinds=kinds))


def captions(acts: tuple[Act, ...], seconds: np.ndarray) -> list[str]:
    """One line a moment, as a model that sees one frame could write it."""
    return [caption([p.name for act in acts for p in act.pieces if p.shown(np.array([t]))[0]]) for t in seconds]


def caption(names: list[str]) -> str:
    """What a frame shows: "a blue star and a red circle", or "nothing".

    >>> caption(["red circle", "blue star"])
    'a blue star and a red circle'
    """
    return " and ".join(article(name) for name in sorted(set(names))) or "nothing"


def listing(seed: int, said: Said | None = None) -> Lesson | None:
    """Which of some frames a question needs, with the way there in words; None where the frames miss a thing of it."""
    rng = np.random.default_rng([seed, 41])
    told = story(seed, STORY_EVENTS, world.EVENTS)
    seconds = moments(rng, told, steps=(1.4, 2.4))
    lines = captions(told.events, seconds)
    kinds = ORDER_KINDS if rng.random() < 0.5 else DIRECT_KINDS
    samples = world.story_questions(told, kinds=kinds)
    if not samples:
        return None
    sample = samples[int(rng.integers(len(samples)))]
    steps = [where(lines, seconds, act) for act in needed(told, sample)]
    named = asked_of(sample.question.text)
    if not all(steps) or not any(named in lines[i] for i in steps[0]):
        return None
    reply = searched(way(sample), steps if sample.kind != "TP" else [step[::-1] for step in steps], lines)
    chosen = sorted(i for step in steps for i in step)
    shown = "\n".join(f"{i}: {line}" for i, line in enumerate(said(told, seconds) if said else lines))
    prompt = LIST.format(count=len(lines), captions=shown, question=sample.question.text)
    return Lesson("list", sample.kind, prompt, reply, chosen)


def way(sample: Sample) -> str:
    """Where to look from where: "After red star"."""
    return f"{WAYS.get(str(sample.kind), 'For')} {asked_of(sample.question.text)}"


def searched(start: str, steps: list[list[int]], lines: list[str]) -> str:
    """The way from a name to its lines and on to the next thing's, one look-up a step, then all lines.

    >>> searched("Before red star", [[4, 3], [1, 0]], ["", "a blue ring and a red cross"])
    'Before red star: 4, 3; 1: blue ring and red cross, 0. [4, 3, 1, 0]'
    """
    words = f"{start}: {numbers(steps[0])}"
    for first, *others in steps[1:]:
        words += f"; {numbers([first])}: {' and '.join(NAMED.findall(lines[first]))}"
        words += f", {numbers(others)}" if others else ""
    return f"{words}. [{numbers([i for step in steps for i in step])}]"


def asked_of(question: str) -> str:
    """The thing that a question is about.

    >>> asked_of("Which thing acts right after the blue square?")
    'blue square'
    """
    return next(name for name in NAMED.findall(question) if name not in ("thing", "object"))


def needed(told: Story, sample: Sample) -> list[Act]:
    """The events that must be seen: the one that is named, then the one next to it that is asked for."""
    (answer,) = [act for act in told.events if act.span.start_seconds == sample.spans[0].start_seconds]
    if sample.kind not in ORDER_KINDS:
        return [answer]
    anchor = told.events[told.events.index(answer) + (-1 if sample.kind == "TN" else 1)]
    return [anchor, answer]


def where(lines: list[str], seconds: np.ndarray, act: Act) -> list[int]:
    """The frames of an event that show something."""
    inside = np.flatnonzero((seconds >= act.span.start_seconds) & (seconds < act.span.end_seconds))
    return [int(i) for i in inside if lines[i] != "nothing"]


def moments(rng: np.random.Generator, told: Story, *, steps: tuple[float, float]) -> np.ndarray:
    """Even moments, some seconds apart, from a random one on."""
    step = rng.uniform(*steps)
    return np.arange(rng.uniform(0, step), told.config.seconds - 0.1, step)


def numbers(indices: list[int]) -> str:
    return ", ".join(str(i) for i in indices)


def reading(seed: int, said: Said | None = None) -> Lesson | None:
    """An answer from descriptions: what came before or after among things that act alone, or what was there at once."""
    rng = np.random.default_rng([seed, 42])
    kind = READ_KINDS[int(rng.integers(len(READ_KINDS)))]
    told = story(seed, STORY_EVENTS, world.EVENTS if kind == "TC" else ("blink", "stop"))
    seconds = moments(rng, told, steps=(1.8, 2.6))
    lines = captions(told.events, seconds)
    samples = world.story_questions(told, kinds=(kind,))
    if not samples:
        return None
    (sample,) = samples
    asked, found = sample.question, sample.answer.removeprefix("the ")
    steps = [where(lines, seconds, act) for act in needed(told, sample)]
    seen = [
        [i for i in step if name in lines[i]] for step, name in zip(steps, (asked_of(asked.text), found), strict=False)
    ]
    if not all(steps) or not all(seen) or found not in lines[seen[-1][0]]:
        return None
    right = letter(asked.options.index(sample.answer))
    written = zip(seconds, said(told, seconds) if said else lines, strict=True)
    shown = "\n".join(f"{t:.1f} s: {line}" for t, line in written)
    clocks = [int(f"{seconds[i]:.1f}".partition(".")[0]) for i in passed(sample.kind, seen)]
    reply = f"{way(sample)}: {'; '.join(map(str, clocks))}: {found}. {right}"
    return Lesson("read", kind, READ.format(captions=shown, question=listed(asked)), reply, right, len(asked.options))


def passed(kind: str | None, steps: list[list[int]]) -> list[int]:
    """The lines on the way: the last of the thing that is named and the first after it, or the two the other way round.

    >>> passed("TN", [[1, 2], [4, 5]]), passed("TP", [[4, 5], [1, 2]]), passed("TC", [[1, 2]])
    ([2, 4], [4, 2], [1])
    """
    if len(steps) == 1:
        return steps[0][:1]
    return [step[-1 if (kind == "TP") == bool(i) else 0] for i, step in enumerate(steps)]


def planning(seed: int, said: Said | None = None) -> Lesson | None:
    """The policy of a question about a story or a clip; nothing is described."""
    rng = np.random.default_rng([seed, 43])
    kind = POLICY_KINDS[int(rng.integers(len(POLICY_KINDS)))]
    if kind in world.STORY_KINDS:
        samples = world.story_questions(world.tell(seed), kinds=(kind,))
    else:
        samples = world.questions(world.make(seed), kinds=(kind,))
    if not samples:
        return None
    text = samples[0].question.text
    reply = json.dumps(policy(text, kind))
    return Lesson("parse", kind, policy_prompt(text), reply, json.loads(reply))


def policy(text: str, kind: str) -> dict[str, Any]:
    """What to look for, when and where, by the words of a question."""
    names = NAMED.findall(text.split("?")[0])
    places = [{"op": "locate", "query": name} for name in names[:2]]
    if kind in ("first", "last"):
        return {"temporal": {"op": "position", "where": "start" if kind == "first" else "end"}, "spatial": []}
    if not names or kind == "count":
        return {"temporal": {"op": "whole"}, "spatial": []}
    events = [{"op": "detect", "query": name} for name in names]
    if kind in ("TN", "TP", "Sequence"):
        relation = "before" if kind == "TP" else "after"
        return {"temporal": {"op": "relate", "relation": relation, "of": events[-1]}, "spatial": []}
    if len(events) > 1:
        return {"temporal": {"op": "between", "a": events[0], "b": events[1]}, "spatial": places}
    return {"temporal": events[0], "spatial": places}


TASKS = {"list": listing, "read": reading, "parse": planning}


def lesson(seed: int, task: str = "", said: Said | None = None) -> Lesson:
    """The lesson of a seed: half of them lists, a quarter each answers and policies.

    Args:
        seed: of the story, the question and the frames.
        task: one of `TASKS`; left out, one is drawn.
        said: describes the moments of a story; left out, true captions do.
    """
    rng = np.random.default_rng([seed, 44])
    chosen = task or ("list", "list", "read", "parse")[int(rng.integers(4))]
    tries = (TASKS[chosen](seed * 16 + i, said) for i in range(16))
    return next(found for found in tries if found)
