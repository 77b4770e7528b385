"""Facts that an MP4 header tells before any decoder sees it: sizes, protection, references to other files.

Only box headers and a few fixed fields are read; sample tables are left to FFmpeg.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from videre.video.source import Source

_FOLDERS = (b"trak", b"mdia", b"minf", b"dinf", b"stbl", b"mvex", b"sinf", b"edts")
_MAX_BOXES = 10_000


@dataclass
class Mp4Facts:
    """What the header says.

    Attributes:
        has_index: a `moov` box is there and complete.
        fragmented: the frames stand in `moof` fragments.
        sizes_px: width and height of each picture entry.
        handler: kind of the track that is walked at the moment.
        codecs: four-letter codes of the picture entries, the true one where an entry is encrypted.
        encrypted: an entry is protected (DRM).
        external: a track keeps its data in another file.
    """

    has_index: bool = False
    fragmented: bool = False
    encrypted: bool = False
    external: bool = False
    sizes_px: list[tuple[int, int]] = field(default_factory=list)
    handler: bytes = b""
    codecs: list[str] = field(default_factory=list)


def read_mp4_facts(source: Source) -> Mp4Facts:
    """Walks the boxes of an MP4 or MOV file; damage ends the walk quietly, FFmpeg judges the rest."""
    facts = Mp4Facts()
    for kind, start, end in _boxes(source, 0, source.size_bytes):
        if kind == b"moov" and end <= source.size_bytes:
            facts.has_index = True
            _walk(source, start, end, facts, 0)
        elif kind == b"moof":
            facts.fragmented = True
    return facts


def _boxes(source: Source, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, first byte of the content and end of each box."""
    for _ in range(_MAX_BOXES):
        head = source.read(start, 16)
        if len(head) < 8 or start + 8 > end:
            return
        size, kind, header = struct.unpack(">I", head[:4])[0], head[4:8], 8
        if size == 1 and len(head) == 16:
            size, header = struct.unpack(">Q", head[8:])[0], 16
        size = end - start if size == 0 else size
        if size < header:
            return
        yield kind, start + header, start + size
        start += size


def _walk(source: Source, start: int, end: int, facts: Mp4Facts, depth: int) -> None:
    for kind, first, last in _boxes(source, start, end):
        if kind in _FOLDERS and depth < 8:
            _walk(source, first, last, facts, depth + 1)
        elif kind == b"hdlr":
            facts.handler = source.read(first + 8, 4)
        elif kind == b"stsd" and facts.handler == b"vide":
            _read_entries(source, first + 8, last, facts)
        elif kind == b"dref":
            facts.external |= _has_external(source, first + 8, last)
        if kind == b"mvex":
            facts.fragmented = True


def _read_entries(source: Source, start: int, end: int, facts: Mp4Facts) -> None:
    """Sample entries: 8 bytes, then 16 of the video kind, then width and height."""
    for kind, first, last in _boxes(source, start, end):
        facts.encrypted |= kind in (b"encv", b"drmi")
        body = source.read(first, min(last - first, 8192))
        original = body.find(b"frma")
        name = body[original + 4 : original + 8] if original >= 0 else kind
        facts.codecs.append(name.decode("ascii", "replace"))
        if len(body) >= 28:
            facts.sizes_px.append(struct.unpack(">HH", body[24:28]))


def _has_external(source: Source, start: int, end: int) -> bool:
    """Whether a data reference lacks the flag "in this file"."""
    return any(
        not source.read(first, 4)[3:] or not source.read(first, 4)[3] & 1 for _, first, _ in _boxes(source, start, end)
    )
