"""CLIP and SigLIP of transformers as `videre.types.Encoder`: frames and texts in one space.

>>> encoder = load("openai/clip-vit-base-patch32")                                # doctest: +SKIP
>>> encoder.images(video.at([0.0, 1.0])) @ encoder.texts(["a red ball"]).T        # doctest: +SKIP
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from videre import compat
from videre.errors import ModelError
from videre.types import JSON, Frames

compat.need_hf()

import torch  # noqa: E402
import transformers  # noqa: E402

from videre.models.loading import card, checked_device, checked_dtype, load_errors, load_network  # noqa: E402
from videre.models.session import memory_named  # noqa: E402
from videre.models.weights import Checkpoint, find  # noqa: E402

BATCH = 32
"""Pictures, or texts, that go through the network at once."""
PADDED = ("siglip", "siglip2")
"""Families whose text tower was trained on texts padded to its full length."""


class ClipEncoder:
    """An encoder that runs here. Made by `load`; `network` and `processor` are the transformers objects.

    Args:
        network: a `CLIPModel`, `SiglipModel` or `Siglip2Model`.
        processor: its picture processor and tokenizer.
        name: what records call it.
        card: what the run card says of it.
    """

    def __init__(self, network: Any, processor: Any, *, name: str, card: dict[str, JSON]) -> None:
        self.network = network
        self.processor = processor
        self.name = name
        self.card = card

    def images(self, frames: Frames) -> Float[np.ndarray, "T D"]:
        """One unit vector a frame, float32."""
        pieces = [self._images(frames.pixels[part]) for part in parts(len(frames))]
        return np.concatenate(pieces) if pieces else np.zeros((0, self.width), np.float32)

    def texts(self, texts: Sequence[str], *, most_tokens: int | None = None) -> Float[np.ndarray, "B D"]:
        """One unit vector a text, float32; what is longer than the text tower, or than `most_tokens`, is cut."""
        pieces = [self._texts(texts[part], most_tokens) for part in parts(len(texts))]
        return np.concatenate(pieces) if pieces else np.zeros((0, self.width), np.float32)

    @property
    def width(self) -> int:
        """How many numbers a vector has."""
        config = self.network.config
        return int(getattr(config, "projection_dim", 0) or config.text_config.projection_size)

    def pixels(self, pictures: np.ndarray) -> dict[str, torch.Tensor]:
        """What the vision tower takes, for pictures uint8 `[T, 3, H, W]`, on its device."""
        made = self.processor.image_processor(
            images=list(torch.from_numpy(np.ascontiguousarray(pictures))),
            return_tensors="pt",
            input_data_format="channels_first",
        )
        number = self.network.dtype
        return {k: v.to(self.network.device, number if v.is_floating_point() else None) for k, v in made.items()}

    def tokens(self, texts: Sequence[str], *, most_tokens: int | None = None) -> dict[str, torch.Tensor]:
        """What the text tower takes, on its device; a text that is cut keeps its end token."""
        config = self.network.config
        most = config.text_config.max_position_embeddings
        padding = "max_length" if config.model_type in PADDED else True
        made = self.processor.tokenizer(
            list(texts),
            padding=padding,
            truncation=True,
            max_length=min(most_tokens or most, most),
            return_tensors="pt",
        )
        kept = ("input_ids",) if config.model_type in PADDED else ("input_ids", "attention_mask")
        return {key: made[key].to(self.network.device) for key in kept}

    def _images(self, pictures: np.ndarray) -> np.ndarray:
        with torch.inference_mode(), memory_named():
            return unit(self.network.get_image_features(**self.pixels(pictures)).pooler_output)

    def _texts(self, texts: Sequence[str], most_tokens: int | None) -> np.ndarray:
        with torch.inference_mode(), memory_named():
            return unit(self.network.get_text_features(**self.tokens(texts, most_tokens=most_tokens)).pooler_output)


def load(name_or_folder: str, *, device: str = "auto", dtype: str = "auto", revision: str | None = None) -> ClipEncoder:
    """An encoder from a folder or the hub: a CLIP, SigLIP or SigLIP 2 checkpoint of transformers.

    Args:
        name_or_folder: a folder with `config.json` and `*.safetensors`, or the id of a model on the hub.
        device: `auto` (a GPU where there is one), `cpu`, `cuda:1`, ...
        dtype: `auto` (as in the checkpoint), `float32`, `bfloat16`, `float16`.
        revision: a commit, branch or tag of the hub.

    Raises:
        ModelError: not found or no such encoder (exit 5), not allowed (7), not whole (3).
    """
    place, number = checked_device(device), checked_dtype(dtype)
    checkpoint = find(name_or_folder, revision=revision, trust_remote_code=False)
    with load_errors(checkpoint):
        network = _network(checkpoint, place, number)
        processor = transformers.AutoProcessor.from_pretrained(checkpoint.folder, local_files_only=True)
    return ClipEncoder(network, processor, name=name_or_folder, card=card(checkpoint, network))


def unit(vectors: torch.Tensor) -> np.ndarray:
    """Rows of length one, float32, in main memory."""
    return torch.nn.functional.normalize(vectors.float(), dim=-1).cpu().numpy()


def parts(count: int, size: int = BATCH) -> Iterator[slice]:
    """Slices that cover `count` things, `size` at a time.

    >>> list(parts(5, 3))
    [slice(0, 3, None), slice(3, 6, None)]
    """
    return (slice(start, start + size) for start in range(0, count, size))


def _network(checkpoint: Checkpoint, device: str, dtype: Any) -> Any:
    config = transformers.AutoConfig.from_pretrained(checkpoint.folder, local_files_only=True)
    if config.model_type not in ("clip", *PADDED):
        raise ModelError(
            f"{checkpoint.id} is {config.model_type!r}, no encoder of pictures and texts: pass a CLIP or SigLIP",
            code="no_encoder",
        )
    return load_network(transformers.AutoModel, checkpoint, device=device, dtype=dtype)
