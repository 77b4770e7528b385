"""The two halves of a branch layer: attention over time, then attention over the patches of each frame."""

import copy
from typing import Any

from jaxtyping import Float

from videre import compat

compat.need_hf()

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402


class Temporal(nn.Module):
    """Each patch attends to itself in all frames: `P + fc(drop(attention(norm(P))))`, with `fc` zero at first.

    Args:
        like: the tower's layer whose sizes it takes; its weights are not copied.
        drop: rate of DropPath while training.

    Source: spec of BT-Adapter's T-layer; MLP-free, without mask, the time table enters once, at the branch's entry.
    """

    def __init__(self, like: Any, drop: float) -> None:
        super().__init__()
        width = like.layer_norm1.normalized_shape[0]
        self.layer_norm1 = nn.LayerNorm(width, eps=like.layer_norm1.eps)
        self.self_attn = type(like.self_attn)(like.self_attn.config)
        self.temporal_fc = nn.Linear(width, width)
        nn.init.zeros_(self.temporal_fc.weight)
        nn.init.zeros_(self.temporal_fc.bias)
        self.drop = drop

    def forward(self, patches: Float[Tensor, "B K D"], frames: int) -> Float[Tensor, "B K D"]:
        """Tokens in, tokens out; patch-major, the frame fastest."""
        rows = patches.reshape(-1, frames, patches.shape[-1])
        found = drop_path(self.self_attn(self.layer_norm1(rows))[0], self.drop, self.training)
        return patches + self.temporal_fc(found).view_as(patches)


class Spatial(nn.Module):
    """A copy of a tower's layer, per frame, with one CLS for the whole video.

    Args:
        like: the layer to copy.
        drop: rate of DropPath while training.

    Differs: EVA's official block drops its whole output once more while training; ours does not.
    """

    def __init__(self, like: Any, drop: float) -> None:
        super().__init__()
        self.self_attn = copy.deepcopy(like.self_attn)
        self.layer_norm1 = copy.deepcopy(like.layer_norm1)
        self.mlp = copy.deepcopy(like.mlp)
        self.layer_norm2 = copy.deepcopy(like.layer_norm2)
        self.drop = drop

    def forward(
        self, cls: Float[Tensor, "B 1 D"], patches: Float[Tensor, "B K D"], frames: int
    ) -> tuple[Float[Tensor, "B 1 D"], Float[Tensor, "B K D"]]:
        """CLS and tokens in, CLS and tokens out."""
        shape = (patches.shape[0], -1, frames, patches.shape[-1])
        rows = patches.reshape(shape).transpose(1, 2).flatten(0, 1)
        found = self._attended(torch.cat([cls.repeat_interleave(frames, 0), rows], 1))
        cls = cls + found[:, :1].unflatten(0, (-1, frames)).mean(1)
        moved = found[:, 1:].unflatten(0, (-1, frames)).transpose(1, 2).reshape(patches.shape)
        return self._mixed(torch.cat([cls, patches + moved], 1))

    def joint(
        self, cls: Float[Tensor, "B 1 D"], patches: Float[Tensor, "B K D"]
    ) -> tuple[Float[Tensor, "B 1 D"], Float[Tensor, "B K D"]]:
        """The same weights with every token of every frame attending to all of them."""
        tokens = torch.cat([cls, patches], 1)
        return self._mixed(tokens + self._attended(tokens))

    def _attended(self, rows: Float[Tensor, "N S D"]) -> Float[Tensor, "N S D"]:
        return drop_path(self.self_attn(self.layer_norm1(rows))[0], self.drop, self.training)

    def _mixed(self, tokens: Float[Tensor, "B N D"]) -> tuple[Float[Tensor, "B 1 D"], Float[Tensor, "B K D"]]:
        tokens = tokens + self.mlp(self.layer_norm2(tokens))
        return tokens[:, :1], tokens[:, 1:]


def drop_path(rows: Tensor, rate: float, training: bool) -> Tensor:
    """Rows (axis 0) set to zero at a rate, the others made larger to keep the mean; unchanged outside of training."""
    if not training or rate == 0.0:
        return rows
    kept = torch.rand(rows.shape[0], *[1] * (rows.dim() - 1), device=rows.device) >= rate
    return rows * kept / (1.0 - rate)
