"""How the score query's language model begins: able to carry what it attends to, and to tell from where.

A pre-trained language model can do both; ours has read nothing, and from plain random weights it takes thousands of
steps before a score tells any frame from another. So it begins as follows, and is then trained like all else:

- places are orthogonal vectors; words, score query and what is seen are about as long, so that none drowns another;
- what a head attends to is copied as it is: output times value is the identity, its parts dealt out to the heads;
- in the first two blocks one head prefers what is latest, whatever stands there;
- the head of scores reads, for each frame, that frame's place.

Nothing of it knows a word, a shape, a badge or which frames matter. Source of the idea: Trockman and Kolter, "Mimetic
initialization of self-attention layers" (2023). Ours: the last two, and the places.
"""

from typing import Any

import torch
from torch import nn

SPREAD = 0.125
"""Standard deviation of all other new weights: one over the root of the width."""
PLACE, CONTENT, SEEN = 4.0, 3.0, 2.0
"""Norms of places and of words; how many times the projector's last weights are enlarged."""
SLOPE = 0.3
"""How much one frame later adds to the scores of the head that prefers the latest."""
LATE_HEAD, LATE_BLOCKS = 3, 2
RARE = -2.2
"""Where every score begins: a tenth of all frames help."""


@torch.no_grad()
def begun(model: Any) -> Any:
    """The same frame selector of the layout `query` over a fresh GPT-2, started as above."""
    blocks, places = model.llm.transformer.h, model.llm.transformer.wpe.weight
    _lengths(model, places)
    for block in blocks:
        _copies(block.attn)
    _reads_places(model.head, _ways(places)[: model.config.n])
    for block in blocks[:LATE_BLOCKS]:
        _prefers_late(block.attn.c_attn, _ways(places), len(places[0]) // model.config.text_config.n_head)
    return model


def _lengths(model: Any, places: torch.Tensor) -> None:
    nn.init.orthogonal_(places)
    for vectors, length in (
        (places, PLACE),
        (model.llm.get_input_embeddings().weight, CONTENT),
        (model.query, CONTENT),
    ):
        vectors.mul_(length / vectors.norm(dim=1, keepdim=True))
    model.projector[2].weight.mul_(SEEN)


def _ways(places: torch.Tensor) -> torch.Tensor:
    return places / places.norm(dim=1, keepdim=True)


def _copies(attention: Any) -> None:
    width = len(attention.c_proj.weight)
    values = nn.init.orthogonal_(torch.empty(width, width))
    attention.c_attn.weight[:, 2 * width :] = values
    attention.c_proj.weight.copy_(values.T)


def _reads_places(head: nn.Sequential, ways: torch.Tensor) -> None:
    """One hidden unit a frame looks along that frame's place and feeds its score; the rest begin small."""
    first, last, count = head[1], head[3], torch.arange(len(ways))
    first.weight[: len(ways)] = ways - ways.mean(0)
    last.weight.mul_(0.1)
    last.weight[count, count] = 1.0
    last.bias.fill_(RARE)


def _prefers_late(read: Any, ways: torch.Tensor, size: int) -> None:
    """Its query is a bias, its key grows with the place, by `SLOPE` a place in what the softmax takes."""
    width, at = ways.shape[1], LATE_HEAD * size
    strength = PLACE / (PLACE**2 + CONTENT**2) ** 0.5 * width**0.5  # Of a place once the block has normalised it.
    steps = torch.arange(len(ways)) - len(ways) / 2
    read.weight[:, at], read.bias[at] = 0.0, 2.0
    read.weight[:, width + at] = (steps[:, None] * ways).sum(0) * SLOPE * size**0.5 / (2.0 * strength)
