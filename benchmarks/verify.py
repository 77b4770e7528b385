"""Rows that Video-STaR's verifiers judge a second on one core, for each kind of label, beside the official rules.

Both profiles judge the same answers; the peer is the official procedure, written down from its specification, which
passes the goldens of the executed official code. Its models (a tagger of times, an extractive reader, sentence
embeddings) are not part of it here: `official` is what remains without them, so that its true cost is higher.

    python benchmarks/verify.py [--quick] [--json]
"""

import argparse
import json
import statistics
import time
from typing import Any

from videre.methods.video_star.label import PROFILES, Label, Row
from videre.methods.video_star.verify import Verifier

ANSWERS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "time_range": (
        [0.2, 0.5],
        ("From 4 to 10 seconds.", "It starts at 0.21 and ends at 0.49.", "20% to 50%", "Unclear."),
    ),
    "time_point": (0.42, ("At 00:08.", "At 0.45.", "42% of the video", "Near the end.")),
    "number": (63.0, ("Score: 63/100", "On a scale of 1-100 I give 50, difficulty 3.2.", "sixty-three", "Good.")),
    "box": ([0.2, 0.3, 0.5, 0.8], ("At [0.21, 0.30, 0.52, 0.81].", "x1=0.2, y1=0.3, x2=0.5, y2=0.8", "none", "[1, 2]")),
    "object": ("blanket", ("The object in the box is a blanket.", "A sofa, a blanket and a pillow.", "A cup.", "")),
    "keywords": (
        "eating apple pie",
        ("He eats an apple pie.", "He is not eating apple pie.", "cake or apple pie", "x"),
    ),
    "sentence": ("Put down.", ("He picked it up. He put it down.", "The video does not show it.", "He sat.", "No.")),
    "ordered": (
        ["Back", "Tuck", "Entry"],
        ("Back, then tuck, then entry.", "Entry, then back.", "Back. Tuck. Entry.", ""),
    ),
    "unordered": (["open door", "sit"], ("He sits down after he opened the door.", "He sits.", "The door opens.", "")),
    "same": ("the objects are NOT the same", ("They differ.", "They are the same.", "I cannot tell.", "No.")),
}
FILLER = (
    "First one sees a room with a table and two people who talk. Then one of them gets up and walks to the window. "
)


def rate(verifier: Verifier, kind: str, *, seconds: float) -> float:
    """Rows a second: answers of a rationale's length, each different, so that no cache answers."""
    value, answers = ANSWERS[kind]
    row = Row("r", "v", "q?", (Label("final_score" if kind == "number" else "label", kind, value),), 20.0)  # type: ignore[arg-type]
    done, start = 0, time.process_time()  # of this process: a busy machine does not count
    while (spent := time.process_time() - start) < seconds:
        for _ in range(25):  # reading this clock can take milliseconds
            for answer in answers:
                verifier.verdicts(f"{FILLER}Person {chr(97 + done % 26)} acts. {answer}", row)
                done += 1
    return done / spent


def measure(*, seconds: float, rounds: int) -> dict[str, dict[str, float]]:
    """Median rates over interleaved rounds, by kind and profile."""
    verifiers = {name: Verifier(PROFILES[name]) for name in ("default", "official")}
    found: dict[str, dict[str, list[float]]] = {kind: {name: [] for name in verifiers} for kind in ANSWERS}
    for _ in range(rounds):
        for kind in ANSWERS:
            for name, verifier in verifiers.items():
                found[kind][name].append(rate(verifier, kind, seconds=seconds))
    return {kind: {name: statistics.median(each) for name, each in told.items()} for kind, told in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    measure(seconds=0.02, rounds=1)  # load the word lists
    rates = measure(seconds=0.1 if given.quick else 0.5, rounds=3 if given.quick else 5)
    if given.json:
        ratios = {kind: told["default"] / told["official"] for kind, told in rates.items()}
        print(json.dumps({"name": "verify", "ratios": ratios, "details": rates}))
        return
    for kind, told in rates.items():
        print(f"{kind:12} {told['default']:9.0f} rows/s   official {told['official']:9.0f} rows/s")


if __name__ == "__main__":
    main()
