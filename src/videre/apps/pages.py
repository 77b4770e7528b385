"""The page of records as every command writes it: its pictures are decoded in a process of its own, under limits."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from videre.record import Record


def write(records: Iterable[Record], path: Path, *, title: str | None = None, embed_video: bool = False) -> Path:
    """The path of the page that was written, as `videre.report.write`."""
    from videre import report
    from videre.video.open import open_video

    apart = partial(open_video, isolate=True)
    return report.write(records, path, title=title, embed_video=embed_video, open_video=apart)
