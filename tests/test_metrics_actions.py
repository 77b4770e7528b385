"""Which classes a guess in words means: whole descriptions, particles, things side by side, what means nothing."""

import csv

import pytest

from videre.apps.benchmarks import class_words
from videre.metrics import actions

LEXICON = actions.lexicon(
    [("put down plate", (1, 2)), ("turn on tap", (6, 0))],
    [
        ("put-down", 1),
        ("put", 1),
        ("turn-on", 6),
        ("turn", 9),
        ("take", 0),
        ("put-into", 5),
        ("stir-fry", 4),
        ("take", 99),
    ],
    [("plate", 2), ("tap", 0), ("cup", 7), ("cup:coffee", 7), ("coffee", 30), ("olive:oil", 31), ("glass", 8)],
)


@pytest.mark.parametrize(
    ("guess", "classes"),
    [
        ("Put down the plate.", (1, 2)),
        ("turn on the tap", (6, 0)),
        ("turn the tap on", (6, 0)),
        ("turn tap", (9, 0)),
        ("take a coffee cup", (0, 7)),
        ("take olive oil", (0, 31)),
        ("take two plates", (0, 2)),
        ("take the glass", (0, 8)),
        ("take cup from plate", (0, 7)),
        ("put the cup into the glass", (5, 7)),
        ("stir fry the rice", (4, None)),
        ("plate", (None, 2)),
        ("dance", (None, None)),
        ("...", (None, None)),
    ],
)
def test_guesses(guess, classes):
    assert LEXICON.read(guess) == classes


def test_most_published_narrations_are_read_from_the_class_files_alone(shared):
    """Held to what the published rows say, without the narrations themselves."""
    folder = shared / "corpus" / "annotations" / "epic_kitchens_100"
    known = actions.lexicon(
        [],
        class_words(folder / "EPIC_100_verb_classes.csv"),
        class_words(folder / "EPIC_100_noun_classes.csv"),
    )
    with (folder / "EPIC_100_validation.csv").open() as file:
        rows = list(csv.DictReader(file))
    read = [known.read(row["narration"]) for row in rows]
    verbs = [verb == int(row["verb_class"]) for (verb, _), row in zip(read, rows, strict=True)]
    nouns = [noun == int(row["noun_class"]) for (_, noun), row in zip(read, rows, strict=True)]
    assert len(rows) == 200
    assert sum(verbs) >= 190
    assert sum(nouns) >= 190
