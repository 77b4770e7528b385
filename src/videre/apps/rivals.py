"""Prefixes for other ways to show a video or to begin a reply: `grid:MODEL`, `pictures:MODEL`, `option:MODEL`, ..."""

from typing import Any

from videre.apps import naming
from videre.errors import ConfigError
from videre.types import Answerer


def grid(name: str, **settings: Any) -> Answerer:
    """One picture with all frames in a grid (IG-VLM)."""
    return _rival("grid", name, settings)


def pictures(name: str, **settings: Any) -> Answerer:
    """Frames as pictures, without times and without a word."""
    return _rival("pictures", name, settings)


def prompt(name: str, **settings: Any) -> Answerer:
    """Frames as pictures, and words that say what they are."""
    return _rival("prompt", name, settings)


def slow_fast(name: str, **settings: Any) -> Answerer:
    """Few frames with many tokens and all frames with few (SF-LLaVA)."""
    from videre.methods.t2vid.slow_fast import SlowFastModel

    return SlowFastModel(_loaded(name, settings))


def option(name: str, **settings: Any) -> Answerer:
    """The model itself, its reply begun with "Option": the likeliest letter is its answer."""
    from videre.methods.frame_selector.prefilled import Prefilled

    return Prefilled(_loaded(name, settings))


def _rival(way: Any, name: str, settings: dict[str, Any]) -> Answerer:
    from videre.methods.t2vid.rivals import Rival

    return Rival(_loaded(name, settings), way)


def _loaded(name: str, settings: dict[str, Any]) -> Any:
    model = naming.model(name, **settings)
    if not hasattr(model, "network"):
        raise ConfigError(f"{name} does not run here, so its pictures cannot be arranged: name a checkpoint")
    return model
