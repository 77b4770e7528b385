"""Group relative policy optimisation of a parser: the policies of one question are weighed against each other.

The reward is one of ours: how sure the answerer is of the right answer, how much of the span lies in the truth, how
well they overlap, whether the reply is a policy at all, and how short it is. Plain IoP would drive spans to a point,
so the prediction counts as 1.5 s at least and IoU has a say beside it.

Source: Shao et al., arXiv 2402.03300, equations 3 and 4 (outcome supervision).
Differs: the policies of a cycle are drawn once, at its start, from the parser that is also the reference.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from jaxtyping import Float

from videre import compat
from videre.methods.msr_vir.policy import Policy, read, walk
from videre.methods.msr_vir.preferences import Candidate
from videre.methods.msr_vir.preferences import reward as of_span
from videre.types import JSON, Span

compat.need_hf()

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from videre.methods.msr_vir.learning import Learning, learnt  # noqa: E402
from videre.models.text import TextLLM  # noqa: E402


@dataclass(frozen=True)
class GRPO(Learning):
    """How the parser learns from groups.

    Attributes:
        clip: the ratio of new to old probability of a token counts within 1 - clip and 1 + clip.
        beta: weight of the distance from the parser at the start of the cycle.
        answer: weight of the answerer's probability of the right answer, a mean over its tokens.
        iop: weight of the guarded IoP, where spans are known.
        iou: weight of the IoU.
        valid: what a reply that is a policy gains.
        node: what each operator of it costs.
    """

    clip: float = 0.2
    beta: float = 0.04
    answer: float = 1.0
    iop: float = 1.0
    iou: float = 0.3
    valid: float = 0.1
    node: float = 0.005

    def __post_init__(self) -> None:
        if self.iou < 0.3 * self.iop:
            raise ValueError(f"iou is 0.3 of iop at least, or spans shrink to points, got {self.iop=} {self.iou=}")


def reward(one: Candidate, truth: Sequence[Span], how: GRPO) -> float:
    """What a policy is worth; 0.0 for a reply that is none."""
    if not one.policy:
        return 0.0
    sure = math.exp(-one.loss) if one.loss is not None and math.isfinite(one.loss) else 0.0
    span = of_span(Span(*one.span), truth, iop=how.iop, iou=how.iou) if one.span else 0.0
    return how.valid + how.answer * sure + span - how.node * nodes(read(json.loads(one.text)))


def nodes(policy: Policy) -> int:
    """How many operators a policy has."""
    return sum(1 for root in (policy.temporal, *policy.spatial) for _ in walk(root))


def group(id: str, candidates: Sequence[Candidate], truth: Sequence[Span], how: GRPO) -> dict[str, JSON]:
    """The policies of one question with reward and advantage; kept where the rewards differ.

    The advantage is the reward minus the mean, over the deviation, of all that were drawn, doubles counted.
    """
    rewards = [reward(one, truth, how) for one in candidates]
    count = sum(one.drawn for one in candidates)
    mean = sum(one.drawn * r for one, r in zip(candidates, rewards, strict=True)) / max(1, count)
    spread = math.sqrt(
        sum(one.drawn * (r - mean) ** 2 for one, r in zip(candidates, rewards, strict=True)) / max(1, count)
    )
    kept = spread > 1e-6
    members = [
        {**asdict(one), "reward": r, "advantage": (r - mean) / spread if kept else 0.0}
        for one, r in zip(candidates, rewards, strict=True)
        if one.drawn
    ]
    return {"id": id, "members": members, "kept": kept, "reason": "" if kept else "one reward"}


def with_old(parser: TextLLM, groups: Sequence[dict[str, JSON]]) -> list[dict[str, JSON]]:
    """The groups with the log-probability of each token of each policy as the parser has it now.

    Raises:
        ModelError: a prompt and its policy are longer than the parser reads. Nothing is ever cut or left out.
    """
    parser.network.eval()
    with torch.no_grad():
        return [
            {
                **one,
                "members": [{**m, "old": (-parser.loss(one["prompt"], m["text"])).tolist()} for m in one["members"]],
            }
            for one in groups
        ]


def member_loss(
    new: Float[Tensor, " L"], old: Float[Tensor, " L"], advantage: float, *, clip: float, beta: float
) -> Float[Tensor, ""]:
    """The clipped loss of one policy, a mean over its tokens, with the distance from the old parser.

    Args:
        new: log-probability of each token, with gradients.
        old: of the parser at the start.
        advantage: of the policy in its group.
        clip: see `GRPO`.
        beta: see `GRPO`.
    """
    ratio = (new - old).exp()
    gained = torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)
    away = (old - new).exp() - (old - new) - 1
    return (beta * away - gained).mean()


def trained(parser: TextLLM, groups: Sequence[dict[str, JSON]], how: GRPO, *, out: Path) -> TextLLM:
    """The parser after one cycle on groups with their old log-probabilities; a stopped training goes on.

    Raises:
        ConfigError: there are no groups, or `out` holds a training on others.
    """
    return learnt(parser, groups, partial(_loss, how), how, out=out)


def _loss(how: GRPO, parser: TextLLM, one: dict[str, Any]) -> Tensor:
    parts, count = [], 0
    for member in one["members"]:
        new = -parser.loss(one["prompt"], member["text"])
        old = torch.tensor(member["old"], dtype=new.dtype, device=new.device)
        loss = member_loss(new, old, member["advantage"], clip=how.clip, beta=how.beta)
        parts.append(member["drawn"] * loss)
        count += member["drawn"]
    return torch.stack(parts).sum() / count
