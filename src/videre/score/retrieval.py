"""Text-video retrieval from a saved similarity matrix, with one text or several a video."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64

from videre.data import annotations
from videre.errors import NO_INPUT, DataError
from videre.metrics import retrieval
from videre.score.files import FORM, Report, Row, keyed, listed, percents, read_ids, table

COLUMNS = ("video_id", "video", "image_id")


def score_retrieval(
    similarity: Path,
    *,
    texts: Path | None = None,
    videos: Path | None = None,
    ties: retrieval.Ties = "mean",
    popular_ties: bool = False,
) -> Report:
    """R@1, 5, 10, median and mean rank in both directions of a `.npy` matrix: rows are texts, columns videos.

    Args:
        similarity: finite numbers; without `texts` it is square, and its diagonal is right.
        texts: which video each row is about, in the order of the rows: ids, one a line or as a JSON list; a csv or
            JSON list with `video_id`, `video` or `image_id`, such as MSR-VTT's `msrvtt_test.csv`; or a COCO caption
            file, with its `annotations`.
        videos: the ids of the columns in their order; without it, that in which they first appear in `texts`.
        ties: how equal similarities rank: "mean", "best" or "worst".
        popular_ties: count tied rows once for each tied place, as much published code does.
    """
    matrix = _matrix(similarity)
    right = _square(matrix, similarity) if texts is None else _right(matrix, texts, videos, similarity)
    report: Report = {"benchmark": "retrieval", "ties": "popular" if popular_ties else ties}
    report |= {"scores": {}, "intervals": {}, "baselines": {"chance": {}}, "counts": {}}
    for name, one, true in (("t2v", matrix, right), ("v2t", matrix.T, right.T)):
        found = retrieval.retrieve(one, right=true, ties=ties, popular_ties=popular_ties)
        recall = {f"R{k}": share.percent for k, share in found.recall.items()}
        report["scores"][name] = recall | {"MedR": found.median_rank, "MeanR": found.mean_rank}
        bounds = {f"R{k}": percents(share.interval) for k, share in found.recall.items()}
        ranks = {"MedR": list(found.median_interval), "MeanR": list(found.mean_interval)}
        report["intervals"][name] = bounds | ranks
        blind = retrieval.chance(true)
        shares = {f"R{k}": value * 100 for k, value in blind.recall.items()}
        report["baselines"]["chance"][name] = shares | {"MedR": blind.median_rank, "MeanR": blind.mean_rank}
        counts = {"n_queries": found.n_queries, "n_ranks": found.n_ranks}
        report["counts"][name] = counts | {"n_tied": retrieval.tied(one, right=true)}
    return report


def _matrix(path: Path) -> Float64[np.ndarray, "N M"]:
    try:
        matrix = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise DataError(f"no such file: {path}", exit_code=NO_INPUT) from None
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"{path}: not a .npy matrix of numbers ({error})") from error
    shape = list(getattr(matrix, "shape", []))
    numbers = isinstance(matrix, np.ndarray) and matrix.dtype.kind in "iuf"
    if not numbers or len(shape) != 2 or not matrix.size or not np.isfinite(matrix).all():
        kind = getattr(matrix, "dtype", type(matrix).__name__)
        raise DataError(f"{path}: expected a matrix of finite numbers, texts by videos, got {kind} {shape}")
    return matrix.astype(np.float64)


def _square(matrix: Float64[np.ndarray, "N M"], path: Path) -> Bool[np.ndarray, "N M"]:
    if matrix.shape[0] != matrix.shape[1]:
        raise DataError(f"{path}: {list(matrix.shape)} is not a square matrix; where several texts are about one "
                        "video, --texts says which row is about which")  # fmt: skip
    return np.eye(len(matrix), dtype=bool)


def _right(matrix: Float64[np.ndarray, "N M"], texts: Path, videos: Path | None, path: Path) -> Bool[np.ndarray, "N M"]:
    """Which columns answer which row."""
    rows = _videos_of(texts)
    columns = list(dict.fromkeys(rows)) if videos is None else read_ids(videos)
    for what, size, ids, source in (("rows", len(matrix), rows, texts), ("columns", matrix.shape[1], columns, videos)):
        if size != len(ids):
            raise DataError(f"{source or texts}: {len(ids)} ids for the {size} {what} of {path}")
    places, known = {name: place for place, name in enumerate(columns)}, set(rows)
    lost = [name for name in rows if name not in places] + [name for name in columns if name not in known]
    if lost or len(places) != len(columns):
        few = ", ".join(lost[:3]) or "one comes twice"
        raise DataError(f"{videos or texts}: every column is one video, with one text or more ({few})")
    right = np.zeros(matrix.shape, dtype=bool)
    right[np.arange(len(rows)), [places[name] for name in rows]] = True
    return right


def _videos_of(path: Path) -> list[str]:
    """The video of each text, in order."""
    text = annotations.read_text(path).lstrip()
    if path.suffix == ".jsonl" or (text.startswith("[") and text[1:].lstrip().startswith("{")):
        return _column(listed(path))
    if text.startswith("{"):
        return _column(_coco(path))
    header = text.split("\n", 1)[0].split(",")
    name = next((name for name in COLUMNS if name in header), None)
    return read_ids(path) if name is None else [row.label(name) for row in table(path, (name,))]


def _column(rows: list[Row]) -> list[str]:
    name = next((name for name in COLUMNS if rows[0].has(name)), COLUMNS[0])
    return [row.label(name) for row in rows]


def _coco(path: Path) -> list[Row]:
    """The annotations of a COCO caption file."""
    known = keyed(path).get("annotations")
    if known is None:
        raise annotations.at_line(path, 1, 'no field "annotations"', fix=FORM)
    rows = replace(known, fields={"annotations": known.get("value")}).inners("annotations")
    return annotations.filled(rows, path=path)
