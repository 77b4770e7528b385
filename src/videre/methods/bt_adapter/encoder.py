"""Videos and texts in one space, through a frozen pair and its branch, or through the pair alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, UInt8

from videre import compat
from videre.types import JSON, Frames, Video

compat.need_hf()

import torch  # noqa: E402

from videre.methods.bt_adapter import store  # noqa: E402
from videre.methods.bt_adapter.adapter import Adapter  # noqa: E402
from videre.models import clip  # noqa: E402
from videre.models.session import memory_named  # noqa: E402

FRAMES_AT_ONCE = 64


class VideoEncoder:
    """An encoder of clips. It is a `videre.types.Encoder` too: the vectors of the frames of one clip then know of time.

    Args:
        encoder: the frozen pair.
        adapter: beside it; without a branch, the mean of the frames.
        name: what records call it.
        note: what the card adds about the branch.
    """

    def __init__(self, encoder: clip.ClipEncoder, adapter: Adapter, *, name: str, note: JSON = None) -> None:
        self.encoder, self.adapter, self.name = encoder, adapter, name
        self.card: dict[str, JSON] = {**encoder.card, "adapter": note}

    @property
    def width(self) -> int:
        """How many numbers a vector has."""
        return self.encoder.width

    def clips(self, pixels: UInt8[np.ndarray, "B T 3 H W"]) -> Float[np.ndarray, "B D"]:
        """One unit vector a clip, float32. Un-normalised frame vectors are averaged, as the method has it."""
        size = max(1, FRAMES_AT_ONCE // max(1, pixels.shape[1]))
        pieces = [self._clips(pixels[part]) for part in clip.parts(len(pixels), size)]
        return np.concatenate(pieces) if pieces else np.zeros((0, self.width), np.float32)

    def images(self, frames: Frames) -> Float[np.ndarray, "T D"]:
        """One unit vector a frame of one clip, float32."""
        if not len(frames):
            return np.zeros((0, self.width), np.float32)
        with torch.inference_mode(), memory_named():
            return clip.unit(self.adapter.frames(self.adapter.run(self.prepared(frames.pixels[None])))[0])

    def texts(self, texts: Sequence[str], *, most_tokens: int | None = None) -> Float[np.ndarray, "B D"]:
        """One unit vector a text, by the frozen text tower; see `ClipEncoder.texts`."""
        return self.encoder.texts(texts, most_tokens=most_tokens)

    def prepared(self, pixels: UInt8[np.ndarray, "B T 3 H W"]) -> torch.Tensor:
        """What the tower takes, `[B, T, 3, H, W]`."""
        return self.encoder.pixels(pixels.reshape(-1, *pixels.shape[2:]))["pixel_values"].unflatten(0, pixels.shape[:2])

    def _clips(self, pixels: np.ndarray) -> np.ndarray:
        with torch.inference_mode(), memory_named():
            return clip.unit(self.adapter(self.prepared(pixels)))


def load(base: str | None, adapter: str | Path | None = None, **settings: Any) -> VideoEncoder:
    """The encoder of a frozen pair and an adapter's folder.

    Args:
        base: a CLIP or SigLIP checkpoint; None takes the one that the adapter names.
        adapter: what `videre train adapter` wrote; None for the mean of the frames.
        settings: of `models.clip.load`: device, dtype, revision; None leaves its default.

    Raises:
        ModelError: one of them is not there, not whole, or they do not belong together.
    """
    if base is None:
        if adapter is None:
            raise ValueError("name a checkpoint or an adapter")
        base = str(store.facts(adapter)["base"]["id"])
    pair = clip.load(base, **{key: value for key, value in settings.items() if value is not None})
    if adapter is None:
        return VideoEncoder(pair, Adapter(pair.network), name=base)
    beside = store.read(adapter, pair.network, revision=str(pair.card["revision"]))
    return VideoEncoder(pair, beside, name=f"{base}+{Path(adapter).name}", note=store.facts(adapter))


def frames_at(video: Video, moments: Sequence[float]) -> Frames:
    """A frame for each of these ascending moments: the one shown then, given again where several fall on it."""
    found = video.at(moments)
    places = np.searchsorted(found.seconds, np.asarray(moments, np.float64) + 1e-6, side="right") - 1
    places = np.clip(places, 0, len(found) - 1)
    seconds: Float64[np.ndarray, " T"] = found.seconds[places]
    return Frames(found.pixels[places], seconds)
