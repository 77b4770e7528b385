"""`videre adapter`: the authors' checkpoints in, ours out, and what an adapter's folder says of itself.

Also `bt-adapter:CHECKPOINT#adapter=FOLDER`: image chat models that read videos, by name.
"""

import json
from pathlib import Path
from typing import Any

import click

from videre.errors import ConfigError
from videre.types import JSON

CHOICES = {"pooling": ("adapter", "frame-mean", "st-pool"), "compat": ("none", "official")}


@click.group("adapter")
def command() -> None:
    """Convert and show adapters that teach a frozen CLIP time. Train one with `videre train adapter`."""


@command.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--base", required=True, help="The frozen CLIP that it stands beside: a folder or a hub id.")
@click.option(
    "-o", "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="The folder to write."
)
def bring_in(files: tuple[Path, ...], base: str, out: Path) -> None:
    """Turn official checkpoints into an adapter: a pre-training file, and instruction-tuned ones after it.

    The files are read as tensors alone; nothing in them is run.
    """
    import warnings

    from videre.methods.bt_adapter import official, store

    pair = _pair(base)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Remarks are told below, in one line each.
        made, remarks = official.from_official(files, pair.network)
    words, more = official.projector(files)
    remarks += more
    for remark in remarks:
        click.echo(f"videre: {remark}", err=True)
    note = {"files": [path.name for path in files], "remarks": remarks}
    if words:
        store.write_projector(out, words)
    click.echo(store.write(out, made, base=pair.card, note=note))


@command.command("export")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--base", help="The frozen CLIP; by default the one that the folder names.")
@click.option(
    "-o", "--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="*.safetensors to write."
)
def hand_out(folder: Path, base: str | None, out: Path) -> None:
    """Write an adapter, with the network it stands beside, under the official names."""
    from safetensors.torch import save

    from videre.jobs import replace_file
    from videre.methods.bt_adapter import convert, store

    pair = _pair(base or str(store.facts(folder)["base"]["id"]))
    made = store.read(folder, pair.network, revision=str(pair.card["revision"]))
    replace_file(out, save({name: value.contiguous() for name, value in convert.official(made.state_dict()).items()}))
    click.echo(out)


@command.command("show")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def show(folder: Path) -> None:
    """Print what an adapter stands beside, how it is built and how it was made."""
    from videre.methods.bt_adapter import store

    click.echo(json.dumps(store.facts(folder), indent=1))


def _pair(name: str) -> Any:
    from videre.models import clip

    return clip.load(name)


def chat_model(text: str, **loader: JSON) -> Any:
    """The chat model that `CHECKPOINT#key=value,...` stands for.

    Args:
        text: a folder or hub id of a LLaVA, LLaVA-NeXT, LLaVA-OneVision, BLIP-2 or InstructBLIP, and after a # any of
            `adapter` (a folder), `pooling` (`frame-mean` or `st-pool`, without an adapter), `compat` (`official`).
        loader: `device`, `dtype`, `revision`, `trust_remote_code`.

    Raises:
        ConfigError: no such setting or value.
        ModelError: the checkpoint or the adapter cannot be loaded.
    """
    from videre.methods.bt_adapter import chat_model as chat

    place, _, rest = text.partition("#")
    given = dict(part.partition("=")[::2] for part in filter(None, rest.split(",")))
    if unknown := given.keys() - {"adapter", *CHOICES}:
        raise ConfigError(f"bt-adapter: {sorted(unknown)[0]!r} is no setting; there are adapter, compat, pooling")
    for key, values in CHOICES.items():
        if given.get(key, values[0]) not in values:
            raise ConfigError(f"bt-adapter: {key} is one of {', '.join(values)}, got {given[key]!r}")
    if not place:
        raise ConfigError("bt-adapter: name a checkpoint, such as bt-adapter:llava-hf/llava-1.5-7b-hf#adapter=FOLDER")
    made: Any = {"pooling": given.get("pooling", "adapter"), "official": given.get("compat", "none"), **loader}
    loaded = chat.load(place, given.get("adapter"), **made)
    loaded.name = f"bt-adapter:{text}"
    return loaded
