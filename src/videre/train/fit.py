"""Road 2: a model, batches, a loss and a config in; the trained model out. A thin door over `transformers.Trainer`.

The Trainer brings devices, many processes (`torchrun --nproc-per-node N`: each step takes the next N batches, one a
process), checkpoints, resume and logs. What this adds: batches come ready-made by
number, so that a run that was killed and resumed sees exactly the batches that it would have seen, without making the
earlier ones again.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from videre import compat

compat.need_hf()

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.utils.data import Dataset, IterableDataset, SequentialSampler  # noqa: E402
from transformers import PreTrainedModel, Trainer, TrainingArguments  # noqa: E402

Batch = Any
"""What the loss takes: usually a dict of tensors. The Trainer moves its tensors to the model's device."""

Loss = Callable[[nn.Module, Batch], Tensor]
"""A model and a batch in, one scalar that carries gradients out."""


@runtime_checkable
class Numbered(Protocol):
    """Batches that can be asked for by number: a list, or anything with these two methods."""

    def __len__(self) -> int:
        """How many batches there are."""
        ...

    def __getitem__(self, index: int) -> Batch:
        """One batch, the same at every call."""
        ...


@dataclass(frozen=True)
class FitConfig:
    """How to train.

    Attributes:
        out: folder of checkpoints and of the log, `fit.jsonl`.
        steps: optimizer steps of the whole run, resumed ones included.
        lr: highest learning rate; it warms up, then falls along a cosine.
        warmup: share of the steps that warm up.
        weight_decay: AdamW's.
        beta2: AdamW's second momentum.
        clip: largest gradient norm.
        accumulate: batches a step.
        seed: of everything random in the training itself (the batches have their own).
        bf16: run the loss under bfloat16 autocast; weights stay in their own type.
        save_steps: steps between checkpoints; 0 for none.
        log_steps: steps between log lines.
        resume: go on from the last checkpoint in `out`, if there is one.
        rates: part of a parameter's name -> factor on its learning rate; where several parts fit, the longest counts.
    """

    out: str
    steps: int
    lr: float = 1e-3
    warmup: float = 0.05
    weight_decay: float = 0.01
    beta2: float = 0.98
    clip: float = 1.0
    accumulate: int = 1
    seed: int = 0
    bf16: bool = False
    save_steps: int = 0
    log_steps: int = 50
    resume: bool = False
    rates: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.steps < 1 or self.accumulate < 1:
            raise ValueError(f"steps and accumulate are 1 or more, got {self.steps=} {self.accumulate=}")
        if not 0 <= self.warmup <= 1:
            raise ValueError(f"warmup is a share of the steps in [0, 1], got {self.warmup}")


def fit(model: nn.Module, batches: Numbered | Iterable[Batch], loss: Loss, config: FitConfig) -> nn.Module:
    """The same model, trained, in evaluation mode.

    Args:
        model: what to train; parameters with `requires_grad` off stay as they are.
        batches: ready batches. Numbered ones are asked for at their turn only, also after a resume; a plain iterable
            is read from its start again and the batches already seen are dropped.
        loss: called as `loss(model, batch)`.
        config: see `FitConfig`.
    """
    torch.manual_seed(config.seed)
    trainer = _Trainer(
        model=model,
        args=_arguments(config),
        train_dataset=_dataset(batches),
        data_collator=_only,
        loss=loss,
        bf16=config.bf16,
        rates=config.rates,
    )
    trainer.train(resume_from_checkpoint=_last_whole(Path(config.out)) if config.resume else None)
    if trainer.is_world_process_zero():
        _write_log(config, trainer.state.log_history)
    return model.eval()


def _last_whole(folder: Path) -> str | None:
    """The newest checkpoint that was written to its end. The Trainer writes its state last: a kill may leave it out."""
    numbered = [path for path in folder.glob("checkpoint-*") if path.name.removeprefix("checkpoint-").isdecimal()]
    newest_first = sorted(numbered, key=lambda path: int(path.name.removeprefix("checkpoint-")), reverse=True)
    return next((str(path) for path in newest_first if _is_whole(path)), None)


def _is_whole(checkpoint: Path) -> bool:
    try:
        return "global_step" in json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False


