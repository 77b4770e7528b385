"""The Q-Former of InstructBLIP and BLIP-2, opened up: a layer at a time, keys and values from wherever one likes.

The functions take transformers' own modules and leave no state on them. Axes: `Q` queries, `L` text tokens,
`P = Q + L`, `K` tokens attended to, `D` width.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

KeysValues = tuple[Float[Tensor, "B K D"], Float[Tensor, "B K D"]]
"""Projected keys and values; affine in what they were made from."""


def layers(qformer: Any) -> list[Any]:
    """Its layers, first to last."""
    return list(qformer.encoder.layer)


def reads_pictures(layer: Any) -> bool:
    """Whether a layer attends to the picture."""
    return bool(layer.has_cross_attention)


def embedded(
    qformer: Any, queries: Float[Tensor, "B Q D"], text_ids: Int[Tensor, "B L"] | None
) -> Float[Tensor, "B P D"]:
    """What the first layer takes: the queries, then the words of the question where this Q-Former reads words."""
    if hasattr(qformer, "embeddings"):
        return qformer.embeddings(input_ids=text_ids, query_embeds=queries)
    return qformer.dropout(qformer.layernorm(queries.to(qformer.layernorm.weight.dtype)))


def projected(attention: Any, states: Float[Tensor, "B K C"]) -> KeysValues:
    """Keys and values of these states for one attention block."""
    return attention.attention.key(states), attention.attention.value(states)


def attended(
    attention: Any, hidden: Float[Tensor, "B P D"], given: KeysValues, *, visible: Bool[Tensor, "B K"] | None = None
) -> Float[Tensor, "B P D"]:
    """One attention block with its output layer and residual: `hidden` looks at the given keys and values."""
    inner = attention.attention
    q, k, v = (_heads(part, inner.num_attention_heads) for part in (inner.query(hidden), *given))
    rate = getattr(inner, "attention_dropout", None)
    rate = inner.dropout.p if rate is None else rate
    mask = None if visible is None else visible[:, None, None]
    seen = F.scaled_dot_product_attention(q, k, v, mask, dropout_p=rate if inner.training else 0.0)
    return attention.output(seen.transpose(1, 2).flatten(2), hidden)


def finished(layer: Any, hidden: Float[Tensor, "B P D"], queries: int) -> Float[Tensor, "B P D"]:
    """The feed-forward part of a layer: queries by their own weights, words by theirs."""
    own = layer.feed_forward_chunk_query(hidden[:, :queries])
    if hidden.shape[1] == queries:
        return own
    return _cat(own, layer.feed_forward_chunk(hidden[:, queries:]))


def looked(layer: Any, hidden: Float[Tensor, "B P D"], queries: int, *, picture: KeysValues) -> Float[Tensor, "B P D"]:
    """The cross-attention of a layer: the queries look at the picture, the words stay."""
    own = attended(layer.crossattention, hidden[:, :queries], picture)
    return _cat(own, hidden[:, queries:])


def _heads(states: Float[Tensor, "B K D"], count: int) -> Float[Tensor, "B heads K D2"]:
    return states.unflatten(-1, (count, -1)).transpose(1, 2)


def _cat(queries: Tensor, words: Tensor) -> Tensor:
    return torch.cat([queries, words], 1)
