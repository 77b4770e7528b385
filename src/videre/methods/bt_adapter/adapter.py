"""A frozen network and its branch: videos in, vectors in the space shared with texts out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float, Int

from videre import compat

compat.need_hf()

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from videre.methods.bt_adapter.branch import Branch, BranchConfig, State  # noqa: E402
from videre.methods.bt_adapter.tower import Tower, tower_of  # noqa: E402


@dataclass(frozen=True)
class Seen:
    """A video after a layer: the tower's tokens `[B, T, S, D]`, and the branch's state once it has begun."""

    layer: int
    tokens: Tensor
    state: State | None


class Adapter(nn.Module):
    """A frozen network with a trained branch beside the last layers of its picture tower.

    The network gets no gradient and keeps none: it runs without autograd altogether, as the branch reads it and never
    writes into it. It stays in evaluation mode.

    Args:
        network: a `CLIPModel`, `SiglipModel`, or another that `tower_of` takes.
        config: of the branch; None for no branch at all: the mean of the frames.
    """

    def __init__(self, network: Any, config: BranchConfig | None = None) -> None:
        super().__init__()
        self.network = network.requires_grad_(False).eval()
        tower = tower_of(network)
        self.branch = Branch(tower, config).eval() if config else None

    @property
    def tower(self) -> Tower:
        """The picture side of the network."""
        return tower_of(self.network)

    def train(self, mode: bool = True) -> "Adapter":
        """Sets the branch alone: a frozen network has nothing to train."""
        super().train(mode)
        self.network.eval()
        return self

    def run(
        self,
        pixels: Float[Tensor, "B T 3 H W"],
        *,
        kept: Int[Tensor, "B K"] | None = None,
    ) -> Seen:
        """The video after the last layer. Axis 1 is time, axis 2 colour, whatever their sizes are.

        Args:
            pixels: as the network's processor prepares them.
            kept: places of the tokens that the branch keeps; None for all.
        """
        *_, last = layers(self.tower, self.branch, pixels=pixels, kept=kept)
        return last

    def frames(self, seen: Seen) -> Float[Tensor, "B T P"]:
        """A vector a frame, none of length one."""
        tower = self.tower
        summary = tower.summary(seen.tokens)
        if self.branch is not None and seen.state is not None:
            summary = self.branch.mixed(summary, _branch_summary(tower, seen))
        return tower.project(summary)

    def forward(
        self, pixels: Float[Tensor, "B T 3 H W"], *, kept: Int[Tensor, "B K"] | None = None
    ) -> Float[Tensor, "B P"]:
        """A vector a video: the mean over its frames, as it is, not of length one."""
        return self.frames(self.run(pixels, kept=kept)).mean(1)


def layers(
    tower: Tower,
    branch: Branch | None,
    *,
    pixels: Float[Tensor, "B T 3 H W"] | None = None,
    entering: Float[Tensor, "B T S D"] | None = None,
    kept: Int[Tensor, "B K"] | None = None,
    pairs: int = 1,
    group: int | None = None,
) -> Iterator[Seen]:
    """The video after each layer, one at a time: what nobody keeps is gone, layers that nobody asks for never run.

    Args:
        tower: the frozen tower.
        branch: None for the tower alone.
        pixels: frames, or instead of them
        entering: the stored tokens that enter the first layer with a branch beside it.
        kept: places of the tokens that the branch keeps.
        pairs: neighbouring frames whose tokens are averaged before the branch sees them; the last group may be short.
        group: see `Branch.step`.
    """
    depth = branch.config.depth if branch else 0
    first = len(tower.layers) - depth
    given = pixels if pixels is not None else entering
    if given is None:
        raise ValueError("give pixels or stored tokens")
    if pixels is not None:
        tokens, begin = tower.embed(pixels.flatten(0, 1)), 0
    else:
        tokens, begin = given.flatten(0, 1), first
    state, positions = None, tower.positions
    for number in range(begin, len(tower.layers)):
        tokens = tower.step(number, tokens)
        shaped = tokens.unflatten(0, given.shape[:2])
        if branch is not None and number >= first:
            seen = tower.split(paired(shaped, pairs))
            state = branch.step(number - first, state, seen, positions=positions, kept=kept, group=group)
        yield Seen(number, shaped, state)


def paired(tokens: Float[Tensor, "B T S D"], count: int) -> Float[Tensor, "B U S D"]:
    """Means of `count` neighbouring frames; what is left over at the end makes a group of its own."""
    if count == 1:
        return tokens
    return torch.stack([part.mean(1) for part in tokens.split(count, 1)], 1)


def _branch_summary(tower: Tower, seen: Seen) -> Tensor:
    """CLS `[B, 1, D]`; where the tower pools all tokens, what it makes of CLS and each frame's patches `[B, T, D]`."""
    state = seen.state
    assert state is not None  # noqa: S101 - asked by the caller
    if tower.pools is None:
        return state.cls
    frames = seen.tokens.shape[1]
    rows = state.patches.unflatten(1, (-1, frames)).transpose(1, 2)
    return tower.summary(torch.cat([state.cls[:, None].expand(-1, frames, -1, -1), rows], 2))
