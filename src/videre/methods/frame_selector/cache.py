"""Scores kept in a folder, one file a video, question and scorer, keyed by what they were made from."""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from videre.jobs import key, replace_file
from videre.methods.frame_selector.scored import Scored
from videre.types import JSON, Question, Video

VERSION = 1


@dataclass(frozen=True)
class ScoreCache:
    """A folder of `KEY.npz` files. One that cannot be read is a miss: it is moved aside as `KEY.npz.aside`."""

    folder: Path

    def get(self, key: str) -> tuple[tuple[float, ...], Scored] | None:
        """Times and scores of the candidates; None where they are not known."""
        path = self.folder / f"{key}.npz"
        if not path.is_file():
            return None
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
                kept = {name: file[name] for name in file.files}
            if int(kept["version"]) != VERSION or str(kept["key"]) != key:
                raise ValueError("of another version")
            scored = Scored(kept["scores"], kept.get("features"), kept.get("asked"))
            if len(kept["seconds"]) != len(scored.scores):
                raise ValueError("times and scores differ in length")
            return tuple(float(t) for t in kept["seconds"]), scored
        except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile):
            path.replace(path.with_suffix(".npz.aside"))
            return None

    def put(self, key: str, seconds: Sequence[float], scored: Scored) -> None:
        """Keeps times and scores, whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = {"version": np.array(VERSION), "key": np.array(key), "seconds": np.array(seconds, np.float64)}
        vectors = {"scores": scored.scores, "features": scored.features, "asked": scored.asked}
        kept |= {name: value for name, value in vectors.items() if value is not None}
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **kept)
        replace_file(self.folder / f"{key}.npz", buffer.getvalue())

    @property
    def aside(self) -> int:
        """How many files were moved aside."""
        return len(list(self.folder.glob("*.npz.aside")))


def score_key(video: Video, question: Question, card: JSON, moments: Sequence[float], size_px: int | None) -> str:
    """The key of scores: the bytes of the video, the question, the scorer, the candidates."""
    facts = {name: video.info.get(name) for name in ("sha256", "decoder")}
    start_seconds = float(getattr(video, "start_seconds", 0.0))  # of a part of a file
    where = {
        "start_seconds": start_seconds,
        "duration_seconds": video.duration_seconds,
        "moments": [float(t) for t in moments],
        "size_px": size_px,
    }
    return key(video=facts, question=question.text, scorer=card, candidates=where, version=VERSION)
