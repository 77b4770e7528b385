"""Tracking: the boxes of one thing are chosen over all moments together, and the trace replays them."""

import json
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from test_msr_vir_replay import ASKED, Brightest, reasoner
from videre.apps.grounding import grounded
from videre.data.world.sample import SAMPLE
from videre.methods.msr_vir import tracking
from videre.methods.msr_vir.memory import KnownPlaces, Memory
from videre.methods.msr_vir.profile import DEFAULT
from videre.methods.msr_vir.trace import replay
from videre.methods.msr_vir.tracking import changes, linked
from videre.record import dumps, from_row, to_row
from videre.video.open import open_video


def box(x, y, score, size=20.0):
    return (x, y, x + size, y + size, score)


def test_one_thing_is_followed_where_another_looks_better_for_a_frame():
    walk = [box(10 + 8 * i, 50, 0.6) for i in range(6)]
    found = [[walk[i], box(300, 10, 0.3)] for i in range(6)]
    found[3] = [box(300, 10, 0.8), walk[3]]
    one = linked(found)
    assert [some[0] for some in one] == walk
    assert changes(found, one) == {"other_box": [3], "filled_in": [], "left_out": []}


def test_a_frame_between_is_filled_in_on_a_line_and_one_outside_stays_empty():
    found = [[], [box(0, 0, 0.9)], [], [], [box(30, 60, 0.5)], []]
    one = linked(found)
    assert [len(some) for some in one] == [0, 1, 1, 1, 1, 0]
    assert one[2][0] == pytest.approx(box(10, 20, 0.5))
    assert one[3][0] == pytest.approx(box(20, 40, 0.5))
    assert changes(found, one)["filled_in"] == [2, 3]


def test_a_wild_box_is_left_out():
    found = [[box(10, 10, 0.6)], [box(500, 400, 0.3, size=200)], [box(12, 10, 0.6)]]
    one = linked(found)
    assert one[1][0] == pytest.approx(box(11, 10, 0.6))


def test_nothing_seen_is_nothing_followed():
    assert linked([]) == []
    assert linked([[], []]) == [[], []]
    assert linked([[box(1, 1, 0.1)]]) == [[box(1, 1, 0.1)]]


def test_the_choice_is_the_best_of_all_by_trying_every_one():
    rng = np.random.default_rng(0)
    for _ in range(20):
        found = [
            [box(*rng.uniform(0, 200, 2).tolist(), float(rng.uniform(0.1, 1))) for _ in range(rng.integers(0, 3))]
            for _ in range(4)
        ]

        def worth(path):
            held, total = None, 0.0
            for now in enumerate(path):
                if now[1] is None:
                    total -= tracking.MISS
                else:
                    total, held = total + now[1][4] - tracking.jump(held, now), now
            return total

        every = [worth(path) for path in product(*[[None, *boxes] for boxes in found])]
        assert worth(tracking._path(found)) == pytest.approx(max(every))


class Blinking(Brightest):
    """Sees nothing in every second frame."""

    def pairs(self, pictures, queries):
        return [seen if i % 2 == 0 else [] for i, seen in enumerate(super().pairs(pictures, queries))]


def test_a_tracked_trace_fills_in_what_the_detector_missed_and_replays():
    made, _, _ = reasoner(profile=replace(DEFAULT, track=True))
    made = replace(made, detector=KnownPlaces(Blinking(), Memory()), k=5)
    record = from_row(json.loads(dumps(to_row(grounded(str(SAMPLE), ASKED, made)))))
    step = next(step for step in record.evidence.steps if step.name.endswith(": track"))
    assert step.output["filled_in"] == [1, 3]
    assert len(record.evidence.boxes) == 5
    with open_video(SAMPLE) as video:
        assert replay(record, video).differences == ()
