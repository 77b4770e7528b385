"""Retrieval: two encoded sets that search each other."""

import numpy as np
from jaxtyping import Bool, Float

from videre.metrics import retrieval as metric


def retrieval(
    images: Float[np.ndarray, "V D"],
    texts: Float[np.ndarray, "T D"],
    *,
    right: Bool[np.ndarray, "T V"] | None = None,
    ties: metric.Ties = "mean",
) -> dict[str, metric.Retrieval]:
    """R@k, median and mean rank of texts that search videos (`text_to_video`) and of videos that search texts.

    Args:
        images: a row a video (`Encoder.images`, pooled over its frames).
        texts: a row a text (`Encoder.texts`).
        right: which video belongs to which text, where several texts are about one; None pairs row with row.
        ties: how equal similarities rank, see `metrics.retrieval.ranks`.

    Returns:
        Both directions; a text that is about no video, or a video without a text, is refused by `ValueError`.
    """
    if images.shape[1] != texts.shape[1]:
        raise ValueError(f"one space for both: images have {images.shape[1]} numbers a row, texts {texts.shape[1]}")
    similarity = np.asarray(texts, np.float64) @ np.asarray(images, np.float64).T
    return {
        "text_to_video": metric.retrieve(similarity, right=right, ties=ties),
        "video_to_text": metric.retrieve(similarity.T, right=None if right is None else right.T, ties=ties),
    }
