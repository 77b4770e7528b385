"""The two stages of training a frame selector: what learns in each, and from which loss.

Stage 1: projector, score query, head; the losses of answers and of scores take turns. Stage 2: the same and low-rank
adapters in the language model; scores alone. Vision encoder and language model stay as they are in both.

Source: M-LLM based video frame selection, arXiv 2502.19680, section 3.4. Rank, alpha and targets of the adapters are
not published; ours are in `LoRA`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float

from videre import compat

compat.need_hf()

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from videre.errors import ModelError  # noqa: E402
from videre.methods.frame_selector.model import FrameSelector  # noqa: E402

NEW = ("projector", "query", "head")


@dataclass(frozen=True)
class LoRA:
    """The adapters of stage 2, in all linear layers of attention and MLP of the language model's blocks."""

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05


def first_stage(model: FrameSelector) -> FrameSelector:
    """The model, with nothing but its new parts learning."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.partition(".")[0] in NEW
    return model


def second_stage(model: FrameSelector, lora: LoRA = LoRA()) -> FrameSelector:
    """The model with adapters in its language model, which learn beside its new parts; they begin as nothing.

    Raises:
        ModelError: peft is not installed.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise ModelError("stage 2 needs peft: pip install 'videre[train]'", code="no_peft") from error
    first_stage(model)
    decoder = model.llm.get_decoder()
    linear = sorted({name.rpartition(".")[2] for name, part in decoder.named_modules() if isinstance(part, nn.Linear)})
    config = LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=linear, bias="none"
    )
    inject_adapter_in_model(config, decoder)
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.partition(".")[0] in NEW or ".lora_" in name
    return model


def merged(model: FrameSelector) -> FrameSelector:
    """The model with its adapters added to the weights and gone, so that it is saved as any other."""
    for name, part in list(model.named_modules()):
        if hasattr(part, "get_base_layer") and hasattr(part, "merge"):
            part.merge()
            parent, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(parent), leaf, part.get_base_layer())
    return model


def loss(model: Any, batch: Mapping[str, Tensor]) -> Float[Tensor, ""]:
    """The loss of a batch: of answers where it holds `labels`, of scores where it holds `targets`.

    Args:
        model: a `FrameSelector`.
        batch: `pixels [B, n, 3, H, W]`, or `patches [B, n, P, V]` of the frozen encoder; then `input_ids [B, L]` and
            `labels [B, L]`, or `input_ids`, `lengths [B]` and `targets [B, n]` in [0, 1].
    """
    patches = batch["patches"] if "patches" in batch else encoded(model, batch["pixels"])
    if "labels" in batch:
        return model.answer_loss(patches, batch["input_ids"], batch["labels"])
    return _of_scores(model(patches, batch["input_ids"], batch["lengths"]), batch["targets"])


def joint(model: Any, batch: Mapping[str, Tensor], *, scores: float = 4.0, answers: float = 0.3) -> Float[Tensor, ""]:
    """Both losses in one step, weighed, where several questions with answers of one token share a video.

    Args:
        model: a `FrameSelector` of the layout `query`.
        batch: `patches [B, n, P, V]`, `input_ids [B, Q, L]`, `lengths [B, Q]`, `targets [B, Q, n]`, and the token of
            each answer, `answers [B, Q]`.
        scores: weight of the loss of scores.
        answers: weight of the loss of answers.
    """
    scored, said = model.instructed(batch["patches"], batch["input_ids"], batch["lengths"])
    told = nn.functional.cross_entropy(said.float().flatten(0, 1), batch["answers"].flatten())
    return scores * _of_scores(scored, batch["targets"]) + answers * told


def _of_scores(logits: Tensor, targets: Tensor) -> Float[Tensor, ""]:
    return nn.functional.binary_cross_entropy_with_logits(logits.float(), targets.float())


def encoded(model: Any, pixels: Float[Tensor, "B n 3 H W"]) -> Float[Tensor, "B n P V"]:
    """Patch features of each frame, without gradients."""
    with torch.no_grad():
        return model.encode(pixels.flatten(0, 1)).unflatten(0, pixels.shape[:2])
