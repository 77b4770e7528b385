"""An image chat model of transformers that reads a video as one picture: LLaVA and its like, BLIP-2, InstructBLIP."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from videre import compat
from videre.errors import USAGE, ModelError
from videre.types import JSON, Frames

compat.need_hf()

import torch  # noqa: E402
import transformers  # noqa: E402
from PIL import Image  # noqa: E402
from torch import Tensor  # noqa: E402
from transformers.modeling_outputs import BaseModelOutputWithPooling  # noqa: E402

from videre.methods.bt_adapter import store  # noqa: E402
from videre.methods.bt_adapter.blip_chat import BlipChat  # noqa: E402
from videre.methods.bt_adapter.branch import Branch, BranchConfig  # noqa: E402
from videre.methods.bt_adapter.chat import Compat, Pooling, video_tokens  # noqa: E402
from videre.methods.bt_adapter.tower import Tower  # noqa: E402
from videre.models import mllm  # noqa: E402
from videre.models.handover import Handed, kept  # noqa: E402
from videre.models.prompt import Prompt, Prompter  # noqa: E402


class Eyes:
    """How a chat model sees a video: takes the place of its `get_image_features`.

    Args:
        inner: the part of the network that holds `vision_tower` and `multi_modal_projector`.
        config: of the network.
        branch: of the adapter; None for a pooling without one.
        pooling: see `chat.Pooling`.
        official: see `chat.Compat`.
    """

    def __init__(self, inner: Any, config: Any, branch: Branch | None, *, pooling: Pooling, official: Compat) -> None:
        if not isinstance(config.vision_feature_layer, int):
            raise ModelError("this chat model joins several layers of its tower; the adapter stands beside one")
        self.inner, self.config, self.branch = inner, config, branch
        self.pooling, self.official = pooling, official

    @property
    def tower(self) -> Tower:
        """The picture tower."""
        return Tower(self.inner.vision_tower)

    def count(self, frames: int) -> int:
        """Tokens that a video of so many frames takes."""
        patches = self.tower.patches + (frames if self.pooling == "st-pool" else 0)
        return patches + self._cls + (self._newline is not None)

    def features(self, pixel_values: Float[Tensor, "T 3 H W"], *_: Any, **__: Any) -> BaseModelOutputWithPooling:
        """What the words of the chat model are given in place of a picture's: one list entry, `[N, D]`."""
        patches, cls = video_tokens(
            self.tower,
            self.branch,
            pixel_values[None],
            layer=self.config.vision_feature_layer,
            compat=self.official,
            pooling=self.pooling,
        )
        order = [patches, cls] if self.official == "official" else [cls, patches]
        tokens = torch.cat(order, 1) if self._cls else patches
        found = self.inner.multi_modal_projector(tokens.to(self.inner.dtype))[0]
        if self._newline is not None:
            found = torch.cat([found, self._newline[None].to(found)])
        return BaseModelOutputWithPooling(pooler_output=[found])  # type: ignore[arg-type]

    @property
    def _cls(self) -> bool:
        """Whether CLS is a token: the released adapter puts it last; else as the chat model was trained on pictures."""
        if not self.tower.has_cls:
            return False
        return self.official == "official" or self.config.vision_feature_select_strategy == "full"

    @property
    def _newline(self) -> Tensor | None:
        """What LLaVA-NeXT puts behind a picture of a single tile."""
        return getattr(self.inner, "image_newline", None)


class VideoPrompter(Prompter):
    """Turns all frames into one picture's place in the prompt, and their pixels as the tower takes them.

    Args:
        processor: of the chat model.
        eyes: tells how many tokens a video takes.
    """

    def __init__(self, processor: Any, eyes: Eyes) -> None:
        super().__init__(processor)
        self.eyes = eyes

    def read(self, frames: Iterable[Frames]) -> Prompt:
        """See `Prompter.read`; chunks are joined, and their labels are not told."""
        chunks = kept(frames)
        if not chunks:
            return self.assemble(Handed([]), None, 0)
        pixels = torch.cat([self.pixels(chunk) for chunk in chunks])
        return self.assemble(Handed([{"type": "image"}], images=[pixels]), "video", len(pixels))

    def pixels(self, chunk: Frames) -> Float[Tensor, "T 3 H W"]:
        """Frames as the tower takes them; for the official variant they are squeezed into a square first."""
        pictures = [Image.fromarray(np.ascontiguousarray(picture.transpose(1, 2, 0))) for picture in chunk.pixels]
        if self.eyes.official == "official":
            side = self._size["height"]
            pictures = [picture.resize((side, side), Image.Resampling.NEAREST) for picture in pictures]
        return self._images(images=pictures, return_tensors="pt")["pixel_values"]

    def _process(self, text: str, handed: Handed) -> dict[str, Any]:
        if not handed.images:
            return super()._process(text, handed)
        (pixels,) = handed.images
        token = self.processor.image_token
        whole = text.replace(token, token * self.eyes.count(len(pixels)), 1)
        special = not self._starts_with_bos(text)
        return {**self.tokenizer(whole, add_special_tokens=special, return_tensors="pt"), "pixel_values": pixels}

    @property
    def _size(self) -> dict[str, int]:
        side = int(self.eyes.inner.vision_tower.config.image_size)
        return {"height": side, "width": side}

    @property
    def _images(self) -> Any:
        """A processor of single tiles: the chat model's own may cut pictures into several."""
        own, size = self.processor.image_processor, self._size
        crops = self.eyes.tower.has_cls  # CLIP crops the middle, SigLIP takes the picture whole.
        return transformers.CLIPImageProcessor(
            size={"shortest_edge": size["height"]} if crops else size,
            crop_size=size,
            do_center_crop=crops,
            image_mean=own.image_mean,
            image_std=own.image_std,
        )


