"""The built-in model asked about stories, and every model that can be asked whether a frame helps with a question."""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from videre import compat

compat.need_hf()

from builtin_films import film, names  # noqa: E402
from world_frames import EVERY_KIND, shown  # noqa: E402

from videre.data import world  # noqa: E402
from videre.methods.frame_selector.scorers import DIRECT  # noqa: E402
from videre.types import Frames, Question, Sample, Span  # noqa: E402
from videre.video.open import open_video  # noqa: E402

Told = dict[str, Any]
"""A kind, and what came of one question: 1 or 0 in each view, or a score and the truth."""
STORY = world.StoryConfig(seconds=42.0, events=7, distractors=0)
"""Seven events: with fewer, what comes next can be guessed from what is seen at all (results/world.md)."""
FRAMES = 16


def stories(model: Any, count: int, *, first: int = world.HELD_OUT_SEED) -> Iterator[Told]:
    """The built-in model on every kind of story question: with frames, shuffled, one of them, and an empty stage."""
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, first + count):
            story = world.tell(seed, STORY)
            path = world.write(story, Path(folder) / world.story_name(story))
            samples = world.story_questions(story)
            with open_video(path) as video:
                rng = np.random.default_rng([seed, 61])
                whole = views(video.at(even(0.0, story.config.seconds)), rng)
                sessions = {name: model.watch([frames]) for name, frames in whole.items()}
                for sample in samples:
                    asked = sessions if sample.clip is None else _part(model, video, sample, rng)
                    yield told(asked, sample) | {"shown": float(is_shown(story, sample))}
            path.unlink()


def _part(model: Any, video: Any, sample: Sample, rng: np.random.Generator) -> dict[str, Any]:
    part = sample.clip
    assert part is not None
    frames = video.at(even(part.start_seconds, part.end_seconds))
    return {name: model.watch([some]) for name, some in views(frames, rng).items()}


def is_shown(story: world.Story, sample: Sample) -> bool:
    """Whether the frames show all that a question and its answer name, in the colours that they are called by."""
    part = sample.clip or Span(0.0, story.config.seconds)
    seen = film(story, np.array(even(part.start_seconds, part.end_seconds)), part.end_seconds)
    return all(name in seen.things for text in (sample.question.text, str(sample.answer)) for name in names(text))


def even(start: float, end: float) -> list[float]:
    """Moments in the middle of even parts."""
    return [start + (i + 0.5) * (end - start) / FRAMES for i in range(FRAMES)]


def views(frames: Frames, rng: np.random.Generator) -> dict[str, Frames]:
    """The frames, and what shows less of the video."""
    one = int(rng.integers(len(frames)))
    return {
        "right": frames,
        "shuffled": Frames(frames.pixels[rng.permutation(len(frames))], frames.seconds),
        "one frame": Frames(frames.pixels[one : one + 1], frames.seconds[one : one + 1]),
        "blind": Frames(np.full_like(frames.pixels[:1], 20), frames.seconds[:1]),
    }


def told(sessions: Mapping[str, Any], sample: Sample) -> Told:
    """Whether each view led to the right option."""
    question = sample.question
    right = {name: float(session.answer(question).option == sample.option) for name, session in sessions.items()}
    return {"kind": str(sample.kind), "chance": 1 / len(question.options)} | right


def helped(score: Any, count: int, *, blind: bool = False) -> Iterator[Told]:
    """What a scorer gives to frames that help with a question, and to frames that do not, each kind by itself.

    Args:
        score: takes a frame and the text of a question, and gives a number.
        count: how many frames of clips and of stories, by turns.
        blind: show an empty stage in their place.
    """
    for seed in range(world.HELD_OUT_SEED, world.HELD_OUT_SEED + count):
        one = shown(seed, EVERY_KIND)
        clip = replace(one.clip, things=()) if blind else one.clip
        frame = world.render(clip, [one.moment], 192)
        for kind, text, helps in one.questions:
            yield {"kind": kind, "helps": helps, "score": score(Frames(frame.pixels, np.zeros(1)), text)}


def truth_of(model: Any) -> Any:
    """P(True) for the frame selector's prompt, of the two verdicts alone."""

    def score(frame: Frames, text: str) -> float:
        verdicts = ("Evaluation: False", "Evaluation: True")
        no, yes = model.score([frame], Question(DIRECT.format(question=text)), verdicts)
        return float(yes - no)

    return score


def area(rows: list[Told], name: str = "score") -> float:
    """How often a frame that helps scores above one that does not; ties count half. Chance is a half."""
    yes = np.array([row[name] for row in rows if row["helps"]])[:, None]
    no = np.array([row[name] for row in rows if not row["helps"]])[None]
    if not yes.size or not no.size:
        return float("nan")
    return float(((yes > no) + 0.5 * (yes == no)).mean())
