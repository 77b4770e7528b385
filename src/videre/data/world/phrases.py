"""The words of the world's questions: several ways to ask each kind, so that a person's own wording works too."""

import numpy as np

PHRASES: dict[str, tuple[str, ...]] = {
    "colour": (
        "What colour is the {x}?",
        "What color is the {x}?",
        "Which colour does the {x} have?",
        "Which color is the {x}?",
        "What is the colour of the {x}?",
        "Name the colour of the {x}.",
        "What colour is the {x} in the video?",
    ),
    "shape": (
        "What shape is the {x} thing?",
        "What is the shape of the {x} object?",
        "Which shape is {x}?",
        "What shape does the {x} thing have?",
        "What is the {x} thing?",
        "What {x} shape is there?",
        "What shape is the {x} object in the video?",
    ),
    "presence": (
        "Is there {x}?",
        "Is there {x} in the video?",
        "Does {x} appear?",
        "Can you see {x}?",
        "Do you see {x}?",
        "Does the video show {x}?",
    ),
    "count": (
        "How many {x} are there?",
        "How many {x} appear?",
        "How many {x} appear in the video?",
        "How many {x} can you see?",
        "How many different {x} are there in the video?",
    ),
    "before_after": (
        "Does {x} appear before or after {y}?",
        "Is {x} seen before or after {y}?",
        "Does {x} come before or after {y}?",
        "Does {x} enter before or after {y}?",
    ),
    "which_order": (
        "Which appears {w}, {x} or {y}?",
        "What comes {w}, {x} or {y}?",
        "Which one is seen {w}: {x} or {y}?",
    ),
    "yes_order": ("Does {x} appear before {y}?", "Is {x} seen before {y}?", "Does {x} come before {y}?"),
    "extreme": (
        "Which {n} appears {w}?",
        "What {n} appears {w}?",
        "Which {n} comes {w}?",
        "Which {n} is the {w} to appear?",
        "What is the {w} {n} to appear?",
        "Which {n} is seen {w}?",
    ),
    "direction": (
        "Which way does {x} move?",
        "In which direction does {x} move?",
        "Which direction does {x} go?",
        "Where does {x} move?",
        "Which way is {x} moving?",
        "In what direction is {x} moving?",
        "Which way does {x} go?",
    ),
    "motion": ("Does {x} move?", "Is {x} moving?", "Does {x} move in the video?"),
    "describe": ("What happens in the video?", "Describe the video.", "What happens?", "What does the video show?"),
    "rest": ("Does {x} stay still?", "Is {x} still?", "Does {x} stay in place?"),
}


def phrase(rng: np.random.Generator, name: str, **words: str) -> str:
    """One of the ways to ask, with the words put in."""
    ways = PHRASES[name]
    return ways[int(rng.integers(len(ways)))].format(**words)


def article(word: str) -> str:
    """The word after "a" or "an"."""
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def plural(shape: str) -> str:
    """Several of a shape: "circles", "crosses"."""
    return f"{shape}es" if shape.endswith("s") else f"{shape}s"
