"""The network of UniVTG: clips and words in, a score and two offsets a clip out; parameters named as in the releases.

Source: Lin et al., "UniVTG: Towards Unified Video-Language Temporal Grounding", ICCV 2023; names as in
github.com/showlab/UniVTG (MIT) at 7c46c7d. Differs: dropout is left out, as this runs trained weights alone.
"""

import math
from itertools import pairwise
from typing import Any

from videre import compat

compat.need_hf()

import torch  # noqa: E402
from jaxtyping import Float  # noqa: E402
from torch import Tensor, nn  # noqa: E402

HEADS = 8


class Project(nn.Module):
    """A layer norm, then a linear map, then perhaps ReLU."""

    def __init__(self, wide: int, to: int, *, relu: bool) -> None:
        super().__init__()
        self.LayerNorm = nn.LayerNorm(wide)
        self.net = nn.Sequential(nn.Identity(), nn.Linear(wide, to))
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """`[B, L, wide]` to `[B, L, to]`."""
        x = self.net(self.LayerNorm(x))
        return x.relu() if self.relu else x


class Head(nn.Module):
    """Convolutions of width 3 along the clips, ReLU between them."""

    def __init__(self, width: int, to: int) -> None:
        super().__init__()
        sizes = [width, width, width, to]
        self.layers = nn.ModuleList(nn.Conv1d(a, b, 3, padding=1) for a, b in pairwise(sizes))

    def forward(self, x: Tensor) -> Tensor:
        """`[B, L, width]` to `[B, L, to]`."""
        x = x.transpose(1, 2)
        for layer in self.layers[:-1]:
            x = layer(x).relu()
        return self.layers[-1](x).transpose(1, 2)


class Layer(nn.Module):
    """A post-norm encoder layer whose queries and keys carry positions, its values none."""

    def __init__(self, width: int, inner: int, heads: int) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(width, heads)
        self.linear1, self.linear2 = nn.Linear(width, inner), nn.Linear(inner, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor, places: Tensor) -> Tensor:
        """`[L, B, width]` to the same."""
        at = x + places
        x = self.norm1(x + self.self_attn(at, at, x, need_weights=False)[0])
        return self.norm2(x + self.linear2(nn.functional.gelu(self.linear1(x))))


def _projections(wide: int, to: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(Project(to if i else wide, to, relu=i < count - 1) for i in range(count)))


class UniVTG(nn.Module):
    """The network: clips and words in, a score and two offsets a clip out.

    Args:
        video: width of a clip's features, its two time features included.
        text: width of a word's features.
        width: of the encoder.
        layers: of the encoder.
        inner: width inside a layer.
        projections: layers of each input projection.
        words: positions that the (unused) table of word positions holds.
        heads: of attention.
    """

    def __init__(
        self,
        *,
        video: int = 514,
        text: int = 512,
        width: int = 1024,
        layers: int = 4,
        inner: int = 1024,
        projections: int = 2,
        words: int = 75,
        heads: int = HEADS,
    ) -> None:
        super().__init__()
        self.transformer: Any = nn.Module()
        self.transformer.encoder = nn.Module()
        self.transformer.encoder.layers = nn.ModuleList(Layer(width, inner, heads) for _ in range(layers))
        self.txt_position_embed = nn.Module()
        self.txt_position_embed.position_embeddings = nn.Embedding(words, width)
        self.txt_position_embed.LayerNorm = nn.LayerNorm(width)
        self.token_type_embeddings = nn.Embedding(2, width)
        self.span_embed, self.class_embed = Head(width, 2), Head(width, 1)
        self.input_txt_proj = _projections(text, width, projections)
        self.input_vid_proj = _projections(video, width, projections)
        self.weightedpool = nn.Module()
        self.weightedpool.weight = nn.Parameter(torch.empty(width, 1))
        nn.init.xavier_uniform_(self.weightedpool.weight)

    def forward(
        self, clips: Float[Tensor, "L V"], words: Float[Tensor, "N W"]
    ) -> tuple[Float[Tensor, " L"], Float[Tensor, "L 2"]]:
        """Foreground score of each clip in (0, 1), and its offsets to start (below 0) and end, in shares."""
        seen = self.input_vid_proj(clips[None]) + self.token_type_embeddings.weight[1]
        read = self.input_txt_proj(words[None]) + self.token_type_embeddings.weight[0]
        x = torch.cat([seen, read], 1).transpose(0, 1)
        places = torch.cat([sines(len(clips), seen.shape[-1]).to(x), torch.zeros_like(read[0])])[:, None]
        for layer in self.transformer.encoder.layers:
            x = layer(x, places)
        memory = x.transpose(0, 1)[:, : len(clips)]
        offsets = self.span_embed(memory).sigmoid() * torch.tensor([-1.0, 1.0], device=x.device)
        return self.class_embed(memory).sigmoid()[0, :, 0], offsets[0]


def sines(count: int, width: int) -> Float[Tensor, "L D"]:
    """Positions 1 to `count`, scaled to a full turn, as sines and cosines."""
    place = torch.arange(1, count + 1, dtype=torch.float32) / (count + 1e-6) * (2 * math.pi)
    rate = 10000 ** (2 * (torch.arange(width) // 2) / width)
    turns = place[:, None] / rate
    return torch.stack([turns[:, 0::2].sin(), turns[:, 1::2].cos()], 2).flatten(1)
