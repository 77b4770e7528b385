"""What the small Q-Former model of the world is taught: a frame, what one may ask of it alone, and the true reply."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from world_lessons import DIRECT_KINDS, ORDER_KINDS, caption, needed

from videre.data import world
from videre.data.world.scene import Clip
from videre.data.world.story import Story, StoryConfig
from videre.methods.frame_selector.scorers import DIRECT, LETTERS
from videre.methods.frame_selector.temporal import CAPTION
from videre.methods.msr_vir.rivals import DESCRIBE
from videre.types import Sample

FRAME_KINDS = ("colour", "shape", "presence", "count")
HELPED_CLIP_KINDS = ("colour", "shape", "direction")
EVERY_KIND = (*DIRECT_KINDS, *ORDER_KINDS)
CAPTIONS = (CAPTION, DESCRIBE)


@dataclass(frozen=True)
class Asked:
    """A prompt about one frame and the true reply; `options` are what one guesses among."""

    task: str
    kind: str
    prompt: str
    reply: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shown:
    """A moment of a clip or a story: what can be drawn, and the questions about the whole with their evidence."""

    clip: Clip
    moment: float
    questions: tuple[tuple[str, str, bool], ...]
    """Kind, text, and whether the moment helps with it."""

    @property
    def names(self) -> list[str]:
        """The things that the frame shows."""
        return [box.label for box in self.clip.boxes(self.moment)]


def shown(seed: int, kinds: tuple[str, ...] = DIRECT_KINDS) -> Shown:
    """A clip or a story, by turns, at a moment at which something is there, mostly."""
    rng = np.random.default_rng([seed, 51])
    if seed % 2:
        clip = world.make(seed)
        moment = float(rng.uniform(0, clip.config.seconds - 0.1))
        asked = world.questions(clip, kinds=HELPED_CLIP_KINDS)
        helps = [any(span.start_seconds <= moment < span.end_seconds for span in s.spans) for s in asked]
        told = tuple((s.kind, s.question.text, h) for s, h in zip(asked, helps, strict=True))
        return Shown(clip, moment, told)
    return _of_story(world.tell(seed, StoryConfig(24.0, 3, 0)), rng, kinds)


def _of_story(story: Story, rng: np.random.Generator, kinds: tuple[str, ...]) -> Shown:
    span = story.events[int(rng.integers(len(story.events)))].span
    moment = float(rng.uniform(span.start_seconds, span.end_seconds - 0.05))
    clip = story.window(moment, moment)
    is_dark = not clip.boxes(moment)
    asked = world.story_questions(story, kinds=kinds)
    helps = [not is_dark and _helps(story, sample, moment) for sample in asked]
    told = tuple((s.kind, s.question.text, h) for s, h in zip(asked, helps, strict=True))
    return Shown(clip, moment, told)


def _helps(story: Story, sample: Sample, moment: float) -> bool:
    acts = needed(story, sample)
    return any(act.span.start_seconds <= moment < act.span.end_seconds for act in acts)


def asked(one: Shown, rng: np.random.Generator) -> Iterator[Asked]:
    """A caption, one thing about the frame alone, and whether it helps with a question that it does, and does not."""
    yield Asked("caption", "caption", str(rng.choice(CAPTIONS)), caption(one.names))
    yield from _about(one, rng)
    for helps in (True, False):
        pool = [q for q in one.questions if q[2] == helps]
        if pool:
            kind, text, _ = pool[int(rng.integers(len(pool)))]
            yield helping(kind, text, helps, letters=bool(rng.random() < 0.5))


def helping(kind: str, text: str, helps: bool, *, letters: bool) -> Asked:
    """Whether a frame helps with a question, as the frame selector asks."""
    form, replies = (LETTERS, ("N", "Y")) if letters else (DIRECT, ("Evaluation: False", "Evaluation: True"))
    return Asked("helps", kind, form.format(question=text), replies[helps], replies)


def _about(one: Shown, rng: np.random.Generator) -> Iterator[Asked]:
    there = tuple(t for t in one.clip.things if t.shown(np.array([one.moment]))[0])
    frame = replace(one.clip, things=there, seed=int(rng.integers(2**31)))
    samples = world.questions(frame, kinds=FRAME_KINDS)
    if samples:
        sample = samples[int(rng.integers(len(samples)))]
        yield Asked("ask", sample.kind, sample.question.text, sample.answer, sample.question.options)
