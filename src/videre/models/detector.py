"""Open-vocabulary detectors of transformers: words in, boxes out (Grounding DINO, MM Grounding DINO, OWLv2, OmDet).

>>> detector = load("IDEA-Research/grounding-dino-tiny")       # doctest: +SKIP
>>> detector.detect(video.at([1.0]), "man in blue")            # doctest: +SKIP
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from videre import compat
from videre.errors import ModelError
from videre.types import JSON, Frames

compat.need_hf()

import torch  # noqa: E402
import transformers  # noqa: E402

from videre.models.loading import card, checked_device, load_errors, load_network  # noqa: E402
from videre.models.session import memory_named  # noqa: E402
from videre.models.weights import find  # noqa: E402

DOTTED = ("grounding-dino", "mm-grounding-dino")
"""Families that read lower-case phrases, each ended by a dot."""
FAMILIES = (*DOTTED, "owlv2", "owlvit", "omdet-turbo")
BATCH = 4
Seen = tuple[float, float, float, float, float]
"""Corners x0, y0, x1, y1 in pixels, and a score."""


class Detector:
    """A detector that runs here. Made by `load`.

    Args:
        network: a zero-shot detector of transformers.
        processor: its processor.
        name: what records call it.
        card: what the run card says of it.
        min_score: boxes below it are dropped.
    """

    def __init__(self, network: Any, processor: Any, *, name: str, card: dict[str, JSON], min_score: float) -> None:
        self.network, self.processor = network, processor
        self.name, self.card, self.min_score = name, card, min_score

    def detect(self, frames: Frames, query: str) -> list[list[Seen]]:
        """Boxes of the query in each frame, best first: corners in pixels, inside the frame, and a score in [0, 1]."""
        return self.pairs(list(frames.pixels), [query] * len(frames))

    def pairs(self, pictures: Sequence[np.ndarray], queries: Sequence[str]) -> list[list[Seen]]:
        """As `detect`, for pictures `[3, H, W]` of one size with a query each; `BATCH` of them go in at once."""
        starts = range(0, len(pictures), BATCH)
        return [boxes for i in starts for boxes in self._batch(pictures[i : i + BATCH], queries[i : i + BATCH])]

    def _batch(self, pictures: Sequence[np.ndarray], queries: Sequence[str]) -> list[list[Seen]]:
        images = [np.ascontiguousarray(picture.transpose(1, 2, 0)) for picture in pictures]
        family = self.network.config.model_type
        inputs = self.processor(images=images, text=_texts(queries, family), return_tensors="pt", **_padding(family))
        inputs = inputs.to(self.network.device)
        with torch.inference_mode(), memory_named():
            outputs = self.network(**inputs)
        sizes = [image.shape[:2] for image in images]
        post = self.processor.post_process_grounded_object_detection
        more: dict[str, Any] = {}
        if family in DOTTED:
            more = {"input_ids": inputs["input_ids"], "text_threshold": self.min_score}
        if family == "omdet-turbo":
            more = {"text_labels": [[query] for query in queries]}
        found = post(outputs, threshold=self.min_score, target_sizes=sizes, **more)
        return [_sorted(one, size) for one, size in zip(found, sizes, strict=True)]


def load(
    name_or_folder: str, *, device: str = "auto", revision: str | None = None, min_score: float = 0.25
) -> Detector:
    """A detector from a folder or the hub.

    Raises:
        ModelError: not found or no such detector (exit 5), not allowed (7), not whole (3).
    """
    checkpoint = find(name_or_folder, revision=revision, trust_remote_code=False)
    with load_errors(checkpoint):
        config = transformers.AutoConfig.from_pretrained(checkpoint.folder, local_files_only=True)
        if config.model_type not in FAMILIES:
            raise ModelError(
                f"{checkpoint.id} is {config.model_type!r}, no detector: pass one of {', '.join(FAMILIES)}"
            )
        if config.model_type == "omdet-turbo":
            _need_operators(checkpoint.id)
        family = transformers.AutoModelForZeroShotObjectDetection
        network = load_network(family, checkpoint, device=checked_device(device))
        processor = transformers.AutoProcessor.from_pretrained(checkpoint.folder, local_files_only=True)
        told = card(checkpoint, network) | {"min_score": min_score}
    return Detector(network, processor, name=name_or_folder, card=told, min_score=min_score)


def _need_operators(name: str) -> None:
    import torchvision

    try:
        torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    except RuntimeError as error:
        words = f"{name} drops overlapping boxes with torchvision's compiled operators, which are missing here"
        raise ModelError(f"{words}: install the torchvision that belongs to this torch", code="load") from error


def _texts(queries: Sequence[str], family: str) -> Any:
    if family in DOTTED:
        return [query.lower().rstrip(".") + "." for query in queries]
    return [[query] for query in queries]


def _padding(family: str) -> dict[str, Any]:
    return {"padding": True} if family in DOTTED else {}


def _sorted(found: Any, size: tuple[int, ...]) -> list[Seen]:
    height, width = size[:2]
    kept = []
    for score, corners in sorted(zip(found["scores"].tolist(), found["boxes"].tolist(), strict=True), reverse=True):
        x0, x1 = (min(max(0.0, x), float(width)) for x in corners[::2])
        y0, y1 = (min(max(0.0, y), float(height)) for y in corners[1::2])
        if x0 < x1 and y0 < y1:
            kept.append((x0, y0, x1, y1, score))
    return kept
