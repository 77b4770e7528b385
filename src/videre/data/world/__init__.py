"""The generated world: seeded videos of moving coloured shapes with exact truth, and questions about them.

clip = world.make(7)
world.write(clip, "clip.mp4")
for sample in world.questions(clip): ...
"""

from videre.data.world.film import write
from videre.data.world.questions import KINDS, SINGLE_FRAME_KINDS, describe, questions, video_name
from videre.data.world.render import render
from videre.data.world.sample import (
    HELD_OUT_SEED,
    SAMPLE,
    SAMPLE_ANSWER,
    SAMPLE_OPTIONS,
    SAMPLE_QUESTION,
    SAMPLE_SEED,
)
from videre.data.world.scene import Clip, Config, Thing, make
from videre.data.world.sheet import contact_sheet, story_sheet
from videre.data.world.story import EVENTS, Act, Story, StoryConfig, tell
from videre.data.world.story_questions import STORY_KINDS, story_name, story_questions

__all__ = [
    "EVENTS",
    "HELD_OUT_SEED",
    "KINDS",
    "SAMPLE",
    "SAMPLE_ANSWER",
    "SAMPLE_OPTIONS",
    "SAMPLE_QUESTION",
    "SAMPLE_SEED",
    "SINGLE_FRAME_KINDS",
    "STORY_KINDS",
    "Act",
    "Clip",
    "Config",
    "Story",
    "StoryConfig",
    "Thing",
    "contact_sheet",
    "describe",
    "make",
    "questions",
    "render",
    "story_name",
    "story_questions",
    "story_sheet",
    "tell",
    "video_name",
    "write",
]
