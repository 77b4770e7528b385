"""Accuracy by kind, nothing dropped, chance and constant baselines, grids of settings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from videre.metrics import choice
from videre.metrics.extractors import RULES
from videre.metrics.interval import Share

ITEMS = st.lists(
    st.tuples(st.none() | st.integers(0, 4), st.integers(0, 4), st.sampled_from("CTD")), min_size=1, max_size=60
)


@given(ITEMS)
def test_every_item_is_scored_and_the_averages_agree(items):
    chosen, right, kinds = zip(*items, strict=True)
    found = choice.accuracy(chosen, right, kinds=kinds)
    assert found.n_scored == found.n_items == len(items) == sum(share.count for share in found.kinds.values())
    assert found.overall.right == sum(share.right for share in found.kinds.values())
    assert found.n_unparsed == chosen.count(None)
    values = [share.value for share in found.kinds.values()]
    assert min(values) - 1e-12 <= found.micro <= max(values) + 1e-12
    assert found.macro == pytest.approx(np.mean(values))


@given(ITEMS)
def test_order_does_not_matter_and_silence_never_helps(items):
    chosen, right, kinds = zip(*items, strict=True)
    found = choice.accuracy(chosen, right, kinds=kinds)
    assert choice.accuracy(chosen[::-1], right[::-1], kinds=kinds[::-1]).micro == found.micro
    quiet = choice.accuracy([None, *chosen[1:]], right, kinds=kinds)
    assert quiet.micro <= found.micro


def test_by_hand():
    found = choice.accuracy([0, 1, None, 2], [0, 0, 1, 2], kinds=["T", "T", "T", "C"])
    assert found.kinds == {"T": Share(1, 3), "C": Share(1, 1)}
    assert found.micro == 0.5
    assert found.macro == pytest.approx((1 / 3 + 1) / 2)


def test_an_all_empty_prediction_file_scores_nothing():
    options = [["red", "blue"]] * 5
    found = choice.accuracy_of_replies([""] * 4 + [None], options, [0] * 5, rule=RULES["recommended"])
    assert (found.overall, found.n_scored, found.n_unparsed) == (Share(0, 5), 5, 1)
    official = choice.accuracy_of_replies([""] * 5, options, [0] * 5, rule=RULES["mvbench"])
    assert official.micro == 1.0


def test_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="one choice an item"):
        choice.accuracy([0], [0, 1])
    with pytest.raises(ValueError, match="one kind an item"):
        choice.tally([True], kinds=["a", "b"])


def test_chance_and_best_letter_of_the_published_benchmarks():
    # Option counts and answer letters of MVBench and TempCompass as T2Vid ships them.
    mvbench = [4] * 2364 + [3] * 1298 + [2] * 118 + [5] * 200 + [1] * 5
    tempcompass = [3] * 900 + [4] * 674 + [2] * 6
    assert round(100 * choice.chance(mvbench), 2) == 28.3
    assert round(100 * choice.chance(tempcompass), 2) == 29.84
    name, share = choice.best_constant([0] * 1182 + [2] * 1045 + [3] * 629 + [1] * 1078 + [4] * 51)
    assert (name, round(share.percent, 2)) == ("A", 29.66)
    assert choice.best_constant([]) == ("", Share(0, 0))


@given(st.integers(1, 30), st.integers(1, 5), st.randoms(use_true_random=False))
def test_grids(items, settings, rng):
    marks = np.array([[rng.random() < 0.5 for _ in range(settings)] for _ in range(items)])
    found = choice.grid(marks, [str(c) for c in range(settings)])
    assert found.best_fixed.value == max(share.value for share in found.settings.values())
    assert found.oracle.right == found.best_fixed.right + found.headroom.right <= items
    assert found.overwritten.right <= found.dropped.right
    assert found.oracle.value - found.dropped.value <= found.settings[str(settings - 1)].value + 1e-12
