"""An adapter on disk: `adapter.safetensors` holds the branch and its gates, `adapter.json` what it stands beside.

One that was tuned with a chat model has that model's map to words beside it, `projector.safetensors`.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from videre import compat
from videre.errors import NO_INPUT, ModelError
from videre.jobs import replace_file
from videre.types import JSON

compat.need_hf()

import torch  # noqa: E402
from safetensors import SafetensorError  # noqa: E402
from safetensors.torch import load, save  # noqa: E402
from torch import Tensor  # noqa: E402

from videre.methods.bt_adapter.adapter import Adapter  # noqa: E402
from videre.methods.bt_adapter.branch import BranchConfig  # noqa: E402
from videre.methods.bt_adapter.tower import Tower  # noqa: E402

WEIGHTS, FACTS, FORMAT = "adapter.safetensors", "adapter.json", 1
PROJECTOR = "projector.safetensors"


def write(folder: Path, adapter: Adapter, *, base: Mapping[str, JSON], note: JSON = None) -> Path:
    """The folder, with the branch and what it stands beside in it; files are whole or absent.

    Args:
        folder: made where it is not there.
        adapter: with a branch.
        base: `id` and `revision` of the frozen checkpoint, as its card has them.
        note: how it was made.
    """
    if adapter.branch is None:
        raise ValueError("an adapter without a branch has nothing to write")
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.detach().cpu().contiguous() for name, value in adapter.branch.state_dict().items()}
    replace_file(folder / WEIGHTS, save(tensors, {"format": "pt"}))
    told = {"format": FORMAT, "base": dict(base), "tower": tower_key(adapter.tower)}
    told |= {"branch": asdict(adapter.branch.config), "note": note}
    replace_file(folder / FACTS, json.dumps(told, indent=1) + "\n")
    return folder


def facts(folder: str | Path) -> dict[str, Any]:
    """What `adapter.json` says: `base`, `branch`, `note`.

    Raises:
        ModelError: no adapter there, or one of another format (exit 3).
    """
    path = Path(folder) / FACTS
    try:
        told = json.loads(path.read_text("utf-8"))
        if told["format"] == FORMAT and {"base", "branch"} <= told.keys():
            return told
        why = f"its format is {told['format']}, this version reads {FORMAT}"
    except OSError as error:
        why = error.strerror or str(error)
    except (ValueError, KeyError, TypeError) as error:
        why = f"not the facts of an adapter ({error!r})"
    raise ModelError(
        f"{path}: {why}; pass a folder that `videre train adapter` wrote", code="adapter", exit_code=NO_INPUT
    )


def read(folder: str | Path, network: Any, *, revision: str | None = None) -> Adapter:
    """The adapter of a folder beside a network, in evaluation mode.

    Args:
        folder: what `write` wrote.
        network: the frozen network.
        revision: of the network's checkpoint; where it is given, it must be the one that the branch was trained beside.

    Raises:
        ModelError: not whole, or trained beside another network (exit 3).
    """
    told = facts(folder)
    base = told["base"]
    if revision is not None and base.get("revision") not in (None, revision):
        message = f"{folder}: trained beside {base.get('id')} at {base['revision']}, not beside {revision}"
        raise _no_adapter(f"{message}: pass that checkpoint")
    try:
        adapter = Adapter(network, BranchConfig(**told["branch"]))
    except (TypeError, ValueError) as error:
        raise _no_adapter(f"{folder}: not a branch for this network: {error}") from error
    fill(adapter.branch, folder)
    return adapter.to(network.device).eval()


def fill(branch: Any, folder: str | Path) -> None:
    """Gives a branch the weights of a folder, all of them and no others.

    Raises:
        ModelError: the file is not whole, or of another branch (exit 3).
    """
    _filled(branch, Path(folder) / WEIGHTS, f"the branch that {FACTS} tells of")


def fill_projector(projector: Any, folder: str | Path) -> None:
    """Gives a chat model the map that was tuned along with the branch; returns where none was.

    Raises:
        ModelError: the file is not whole, or of another chat model (exit 3).
    """
    path = Path(folder) / PROJECTOR
    if path.exists():
        _filled(projector, path, "the map of this chat model", _as_two)


def write_projector(folder: Path, state: Mapping[str, Tensor]) -> None:
    """Writes the state of a chat model's map to words beside the branch."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    replace_file(folder / PROJECTOR, save(tensors, {"format": "pt"}))


def check_tower(folder: str | Path, tower: Tower) -> None:
    """Returns where a tower is the one that the branch was trained beside, in whichever checkpoint it lies.

    Raises:
        ModelError: it is another one (exit 3).
    """
    told = facts(folder)
    if told.get("tower") not in (None, tower_key(tower)):
        raise _no_adapter(f"{folder}: trained beside the tower of {told['base'].get('id')}, and this is another one")


def tower_key(tower: Tower) -> str:
    """A hash of a tower's weights as half floats, so that one copy in halves and one in full floats agree."""
    digest = hashlib.sha256()
    for name, value in sorted(tower.vision.state_dict().items()):
        if name.startswith(("embeddings.", "encoder.", "pre_layrnorm.")) and value.is_floating_point():
            digest.update(name.encode() + value.detach().half().cpu().contiguous().numpy().tobytes())
    return f"sha256:{digest.hexdigest()}"


def _as_two(projector: Any, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The released map, one layer, for a LLaVA of transformers, which has two: the second changes nothing.

    Raises:
        ModelError: something that is not linear stands between the two.
    """
    if state.keys() != {"weight", "bias"} or not hasattr(projector, "linear_2"):
        return state
    probe, weight = torch.tensor([-1.0, 2.0]), state["weight"]
    if not torch.equal(projector.act(probe), probe):
        raise _no_adapter("the adapter's map to words is one layer: pass a LLaVA with projector_hidden_act = linear")
    told = {"linear_1.weight": weight, "linear_1.bias": state["bias"]}
    return told | {"linear_2.weight": torch.eye(len(weight)), "linear_2.bias": torch.zeros(len(weight))}


def _filled(module: Any, path: Path, wanted: str, made: Callable[[Any, Any], Any] = lambda _, state: state) -> None:
    try:
        module.load_state_dict(made(module, load(path.read_bytes())))
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[-1].strip()
        raise _no_adapter(f"{path}: not {wanted}: {reason}") from error


def _no_adapter(message: str) -> ModelError:
    return ModelError(message, code="adapter", exit_code=NO_INPUT)
