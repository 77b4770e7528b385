"""What the executor asks of its two small modules, and which licences they may carry."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from videre.errors import ConfigError
from videre.types import JSON, Frames, Span, Video

Seen = tuple[float, float, float, float, float]
"""Corners x0, y0, x1, y1 in pixels of the displayed frame, and a score."""
COPYLEFT = ("GPL", "AGPL", "LGPL", "SSPL", "CC-BY-SA", "EUPL")


@runtime_checkable
class TemporalGrounder(Protocol):
    """Finds actions in time. `card` tells name, weights and licence: all that its answers depend on, as JSON."""

    @property
    def name(self) -> str:
        """How people call it."""
        ...

    @property
    def card(self) -> Mapping[str, JSON]:
        """What the trace says of it; equal cards give equal answers."""
        ...

    def ground(self, video: Video, query: str, *, window: Span, top_k: int = 1) -> list[Span]:
        """Spans of the query inside the window, best first, with their scores as confidence; empty for none."""
        ...


@runtime_checkable
class SpatialGrounder(Protocol):
    """Finds objects in frames."""

    @property
    def name(self) -> str:
        """How people call it."""
        ...

    @property
    def card(self) -> Mapping[str, JSON]:
        """As for `TemporalGrounder`."""
        ...

    def detect(self, frames: Frames, query: str) -> list[list[Seen]]:
        """Boxes of the query in each frame, best first."""
        ...


class Nothing:
    """A `TemporalGrounder` that never finds anything, for runs without a moment."""

    name = "nothing"
    card: Mapping[str, JSON] = {"name": "nothing"}

    def ground(self, video: Video, query: str, *, window: Span, top_k: int = 1) -> list[Span]:
        """Nothing."""
        return []


def chosen_frames(frames: Frames, places: Sequence[int]) -> Frames:
    """Some of the frames, in order."""
    return Frames(frames.pixels[list(places)], frames.seconds[list(places)], frames.label)


def allowed(module: TemporalGrounder | SpatialGrounder, *, allow_copyleft: bool = False) -> None:
    """Returns where the licence that a module declares may be used.

    Raises:
        ConfigError: it is a copyleft one and these were not allowed (code "licence").
    """
    licence = str(module.card.get("licence", ""))
    is_copyleft = any(part.upper().startswith(COPYLEFT) for part in licence.replace("(", " ").split())
    if is_copyleft and not allow_copyleft:
        raise ConfigError(f"{module.name} is under {licence}: allow it with allow_copyleft=true", code="licence")
