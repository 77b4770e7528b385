"""Official names in, official names out."""

import re
from collections.abc import Mapping

from videre import compat
from videre.errors import ModelError

compat.need_hf()

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

BRANCH = {
    "balance1": "branch.out_balance",
    "balance2": "branch.middle_balance",
    "btadapter_cls_token": "branch.cls_token",
    "btadapter_time_embed.weight": "branch.time.weight",
    "btadapter_cls": "branch.cls_token",
    "btadapter_position.weight": "branch.time.weight",
}
LAYERS = {
    "btadapter_S_layers": "branch.spatial",
    "btadapter_T_layers": "branch.temporal",
    "btadapter_S": "branch.spatial",
    "btadapter_T": "branch.temporal",
    "layers": "network.vision_model.encoder.layers",
    "blocks": "network.vision_model.encoder.layers",
}
VISION = {
    "class_embedding": "embeddings.class_embedding",
    "patch_embedding.weight": "embeddings.patch_embedding.weight",
    "position_embedding.weight": "embeddings.position_embedding.weight",
    "cls_token": "embeddings.class_embedding",
    "pos_embed": "embeddings.position_embedding",
    "patch_embed.proj.weight": "embeddings.patch_embedding.weight",
    "patch_embed.proj.bias": "embeddings.patch_embedding.bias",
}
ENDS = {"pre_layrnorm": "pre_layrnorm", "post_layernorm": "post_layernorm", "norm": "post_layernorm"}
EVA = {"norm1.": "layer_norm1.", "norm2.": "layer_norm2.", "attn.proj.": "self_attn.projection.", "attn.": "self_attn."}
DROPPED = re.compile(r"(^|\.)position_ids$|^(backbone\.)?logit_scale$")


def ours(official: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of an official checkpoint under the names of `Adapter`'s state.

    Args:
        official: `state_dict` of a pre-training file, of the EVA variant, or of an instruction-tuned
            `btadapter_weight.bin`; older files say `timesFPN` where later ones say `btadapter`.

    Raises:
        ModelError: a name that is not known; nothing is left out in silence (code "weights").
    """
    named, unknown = {}, []
    for name, value in _joined(official).items():
        new = _ours(name)
        if new is None:
            unknown.append(name)
        elif new:
            named[new] = value
    if unknown:
        raise ModelError(
            f"not a BT-Adapter checkpoint: unknown tensors {', '.join(sorted(unknown)[:5])}", code="weights"
        )
    return named


def _ours(name: str) -> str | None:
    """Our name; empty for what is left out on purpose, None for what is not known."""
    if DROPPED.search(name):
        return ""
    name = re.sub(r"^(backbone|model\.vision_tower|vision_tower)\.", "", name).replace("timesFPN", "btadapter")
    if name.startswith("extra_proj."):
        return "align." + name.removeprefix("extra_proj.")
    if name.startswith("text_backbone."):
        return "network." + name.removeprefix("text_backbone.")
    if name.startswith("visual_projection.") or name.startswith("head."):
        return "network.visual_projection." + name.split(".", 1)[1]
    if name in BRANCH:
        return BRANCH[name]
    if name in VISION:
        return f"network.vision_model.{VISION[name]}"
    return _in_layer(name)


def _in_layer(name: str) -> str | None:
    head, _, rest = name.partition(".")
    if head in ENDS:
        return f"network.vision_model.{ENDS[head]}.{rest}"
    number, _, inner = rest.partition(".")
    if head not in LAYERS or not number.isdigit():
        return None
    if head in ("blocks", "btadapter_S", "btadapter_T"):
        old = next((part for part in EVA if inner.startswith(part)), "")
        inner = EVA.get(old, "") + inner.removeprefix(old)
    return f"{LAYERS[head]}.{number}.{inner}"


def _joined(official: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """EVA's separate biases of queries and values as the one of queries, keys and values; keys have none: zeros."""
    state = dict(official)
    for name in [name for name in state if name.endswith(".q_bias")]:
        stem = name.removesuffix("q_bias")
        queries, values = state.pop(name), state.pop(f"{stem}v_bias")
        state[f"{stem}qkv.bias"] = torch.cat([queries, torch.zeros_like(queries), values])
    return state


def official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a CLIP adapter under the names of an official pre-training file: `ours` the other way round.

    Args:
        state: names of `Adapter`'s state, with `align.` for what `Pretraining` adds.

    Raises:
        ModelError: a name that the official file has no place for.
    """
    return {_official(name): value for name, value in state.items() if name != "network.logit_scale"}


BACK = {
    **{new: f"backbone.{old}" for old, new in list(BRANCH.items())[:4]},
    **{f"network.vision_model.{new}": f"backbone.{old}" for old, new in list(VISION.items())[:3]},
}
STEMS = {
    "branch.spatial.": "backbone.btadapter_S_layers.",
    "branch.temporal.": "backbone.btadapter_T_layers.",
    "align.": "extra_proj.",
    "network.vision_model.encoder.layers.": "backbone.layers.",
    "network.vision_model.": "backbone.",
    "network.visual_projection.": "backbone.visual_projection.",
    "network.text_": "text_backbone.text_",
}


def _official(name: str) -> str:
    if name in BACK:
        return BACK[name]
    stem = next((stem for stem in STEMS if name.startswith(stem)), None)
    if stem is None:
        raise ModelError(f"an official checkpoint has no place for {name}", code="weights")
    return STEMS[stem] + name.removeprefix(stem)
