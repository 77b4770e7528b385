"""What a run will cost in tokens and memory, from configuration and processor alone: no weight is read.

The processor is given frames without content (tensors on torch's `meta` device, which have a shape and no memory), so
the count is its own count, with its own resizing and budgets.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from videre import compat
from videre.types import JSON, Frames, Question

compat.need_hf()

import torch  # noqa: E402
import transformers  # noqa: E402
from transformers.utils import logging  # noqa: E402

from videre.models.handover import Abilities, Handed, Handover, Mode, choose, hand_over  # noqa: E402
from videre.models.loading import load_errors  # noqa: E402
from videre.models.mllm import load_processor  # noqa: E402
from videre.models.prompt import Prompt, Prompter  # noqa: E402
from videre.models.weights import Checkpoint, find, weight_files  # noqa: E402
from videre.options import listed  # noqa: E402

MEASURED_FRAMES = 8
"""Where a processor does not take frames without content: measured on so many real ones, then in proportion."""


def estimate(
    name_or_path: str,
    frames_count: int,
    width_px: int,
    height_px: int,
    *,
    question: Question | None = None,
    handover: Handover = "auto",
    dtype: str = "auto",
    revision: str | None = None,
) -> dict[str, JSON]:
    """Tokens and bytes of one question about so many frames of this size.

    Args:
        name_or_path: as in `videre.models.mllm.load`; of a hub only text files are fetched.
        frames_count: frames shown.
        width_px: width of each, as displayed.
        height_px: height of each.
        question: what is asked; None counts a short open question.
        handover: as in `load`.
        dtype: as in `load`.
        revision: as in `load`.

    Returns:
        `handover`, `visual_tokens` (all that the frames add, their time marks too), `prompt_tokens`,
        `context_tokens` (what the model reads at most), `parameters`, `weights_bytes`, `kv_cache_bytes` (of the
        prompt), `pixel_bytes` (what the processor makes of the frames), `total_bytes` (the sum of the three; the run
        needs some more for its steps).

    Raises:
        ModelError: as `load`.
    """
    if min(frames_count, width_px, height_px) < 1:
        raise ValueError(f"one frame or more of one pixel or more, got {frames_count=} {width_px=} {height_px=}")
    checkpoint = find(name_or_path, revision=revision, trust_remote_code=False, weights=False)
    with load_errors(checkpoint):
        config = transformers.AutoConfig.from_pretrained(checkpoint.folder, local_files_only=True)
        prompter = Prompter(load_processor(checkpoint), handover=handover)
        parameters = _parameters(config)
    number = _number(config, dtype)
    asked = listed(question or Question("What happens in the video?"))
    with _hushed():  # resizing is told to be inexact where pictures have no content: nothing is resized here
        seen = _tokens(prompter, asked, frames_count, size_px=(height_px, width_px))
    bytes_ = {
        "weights_bytes": _stored_bytes(checkpoint) if dtype == "auto" else parameters * number.itemsize,
        "kv_cache_bytes": _kv_bytes(config.get_text_config(), seen["tokens"], number.itemsize),
        "pixel_bytes": seen["pixels"] * number.itemsize,
    }
    bytes_["weights_bytes"] = bytes_["weights_bytes"] or parameters * number.itemsize
    return {
        "handover": seen["mode"],
        "visual_tokens": seen["visual"],
        "prompt_tokens": seen["tokens"],
        "context_tokens": getattr(config.get_text_config(), "max_position_embeddings", None),
        "parameters": parameters,
        **bytes_,
        "total_bytes": sum(bytes_.values()),
    }


@contextmanager
def _hushed() -> Iterator[None]:
    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)


def _tokens(prompter: Prompter, asked: str, count: int, *, size_px: tuple[int, int]) -> dict[str, Any]:
    """Tokens of the whole prompt, how many of them the frames bring, and how many numbers their pixels become."""
    mode = choose(prompter.handover, [_blank(count, (2, 2))], abilities=prompter.abilities)
    try:
        handed, scale = _weightless(count, size_px, mode, prompter.abilities), 1.0
        tokens, pixels = _counted(prompter, prompter.assemble(handed, mode, count), asked)
    except NotImplementedError:  # What torch raises where a processor asks for the content.
        few = min(count, MEASURED_FRAMES)
        handed, scale = hand_over([_blank(few, size_px)], mode, abilities=prompter.abilities), count / few
        tokens, pixels = _counted(prompter, prompter.assemble(handed, mode, few), asked)
    without, _ = _counted(prompter, prompter.read([]), asked)
    visual = round((tokens - without) * scale)
    return {"mode": mode, "visual": visual, "tokens": without + visual, "pixels": round(pixels * scale)}


def _counted(prompter: Prompter, prompt: Prompt, asked: str) -> tuple[int, int]:
    pixels = sum(value.numel() for name, value in prompt.inputs.items() if name.startswith("pixel_values"))
    return prompt.inputs["input_ids"].shape[1] + len(prompter.question(prompt, asked)), pixels


def _weightless(count: int, size: tuple[int, int], mode: Mode, abilities: Abilities) -> Handed:
    """The frames as message parts, whose pictures have a shape and no memory."""
    handed = hand_over([_blank(count, (2, 2))], mode, abilities=abilities)
    images: list[Any] = [_meta(3, *size) for _ in handed.images]
    videos: list[Any] = [_meta(len(video), 3, *size) for video in handed.videos]
    return Handed(handed.content, images, videos, handed.clocks)


def _meta(*shape: int) -> torch.Tensor:
    return torch.empty(shape, dtype=torch.uint8, device="meta")


def _blank(count: int, size: Sequence[int]) -> Frames:
    return Frames(np.zeros((count, 3, *size), np.uint8), np.arange(count, dtype=np.float64))


def _parameters(config: Any) -> int:
    with torch.device("meta"):
        network = transformers.AutoModelForMultimodalLM.from_config(config)
    return sum(weight.numel() for weight in network.parameters())


def _number(config: Any, dtype: str) -> torch.dtype:
    found = getattr(config, "dtype", None) if dtype == "auto" else getattr(torch, dtype, None)
    if dtype != "auto" and not isinstance(found, torch.dtype):
        raise ValueError(f"dtype is auto, float32, bfloat16 or float16, got {dtype!r}")
    return found if isinstance(found, torch.dtype) else torch.float32


def _stored_bytes(checkpoint: Checkpoint) -> int:
    """The size of the weights in the folder; 0 where they are not there."""
    return sum(file.stat().st_size for file in weight_files(checkpoint.folder) if file.is_file())


def _kv_bytes(text: Any, tokens: int, itemsize: int) -> int:
    """Keys and values of a prompt in every layer; sliding windows hold at most their window."""
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    kinds = getattr(text, "layer_types", None) or ["full_attention"] * text.num_hidden_layers
    window = getattr(text, "sliding_window", None) or tokens
    held = sum(min(tokens, window) if "sliding" in kind else tokens for kind in kinds)
    return 2 * held * heads * width * itemsize
