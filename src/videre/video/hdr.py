"""High dynamic range to the range of an ordinary screen, with ordinary colours.

Reference white (203 cd/m2, ITU-R BT.2408) becomes white; what is brighter is rolled off, so it keeps its hue.
"""

from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8, UInt16

TRANSFERS = {16: "PQ", 18: "HLG"}
"""Transfer characteristics (ITU-T H.273) that are tone-mapped."""

_WHITE_NITS = 203.0
_KNEE = 0.75
_BT2020_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)

UNSPECIFIED = 2


def transfer_of(frame: Any) -> int:
    """The transfer characteristic of a decoded frame; unspecified where PyAV is too old to tell (15 is)."""
    return int(getattr(frame, "color_trc", UNSPECIFIED))


def tone_map(picture: UInt16[np.ndarray, "H W 3"], transfer: int) -> UInt8[np.ndarray, "H W 3"]:
    """sRGB pixels of a BT.2020 picture in PQ or HLG, 16 bits a channel."""
    light = _light_table(transfer)[picture]
    if transfer == 18:  # HLG is scene light: a 1000 cd/m2 screen brightens it by its own luminance
        luminance = light @ np.array([0.2627, 0.678, 0.0593], np.float32)
        light = light * (np.maximum(luminance, 1e-6) ** 0.2)[..., None] * (1000.0 / _WHITE_NITS)
    light = np.maximum(light @ _BT2020_TO_BT709.T, 0.0)
    brightest = light.max(-1, keepdims=True)
    over = np.maximum(brightest - _KNEE, 0.0)
    rolled = np.minimum(brightest, _KNEE) + (1 - _KNEE) * over / (over + 1 - _KNEE)
    light *= rolled / np.maximum(brightest, 1e-6)
    return _screen_table()[np.minimum(light * 4095 + 0.5, 4095).astype(np.uint16)]


@cache
def _light_table(transfer: int) -> Float32[np.ndarray, " 65536"]:
    """Linear light of each code; for PQ in units of reference white, for HLG scene light in [0, 1]."""
    code = np.arange(65536) / 65535.0
    if transfer == 16:
        root = code ** (1 / 78.84375)
        nits = 10_000 * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
        return (nits / _WHITE_NITS).astype(np.float32)
    low, high = code**2 / 3, (np.exp((code - 0.55991073) / 0.17883277) + 0.28466892) / 12
    return np.where(code <= 0.5, low, high).astype(np.float32)


@cache
def _screen_table() -> UInt8[np.ndarray, " 4096"]:
    light = np.arange(4096) / 4095.0
    coded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(coded * 255).astype(np.uint8)
