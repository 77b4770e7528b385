"""Finds an action in time by the likeness of frames and words, without training.

Source: specification of the similarity scan: z-scores over the video, a box of 3 s, grown from the peak.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from videre.jobs import key
from videre.methods.msr_vir.memory import video_key
from videre.types import JSON, Encoder, Span, Video

NEUTRAL = "a video frame"


@dataclass
class Scan:
    """A `TemporalGrounder` over an encoder; frames of a video are encoded once, whatever is asked of it.

    Args:
        encoder: pictures and texts in one space.
        fps: frames a second that are encoded.
        smooth_seconds: width of the box that smooths the scores.
        share: where the score counts as high, from its mean (0) to its peak (1).
        stop_seconds: how long it may stay low before the span ends.
        least_seconds: a span is at least this long.
        floor: a span whose mean inside is less than this above the mean outside is none; None takes all.
        folder: features of videos are kept there, one file a video and encoder; None keeps them in memory alone.
        videos: how many videos are remembered in memory.
    """

    encoder: Encoder
    fps: float = 2.0
    smooth_seconds: float = 3.0
    share: float = 0.3
    stop_seconds: float = 2.0
    least_seconds: float = 2.0
    floor: float | None = None
    folder: Path | None = None
    videos: int = 16
    name: str = "scan"
    seen: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    read: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def card(self) -> Mapping[str, JSON]:
        """Encoder and settings."""
        names = ("fps", "smooth_seconds", "share", "stop_seconds", "least_seconds", "floor")
        encoder = dict(getattr(self.encoder, "card", {})) or {"name": self.encoder.name}
        return {"name": self.name, "encoder": encoder, **{name: getattr(self, name) for name in names}}

    def ground(self, video: Video, query: str, *, window: Span, top_k: int = 1) -> list[Span]:
        """The stretch around the frame of the window that is most like the query, then around what is left of it."""
        times, features = self._features(video)
        inside = (times >= window.start_seconds) & (times <= window.end_seconds)
        scores, times = self._scores(features, query)[inside], times[inside]
        free, found = np.ones(len(times), bool), list[Span]()
        while len(found) < top_k and free.any():
            low, high = self._grown(np.where(free, scores, -np.inf))
            sure = self._contrast(scores, low, high)
            free[low : high + 1] = False
            if self.floor is None or sure >= self.floor:
                found.append(self._span(float(times[low]), float(times[high]), window, sure))
        return found

    def prepare(self, video: Video, queries: Sequence[str]) -> None:
        """Reads the video, and all new queries in one batch."""
        self._features(video)
        new = [text for text in dict.fromkeys([*queries, NEUTRAL]) if text not in self.read]
        if new:
            self.read.update(zip(new, self.encoder.texts(new), strict=True))

    def _span(self, first: float, last: float, window: Span, sure: float) -> Span:
        end = last + 1 / self.fps
        middle, half = (first + end) / 2, max(end - first, self.least_seconds) / 2
        start, end = max(window.start_seconds, middle - half), min(window.end_seconds, middle + half)
        return Span(start, max(start, end), sure)

    def _scores(self, features: np.ndarray, query: str) -> np.ndarray:
        texts = [text for text in (query, NEUTRAL) if text not in self.read]
        if texts:
            self.read.update(zip(texts, self.encoder.texts(texts), strict=True))
        likeness = (features @ (self.read[query] - self.read[NEUTRAL])).astype(np.float64)
        likeness = (likeness - likeness.mean()) / (likeness.std() or 1.0)
        width = min(len(likeness), max(1, round(self.smooth_seconds * self.fps)))
        box = np.ones(width)
        return np.convolve(likeness, box, "same") / np.convolve(np.ones_like(likeness), box, "same")

    def _grown(self, scores: np.ndarray) -> tuple[int, int]:
        known = scores[np.isfinite(scores)]
        is_high = scores >= known.mean() + self.share * (known.max() - known.mean())
        peak, patience = int(scores.argmax()), max(1, round(self.stop_seconds * self.fps))
        ends = []
        for step in (-1, 1):
            last, place = peak, peak + step
            while 0 <= place < len(scores) and abs(place - last) < patience and np.isfinite(scores[place]):
                last = place if is_high[place] else last
                place += step
            ends.append(last)
        return ends[0], ends[1]

    def _contrast(self, scores: np.ndarray, low: int, high: int) -> float:
        inside = scores[low : high + 1]
        outside = np.concatenate([scores[:low], scores[high + 1 :]])
        return float(inside.mean() - (outside.mean() if len(outside) else 0.0))

    def _features(self, video: Video) -> tuple[np.ndarray, np.ndarray]:
        name = video_key(video)
        if name not in self.seen:
            while len(self.seen) >= self.videos:
                self.seen.pop(next(iter(self.seen)))
            self.seen[name] = self._kept(video, name)
        return self.seen[name]

    def _kept(self, video: Video, name: str) -> tuple[np.ndarray, np.ndarray]:
        path = self.folder and self.folder / f"{key(video=name, encoder=self.card['encoder'], fps=self.fps)[:32]}.npz"
        if path and path.exists():
            with np.load(path, allow_pickle=False) as kept:
                return kept["times"], kept["features"]
        chunks = [(chunk.seconds, self.encoder.images(chunk)) for chunk in video.stream(self.fps)]
        times, features = np.concatenate([t for t, _ in chunks]), np.concatenate([f for _, f in chunks])
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part.npz")
            np.savez(part, times=times, features=features)
            part.replace(path)
        return times, features
