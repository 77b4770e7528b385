"""A video as the tokens of one picture: what an image chat model reads in place of a picture's patches."""

from typing import Literal

from jaxtyping import Float

from videre import compat
from videre.errors import USAGE, ModelError

compat.need_hf()

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from videre.methods.bt_adapter.adapter import Seen, layers, paired  # noqa: E402
from videre.methods.bt_adapter.branch import Branch  # noqa: E402
from videre.methods.bt_adapter.tower import Tower  # noqa: E402

Compat = Literal["none", "official"]
"""`official` repeats the released chat tower: its blocks take half of the frames for all of them, so that the two
halves of a clip never meet in time; one frame, an odd number above 64, and more than 128 frames fail."""
Pooling = Literal["adapter", "frame-mean", "st-pool"]
"""How frames become one picture: the branch beside the tower; the mean over frames; or, as Video-ChatGPT does, the mean
of each patch over frames and then the mean of each frame over patches."""


def video_tokens(
    tower: Tower,
    branch: Branch | None,
    pixels: Float[Tensor, "B T 3 H W"] | None = None,
    *,
    entering: Float[Tensor, "B T S D"] | None = None,
    layer: int = -2,
    compat: Compat = "none",
    pooling: Pooling = "adapter",
) -> tuple[Float[Tensor, "B N D"], Float[Tensor, "B 1 D"]]:
    """Patch tokens and CLS of a video: with the adapter or the mean, as many as one picture has, whatever T is.

    Args:
        tower: the chat model's picture tower.
        branch: the adapter's; not needed without `pooling="adapter"`.
        pixels: frames, or instead of them
        entering: stored tokens that enter the first layer with a branch beside it, as instruction tuning keeps them.
        layer: of the tower's hidden states, counted from its end: -2 leaves out the last layer, which never runs.
        compat: see `Compat`.
        pooling: see `Pooling`.

    Raises:
        ModelError: the released code would fail on this number of frames (only with `compat="official"`).

    Source: section 1.10 of the method's specification.
    Differs: more frames than the time table is long are averaged in groups of `ceil(T / 64)` neighbours, the last one
        short where they do not come out even; the released code knows pairs only.
    """
    given = pixels if pixels is not None else entering
    if given is None:
        raise ValueError("give pixels or stored tokens")
    frames, wanted = given.shape[1], len(tower.layers) + layer
    if pooling != "adapter" or branch is None:
        seen = _until(tower, None, wanted, pixels=given)
        return _pooled(*tower.split(seen.tokens), pooling)
    pairs = -(-frames // branch.config.times)
    group = official_group(frames, tower.patches, branch.config.times) if compat == "official" else None
    seen = _until(tower, branch, wanted, pixels=pixels, entering=entering, pairs=pairs, group=group)
    if seen.state is None:
        raise ValueError(f"the branch has {branch.config.depth} layers: none stands beside hidden state {layer}")
    return combined(tower, seen, pairs)


def combined(tower: Tower, seen: Seen, pairs: int = 1) -> tuple[Float[Tensor, "B L D"], Float[Tensor, "B 1 D"]]:
    """The mean of tower and branch, each averaged over the frames: patches and CLS."""
    assert seen.state is not None  # noqa: S101 - asked by the caller
    cls, patches = (each.mean(1) for each in tower.split(paired(seen.tokens, pairs)))
    branch = seen.state.patches.unflatten(1, (patches.shape[1], -1)).mean(2)
    return (patches + branch) / 2, (cls[:, None] + seen.state.cls) / 2


def official_group(frames: int, patches: int, times: int) -> int:
    """How many frames the released blocks take for the whole clip: half of them, rounded down.

    Raises:
        ModelError: the released code fails on this number of frames.
    """
    group = frames // 2
    seen = frames if frames <= times else group
    if not group or (frames > times and frames % 2) or seen > times or (seen * patches) % group:
        raise ModelError(
            f"the released chat code fails on {frames} frames; give another number, or leave out compat=official",
            code="frames",
            exit_code=USAGE,
        )
    return group


def _until(tower: Tower, branch: Branch | None, layer: int, **given: object) -> Seen:
    return next(seen for seen in layers(tower, branch, **given) if seen.layer == layer)  # type: ignore[arg-type]


def _pooled(cls: Tensor, patches: Tensor, pooling: Pooling) -> tuple[Tensor, Tensor]:
    summary = cls.mean(1, keepdim=True)
    if pooling == "st-pool":
        return torch.cat([patches.mean(1), patches.mean(2)], 1), summary
    return patches.mean(1), summary
