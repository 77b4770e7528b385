"""A model that answers questions about frames learns from questions with their answers: all of it, or adapters (LoRA).

The model brings its own loss on the tokens of an answer; how a row is shown is given by the caller. What comes out is
a checkpoint folder like the one that training started from, adapters merged in.

Source: section 4 of arXiv 2411.19951: one epoch, AdamW, 5e-6, cosine, warm-up 0.03, global batch 64, all parameters.
Differs: the loss is on the answer alone unless asked for otherwise (the official Idefics3 code counts the question too,
the paper's equation does not); each example counts the same, however long its answer is.
"""

import contextlib
import json
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from videre import compat
from videre.errors import ConfigError, DataError
from videre.train.adapters import LoRA, with_adapters
from videre.train.fit import FitConfig, fit
from videre.types import Frames, Question

compat.need_hf()

import torch  # noqa: E402
from torch import nn  # noqa: E402

DONE = "done.json"


@dataclass(frozen=True)
class Lesson:
    """What is shown, what is asked, what is to be said."""

    frames: Sequence[Frames]
    question: Question
    target: str


@runtime_checkable
class Learner(Protocol):
    """What is trained, such as `videre.models.mllm.TransformersMLLM`."""

    network: Any
    processor: Any

    def loss(self, frames: Any, question: Question, target: str, *, asked: bool = False) -> torch.Tensor:
        """Cross-entropy of each token of the target; with `asked`, of the question's tokens before them as well."""
        ...


@dataclass(frozen=True)
class Schooling:
    """How to train. The defaults are the paper's.

    Attributes:
        epochs: passes over the rows.
        batch: rows a step.
        lr: highest learning rate.
        warmup: share of the steps that warm up.
        weight_decay: AdamW's.
        beta2: AdamW's second momentum.
        seed: of the order, of adapters and of dropout.
        bf16: bfloat16 autocast.
        checkpointing: compute activations again on the way back, for memory.
        frozen: parameters whose name begins so stay as they are, such as "model.vision_model".
        loss_on: "answer", or "all" for the question too, as the official code does.
        save_steps: steps between checkpoints; a training that was stopped goes on from the last one.
        log_steps: steps between lines of the log.
    """

    epochs: float = 1.0
    batch: int = 64
    lr: float = 5e-6
    warmup: float = 0.03
    weight_decay: float = 0.01
    beta2: float = 0.999
    seed: int = 0
    bf16: bool = False
    checkpointing: bool = False
    frozen: tuple[str, ...] = ()
    loss_on: str = "answer"
    save_steps: int = 100
    log_steps: int = 10

    def __post_init__(self) -> None:
        if self.epochs <= 0 or self.batch < 1:
            raise ValueError(f"epochs are above 0 and a batch has one row or more, got {self.epochs=} {self.batch=}")
        if self.loss_on not in ("answer", "all"):
            raise ValueError(f"the loss is on the answer or on all, got {self.loss_on!r}")


class Lessons:
    """One row a batch, in an order that the seed decides anew for each epoch; a row is made ready at its turn.

    Args:
        rows: one or more.
        show: makes a lesson of a row: opens files, chooses frames, renders pages.
        count: how many to give, several epochs among them.
        seed: of the order.
    """

    def __init__(self, rows: Sequence[Any], show: Callable[[Any], Lesson], *, count: int, seed: int) -> None:
        if not rows:
            raise DataError("there is no row to train on")
        self._rows, self._show, self._count, self._seed = rows, show, count, seed
        self._order: tuple[int, list[int]] = (-1, [])

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> dict[str, Lesson]:
        epoch, place = divmod(index, len(self._rows))
        if self._order[0] != epoch:
            order = list(range(len(self._rows)))
            random.Random(f"{self._seed}/{epoch}").shuffle(order)  # noqa: S311
            self._order = (epoch, order)
        return {"lesson": self._show(self._rows[self._order[1][place]])}


