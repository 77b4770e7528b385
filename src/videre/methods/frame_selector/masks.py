"""Who sees whom in the two layouts of the frame selector, as what is added to the scores of attention."""

from jaxtyping import Float, Int

from videre import compat

compat.need_hf()

import torch  # noqa: E402
from torch import Tensor  # noqa: E402


def both_ways(seen: Tensor, dtype: torch.dtype) -> Float[Tensor, "B 1 S S"]:
    """A mask under which every position sees every real one, and filling sees itself, so that no row is empty."""
    return _added(seen[:, None, None, :] | torch.eye(seen.shape[1], dtype=torch.bool, device=seen.device), dtype)


def side_by_side(
    frames: int, count: int, length: int, like: Tensor
) -> tuple[Float[Tensor, "1 1 S S"], Int[Tensor, "1 S"]]:
    """Mask and places of frames and `count` questions after them, each as if it stood there alone."""
    asked = torch.arange(count, device=like.device).repeat_interleave(length)
    whose = torch.cat([asked.new_full((frames,), -1), asked])
    earlier = torch.ones(len(whose), len(whose), dtype=torch.bool, device=like.device).tril()
    allowed = earlier & ((whose[None] == -1) | (whose[None] == whose[:, None]))
    first, rest = torch.arange(frames, device=like.device), torch.arange(length, device=like.device) + frames
    return _added(allowed[None, None], like.dtype), torch.cat([first, rest.repeat(count)])[None]


def _added(allowed: Tensor, dtype: torch.dtype) -> Tensor:
    """A mask as what is added to the scores of attention."""
    return torch.zeros(allowed.shape, dtype=dtype, device=allowed.device).masked_fill(~allowed, torch.finfo(dtype).min)