class _Trainer(Trainer):
    def __init__(self, *, loss: Loss, bf16: bool, rates: Mapping[str, float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._loss, self._bf16, self._rates = loss, bf16, rates

    def create_optimizer(self, model: Any = None) -> Any:
        if not self._rates or self.optimizer is not None:
            return super().create_optimizer(model)
        kind, settings = self.get_optimizer_cls_and_kwargs(self.args, self.model)  # type: ignore[arg-type]
        self.optimizer = kind(_groups(self.model, self._rates, self.args), **settings)
        return self.optimizer

    def compute_loss(self, model: nn.Module, inputs: Batch, **_: Any) -> Tensor:  # type: ignore[override]
        # Our own autocast: the Trainer's covers `model.forward` only, and a loss may call parts of the model.
        with torch.autocast(self.args.device.type, torch.bfloat16, enabled=self._bf16):
            return _through(model, self.accelerator.unwrap_model(model), self._loss, inputs)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        # A file of tensors holds none twice; a module around a model whose words and output layer are one needs this.
        if self.model is not None and not isinstance(self.model, PreTrainedModel):
            state_dict = _each_once(state_dict or self.model.state_dict())
        super()._save(output_dir, state_dict)

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """Nothing: what is left out above comes back by its other name."""

    def _get_train_sampler(self, *_: Any) -> SequentialSampler:
        return SequentialSampler(self.train_dataset)  # type: ignore[arg-type]


def _through(outer: Any, inner: Any, loss: Loss, batch: Batch) -> Tensor:
    """The loss of the model itself, reached by way of what the Trainer has put around it for many processes.

    Gradients of many processes come together only where the wrapper's own forward is called, and it has none of the
    model's parts, which a loss may call.
    """
    if outer is inner:
        return loss(inner, batch)
    plain = inner.forward

    def whole(batch: Batch) -> Tensor:
        inner.forward = plain
        return loss(inner, batch)

    inner.forward = whole
    try:
        return outer(batch)
    finally:
        inner.forward = plain


def _groups(model: Any, rates: Mapping[str, float], args: TrainingArguments) -> list[dict[str, Any]]:
    """Parameters with one learning rate each, every one of them decayed, as recipes with such rates have it."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            factor = rates.get(max((part for part in rates if part in name), key=len, default=""), 1.0)
            groups.setdefault(factor, []).append(parameter)
    return [
        {"params": params, "lr": factor * args.learning_rate, "weight_decay": args.weight_decay}
        for factor, params in groups.items()
    ]


def _each_once(state: dict[str, Tensor]) -> dict[str, Tensor]:
    first = {(value.data_ptr(), value.shape): name for name, value in reversed(state.items()) if value.numel()}
    return {name: value for name, value in state.items() if name in first.values() or not value.numel()}


class _ByNumber(Dataset):
    def __init__(self, batches: Numbered) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Batch:
        return self.batches[index]


class _Streamed(IterableDataset):
    def __init__(self, batches: Iterable[Batch]) -> None:
        self.batches = batches

    def __iter__(self) -> Any:
        return iter(self.batches)


def _dataset(batches: Numbered | Iterable[Batch]) -> Dataset:
    return _ByNumber(batches) if isinstance(batches, Numbered) else _Streamed(batches)


def _only(items: list[Batch]) -> Batch:
    return items[0]


def _arguments(config: FitConfig) -> TrainingArguments:
    return TrainingArguments(
        output_dir=config.out,
        max_steps=config.steps,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=config.accumulate,
        learning_rate=config.lr,
        lr_scheduler_type="cosine",
        warmup_steps=round(config.warmup * config.steps),
        weight_decay=config.weight_decay,
        adam_beta2=config.beta2,
        max_grad_norm=config.clip,
        seed=config.seed,
        save_strategy="steps" if config.save_steps else "no",
        save_steps=config.save_steps or 500,
        save_total_limit=2,
        logging_steps=config.log_steps,
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
        use_cpu=not torch.cuda.is_available(),
        report_to=[],
    )


def _write_log(config: FitConfig, history: list[dict[str, float]]) -> None:
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    with open(out / "fit.jsonl", "w", encoding="utf-8") as file:
        file.write(json.dumps({"config": asdict(config)}) + "\n")
        file.writelines(json.dumps(row) + "\n" for row in history)
