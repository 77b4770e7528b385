"""What the branch learns from: video with text (VTC), its patches with text (MBCA) and with the tower (MBTA)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float, Int

from videre import compat

compat.need_hf()

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch import distributed as dist  # noqa: E402

from videre.methods.bt_adapter.adapter import Adapter, Seen  # noqa: E402
from videre.methods.bt_adapter.mask import Layout, targets  # noqa: E402

SCALE = 100.0
"""One over the temperature; CLIP's own is not used."""


@dataclass(frozen=True)
class Weights:
    """What each loss counts; 0 leaves it out.

    Source: the released configs; the EVA variant has no MBTA.
    """

    vtc: float = 1.0
    mbca: float = 0.1
    mbta: float = 0.1


class Pretraining(nn.Module):
    """An adapter and the map that MBTA needs while training, `LayerNorm(Linear(D -> P))`.

    Its state, and so its checkpoints, hold what is trained and nothing of the frozen network.
    """

    def __init__(self, adapter: Adapter) -> None:
        super().__init__()
        self.adapter = adapter
        width, projected = adapter.tower.width, adapter.tower.projected
        self.align = nn.Sequential(nn.Linear(width, projected), nn.LayerNorm(projected))
        self.register_state_dict_post_hook(_without_network)


def losses(
    model: Pretraining,
    pixels: Float[Tensor, "B T 3 H W"],
    texts: Float[Tensor, "B P"],
    *,
    kept: Int[Tensor, "B K"] | None = None,
    layout: Layout = "tube",
    weights: Weights | None = None,
) -> dict[str, Tensor]:
    """Each loss times its weight; their sum is what is minimised.

    Args:
        model: what is trained.
        pixels: the videos.
        texts: the frozen text tower's vector of each video's caption.
        kept: places of the tokens that the branch sees; None for all.
        layout: where MBTA's targets lie, see `mask.Layout`.
        weights: see `Weights`.

    Source: `CLIPSimilarity_split.loss` of the official code.
    Differs: over several processes the gradient is that of the whole batch; the official one is too small by their
        number.
    """
    weights, adapter = weights or Weights(), model.adapter
    seen = adapter.run(pixels, kept=kept)
    found: dict[str, Tensor] = {}
    if weights.vtc:
        found["vtc"] = weights.vtc * contrast(adapter.frames(seen).mean(1), texts)
    if weights.mbca and seen.state is not None:
        tokens = adapter.tower.project_tokens(seen.state.patches, norm=False)
        found["mbca"] = weights.mbca * contrast(tokens.mean(1), texts)
    if weights.mbta and seen.state is not None:
        found["mbta"] = weights.mbta * alignment(model.align(seen.state.patches), _aims(adapter, seen, kept, layout))
    return found


def contrast(videos: Float[Tensor, "B P"], texts: Float[Tensor, "B P"], scale: float = SCALE) -> Float[Tensor, ""]:
    """Cross-entropy of each video among all texts plus that of each text among all videos, over all processes.

    The sum of the two directions, not their mean; 0 for a batch of one.
    """
    rows, columns = (nn.functional.normalize(gathered(each).float(), dim=-1) for each in (videos, texts))
    with torch.autocast(rows.device.type, enabled=False):  # Half floats would blur a cosine by 0.4 of a logit.
        logits = scale * rows @ columns.T
    right = torch.arange(len(logits), device=logits.device)
    return nn.functional.cross_entropy(logits, right) + nn.functional.cross_entropy(logits.T, right)


def alignment(student: Float[Tensor, "B K P"], target: Float[Tensor, "B K P"]) -> Float[Tensor, ""]:
    """The mean squared distance of unit vectors, in [0, 4]; no gradient to the target."""
    return (2.0 - 2.0 * nn.functional.cosine_similarity(student, target.detach(), dim=-1)).mean()


def gathered(rows: Float[Tensor, "B P"]) -> Float[Tensor, "N P"]:
    """The rows of all processes, in their order, with gradients that reach each process's own.

    Each process receives the gradient of every process's loss, so that the mean over processes, which data-parallel
    training takes, is the gradient of the loss of the whole batch. Processes may have different numbers of rows.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return rows
    counts = [torch.zeros(1, dtype=torch.long, device=rows.device) for _ in range(dist.get_world_size())]
    dist.all_gather(counts, torch.tensor([len(rows)], device=rows.device))
    found: Tensor = _Gathered.apply(rows, [int(count) for count in counts])  # type: ignore[assignment]
    return found


class _Gathered(torch.autograd.Function):
    """Rows of all processes; backwards, the sum of what all processes give for this one's."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, counts: list[int]) -> Tensor:
        ctx.counts = counts
        padded = rows.new_zeros(max(counts), *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> tuple[Tensor, None]:
        gradient = given[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(gradient)
        return gradient.split(ctx.counts)[dist.get_rank()], None


def _aims(adapter: Adapter, seen: Seen, kept: Tensor | None, layout: Layout) -> Tensor:
    with torch.no_grad():
        _, patches = adapter.tower.split(seen.tokens)
        return adapter.tower.project_tokens(targets(patches, kept, layout), norm=True)


def _without_network(module: nn.Module, state: Mapping[str, Tensor], prefix: str, _: object) -> None:
    for name in [name for name in state if name.startswith(f"{prefix}adapter.network.")]:
        del state[name]  # type: ignore[attr-defined]
