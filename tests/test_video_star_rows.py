"""Video-STaR's verifiers on answers written by hand: notations, negation, hedging, lists, corrections, vague words."""

import tomllib
from pathlib import Path

import pytest

from videre.methods.video_star.label import Label, Row
from videre.methods.video_star.verify import Verifier

CASES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))["case"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['kind']}-{case['value']}")
def test_answers_get_the_verdict_that_a_reader_would_give(case):
    label = Label(case["name"], case["kind"], case["value"], tuple(case.get("options", ())))
    row = Row("r", "clip.mp4", "What is it?", (label,), duration_seconds=20.0)
    told = [(status, text) for status in ("accept", "reject", "abstain") for text in case.get(status, ())]
    found = [(Verifier().verdicts(text, row)[0].status, text) for _, text in told]
    assert found == told
