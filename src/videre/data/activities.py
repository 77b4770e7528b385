"""What is done in a video, as a class: Breakfast and COIN.

Files: Breakfast, `data/breakfast/annotation/{train,val}.json` of boheumd/MA-LMM, {video: {duration, frame_length,
class_name, class_label}}; COIN, MA-LMM's `data/coin/annotation/COIN.json`, {video: {subset, duration, target}}, or the
official `COIN.json`, {"database": {video: {class, recipe_type, subset, duration, annotation: [{label, segment}]}}}.

Source: Kuehne et al., CVPR 2014; Tang et al., CVPR 2019. Breakfast is verified; COIN is unverified in both forms: our
copy lacks the file, this follows MA-LMM's reader and the official description.
"""

from dataclasses import replace

from videre.data import spans
from videre.data.annotations import Source, collect
from videre.data.fields import Row
from videre.data.json_rows import keyed, members
from videre.types import Question, Sample, Span

BREAKFAST = "what type of breakfast is shown in the video?"
COIN = "what is the activity in the video?"


def breakfast(path: Source) -> list[Sample]:
    """The videos with their dish as the answer; named as the archive lays them out, `P47/cam01/P47_cereals`."""
    return collect(members(path), _breakfast, path=path)


def coin(path: Source, *, split: str | None = None) -> list[Sample]:
    """The videos with their activity as the answer; the official file also gives the steps as spans.

    Args:
        path: MA-LMM's or the official `COIN.json`.
        split: "train", "val" (MA-LMM), "training", "testing" (official); None for all.
    """
    top = keyed(path)
    rows = top["database"].fields if "database" in top else None
    videos = list(top.values()) if rows is None else [_video(top["database"], name) for name in rows]
    asked = [row for row in videos if split is None or row.text("subset") == split]
    return collect(asked, _coin, path=path)


def _video(database: Row, name: str) -> Row:
    return replace(database.inner(name), name=name)


def _breakfast(row: Row) -> Sample:
    row.whole("class_label")
    return Sample(
        id=row.name,
        video=row.own_video().replace("-", "/"),
        question=Question(BREAKFAST),
        answer=row.text("class_name"),
    )


def _coin(row: Row) -> Sample:
    official = "class" in row.fields
    name = row.own_video()
    return Sample(
        id=row.name,
        video=f"{row.whole('recipe_type')}/{name}" if official else name,
        question=Question(COIN),
        answer=row.text("class" if official else "target"),
        spans=tuple(_step(step) for step in row.inners("annotation")) if row.has("annotation") else (),
    )


def _step(row: Row) -> Span:
    return spans.published(row, row.items("segment"), label=row.text("label"))
