"""Caption files of any kind as videos with their captions: what the branch is trained on."""

import os
from collections.abc import Iterable
from dataclasses import dataclass

from videre.data import captions
from videre.data.annotations import Source, at_line, filled, read_text, table
from videre.data.json_rows import keyed, rows
from videre.data.videos import checked_name

WEBVID = ("videoid", "name", "page_dir")
MSRVTT = ("key", "video_id", "sentence")
OWN = ("video", "caption")


@dataclass(frozen=True)
class Caption:
    """A video, relative to the video root, and all that people wrote about it."""

    video: str
    texts: tuple[str, ...]


def read(path: Source) -> list[Caption]:
    """The videos of a caption file, in file order, each with all its captions.

    Args:
        path: JSON lines or a JSON list of `{"video", "caption"}`; CSV with the columns `video, caption`, WebVid's
            (`videoid, name, page_dir`) or MSR-VTT's (`key, video_id, sentence`); or captions as JSON in the layout of
            MSR-VTT's and MSVD's published files, or of COCO's.

    Raises:
        DataError: no such file, or a row that does not hold.
    """
    name = os.fspath(path)
    if name.endswith(".csv"):
        return _joined(_csv(path), path)
    if name.endswith(".json") and read_text(path).lstrip().startswith("{"):
        found = captions.coco(path) if "annotations" in keyed(path) else captions.msrvtt(path)
        return [Caption(each.video, each.captions) for each in found if each.captions]
    return _joined(((row.video("video"), row.text("caption")) for row in rows(path)), path)


def _csv(path: Source) -> Iterable[tuple[str, str]]:
    header = read_text(path).split("\n", 1)[0]
    columns = {part.strip().strip('"') for part in header.replace(";", ",").split(",")}
    if set(WEBVID) <= columns:
        for row in table(path, WEBVID):
            yield checked_name(f"{row.text('page_dir')}/{row.text('videoid')}.mp4"), row.text("name")
    elif set(MSRVTT) <= columns:
        for row in table(path, MSRVTT, delimiters=",;"):
            yield row.video("video_id"), row.text("sentence")
    elif set(OWN) <= columns:
        for row in table(path, OWN):
            yield row.video("video"), row.text("caption")
    else:
        layouts = "; or ".join(", ".join(each) for each in (OWN, WEBVID, MSRVTT))
        raise at_line(
            path, 1, f"no caption file that is known ({', '.join(sorted(columns))})", fix=f"name columns {layouts}"
        )


def _joined(pairs: Iterable[tuple[str, str]], path: Source) -> list[Caption]:
    texts: dict[str, list[str]] = {}
    for video, text in pairs:
        texts.setdefault(video, []).append(text)
    return filled([Caption(video, tuple(lines)) for video, lines in texts.items()], path=path)
