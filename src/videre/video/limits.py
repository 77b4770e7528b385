"""How much one file may cost: generous for real footage, small beside what a hostile file asks for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What is refused, and when an isolated decoder is stopped.

    Attributes:
        max_pixels: of one coded frame; checked against the header, before anything is decoded.
        max_frames: frames that one call of `at` may return.
        max_seconds: longest video that is opened.
        max_bytes: RGB pixels that one call of `at` may return, in bytes.
        max_corrupt: share of the frames that may be undecodable before the whole file is refused, in [0, 1].
        child_bytes: address space of an isolated decoder.
        wall_seconds: longest wait for the next picture of an isolated decoder.
        cpu_seconds: processor time of an isolated decoder, over its whole life.
    """

    max_pixels: int = 64_000_000
    max_frames: int = 36_000
    max_seconds: float = 48 * 3600.0
    max_bytes: int = 8 << 30
    max_corrupt: float = 0.10
    child_bytes: int = 4 << 30
    wall_seconds: float = 120.0
    cpu_seconds: float = 3600.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0 and name != "max_corrupt":
                raise ValueError(f"Limits.{name} is above zero, got {value}")
        if not 0.0 <= self.max_corrupt <= 1.0:
            raise ValueError(f"Limits.max_corrupt is a share in [0, 1], got {self.max_corrupt}")
