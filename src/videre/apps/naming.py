"""A name on the command line -> the thing that it stands for, by the tables of `catalog` or in a user's own file."""

import importlib.util
import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

from videre.apps.catalog import BENCHMARKS, MODELS, SELECTORS, TRAINED, TRAINERS
from videre.errors import ConfigError
from videre.types import JSON, Answerer, Selector

DRAWING = ("focus", "q-frame")
"""Selectors that draw, and take a seed."""


def model(name: str, *, at_once: int = 8, **settings: JSON) -> Answerer:
    """The model that a name stands for.

    Args:
        name: "builtin", `PREFIX:FOLDER` with a prefix of `catalog.MODELS`, a hub id or a folder,
            `http://HOST/v1#MODEL` of an OpenAI-compatible server, or a user's `file.py:function`.
        at_once: most requests under way at a server.
        settings: passed to the loader (`device`, `dtype`, `revision`, ...); None leaves the loader's default.

    Raises:
        ModelError: the model cannot be loaded.
        ConfigError: a user's file has no such function; no such device, or another setting that cannot be.
    """
    given = {key: value for key, value in settings.items() if value is not None}
    if is_own(name) and name.partition(":")[0] not in MODELS:
        return own(name)()
    try:
        return _made(name, given, at_once)
    except ValueError as error:
        raise ConfigError(f"model {told(name)!r}: {error}") from error


def _made(name: str, given: Mapping[str, JSON], at_once: int) -> Answerer:
    if name == "builtin":
        from videre.models import builtin

        return builtin.load(**{name: value for name, value in given.items() if name in ("device", "dtype")})
    if is_server(name):
        return _endpoint(name, at_once)
    prefix, _, rest = name.partition(":")
    if prefix in MODELS:
        return _load(MODELS[prefix])(rest, **given)
    from videre.models import mllm

    return mllm.load(name, **given)


def writer(name: str) -> Any:
    """A model that writes texts: a text model of transformers, or one on a server.

    Raises:
        ModelError: the model cannot be loaded.
    """
    if is_server(name):
        return model(name)
    from videre.models import text

    return text.load(name)


def told(text: str) -> str:
    """The text without logins in the addresses of it: what records, manifests and messages may say.

    >>> told("http://ann:secret@host/v1#m")
    'http://host/v1#m'
    """
    return re.sub(r"(https?://)[^/@#\s]*@", r"\1", text)


def is_server(name: str) -> bool:
    """Whether the name is of a model on a server, which answers several questions at once."""
    return name.startswith(("http://", "https://"))


def selector(text: str, *, k: int | None = None, seed: int | None = None) -> Selector:
    """The selector that `NAME`, `NAME:key=value,...` or `file.py:function` stands for.

    Args:
        text: as typed after `--select`; a folder or hub id is a trained frame selector.
        k: the number of frames, where the text does not set it and the selector takes one.
        seed: of a selector that draws, where the text does not set it.

    Raises:
        ConfigError: no such selector, setting, file or function; the nearest name is shown.
    """
    name, _, rest = text.partition(":")
    if name not in SELECTORS:
        if is_own(text):
            return own(text)
        if "/" in name or Path(name).is_dir():
            return _trained(name, rest, k, seed)
        raise ConfigError(f"no selector {name!r}{_nearest(name, SELECTORS)}; or give your own as file.py:function")
    settings = _settings(rest, text)
    if k is not None:
        settings.setdefault("k", k)
    if seed is not None and name in DRAWING:
        settings.setdefault("seed", seed)
    make = _load(SELECTORS[name])
    try:
        _check_settings(make, settings)
        select = make(**settings)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"selector {told(text)!r}: {error}") from error
    select.name = told(",".join([name, *(f"{key}={value}" for key, value in settings.items())]).replace(",", ":", 1))
    return select


def _trained(name: str, rest: str, k: int | None, seed: int | None) -> Selector:
    """A trained frame selector by its folder or hub id."""
    settings = _settings(rest, name)
    if k is not None:
        settings.setdefault("k", k)
    if seed is not None and settings.get("strategy") in DRAWING:
        settings.setdefault("seed", seed)
    select: Any = _load(TRAINED)(name, **settings)
    select.name = told(f"{name}:{rest}" if rest else name)
    return select


def benchmark(name: str) -> dict[str, Any]:
    """The entry of a benchmark in `catalog.BENCHMARKS`, its functions loaded.

    Raises:
        ConfigError: no such benchmark.
    """
    if name not in BENCHMARKS:
        raise ConfigError(f"no benchmark {name!r}{_nearest(name, BENCHMARKS)}")
    entry = BENCHMARKS[name]
    return {key: _load(value) if key in ("reader", "groups") else value for key, value in entry.items()}


def trainer(kind: str) -> Callable[[dict[str, Any], Path], None]:
    """What trains a kind of `catalog.TRAINERS`."""
    return _load(TRAINERS[kind])


def own(text: str) -> Any:
    """What a user's `file.py:name` or `package.module:name` holds.

    Raises:
        ConfigError: the file or the name in it does not exist.
    """
    place, _, name = text.rpartition(":")
    module = _module_of_file(Path(place)) if place.endswith(".py") else _module(place)
    try:
        return getattr(module, name)
    except AttributeError:
        raise ConfigError(f"{place} has no {name!r}{_nearest(name, vars(module))}") from None


def is_own(text: str) -> bool:
    """Whether the text names something in a user's own file or module."""
    place, colon, name = text.rpartition(":")
    return bool(colon) and name.isidentifier() and (place.endswith(".py") or _looks_like_module(place))


def _looks_like_module(place: str) -> bool:
    return all(part.isidentifier() for part in place.split("."))


def _module_of_file(path: Path) -> Any:
    if not path.is_file():
        raise ConfigError(f"no such file: {path}; expected file.py:function")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} cannot be imported as Python")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _module(place: str) -> Any:
    try:
        return import_module(place)
    except ModuleNotFoundError as error:
        raise ConfigError(f"no module {place!r} can be imported: {error}") from error


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def _endpoint(url: str, at_once: int) -> Answerer:
    from videre.models import endpoint

    base_url, _, model_name = url.partition("#")
    if not model_name:
        shown = told(base_url)
        raise ConfigError(f"{shown}: name the server's model after a #, such as {shown}#MODEL")
    return endpoint.connect(base_url, model_name, concurrency=at_once)


def _settings(rest: str, text: str) -> dict[str, JSON]:
    settings: dict[str, JSON] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            raise ConfigError(f"selector {text!r}: settings are key=value, separated by commas; got {part!r}")
        settings[key.strip()] = _value(value.strip())
    return settings


def _check_settings(make: Callable[..., Any], settings: Mapping[str, JSON]) -> None:
    """Raises `TypeError` with the nearest name where the maker of a selector knows no such setting."""
    known = signature(make).parameters
    if any(each.kind is each.VAR_KEYWORD for each in known.values()):
        return
    for name in settings:
        if name not in known:
            raise TypeError(f"no setting {name!r}{_nearest(name, known)}")


def _value(text: str) -> JSON:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False, "none": None}.get(text.lower(), text)


def _nearest(name: str, names: Mapping[str, Any]) -> str:
    close = get_close_matches(name, list(names), 1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(sorted(names))}"
