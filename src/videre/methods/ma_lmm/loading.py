"""A MA-LMM from a folder or the hub, and back into a folder.

Any InstructBLIP or BLIP-2 checkpoint of transformers with a decoder-only language model will do: without anything more
it is the training-free plug-in. What memory adds lies beside it in two small files, `memory.json` (how many slots, the
epsilon of the vision norm) and `memory.safetensors` (a vector a time step).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from videre import compat
from videre.errors import NO_INPUT, ModelError

compat.need_hf()

import torch  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from videre.methods.ma_lmm.convert import POSITIONS, read_official, to_official  # noqa: E402
from videre.methods.ma_lmm.memory import Memory  # noqa: E402
from videre.methods.ma_lmm.model import MALMM, Settings  # noqa: E402
from videre.models.loading import card, checked_device, checked_dtype, load_errors  # noqa: E402
from videre.models.mllm import load_decoder, load_processor  # noqa: E402
from videre.models.weights import Checkpoint, find  # noqa: E402

SETTINGS, TENSORS = "memory.json", "memory.safetensors"
OFFICIAL_EPS = 1e-5
"""Of the vision norm in the released code; transformers takes 1e-6."""
TRAINED = ("query_tokens", "qformer.", "language_projection.", "vision_model.post_layernorm.")
"""What MA-LMM trains, beside its position vectors."""


def load(
    name_or_path: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    revision: str | None = None,
    trust_remote_code: bool = False,
    settings: Settings | None = None,
    official: str | Path | None = None,
) -> MALMM:
    """A model from a folder or the hub, ready to watch.

    The Q-Former and the banks run in float32 whatever the rest runs in, as in the released code.

    Args:
        name_or_path: an InstructBLIP or BLIP-2 checkpoint of transformers, or a folder that `save_learned` wrote.
        device: as for `mllm.load`.
        dtype: of vision tower and language model.
        revision: a commit of the hub.
        trust_remote_code: as for `mllm.load`.
        settings: how to remember and speak; None takes what lies beside the checkpoint, or the defaults.
        official: a released `checkpoint_best.pth` laid over it.

    Raises:
        ModelError: not found, not allowed, not whole, or no such architecture.
    """
    place, number = checked_device(device), checked_dtype(dtype)
    own = _beside(Path(name_or_path).expanduser())
    base = own.get("base") or name_or_path
    checkpoint = find(base, revision=revision, trust_remote_code=trust_remote_code)
    with load_errors(checkpoint):
        processor = load_processor(checkpoint)
        network = load_decoder(checkpoint, device=place, dtype=number)
    _check(checkpoint, network)
    network.qformer.float()
    told = own if own["tensors"] else _beside(checkpoint.folder)
    weights = dict(told["tensors"])
    if official is not None:
        weights |= read_official(official)
        told["vision_norm_eps"] = OFFICIAL_EPS
    positions = lay_over(network, weights, name=str(official or checkpoint.id))
    if told.get("vision_norm_eps") is not None:
        network.vision_model.post_layernorm.eps = told["vision_norm_eps"]
    chosen = settings or Settings(memory=_memory(told))
    facts = {"method": "ma-lmm", "positions": positions is not None, **_learned(own, name_or_path)}
    told_of = card(checkpoint, network, handover="memory", **facts)
    return MALMM(network, processor, positions, name=name_or_path, card=told_of, settings=chosen)


def lay_over(network: Any, weights: Mapping[str, Tensor], *, name: str) -> nn.Parameter | None:
    """Copies weights under our names into the model; the position vectors come back, None where there are none.

    Raises:
        ModelError: a weight that the model has not, or of another shape.
    """
    own = network.state_dict()
    for key, value in weights.items():
        if key == POSITIONS:
            continue
        if key not in own or own[key].shape != value.shape:
            mine = list(own[key].shape) if key in own else "nothing"
            message = f"{name}: {key} {list(value.shape)} does not fit the model, which has {mine}"
            raise ModelError(message, code="weights", exit_code=NO_INPUT)
        own[key].copy_(value)
    if POSITIONS not in weights:
        return None
    table = weights[POSITIONS].float().to(network.device)
    if table.shape[1] != network.config.vision_config.hidden_size:
        message = (
            f"{name}: {POSITIONS} is {table.shape[1]} wide, the vision tower {network.config.vision_config.hidden_size}"
        )
        raise ModelError(message, code="weights", exit_code=NO_INPUT)
    return nn.Parameter(table, requires_grad=False)


def save(model: MALMM, folder: str | Path) -> Path:
    """The folder, with the checkpoint as transformers writes it and the memory beside it."""
    place = Path(folder)
    model.network.save_pretrained(place)
    model.processor.save_pretrained(place)
    told = _settings(model)
    (place / SETTINGS).write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    if model.positions is not None:
        save_file({POSITIONS: model.positions.detach().cpu().contiguous()}, place / TENSORS)
    return place


def save_learned(model: MALMM, folder: str | Path, *, base: str) -> Path:
    """The folder, with what was trained and the name of the checkpoint that it belongs over."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    state = model.network.state_dict()
    weights = {name: value.cpu().contiguous() for name, value in state.items() if name.startswith(TRAINED)}
    if model.positions is not None:
        weights[POSITIONS] = model.positions.detach().cpu().contiguous()
    save_file(weights, place / TENSORS)
    (place / SETTINGS).write_text(json.dumps({"base": base, **_settings(model)}, indent=1) + "\n", "utf-8")
    return place


