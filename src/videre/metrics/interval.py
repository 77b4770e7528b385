"""How sure a score is: Wilson intervals of shares, bootstrap intervals of what else there is, two systems in pairs."""

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from jaxtyping import Float64, Int64

DRAWN_AT_ONCE = 1 << 22
"""Items that a bootstrap holds in memory: of a hundred thousand, a thousand draws at once would take gigabytes."""


@dataclass(frozen=True)
class Share:
    """How many of how many: `count` is every item that there is, so nothing can be dropped.

    >>> Share(3, 4).value
    0.75
    """

    right: int
    count: int

    def __post_init__(self) -> None:
        if not 0 <= self.right <= self.count:
            raise ValueError(f"a share is 0 <= right <= count, got {self.right} of {self.count}")

    @property
    def value(self) -> float:
        """In [0, 1]; NaN where there are no items."""
        return self.right / self.count if self.count else math.nan

    @property
    def percent(self) -> float:
        """In [0, 100]; NaN where there are no items."""
        return self.right / self.count * 100 if self.count else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval, in [0, 1]."""
        return wilson(self.right, self.count)


def wilson(right: int, count: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """The Wilson score interval of a share, in [0, 1]; (0, 1) where nothing was counted.

    With p = right / count and z the normal quantile:
    (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n).

    >>> [round(bound, 4) for bound in wilson(8, 10)]
    [0.4902, 0.9433]

    Source: Wilson, Probable inference, the law of succession, and statistical inference (JASA 1927).
    """
    share = Share(right, count)
    if count == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    centre = share.value + z * z / (2 * count)
    half = z * math.sqrt(share.value * (1 - share.value) / count + z * z / (4 * count * count))
    low, high = ((centre + side * half) / (1 + z * z / count) for side in (-1, 1))
    return min(max(0.0, low), share.value), max(min(1.0, high), share.value)


def mean_of_shares(shares: Sequence[Share]) -> tuple[float, float]:
    """The 95 % interval of the plain mean of independent shares, in [0, 1], from the Wilson interval of each.

    With p_i, [l_i, u_i] and k shares: mean - sqrt(sum (p_i - l_i)^2) / k to mean + sqrt(sum (u_i - p_i)^2) / k.

    >>> [round(bound, 4) for bound in mean_of_shares([Share(8, 10), Share(2, 10)])]
    [0.3293, 0.6707]

    Source: Zou and Donner, Construction of confidence limits about effect measures (Statistics in Medicine 2008).
    """
    if not shares:
        return math.nan, math.nan
    mean = sum(share.value for share in shares) / len(shares)
    below, above = (
        math.sqrt(sum((share.value - share.interval[side]) ** 2 for share in shares)) / len(shares) for side in (0, 1)
    )
    return max(0.0, mean - below), min(1.0, mean + above)


def bootstrap(
    values: Sequence[float] | Float64[np.ndarray, " N"],
    *,
    groups: Sequence[Hashable] | None = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """The percentile bootstrap interval of the mean of values; the same seed gives the same interval.

    Args:
        values: one number an item.
        groups: what an item belongs to, such as its video: whole groups are drawn, because questions about one
            video stand and fall together.
        resamples: how often the mean is drawn anew.
        confidence: the share of drawn means inside the interval.
        seed: of the draws.

    Source: Efron and Tibshirani, An introduction to the bootstrap, sections 13.3 and 8.5 (groups).
    """
    sums, sizes = _group_sums(values, groups)
    if len(sums) == 0:
        return math.nan, math.nan
    rng, drawn = np.random.default_rng(seed), []
    for count in pieces(resamples, of=len(sums)):
        draws = rng.integers(len(sums), size=(count, len(sums)))
        drawn.append(sums[draws].sum(axis=1) / sizes[draws].sum(axis=1))
    return middle(np.concatenate(drawn), confidence=confidence)


def pieces(resamples: int, *, of: int) -> Iterator[int]:
    """So many draws of `of` items in parts, each of which fits into memory.

    >>> list(pieces(1000, of=10_000))
    [419, 419, 162]
    """
    most = max(1, DRAWN_AT_ONCE // max(1, of))
    return (min(most, resamples - start) for start in range(0, resamples, most))


def resampled(
    statistic: Callable[[Int64[np.ndarray, " N"]], float],
    count: int,
    *,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """The percentile bootstrap interval of any number that is taken of items; NaN where there are none.

    Args:
        statistic: the number, of the indices of the drawn items; some come twice and more.
        count: how many items there are.
        resamples: how often items are drawn anew.
        confidence: the share of drawn numbers inside the interval.
        seed: of the draws.

    >>> resampled(lambda drawn: 1.0, 5)
    (1.0, 1.0)

    Source: Efron and Tibshirani, An introduction to the bootstrap, section 13.3.
    """
    if count == 0:
        return math.nan, math.nan
    rng = np.random.default_rng(seed)
    found = [statistic(rng.integers(count, size=count)) for _ in range(resamples)]
    return middle(np.array(found, dtype=np.float64), confidence=confidence)


def middle(values: Float64[np.ndarray, " R"], *, confidence: float = 0.95) -> tuple[float, float]:
    """The two values between which the middle share of drawn values lies; draws that gave NaN are left out."""
    kept = values[~np.isnan(values)]
    if not len(kept):
        return math.nan, math.nan
    low, high = np.quantile(kept, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


@dataclass(frozen=True)
class Difference:
    """Ours minus theirs on the same items: the mean, its standard error, t and the 95 % interval of the mean."""

    mean: float
    standard_error: float
    t: float
    low: float
    high: float
    count: int


def paired(ours: Sequence[float], theirs: Sequence[float]) -> Difference:
    """What one system gains over another on the same items, in the same order.

    t = mean(d) / (sd(d) / sqrt(n)) with d = ours - theirs and sd with n - 1; NaN below two items. The interval
    takes the normal quantile. Where all differences are equal, t is 0 for no difference and infinite for one.

    >>> round(paired([1, 1, 0, 1], [0, 1, 0, 0]).t, 4)
    1.7321

    Source: lmms-eval 0.7.3, `paired_ttest` (its `--baseline`): the same t; its interval takes the t quantile.
    """
    if len(ours) != len(theirs):
        raise ValueError(f"the same items on both sides: {len(ours)} and {len(theirs)}")
    d = np.asarray(ours, dtype=np.float64) - np.asarray(theirs, dtype=np.float64)
    if len(d) < 2:
        return Difference(float(d.mean()) if len(d) else math.nan, *(math.nan,) * 4, len(d))
    mean, error = float(d.mean()), float(d.std(ddof=1) / math.sqrt(len(d)))
    t = mean / error if error > 0 else math.copysign(math.inf, mean) if mean else 0.0
    half = NormalDist().inv_cdf(0.975) * error
    return Difference(mean, error, t, mean - half, mean + half, len(d))


def _group_sums(
    values: Sequence[float] | Float64[np.ndarray, " N"], groups: Sequence[Hashable] | None
) -> tuple[Float64[np.ndarray, " G"], Float64[np.ndarray, " G"]]:
    numbers = np.asarray(values, dtype=np.float64)
    if groups is None:
        return numbers, np.ones_like(numbers)
    if len(groups) != len(numbers):
        raise ValueError(f"one group a value: {len(numbers)} values, {len(groups)} groups")
    names = {group: i for i, group in enumerate(dict.fromkeys(groups))}
    of = np.array([names[group] for group in groups], dtype=np.int64)
    return np.bincount(of, numbers, len(names)).astype(np.float64), np.bincount(of, minlength=len(names)).astype(float)
