"""What a page can show of a video: an address for its player, and stills of the moments that matter."""

import base64
import io
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
from PIL import Image

from videre.errors import VidereError
from videre.report.cases import Case
from videre.types import Frames, Video

OpenVideo = Callable[[str], Video]

EMBED_LIMIT_BYTES = 200 * 2**20
STILL_WIDTH_PX = 320
STILL_HEIGHT_PX = 200
_CHUNK_PIXELS = 32_000_000


@dataclass(frozen=True)
class Still:
    """One picture of the strip: its own true time and JPEG bytes."""

    seconds: float
    jpeg: bytes

    @property
    def url(self) -> str:
        """The picture as a data address."""
        return f"data:image/jpeg;base64,{base64.b64encode(self.jpeg).decode()}"


@dataclass(frozen=True)
class Media:
    """What there is of one video.

    Attributes:
        url: for the player; None where the file is gone.
        stills: for each asked moment, the frame that is shown at it.
        remarks: plain sentences on what is missing or has changed.
    """

    url: str | None = None
    stills: Mapping[float, Still] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def media_of(group: Sequence[Case], *, folder: Path, embed: bool, open_video: OpenVideo | None) -> Media:
    """What a page in `folder` can show of the video that these cases share."""
    file = find(group[0].path, near=folder)
    if file is None:
        return Media(remarks=(f"The video is not here: {group[0].path or 'no path'}. Everything else is shown.",))
    found = Media(address(file, folder=folder))
    if embed:
        found = _embedded(found, file)
    return _with_stills(found, file, group, open_video) if open_video else found


def find(path: str, *, near: Path) -> Path | None:
    """The regular file at a path, taken from the working directory or else from the page's own folder."""
    for candidate in (Path(path), near / path):
        try:
            if path and candidate.is_file():
                return candidate.absolute()
        except (OSError, ValueError):
            continue
    return None


def address(file: Path, *, folder: Path) -> str:
    """The file as an address: relative where it lies below the page's folder (both can move), else absolute."""
    folder = folder.absolute()
    if file.is_relative_to(folder):
        return "./" + quote(os.fsencode(file.relative_to(folder)))
    return file.as_uri()


def _embedded(found: Media, file: Path) -> Media:
    size = file.stat().st_size
    if size > EMBED_LIMIT_BYTES:
        why = f"The video ({size / 2**20:,.0f} MB) is too large to be put into this page; the page plays the file."
        return replace(found, remarks=(why,))
    content = file.read_bytes()
    kind = _kind(content)
    if kind is None:
        return replace(found, remarks=("The file is of no kind that a page can hold; the page points to it instead.",))
    return replace(found, url=f"data:{kind};base64,{base64.b64encode(content).decode()}")


def _kind(content: bytes) -> str | None:
    """The media type by content, so that a record cannot make a page carry a file that is no video."""
    if content[4:8] == b"ftyp":
        return "video/mp4"
    if content[:4] == b"\x1a\x45\xdf\xa3":
        return "video/webm"
    return "video/ogg" if content[:4] == b"OggS" else None


def _with_stills(found: Media, file: Path, group: Sequence[Case], open_video: OpenVideo) -> Media:
    answers = [entry.record.answer for case in group for entry in case.entries if entry.record.answer]
    moments = sorted({t for answer in answers for t in answer.evidence.seconds if math.isfinite(t)})
    try:
        with ExitStack() as stack:
            opened = open_video(str(file))
            video = stack.enter_context(opened) if isinstance(opened, AbstractContextManager) else opened
            remarks = found.remarks + _changed(video, group)
            return replace(found, stills=dict(_stills(video, moments)), remarks=remarks)
    except (VidereError, OSError) as error:
        return replace(found, remarks=(*found.remarks, f"The pictures could not be read again: {error}"))


def _changed(video: Video, group: Iterable[Case]) -> tuple[str, ...]:
    now = video.info.get("sha256")
    then = {entry.record.video.get("sha256") for case in group for entry in case.entries} - {None}
    if now is None or then <= {now}:
        return ()
    return ("The file has changed since it was asked about: times, pictures and boxes may not fit.",)


def _stills(video: Video, moments: Sequence[float]) -> Iterator[tuple[float, Still]]:
    """Each moment with its still, a few at a time, so that memory stays small for many large frames."""
    size = max(1, _CHUNK_PIXELS // max(1, video.width_px * video.height_px))
    for start in range(0, len(moments), size):
        chunk = moments[start : start + size]
        frames = video.at(chunk)
        stills = [Still(float(t), _jpeg(frames, i)) for i, t in enumerate(frames.seconds)]
        for moment in chunk:
            index = int(np.searchsorted(frames.seconds, moment + 1e-6, side="right")) - 1
            yield moment, stills[max(0, index)]


def _jpeg(frames: Frames, index: int) -> bytes:
    picture = Image.fromarray(np.ascontiguousarray(frames.pixels[index].transpose(1, 2, 0)))
    picture.thumbnail((STILL_WIDTH_PX, STILL_HEIGHT_PX), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=82, optimize=True)
    return buffer.getvalue()
