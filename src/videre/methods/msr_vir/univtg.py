"""UniVTG, which finds an action among the clips of a video; own code, in the layout of the official checkpoints.

Source: Lin et al., "UniVTG: Towards Unified Video-Language Temporal Grounding", ICCV 2023; parameter names and the
demo's decoding as in github.com/showlab/UniVTG (MIT) at 7c46c7d. Differs: dropout and losses are left out, as this runs
trained weights alone; a window restricts the clips whose centres lie in it.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from videre import compat
from videre.errors import ModelError
from videre.types import JSON, Span, Video

compat.need_hf()

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from videre.methods.msr_vir.memory import video_key  # noqa: E402
from videre.methods.msr_vir.univtg_network import HEADS, UniVTG  # noqa: E402
from videre.models import clip  # noqa: E402

ENCODER = "openai/clip-vit-base-patch32"
OVERLAP = 0.7
"""Of two spans that overlap more than this, the weaker one is dropped."""


def decoded(scores: np.ndarray, offsets: np.ndarray, *, clip_seconds: float) -> np.ndarray:
    """Spans in seconds `[L, 2]`, best first, with their scores as a third column.

    Source: the official demo: the centre of clip i lies at (i + clip_seconds / 2) / L.
    """
    count = len(scores)
    centres = (np.arange(count) + clip_seconds / 2) / count
    spans = (offsets.astype(np.float64) + centres[:, None]) * count * clip_seconds
    order = np.argsort(-scores, kind="stable")
    return np.column_stack([spans, scores])[order]


def apart(spans: np.ndarray, *, most: int) -> list[int]:
    """Places of spans that overlap none of the better ones by more than `OVERLAP`, in order."""
    kept: list[int] = []
    for i, (start, end, _) in enumerate(spans):
        others = spans[kept]
        inter = np.minimum(end, others[:, 1]) - np.maximum(start, others[:, 0])
        union = np.maximum(end, others[:, 1]) - np.minimum(start, others[:, 0])
        if not (np.maximum(inter, 0) / np.maximum(union, 1e-9) > OVERLAP).any():
            kept.append(i)
        if len(kept) == most:
            break
    return kept


@dataclass
class Trained:
    """A `TemporalGrounder` over UniVTG and the CLIP that it was trained on; made by `load`."""

    network: UniVTG
    encoder: Any
    told: Mapping[str, JSON]
    clip_seconds: float = 2.0
    name: str = "univtg"
    seen: dict[str, Tensor] = field(default_factory=dict)

    @property
    def card(self) -> Mapping[str, JSON]:
        """Weights, encoder and settings."""
        encoder = dict(self.encoder.card)
        return {"name": self.name, "encoder": encoder, "clip_seconds": self.clip_seconds, **self.told}

    def ground(self, video: Video, query: str, *, window: Span, top_k: int = 1) -> list[Span]:
        """The best spans whose clips lie in the window, cut to it."""
        clips = self._clips(video)
        with torch.inference_mode():
            scores, offsets = self.network(clips, self._words(query))
        spans = decoded(scores.numpy(), offsets.numpy(), clip_seconds=self.clip_seconds)
        middles = (np.argsort(-scores.numpy(), kind="stable") + 0.5) * self.clip_seconds
        spans = spans[(middles >= window.start_seconds) & (middles <= window.end_seconds)]
        found = []
        for start, end, score in spans[apart(spans, most=top_k)]:
            low, high = max(start, window.start_seconds), min(end, window.end_seconds)
            found += [Span(float(low), float(high), float(score))] if low < high else []
        return found

    def _clips(self, video: Video) -> Tensor:
        name = video_key(video)
        if name not in self.seen:
            self.seen.clear()
            features = np.concatenate([self.encoder.images(chunk) for chunk in video.stream(1 / self.clip_seconds)])
            first = np.arange(len(features))[:, None] / len(features)
            table = np.concatenate([features, first, first + 1 / len(features)], 1)
            self.seen[name] = torch.from_numpy(table.astype(np.float32))
        return self.seen[name]

    def _words(self, query: str) -> Tensor:
        with torch.inference_mode():
            tokens = self.encoder.tokens([query])
            states = self.encoder.network.text_model(**tokens).last_hidden_state[0].float().cpu()
        return states / (states.norm(dim=-1, keepdim=True) + 1e-5)


def load(path: str, *, encoder: str = ENCODER, folder: Path | None = None) -> Trained:
    """UniVTG out of an official checkpoint: `{"model": ...}`, read as weights and plain options, never as code.

    Raises:
        ModelError: no such file, no such checkpoint, or one for features of another extractor.
    """
    state, options = _read(path)
    try:
        sizes = _sizes(state)
    except KeyError as error:
        raise ModelError(f"{path}: no UniVTG checkpoint: it has no {error}", code="load") from error
    eyes = clip.load(encoder)
    wanted = (eyes.width + 2, eyes.network.config.text_config.hidden_size)
    if (sizes["video"], sizes["text"]) != wanted:
        found = f"{sizes['video']} and {sizes['text']} wide features"
        raise ModelError(f"{path} was trained on {found}, {encoder} gives {wanted[0]} and {wanted[1]}", code="load")
    network = UniVTG(**sizes, heads=int(options.get("nheads", HEADS)))
    network.load_state_dict(state)
    length = float(options.get("clip_length", 2.0))
    told = {"weights": Path(path).name, "licence": "not stated", "parameters": sum(v.numel() for v in state.values())}
    return Trained(network.eval(), eyes, told, clip_seconds=length)


def _read(path: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if not Path(path).is_file():
        raise ModelError(f"{path}: no such checkpoint; give the official model_best.ckpt", code="not_found")
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            kept = torch.load(path, map_location="cpu", weights_only=True)
        options = kept.get("opt") or {}
        return kept["model"], options if isinstance(options, dict) else vars(options)
    except Exception as error:  # what a file that is no checkpoint raises is the library's own affair
        raise ModelError(f"{path}: not a checkpoint of UniVTG: {error}".splitlines()[0], code="load") from error


def _sizes(state: Mapping[str, Tensor]) -> dict[str, int]:
    inputs = {"video": "input_vid_proj.0.LayerNorm.weight", "text": "input_txt_proj.0.LayerNorm.weight"}
    sizes = {name: len(state[key]) for name, key in inputs.items()}
    layers = {key.split(".")[3] for key in state if key.startswith("transformer.encoder.layers.")}
    projections = {key.split(".")[1] for key in state if key.startswith("input_vid_proj.")}
    sizes |= {"width": state["token_type_embeddings.weight"].shape[1], "layers": len(layers)}
    sizes |= {"inner": len(state["transformer.encoder.layers.0.linear1.bias"]), "projections": len(projections)}
    return sizes | {"words": len(state["txt_position_embed.position_embeddings.weight"])}
