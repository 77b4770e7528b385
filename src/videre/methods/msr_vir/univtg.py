"""UniVTG, which finds an action among the clips of a video; own code, in the layout of the official checkpoints.

Source: Lin et al., "UniVTG: Towards Unified Video-Language Temporal Grounding", ICCV 2023; parameter names and the
demo's decoding as in github.com/showlab/UniVTG (MIT) at 7c46c7d. Differs: dropout and losses are left out, as this runs
trained weights alone; a window restricts the clips whose centres lie in it.
"""

import argparse
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from videre import compat
from videre.errors import ModelError
from videre.types import JSON, Span, Video

compat.need_hf()

import torch  # noqa: E402
from jaxtyping import Float  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from videre.methods.msr_vir.memory import video_key  # noqa: E402
from videre.models import clip  # noqa: E402

ENCODER = "openai/clip-vit-base-patch32"
HEADS = 8
OVERLAP = 0.7
"""Of two spans that overlap more than this, the weaker one is dropped."""


class Project(nn.Module):
    """A layer norm, then a linear map, then perhaps ReLU."""

    def __init__(self, wide: int, to: int, *, relu: bool) -> None:
        super().__init__()
        self.LayerNorm = nn.LayerNorm(wide)
        self.net = nn.Sequential(nn.Identity(), nn.Linear(wide, to))
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """`[B, L, wide]` to `[B, L, to]`."""
        x = self.net(self.LayerNorm(x))
        return x.relu() if self.relu else x


class Head(nn.Module):
    """Convolutions of width 3 along the clips, ReLU between them."""

    def __init__(self, width: int, to: int) -> None:
        super().__init__()
        sizes = [width, width, width, to]
        self.layers = nn.ModuleList(nn.Conv1d(a, b, 3, padding=1) for a, b in pairwise(sizes))

    def forward(self, x: Tensor) -> Tensor:
        """`[B, L, width]` to `[B, L, to]`."""
        x = x.transpose(1, 2)
        for layer in self.layers[:-1]:
            x = layer(x).relu()
        return self.layers[-1](x).transpose(1, 2)


class Layer(nn.Module):
    """A post-norm encoder layer whose queries and keys carry positions, its values none."""

    def __init__(self, width: int, inner: int, heads: int) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(width, heads)
        self.linear1, self.linear2 = nn.Linear(width, inner), nn.Linear(inner, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor, places: Tensor) -> Tensor:
        """`[L, B, width]` to the same."""
        at = x + places
        x = self.norm1(x + self.self_attn(at, at, x, need_weights=False)[0])
        return self.norm2(x + self.linear2(nn.functional.gelu(self.linear1(x))))


def _projections(wide: int, to: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(Project(to if i else wide, to, relu=i < count - 1) for i in range(count)))


class UniVTG(nn.Module):
    """The network: clips and words in, a score and two offsets a clip out.

    Args:
        video: width of a clip's features, its two time features included.
        text: width of a word's features.
        width: of the encoder.
        layers: of the encoder.
        inner: width inside a layer.
        projections: layers of each input projection.
        words: positions that the (unused) table of word positions holds.
        heads: of attention.
    """

    def __init__(
        self,
        *,
        video: int = 514,
        text: int = 512,
        width: int = 1024,
        layers: int = 4,
        inner: int = 1024,
        projections: int = 2,
        words: int = 75,
        heads: int = HEADS,
    ) -> None:
        super().__init__()
        self.transformer: Any = nn.Module()
        self.transformer.encoder = nn.Module()
        self.transformer.encoder.layers = nn.ModuleList(Layer(width, inner, heads) for _ in range(layers))
        self.txt_position_embed = nn.Module()
        self.txt_position_embed.position_embeddings = nn.Embedding(words, width)
        self.txt_position_embed.LayerNorm = nn.LayerNorm(width)
        self.token_type_embeddings = nn.Embedding(2, width)
        self.span_embed, self.class_embed = Head(width, 2), Head(width, 1)
        self.input_txt_proj = _projections(text, width, projections)
        self.input_vid_proj = _projections(video, width, projections)
        self.weightedpool = nn.Module()
        self.weightedpool.weight = nn.Parameter(torch.empty(width, 1))
        nn.init.xavier_uniform_(self.weightedpool.weight)

    def forward(
        self, clips: Float[Tensor, "L V"], words: Float[Tensor, "N W"]
    ) -> tuple[Float[Tensor, " L"], Float[Tensor, "L 2"]]:
        """Foreground score of each clip in (0, 1), and its offsets to start (below 0) and end, in shares."""
        seen = self.input_vid_proj(clips[None]) + self.token_type_embeddings.weight[1]
        read = self.input_txt_proj(words[None]) + self.token_type_embeddings.weight[0]
        x = torch.cat([seen, read], 1).transpose(0, 1)
        places = torch.cat([sines(len(clips), seen.shape[-1]).to(x), torch.zeros_like(read[0])])[:, None]
        for layer in self.transformer.encoder.layers:
            x = layer(x, places)
        memory = x.transpose(0, 1)[:, : len(clips)]
        offsets = self.span_embed(memory).sigmoid() * torch.tensor([-1.0, 1.0], device=x.device)
        return self.class_embed(memory).sigmoid()[0, :, 0], offsets[0]


def sines(count: int, width: int) -> Float[Tensor, "L D"]:
    """Positions 1 to `count`, scaled to a full turn, as sines and cosines."""
    place = torch.arange(1, count + 1, dtype=torch.float32) / (count + 1e-6) * (2 * math.pi)
    rate = 10000 ** (2 * (torch.arange(width) // 2) / width)
    turns = place[:, None] / rate
    return torch.stack([turns[:, 0::2].sin(), turns[:, 1::2].cos()], 2).flatten(1)


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
