"""Open-vocabulary detectors of transformers: words in, boxes out (Grounding DINO, MM Grounding DINO, OWLv2).

>>> detector = load("IDEA-Research/grounding-dino-tiny")       # doctest: +SKIP
>>> detector.detect(video.at([1.0]), "man in blue")            # doctest: +SKIP
"""

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
FAMILIES = (*DOTTED, "owlv2", "owlvit")
BATCH = 4


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

    def detect(self, frames: Frames, query: str) -> list[list[tuple[float, float, float, float]]]:
        """Boxes of the query in each frame, best first: corners in pixels, inside the frame."""
        starts = range(0, len(frames), BATCH)
        return [boxes for i in starts for boxes in self._batch(frames.pixels[i : i + BATCH], query)]

    def _batch(self, pictures: np.ndarray, query: str) -> list[list[tuple[float, float, float, float]]]:
        images = [np.ascontiguousarray(picture.transpose(1, 2, 0)) for picture in pictures]
        is_dotted = self.network.config.model_type in DOTTED
        words: Any = query.lower().rstrip(".") + "." if is_dotted else [query]
        inputs = self.processor(images=images, text=[words] * len(images), return_tensors="pt")
        inputs = inputs.to(self.network.device)
        with torch.inference_mode(), memory_named():
            outputs = self.network(**inputs)
        sizes = [image.shape[:2] for image in images]
        post = self.processor.post_process_grounded_object_detection
        more = {"input_ids": inputs["input_ids"], "text_threshold": self.min_score} if is_dotted else {}
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
        family = transformers.AutoModelForZeroShotObjectDetection
        network = load_network(family, checkpoint, device=checked_device(device))
        processor = transformers.AutoProcessor.from_pretrained(checkpoint.folder, local_files_only=True)
    return Detector(network, processor, name=name_or_folder, card=card(checkpoint, network), min_score=min_score)


def _sorted(found: Any, size: tuple[int, ...]) -> list[tuple[float, float, float, float]]:
    height, width = size[:2]
    kept = []
    for _, corners in sorted(zip(found["scores"].tolist(), found["boxes"].tolist(), strict=True), reverse=True):
        x0, x1 = (min(max(0.0, x), float(width)) for x in corners[::2])
        y0, y1 = (min(max(0.0, y), float(height)) for y in corners[1::2])
        if x0 < x1 and y0 < y1:
            kept.append((x0, y0, x1, y1))
    return kept
