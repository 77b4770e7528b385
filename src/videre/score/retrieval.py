"""Text-video retrieval from a saved similarity matrix."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from videre.errors import NO_INPUT, DataError
from videre.metrics import retrieval
from videre.score.files import Report, percents


def score_retrieval(similarity: Path, *, ties: retrieval.Ties = "mean", popular_ties: bool = False) -> Report:
    """R@1, 5, 10, median and mean rank in both directions of a `.npy` matrix: rows are texts, columns videos.

    Args:
        similarity: a square matrix whose diagonal is right.
        ties: how equal similarities rank: "mean", "best" or "worst".
        popular_ties: count tied rows once for each tied place, as much published code does.
    """
    matrix = _matrix(similarity)
    report: Report = {"benchmark": "retrieval", "ties": "popular" if popular_ties else ties}
    report |= {"scores": {}, "intervals": {}, "counts": {}}
    for name, one in (("t2v", matrix), ("v2t", matrix.T)):
        found = retrieval.retrieve(one, ties=ties, popular_ties=popular_ties)
        recall = {f"R{k}": share.percent for k, share in found.recall.items()}
        report["scores"][name] = recall | {"MedR": found.median_rank, "MeanR": found.mean_rank}
        report["intervals"][name] = {f"R{k}": percents(share.interval) for k, share in found.recall.items()}
        counts = {"n_queries": found.n_queries, "n_ranks": found.n_ranks, "n_tied": retrieval.tied(one)}
        report["counts"][name] = counts
    return report


def _matrix(path: Path) -> Float[np.ndarray, "N N"]:
    try:
        matrix = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise DataError(f"no such file: {path}", exit_code=NO_INPUT) from None
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"{path}: not a .npy matrix of numbers ({error})") from error
    square = isinstance(matrix, np.ndarray) and matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1] and matrix.size
    if not square or not np.issubdtype(matrix.dtype, np.floating) or not np.isfinite(matrix).all():
        shape = list(getattr(matrix, "shape", []))
        raise DataError(f"{path}: expected a square matrix of finite floats, texts by videos, got {shape}")
    return matrix
