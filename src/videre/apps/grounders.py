"""Names -> the modules that MSR-ViR asks: what finds actions, what finds objects, what writes policies."""

from pathlib import Path
from typing import Any

from videre.apps import naming
from videre.errors import ConfigError


def known(
    encoder: str,
    *,
    temporal: str = "",
    detector: str = "",
    cache: str = "",
    by: str = "policy",
    verify: str = "",
    allow_copyleft: bool,
) -> tuple[Any, Any]:
    """What finds actions and what finds objects (or None), on a memory that `cache` keeps.

    Raises:
        ModelError: one of them cannot be loaded.
        ConfigError: none is named, or one carries a licence that is not allowed.
    """
    from videre.methods.msr_vir.memory import KnownPlaces, KnownTimes, Memory
    from videre.methods.msr_vir.modules import allowed

    folder = Path(cache) if cache else None
    memory = Memory(folder)
    times, places = _times(encoder, temporal, folder, by), _places(detector)
    for module in filter(None, (times, places)):
        allowed(module, allow_copyleft=allow_copyleft)
    if verify:
        from videre.methods.msr_vir.second_look import Verified

        times = Verified(times, seeing(verify))
    return KnownTimes(times, memory), KnownPlaces(places, memory) if places else None


def writer(name: str, profile: Any, *, held: str = "") -> Any:
    """What writes policies; None for rules. A server is held to the schema, a local model where `held` says so.

    Args:
        name: of a text model, or `rules`.
        profile: whose dialect it writes.
        held: `prompt` or `canonical`, the order of keys; empty for a local model that writes freely.
    """
    if name == "rules":
        return None
    model = naming.writer(name)
    if not (held or naming.is_server(name)):
        return model
    from videre.methods.msr_vir.parse import Held

    return Held(model, profile.dialect, canonical=held == "canonical")


def _times(encoder: str, temporal: str, folder: Path | None, by: str) -> Any:
    kind, _, rest = temporal.partition(":")
    if kind == "vlm" and rest:
        from videre.methods.msr_vir.prompted import PromptedTimes

        return PromptedTimes(seeing(rest))
    if kind == "univtg" and rest:
        from videre.methods.msr_vir import univtg

        return univtg.load(rest, encoder=encoder or univtg.ENCODER, folder=folder)
    if temporal:
        return _own(temporal)
    if not encoder and by != "whole":
        raise ConfigError("msr-vir needs what finds actions: --encoder CLIP, or --temporal vlm:MODEL or univtg:FILE")
    from videre.methods.msr_vir.scan import Scan

    if not encoder:
        from videre.methods.msr_vir.modules import Nothing

        return Nothing()
    from videre.models import clip

    return Scan(clip.load(encoder), folder=folder)


def _places(name: str) -> Any:
    kind, _, rest = name.partition(":")
    if not name:
        return None
    if kind == "vlm" and rest:
        from videre.methods.msr_vir.prompted import PromptedPlaces

        return PromptedPlaces(seeing(rest))
    if name.rpartition(":")[0].endswith(".py"):
        return _own(name)
    from videre.models import detector

    return detector.load(name)


def seeing(name: str) -> Any:
    """A model that sees frames and follows a prompt."""
    model: Any = naming.model(name)
    if not hasattr(model, "generate"):
        raise ConfigError(f"{name} only answers questions; vlm: needs a model that follows a prompt")
    return model


def _own(name: str) -> Any:
    module = naming.own(name)()
    if not hasattr(module, "card"):
        raise ConfigError(f"{name}: a module has a card with its name and licence (see docs/msr_vir.md)")
    return module
