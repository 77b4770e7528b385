"""What modules have found, by (video, query, module): asked once, known ever after, also across runs.

A replay runs on such a memory alone, with no module behind it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from videre.errors import DataError
from videre.jobs import key
from videre.methods.msr_vir.modules import Seen, SpatialGrounder, TemporalGrounder, chosen_frames
from videre.types import JSON, Frames, Span, Video

FILE = "found.jsonl"


@dataclass
class Memory:
    """Findings by key, in memory and, with a folder, in a file that gains one line a finding.

    Args:
        folder: where the file lies; None keeps nothing.
        known: what is known already.
    """

    folder: Path | None = None
    known: dict[str, JSON] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / FILE
        text = path.read_text("utf-8", "replace") if path.exists() else ""
        if text and not text.endswith("\n"):
            with open(path, "a", encoding="utf-8") as file:
                file.write("\n")
        for line in text.splitlines():
            try:
                row = json.loads(line)
                self.known[row["key"]] = row["found"]
            except (ValueError, KeyError, TypeError):
                continue  # A line torn by a kill: its finding is made again.

    def put(self, name: str, found: JSON) -> JSON:
        """What was found, now known; as JSON gives it back, so that a first run and a later one see the same."""
        text = json.dumps({"key": name, "found": found}, separators=(",", ":"))
        if self.folder is not None:
            with open(self.folder / FILE, "a", encoding="utf-8") as file:
                file.write(text + "\n")
        self.known[name] = json.loads(text)["found"]
        return self.known[name]


@dataclass
class KnownTimes:
    """A `TemporalGrounder` that asks the one behind it only for what the memory does not hold.

    Args:
        inner: who is asked; None refuses what is not known.
        memory: what is known.
        told: the card, where there is nobody behind it.
    """

    inner: TemporalGrounder | None
    memory: Memory
    told: Mapping[str, JSON] = field(default_factory=dict)
    last: tuple[str, bool] = ("", False)

    @property
    def name(self) -> str:
        """The name of the module behind it."""
        return self.inner.name if self.inner else str(self.told.get("name", "replay"))

    @property
    def card(self) -> Mapping[str, JSON]:
        """The card of the module behind it."""
        return self.inner.card if self.inner else self.told

    def ground(self, video: Video, query: str, *, window: Span, top_k: int = 1) -> list[Span]:
        """As the module would; `last` then holds the key, and whether it was known."""
        ends = [window.start_seconds, window.end_seconds]
        name = key(video=video_key(video), module=dict(self.card), query=query, window=ends, top_k=top_k)
        self.last = name, name in self.memory.known
        if not self.last[1]:
            if self.inner is None:
                raise _unknown(query)
            spans = self.inner.ground(video, query, window=window, top_k=top_k)
            self.memory.put(name, [[s.start_seconds, s.end_seconds, s.confidence] for s in spans])
        return [Span(start, end, score) for start, end, score in self.memory.known[name]]

    def prepare(self, video: Video, queries: Sequence[str]) -> None:
        """Lets the module read the video and many queries at once, where it can."""
        prepare: Any = getattr(self.inner, "prepare", None)
        if prepare is not None:
            prepare(video, queries)


@dataclass
class KnownPlaces:
    """A `SpatialGrounder` on a memory, one entry a frame: the key holds the hash of its pixels."""

    inner: SpatialGrounder | None
    memory: Memory
    told: Mapping[str, JSON] = field(default_factory=dict)
    last: tuple[tuple[str, ...], int] = ((), 0)

    @property
    def name(self) -> str:
        """The name of the module behind it."""
        return self.inner.name if self.inner else str(self.told.get("name", "replay"))

    @property
    def card(self) -> Mapping[str, JSON]:
        """The card of the module behind it."""
        return self.inner.card if self.inner else self.told

    def detect(self, frames: Frames, query: str) -> list[list[Seen]]:
        """As the module would; `last` then holds the keys, and how many of them were known."""
        names = tuple(self._name(pixels, query) for pixels in frames.sha256())
        missing = [i for i, name in enumerate(names) if name not in self.memory.known]
        self.last = names, len(names) - len(missing)
        if missing:
            if self.inner is None:
                raise _unknown(query)
            self._put([names[i] for i in missing], self.inner.detect(chosen_frames(frames, missing), query))
        return self._known(names)

    def prepare(self, wanted: Sequence[tuple[Frames, str]]) -> None:
        """Finds many queries in many frames in full batches, where the module can, and remembers them."""
        pairs: Any = getattr(self.inner, "pairs", None)
        if pairs is None:
            return
        todo: dict[str, tuple[Any, str]] = {}
        for frames, query in wanted:
            for i, pixels in enumerate(frames.sha256()):
                todo.setdefault(self._name(pixels, query), (frames.pixels[i], query))
        todo = {name: pair for name, pair in todo.items() if name not in self.memory.known}
        self._put(list(todo), pairs([p for p, _ in todo.values()], [q for _, q in todo.values()]))

    def _name(self, pixels: str, query: str) -> str:
        return key(frame=pixels, module=dict(self.card), query=query)

    def _put(self, names: Sequence[str], found: Sequence[Sequence[Seen]]) -> None:
        for name, boxes in zip(names, found, strict=True):
            self.memory.put(name, [list(box) for box in boxes])

    def _known(self, names: Sequence[str]) -> list[list[Seen]]:
        return [[(b[0], b[1], b[2], b[3], b[4]) for b in self.memory.known[name]] for name in names]


def video_key(video: Video) -> str:
    """What tells a video from others: the hash of its file, else its path; and which part of it this is."""
    start = getattr(video, "start_seconds", 0.0)
    return f"{video.info.get('sha256') or video.path}@{start!r}+{video.duration_seconds!r}"


def _unknown(query: str) -> DataError:
    return DataError(f"the trace does not hold what was found for {query!r}: ground anew", code="not_in_trace")
