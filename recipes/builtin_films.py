"""What some frames of a story show, cell by cell, and the questions that they can answer."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from builtin_motion import CELLS
from world_lessons import NAMED

from videre.data.world.scene import COLOURS, SHAPES
from videre.data.world.story import Act, Story
from videre.data.world.story_questions import ask

ORDER_KINDS = ("TN", "TP", "Sequence")
OFTEN = {"TN": 4.0, "TP": 4.0, "CW": 1.0, "TC": 1.0, "DO": 1.0, "CH": 1.0, "DL": 0.7}
"""How often each kind is asked. How often a thing blinks (DC) cannot be seen in frames seconds apart."""
DENSE_SECONDS = 0.5
"""Frames so near to each other show which way a thing goes."""


@dataclass(frozen=True)
class Film:
    """A story, or a part of it, as some frames show it; a thing that has turned its colour is another thing.

    Attributes:
        story: the story.
        times: the frames' moments.
        end_seconds: where the video ends.
        things: the things that are seen in the colour they are called by, by name.
        turned: the things that are seen after a touch, by the name that they had before.
        acts: the event of each thing.
        looks: the colour and the shape of each thing, by number.
        cells: the thing that each frame token shows, `[T * 16]`; -1 where none or two are.
    """

    story: Story
    times: np.ndarray
    end_seconds: float
    things: dict[str, int]
    turned: dict[str, int]
    acts: dict[int, Act]
    looks: dict[int, tuple[int, int]]
    cells: np.ndarray

    def of(self, act: Act) -> tuple[int, ...]:
        """All things of an event that are seen."""
        return tuple(thing for thing, one in self.acts.items() if one is act)

    def named(self, act: Act) -> list[str]:
        """The names of an event's things that are seen in the colours they are called by."""
        return [name for name, thing in self.things.items() if self.acts[thing] is act]


def film(story: Story, times: np.ndarray, end_seconds: float) -> Film:
    """What these moments show of a story that is seen up to `end_seconds`."""
    cells, covered = np.full((len(times), 16), -1), np.zeros((len(times), 16), int)
    made = Film(story, times, end_seconds, {}, {}, {}, {}, cells.reshape(-1))
    for act, piece in ((one, piece) for one in story.events for piece in one.pieces):
        shown = piece.shown(times)
        if not shown.any():
            continue
        is_turned = piece.name not in (act.actor, act.other)
        names = made.turned if is_turned else made.things
        thing = names.setdefault(act.other if is_turned else piece.name, len(made.acts))
        made.acts[thing] = act
        made.looks[thing] = list(COLOURS).index(piece.colour), list(SHAPES).index(piece.shape)
        near = np.abs(CELLS[None] - piece.centre(times)[:, None]).max(-1) < max(0.125, piece.radius)
        near &= shown[:, None]
        cells[near] = thing
        covered += near
    cells[covered > 1] = -1
    return made


@dataclass(frozen=True)
class Asked:
    """A question, its reply, and the things to look at: the one that is named, and those that are asked for."""

    kind: str
    text: str
    reply: str
    source: tuple[int, ...]
    goal: tuple[int, ...]

    @property
    def name(self) -> str:
        """The thing that is named, or the first one."""
        return names(self.text)[0]


def names(text: str) -> list[str]:
    """The things that a text names.

    >>> names("Which thing acts right after the blue square?")
    ['blue square']
    """
    return [name for name in NAMED.findall(text) if " " in name and not name.endswith(("thing", "object"))]


def tiny(seen: Film, rng: np.random.Generator) -> list[Asked]:
    """Questions of three tokens with replies of one or two: " red star after" -> " blue ring"."""
    return [one for name in seen.things for one in _about(seen, name, rng)]


def _about(seen: Film, name: str, rng: np.random.Generator) -> Iterator[Asked]:
    events, thing = seen.story.events, seen.things[name]
    act = seen.acts[thing]
    for step, word in ((1, "after"), (-1, "before")):
        place = events.index(act) + step
        if 0 <= place < len(events):
            yield from _another(seen, name, word, seen.named(events[place]), rng)
    yield from _another(seen, name, "and", [other for other in seen.named(act) if other != name], rng)
    if name in seen.turned:
        yield Asked("turn", f" {name} is", f" {act.colour}", (thing,), (seen.turned[name],))
    way = next((piece.direction for piece in act.pieces if piece.name == name and piece.direction), "")
    if way and seen.times[1] - seen.times[0] < DENSE_SECONDS:
        yield Asked("way", f" {name} goes", f" {way}", (thing,), (thing,))
    if name == act.actor and act.other in seen.things and act.kind != "follow":
        yield Asked("touch", f" {name} moves", f" {act.pieces[0].direction}", (thing,), seen.of(act))


def _another(seen: Film, name: str, word: str, others: list[str], rng: np.random.Generator) -> Iterator[Asked]:
    if others:
        other = others[int(rng.integers(len(others)))]
        goal = seen.of(seen.acts[seen.things[other]]) if word != "and" else (seen.things[other],)
        yield Asked(word, f" {name} {word}", f" {other}", (seen.things[name],), goal)


def sentences(seen: Film, count: int, rng: np.random.Generator, kind: str = "") -> list[Asked]:
    """Questions as the world asks them, as far as these frames can answer them; `kind` first, where one is given."""
    kinds, often = list(OFTEN), np.array(list(OFTEN.values()))
    drawn = [*([kind] if kind else []), *map(str, rng.choice(kinds, 3 * count, p=often / often.sum()))]
    found: dict[str, Asked] = {}
    for one in drawn:
        made = ask(seen.story, one, rng)
        told = made and _told(seen, one, made)
        if told:
            found.setdefault(told.text, told)
    return list(found.values())[:count]


def _told(seen: Film, kind: str, made: Any) -> Asked | None:
    named, wanted = names(made.text), names(made.answer)
    if any(name not in seen.things for name in (*named, *wanted)) or (kind == "DO" and named[0] not in seen.turned):
        return None
    goal = tuple(seen.things[name] for name in wanted) or seen.of(made.about)
    if kind in ORDER_KINDS:
        goal = seen.of(made.about)
    elif kind == "DO":
        goal = (seen.turned[named[0]],)
    return Asked(kind, made.text, made.answer, (seen.things[named[0]],), goal)
