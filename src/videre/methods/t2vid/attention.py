"""Who looks at whom among frames: attention summed up frame by frame while it is computed, never kept whole.

Source: [N] v1 of arXiv 2411.19951 looks at attention maps to say that frames are read by themselves and put together
late; no code is published.
Differs: a number for that, from hooks that reduce each layer at once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from videre import compat
from videre.errors import ModelError
from videre.models.handover import kept, upright
from videre.models.prompt import Prompter
from videre.models.session import memory_named, on_device
from videre.options import listed
from videre.types import Frames, Question

compat.need_hf()

import torch  # noqa: E402

from videre.methods.t2vid.rivals import untimed  # noqa: E402


@dataclass(frozen=True, eq=False)
class Looks:
    """Shares of attention; every row sums to 1.

    Attributes:
        frames: from each frame to each frame and, last, to everything else: mean over tokens, heads and layers.
        text: from the words after the pictures to each frame and, last, to everything else.
        layers: the same as `frames` for each layer.
    """

    frames: Float[np.ndarray, "T K"]
    text: Float[np.ndarray, " K"]
    layers: Float[np.ndarray, "L T K"]

    @property
    def within(self) -> float:
        """The mean share of what frames give to frames that stays in the frame itself."""
        own = self.frames[:, :-1]
        return float(np.mean(np.diag(own) / own.sum(1)))

    @property
    def neighbour(self) -> float:
        """The mean share of it that goes to the frame before; NaN for a single frame."""
        own = self.frames[:, :-1]
        return float(np.mean(np.diag(own, -1) / own[1:].sum(1))) if len(own) > 1 else float("nan")

    @property
    def text_entropy(self) -> float:
        """How evenly words look at frames: 1 is all the same, 0 is one frame alone."""
        shares = self.text[:-1] / self.text[:-1].sum()
        if len(shares) < 2:
            return 0.0
        return float(-(shares * np.log(np.maximum(shares, 1e-12))).sum() / np.log(len(shares)))


def looks(model: Any, frames: list[Frames], question: Question) -> Looks:
    """The attention of a model while it reads frames as pictures and a question.

    Args:
        model: a loaded `videre.models.mllm.TransformersMLLM`, or the built-in model.
        frames: of one size.
        question: what is asked.

    Raises:
        ModelError: its attention cannot be read.
    """
    pictures = [picture for chunk in kept(frames) for picture in upright(chunk)]
    prompter, network = Prompter(model.processor), model.network
    prompt = untimed(prompter, pictures)
    inputs = on_device(prompt, network)
    ids = torch.as_tensor(inputs["input_ids"])
    rest = torch.tensor([prompter.question(prompt, listed(question))], device=ids.device)
    inputs["input_ids"] = torch.cat([ids, rest], 1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    if "mm_token_type_ids" in inputs:
        inputs["mm_token_type_ids"] = torch.cat([inputs["mm_token_type_ids"], torch.zeros_like(rest)], 1)
    owner = owners(inputs["input_ids"][0], _image_token(network), len(pictures), asked=rest.shape[1])
    with _eager(network), torch.inference_mode(), memory_named(), _summing(network, owner, len(pictures)) as sums:
        network(**inputs, use_cache=False, logits_to_keep=1)
    if not sums:
        raise ModelError(f"{type(network).__name__} gives no attention to look at")
    layers = np.stack([one for one, _ in sums])
    return Looks(layers.mean(0), np.stack([one for _, one in sums]).mean(0), layers)


def owners(ids: Any, mark: int, frames: int, *, asked: int) -> torch.Tensor:
    """Whose each token is `[S]`: 0 up to T - 1 a frame's, T nobody's, T + 1 a word after the pictures."""
    places = torch.nonzero(ids == mark).flatten()
    if not frames or len(places) % frames or not len(places):
        raise ModelError(f"{len(places)} picture tokens for {frames} frames: not the same number for each")
    owner = torch.full_like(ids, frames)
    owner[places] = torch.arange(frames, device=ids.device).repeat_interleave(len(places) // frames)
    owner[-asked:] = frames + 1
    return owner


@contextmanager
def _summing(network: Any, owner: torch.Tensor, frames: int) -> Iterator[list[tuple[np.ndarray, np.ndarray]]]:
    """Collects `[T, T + 1]` and `[T + 1]` of each layer; a layer's own map `[heads, S, S]` is dropped at once."""
    sums: list[tuple[np.ndarray, np.ndarray]] = []
    keys = torch.nn.functional.one_hot(owner.clamp(max=frames), frames + 1)

    def look(_: Any, __: Any, out: Any) -> None:
        weights = out[1] if isinstance(out, tuple) and len(out) > 1 else None
        if weights is None or weights.ndim != 4 or weights.shape[-1] != len(owner):
            return
        shares = weights[0].float().mean(0) @ keys.float().to(weights.device)
        rows = [shares[(owner == frame).to(shares.device)].mean(0) for frame in range(frames)]
        words = shares[(owner == frames + 1).to(shares.device)].mean(0)
        sums.append((torch.stack(rows).double().cpu().numpy(), words.double().cpu().numpy()))

    decoder = network.model.language_model if hasattr(network.model, "language_model") else network.model.text_model
    hooks = [
        module.register_forward_hook(look) for name, module in decoder.named_modules() if name.endswith("self_attn")
    ]
    try:
        yield sums
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _eager(network: Any) -> Iterator[None]:
    """Attention that tells its weights, and afterwards what it was before."""
    before = network.config._attn_implementation
    network.set_attn_implementation("eager")
    try:
        yield
    finally:
        network.set_attn_implementation(before)


def _image_token(network: Any) -> int:
    mark = getattr(network.config, "image_token_id", None) or getattr(network.config, "image_token_index", None)
    if mark is None:
        raise ModelError(f"{type(network).__name__} has no token that stands for a picture")
    return int(mark)
