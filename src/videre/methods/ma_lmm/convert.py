"""The released weights of MA-LMM under the names of transformers' InstructBLIP, and back.

A released `checkpoint_best.pth` holds what was trained: queries, vision norm, position vectors, Q-Former, projection.
The frozen vision tower and language model come from their own files. The file is a pickle, so torch reads it with
`weights_only=True`: tensors and plain containers, never code.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from videre import compat
from videre.errors import NO_INPUT, ModelError

compat.need_hf()

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

POSITIONS = "image_pe.weight"
"""What plain InstructBLIP has not; the same name on both sides."""

Pairs = tuple[tuple[str, str], ...]
PARTS: tuple[tuple[str, str, Pairs], ...] = (
    (
        "Qformer.bert.",
        "qformer.",
        (("attention.self.", "attention.attention."), ("embeddings.LayerNorm.", "embeddings.layernorm.")),
    ),
    (
        "visual_encoder.blocks.",
        "vision_model.encoder.layers.",
        (
            (".norm1.", ".layer_norm1."),
            (".norm2.", ".layer_norm2."),
            (".attn.proj.", ".self_attn.projection."),
            (".attn.qkv.", ".self_attn.qkv."),
        ),
    ),
    ("visual_encoder.cls_token", "vision_model.embeddings.class_embedding", ()),
    ("visual_encoder.pos_embed", "vision_model.embeddings.position_embedding", ()),
    ("visual_encoder.patch_embed.proj.", "vision_model.embeddings.patch_embedding.", ()),
    ("ln_vision.", "vision_model.post_layernorm.", ()),
    ("llm_proj.", "language_projection.", ()),
    ("llm_model.", "language_model.", ()),
    ("query_tokens", "query_tokens", ()),
    (POSITIONS, POSITIONS, ()),
)
"""Start of an official name, of ours, and what differs in the rest."""
POSITION_IDS = "Qformer.bert.embeddings.position_ids"


def our_name(official: str) -> str:
    """The name in transformers of an official weight.

    Raises:
        ModelError: MA-LMM has no such weight.
    """
    for theirs, ours, pairs in PARTS:
        if official.startswith(theirs):
            rest = official.removeprefix(theirs)
            for a, b in pairs:
                rest = rest.replace(a, b)
            return ours + rest
    raise ModelError(f"{official!r} is no weight of MA-LMM", code="weights", exit_code=NO_INPUT)


def official_name(ours: str) -> str:
    """The official name of one of our weights.

    Raises:
        ModelError: there is none.
    """
    for theirs, start, pairs in PARTS:
        if ours.startswith(start):
            rest = ours.removeprefix(start)
            for a, b in pairs:
                rest = rest.replace(b, a)
            return theirs + rest
    raise ModelError(f"{ours!r} has no name in the released code", code="weights", exit_code=NO_INPUT)


def from_official(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Released weights under our names; the two bias halves of the vision tower become one."""
    found: dict[str, Tensor] = {}
    for name, value in weights.items():
        if name == POSITION_IDS or name.endswith(".attn.v_bias"):
            continue
        if name.endswith(".attn.q_bias"):
            other = weights[name.removesuffix("q_bias") + "v_bias"]
            name, value = name.replace(".q_bias", ".qkv.bias"), torch.cat([value, torch.zeros_like(value), other])
        found[our_name(name)] = value
    return found


def to_official(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our weights under the released names, with the count of positions that the released file has as well."""
    found: dict[str, Tensor] = {}
    for name, value in weights.items():
        theirs = official_name(name)
        if theirs.endswith(".attn.qkv.bias"):
            query, _, last = value.chunk(3)
            found[theirs.replace(".qkv.bias", ".q_bias")] = query
            found[theirs.replace(".qkv.bias", ".v_bias")] = last
        else:
            found[theirs] = value
    words = "Qformer.bert.embeddings.position_embeddings.weight"
    if words in found:
        found[POSITION_IDS] = torch.arange(len(found[words]))[None]
    return found


def read_official(path: str | Path) -> dict[str, Tensor]:
    """The weights in a released `checkpoint_best.pth`, under our names.

    Raises:
        ModelError: no such file, not weights alone, or not of MA-LMM.
    """
    try:
        told: Any = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ModelError(f"no such checkpoint: {path}", code="no_model", exit_code=NO_INPUT) from error
    except Exception as error:
        why = (str(error).split("\n") or [""])[0][:200]
        message = f"{path} does not open as plain weights ({why}); only tensors and plain containers are read"
        raise ModelError(message, code="pickle", exit_code=NO_INPUT) from error
    weights = told.get("model", told) if isinstance(told, dict) else {}
    if "query_tokens" not in weights:
        raise ModelError(f"{path}: no query_tokens in it, so no MA-LMM checkpoint", code="weights", exit_code=NO_INPUT)
    return from_official(weights)
