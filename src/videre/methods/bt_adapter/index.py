"""An index of videos on disk: a vector a window, whole or absent, renewed for new and changed files only.

`answers.jsonl` is the loss-free log of the run, a row a file; `vectors/` holds the windows of each; `index.safetensors`
is made of both at the end of a run and is all that a search reads.
"""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Int32
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save

from videre import jobs
from videre.errors import NO_INPUT, DataError
from videre.methods.bt_adapter.encoder import VideoEncoder
from videre.methods.bt_adapter.nearest import PAYS_FROM, Exact, Graph, Nearest, graphs, similarities, write_graph
from videre.methods.bt_adapter.windows import Windows, encoded
from videre.types import JSON, Span, Video

INDEX, GRAPH, VECTORS, FOLDER = "index.safetensors", "index.usearch", "vectors", ".videre-index"
ENDINGS = frozenset({".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v", ".gif", ".mpg", ".mpeg", ".ts", ".wmv", ".flv"})
FORMAT = "1"
IDENTITY = ("id", "revision", "class", "dtype", "adapter")
"""What of an encoder's card decides its vectors; the device and versions beside it may change."""


@dataclass(frozen=True)
class Index:
    """What a search reads.

    Attributes:
        vectors: a unit vector a window, half floats.
        spans: start and end of each window, in seconds.
        video: which of `videos` a window is of.
        videos: paths relative to `root`.
        root: the folder that was indexed.
        card: the encoder, how videos were cut, and how to load the encoder again.
        folder: where the index lies.
    """

    vectors: np.ndarray
    spans: Float64[np.ndarray, "N 2"]
    video: Int32[np.ndarray, " N"]
    videos: tuple[str, ...]
    root: Path
    card: dict[str, JSON]
    folder: Path

    def nearest(self) -> Nearest:
        """A graph where there is one that can be read here, else all vectors, which is exact and slower."""
        path = self.folder / GRAPH
        return Graph(path) if path.exists() and graphs() else Exact(self.vectors)

    def line(self, video: int, query: Float[np.ndarray, " D"]) -> tuple[np.ndarray, Float[np.ndarray, " W"]]:
        """The rows of a video's windows and their similarities."""
        rows = np.flatnonzero(self.video == video)
        return rows, similarities(self.vectors[rows], query)


@dataclass(frozen=True)
class Hit:
    """A stretch of a video that fits a query."""

    video: int
    row: int
    span: Span


def files(root: Path) -> list[str]:
    """The videos below a folder by their endings, relative to it, sorted; hidden folders are passed over."""
    found = []
    for folder, inner, names in os.walk(root):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in names:
            if Path(name).suffix.lower() in ENDINGS and not name.startswith("."):
                found.append(str(Path(folder, name).relative_to(root)))
    return sorted(found)


def build(
    root: Path,
    folder: Path,
    encoder: VideoEncoder,
    windows: Windows,
    *,
    open_video: Callable[[str], Any],
    settings: JSON = None,
    rebuild: bool = False,
    quiet: bool = False,
) -> jobs.Outcome:
    """Encodes what is new or changed below `root`, and renews the index; killed, the same call goes on.

    Args:
        root: the folder of videos.
        folder: the index.
        encoder: of windows.
        windows: how videos are cut.
        open_video: a path to a video, a context manager.
        settings: how to load the encoder again, kept for searches.
        rebuild: take another encoder or cut than the index has; everything is encoded again.
        quiet: no progress on stderr.

    Raises:
        ConfigError: the index was made otherwise and `rebuild` is off, or another process holds it.
        DataError: no videos below `root`.
    """
    names = files(root)
    if not names:
        raise DataError(f"{root}: no videos below it ({', '.join(sorted(ENDINGS))})", exit_code=NO_INPUT)
    (folder / VECTORS).mkdir(parents=True, exist_ok=True)
    made = {
        "encoder": {key: encoder.card.get(key) for key in IDENTITY},
        "windows": asdict(windows),
        "settings": settings,
    }
    items = [_item(root, name, made) for name in names]

    def work(item: jobs.Item) -> dict[str, JSON]:
        with open_video(item.path) as video:
            return _encoded(video, item, encoder, windows, folder)

    outcome = jobs.run(items, work, folder=folder, manifest=made, retry_failed=True, force=rebuild, quiet=quiet)
    if outcome.left == 0:
        _renew(root, folder, {item.id: item.key for item in items}, made)
    return outcome


