"""Captions: what a video, or a part of it, shows, in one reference or many.

Files of boheumd/MA-LMM: `data/{msrvtt,msvd}/annotation/cap_{train,val,test}.json` ({n: {image_id, caption, id, video}},
a row a caption), `coco_gt/cap_*.json` (COCO ground truth) and `data/youcook2/annotation/cap_{train,val,test}.json`
({segment: {video, start_time, end_time, caption}}; the test captions are held back and empty).

Source: Xu et al., CVPR 2016; Chen and Dolan, ACL 2011; Zhou et al., AAAI 2018. Verified.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from videre.data import spans
from videre.data.annotations import Source, collect, filled
from videre.data.fields import Row
from videre.data.json_rows import keyed, members
from videre.types import Span

QUESTION = "what does the video describe?"
"""The prompt that MA-LMM captions with."""


@dataclass(frozen=True)
class Captioned:
    """A video, or a part of it, and what people wrote about it.

    Attributes:
        id: of the video, or of the segment.
        video: relative to the video root.
        captions: the references, in file order; empty where the split holds them back.
        clip: the part that the captions are about; None for all of it.
    """

    id: str
    video: str
    captions: tuple[str, ...]
    clip: Span | None = None


def msrvtt(path: Source) -> list[Captioned]:
    """MSR-VTT: twenty captions a video."""
    return _grouped(((row.video("video"), row.text("caption")) for row in members(path)), path=path)


def msvd(path: Source) -> list[Captioned]:
    """MSVD: some forty captions a video."""
    return _grouped(((row.video("video"), row.text("caption")) for row in members(path)), path=path)


def youcook2(path: Source) -> list[Captioned]:
    """YouCook2: one caption a segment, `clip` its time in the video."""
    return collect(members(path), _segment, path=path)


def coco(path: Source) -> list[Captioned]:
    """COCO ground truth, {"annotations": [{image_id, caption, id}], "images": [...]}, as caption scorers read it."""
    top = keyed(path)
    if "annotations" not in top:
        some = next(iter(top.values()), Row(str(path), 1, {}))
        raise some.wrong('no "annotations" in the file', fix="pass the COCO ground truth, or use msrvtt or msvd")
    rows = top["annotations"]
    listed = Row(rows.source, rows.line, {"annotations": rows.items("value")})
    captions = ((row.video("image_id"), row.text("caption")) for row in listed.inners("annotations"))
    return _grouped(captions, path=path)


def _grouped(captions: Iterable[tuple[str, str]], *, path: Source) -> list[Captioned]:
    joined: dict[str, list[str]] = {}
    for video, caption in captions:
        joined.setdefault(video, []).append(caption)
    return filled([Captioned(video, video, tuple(lines)) for video, lines in joined.items()], path=path)


def _segment(row: Row) -> Captioned:
    caption = row.text("caption", blank=True)
    return Captioned(
        id=row.text("segment"),
        video=row.video("video"),
        captions=(caption,) if caption else (),
        clip=spans.published(row, [row.number("start_time"), row.number("end_time")]),
    )
