"""What can be guessed about a story without seeing when anything happens: the shortcuts of the world's questions.

`words` is the best option by how often it was right in other stories; `presence` an ideal guesser who knows all
things that the asked part shows, and nothing of when or together with what; `one frame` and `shuffled` are told the
true things and places of one frame of the asked part, and of all of them without their order (`world_guess.py`).

    python results/world.py [--stories 600]        (writes world.md and world.json, about a minute)
"""

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import world_guess

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
NUMBERS = ("chance", "words", "words_low", "words_high", "presence", "one_frame", "shuffled", "balance")
HEAD = """# What can be guessed about a story

Made by `python results/world.py --stories {stories}`. Percent right: `words`, the option that was right most often in
other stories, with its 95 % interval; `presence`, who knows what the asked part shows and nothing of when. The last
two know more than any model does, the true things and places: `one frame`, of a random frame of the asked part;
`shuffled`, of all its frames without their order. `place`: how much more often than chance the right option stands in
its commonest place.

**Where it must stay at chance, it does**: order (TN, TP, Sequence) with seven events, for everyone here. Shuffled
frames do tell a cause (CW), what was there at once (TC), a colour (DO), a place (DL), a side (CH; what is left are
followers, who touch nothing) and what lies ahead (Feasibility): to see two things together, or one, is the evidence
of these. One frame is seldom the right one, but for two kinds: **Prediction needs one frame only** (a follower stands
behind its leader), and Interaction is cut to its own event, so that who is there leaves two or three of five. Use TN,
TP and Sequence with seven events for claims about order, DC for counting, where these guessers draw.

| events | kind | questions | chance | words | presence | one frame | shuffled | place |
| ---: | --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |"""


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


def balance(told: Sequence[Sample]) -> float:
    """How much more often than a guess the option in the commonest place is the right one; 0 is even."""
    places = Counter(sample.option for sample in told)
    least = sum(1 / len(sample.question.options) for sample in told)
    return max(places.values()) / len(told) - least / len(told)


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
        seen: dict[str, list[dict[str, float]]] = defaultdict(list)
        for seed in range(FIRST_SEED, FIRST_SEED + stories):
            story = world.tell(seed, config)
            frames = world_guess.frames(story)
            for sample in world.story_questions(story):
                by_kind[str(sample.kind)].append((story, sample))
                seen[str(sample.kind)].append(world_guess.shares(frames, sample))
        for kind in world.STORY_KINDS:
            told = by_kind[kind]
            chance = sum(1 / len(sample.question.options) for _, sample in told) / len(told)
            guessed = words([sample for _, sample in told])
            low, high = wilson(round(guessed * len(told)), len(told))
            row = {"events": events, "kind": kind, "questions": len(told), "chance": chance}
            row |= {"words": guessed, "words_low": low, "words_high": high, "presence": presence(told)}
            views = {name: sum(one[name] for one in seen[kind]) / len(told) for name in ("one_frame", "shuffled")}
            rows.append(row | views | {"balance": balance([sample for _, sample in told])})
    return rows


def page(rows: Sequence[dict[str, Any]], stories: int) -> str:
    """The rows as a page."""
    lines = [HEAD.format(stories=stories)]
    for row in rows:
        numbers = [f"{100 * row[name]:.1f}" for name in NUMBERS]
        chance, guessed, low, high, *others = numbers
        cells = [row["events"], row["kind"], row["questions"], chance, f"{guessed} [{low}, {high}]", *others]
        lines.append(f"| {' | '.join(map(str, cells))} |")
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
