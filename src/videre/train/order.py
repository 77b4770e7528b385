"""The order in which a training sees its rows: each epoch all of them once, in an order of its own."""

from collections.abc import Sequence

import numpy as np


def drawn(count: int, start: int, size: int, *, seed: int | Sequence[int]) -> list[int]:
    """`size` of `count` rows from place `start` of an endless line; the same at every call, so that a run can go on.

    Args:
        count: rows, 1 or more.
        start: place in the line, from 0; place `count` begins the second epoch.
        size: how many; a batch may hold the end of one epoch and the beginning of the next.
        seed: of the orders.
    """
    orders: dict[int, np.ndarray] = {}
    chosen = []
    for place in range(start, start + size):
        epoch, within = divmod(place, count)
        if epoch not in orders:
            orders[epoch] = np.random.default_rng([*np.atleast_1d(seed), epoch]).permutation(count)
        chosen.append(int(orders[epoch][within]))
    return chosen
