"""When a frame was: one learned vector a time step, read also between two steps and past the last one.

A merged slot lies at the mean time of its frames, so its vector lies between two rows. A video longer than the table is
drawn together so that its current frame lies at the last row: no length is an error.

Differs: the released code stops with an index error after 120 frames.
"""

from typing import overload

import torch
from jaxtyping import Float
from torch import Tensor


def at_times(table: Float[Tensor, "T C"], times: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape C"]:
    """The vectors at these times: rows, and straight lines between them; the last row past the end."""
    times = times.clamp(0, len(table) - 1)
    low = times.floor()
    share = (times - low).to(table.dtype)[..., None]
    first = low.long()
    second = (first + 1).clamp(max=len(table) - 1)
    return torch.lerp(table[first], table[second], share)


def place(tokens: Float[Tensor, "B N C"], table: Float[Tensor, "T C"], time: float) -> Float[Tensor, "B N C"]:
    """The tokens of a frame with the vector of its time; on a whole time step that is the row itself."""
    if float(time).is_integer():
        return tokens + table[min(int(time), len(table) - 1)]
    return tokens + at_times(table, torch.tensor(time, device=table.device))


@overload
def rescaled(times: float, now: float, rows: int) -> float: ...
@overload
def rescaled(times: Tensor, now: float, rows: int) -> Tensor: ...
def rescaled(times: float | Tensor, now: float, rows: int) -> float | Tensor:
    """Times drawn together so that the current one lies within a table of so many rows; as they are while it does."""
    return times if now <= rows - 1 else times * ((rows - 1) / now)
