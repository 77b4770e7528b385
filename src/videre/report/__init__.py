"""Records in, one self-contained HTML page out, which opens offline and shows every answer with its evidence.

The page holds its own style, script and pictures and asks the network for nothing; a policy in its head forbids it.
The video itself stays where it is and is played from there, unless it is asked to be put into the page.
"""

import base64
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template

from videre.jobs.folder import replace_file, writing
from videre.record import Record, dumps, to_row
from videre.report.article import articles, side_list, summary
from videre.report.cases import Case, cases_of
from videre.report.markup import data_script, escape
from videre.report.media import Media, OpenVideo, media_of
from videre.subtitles import webvtt
from videre.types import JSON

PLAIN_TITLE = "videre report"


def write(
    records: Iterable[Record],
    path: str | os.PathLike[str],
    *,
    title: str | None = None,
    embed_video: bool = False,
    open_video: OpenVideo | None = None,
    pictures: bool = True,
) -> Path:
    """The path of the page that was written, whole or not at all.

    Records that share video and question stand side by side. A video that is gone, or that cannot be read again, is
    said to be so on the page, and everything else is shown.

    Args:
        records: answers and failures, in the order of the page.
        path: where the page goes; its folder is made.
        title: the title of the page; None takes the question where there is one only.
        embed_video: puts the video files themselves into the page (mp4, webm, ogg; at most 200 MB each).
        open_video: how to open a video for its pictures; None takes `videre.video.open.open_video`.
        pictures: False leaves the pictures of the chosen frames out and opens no video.

    Raises:
        ValueError: there are no records.
        ConfigError: nothing can be written at such a path.
        OutOfSpace: there is no room for the page.
    """
    target = Path(path).absolute()
    known = list(records)
    opener = (open_video or _reader()) if pictures and known else None
    text = page(known, folder=target.parent, title=title, embed_video=embed_video, open_video=opener)
    with writing(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
    replace_file(target, text)
    return target


def page(
    records: Iterable[Record],
    *,
    folder: Path,
    title: str | None = None,
    embed_video: bool = False,
    open_video: OpenVideo | None = None,
) -> str:
    """The page as text, for a file that will lie in `folder`; without `open_video` it has no pictures."""
    found = cases_of(records)
    if not found:
        raise ValueError("a report needs one record or more, got none")
    shown = _media(found, folder=folder, embed=embed_video, open_video=open_video)
    style, script = _asset("page.css"), _asset("page.js")
    return Template(_asset("page.html")).substitute(
        title=escape(title or (found[0].question.text if len(found) == 1 else PLAIN_TITLE)),
        heading=escape(title or ""),
        policy=_policy(style, script),
        style=style,
        script=script,
        summary=escape(summary(found)),
        listed="listed" if len(found) > 1 else "alone",
        list=side_list(found) or "",
        articles=articles(found, shown),
        data=data_script(_data(found), id="data"),
    )


def _reader() -> OpenVideo:
    from videre.video.open import open_video

    return open_video


def _media(found: Sequence[Case], *, folder: Path, embed: bool, open_video: OpenVideo | None) -> Mapping[str, Media]:
    groups: dict[str, list[Case]] = {}
    for case in found:
        groups.setdefault(case.path, []).append(case)
    return {path: media_of(group, folder=folder, embed=embed, open_video=open_video) for path, group in groups.items()}


def _data(found: Sequence[Case]) -> JSON:
    """What the script needs, in the order of `Entry.index`: rows as they stand in a record file, and subtitles."""
    entries = sorted((entry for case in found for entry in case.entries), key=lambda entry: entry.index)
    rows = [json.loads(dumps(to_row(entry.record))) for entry in entries]
    return {"records": rows, "vtt": [webvtt([entry.record]) for entry in entries]}


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; img-src data:; media-src file: data: 'self'; style-src {_hash(style)}; "
        f"script-src {_hash(script)}; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _asset(name: str) -> str:
    return files("videre.report").joinpath(name).read_text("utf-8")
