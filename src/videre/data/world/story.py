"""Stories: videos of seconds to hours in which a few events with causes lie among distractors, drawn as they are read.

The time line is cut into slots of one length; a slot holds one act: an event, or a distractor that rests. Every slot is
made from the seed and its own number, so that an hour costs no more memory than a minute.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from videre.data.world.scene import COLOURS, SHAPES, VERSION, Clip, Config, Thing
from videre.types import Frames, Span

EVENTS = ("collision", "recolour", "blink", "stop", "follow")
NAMES = tuple(itertools.product(list(COLOURS)[:6], SHAPES))
"""Colour and shape of everything that appears. No two things of a story's events share one."""
TURNED = ("cyan", "white")
"""Colours that only come by a touch: nothing appears in them."""
RADIUS = 0.11
MOST_EVENTS = 8
LEAST_FRAMES = 22
"""Frames of an event, at least: the shortest blink then lasts two."""

QUIET = 0.25
"""Empty time after an act, at least, as a share of the act: longer than a blink is dark."""


@dataclass(frozen=True)
class StoryConfig:
    """What kind of stories to make.

    Attributes:
        seconds: length of the video.
        events: how many events it has.
        distractors: how many stretches show a thing at rest instead.
        act_seconds: how long an event takes; short against `seconds`, it is a needle.
        fps: frames a second.
        size_px: side of the square frame.
        kinds: which events may happen.
    """

    seconds: float = 24.0
    events: int = 3
    distractors: int = 1
    act_seconds: float = 4.0
    fps: int = 10
    size_px: int = 192
    kinds: tuple[str, ...] = EVENTS

    def __post_init__(self) -> None:
        if not 1 <= self.events <= MOST_EVENTS or self.distractors < 0:
            raise ValueError(f"a story has 1 to {MOST_EVENTS} events and 0 or more distractors, got {self}")
        if self.act_seconds * self.fps < LEAST_FRAMES:
            raise ValueError(f"an event takes {LEAST_FRAMES} frames at least, got {self.act_seconds=} at {self.fps=}")
        if self.slot_seconds < (least := (1 + QUIET) * self.act_seconds + 1 / self.fps):
            acts = self.events + self.distractors
            raise ValueError(
                f"{self.events} events and {self.distractors} distractors of {self.act_seconds:g} s need "
                f"{acts * least:.1f} s, got {self.seconds:g} s"
            )
        if not self.kinds or set(self.kinds) - set(EVENTS):
            raise ValueError(f"kinds are some of {EVENTS}, got {self.kinds}")

    @property
    def slot_seconds(self) -> float:
        """The length of a slot."""
        return self.seconds / (self.events + self.distractors)

    @property
    def film(self) -> Config:
        """The settings of the film that it is written as."""
        return Config(seconds=self.seconds, fps=self.fps, size_px=self.size_px)


@dataclass(frozen=True)
class Act:
    """What happens in one slot.

    Attributes:
        kind: one of `EVENTS`, or "rest" for a distractor.
        span: from the first frame that shows its things to the first one that does not.
        turn_seconds: when the touch, the stop or the first blink comes; the start where there is none.
        actor: what does it, "red circle".
        other: what it is done to, or who follows; empty for one alone.
        count: how often, for a blink; else 1.
        colour: what the other turns into, for a recolour.
        pieces: all that is drawn: straight paths in one colour each.
    """

    kind: str
    span: Span
    turn_seconds: float
    actor: str
    other: str = ""
    count: int = 1
    colour: str = ""
    pieces: tuple[Thing, ...] = field(default=(), repr=False)

    @property
    def caption(self) -> str:
        """What happens, as a sentence without its full stop."""
        return {
            "collision": f"the {self.actor} hits the {self.other}, which starts to move",
            "recolour": f"the {self.actor} touches the {self.other}, which turns {self.colour}",
            "blink": f"the {self.actor} blinks {self.count} time{'s' * (self.count > 1)}",
            "stop": f"the {self.actor} moves and stops",
            "follow": f"the {self.other} follows the {self.actor}",
            "rest": f"the {self.actor} stays still",
        }[self.kind]

    @property
    def effect(self) -> Span:
        """The part after the turn: what the touch or the stop has caused."""
        return Span(self.turn_seconds, self.span.end_seconds, label=self.kind)


