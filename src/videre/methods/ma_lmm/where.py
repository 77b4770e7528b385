"""When a reply was seen: which stretch of the remembered video it rests on.

Every entry of the visual bank, one token of one slot, is the mean of a run of frames. An entry carries a reply where
the reply becomes less likely once the entry is taken for the average of what its token remembers, as if nothing had
happened there. A gradient points out the entries for which that is likely; each of these is then tried.

Not from the paper, which shows no evidence.
"""

from collections.abc import Sequence
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
    """Frames that were merged into one entry of the bank.

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
        tried: how many entries to try; each costs one look at the last frame and one reading of the reply.
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
    entries = [divmod(int(i), bank.values.shape[2]) for i in expected.topk(min(tried, len(expected))).indices]
    with torch.no_grad():
        losses = [_without(model, bare, values.detach(), average, entry, frame, text, reply) for entry in entries]
    risen = [value - float(loss.detach()) for value in losses]
    return _ranked(bank, entries, risen, most)


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


def _without(
    model: "MALMM", state: State, values: Tensor, average: Tensor, entry: tuple[int, int], *asked: Tensor | str
) -> float:
    slot, token = entry
    changed = values.clone()
    changed[:, slot, token] = average[:, 0, token]
    return float(_loss(model, _with(state, changed), *asked))  # type: ignore[arg-type]


def _ranked(bank: Bank, entries: Sequence[tuple[int, int]], risen: Sequence[float], most: int) -> tuple[Run, ...]:
    """One run for all entries that hold the same frames, with the loss of the strongest."""
    found: dict[tuple[int, int], float] = {}
    for (slot, token), loss in zip(entries, risen, strict=True):
        time, size = float(bank.times[0, slot, token]), float(bank.sizes[0, slot, token])
        ends = round(time - (size - 1) / 2), round(time + (size - 1) / 2)
        found[ends] = max(found.get(ends, 0.0), loss)
    strongest = sorted(found.items(), key=lambda pair: -pair[1])[:most]
    return tuple(Run(*ends, loss) for ends, loss in strongest if loss > 0)
