"""`ma-lmm:CHECKPOINT` and `ma-lmm:CHECKPOINT#slots=10,recall=visual`: models with a memory, by name."""

from typing import TYPE_CHECKING, Any

from videre.errors import ConfigError
from videre.types import JSON

if TYPE_CHECKING:
    from videre.methods.ma_lmm.model import MALMM, Settings

MEMORY = {"visual": int, "query": int, "positions": str, "reduce": str}
WRITING = {"answer_tokens": int, "beams": int, "repetition_penalty": float, "length_penalty": float}
REDUCE = ("compress", "compress_plainly", "concatenate", "pool", "fifo", "tome", "uniform")
KINDS = {**MEMORY, **WRITING, "slots": int, "recall": str, "batch": int, "mode": str, "official": str}
CHOICES = {
    "mode": ("official", "default"),
    "positions": ("write", "read"),
    "recall": ("replay", "visual"),
    "reduce": REDUCE,
}


def model(text: str, **loader: JSON) -> "MALMM":
    """The model that `CHECKPOINT#key=value,...` stands for.

    Args:
        text: a folder or hub id, and after a # any of: `slots` (both banks), `visual`, `query`, `positions`, `reduce`,
            `recall`, `mode` (`official` computes as the released code does), `official` (a `checkpoint_best.pth`),
            `answer_tokens`, `beams`, `repetition_penalty`, `length_penalty`, `batch`.
        loader: `device`, `dtype`, `revision`, `trust_remote_code`.

    Raises:
        ConfigError: no such setting or value.
        ModelError: the checkpoint cannot be loaded.
    """
    from videre.methods.ma_lmm.loading import load

    place, _, rest = text.partition("#")
    if not place:
        raise ConfigError("ma-lmm: name a checkpoint, such as ma-lmm:Salesforce/instructblip-vicuna-7b")
    given = _read(rest)
    official = given.pop("official", None)
    loaded = load(place, official=official, **loader)  # type: ignore[arg-type]
    loaded.settings = settings(loaded.settings, given)
    loaded.name = f"ma-lmm:{text}"
    return loaded


def settings(base: "Settings", given: dict[str, Any]) -> "Settings":
    """The settings with some of them changed."""
    from dataclasses import replace

    from videre.methods.ma_lmm import bank

    memory = replace(base.memory, positions="write", cached=False, first=True) if "mode" in given else base.memory
    changes = {key: given[key] for key in MEMORY if key in given}
    if "slots" in given:
        changes = {"visual": given["slots"], "query": given["slots"], **changes}
    if "reduce" in changes:
        changes["reduce"] = getattr(bank, changes["reduce"])
    writing = replace(base.writing, **{key: given[key] for key in WRITING if key in given})
    others = {key: given[key] for key in ("recall", "batch") if key in given}
    return replace(base, memory=replace(memory, **changes), writing=writing, **others)


def checked(given: dict[str, Any]) -> dict[str, Any]:
    """The same settings, each known and of its kind.

    Raises:
        ConfigError: one is not.
    """
    found: dict[str, Any] = {}
    for key, value in given.items():
        if key not in KINDS:
            raise ConfigError(f"ma-lmm: {key!r} is no setting; there are {', '.join(sorted(KINDS))}")
        if key in CHOICES and value not in CHOICES[key]:
            raise ConfigError(f"ma-lmm: {key} is one of {', '.join(CHOICES[key])}, got {value!r}")
        try:
            found[key] = KINDS[key](value)
        except ValueError as error:
            raise ConfigError(f"ma-lmm: {key} is a number, got {value!r}") from error
    if found.get("mode") == "default":
        del found["mode"]
    return found


def _read(text: str) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for part in filter(None, text.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            raise ConfigError(f"ma-lmm: settings are key=value, and {part!r} is no setting")
        given[key] = value
    return checked(given)