@dataclass(frozen=True)
class Story:
    """A video that has not been drawn, and all that is true of it."""

    seed: int
    config: StoryConfig

    @cached_property
    def events(self) -> tuple[Act, ...]:
        """The events in order."""
        return tuple(self.act(slot) for slot in sorted(self._event_slots))

    def act(self, slot: int) -> Act:
        """What happens in a slot."""
        rng = np.random.default_rng([VERSION, self.seed, 12, slot])
        if slot in self._event_slots:
            kind, names = self._event_slots[slot]
        else:
            kind, names = "rest", (self._spare[int(rng.integers(len(self._spare)))],)
        config = self.config
        free = config.slot_seconds - (1 + QUIET) * config.act_seconds - 1 / config.fps
        start = _grid(slot * config.slot_seconds + rng.uniform(0, free) + 0.5 / config.fps, config.fps)
        return _Stage(rng, config.fps, start, _grid(start + config.act_seconds, config.fps)).play(kind, names)

    def window(self, start_seconds: float, end_seconds: float) -> Clip:
        """The part of the story between two moments, ready to be drawn; its times are those of the whole story."""
        length = self.config.slot_seconds
        last = self.config.events + self.config.distractors - 1
        slots = range(max(0, int(start_seconds / length) - 1), min(last, int(end_seconds / length) + 1) + 1)
        pieces = tuple(piece for slot in slots for piece in self.act(slot).pieces)
        return Clip(self.seed, self.config.film, self._background, pieces)

    def chunks(self, frames: int = 32) -> Iterator[Frames]:
        """All frames in order, some at a time: memory does not grow with the length."""
        from videre.data.world.render import render

        total, fps = round(self.config.seconds * self.config.fps), self.config.fps
        for first in range(0, total, frames):
            times = np.arange(first, min(first + frames, total), dtype=np.float64) / fps
            yield render(self.window(times[0], times[-1]), times)

    @property
    def caption(self) -> str:
        """The events as one sentence, in order."""
        return ", then ".join(act.caption for act in self.events)

    @property
    def activity(self) -> str:
        """The sequence of events as a class: "stop-follow"."""
        return "-".join(act.kind for act in self.events)

    @cached_property
    def _event_slots(self) -> dict[int, tuple[str, tuple[tuple[str, str], ...]]]:
        rng, config = np.random.default_rng([VERSION, self.seed, 11]), self.config
        slots = rng.choice(config.events + config.distractors, config.events, replace=False)
        kinds = [str(k) for k in rng.choice(list(config.kinds), config.events)]
        pairs = _pairs([NAMES[i] for i in self._order], config.events)
        return {int(slot): (kind, pair) for slot, kind, pair in zip(slots, kinds, pairs, strict=True)}

    @cached_property
    def _order(self) -> np.ndarray:
        return np.random.default_rng([VERSION, self.seed, 13]).permutation(len(NAMES))

    @cached_property
    def _spare(self) -> list[tuple[str, str]]:
        taken = {name for _, names in self._event_slots.values() for name in names}
        return [NAMES[i] for i in self._order if NAMES[i] not in taken]

    @cached_property
    def _background(self) -> tuple[int, int, int]:
        r, g, b = (int(v) for v in np.random.default_rng([VERSION, self.seed, 14]).integers(6, 34, 3))
        return r, g, b


def tell(seed: int, config: StoryConfig | None = None) -> Story:
    """The story of a seed, always the same one."""
    return Story(seed, config or StoryConfig())


@dataclass(frozen=True)
class _Stage:
    """Where an act is put on: one lane of random side and direction, from its start to its end."""

    rng: np.random.Generator
    fps: int
    start: float
    end: float

    def play(self, kind: str, names: tuple[tuple[str, str], ...]) -> Act:
        lane, axis, flip = float(self.rng.uniform(0.2, 0.8)), int(self.rng.integers(2)), bool(self.rng.integers(2))
        count = int(self.rng.integers(1, 6)) if kind == "blink" else 1
        turn = _grid((self.start + self.end) / 2, self.fps)
        colour = str(self.rng.choice(list(TURNED))) if kind == "recolour" else ""
        plans = _plans(kind, (self.start, turn, self.end), count=count, fps=self.fps)
        pieces = [
            _piece(names[who], times, ends, place=(lane, axis, flip), colour=colour if turned else "")
            for who, times, ends, turned in plans
        ]
        actor, *other = (" ".join(name) for name in names)
        if kind == "blink":
            turn = pieces[0].end_seconds
        if kind in ("follow", "rest"):
            turn = self.start
        alone = kind in ("blink", "stop", "rest")
        span = Span(self.start, self.end, label=kind)
        return Act(kind, span, turn, actor, "" if alone else other[0], count, colour, tuple(pieces))


Plan = tuple[int, tuple[float, float], tuple[float, float], bool]
"""Who (0 actor, 1 other), from when to when, from where to where along the lane, and whether in the turned colour."""


def _plans(kind: str, times: tuple[float, float, float], *, count: int, fps: int) -> list[Plan]:
    start, turn, end = times
    before, after, whole = (start, turn), (turn, end), (start, end)
    touch = [(0, before, (0.14, 0.40), False), (0, after, (0.40, 0.40), False), (1, before, (0.62, 0.62), False)]
    if kind == "collision":
        return [*touch, (1, after, (0.62, 0.86), False)]
    if kind == "recolour":
        return [*touch, (1, after, (0.62, 0.62), True)]
    if kind == "stop":
        return [(0, before, (0.14, 0.6), False), (0, after, (0.6, 0.6), False)]
    if kind == "follow":
        return [(0, whole, (0.45, 0.86), False), (1, whole, (0.14, 0.55), False)]
    if kind == "blink":
        dark = (end - start) / 11
        lit = (end - start - count * dark) / (count + 1)
        starts = [start + i * (lit + dark) for i in range(count + 1)]
        return [(0, (_grid(s, fps), _grid(s + lit, fps)), (0.5, 0.5), False) for s in starts]
    return [(0, whole, (0.5, 0.5), False)]


def _piece(
    name: tuple[str, str],
    times: tuple[float, float],
    ends: tuple[float, float],
    *,
    place: tuple[float, int, bool],
    colour: str,
) -> Thing:
    (first, shape), (lane, axis, flip) = name, place
    a, b = (1 - e if flip else e for e in ends)
    path = (a, lane, b, lane) if axis == 0 else (lane, a, lane, b)
    toward = (("right", "left"), ("down", "up"))[axis][flip] if a != b else ""
    shown = colour or first
    return Thing(shown, shape, "small", COLOURS[shown], RADIUS, *times, path=path, direction=toward)


def _pairs(names: list[tuple[str, str]], count: int) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """Two names of its own for each event, of different colours."""
    pool, pairs = list(names), []
    for _ in range(count):
        first = pool.pop(0)
        other = next(name for name in pool if name[0] != first[0])
        pool.remove(other)
        pairs.append((first, other))
    return pairs


def _grid(seconds: float, fps: int) -> float:
    return round(seconds * fps) / fps
