"""Checks of Video-STaR's acceptance list that no other test holds; docs/video_star.md says which test holds which."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videre.data import world
from videre.jobs import Threads
from videre.methods.video_star import generate, prompts
from videre.methods.video_star.label import KINDS, Label, Row
from videre.methods.video_star.verify import Verifier
from videre.models.fake import FakeMLLM
from videre.types import Box, Span
from videre.video.sample import uniform

GOLD = {
    "time_range": [0.2, 0.5],
    "time_point": 0.42,
    "number": 63.0,
    "box": [0.2, 0.3, 0.5, 0.8],
    "object": "blanket",
    "keywords": "eating apple pie",
    "sentence": "Put down.",
    "ordered": ["Back", "Tuck", "Entry"],
    "unordered": ["open the door", "sit down"],
    "same": "the objects are NOT the same",
}
SHARE = st.integers(0, 999).map(lambda n: n / 1000)
EDGES = st.lists(SHARE, min_size=2, max_size=2, unique=True).map(sorted)


def row(*labels: Label) -> Row:
    return Row("r", "clip.mp4", "What is it?", labels, 20.0)


def test_the_hint_of_a_box_can_be_copied_and_read():
    one = row(Label("location", "box", GOLD["box"]))
    hint = prompts.rationalize(one.question, one.values)
    assert "[0.2, 0.3, 0.5, 0.8]" in hint
    assert Verifier().verdicts(hint.splitlines()[1], one)[0].status == "accept"


@pytest.mark.parametrize("text", ["Back, tuck, entry.", "First back, then tuck, at last entry."])
def test_one_sentence_that_lists_steps_in_reverse_is_rejected(text):
    forward, backward = (row(Label("steps", "ordered", steps)) for steps in (GOLD["ordered"], GOLD["ordered"][::-1]))
    assert [Verifier().verdicts(text, one)[0].status for one in (forward, backward)] == ["accept", "reject"]


@settings(max_examples=60, deadline=None)
@given(a=EDGES, b=EDGES, x=EDGES, y=EDGES, moved=SHARE)
def test_overlap_of_spans_and_boxes(a, b, x, y, moved):
    one, other, shifted = Span(*a), Span(*b), [Span(s + moved, e + moved) for s, e in (a, b)]
    assert one.iou(other) == other.iou(one) == pytest.approx(shifted[0].iou(shifted[1]))
    assert one.iou(one) == 1.0
    assert one.iou(Span(a[1], a[1] + 1)) == 0.0  # touching
    here, there = Box(0.0, a[0], x[0], a[1], x[1]), Box(0.0, b[0], y[0], b[1], y[1])
    assert here.iou(there) == there.iou(here)
    assert here.iou(here) == pytest.approx(1.0)
    assert here.iou(Box(0.0, a[1], x[0], 1.0, x[1])) == 0.0


@pytest.mark.parametrize("workers", [1, 4, 8])
def test_every_row_is_answered_once_by_any_number_of_workers(workers, tmp_path):
    clip = world.make(5, world.Config(seconds=1.0, size_px=32))
    world.write(clip, tmp_path / "a.mp4")
    table = [Row(f"row-{i:03d}", "a.mp4", f"Number {i}?", (Label("n", "number", float(i)),)) for i in range(103)]
    show = generate.Show(tmp_path, uniform(1), size_px=32)
    generate.generate(
        table,
        lambda: FakeMLLM(lambda frames, text: text),
        "direct",
        show=show,
        folder=tmp_path / "s",
        model="m",
        engine=Threads(workers),
        quiet=True,
    )
    ids = [json.loads(line)["id"] for line in (tmp_path / "s" / "answers.jsonl").read_text().splitlines()]
    assert sorted(ids) == [one.id for one in table]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_thousand_random_texts_get_one_of_three_verdicts():
    draw = random.Random(0)
    rows = [row(Label("final_score" if kind == "number" else "label", kind, GOLD[kind])) for kind in KINDS]
    alphabet = (
        "".join(map(chr, [*range(32, 127), 0, 9, 10, 0x2013, 0x2212, 0xE9, 0x4E2D, 0x202E, 0x1F600])) + "0123456789.:%"
    )
    for _ in range(10_000):
        text = "".join(draw.choices(alphabet, k=draw.randint(0, 60)))
        for one in rows:
            assert Verifier().verdicts(text, one)[0].status in ("accept", "reject", "abstain")
