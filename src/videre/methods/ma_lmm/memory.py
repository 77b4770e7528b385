"""The memory Q-Former: one frame and a state in, what the queries saw and the next state out.

A Q-Former of transformers is run once a frame. Its cross-attention reads the frames remembered so far (the visual
bank), each self-attention what its own layer took in at earlier frames (a query bank a layer). All memory is in the
state, a value; nothing is kept on modules, so two videos, two questions or two threads never meet.

Axes: `B` batch, `T` frames, `N` tokens a frame, `C` their width, `Q` queries, `L` text tokens, `P = Q + L`, `D` width.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from videre.methods.ma_lmm.bank import Bank, Reduce, compress, detached, joined, shortened, single
from videre.methods.ma_lmm.positions import of_slots, place
from videre.models import qformer as ground
from videre.models.qformer import KeysValues


@dataclass(frozen=True)
class Memory:
    """How to remember. Every call may take another.

    Attributes:
        visual: most slots of the visual bank; 0 forgets all frames but the current one.
        query: most slots of each query bank; 0 for no query banks.
        positions: when the time of a frame is added to it: as it is written to the bank, as the released code does, or
            each time it is read, so that frames are compared without it and the vectors of all slots get gradients.
        cached: keep projected keys and values with each slot, merged as the slots are, instead of projecting all again.
        first: whether the first layer has a query bank. What it takes in is the same at every frame, so without dropout
            its bank changes no answer; without the bank, queries and word embeddings get gradients in full, where
            copies in the bank would take their share of it.
        reduce: how a bank over its limit is made shorter.
    """

    visual: int = 20
    query: int = 20
    positions: Literal["write", "read"] = "read"
    cached: bool = True
    first: bool = False
    reduce: Reduce = compress

    def __post_init__(self) -> None:
        if self.visual < 0 or self.query < 0:
            raise ValueError(f"a bank has 0 slots or more, got {self.visual=} {self.query=}")
        if self.positions not in ("write", "read"):
            raise ValueError(f'positions is "write" or "read", got {self.positions!r}')


OFFICIAL = Memory(positions="write", cached=False, first=True)
"""As the released code computes it."""


@dataclass(frozen=True, eq=False)
class Words:
    """A question in the Q-Former's own tokens, and which of them are words."""

    ids: Int[Tensor, "B L"]
    real: Bool[Tensor, "B L"]


@dataclass(frozen=True, eq=False)
class Parts:
    """The modules that a memory runs on. None of them is changed.

    Attributes:
        qformer: the Q-Former of an InstructBLIP or BLIP-2 model of transformers.
        queries: its learned queries `[1, Q, D]`.
        positions: one vector a time step `[T, C]`; None where the model has none, as plain InstructBLIP.
    """

    qformer: Any
    queries: Float[Tensor, "1 Q D"]
    positions: Float[Tensor, "T C"] | None = None


@dataclass(frozen=True, eq=False)
class State:
    """What is remembered between two frames.

    Attributes:
        visual: frames; None before the first one, and where nothing is remembered.
        queries: what each layer took in, first to last; empty before the first frame.
        frames: how many frames were seen.
    """

    visual: Bank | None = None
    queries: tuple[Bank | None, ...] = ()
    frames: int = 0

    @property
    def bytes(self) -> int:
        """What it takes in memory."""
        return sum(bank.bytes for bank in (self.visual, *self.queries) if bank is not None)


Seen = Float[Tensor, "B P D"]
"""The last layer at one frame: the queries, then the words."""


