"""What many prompts have in common before their pictures, read once: its keys and values serve every row of a batch."""

import copy
import inspect
from collections.abc import Sequence
from typing import Any

from jaxtyping import Float, Int

from videre import compat

compat.need_hf()

import torch  # noqa: E402
from transformers import DynamicCache  # noqa: E402
from transformers.cache_utils import DynamicLayer  # noqa: E402

LEAST_TOKENS = 16
"""Fewer words than this cost less to read again than to keep."""


def common(network: Any, heads: Int[torch.Tensor, "B L"], inputs: dict[str, Any]) -> int:
    """How many tokens of all heads come before any picture and are the same; 0 where they are too few or untold.

    Families whose pictures see each other both ways (`token_type_ids`) need the whole prompt at once.
    """
    picture = _picture_token(network.config)
    if picture is None or "token_type_ids" in inputs or len(heads) < 2:
        return 0
    differs = (heads != heads[:1]).any(0) | (heads == picture).any(0)
    count = int(differs.long().argmax()) if bool(differs.any()) else 0
    return count if count >= LEAST_TOKENS else 0


def read(network: Any, ids: Int[torch.Tensor, " P"]) -> DynamicCache | None:
    """The cache of the common tokens; None where this model keeps more than keys and values of all positions."""
    cache = DynamicCache(config=network.config.get_text_config())
    if holder := _rotary(network):
        holder.rope_deltas = None
    network(input_ids=ids[None], past_key_values=cache, use_cache=True, logits_to_keep=1)
    return cache if all(type(layer) is DynamicLayer for layer in cache.layers) else None


def follow(network: Any, cache: DynamicCache, inputs: dict[str, Any], *, keep: int) -> Float[torch.Tensor, "B K V"]:
    """Logits of the last `keep` positions of a batch of prompts whose common tokens are in the cache.

    Args:
        inputs: of the whole prompts, pictures included.
    """
    whole, start = inputs["input_ids"], cache.get_seq_length()
    rest = {name: value for name, value in inputs.items() if name not in ("mm_token_type_ids", "input_ids")}
    if holder := _rotary(network):
        takes = inspect.signature(holder.get_rope_index).parameters
        places, _ = holder.get_rope_index(**{name: value for name, value in inputs.items() if name in takes})
        rest["position_ids"] = places[:, :, start:]
    own = copy.deepcopy(cache)
    own.batch_repeat_interleave(len(whole))
    out = network(input_ids=whole[:, start:], past_key_values=own, use_cache=True, logits_to_keep=keep, **rest)
    return out.logits[:, -keep:]


def _picture_token(config: Any) -> int | None:
    found: Sequence[Any] = [getattr(config, name, None) for name in ("image_token_id", "image_token_index")]
    return next((int(token) for token in found if token is not None), None)


def _rotary(network: Any) -> Any:
    """The part that counts positions in time, height and width, where there is one."""
    inner = getattr(network, "model", None)
    return inner if hasattr(inner, "get_rope_index") and hasattr(inner, "rope_deltas") else None