def load(
    name_or_path: str,
    adapter: str | Path | None = None,
    *,
    pooling: Pooling = "adapter",
    official: Compat = "none",
    **loader: Any,
) -> mllm.TransformersMLLM | BlipChat:
    """An image chat model that reads videos, through an adapter, or with its frames pooled without one.

    Args:
        name_or_path: a LLaVA, LLaVA-NeXT, LLaVA-OneVision, BLIP-2 or InstructBLIP: a folder or a hub id.
        adapter: a folder of `videre train adapter`, `videre train bt-chat` or `videre adapter import`, trained beside
            the chat model's tower.
        pooling: see `chat.Pooling`; without an adapter, `frame-mean` or `st-pool`.
        official: see `chat.Compat`.
        loader: of `models.mllm.load`: device, dtype, revision, trust_remote_code, answer_tokens.

    Raises:
        ModelError: one of them cannot be loaded, the family is another, or the two do not fit.
    """
    if (adapter is None) == (pooling == "adapter"):
        raise ModelError("name an adapter, or pooling=frame-mean or st-pool without one", code="adapter", exit_code=2)
    whole = mllm.load(name_or_path, **loader)
    seen: dict[str, JSON] = {"pooling": pooling, "compat": official}
    seen["adapter"] = store.facts(adapter) if adapter else None
    told: dict[str, Any] = {"name": f"bt-adapter:{name_or_path}"}
    told["card"] = {**whole.card, "handover": "one picture", "video": seen}
    made = _blip if hasattr(whole.network, "qformer") else _llava
    model = made(whole, adapter, pooling, official, told)
    if adapter:
        store.fill_projector(projector(model), adapter)
    return model


def projector(model: Any) -> torch.nn.Module:
    """The map of a chat model from what it sees to the space of its words."""
    network = model.network
    return getattr(network, "language_projection", None) or network.model.multi_modal_projector


def vision_of(model: Any) -> Any:
    """The picture tower of a chat model."""
    network = model.network
    return network.vision_model if hasattr(network, "qformer") else network.model.vision_tower


def branch_of(model: Any) -> Branch | None:
    """The branch of a chat model that `load` gave."""
    network = model.network
    return getattr(network if hasattr(network, "qformer") else network.model, "bt_adapter", None)


def _llava(whole: Any, adapter: Any, pooling: Pooling, official: Compat, told: Any) -> mllm.TransformersMLLM:
    inner: Any = getattr(whole.network, "model", None)
    if not hasattr(inner, "vision_tower") or not hasattr(inner, "multi_modal_projector"):
        kind = type(whole.network).__name__
        raise ModelError(f"{told['name']}: {kind} is no LLaVA, LLaVA-NeXT, LLaVA-OneVision, BLIP-2 or InstructBLIP")
    branch = _branch(inner.vision_tower, adapter) if adapter else None
    eyes = Eyes(inner, whole.network.config, branch, pooling=pooling, official=official)
    inner.get_image_features = eyes.features
    if branch is not None:
        inner.add_module("bt_adapter", branch)
    return mllm.TransformersMLLM(whole.network, VideoPrompter(whole.processor, eyes), **told)


def _blip(whole: Any, adapter: Any, pooling: Pooling, official: Compat, told: Any) -> BlipChat:
    if official == "official":
        raise ModelError("the released adapter knows LLaVA alone: leave out compat=official", exit_code=USAGE)
    network = whole.network
    branch = _branch(network.vision_model, adapter) if adapter else None
    if branch is not None:
        network.add_module("bt_adapter", branch)
    return BlipChat(network, whole.processor, branch, pooling=pooling, **told)


def _branch(vision: Any, adapter: str | Path) -> Branch:
    tower = Tower(vision.requires_grad_(False))
    store.check_tower(adapter, tower)
    branch = Branch(tower, BranchConfig(**store.facts(adapter)["branch"]))
    store.fill(branch, adapter)
    weight = next(vision.parameters())
    return branch.to(weight.device, weight.dtype).eval()
