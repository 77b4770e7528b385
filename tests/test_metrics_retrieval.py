"""R@k and ranks, with ties: properties, cases by hand, and the popular fault on purpose."""

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from videre.metrics import retrieval

MATRIX = st.integers(1, 12).flatmap(
    lambda n: hnp.arrays(np.float64, (n, n), elements=st.integers(0, 4).map(float))
)  # small whole numbers, so that ties are common


@given(MATRIX)
def test_ranks_are_in_range_and_ties_count_once(matrix):
    best, mean, worst = (retrieval.ranks(matrix, ties=ties) for ties in ("best", "mean", "worst"))
    assert (best <= mean).all()
    assert (mean <= worst).all()
    assert best.min() >= 1
    assert worst.max() <= len(matrix)
    assert mean == pytest.approx((best + worst) / 2)
    found = retrieval.retrieve(matrix)
    assert found.n_ranks == found.n_queries == len(matrix)
    assert retrieval.tied(matrix) == int((best < worst).sum())


@given(MATRIX)
def test_recall_grows_with_k_and_all_columns_hold_the_answer(matrix):
    found = retrieval.retrieve(matrix, at=(1, 2, 5, len(matrix)))
    values = [found.recall[k].value for k in sorted(found.recall)]
    assert values == sorted(values)
    assert found.recall[len(matrix)].value == 1.0


@given(MATRIX, st.randoms(use_true_random=False))
def test_the_order_of_columns_does_not_matter(matrix, rng):
    order = rng.sample(range(len(matrix)), len(matrix))
    shuffled = retrieval.ranks(matrix[:, order], right=np.eye(len(matrix), dtype=bool)[:, order])
    assert (shuffled == retrieval.ranks(matrix)).all()


@given(MATRIX)
def test_without_ties_the_popular_code_is_right(matrix):
    distinct = matrix + np.arange(matrix.size).reshape(matrix.shape) * 1e-4
    ours, theirs = retrieval.retrieve(distinct), retrieval.retrieve(distinct, popular_ties=True)
    assert (ours.recall, ours.median_rank, ours.mean_rank) == (theirs.recall, theirs.median_rank, theirs.mean_rank)


def test_the_popular_fault():
    matrix = np.array([[0.5, 0.5, 0.1], [0.0, 0.9, 0.1], [0.3, 0.2, 0.1]])
    assert retrieval.ranks(matrix).tolist() == [1.5, 1.0, 3.0]
    popular = retrieval.retrieve(matrix, popular_ties=True)
    assert popular.n_ranks == 4
    assert popular.mean_rank == (1 + 2 + 1 + 3) / 4
    constant = np.ones((4, 4))
    assert retrieval.retrieve(constant).mean_rank == 2.5
    assert retrieval.retrieve(constant, ties="worst").recall[1].value == 0.0


def test_several_captions_a_video():
    matrix = np.array([[0.9, 0.1], [0.2, 0.3], [0.8, 0.7]])  # three texts, two videos: 0, 1, 1
    right = np.array([[True, False], [False, True], [False, True]])
    assert retrieval.ranks(matrix, right=right).tolist() == [1.0, 1.0, 2.0]
    assert retrieval.ranks(matrix.T, right=right.T).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    "matrix", [np.zeros((2, 3)), np.array([[np.nan]]), np.zeros((0, 0))], ids=["oblong", "nan", "empty"]
)
def test_odd_matrices_are_refused(matrix):
    with pytest.raises(ValueError, match=r"finite|square"):
        retrieval.retrieve(matrix)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 6).flatmap(lambda n: hnp.arrays(bool, st.tuples(st.integers(1, 4), st.just(n)))))
def test_chance_is_what_all_orders_give_on_average(right):
    right[:, 0] |= ~right.any(axis=1)
    columns = right.shape[1]
    orders = np.array(list(permutations(range(columns))))
    ranked = right[:, orders].argmax(axis=2) + 1
    found = retrieval.chance(right, at=(1, 2, 5))
    assert found.mean_rank == pytest.approx(ranked.mean())
    assert found.recall == pytest.approx({k: (ranked <= k).mean() for k in (1, 2, 5)})
    assert found.median_rank == pytest.approx(np.median(ranked))


def test_chance_of_many_columns_asks_for_few_places(monkeypatch):
    asked = []
    monkeypatch.setattr(math, "comb", lambda n, k, comb=math.comb: asked.append(k) or comb(n, k))
    assert retrieval.chance(np.eye(500, dtype=bool)).median_rank == 250.5
    assert len(asked) < 50


@given(MATRIX)
@settings(max_examples=15, deadline=None)
def test_intervals_of_ranks_hold_them(matrix):
    found = retrieval.retrieve(matrix)
    for low, high in (found.median_interval, found.mean_interval):
        assert 1 <= low <= high <= len(matrix)
    if len(matrix) == 1:
        assert found.median_interval == found.mean_interval == (1.0, 1.0)
