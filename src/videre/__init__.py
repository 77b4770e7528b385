"""videre: ask questions about videos and see the evidence.

The names below are loaded on first use, so that `import videre` stays quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "ask": "videre.ask:ask",
    "system": "videre.ask:system",
    "open_video": "videre.video.open:open_video",
    "uniform": "videre.video.sample:uniform",
    "write_report": "videre.report:write",
    "Answer": "videre.types:Answer",
    "Box": "videre.types:Box",
    "Evidence": "videre.types:Evidence",
    "Frames": "videre.types:Frames",
    "Question": "videre.types:Question",
    "Sample": "videre.types:Sample",
    "Span": "videre.types:Span",
    "Record": "videre.record:Record",
}
__all__ = ["__version__", *_HOMES]

if TYPE_CHECKING:
    from videre.ask import ask as ask
    from videre.ask import system as system
    from videre.record import Record as Record
    from videre.report import write as write_report  # noqa: F401
    from videre.types import Answer as Answer
    from videre.types import Box as Box
    from videre.types import Evidence as Evidence
    from videre.types import Frames as Frames
    from videre.types import Question as Question
    from videre.types import Sample as Sample
    from videre.types import Span as Span
    from videre.video.open import open_video as open_video
    from videre.video.sample import uniform as uniform


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'videre' has no attribute {name!r}")
    module, _, there = _HOMES[name].partition(":")
    value = getattr(import_module(module), there)
    globals()[name] = value  # `videre.ask` is the function, although a module of that name was imported just now
    return value


def __dir__() -> list[str]:
    return __all__
