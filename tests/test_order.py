"""The order of rows: whole epochs, each in an order of its own, whatever the size of a batch."""

import numpy as np
import pytest

from videre.train.order import drawn


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_each_epoch_holds_every_row_once_whatever_the_batch(size: int) -> None:
    line = [row for start in range(0, 42, size) for row in drawn(6, start, size, seed=4)][:42]
    epochs = [line[start : start + 6] for start in range(0, 42, 6)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(6))] * 7
    assert line == drawn(6, 0, 42, seed=4)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_the_seed_decides_and_may_have_parts() -> None:
    assert drawn(50, 0, 50, seed=1) != drawn(50, 0, 50, seed=2)
    assert drawn(50, 0, 50, seed=[1, 1 << 32]) == np.random.default_rng([1, 1 << 32, 0]).permutation(50).tolist()
    assert drawn(50, 50, 50, seed=3) == np.random.default_rng([3, 1]).permutation(50).tolist()
