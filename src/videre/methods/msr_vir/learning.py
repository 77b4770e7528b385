"""How a parser's weights move: rows of a cycle, one after another, through the one door of training."""

import contextlib
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from videre import compat
from videre.errors import ConfigError
from videre.jobs import begun
from videre.types import JSON

compat.need_hf()

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from videre.models.text import TextLLM  # noqa: E402
from videre.train.adapters import LoRA, with_adapters  # noqa: E402
from videre.train.fit import FitConfig, fit  # noqa: E402

RowLoss = Callable[[TextLLM, dict[str, Any]], Tensor]


@dataclass(frozen=True)
class Learning:
    """What every way of learning has.

    Attributes:
        lr: highest learning rate.
        epochs: passes over the rows of a cycle.
        batch: rows a step.
        rank: of the adapters; 0 trains the full weights.
        alpha: of the adapters.
        warmup: share of the steps that warm up.
        bf16: bfloat16 autocast.
        seed: of the order and the adapters.
        save_steps: steps between checkpoints.
    """

    lr: float = 5e-6
    epochs: float = 1.0
    batch: int = 8
    rank: int = 16
    alpha: int = 32
    warmup: float = 0.03
    bf16: bool = False
    seed: int = 0
    save_steps: int = 50


class Rows:
    """Rows as batches of one, in an order that the seed draws anew for each epoch."""

    def __init__(self, rows: Sequence[dict[str, JSON]], *, count: int, seed: int) -> None:
        self._rows, self._count, self._seed = rows, count, seed

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> dict[str, JSON]:
        epoch, place = divmod(index, len(self._rows))
        order = list(range(len(self._rows)))
        random.Random(f"{self._seed}/{epoch}").shuffle(order)  # noqa: S311
        return {"row": self._rows[order[place]]}


def learnt(parser: TextLLM, rows: Sequence[dict[str, JSON]], loss: RowLoss, how: Learning, *, out: Path) -> TextLLM:
    """The parser after one cycle on rows; a training that was stopped goes on.

    Raises:
        ConfigError: there are no rows, or `out` holds a training on others.
    """
    if not rows:
        raise ConfigError("there is no pair or group to learn from")
    begun(out, {"rows": list(rows), "how": asdict(how)})
    network = _learning(parser.network, how)
    steps = max(1, round(how.epochs * len(rows) / how.batch))
    inner = TextLLM(network, parser.tokenizer, name=parser.name, card=parser.card)
    config = FitConfig(
        str(out / "fit"), steps, lr=how.lr, warmup=how.warmup, weight_decay=0.0, beta2=0.999, accumulate=how.batch,
        seed=how.seed, bf16=how.bf16, save_steps=how.save_steps, log_steps=1, resume=True,
    )  # fmt: skip
    batches = Rows(rows, count=steps * how.batch, seed=how.seed)
    with contextlib.redirect_stdout(sys.stderr):  # The Trainer prints its log; standard output is for results.
        done: Any = fit(network, batches, lambda _, batch: loss(inner, batch["row"]), config)
    merged = done.merge_and_unload() if hasattr(done, "merge_and_unload") else done
    return TextLLM(merged.eval(), parser.tokenizer, name=parser.name, card=parser.card)


def _learning(network: nn.Module, how: Learning) -> nn.Module:
    torch.manual_seed(how.seed)
    if how.rank:
        return with_adapters(network, LoRA(rank=how.rank, alpha=how.alpha, dropout=0.0))
    return network.requires_grad_(True)
