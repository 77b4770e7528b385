"""Shares, Wilson and bootstrap intervals, paired comparison."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videre.metrics.interval import Share, bootstrap, mean_of_shares, middle, paired, resampled, wilson


@given(st.integers(1, 5000), st.data())
def test_wilson_holds_the_share_and_stays_in_the_unit_interval(count, data):
    right = data.draw(st.integers(0, count))
    low, high = wilson(right, count)
    assert 0 <= low <= right / count <= high <= 1
    assert high > low


@given(st.integers(1, 200), st.data())
def test_wilson_is_symmetric_and_narrows_with_more_items(count, data):
    right = data.draw(st.integers(0, count))
    low, high = wilson(right, count)
    mirrored = wilson(count - right, count)
    assert (1 - high, 1 - low) == pytest.approx(mirrored)
    more = wilson(right * 10, count * 10)
    assert more[1] - more[0] < high - low


def test_wilson_known_values():
    # Newcombe (1998), table I: 81/263 and 0/20.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_share_is_what_was_counted():
    assert Share(3, 4).percent == 75.0
    assert math.isnan(Share(0, 0).value)
    with pytest.raises(ValueError, match="0 <= right <= count"):
        Share(5, 4)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_bootstrap_is_repeatable_and_within_the_values(values):
    low, high = bootstrap(values, resamples=50)
    assert (low, high) == bootstrap(values, resamples=50)
    assert min(values) - 1e-12 <= low <= high <= max(values) + 1e-12


def test_bootstrap_covers_the_mean_and_groups_widen_it():
    values = np.repeat(np.random.default_rng(1).random(40), 10)
    groups = [i // 10 for i in range(400)]
    plain, grouped = bootstrap(values), bootstrap(values, groups=groups)
    assert plain[0] < values.mean() < plain[1]
    assert grouped[1] - grouped[0] > 2 * (plain[1] - plain[0])
    assert all(math.isnan(bound) for bound in bootstrap([]))


def test_paired_difference_is_the_t_statistic_of_the_differences():
    ours, theirs = [1.0, 1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0, 1.0]
    found = paired(ours, theirs)
    assert found.mean == pytest.approx(0.2)
    assert found.standard_error == pytest.approx(np.std([1, 0, 0, 1, -1], ddof=1) / math.sqrt(5))
    assert found.t == pytest.approx(found.mean / found.standard_error)
    assert paired(theirs, ours).t == pytest.approx(-found.t)
    assert paired([1.0, 1.0], [1.0, 1.0]).t == 0.0
    assert paired([1.0, 1.0], [0.0, 0.0]).t == math.inf
    with pytest.raises(ValueError, match="same items"):
        paired([1.0], [])


def test_the_mean_of_shares_lies_in_its_interval_19_times_of_20():
    rng, true = np.random.default_rng(0), np.array([0.2, 0.5, 0.9])
    drawn = rng.binomial([20, 60, 40], true, size=(2000, 3))
    bounds = [
        mean_of_shares([Share(int(right), count) for right, count in zip(row, (20, 60, 40), strict=True)])
        for row in drawn
    ]
    inside = np.mean([low <= true.mean() <= high for low, high in bounds])
    assert 0.93 <= inside <= 0.97
    assert mean_of_shares([Share(3, 9)]) == pytest.approx(Share(3, 9).interval)
    assert np.isnan(mean_of_shares([])).all()


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30))
@settings(max_examples=25, deadline=None)
def test_resampled_means_are_those_of_bootstrap(values):
    numbers = np.array(values)
    found = resampled(lambda drawn: float(numbers[drawn].mean()), len(numbers))
    assert found == pytest.approx(bootstrap(values), abs=1e-9)
    low, high = resampled(lambda drawn: float(np.median(numbers[drawn])), len(numbers))
    assert numbers.min() <= low <= high <= numbers.max()


def test_draws_without_a_number_are_left_out():
    assert middle(np.array([np.nan, 2.0, 2.0])) == (2.0, 2.0)
    assert np.isnan(middle(np.array([np.nan]))).all()
    assert np.isnan(resampled(lambda drawn: 1.0, 0)).all()


def test_draws_of_many_items_are_held_in_parts_and_are_the_same():
    values = np.random.default_rng(1).random(50_000)
    tracemalloc.start()
    found = bootstrap(values, resamples=300)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150e6, "300 draws at once would take 240 MB and more"
    draws = np.random.default_rng(0)
    means = np.array([values[draws.integers(50_000, size=50_000)].mean() for _ in range(300)])
    assert found == pytest.approx(middle(means), abs=1e-12)
