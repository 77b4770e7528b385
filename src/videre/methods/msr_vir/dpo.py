"""Direct preference optimisation of a parser on pairs of policies.

The reference is the parser as it stands when a cycle begins: its log-probabilities are computed once and written
beside the pairs, so that no second model is in memory and a resumed training has the same reference.

Source: Rafailov et al., arXiv 2305.18290, equation 7 (the sigmoid form); MSR-ViR equation 6 and algorithm 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from jaxtyping import Float

from videre import compat
from videre.types import JSON

compat.need_hf()

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from videre.methods.msr_vir.learning import Learning, learnt  # noqa: E402
from videre.models.text import TextLLM  # noqa: E402

SIDES = ("chosen", "rejected")


@dataclass(frozen=True)
class DPO(Learning):
    """How the parser learns from pairs. The paper names none of these figures.

    Attributes:
        beta: how far the parser may go from its reference; smaller is further.
        mean: divide log-probabilities by their tokens, so that longer policies have no edge.
    """

    beta: float = 0.1
    mean: bool = False


def preference_loss(
    chosen: Float[Tensor, ""], rejected: Float[Tensor, ""], reference: tuple[float, float], *, beta: float
) -> Float[Tensor, ""]:
    """Minus the log of the sigmoid of how much more the chosen one has gained over the reference than the other.

    Args:
        chosen: log-probability of the chosen text.
        rejected: of the rejected one.
        reference: both under the reference, in that order.
        beta: see `DPO`.
    """
    gained = (chosen - reference[0]) - (rejected - reference[1])
    return -nn.functional.logsigmoid(beta * gained)


def log_probability(parser: TextLLM, prompt: str, text: str, *, mean: bool = False) -> Float[Tensor, ""]:
    """Of a text as the whole reply to a prompt, its end included; with gradients."""
    found = -parser.loss(prompt, text)
    return found.mean() if mean else found.sum()


def with_reference(parser: TextLLM, pairs: Sequence[dict[str, JSON]], how: DPO) -> list[dict[str, JSON]]:
    """The pairs with what the parser thinks of them now.

    Raises:
        ModelError: a prompt and its policy are longer than the parser reads. No pair is ever cut or left out.
    """
    found = []
    parser.network.eval()
    with torch.no_grad():
        for pair in pairs:
            both = [float(log_probability(parser, pair["prompt"], pair[k], mean=how.mean)) for k in SIDES]
            found.append({**pair, "reference": both})
    return found


def trained(parser: TextLLM, pairs: Sequence[dict[str, JSON]], how: DPO, *, out: Path) -> TextLLM:
    """The parser after one cycle on pairs with their reference; a training that was stopped goes on.

    Raises:
        ConfigError: there are no pairs, or `out` holds a training on others.
    """
    return learnt(parser, pairs, partial(_loss, how), how, out=out)


def _loss(how: DPO, parser: TextLLM, pair: dict[str, Any]) -> Tensor:
    chosen, rejected = (log_probability(parser, pair["prompt"], pair[side], mean=how.mean) for side in SIDES)
    first, second = pair["reference"]
    return preference_loss(chosen, rejected, (float(first), float(second)), beta=how.beta)
