"""The nearest of many unit vectors: all of them compared, or a graph where that is quicker."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from videre import compat

compat.need_hf()

import torch  # noqa: E402

ROWS_AT_ONCE, WIDENED_AT_ONCE = 1 << 15, 1 << 10
PAYS_FROM = 1_000_000
"""Rows from which a graph is worth its building; below, comparing all is quick and exact. See `docs/bt_adapter.md`."""


@runtime_checkable
class Nearest(Protocol):
    """Finds the rows nearest to a vector."""

    @property
    def exact(self) -> bool:
        """Whether nothing nearer can have been missed."""
        ...

    def find(self, query: Float[np.ndarray, " D"], k: int) -> tuple[Int[np.ndarray, " K"], Float[np.ndarray, " K"]]:
        """Rows and their similarities, best first; at most `k`."""
        ...


class Exact:
    """Compares with every row, block by block, so that half floats need no second copy of all of them."""

    exact = True

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows

    def find(self, query: Float[np.ndarray, " D"], k: int) -> tuple[Int[np.ndarray, " K"], Float[np.ndarray, " K"]]:
        """See `Nearest.find`."""
        scores = similarities(self.rows, query)
        k = min(k, len(scores))
        best = np.argpartition(scores, len(scores) - k)[len(scores) - k :] if k else np.zeros(0, np.int64)
        best = best[np.argsort(-scores[best], kind="stable")]
        return best, scores[best]


class Graph:
    """An HNSW graph of usearch on disk, read in place. Near ones may be missed."""

    exact = False

    def __init__(self, path: Path) -> None:
        from usearch.index import Index

        self.index: Any = Index.restore(str(path), view=True)
        if self.index is None:
            raise ValueError(f"{path} is no graph of usearch")

    def find(self, query: Float[np.ndarray, " D"], k: int) -> tuple[Int[np.ndarray, " K"], Float[np.ndarray, " K"]]:
        """See `Nearest.find`."""
        found = self.index.search(query.astype(np.float32), k)
        return found.keys.astype(np.int64), 1.0 - found.distances


def graphs() -> bool:
    """Whether graphs can be made and read here."""
    return find_spec("usearch") is not None


def similarities(rows: np.ndarray, query: Float[np.ndarray, " D"]) -> Float[np.ndarray, " N"]:
    """The dot product with every row, float32."""
    wanted, scores = torch.from_numpy(query.astype(np.float32)), torch.empty(len(rows))
    wide = torch.empty(min(len(rows), WIDENED_AT_ONCE), rows.shape[1])  # One room for all blocks: new ones cost more.
    for start in range(0, len(rows), WIDENED_AT_ONCE):
        block = torch.from_numpy(rows[start : start + WIDENED_AT_ONCE])
        torch.mv(wide[: len(block)].copy_(block), wanted, out=scores[start : start + len(block)])
    return scores.numpy()


def write_graph(rows: np.ndarray, path: Path) -> None:
    """Builds the graph of these unit vectors and writes it.

    Raises:
        ImportError: usearch is not installed.
    """
    from usearch.index import Index

    index = Index(ndim=rows.shape[1], metric="ip", dtype="f16")
    for start in range(0, len(rows), ROWS_AT_ONCE):
        block = rows[start : start + ROWS_AT_ONCE].astype(np.float32)
        index.add(np.arange(start, start + len(block)), block)
    partial = path.with_suffix(".partial")
    index.save(str(partial))
    partial.replace(path)
