"""Stages 8 to 11: stories, in turn with clips. Who acts before or after whom, who is there beside whom.

A batch holds stories, questions about each in a few words and in sentences, and for each question where the heads of
`builtin_looks.py` are to look.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import builtin_language as language
import builtin_motion as motion
import numpy as np
import torch
from builtin_films import Asked, Film, film, sentences, tiny
from builtin_looks import LOOKS, MOST_FRAMES, WAYS
from builtin_tower import normal
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from videre.data import world
from videre.data.world.story import StoryConfig
from videre.data.world.story_questions import STAR_KINDS, ask

WAY_OF = {"TN": "after", "Sequence": "after", "after": "after", "TP": "before", "before": "before"}
"""Which head looks for what is asked for; `beside`, on the same frames, where it is not said."""
MOST_LOOKS = 5
"""Tokens of a reply that are told where to look: later ones follow from the earlier ones."""
EVENTS = (3, 8)
SLOT_SECONDS = (5.5, 7.0)
RESTS = 0.2
"""Stories have so many events, an event in so many seconds, and this share of them has a thing that rests."""
Look = tuple[str, int, np.ndarray, np.ndarray]
"""Its name, the token that looks, the tokens to look at, and those of the thing that is named."""


@dataclass(frozen=True)
class Lessons:
    """Batches of stories with questions, by number.

    Attributes:
        words: the model's tokenizer.
        steps: how many batches there are.
        films: stories a batch.
        asks: questions in sentences a film.
        tiny: tiny questions a film.
        frames: how many frames a batch may show; drawn evenly from these.
        parts: share of films that show a part of their story, as STAR's kinds of question do.
        seed: first seed; every batch has its own.
        together: batches that are taken at once, one a process; they show equally many frames, so that none waits.
    """

    words: PreTrainedTokenizerFast
    steps: int
    films: int
    asks: int
    tiny: int
    frames: tuple[int, ...]
    parts: float
    seed: int
    together: int = 1

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        count = int(np.random.default_rng([self.seed, index // self.together, 1]).choice(self.frames))
        rng = np.random.default_rng([self.seed, index])
        rows, pixels, looks, shown = [], [], [], []
        for i in range(self.films):
            seen, kind = self._drawn(self.seed + index * self.films + i, count, rng)
            clip = seen.story.window(seen.times[0], seen.times[-1])
            pixels.append(normal(world.render(clip, seen.times, 64).pixels, rng))
            row, told = self._row(seen, kind, rng)
            rows.append(row)
            shown += [seen.looks.get(int(thing), (-1, -1)) for thing in seen.cells]
            looks += [(look, i, *where) for look, *where in told]
        packed = language.pack(rows)
        return {
            "pixels": torch.from_numpy(np.concatenate(pixels)),
            "shown": torch.tensor(shown),
            **packed,
            **targets(packed["ids"], looks, self.image),
        }

    @property
    def image(self) -> int:
        """The token of a frame."""
        return self.words.convert_tokens_to_ids("<image>")

    def _drawn(self, seed: int, count: int, rng: np.random.Generator) -> tuple[Film, str]:
        """Frames of a story, or of the part of it that a question is about, and the kind of that question."""
        events = int(rng.integers(EVENTS[0], EVENTS[1] + 1))
        rests = int(rng.random() < RESTS)
        story = world.tell(seed, StoryConfig((events + rests) * rng.uniform(*SLOT_SECONDS), events, rests))
        start, end, kind = 0.0, story.config.seconds, ""
        if rng.random() < self.parts:
            drawn = str(rng.choice(STAR_KINDS))
            made = ask(story, drawn, rng)
            if made and made.clip:
                start, end, kind = made.clip.start_seconds, made.clip.end_seconds, drawn
        shake = rng.uniform(-0.3, 0.3, count) if rng.random() < 0.3 else 0.0
        return film(story, start + (np.arange(count) + 0.5 + shake) / count * (end - start), end), kind

    def _row(self, seen: Film, kind: str, rng: np.random.Generator) -> tuple[dict[str, list[int]], list[Look]]:
        layout = str(rng.choice(list(language.LAYOUTS), p=list(language.LAYOUTS.values())))
        start = self._tokens(language.prefix(seen.times, seen.end_seconds, 16, layout))
        bridge, pool = language.BRIDGE[layout], tiny(seen, rng)
        some = [pool[i] for i in rng.permutation(len(pool))[: self.tiny]]
        asked = [(one, language.ASSISTANT, f" {one.reply}{language.END}")
                 for one in sentences(seen, self.asks, rng, kind)]  # fmt: skip
        asked += [(one, "", one.reply) for one in some]
        told = [(one, self._tokens(bridge + one.text + end), self._tokens(reply)) for one, end, reply in asked]
        row = language.lay(start, [(said, reply, -1) for _, said, reply in told])
        return row, list(self._looks(seen, start, told))

    def _looks(self, seen: Film, start: list[int], told: list[tuple[Asked, list[int], list[int]]]) -> Iterator[Look]:
        """Where each head is to look for each question; none where the cells of a thing all show another one, too."""
        places = np.flatnonzero(np.array(start) == self.image)
        at, first = len(start), np.zeros(1, int)
        for one, said, reply in told:
            source, goal = (places[np.isin(seen.cells, some)] for some in (one.source, one.goal))
            if len(source) and len(goal):
                name, end = at + self._end_of_name(one, said), at + len(said) - 1
                yield "name", name, source, source
                for query in range(end, end + min(len(reply), MOST_LOOKS)):
                    yield "carry", query, np.array([name]), source
                    for way in WAYS:
                        yield way, query, goal if WAY_OF.get(one.kind, "beside") == way else first, source
            at += len(said) + len(reply)

    def _end_of_name(self, one: Asked, said: list[int]) -> int:
        ids = self._tokens(f" {one.name}")
        return next(i + len(ids) - 1 for i in range(len(said)) if said[i : i + len(ids)] == ids)

    def _tokens(self, text: str) -> list[int]:
        return self.words(text, add_special_tokens=False)["input_ids"]


@dataclass(frozen=True)
class Turns:
    """Stories, and in one of `every` steps clips."""

    stories: Lessons
    clips: motion.Lessons
    every: int

    def __len__(self) -> int:
        return len(self.stories)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        step = index // self.stories.together
        return (self.stories if step % self.every else self.clips)[index]


def targets(ids: Tensor, looks: list[Any], image: int) -> dict[str, Tensor]:
    """What the loss of looks needs: each look as its number, row and token, and where it is to look.

    Args:
        ids: the tokens of the batch, `[B, L]`.
        looks: each look's name, its row, and the rest of a `Look`.
        image: the token of a frame.

    Returns:
        `looks` `[N, 3]`; `where` `[N, L]`; `frames` `[N, MOST_FRAMES]`, on which frames the named thing is.
    """
    where = torch.zeros(len(looks), ids.shape[1], dtype=torch.bool)
    frames = torch.zeros(len(looks), MOST_FRAMES)
    number = ((ids == image).cumsum(1) - 1) // 16
    for n, (_, row, _, some, source) in enumerate(looks):
        where[n, torch.from_numpy(some)] = True
        frames[n] = torch.bincount(number[row, torch.from_numpy(source)], minlength=MOST_FRAMES).float()
    told = [(list(LOOKS).index(look), row, query) for look, row, query, *_ in looks]
    return {
        "looks": torch.tensor(told).long().reshape(-1, 3),
        "where": where,
        "frames": frames / frames.sum(1, keepdim=True),
    }
