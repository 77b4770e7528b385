"""Direct preference optimisation of a parser on pairs of policies, through the one door of training.

The reference is the parser as it stands when a cycle begins: its log-probabilities are computed once and written
beside the pairs, so that no second model is in memory and a resumed training has the same reference.

Source: Rafailov et al., arXiv 2305.18290, equation 7 (the sigmoid form); MSR-ViR equation 6 and algorithm 1.
"""

import contextlib
import json
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Float

from videre import compat
from videre.errors import ConfigError
from videre.jobs import replace_file
from videre.types import JSON

compat.need_hf()

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from videre.models.text import TextLLM  # noqa: E402
from videre.train.answerer import LoRA, with_adapters  # noqa: E402
from videre.train.fit import FitConfig, fit  # noqa: E402


@dataclass(frozen=True)
class DPO:
    """How the parser learns from pairs. The paper names none of these figures.

    Attributes:
        beta: how far the parser may go from its reference; smaller is further.
        lr: highest learning rate.
        epochs: passes over the pairs of a cycle.
        batch: pairs a step.
        rank: of the adapters; 0 trains the full weights.
        alpha: of the adapters.
        mean: divide log-probabilities by their tokens, so that longer policies have no edge.
        warmup: share of the steps that warm up.
        bf16: bfloat16 autocast.
        seed: of the order and the adapters.
        save_steps: steps between checkpoints.
    """

    beta: float = 0.1
    lr: float = 5e-6
    epochs: float = 1.0
    batch: int = 8
    rank: int = 16
    alpha: int = 32
    mean: bool = False
    warmup: float = 0.03
    bf16: bool = False
    seed: int = 0
    save_steps: int = 50


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


SIDES = ("chosen", "rejected")


class Pairs:
    """Pairs as batches of one, in an order that the seed draws anew for each epoch."""

    def __init__(self, pairs: Sequence[dict[str, JSON]], *, count: int, seed: int) -> None:
        self._pairs, self._count, self._seed = pairs, count, seed

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> dict[str, JSON]:
        epoch, place = divmod(index, len(self._pairs))
        order = list(range(len(self._pairs)))
        random.Random(f"{self._seed}/{epoch}").shuffle(order)  # noqa: S311
        return {"pair": self._pairs[order[place]]}


def trained(parser: TextLLM, pairs: Sequence[dict[str, JSON]], how: DPO, *, out: Path) -> TextLLM:
    """The parser after one cycle on pairs with their reference; a training that was stopped goes on.

    Raises:
        ConfigError: there are no pairs, or `out` holds a training on others.
    """
    if not pairs:
        raise ConfigError("there is no pair to learn from")
    _begun(out, pairs, how)
    network = _learning(parser.network, how)
    steps = max(1, round(how.epochs * len(pairs) / how.batch))
    inner = TextLLM(network, parser.tokenizer, name=parser.name, card=parser.card)
    config = FitConfig(
        str(out / "fit"), steps, lr=how.lr, warmup=how.warmup, weight_decay=0.0, beta2=0.999, accumulate=how.batch,
        seed=how.seed, bf16=how.bf16, save_steps=how.save_steps, log_steps=1, resume=True,
    )  # fmt: skip
    batches = Pairs(pairs, count=steps * how.batch, seed=how.seed)
    with contextlib.redirect_stdout(sys.stderr):  # The Trainer prints its log; standard output is for results.
        done: Any = fit(network, batches, _loss(inner, how), config)
    merged = done.merge_and_unload() if hasattr(done, "merge_and_unload") else done
    return TextLLM(merged.eval(), parser.tokenizer, name=parser.name, card=parser.card)


def _loss(parser: TextLLM, how: DPO) -> Callable[[nn.Module, dict[str, Any]], Tensor]:
    def loss(_: nn.Module, batch: dict[str, Any]) -> Tensor:
        pair = batch["pair"]
        chosen, rejected = (log_probability(parser, pair["prompt"], pair[side], mean=how.mean) for side in SIDES)
        first, second = pair["reference"]
        return preference_loss(chosen, rejected, (float(first), float(second)), beta=how.beta)

    return loss


def _learning(network: nn.Module, how: DPO) -> nn.Module:
    torch.manual_seed(how.seed)
    if how.rank:
        return with_adapters(network, LoRA(rank=how.rank, alpha=how.alpha, dropout=0.0))
    return network.requires_grad_(True)


def _begun(out: Path, pairs: Sequence[dict[str, JSON]], how: DPO) -> None:
    path, now = out / "pairs.json", json.dumps({"pairs": list(pairs), "dpo": vars(how)}, indent=1)
    out.mkdir(parents=True, exist_ok=True)
    if path.is_file() and path.read_text("utf-8") != now:
        raise ConfigError(f"{path} holds other pairs: take another folder")
    replace_file(path, now)
