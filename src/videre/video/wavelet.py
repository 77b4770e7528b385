"""Boundaries of a score curve: the coarsest details of a Daubechies wavelet, and the peaks of a curve.

Source: Daubechies 1992, the wavelet with four vanishing moments (`db4`), half-sample symmetric borders.
"""

import numpy as np

LOW = np.array([
    -0.010597401784997278, 0.032883011666982945, 0.030841381835986965, -0.18703481171888114,
    -0.02798376941698385, 0.6308807679295904, 0.7148465705525415, 0.23037781330885523,
])  # fmt: skip
HIGH = LOW[::-1] * np.array([-1, 1] * 4)
TAPS = len(LOW)


def boundaries(curve: np.ndarray) -> list[int]:
    """Where a curve changes its level: peaks of its coarsest detail, in time order; none where it is constant.

    Source: WFS-SB, arXiv 2603.00512: height mean + 0.5 std, prominence 0.05 of the range, distance max(5, 0.02 n).
    """
    if len(curve) < 3 or curve.max() == curve.min():
        return []
    detail = np.abs(coarsest_detail(curve, level(len(curve))))
    return peaks(
        detail,
        height=float(detail.mean() + 0.5 * detail.std()),
        prominence=0.05 * float(detail.max() - detail.min()),
        distance=max(5, int(0.02 * len(curve))),
    )


def level(count: int) -> int:
    """How often a curve of `count` values is halved: log2 of it less 3, at least once, while the wavelet fits in."""
    deepest = int(np.log2(count / (TAPS - 1))) if count >= TAPS - 1 else 0
    return max(1, min(int(np.floor(np.log2(count) - 3)), deepest))


def coarsest_detail(curve: np.ndarray, halvings: int) -> np.ndarray:
    """The part of the curve in the last detail band alone, as long as the curve."""
    low, lengths = curve, []
    for _ in range(halvings):
        lengths.append(len(low))
        low, high = _split(low)
    band = _joined(high, HIGH[::-1], lengths[-1])
    for length in reversed(lengths[:-1]):
        band = _joined(band, LOW[::-1], length)
    return band


def peaks(curve: np.ndarray, *, height: float, prominence: float, distance: int) -> list[int]:
    """Local maxima, a plateau by its middle, that are high, stand out, and lie `distance` apart, the higher first."""
    found = [place for place in _maxima(curve) if curve[place] >= height]
    kept: list[int] = []
    for place in sorted(found, key=lambda place: (curve[place], place), reverse=True):
        if all(abs(place - other) >= distance for other in kept):
            kept.append(place)
    return [place for place in sorted(kept) if _prominence(curve, place) >= prominence]


def _split(curve: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Low and high band, each half as long and a little."""
    padded = np.pad(curve, TAPS - 1, mode="symmetric")
    count = (len(curve) + TAPS - 1) // 2
    return tuple(np.convolve(padded, taps, "valid")[1::2][:count] for taps in (LOW, HIGH))  # type: ignore[return-value]


def _joined(band: np.ndarray, taps: np.ndarray, length: int) -> np.ndarray:
    """A band brought back to the length of the curve that it came from."""
    spread = np.zeros(2 * len(band))
    spread[::2] = band
    return np.convolve(spread, taps, "full")[TAPS - 2 :][:length]


def _maxima(curve: np.ndarray) -> list[int]:
    """Middles of the stretches of equal values that both neighbours lie below, the ends of the curve left out."""
    starts = np.flatnonzero(np.diff(curve, prepend=np.nan) != 0)
    stops = np.append(starts[1:], len(curve)) - 1
    inner = (starts > 0) & (stops < len(curve) - 1)
    starts, stops = starts[inner], stops[inner]
    higher = (curve[starts - 1] < curve[starts]) & (curve[np.minimum(stops + 1, len(curve) - 1)] < curve[starts])
    return [int(place) for place in (starts[higher] + stops[higher]) // 2]


def _prominence(curve: np.ndarray, place: int) -> float:
    """How far one must go down from a peak before a higher one is reached."""
    feet = []
    for side in (curve[place::-1], curve[place:]):
        higher = np.flatnonzero(side > curve[place])
        feet.append(side[: higher[0] if len(higher) else len(side)].min())
    return float(curve[place] - max(feet))
