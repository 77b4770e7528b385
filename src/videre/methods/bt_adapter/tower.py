"""A frozen picture tower of transformers, seen layer by layer: CLIP, SigLIP, and EVA as BLIP-2 has it."""

from inspect import signature
from typing import Any

from jaxtyping import Float

from videre import compat
from videre.errors import ModelError

compat.need_hf()

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

TOWERS = ("clip_vision_model", "siglip_vision_model", "blip_2_vision_model", "instructblip_vision_model")


class Tower:
    """The picture side of a network, without gradients below its last layer.

    Holds references only: the network stays the owner of its modules.

    Args:
        vision: a `CLIPVisionModel`, `SiglipVisionModel` or `Blip2VisionModel`.
        projection: maps its summary to the space shared with texts; None where the summary is in it already (SigLIP)
            or where there is no such space (the tower of a chat model).
    """

    def __init__(self, vision: Any, projection: nn.Module | None = None) -> None:
        self.vision, self.projection = vision, projection
        self.layers: list[nn.Module] = list(vision.encoder.layers)
        self.pools = getattr(vision, "head", None) if getattr(vision, "use_head", False) else None
        self.has_cls = hasattr(vision.embeddings, "class_embedding")
        takes = signature(self.layers[0].forward).parameters
        self._no_mask = {"attention_mask": None} if "attention_mask" in takes else {}

    @property
    def width(self) -> int:
        """Numbers a token."""
        return int(self.vision.config.hidden_size)

    @property
    def patches(self) -> int:
        """Patches a frame."""
        return int(self.vision.embeddings.num_patches)

    @property
    def projected(self) -> int:
        """Numbers of a vector in the space shared with texts."""
        return int(self.projection.out_features) if isinstance(self.projection, nn.Linear) else self.width

    @property
    def positions(self) -> Float[Tensor, "S D"]:
        """The position table with the row of CLS first; a row of zeros where the tower has no CLS."""
        table = self.vision.embeddings.position_embedding
        rows = (table.weight if isinstance(table, nn.Embedding) else table[0]).detach()
        return rows if self.has_cls else torch.cat([torch.zeros_like(rows[:1]), rows])

    @torch.no_grad()
    def embed(self, pixels: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N S D"]:
        """What enters the first layer."""
        tokens = self.vision.embeddings(pixels)
        return self.vision.pre_layrnorm(tokens) if hasattr(self.vision, "pre_layrnorm") else tokens

    @torch.no_grad()
    def step(self, number: int, tokens: Float[Tensor, "N S D"]) -> Float[Tensor, "N S D"]:
        """What leaves a layer."""
        return self.layers[number](tokens, **self._no_mask)

    def split(self, tokens: Float[Tensor, "B T S D"]) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B T L D"]]:
        """CLS and patches; the mean of the patches stands for CLS where the tower has none."""
        return (tokens[:, :, 0], tokens[:, :, 1:]) if self.has_cls else (tokens.mean(2), tokens)

    def summary(self, tokens: Float[Tensor, "B T S D"]) -> Float[Tensor, "B T D"]:
        """One vector a frame before the final map: CLS, or what the tower's own pooling makes of all tokens."""
        if self.pools is None:
            return tokens[:, :, 0]
        flat = self.pools(self.vision.post_layernorm(tokens.flatten(0, 1)))
        return flat.unflatten(0, tokens.shape[:2])

    def project(self, summary: Float[Tensor, "*B D"]) -> Float[Tensor, "*B P"]:
        """A summary in the space shared with texts."""
        if self.pools is not None:
            return summary
        flat = self.vision.post_layernorm(summary.reshape(-1, summary.shape[-1]))
        return self._mapped(flat).view(*summary.shape[:-1], -1)

    def project_tokens(self, tokens: Float[Tensor, "B K D"], *, norm: bool) -> Float[Tensor, "B K P"]:
        """Patch tokens in the space shared with texts, each alone; `norm` puts the final LayerNorm before."""
        tokens = self.vision.post_layernorm(tokens) if norm else tokens
        if self.pools is None:
            return self._mapped(tokens)
        return self.pools(tokens.reshape(-1, 1, tokens.shape[-1])).view(tokens.shape)

    def _mapped(self, tokens: Float[Tensor, "*B D"]) -> Float[Tensor, "*B P"]:
        return tokens if self.projection is None else self.projection(tokens)


def tower_of(network: Any) -> Tower:
    """The picture side of a `CLIPModel`, `CLIPVisionModelWithProjection`, `SiglipModel` or `Eva`.

    Raises:
        ModelError: another family.
    """
    vision = getattr(network, "vision_model", network)
    kind = getattr(getattr(vision, "config", None), "model_type", type(network).__name__)
    if kind not in TOWERS or not hasattr(vision, "encoder"):
        raise ModelError(f"the branch stands beside CLIP, SigLIP or EVA (BLIP-2) towers, got {kind}", code="no_encoder")
    return Tower(vision, getattr(network, "visual_projection", None))


class Eva(nn.Module):
    """EVA-CLIP's picture tower: the blocks that BLIP-2 took over, with the head that BLIP-2 left out.

    Args:
        config: a `Blip2VisionConfig`.
        projected: numbers of a vector in the space shared with texts.
    """

    def __init__(self, config: Any, projected: int) -> None:
        super().__init__()
        from transformers import Blip2VisionModel

        self.vision_model = Blip2VisionModel(config)
        self.visual_projection = nn.Linear(config.hidden_size, projected)