def save_official(model: MALMM, path: str | Path) -> Path:
    """What was trained as a `checkpoint_best.pth` that the released code loads: tensors under its names."""
    state = model.network.state_dict()
    ours = {name: value for name, value in state.items() if name.startswith(TRAINED)}
    if model.positions is not None:
        ours[POSITIONS] = model.positions.detach()
    return _write_official(ours, path)


def unpack(official: str | Path, folder: str | Path, *, base: str) -> Path:
    """The folder, with a released checkpoint as `save_learned` would write it; the base itself is not opened."""
    place, weights = Path(folder), read_official(official)
    place.mkdir(parents=True, exist_ok=True)
    learned = {name: value for name, value in weights.items() if name.startswith((*TRAINED, POSITIONS))}
    save_file({name: value.contiguous() for name, value in learned.items()}, place / TENSORS)
    told = {"base": base, "vision_norm_eps": OFFICIAL_EPS, "positions": "write"}
    (place / SETTINGS).write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    return place


def pack(folder: str | Path, path: str | Path) -> Path:
    """What `save_learned` or `unpack` wrote as a `checkpoint_best.pth` for the released code.

    Raises:
        ModelError: there is nothing learned in the folder.
    """
    weights = _beside(Path(folder))["tensors"]
    if "query_tokens" not in weights:
        message = f"{folder}: no {TENSORS} with learned weights; videre train memory writes one"
        raise ModelError(message, code="no_model", exit_code=NO_INPUT)
    return _write_official(weights, path)


def _write_official(ours: Mapping[str, Tensor], path: str | Path) -> Path:
    weights = {name: value.cpu() for name, value in to_official(ours).items()}
    floats = {name: value.float() if value.is_floating_point() else value for name, value in weights.items()}
    torch.save({"model": floats, "epoch": 0}, path)
    return Path(path)


def _beside(folder: Path) -> dict[str, Any]:
    """What the two small files say; nothing where there are none."""
    told: dict[str, Any] = {"tensors": {}}
    if (folder / SETTINGS).is_file():
        try:
            told |= json.loads((folder / SETTINGS).read_text("utf-8"))
        except ValueError as error:
            message = f"{folder / SETTINGS} is not JSON: {error}"
            raise ModelError(message, code="weights", exit_code=NO_INPUT) from error
    if (folder / TENSORS).is_file():
        told["tensors"] = load_file(folder / TENSORS)
    return told


def _settings(model: MALMM) -> dict[str, Any]:
    memory = model.settings.memory
    return {
        "vision_norm_eps": model.network.vision_model.post_layernorm.eps,
        "visual": memory.visual,
        "query": memory.query,
        "positions": memory.positions,
    }


def _learned(own: Mapping[str, Any], name: str) -> dict[str, str]:
    """For the run card: the hash of what was learned."""
    if "base" not in own:
        return {}
    return {"learned": name, "learned_sha256": hashlib.sha256((Path(name) / TENSORS).read_bytes()).hexdigest()}


def _memory(told: Mapping[str, Any]) -> Memory:
    given = {key: told[key] for key in ("visual", "query", "positions") if key in told}
    return replace(Memory(), **given)


def _check(checkpoint: Checkpoint, network: Any) -> None:
    if not all(hasattr(network, part) for part in ("vision_model", "qformer", "query_tokens", "language_projection")):
        message = f"{checkpoint.id}: {type(network).__name__} has no Q-Former; MA-LMM needs InstructBLIP or BLIP-2"
        raise ModelError(message, code="load", exit_code=NO_INPUT)
    if not network.config.use_decoder_only_language_model:
        message = f"{checkpoint.id}: its language model is an encoder with a decoder; MA-LMM needs a decoder-only one"
        raise ModelError(message, code="load", exit_code=NO_INPUT)