def step(
    parts: Parts,
    state: State,
    frame: Float[Tensor, "B N C"],
    *,
    words: Words | None,
    memory: Memory,
    learn: bool = False,
) -> tuple[Seen, State]:
    """What the queries (and words) made of a frame beside all that is remembered, and the memory with that frame in it.

    Args:
        parts: the modules.
        state: the memory before this frame; `State()` at the start of a video.
        frame: its tokens from the vision tower, after the last norm.
        words: the question; None for a Q-Former that reads none.
        memory: how to remember; one video keeps to one way of `positions` and `cached`, its limits may change.
        learn: project all that is remembered again although it is cached, so that gradients reach the projections.

    Source: MA-LMM sections 3.2 and 3.3; official `Blip2VicunaInstruct.generate` and `Qformer.py`, commit ffe9fa9.
    """
    count, layers = parts.queries.shape[1], ground.layers(parts.qformer)
    pictures, visual = _look(parts, state, frame, memory, learn)
    hidden = ground.embedded(parts.qformer, parts.queries.expand(len(frame), -1, -1), words.ids if words else None)
    visible = _visible(words, hidden) if words else None
    banks: list[Bank | None] = []
    for number, layer in enumerate(layers):
        bank = state.queries[number] if state.queries else None
        has_bank = memory.query > 0 and (number > 0 or memory.first)
        if has_bank:
            offered, bank = _recall(layer.attention, bank, hidden, memory, time=state.frames, learn=learn)
        else:
            offered, bank = ground.projected(layer.attention, hidden), None
        seen = None if visible is None else visible.repeat(1, offered[0].shape[1] // hidden.shape[1])
        hidden = ground.attended(layer.attention, hidden, offered, visible=seen)
        if ground.reads_pictures(layer):
            hidden = ground.looked(layer, hidden, count, picture=pictures[number])
        hidden = ground.finished(layer, hidden, count)
        banks.append(bank)
    return hidden, State(visual, tuple(banks), state.frames + 1)


def remembered(parts: Parts, state: State, frame: Float[Tensor, "B N C"], *, memory: Memory) -> State:
    """The memory with one more frame in its visual bank alone: the Q-Former is not run, so no question is needed."""
    return State(_look(parts, state, frame, memory, False)[1], (), state.frames + 1)


def watched(
    parts: Parts,
    frames: Iterable[Float[Tensor, "B N C"]],
    *,
    words: Words | None,
    memory: Memory,
    state: State | None = None,
) -> tuple[Seen, State]:
    """The last frame of a video seen with all before it in memory, and the memory after it.

    Gradients flow through the last frame alone. They are what the whole loop would give: what is remembered is cut off
    from them there as well.

    Raises:
        ValueError: there are no frames.
    """
    before, last = up_to_last(parts, frames, words=words, memory=memory, state=state)
    return step(parts, before, last, words=words, memory=memory, learn=torch.is_grad_enabled())


def up_to_last(
    parts: Parts,
    frames: Iterable[Float[Tensor, "B N C"]],
    *,
    words: Words | None,
    memory: Memory,
    state: State | None = None,
) -> tuple[State, Float[Tensor, "B N C"]]:
    """The memory as the last frame of a video comes, and that frame, which keeps its graph.

    Raises:
        ValueError: there are no frames.
    """
    now, last = state or State(), None
    for frame in frames:
        if last is not None:
            with torch.no_grad():
                now = step(parts, now, last, words=words, memory=memory)[1]
        last = frame
    if last is None:
        raise ValueError("no frames to watch")
    return now, last


def apart(parts: Parts, frames: Float[Tensor, "B T N C"], *, words: Words | None) -> Float[Tensor, "B K D"]:
    """The queries of each frame alone, without memory and positions, one frame after the other (`K = T Q`).

    Source: official `memory_bank_length = 0`.
    """
    nothing = Memory(visual=0, query=0)
    bare = replace(parts, positions=None)
    seen = [step(bare, State(), frame, words=words, memory=nothing)[0] for frame in frames.unbind(1)]
    return torch.cat([one[:, : parts.queries.shape[1]] for one in seen], 1)


def _look(
    parts: Parts, state: State, frame: Float[Tensor, "B N C"], memory: Memory, learn: bool
) -> tuple[dict[int, KeysValues], Bank | None]:
    """What each reading layer can attend to, by its number, and the visual bank with this frame in it."""
    table = parts.positions
    placed = frame if table is None else place(frame, table, state.frames)
    layers = enumerate(ground.layers(parts.qformer))
    readers = {number: layer.crossattention for number, layer in layers if ground.reads_pictures(layer)}
    pairs = [ground.projected(reader, placed) for reader in readers.values() if memory.cached]
    kept = placed if memory.positions == "write" else frame
    newest = single(kept, float(state.frames), cached=tuple(part for pair in pairs for part in pair))
    longer = joined(state.visual if memory.visual else None, newest)
    if memory.cached and not learn:
        flat = [part.flatten(1, 2) for part in longer.cached]
        offered = {number: (flat[2 * i], flat[2 * i + 1]) for i, number in enumerate(readers)}
    else:
        shown = _shown(longer, None if memory.positions == "write" else table)
        offered = {number: ground.projected(reader, shown) for number, reader in readers.items()}
    if memory.visual == 0:
        return offered, None
    return offered, shortened(detached(longer), memory.visual, reduce=memory.reduce)


def _shown(bank: Bank, table: Float[Tensor, "T C"] | None) -> Float[Tensor, "B K C"]:
    """All slots as tokens, each with the vector of its time where that is not in it yet."""
    return bank.flat if table is None else (bank.values + of_slots(table, bank.times, bank.sizes)).flatten(1, 2)


def _recall(
    attention: Any, bank: Bank | None, hidden: Float[Tensor, "B P D"], memory: Memory, *, time: int, learn: bool
) -> tuple[KeysValues, Bank | None]:
    """What a self-attention can attend to, and its bank with this frame in it."""
    own = ground.projected(attention, hidden) if memory.cached else ()
    longer = joined(bank, single(hidden, float(time), cached=own))
    if own and (bank is None or not learn):
        offered = longer.cached[0].flatten(1, 2), longer.cached[1].flatten(1, 2)
    else:
        offered = ground.projected(attention, longer.flat)
    return offered, shortened(detached(longer), memory.query, reduce=memory.reduce)


def _visible(words: Words, hidden: Float[Tensor, "B P D"]) -> Bool[Tensor, "B P"]:
    always = words.real.new_ones(len(words.real), hidden.shape[1] - words.real.shape[1])
    return torch.cat([always, words.real], 1)
