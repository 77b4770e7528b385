"""The branch: one CLS a video and all patches of all frames, fed by the tower's last layers."""

from dataclasses import dataclass
from typing import Any, Literal

from jaxtyping import Float, Int

from videre import compat

compat.need_hf()

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from videre.methods.bt_adapter.blocks import Spatial, Temporal  # noqa: E402
from videre.methods.bt_adapter.mask import patch_major, take  # noqa: E402
from videre.methods.bt_adapter.tower import Tower  # noqa: E402

Design = Literal["branch", "no-interaction", "separate-st", "joint-st"]
"""`branch` is BT-Adapter. The others are its ablation: without the tower's states after the entry; the same alone, its
summary not mixed with the tower's (divided attention on top of the tower); and attention over all tokens at once."""


@dataclass(frozen=True)
class BranchConfig:
    """How a branch is built.

    Attributes:
        depth: its layers; they stand beside the tower's last ones.
        times: length of the time table.
        gates: learned gates, a channel each, where tower and branch meet; without them the two are added.
        out_gain: steepness of the gate at the output.
        middle_gain: steepness of the gate between layers.
        drop_path: highest rate of DropPath; it rises linearly from 0 over the layers.
        design: see `Design`.
    """

    depth: int = 4
    times: int = 64
    gates: bool = True
    out_gain: float = 1e4
    middle_gain: float = 1e2
    drop_path: float = 0.1
    design: Design = "branch"

    def __post_init__(self) -> None:
        if self.depth < 1 or self.times < 1:
            raise ValueError(f"a branch has 1 layer and 1 time at least, got {self.depth=} {self.times=}")
        if not 0.0 <= self.drop_path < 1.0:
            raise ValueError(f"drop_path is a rate in [0, 1), got {self.drop_path}")
        if self.design not in ("branch", "no-interaction", "separate-st", "joint-st"):
            raise ValueError(f"design is branch, no-interaction, separate-st or joint-st, got {self.design!r}")


@dataclass(frozen=True)
class State:
    """What a branch layer leaves: a CLS `[B, 1, D]`, and patches `[B, K, D]`, patch by patch, the frame fastest."""

    cls: Tensor
    patches: Tensor


class Branch(nn.Module):
    """The trained part. Its spatial layers start as copies of the tower's, its temporal ones as nothing.

    Args:
        tower: the tower it stands beside.
        config: see `BranchConfig`.

    Source: section 1 of the method's specification; initial values as released: the time table is N(0, 1), so the
    branch is not neutral at first, and the gates stand half open.
    """

    def __init__(self, tower: Tower, config: BranchConfig) -> None:
        super().__init__()
        if config.depth > len(tower.layers):
            raise ValueError(f"the tower has {len(tower.layers)} layers, the branch wants {config.depth}")
        self.config = config
        layers = tower.layers[-config.depth :]
        rates = torch.linspace(0.0, config.drop_path, config.depth, device="cpu").tolist()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, tower.width))
        self.time = nn.Embedding(config.times, tower.width)
        self.spatial: Any = nn.ModuleList(Spatial(like, rate) for like, rate in zip(layers, rates, strict=True))
        self.temporal: Any = nn.ModuleList(Temporal(like, rate) for like, rate in zip(layers, rates, strict=True))
        if config.gates:
            self.out_balance = nn.Parameter(torch.zeros(tower.width))
            self.middle_balance = nn.Parameter(torch.zeros(tower.width))
        self.requires_grad_(True)  # Copies of a frozen tower's layers come frozen.

    def step(
        self,
        number: int,
        state: State | None,
        tokens: tuple[Float[Tensor, "B T D"], Float[Tensor, "B T L D"]],
        *,
        positions: Float[Tensor, "S D"],
        kept: Int[Tensor, "B K"] | None = None,
        group: int | None = None,
    ) -> State:
        """The state after layer `number`.

        Args:
            number: of the branch's layer; 0 enters, without a state.
            state: what the layer before left.
            tokens: the tower's CLS and patches after the layer it stands beside.
            positions: the tower's position table, used again at the entry.
            kept: places of the tokens to work on; None for all.
            group: frames that attend to one another; None for all of them. The released chat tower takes half.
        """
        cls, patches = tokens[0].mean(1, keepdim=True), patch_major(tokens[1])
        frames = group or tokens[1].shape[1]
        if state is None:
            state = self._entered(cls, patches, tokens[1].shape[1], positions, kept)
        elif self.config.design == "branch":
            state = self._met(state, cls, take(patches, kept))
        if self.config.design == "joint-st":
            return State(*self.spatial[number].joint(state.cls, state.patches))
        timed = self.temporal[number](state.patches, frames)
        return State(*self.spatial[number](state.cls, timed, frames))

    def mixed(self, tower: Float[Tensor, "B T D"], branch: Float[Tensor, "B U D"]) -> Float[Tensor, "B T D"]:
        """The frames' summaries from those of the tower and those of the branch, where U is 1 or T."""
        if self.config.design in ("separate-st", "joint-st"):
            return branch.expand_as(tower)
        if not self.config.gates:
            return tower + branch
        share = torch.sigmoid(self.config.out_gain * self.out_balance)
        return (1 - share) * branch + share * tower

    def times_table(self, frames: int) -> Float[Tensor, "T D"]:
        """The time vector of each frame; a longer video than the table spreads the table over itself, linearly."""
        if frames <= self.config.times:
            return self.time.weight[:frames]
        rows = self.time.weight.T[None]
        return nn.functional.interpolate(rows, size=frames, mode="linear", align_corners=True)[0].T

    def _entered(
        self, cls: Tensor, patches: Tensor, frames: int, positions: Tensor, kept: Int[Tensor, "B K"] | None
    ) -> State:
        places = (positions[1:, None] + self.times_table(frames)).flatten(0, 1)
        return State((cls + (self.cls_token + positions[0])) / 2, take(patches + places, kept))

    def _met(self, state: State, cls: Tensor, patches: Tensor) -> State:
        if not self.config.gates:
            return State(state.cls + cls, state.patches + patches)
        share = torch.sigmoid(self.config.middle_gain * self.middle_balance)
        return State((1 - share) * state.cls + share * cls, (1 - share) * state.patches + share * patches)
