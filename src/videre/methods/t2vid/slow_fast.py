"""Slow and fast: few frames with many tokens for what stands still, all frames with few tokens for what moves.

Source: SF-LLaVA, arXiv 2407.15841: 50 frames pooled to 4 x 4 tokens, 10 of them to half their rows.
Differs: both numbers follow the frames that the selector shows; tokens are pooled after the projector by averaging.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from videre import compat
from videre.errors import ModelError
from videre.models.handover import kept, upright
from videre.models.prompt import Prompter, check_length
from videre.models.session import Loaded, Watched
from videre.types import JSON, Answer, Frames, Question

compat.need_hf()

import numpy as np  # noqa: E402
import torch  # noqa: E402
from jaxtyping import Float  # noqa: E402
from transformers import DynamicCache  # noqa: E402
from transformers.cache_utils import DynamicLayer  # noqa: E402

from videre.methods.t2vid.rivals import untimed  # noqa: E402

WHOLE: tuple[dict[str, bool], ...] = ({"do_image_splitting": False}, {"crop_to_patches": False}, {})
"""How families are told to leave a picture in one piece, tried in this order."""


@dataclass(frozen=True)
class SlowFast:
    """How many tokens each pathway has.

    Attributes:
        slow_frames: frames of the slow pathway, spread evenly over those that are shown.
        slow_rows: rows of tokens of a slow frame are divided by this; columns stay.
        fast_side: rows and columns of tokens of a fast frame.
    """

    slow_frames: int = 10
    slow_rows: int = 2
    fast_side: int = 4

    def __post_init__(self) -> None:
        if min(self.slow_frames, self.slow_rows, self.fast_side) < 1:
            raise ValueError(f"one or more of each, got {self}")


class SlowFastModel:
    """An image model that reads a video as slow and fast tokens; answers as any other model does.

    Args:
        model: a loaded `videre.models.mllm.TransformersMLLM`, or the built-in model.
        paths: how many tokens each pathway has.

    Raises:
        ModelError: its family does not give one square of projected tokens for a picture.
    """

    def __init__(self, model: Any, paths: SlowFast | None = None) -> None:
        self._paths = paths or SlowFast()
        self._loaded = Loaded(model.network, Prompter(model.processor), model.card, 128)
        self.name = f"slow-fast:{model.name}"
        self.card: dict[str, JSON] = {**model.card, "shown_as": "slow-fast"}
        _image_token(self._loaded)

    def answer(self, frames: Iterable[Frames], question: Question) -> Answer:
        """The greedy reply; with options, the one that it names."""
        pictures = [picture for chunk in kept(frames) for picture in upright(chunk)]
        if not pictures:
            raise ValueError("slow and fast tokens are of one frame or more")
        return _Pooled(self._loaded, pictures, self._paths).answer(question)


class _Pooled(Watched):
    """A session whose head holds pooled tokens in place of a picture's own."""

    def __init__(self, loaded: Loaded, pictures: list[np.ndarray], paths: SlowFast) -> None:
        prompt = untimed(loaded.prompter, pictures[:1])
        ids = torch.as_tensor(prompt.inputs["input_ids"])[0].to(loaded.network.device)
        mark = _image_token(loaded)
        places = torch.nonzero(ids == mark).flatten()
        with loaded.turn():
            tokens = pooled(projected(loaded, pictures), paths)
            words = loaded.network.get_input_embeddings()
            before, after = ids[: places[0]], ids[places[-1] + 1 :]
            whole = torch.cat([words(before), tokens.to(loaded.network.dtype), words(after)])[None]
            self._ids = torch.cat([before, torch.full((len(tokens),), mark, device=ids.device), after])[None]
            check_length(self._ids.shape[1], loaded.network.config)
            self._cache = DynamicCache(config=loaded.network.config.get_text_config())
            loaded.network(inputs_embeds=whole, past_key_values=self._cache, use_cache=True, logits_to_keep=1)
        self.loaded, self.prompt, self._offset = loaded, prompt, None
        self._cuttable = all(type(layer) is DynamicLayer for layer in self._cache.layers)


def projected(loaded: Loaded, pictures: list[np.ndarray]) -> Float[torch.Tensor, "T N D"]:
    """The tokens of each picture as the language model would read them, each picture in one piece.

    Raises:
        ModelError: the family does not give them so.
    """
    network, processor = loaded.network, loaded.prompter.processor.image_processor
    given = None
    for whole in WHOLE:
        if all(hasattr(processor, name) for name in whole):
            given = processor(images=pictures, return_tensors="pt", **whole)
            break
    tensors = {name: value.to(network.device) for name, value in (given or {}).items() if name.startswith("pixel")}
    pixels = tensors["pixel_values"].to(network.dtype)
    inner = network.model
    if hasattr(inner, "multi_modal_projector") and pixels.ndim == 5:  # LLaVA: the first piece is the whole picture
        seen = inner.vision_tower(pixels[:, 0], output_hidden_states=True).hidden_states
        layer = network.config.vision_feature_layer
        return inner.multi_modal_projector(seen[layer if isinstance(layer, int) else layer[-1]])
    made = inner.get_image_features(**{**tensors, "pixel_values": pixels})
    tokens = getattr(made, "pooler_output", made)
    flat = torch.cat([one.reshape(-1, one.shape[-1]) for one in tokens])
    if len(flat) % len(pictures):
        raise ModelError(f"{type(network).__name__} gives {len(flat)} tokens for {len(pictures)} pictures")
    return flat.reshape(len(pictures), -1, flat.shape[-1])


def pooled(tokens: Float[torch.Tensor, "T N D"], paths: SlowFast) -> Float[torch.Tensor, "M D"]:
    """Slow tokens, then fast ones, frame after frame.

    Raises:
        ModelError: the tokens of a picture are no square.
    """
    count, number, width = tokens.shape
    side = round(number**0.5)
    if side * side != number:
        raise ModelError(f"{number} tokens a picture are no square: slow-fast cannot pool them")
    squares = tokens.reshape(count, side, side, width).permute(0, 3, 1, 2)
    chosen = np.unique(np.linspace(0, count - 1, min(paths.slow_frames, count)).round().astype(int))
    pool = torch.nn.functional.adaptive_avg_pool2d
    slow = pool(squares[torch.as_tensor(chosen)], (max(1, side // paths.slow_rows), side))
    fast = pool(squares, (min(side, paths.fast_side),) * 2)
    return torch.cat([part.permute(0, 2, 3, 1).reshape(-1, width) for part in (slow, fast)])


def _image_token(loaded: Loaded) -> int:
    config = loaded.network.config
    mark = getattr(config, "image_token_id", None) or getattr(config, "image_token_index", None)
    if mark is None or hasattr(getattr(loaded.network, "model", None), "rope_deltas"):
        raise ModelError(
            f"{type(loaded.network).__name__} reads pictures by their place, not as a row of tokens: slow-fast needs "
            "a family such as InternVL, Idefics3, SmolVLM or LLaVA"
        )
    return int(mark)
