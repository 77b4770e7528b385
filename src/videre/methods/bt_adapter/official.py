"""The authors' checkpoint files, read without running anything of them, as adapters."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from videre import compat
from videre.errors import NO_INPUT, ModelError

compat.need_hf()

import torch  # noqa: E402
from safetensors import SafetensorError  # noqa: E402
from safetensors.torch import load  # noqa: E402
from torch import Tensor  # noqa: E402

from videre.methods.bt_adapter import convert  # noqa: E402
from videre.methods.bt_adapter.adapter import Adapter  # noqa: E402
from videre.methods.bt_adapter.branch import BranchConfig  # noqa: E402
from videre.methods.bt_adapter.tower import Eva  # noqa: E402

MAP = "model.mm_projector."
WORDS = "model.embed_tokens.weight"


def official_file(path: str | Path) -> dict[str, Tensor]:
    """The tensors of an official `.pth` or `.bin`, read without running anything of it, or of a safetensors file.

    Raises:
        ModelError: the file holds more than tensors (exit 7), or cannot be read (exit 3).
    """
    path = Path(path)
    try:
        told = load(path.read_bytes()) if path.suffix == ".safetensors" else _unpickled(path)
    except (OSError, SafetensorError, RuntimeError, EOFError) as error:
        raise ModelError(f"{path}: cannot be read: {error}", code="weights", exit_code=NO_INPUT) from error
    told = told.get("state_dict", told)
    if not isinstance(told, Mapping) or not all(isinstance(value, Tensor) for value in told.values()):
        raise ModelError(f"{path}: no table of tensors in it", code="weights", exit_code=NO_INPUT)
    return dict(told)


def _unpickled(path: Path) -> Any:
    from pickle import UnpicklingError

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        message = (
            f"{path}: holds more than tensors, which could run code; save its state_dict alone where it is trusted"
        )
        raise ModelError(message, code="pickle", exit_code=7) from error


def from_official(files: Sequence[str | Path], network: Any) -> tuple[Adapter, list[str]]:
    """The adapter that official files hold, and remarks on what they lack.

    Args:
        files: a pre-training file; with an instruction-tuned one after it, the latter's tensors count. Alone, an
            instruction-tuned file has no gates and no last layer: chat reads no last layer, so the copy of the tower's
            stays there. What `mm_projector.bin` holds is for `projector`, and left out here.
        network: the frozen network that they stand beside; where a file holds it too, the two must agree.

    Raises:
        ModelError: unknown names, shapes that do not fit, or another frozen network in the file.
    """
    named: dict[str, Tensor] = {}
    for file in files:
        state = official_file(file)
        named |= convert.ours({name: value for name, value in state.items() if not name.startswith((MAP, WORDS))})
    layers = {int(name.split(".")[2]) for name in named if name.startswith("branch.spatial.")}
    tuned = "branch.time.weight" in named and not any(name.startswith("network.") for name in named)
    gates = "branch.out_balance" in named
    remarks = [] if gates else ["no gates in the file: tower and branch are added"]
    if tuned:
        remarks.append("an instruction-tuned file alone: for chat; its last layer is the tower's copy")
    if not gates:
        warnings.warn(remarks[0], stacklevel=2)
    config = BranchConfig(depth=len(layers) + tuned, times=len(named.get("branch.time.weight", ())) or 64, gates=gates)
    adapter = Adapter(network, config)
    _check_frozen(network, named)
    _fill(adapter, {name: value for name, value in named.items() if name.startswith("branch.")}, tuned)
    return adapter.eval(), remarks


def projector(files: Sequence[str | Path]) -> tuple[dict[str, Tensor], list[str]]:
    """The chat model's map to words, one linear layer, of an official `mm_projector.bin` among the files, and remarks.

    Returns:
        `weight` and `bias`, or nothing where no file holds them.
    """
    found: dict[str, Tensor] = {}
    remarks: list[str] = []
    for file in files:
        state = official_file(file)
        found |= {name.removeprefix(MAP): value for name, value in state.items() if name.startswith(MAP)}
        if WORDS in state:
            remarks.append("word vectors in the file are left out: no tokens stand around a video here")
    return found, remarks


def eva(path: str | Path, *, heads: int = 16) -> Adapter:
    """The adapter of an official EVA file with the frozen picture tower that lies in it.

    Args:
        path: of the file.
        heads: of attention, which no tensor's shape tells; EVA-CLIP-g has 16.

    Raises:
        ModelError: as `from_official`, or no EVA tower in the file.
    """
    named = convert.ours(official_file(path))
    state = {name.removeprefix("network."): value for name, value in named.items() if name.startswith("network.v")}
    try:
        network = _eva_like(state, heads)
        network.load_state_dict(state)
    except (KeyError, RuntimeError) as error:
        raise _misfit(f"{path}: no whole EVA tower in it: {str(error).splitlines()[-1].strip()}") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # An EVA branch has no gates.
        return from_official([path], network)[0]


def _eva_like(state: Mapping[str, Tensor], heads: int) -> Eva:
    from transformers import Blip2VisionConfig

    patches = state["vision_model.embeddings.patch_embedding.weight"]
    places = state["vision_model.embeddings.position_embedding"].shape[1] - 1
    config = Blip2VisionConfig(
        hidden_size=patches.shape[0],
        patch_size=patches.shape[-1],
        image_size=patches.shape[-1] * round(places**0.5),
        num_hidden_layers=len({name.split(".")[3] for name in state if ".layers." in name}),
        intermediate_size=len(state["vision_model.encoder.layers.0.mlp.fc1.bias"]),
        num_attention_heads=heads,
    )
    return Eva(config, len(state["visual_projection.bias"]))


def _check_frozen(network: Any, named: Mapping[str, Tensor], near: float = 2e-3) -> None:
    here = network.state_dict()
    for name, value in named.items():
        short = name.removeprefix("network.")
        if short == name or (name.startswith("network.text_") and not hasattr(network, "text_model")):
            continue
        if short not in here or here[short].shape != value.shape:
            raise ModelError(
                f"the file's {short} has no equal in this network: pass the CLIP that it was trained beside"
            )
        if (here[short].float().cpu() - value.float()).abs().max() > near:
            raise ModelError(f"the file's {short} is not this network's: pass the CLIP that it was trained beside")


def _fill(adapter: Adapter, tensors: Mapping[str, Tensor], tuned: bool) -> None:
    branch: Any = adapter.branch
    try:
        told = branch.load_state_dict({name.removeprefix("branch."): v for name, v in tensors.items()}, strict=False)
    except RuntimeError as error:
        raise ModelError(
            f"the file does not fit this network: {str(error).splitlines()[-1].strip()}", code="weights"
        ) from error
    last = f".{branch.config.depth - 1}."
    missing = [name for name in told.missing_keys if not (tuned and last in name)]
    if missing or told.unexpected_keys:
        names = ", ".join([*missing, *told.unexpected_keys][:5])
        raise _misfit(f"not a whole BT-Adapter checkpoint: {names}")


def _misfit(message: str) -> ModelError:
    return ModelError(message, code="weights", exit_code=NO_INPUT)
