"""Asymmetric masking: the tower sees every token, the branch only those that are kept."""

from typing import Literal

from jaxtyping import Bool, Float, Int

from videre import compat

compat.need_hf()

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

Layout = Literal["tube", "official"]
"""`tube` drops the same patches in every frame. `official` draws tubes too, but flattens them frame by frame while the
branch's tokens lie patch by patch, so that scattered tokens are dropped, and MBTA's pairs lie elsewhere: for parity."""


def kept_tokens(
    batch: int,
    *,
    patches: int,
    frames: int,
    ratio: float,
    layout: Layout = "tube",
    generator: torch.Generator | None = None,
) -> Int[Tensor, "B K"]:
    """Flat places of the tokens that the branch keeps, ascending; K = frames * (patches - int(ratio * patches)).

    Args:
        batch: videos, each with a draw of its own.
        patches: patches a frame.
        frames: frames a video.
        ratio: share that is dropped, in [0, 1).
        layout: see `Layout`.
        generator: of the draw.
    """
    if not 0.0 <= ratio < 1.0:
        raise ValueError(f"the masked share is in [0, 1), got {ratio}")
    order = torch.rand(batch, patches, generator=generator).argsort(1)
    chosen = order[:, : patches - int(ratio * patches)].sort(1).values
    if layout == "tube":
        return (chosen[:, :, None] * frames + torch.arange(frames)).flatten(1)
    return (chosen[:, None] + torch.arange(frames)[:, None] * patches).flatten(1)


def from_dropped(dropped: Bool[Tensor, "B N"]) -> Int[Tensor, "B K"]:
    """The places that a mask of dropped tokens keeps."""
    return (~dropped).nonzero()[:, 1].view(dropped.shape[0], -1)


def take(tokens: Float[Tensor, "B N D"], kept: Int[Tensor, "B K"] | None) -> Float[Tensor, "B K D"]:
    """The tokens at these places; all of them for None."""
    if kept is None:
        return tokens
    return tokens.gather(1, kept.to(tokens.device)[:, :, None].expand(-1, -1, tokens.shape[-1]))


def patch_major(tokens: Float[Tensor, "B T L D"]) -> Float[Tensor, "B N D"]:
    """Tokens as the branch holds them: patch by patch, the frame fastest."""
    return tokens.transpose(1, 2).flatten(1, 2)


def targets(tokens: Float[Tensor, "B T L D"], kept: Int[Tensor, "B K"] | None, layout: Layout) -> Tensor:
    """The tower's tokens `[B, K, D]` to compare the kept ones with: the same ones, or those the official code takes."""
    return take(patch_major(tokens) if layout == "tube" else tokens.flatten(1, 2), kept)
