"""When a reply was seen: which stretch of the remembered video it rests on.

Every entry of the visual bank, one token of one slot, is the mean of a run of frames. A reply rests on a run where it
becomes less likely once the entries that hold these frames are taken for the average of what their token remembers, as
if nothing had happened then. A gradient points out the entries for which that is likely; the run of each is then tried.

Not from the paper, which shows no evidence.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from videre.methods.ma_lmm.bank import Bank
from videre.methods.ma_lmm.memory import State, step

if TYPE_CHECKING:
    from videre.methods.ma_lmm.model import MALMM


@dataclass(frozen=True)
class Run:
    """Frames that were merged into one entry of the bank, or more.

    Attributes:
        first: index of the first of them.
        last: index of the last.
        loss: by how much the reply's log-probability falls without what they showed.
    """

    first: int
    last: int
    loss: float


def runs(
    model: "MALMM", before: State, frame: Tensor, text: str, reply: str, *, most: int = 3, tried: int = 12
) -> tuple[Run, ...]:
    """The runs of frames that a reply rests on most, the strongest first.

    Args:
        model: the model that replied.
        before: the memory as the last frame came.
        frame: that last frame, after the vision norm `[1, N, C]`.
        text: what was asked.
        reply: what was said.
        most: most runs.
        tried: how many runs to try; each costs one look at the last frame and one reading of the reply.
    """
    if before.visual is None or not reply.strip():
        return ()
    bare = replace(before, visual=_bare(before.visual), queries=tuple(b and _bare(b) for b in before.queries))
    bank = bare.visual
    assert bank is not None  # noqa: S101  (it was there above)
    values = bank.values.detach().requires_grad_()
    average = (bank.values * bank.sizes[..., None]).sum(1, keepdim=True) / bank.sizes.sum(1, keepdim=True)[..., None]
    with torch.enable_grad():
        loss = _loss(model, _with(bare, values), frame, text, reply)
        (slope,) = torch.autograd.grad(loss, values)
    expected = (slope * (average - values)).sum(-1)[0].flatten()
    likely = [divmod(int(i), bank.values.shape[2]) for i in expected.topk(min(tried, len(expected))).indices]
    first, last = _ends(bank)
    found = []
    for stretch in dict.fromkeys((int(first[entry]), int(last[entry])) for entry in likely):
        changed = torch.where(_within(first, last, stretch)[None, ..., None], average, values.detach())
        with torch.no_grad():
            without = _loss(model, _with(bare, changed), frame, text, reply)
        found.append(Run(*stretch, float(without - loss.detach())))
    found.sort(key=lambda run: -run.loss)
    return tuple(run for run in found[:most] if run.loss > 0)


def _ends(bank: Bank) -> tuple[Tensor, Tensor]:
    """Indices of the first and last frame of each entry `[M, N]`."""
    half = (bank.sizes[0] - 1) / 2
    return (bank.times[0] - half).round().long(), (bank.times[0] + half).round().long()


def _within(first: Tensor, last: Tensor, stretch: tuple[int, int]) -> Tensor:
    """The entries that hold much the same frames as a stretch: over half of theirs together are shared `[M, N]`."""
    shared = torch.minimum(last, torch.tensor(stretch[1])) - torch.maximum(first, torch.tensor(stretch[0])) + 1
    together = (last - first + 1) + (stretch[1] - stretch[0] + 1) - shared
    return shared.clamp(min=0) > 0.5 * together


def _bare(bank: Bank) -> Bank:
    """Without projected keys and values, which are made again from the values."""
    return Bank(bank.values, bank.sizes, bank.times)


def _with(state: State, values: Tensor) -> State:
    assert state.visual is not None  # noqa: S101
    return replace(state, visual=Bank(values, state.visual.sizes, state.visual.times))


def _loss(model: "MALMM", state: State, frame: Tensor, text: str, reply: str) -> Tensor:
    """Minus the log-probability of the reply."""
    memory = replace(model.settings.memory, cached=False, query=model.settings.memory.query if state.queries else 0)
    seen, _ = step(model.parts, state, frame, words=model.words(text), memory=memory)
    return model.voice.losses(model.voice.prompt(model.projected(seen), text), reply).sum()
