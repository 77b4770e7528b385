"""When a frame was: one learned vector a time step, added to all its tokens.

A slot that holds several frames carries the mean of their vectors. The vectors of all slots can be read off the table
at any time, from where the frames of a slot lie and how many they are, so that all of them learn. Frames past the end
of the table take its last vector: no length is an error.

Differs: the released code stops with an index error after 120 frames, and trains the vector of the last frame alone.
"""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def place(tokens: Float[Tensor, "B N C"], table: Float[Tensor, "T C"], frame: int) -> Float[Tensor, "B N C"]:
    """The tokens of a frame with the vector of its time."""
    return tokens + table[min(frame, len(table) - 1)]


def of_slots(
    table: Float[Tensor, "T C"], times: Float[Tensor, "B M N"], sizes: Float[Tensor, "B M N"]
) -> Float[Tensor, "B M N C"]:
    """The mean vector of the frames of each slot, which are taken for a run of `sizes` frames around `times`.

    That is what they are under every way to reduce a bank but `tome`, which joins far frames, and up to the weights
    under `compress_plainly`.
    """
    sums = F.pad(table.double().cumsum(0), (0, 0, 1, 0))
    start = (times - (sizes - 1) / 2).round().long()
    stop = start + sizes.long()
    return ((_sum_before(sums, table, stop) - _sum_before(sums, table, start)) / sizes[..., None]).to(table.dtype)


def _sum_before(sums: Float[Tensor, "T1 C"], table: Float[Tensor, "T C"], frame: Tensor) -> Float[Tensor, "B M N C"]:
    """The sum of the vectors of all frames before this one; past the table, its last vector over and over."""
    over = (frame - len(table)).clamp(min=0)
    return sums[frame.clamp(max=len(table))] + over[..., None] * table[-1].double()
