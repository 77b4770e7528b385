"""LoRA: small matrices beside the layers of a network, which learn in place of the full weights.

Source: Hu et al., LoRA (arXiv 2106.09685), through PEFT.
"""

from dataclasses import dataclass
from typing import Any

from videre import compat
from videre.errors import ConfigError

compat.need_hf()

from torch import nn  # noqa: E402


@dataclass(frozen=True)
class LoRA:
    """Adapters in place of the full weights.

    Attributes:
        rank: of the added matrices; 0 trains the full weights.
        alpha: scale; the update counts `alpha / rank`.
        dropout: in front of the added matrices.
        targets: last part of the names of the layers that get one; "all-linear" is every linear layer.
        scope: only layers whose name holds this, such as "text_model"; empty for all.
    """

    rank: int = 0
    alpha: int = 16
    dropout: float = 0.0
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    scope: str = ""

    def __post_init__(self) -> None:
        if self.rank < 0:
            raise ValueError(f"a rank is 0 (no adapters) or more, got {self.rank}")


def with_adapters(network: nn.Module, lora: LoRA) -> nn.Module:
    """The network with LoRA layers in it; only they learn.

    Raises:
        ConfigError: PEFT is not installed, or no layer has one of the names.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise ConfigError("adapters need PEFT: pip install 'videre[train]', or set rank = 0") from error
    targets: Any = _layers(network, lora)
    config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=targets)
    return get_peft_model(network, config)  # type: ignore[arg-type]


def _layers(network: nn.Module, lora: LoRA) -> list[str]:
    """Full names of the layers: PEFT's own matching by last part would take those outside the scope as well."""
    every = lora.targets == ("all-linear",)
    head = getattr(network, "get_output_embeddings", lambda: None)()
    found = [
        name
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Linear) and layer is not head and lora.scope in name
        and (every or name.rpartition(".")[2] in lora.targets)
    ]  # fmt: skip
    if not found:
        names = sorted({n.rpartition(".")[2] for n, layer in network.named_modules() if isinstance(layer, nn.Linear)})
        raise ConfigError(f"no layer {list(lora.targets)} in {lora.scope or 'the model'}; there are {', '.join(names)}")
    return found