def train(
    load: Callable[[], Learner],
    rows: Sequence[Any],
    show: Callable[[Any], Lesson],
    schooling: Schooling,
    *,
    out: Path,
    lora: LoRA | None = None,
) -> Path:
    """The folder of the trained checkpoint, `out/model`; with LoRA also `out/adapter`. A stopped training goes on.

    Args:
        load: gives the model to start from; not called where the training is done.
        rows: what to learn.
        show: makes a lesson of a row.
        schooling: how.
        out: folder of the training.
        lora: adapters; None, or a rank of 0, trains the full weights.

    Raises:
        ConfigError: the folder holds a training with other settings, or no layer can get an adapter.
        DataError: there is no row.
    """
    steps = max(1, round(schooling.epochs * len(rows) / schooling.batch))
    told = {"schooling": asdict(schooling), "lora": asdict(lora or LoRA()), "rows": len(rows)}
    settings = json.loads(json.dumps(told))
    if _is_done(out, settings):
        return out / "model"
    torch.manual_seed(schooling.seed)
    model = load()
    network = _prepared(model.network, schooling, lora or LoRA())
    lessons = Lessons(rows, show, count=steps * schooling.batch, seed=schooling.seed)
    asked = schooling.loss_on == "all"

    def loss(_: nn.Module, batch: dict[str, Lesson]) -> torch.Tensor:
        one = batch["lesson"]
        return model.loss(one.frames, one.question, one.target, asked=asked).mean()

    with _logs_aside():
        trained = fit(network, lessons, loss, _config(schooling, steps, out))
    _save(trained, model, out)
    (out / DONE).write_text(json.dumps({**settings, "steps": steps}, indent=2) + "\n", "utf-8")
    return out / "model"


def _prepared(network: nn.Module, schooling: Schooling, lora: LoRA) -> nn.Module:
    if schooling.checkpointing:
        network.gradient_checkpointing_enable()  # type: ignore[operator]
    if lora.rank:
        if schooling.checkpointing:
            network.enable_input_require_grads()  # type: ignore[operator]
        return with_adapters(network, lora)
    hit = set[str]()
    for name, parameter in network.named_parameters():
        starts = [start for start in schooling.frozen if name.startswith(start)]
        hit.update(starts)
        parameter.requires_grad_(not starts)
    if lost := set(schooling.frozen) - hit:
        first = next(iter(network.named_parameters()))[0]
        raise ConfigError(f"no parameter begins with {sorted(lost)}; the first one is {first!r}")
    return network


def _config(schooling: Schooling, steps: int, out: Path) -> FitConfig:
    return FitConfig(
        str(out / "fit"),
        steps,
        lr=schooling.lr,
        warmup=schooling.warmup,
        weight_decay=schooling.weight_decay,
        beta2=schooling.beta2,
        accumulate=schooling.batch,
        seed=schooling.seed,
        bf16=schooling.bf16,
        save_steps=schooling.save_steps,
        log_steps=schooling.log_steps,
        resume=True,
    )


def _save(trained: nn.Module, model: Learner, out: Path) -> None:
    if hasattr(trained, "merge_and_unload"):
        trained.save_pretrained(str(out / "adapter"))  # type: ignore[operator]
        trained = trained.merge_and_unload()  # type: ignore[operator]
    trained.save_pretrained(str(out / "model"))  # type: ignore[operator]
    model.processor.save_pretrained(str(out / "model"))


@contextlib.contextmanager
def _logs_aside() -> Iterator[None]:
    """The Trainer prints its log; standard output is for results."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def _is_done(out: Path, settings: dict[str, Any]) -> bool:
    note = out / DONE
    if not note.is_file():
        return False
    known = json.loads(note.read_text("utf-8"))
    if {name: known.get(name) for name in settings} != settings:
        raise ConfigError(f"{out} holds a training with other settings ({note}); choose another folder with -o")
    return True