def read(folder: Path) -> Index:
    """The index of a folder.

    Raises:
        DataError: none there, damaged, or of another format (exit 3).
    """
    path = folder / INDEX
    try:
        with safe_open(path, framework="np") as file:
            told = file.metadata() or {}
        if told.get("format") != FORMAT:
            raise DataError(f"{path}: another format of index; run `videre index` again", exit_code=NO_INPUT)
        tensors, facts = load_file(path), json.loads(told["facts"])
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        message = f"{path}: no whole index there ({error}); make one with `videre index`"
        raise DataError(message, exit_code=NO_INPUT) from error
    return Index(
        vectors=tensors["vectors"],
        spans=tensors["spans"],
        video=tensors["video"],
        videos=tuple(facts["videos"]),
        root=(folder / facts["root"]).resolve(),
        card=facts["card"],
        folder=folder,
    )


def search(
    index: Index, query: Float[np.ndarray, " D"], *, k: int = 10, nearest: Nearest | None = None, most_iou: float = 0.3
) -> list[Hit]:
    """The `k` stretches that fit best, best first, without those that mostly repeat a better one of the same video.

    Args:
        index: what is searched.
        query: a unit vector of a text or a clip.
        k: how many.
        nearest: `index.nearest()`, where many queries share it.
        most_iou: overlap from which on the worse of two stretches is left out.
    """
    finder, wanted = nearest or index.nearest(), k * 4
    while True:
        rows, scores = finder.find(query, wanted)
        hits = _apart(index, rows, scores, k, most_iou)
        if len(hits) == k or len(rows) < wanted or wanted >= len(index.vectors):
            return hits
        wanted *= 4


def ranked_texts(
    index: Index, texts: Float[np.ndarray, "Q D"], *, k: int = 3
) -> list[tuple[int, list[Hit], list[int]]]:
    """For each video: its number, the windows that its best texts fit best, and the numbers of those texts."""
    found = []
    for video in range(len(index.videos)):
        rows = np.flatnonzero(index.video == video)
        scores = index.vectors[rows].astype(np.float32) @ texts.T
        best = np.argsort(-scores.max(0), kind="stable")[:k]
        hits = [_hit(index, int(rows[scores[:, text].argmax()]), float(scores[:, text].max())) for text in best]
        found.append((video, hits, best.tolist()))
    return found


def _item(root: Path, name: str, made: dict[str, Any]) -> jobs.Item:
    path = root / name
    return jobs.Item(jobs.key(video=jobs.file_key(path, cheap=True), **made), name, path=str(path))


def _encoded(video: Video, item: jobs.Item, encoder: VideoEncoder, windows: Windows, folder: Path) -> dict[str, JSON]:
    spans, vectors = encoded(video, encoder, windows)
    content = save({"spans": spans, "vectors": vectors.astype(np.float16)})
    jobs.replace_file(folder / VECTORS / f"{item.key}.safetensors", content)
    return {"path": item.path, "windows": len(spans), "duration_seconds": video.duration_seconds}


def _renew(root: Path, folder: Path, keys: dict[str, str], made: dict[str, Any]) -> None:
    """Makes the index of what the log holds, and drops vectors that no file has any more."""
    videos = sorted(row["id"] for row in jobs.rows(folder) if row["id"] in keys and not row.get("error"))
    parts = [_kept(folder / VECTORS / f"{keys[name]}.safetensors") for name in videos]
    width = made["encoder"].get("width", 0)
    facts = {"videos": videos, "root": os.path.relpath(root.resolve(), folder.resolve()), "card": made}
    vectors = np.concatenate([p["vectors"] for p in parts]) if parts else np.zeros((0, width), np.float16)
    tensors = {
        "vectors": vectors,
        "spans": np.concatenate([p["spans"] for p in parts]) if parts else np.zeros((0, 2)),
        "video": np.repeat(np.arange(len(parts), dtype=np.int32), [len(p["spans"]) for p in parts]),
    }
    (folder / GRAPH).unlink(missing_ok=True)  # An old graph beside new vectors would name the wrong windows.
    jobs.replace_file(folder / INDEX, save(tensors, {"format": FORMAT, "facts": json.dumps(facts)}))
    if len(vectors) >= PAYS_FROM and graphs():
        write_graph(vectors, folder / GRAPH)
    for path in (folder / VECTORS).glob("*.safetensors"):
        if path.stem not in keys.values():
            path.unlink()


def _kept(path: Path) -> dict[str, np.ndarray]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        message = f"{path}: the vectors of an indexed file are gone or damaged ({error})"
        raise DataError(f"{message}; remove {path.parent.parent} and index again", exit_code=NO_INPUT) from error


def _apart(index: Index, rows: np.ndarray, scores: np.ndarray, k: int, most_iou: float) -> list[Hit]:
    kept: list[Hit] = []
    for row, score in zip(rows, scores, strict=True):
        hit = _hit(index, int(row), float(score))
        if all(hit.video != other.video or hit.span.iou(other.span) < most_iou for other in kept):
            kept.append(hit)
        if len(kept) == k:
            break
    return kept


def _hit(index: Index, row: int, score: float) -> Hit:
    start, end = index.spans[row]
    return Hit(int(index.video[row]), row, Span(float(start), float(end), confidence=score))
