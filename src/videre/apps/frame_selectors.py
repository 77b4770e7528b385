"""The selectors `STRATEGY:SCORER=MODEL,...`: what `--select aks:clip=openai/clip-vit-base-patch32` stands for.

A strategy is one of `top-k nms aks bolt q-frame mdp3 wfs-sb focus`. Its scorer is named by one of these settings:

    clip=MODEL        likeness to the question; a CLIP or SigLIP
    truth=MODEL       P(True) of an image-text model, a frame at a time; reasoned=true lets it explain first
    captions=MODEL    frames listed from captions by writer=TEXTMODEL (or by the same model)
    trained=FOLDER    a trained frame selector; `--select FOLDER` is short for it with its own strategy

Further settings: k, n (candidates) or fps, size_px, device, dtype, cache (a folder), and those of the strategy.
"""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from videre.apps import naming
from videre.errors import ConfigError, ModelError
from videre.types import JSON, Selector

SCORERS = ("clip", "truth", "captions", "trained")
Choose = Callable[..., list[int]]


def top_k(**settings: JSON) -> Selector:
    """The k best."""
    from videre.video.strategies import top_k

    return _over_scores("top-k", top_k, settings)


def nms(**settings: JSON) -> Selector:
    """The best, each time without its neighbours; setting delta."""
    from videre.video.strategies import nms_greedy

    return _over_scores("nms", nms_greedy, settings)


def aks(**settings: JSON) -> Selector:
    """Adaptive keyframe sampling; settings t1, t2, depth."""
    from videre.video.strategies import aks

    return _over_scores("aks", aks, settings)


def bolt(**settings: JSON) -> Selector:
    """Inverse transform sampling; setting power."""
    from videre.video.strategies import bolt

    return _over_scores("bolt", bolt, settings)


def q_frame(**settings: JSON) -> Selector:
    """Gumbel top-k; settings tau, scale, seed."""
    from videre.video.strategies import qframe

    return _over_scores("q-frame", qframe, settings)


def wfs_sb(**settings: JSON) -> Selector:
    """Wavelet segments; settings strictness, balance. Cosines are scaled to [0, 1]."""
    from videre.video.segments import wfs_sb

    def choose(scored: Any, k: int, **rest: Any) -> list[int]:
        scores = scored.scores if scored.scores.min() >= 0 and scored.features is None else (scored.scores + 1) / 2
        return wfs_sb(scores, k, features=scored.features, **rest)

    return _made("wfs-sb", choose, wfs_sb, settings)


def mdp3(**settings: JSON) -> Selector:
    """A determinantal point process over the vectors of a CLIP or SigLIP; settings relevance, part, remembered."""
    from videre.video.diverse import mdp3

    def choose(scored: Any, k: int, **rest: Any) -> list[int]:
        return mdp3(scored.features, scored.asked, k, **rest)

    if not settings.get("clip"):
        raise ConfigError("mdp3 chooses by vectors, so it needs clip=MODEL")
    return _made("mdp3", choose, mdp3, settings)


def focus(**settings: JSON) -> Selector:
    """A bandit that scores few frames; settings fps, seed and those of `FocusConfig`."""
    from videre.methods.frame_selector.choosing import focus_selector
    from videre.video.bandit import FocusConfig

    own = {name: settings.pop(name) for name in inspect.signature(FocusConfig).parameters if name in settings}
    given = {name: settings.pop(name) for name in ("k", "fps", "size_px", "seed") if name in settings}
    scorer = _scorer("focus", settings)
    _none_left("focus", settings)
    return focus_selector(scorer, config=FocusConfig(**own), **{"k": 8, **given})


def trained(folder: str, **settings: JSON) -> Selector:
    """A trained selector by its folder or hub id, with the strategy that `strategy` names; NMS by default."""
    name = str(settings.pop("strategy", "nms"))
    makers = {"top-k": top_k, "nms": nms, "aks": aks, "bolt": bolt, "q-frame": q_frame, "wfs-sb": wfs_sb}
    if name not in makers:
        raise ConfigError(f"strategy is one of {', '.join(makers)}, got {name!r}")
    return makers[name](trained=folder, **settings)


def _over_scores(name: str, function: Choose, settings: dict[str, JSON]) -> Selector:
    def choose(scored: Any, k: int, **rest: Any) -> list[int]:
        return function(scored.scores, k, **rest)

    return _made(name, choose, function, settings)


def _made(name: str, choose: Choose, function: Choose, settings: dict[str, JSON]) -> Selector:
    """A selector of a strategy whose own settings are the keyword arguments of `function`."""
    from videre.methods.frame_selector.cache import ScoreCache
    from videre.methods.frame_selector.choosing import selector

    takes = set(inspect.signature(function).parameters) - {"scores", "k", "features", "question", "noise"}
    own = {key: settings.pop(key) for key in sorted(takes) if key in settings}
    given: dict[str, Any] = {key: settings.pop(key) for key in ("k", "n", "fps", "size_px") if key in settings}
    kept = settings.pop("cache", None)
    scorer = _scorer(name, settings)
    _none_left(name, settings)

    def strategy(scored: Any, k: int) -> list[int]:
        return choose(scored, k, **own)

    cache = ScoreCache(Path(str(kept))) if kept else None
    n = getattr(scorer, "candidates", None)
    if n and "fps" not in given:
        given.setdefault("n", n)
    given.setdefault("k", 8)
    return selector(scorer, strategy, cache=cache, told={"strategy": name, **own}, **given)


def _scorer(name: str, settings: dict[str, JSON]) -> Any:
    """The scorer that the settings name, which are taken out of them."""
    named = [key for key in SCORERS if settings.get(key)]
    if len(named) != 1:
        raise ConfigError(f"{name} needs one scorer: {name}:clip=MODEL, or truth=, captions=, trained=; got {named}")
    kind, model = named[0], str(settings.pop(named[0]))
    loader: dict[str, Any] = {key: settings.pop(key) for key in ("device", "dtype", "revision") if key in settings}
    if kind == "clip":
        from videre.methods.frame_selector.scorers import Similarity
        from videre.models import clip

        return Similarity(clip.load(model, **loader))
    if kind == "trained":
        from videre.methods.frame_selector.store import load

        return load(model, **loader)
    return _asked(kind, model, loader, settings)


def _asked(kind: str, name: str, loader: Mapping[str, JSON], settings: dict[str, JSON]) -> Any:
    """A scorer that asks an image-text model."""
    from videre.methods.frame_selector.scorers import Truth
    from videre.methods.frame_selector.temporal import Temporal

    model: Any = naming.model(name, **loader)
    if not hasattr(model, "score"):
        raise ModelError(f"{name} scores no replies, so it cannot score frames: pass an image-text model")
    if kind == "truth":
        own = ("reasoned", "batch", "most_tokens", "question_first")
        taken = {key: settings.pop(key) for key in own if key in settings}
        return Truth(model, letters=naming.is_server(name), **taken)
    writer = settings.pop("writer", None)
    return Temporal(model, naming.writer(str(writer)) if writer else None)


def _none_left(name: str, settings: Mapping[str, JSON]) -> None:
    if settings:
        raise ConfigError(f"{name} has no setting {', '.join(map(repr, settings))}; see docs/frame_selector.md")
