"""What can be guessed about a story without seeing when anything happens: the shortcuts of the world's questions.

`words` is the best option by how often it was right in other stories; `presence` an ideal guesser who knows all things
that the asked part shows, and nothing of when or together with what.

    python results/world.py [--stories 600]        (writes world.md and world.json, about a minute)
"""

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from videre.data import world
from videre.metrics.interval import wilson
from videre.types import Sample

HERE = Path(__file__).parent
CONFIGS = {
    3: world.StoryConfig(),
    7: world.StoryConfig(seconds=60.0, events=7),
}
"""How many events a story has -> its settings."""
FIRST_SEED = 70_000_000


def words(told: Sequence[Sample]) -> float:
    """How often the option is right that was right most often in the other half of the stories."""
    right = 0.0
    for known, asked in ((told[::2], told[1::2]), (told[1::2], told[::2])):
        prior = Counter(sample.answer for sample in known)
        for sample in asked:
            best = max(prior[option] for option in sample.question.options)
            likely = [option for option in sample.question.options if prior[option] == best]
            right += (sample.answer in likely) / len(likely)
    return right / len(told)


def presence(told: Sequence[tuple[world.Story, Sample]]) -> float:
    """How often one of the options is right that name a thing which is seen and not asked about."""
    right = 0.0
    for story, sample in told:
        seen = {f"{piece} " for piece in shown(story, sample)}
        near = [
            option
            for option in sample.question.options
            if any(name in f"{option} " and name.strip() not in sample.question.text for name in seen)
        ]
        open_to = near or list(sample.question.options)
        right += (sample.answer in open_to) / len(open_to)
    return right / len(told)


def shown(story: world.Story, sample: Sample) -> set[str]:
    """The names of all things that the asked part of the story shows."""
    start, end = (
        (0.0, story.config.seconds) if sample.clip is None else (sample.clip.start_seconds, sample.clip.end_seconds)
    )
    acts = [act for act in story.events if act.span.start_seconds < end and act.span.end_seconds > start]
    return {name for act in acts for name in (act.actor, act.other) if name}


def measured(stories: int) -> list[dict[str, Any]]:
    """A row for each number of events and kind of question."""
    rows = []
    for events, config in CONFIGS.items():
        by_kind: dict[str, list[tuple[world.Story, Sample]]] = defaultdict(list)
        for seed in range(FIRST_SEED, FIRST_SEED + stories):
            story = world.tell(seed, config)
            for sample in world.story_questions(story):
                by_kind[str(sample.kind)].append((story, sample))
        for kind in world.STORY_KINDS:
            told = by_kind[kind]
            chance = sum(1 / len(sample.question.options) for _, sample in told) / len(told)
            guessed = words([sample for _, sample in told])
            low, high = wilson(round(guessed * len(told)), len(told))
            row = {"events": events, "kind": kind, "questions": len(told), "chance": chance}
            rows.append(row | {"words": guessed, "words_low": low, "words_high": high, "presence": presence(told)})
    return rows


def page(rows: Sequence[dict[str, Any]], stories: int) -> str:
    """The rows as a page."""
    lines = [
        "# What can be guessed about a story",
        "",
        f"Made by `python results/world.py --stories {stories}`. Percent right: `words`, the option that was right",
        "most often in other stories, with its 95 % interval; `presence`, who knows what the asked part shows and",
        "nothing of when.",
        "",
        "| events | kind | questions | chance | words | presence |",
        "| ---: | --- | ---: | ---: | --- | ---: |",
    ]
    for row in rows:
        numbers = [f"{100 * row[name]:.1f}" for name in ("chance", "words", "words_low", "words_high", "presence")]
        chance, guessed, low, high, seen = numbers
        lines.append(
            f"| {row['events']} | {row['kind']} | {row['questions']} | {chance} | {guessed} [{low}, {high}] | {seen} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--stories", type=int, default=600)
    given = parser.parse_args()
    rows = measured(given.stories)
    (HERE / "world.md").write_text(page(rows, given.stories))
    (HERE / "world.json").write_text(json.dumps(rows, indent=1) + "\n")
    print(page(rows, given.stories))


if __name__ == "__main__":
    main()
