"""Finds an action in time by the likeness of frames and words, without training.

Source: specification of the similarity scan: z-scores over the video, a box of 3 s, grown from the peak.
"""

from dataclasses import dataclass, field

import numpy as np

from videre.types import Encoder, Frames, Span, Video

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
        videos: how many videos are remembered.
    """

    encoder: Encoder
    fps: float = 2.0
    smooth_seconds: float = 3.0
    share: float = 0.3
    stop_seconds: float = 2.0
    least_seconds: float = 2.0
    videos: int = 16
    name: str = "scan"
    seen: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def ground(self, video: Video, query: str, *, window: Span) -> Span | None:
        """The stretch around the frame of the window that is most like the query; None for an empty window."""
        times, features = self._features(video)
        inside = (times >= window.start_seconds) & (times <= window.end_seconds)
        if not inside.any():
            return None
        scores = self._scores(features, query)[inside]
        low, high = self._grown(scores)
        start, end = times[inside][low], times[inside][high] + 1 / self.fps
        middle, half = (start + end) / 2, max(end - start, self.least_seconds) / 2
        start, end = max(window.start_seconds, middle - half), min(window.end_seconds, middle + half)
        return Span(float(start), float(max(start, end)))

    def _scores(self, features: np.ndarray, query: str) -> np.ndarray:
        wanted, plain = self.encoder.texts([query, NEUTRAL])
        likeness = (features @ (wanted - plain)).astype(np.float64)
        likeness = (likeness - likeness.mean()) / (likeness.std() or 1.0)
        width = min(len(likeness), max(1, round(self.smooth_seconds * self.fps)))
        box = np.ones(width)
        return np.convolve(likeness, box, "same") / np.convolve(np.ones_like(likeness), box, "same")

    def _grown(self, scores: np.ndarray) -> tuple[int, int]:
        is_high = scores >= scores.mean() + self.share * (scores.max() - scores.mean())
        peak, patience = int(scores.argmax()), max(1, round(self.stop_seconds * self.fps))
        ends = []
        for step in (-1, 1):
            last, place = peak, peak + step
            while 0 <= place < len(scores) and abs(place - last) < patience:
                last = place if is_high[place] else last
                place += step
            ends.append(last)
        return ends[0], ends[1]

    def _features(self, video: Video) -> tuple[np.ndarray, np.ndarray]:
        key = str(video.info.get("sha256") or video.path)
        if key not in self.seen:
            while len(self.seen) >= self.videos:
                self.seen.pop(next(iter(self.seen)))
            chunks = [(chunk.seconds, self._encoded(chunk)) for chunk in video.stream(self.fps)]
            self.seen[key] = np.concatenate([t for t, _ in chunks]), np.concatenate([f for _, f in chunks])
        return self.seen[key]

    def _encoded(self, chunk: Frames) -> np.ndarray:
        return self.encoder.images(chunk)
