"""The texts that the built-in model's tokenizer is made from: what it reads and writes, and some common words more."""

from collections.abc import Iterator

import builtin_language as language
import numpy as np

from videre.data import world

OTHER = (
    "why does the person do this how did it happen when did it start where who is it because then while during after "
    "yes no none all both some many more less left right up down still fast slow big small near far top bottom middle"
)


def corpus(clips: int, *, seed: int = 30_000_000) -> Iterator[str]:
    """Prompts, questions and replies about the first clips from a seed on."""
    yield OTHER
    for i in range(clips):
        rng = np.random.default_rng([3, i])
        clip = world.make(seed + i)
        count = int(rng.choice([1, 2, 4, 6, 8, 10, 12, 16, 32]))
        times = language.moments(clip, count, rng)
        yield language.prefix(times, 8.0, 0, str(rng.choice(list(language.LAYOUTS)))) + language.ASSISTANT
        everything = np.linspace(0, 8, 20)
        for text, reply, _ in language.texts(language.drafts(clip, everything, 12, rng), 0.5, rng):
            yield text
            yield f" {reply}"
