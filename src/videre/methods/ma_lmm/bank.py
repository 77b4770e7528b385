"""A memory bank as a value: slots in time order, each with how many frames it holds; and seven ways to keep it short.

Axes: `B` batch, `M` slots, `N` tokens a frame, `C` width. Every token has its own history: one slot may hold frames 3-5
for one token and 3-9 for its neighbour. Nothing is changed in place.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, eq=False)
class Bank:
    """What is remembered of the frames seen so far.

    Attributes:
        values: one vector a slot and token.
        sizes: how many frames were merged into it.
        times: mean index of these frames, counted from the first frame seen.
        cached: anything affine in the values (projected keys, values), kept in step with them `[B, M, N, *]`.
        alike: how alike each slot and the next one are, where that is known, so that it need not be asked again.
    """

    values: Float[Tensor, "B M N C"]
    sizes: Float[Tensor, "B M N"]
    times: Float[Tensor, "B M N"]
    cached: tuple[Tensor, ...] = ()
    alike: Float[Tensor, "B K N"] | None = None

    def __len__(self) -> int:
        return self.values.shape[1]

    @property
    def flat(self) -> Float[Tensor, "B K C"]:
        """All slots as one row of tokens, oldest first."""
        return self.values.flatten(1, 2)

    @property
    def bytes(self) -> int:
        """What it takes in memory."""
        parts = (self.values, self.sizes, self.times, *self.cached, *([] if self.alike is None else [self.alike]))
        return sum(part.numel() * part.element_size() for part in parts)


Reduce = Callable[[Bank], Bank]
"""Makes a bank that is over its limit shorter. A new one is a function of this shape."""


def single(
    frame: Float[Tensor, "B N C"], time: float = 0.0, *, cached: tuple[Float[Tensor, "B N D"], ...] = ()
) -> Bank:
    """A bank of one frame. Sizes and times are float32, or float64 where the frame is."""
    kind = torch.float64 if frame.dtype == torch.float64 else torch.float32
    sizes = torch.ones(frame.shape[:2], dtype=kind, device=frame.device)[:, None]
    times, alike = torch.full_like(sizes, time), frame.new_zeros(sizes[:, :0].shape)
    return Bank(frame[:, None], sizes, times, tuple(part[:, None] for part in cached), alike)


def joined(bank: Bank | None, newest: Bank) -> Bank:
    """Both banks, one after the other."""
    if bank is None:
        return newest
    return Bank(
        torch.cat([bank.values, newest.values], 1),
        torch.cat([bank.sizes, newest.sizes], 1),
        torch.cat([bank.times, newest.times], 1),
        tuple(torch.cat(pair, 1) for pair in zip(bank.cached, newest.cached, strict=True)),
        _alike_joined(bank, newest),
    )


def compress(bank: Bank) -> Bank:
    """One slot fewer: for each token, the two neighbours in time that are most alike become their mean by size.

    The first of equal pairs is taken. Sum of `sizes * values` over the slots stays what it was.

    Source: MA-LMM section 3.2; official `memory_bank_compress`, commit ffe9fa9.
    """
    return _merged(bank, weights=bank.sizes)


def compress_plainly(bank: Bank) -> Bank:
    """As `compress`, by the plain mean of both, as the paper's formula has it.

    Differs: the released code weighs by size; the two part once a merged slot merges again.
    """
    return _merged(bank, weights=torch.ones_like(bank.sizes))


def concatenate(bank: Bank) -> Bank:
    """The bank as it is: everything is kept, memory grows with the video."""
    return bank


def pool(bank: Bank) -> Bank:
    """One slot: the mean of all frames."""
    while len(bank) > 1:
        zero = torch.zeros_like(bank.sizes[:, 0], dtype=torch.long)
        bank = _fold(bank, zero, zero + 1, weights=bank.sizes)
    return bank


def fifo(bank: Bank) -> Bank:
    """Without its oldest slot."""
    return _drop(bank, torch.zeros_like(bank.sizes[:, 0], dtype=torch.long))


def tome(bank: Bank) -> Bank:
    """One slot fewer: the most alike pair of an even and an odd slot, near or far, becomes its mean by size.

    Source: token merging (arXiv 2210.09461) along time, one pair a call. Where far slots meet, order is lost.
    """
    unit = F.normalize(bank.values, dim=-1)
    alike = torch.einsum("binc,bjnc->bnij", unit[:, ::2], unit[:, 1::2])
    best = alike.flatten(2).argmax(-1)
    even, odd = 2 * (best // alike.shape[-1]), 2 * (best % alike.shape[-1]) + 1
    return _fold(bank, torch.minimum(even, odd), torch.maximum(even, odd), weights=bank.sizes)


def uniform(bank: Bank) -> Bank:
    """Without the oldest slot on the finest grid: frames 0, 8, 16 ... outlive 4, 12 ..., these outlive 2, 6, 10 ...

    What is kept is evenly spread, its spacing doubling as the video goes on. Made for banks that nothing was merged in.
    """
    index = bank.times.long()
    grid = torch.where(index == 0, torch.iinfo(index.dtype).max, index & -index)
    return _drop(bank, grid.argmin(1))


def push(
    bank: Bank | None,
    frame: Float[Tensor, "B N C"],
    limit: int,
    *,
    time: float = 0.0,
    cached: tuple[Float[Tensor, "B N D"], ...] = (),
    reduce: Reduce = compress,
) -> Bank:
    """The bank with one more frame, reduced once where it is longer than the limit.

    Args:
        bank: what was remembered; None before the first frame.
        frame: what to remember.
        limit: most slots, 1 or more. It may change from call to call: a bank over a lower
            limit is reduced until it fits.
        time: index of the frame.
        cached: what is affine in the frame and shall be kept with it.
        reduce: how to make it shorter.
    """
    return shortened(joined(bank, single(frame, time, cached=cached)), limit, reduce=reduce)


def shortened(bank: Bank, limit: int, *, reduce: Reduce = compress) -> Bank:
    """The bank, reduced until it is within its limit; once, where it was within it before the newest frame."""
    if limit < 1:
        raise ValueError(f"a bank has a limit of 1 slot or more, got {limit}")
    while len(bank) > limit:
        shorter = reduce(bank)
        if len(shorter) == len(bank):
            break
        bank = shorter
    return bank


def detached(bank: Bank) -> Bank:
    """The bank cut off from gradients."""
    parts = tuple(part.detach() for part in bank.cached)
    return Bank(bank.values.detach(), bank.sizes, bank.times, parts, bank.alike)


def _merged(bank: Bank, *, weights: Float[Tensor, "B M N"]) -> Bank:
    """For each token, its two most alike neighbours as one; what is known of the others is kept."""
    alike = _likeness(bank.values[:, :-1], bank.values[:, 1:]) if bank.alike is None else bank.alike
    first = alike.argmax(1)
    shorter = _fold(bank, first, first + 1, weights=weights)
    return replace(shorter, alike=_alike_after(alike, shorter.values, first))


def _likeness(one: Float[Tensor, "B K N C"], other: Float[Tensor, "B K N C"]) -> Float[Tensor, "B K N"]:
    with torch.no_grad():
        return F.cosine_similarity(one, other, dim=-1)


def _alike_joined(bank: Bank, newest: Bank) -> Tensor | None:
    if bank.alike is None or newest.alike is None:
        return None
    seam = _likeness(bank.values[:, -1:], newest.values[:, :1])
    return torch.cat([bank.alike, seam, newest.alike], 1)


def _alike_after(alike: Tensor, values: Tensor, merged: Int[Tensor, "B N"]) -> Tensor:
    """The likeness of all neighbours, once slot `merged` holds two: only its own two pairs are asked again."""
    if values.shape[1] == 1:
        return alike[:, :0]
    left = _left(alike, _rows(merged, alike.shape[1]))
    for pair in (merged - 1, merged):
        pair = pair.clamp(0, values.shape[1] - 2)  # At an end the pair beside it, whose answer is the same again.
        left = _put(left, pair, _likeness(_at(values, pair), _at(values, pair + 1)))
    return left


def _rows(gone: Int[Tensor, "B N"], count: int) -> Int[Tensor, " R"]:
    """Which of the `B * count * N` rows are left, the slots after the one that goes moved up by one."""
    batch, tokens = gone.shape
    slots = torch.arange(count - 1, device=gone.device)[None, :, None]
    slots = slots + (slots >= gone[:, None]) + count * torch.arange(batch, device=gone.device)[:, None, None]
    return (slots * tokens + torch.arange(tokens, device=gone.device)).flatten()


def _left(part: Tensor, rows: Int[Tensor, " R"]) -> Tensor:
    """All slots but the one that goes, copied row by row."""
    shape = (part.shape[0], part.shape[1] - 1, *part.shape[2:])
    return part.flatten(0, 2).index_select(0, rows).view(shape)


def _at(part: Tensor, slot: Int[Tensor, "B N"]) -> Tensor:
    """One slot a token, `[B, 1, N]` or `[B, 1, N, C]`."""
    batch, token = torch.arange(len(part), device=slot.device)[:, None], torch.arange(part.shape[2], device=slot.device)
    return part[batch, slot, token][:, None]


def _drop(bank: Bank, gone: Int[Tensor, "B N"]) -> Bank:
    rows = _rows(gone, len(bank))
    parts = tuple(_left(part, rows) for part in bank.cached)
    return Bank(_left(bank.values, rows), _left(bank.sizes, rows), _left(bank.times, rows), parts)


def _fold(bank: Bank, into: Int[Tensor, "B N"], gone: Int[Tensor, "B N"], *, weights: Float[Tensor, "B M N"]) -> Bank:
    """The slot `gone` merged into the earlier slot `into`, the others as they were."""
    rows = _rows(gone, len(bank))
    a, b = _at(weights, into), _at(weights, gone)

    def mean(part: Tensor) -> Tensor:
        share = (a, b) if part.ndim == 3 else (a[..., None], b[..., None])
        merged = (share[0] * _at(part, into) + share[1] * _at(part, gone)) / (share[0] + share[1])
        return _put(_left(part, rows), into, merged.to(part.dtype))

    both = _at(bank.sizes, into) + _at(bank.sizes, gone)
    sizes = _put(_left(bank.sizes, rows), into, both)
    return Bank(mean(bank.values), sizes, mean(bank.times), tuple(mean(part) for part in bank.cached))


def _put(part: Tensor, slot: Int[Tensor, "B N"], value: Tensor) -> Tensor:
    """The part, with one slot a token replaced; it was made a moment ago and is nobody else's, so in place."""
    batch, token = torch.arange(len(part), device=slot.device)[:, None], torch.arange(part.shape[2], device=slot.device)
    part[batch, slot, token] = value[:, 0]
    return part
