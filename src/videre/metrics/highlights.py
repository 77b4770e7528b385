"""Highlight detection: which clips of a video matter for a sentence, scored as QVHighlights does (mAP and HIT@1)."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float64

from videre.errors import DataError
from videre.metrics.interval import Share, bootstrap

LEVELS: Mapping[str, float] = {"Fair": 2, "Good": 3, "VeryGood": 4}
"""The least saliency, of 0 to 4, from which a clip counts as a highlight."""


CLIP_SECONDS = 2.0
"""The length of the clips that QVHighlights judges."""


@dataclass(frozen=True, eq=False)
class Highlights:
    """Scores over queries, and how many queries had no prediction (they score 0).

    Attributes:
        precisions: average precision of each query, in [0, 1].
        hits: queries whose highest clip is a highlight for one annotator or more.
        n_queries: all of them.
        n_missing: those without a prediction.
    """

    precisions: Float64[np.ndarray, " Q"] = field(repr=False)
    hits: Share
    n_queries: int
    n_missing: int

    @property
    def mean_precision(self) -> float:
        """mAP, in [0, 1]."""
        return float(self.precisions.mean())

    @property
    def mean_precision_interval(self) -> tuple[float, float]:
        """Its 95 % bootstrap interval, drawn over queries."""
        return bootstrap(self.precisions)

    @property
    def hit_at_1(self) -> float:
        """HIT@1, in [0, 1]."""
        return self.hits.value


def highlights(
    predictions: Mapping[Hashable, Sequence[float]],
    truth: Mapping[Hashable, Float64[np.ndarray, "C W"]],
    *,
    least: float,
) -> Highlights:
    """mAP and HIT@1 of predicted saliency.

    HIT@1 is the share of queries whose highest clip is a highlight for one annotator or more; AP is taken for each
    annotator and averaged.

    Args:
        predictions: one number a clip, by query; too few are filled with 0, too many are cut.
        truth: saliency of each clip by each annotator, by query.
        least: the saliency from which a clip is a highlight, see `LEVELS`.

    Source: QVHighlights, `eval_highlight` in `standalone_eval/eval.py` (moment_detr 2fa9e32, MIT).
    Differs: a query without a prediction counts as 0; the official script refuses it.
    """
    if not truth:
        raise DataError("there is no query to score")
    hits, precisions = [], []
    for query, saliency in truth.items():
        relevant, said = saliency >= least, np.asarray(predictions.get(query, ()), dtype=np.float64)
        top = int(np.argmax(said)) if len(said) else len(relevant)
        hits.append(bool(top < len(relevant) and relevant[top].any()))
        fitted = np.concatenate([said, np.zeros(max(0, len(relevant) - len(said)))])[: len(relevant)]
        precisions.append(float(ranked_precision(relevant.T, fitted).mean()) if len(said) else 0.0)
    missing = sum(not len(predictions.get(query, ())) for query in truth)
    share = Share(sum(hits), len(hits))
    return Highlights(np.array(precisions), share, len(truth), missing)


def saliency_of(
    clip_ids: Sequence[int],
    scores: Sequence[Sequence[float]],
    *,
    duration_seconds: float,
    clip_seconds: float = CLIP_SECONDS,
) -> Float64[np.ndarray, "C W"]:
    """The saliency of every clip of a video, from the relevant ones that the annotation lists; 0 elsewhere."""
    table = np.zeros((int(duration_seconds / clip_seconds), len(scores[0]) if scores else 3))
    table[np.asarray(clip_ids, dtype=np.int64)] = np.asarray(scores, dtype=np.float64).reshape(-1, table.shape[1])
    return table


def ranked_precision(
    relevant: Bool[np.ndarray, "*W C"], scores: Float64[np.ndarray, " C"]
) -> Float64[np.ndarray, "*W"]:
    """Average precision of a ranking, in [0, 1]: the mean envelope of precision where recall rises.

    Clips of one score are taken together. All clips relevant gives 1, none gives 0.

    Args:
        relevant: which clips are, for each annotator.
        scores: of the clips.

    >>> ranked_precision(np.array([[True, False, True]]), np.array([3.0, 2.0, 1.0]))
    array([0.83333333])

    Source: Video2GIF, `get_ap`, as used by QVHighlights.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    found = np.cumsum(relevant[..., order], axis=-1)[..., ends]
    envelope = np.maximum.accumulate((found / (ends + 1))[..., ::-1], axis=-1)[..., ::-1]
    rises = np.diff(found, axis=-1, prepend=0) > 0
    means = (envelope * rises).sum(axis=-1) / np.maximum(rises.sum(axis=-1), 1)
    return np.where(relevant.all(axis=-1), 1.0, means)
