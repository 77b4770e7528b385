"""The clip that ships with the package, for a first look: what to ask of it, and the true answer."""

from pathlib import Path

SAMPLE = Path(__file__).parent / "sample.mp4"
"""The file, as `write(make(SAMPLE_SEED), SAMPLE)` makes it."""

SAMPLE_SEED = 5
SAMPLE_QUESTION = "What object appears last?"
SAMPLE_OPTIONS = ("blue cross", "red triangle", "orange triangle", "green circle")
SAMPLE_ANSWER = "red triangle"

HELD_OUT_SEED = 5_000_000
"""First seed of the clips that no training has seen; training starts at 10 000 000."""
