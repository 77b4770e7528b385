"""A stretch of a video as a video of its own: what a file would be that was cut there.

Its clock starts at the frame that is shown when the stretch begins, so that selectors and models treat it as any video.
`start_seconds` brings a moment of it back to the whole: `whole = start_seconds + moment`.
"""

from collections.abc import Iterable, Iterator

from videre.errors import VideoError
from videre.types import JSON, Frames, Span
from videre.video.open import VideoFile


class Part:
    """A video from the start to the end of a span. Satisfies the protocol `Video`; the whole stays open without it.

    Attributes:
        path: of the whole.
        start_seconds: true time, in the whole, of the first frame that is shown.
        duration_seconds: from there to the end of the span, or of the whole where that is sooner.
        width_px: displayed: upright, with square pixels.
        height_px: likewise.
    """

    def __init__(self, whole: VideoFile, span: Span) -> None:
        if not 0 <= max(span.start_seconds, 0.0) < whole.duration_seconds:
            asked = f"{span.start_seconds:g} to {span.end_seconds:g} s"
            length = f"{whole.duration_seconds:.2f} s long"
            raise VideoError(f"{whole.path}: asked about {asked}, and the video is {length}", code="past_the_end")
        self._whole = whole
        self.path = whole.path
        self.start_seconds = float(whole.at([max(span.start_seconds, 0.0)], size_px=16).seconds[0])
        self._end_seconds = max(self.start_seconds, min(span.end_seconds, whole.duration_seconds))
        self.duration_seconds = self._end_seconds - self.start_seconds
        self.width_px, self.height_px = whole.width_px, whole.height_px

    def __repr__(self) -> str:
        return f"Part({self.start_seconds:.2f} to {self._end_seconds:.2f} s of {self._whole!r})"

    @property
    def info(self) -> dict[str, JSON]:
        """Facts of the whole file."""
        return self._whole.info

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks on the whole file."""
        return self._whole.notes

    def at(self, seconds: Iterable[float], *, size_px: int | None = None) -> Frames:
        """As `VideoFile.at`, in the part's own time; a moment outside gives its first or last frame."""
        moments = [min(max(self.start_seconds + t, self.start_seconds), self._end_seconds) for t in seconds]
        return self._own(self._whole.at(moments, size_px=size_px))

    def stream(self, fps: float, start_seconds: float = 0.0, *, size_px: int | None = None) -> Iterator[Frames]:
        """As `VideoFile.stream`, in the part's own time, to the end of the part."""
        first = self.start_seconds + max(start_seconds, 0.0)
        for chunk in self._whole.stream(fps, first, size_px=size_px):
            kept = int((chunk.seconds <= self._end_seconds).sum())
            if kept:
                yield self._own(Frames(chunk.pixels[:kept], chunk.seconds[:kept], chunk.label))
            if kept < len(chunk):
                return

    def _own(self, frames: Frames) -> Frames:
        return Frames(frames.pixels, frames.seconds - self.start_seconds, frames.label)
