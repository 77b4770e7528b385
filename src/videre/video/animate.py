"""Animated WebP through Pillow, which every installation has; FFmpeg learned it late."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from PIL import Image

from videre.errors import VideoError
from videre.types import JSON
from videre.video.container import check_size, unreadable
from videre.video.limits import Limits
from videre.video.picture import RGB, Layout
from videre.video.source import Source

_SHORTEST_MS, _USUAL_MS = 20, 100
"""A delay below the first is shown for the second, as browsers and FFmpeg do."""


class AnimationReader:
    """Frames of an animated picture; each pass decodes from the first frame on."""

    def __init__(self, source: Source, limits: Limits) -> None:
        self._source = source
        try:
            with self._image() as image:
                check_size(source.name, image.width, image.height, limits)
                self.layout = Layout(*image.size)
                self._mode = image.mode
                delays = [_delay_seconds(image) for _ in _frames(image)]
        except (OSError, ValueError, SyntaxError, EOFError) as error:
            raise unreadable(source.name, error) from error
        self._starts = np.concatenate([[0.0], np.cumsum(delays)[:-1]])
        self.duration_seconds = float(sum(delays))

    def shown(self, moments: Iterable[float], size_px: int | None, row: Callable[[], RGB]) -> Iterator[float]:
        """As `AvReader.shown`."""
        layout = self.layout.at_most(size_px)
        last = -1
        with self._image() as image:
            for moment in moments:
                number = max(int(np.searchsorted(self._starts, moment + 1e-6, "right")) - 1, 0)
                if number == last:
                    continue
                last = number
                row()[:] = self._picture(image, number, layout)
                yield float(self._starts[number])

    def facts(self) -> dict[str, JSON]:
        """As `AvReader.facts`."""
        count, steps = len(self._starts), np.diff(self._starts)
        return {
            "container": "webp",
            "codec": "webp",
            "pixel_format": self._mode.lower(),
            "rotation": 0,
            "mirrored": False,
            "pixel_aspect": 1.0,
            "interlaced": False,
            "hdr": "",
            "decoder": "pillow",
            "frames": count,
            "fps_avg": round(count / self.duration_seconds, 6),
            "vfr": bool(count > 1 and np.ptp(steps) > 1e-3),
            "start_time": 0.0,
        }

    def remarks(self) -> tuple[str, ...]:
        """As `AvReader.remarks`."""
        return ()

    def close(self) -> None:
        """Nothing is held."""

    def _image(self) -> Any:
        return Image.open(self._source.reader(), formats=("WEBP",))  # type: ignore[arg-type]

    def _picture(self, image: Any, number: int, layout: Layout) -> RGB:
        try:
            image.seek(number)
            picture = image.convert("RGB")
        except (OSError, EOFError, ValueError) as error:
            raise VideoError(
                f"{self._source.name}: damaged: frame {number} does not decode; re-download it", code="damaged"
            ) from error
        return np.asarray(picture.resize((layout.width_px, layout.height_px), Image.Resampling.BICUBIC))


def _frames(image: Any) -> Iterator[int]:
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        image.load()
        yield number


def _delay_seconds(image: Any) -> float:
    milliseconds = int(image.info.get("duration", 0))
    return (milliseconds if milliseconds >= _SHORTEST_MS else _USUAL_MS) / 1000
