"""Many long texts as training samples: files of pictures, a film each, or shards; through `videre.jobs`.

An item is one sample, or one shard of samples. Its row names the files and their hashes, so that a run that was killed
goes on, and what was written can be checked. The same texts and settings give the same bytes, however many processes.

Source: sections 3.2 and 3.3 of arXiv 2411.19951.
Differs: samples are written whole or not at all; nothing is cut off; films and shards take a tenth of the official
folders of RGB pictures.
"""

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from videre import jobs
from videre.data.long_texts import LongText
from videre.data.training_rows import TrainingRow, written
from videre.errors import ConfigError, DataError
from videre.methods.t2vid import official
from videre.methods.t2vid.cut import PAPER_TOKENS, By
from videre.methods.t2vid.face import Face
from videre.methods.t2vid.film import write_film
from videre.methods.t2vid.layout import Page, Style
from videre.methods.t2vid.render import laid_out, png
from videre.methods.t2vid.shards import in_parquet, in_tar, parquet, stem, tar
from videre.types import JSON

Media = Literal["images", "video", "webdataset", "parquet"]
SHARDS = ("webdataset", "parquet")
VERSION = 1


@dataclass(frozen=True)
class Settings:
    """What the samples look like.

    Attributes:
        media: a folder of pictures a sample, a film a sample, or shards of many.
        by: how texts are cut; None puts on each page as much as fits.
        limit: most tokens, words or lines of a page.
        style: of the pages.
        compat: "t2vid" draws the official pages, faults included; only with pictures, and of their looks only the font
            is free.
        shard_samples: samples of a shard.
    """

    media: Media = "images"
    by: By | None = "tokens"
    limit: int = PAPER_TOKENS
    style: Style = field(default_factory=Style)
    compat: Literal["t2vid"] | None = None
    shard_samples: int = 100

    def __post_init__(self) -> None:
        if self.compat and (self.media != "images" or self.by != "tokens"):
            raise ConfigError("the official pages are pictures cut by tokens: leave media and by as they are")
        if self.compat and self.style != Style(font=self.style.font):
            raise ConfigError(
                "the official pages have one size, one margin and one way of lines: only the font is free"
            )
        if self.shard_samples < 1 or self.limit < 1:
            raise ConfigError(f"a page and a shard hold one or more, got {self.limit=} {self.shard_samples=}")


def items(texts: Sequence[LongText], settings: Settings) -> list[jobs.Item]:
    """What is to be made: a sample an item, or a shard."""
    if settings.media not in SHARDS:
        return [jobs.Item(_key([text], settings), text.id, [text]) for text in texts]
    size = settings.shard_samples
    groups = [list(texts[at : at + size]) for at in range(0, len(texts), size)]
    return [jobs.Item(_key(group, settings), f"shard-{n:05d}", group) for n, group in enumerate(groups)]


def work(out: Path, settings: Settings) -> jobs.PerWorker:
    """Makes items in `out`; the font is opened once in each process."""
    return jobs.PerWorker(partial(_ready, out, settings))


def samples(folder: Path, order: Sequence[jobs.Item]) -> list[dict[str, Any]]:
    """What was written, in the order of the texts; failed items are not among them."""
    known = {row["id"]: row for row in jobs.rows(folder)}
    made = [known[item.id] for item in order if item.id in known and not known[item.id].get("error")]
    return [sample for row in made for sample in row["samples"]]


def training_row(sample: dict[str, Any], text: LongText) -> TrainingRow:
    """A written sample as a row of a trainer."""
    images = tuple(name for name, _ in sample["files"]) if not sample["video"] else ()
    video = sample["files"][0][0] if sample["video"] else ""
    return TrainingRow(text.id, text.question, text.answer, images=images, video=video, source=text.source)


def verify(folder: Path, sample: dict[str, Any], text: LongText, settings: Settings) -> str:
    """What is wrong with a written sample, read again; empty where it is whole.

    Hashes are compared, pictures and films decoded and counted, and the pages laid out again to see that they hold
    every character of the text.
    """
    if not settings.compat:
        shown = "".join(f.text for page in _pages(text, settings, None) for f in page.fragments)
        if "".join(shown.split()) != "".join(text.context.split()):
            return "the pages do not hold the text"
    if settings.media in SHARDS:
        return _verify_shard(folder / sample["shard"], sample, settings)
    for name, sha256 in sample["files"]:
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            return f"{name} has other bytes than were written"
    return _verify_film(folder / sample["files"][0][0], sample) if sample["video"] else _verify_pictures(folder, sample)


def _key(texts: Sequence[LongText], settings: Settings) -> str:
    font = jobs.file_key(settings.style.font) if settings.style.font else None
    return jobs.key(texts=[asdict(text) for text in texts], settings=asdict(settings), font=font, version=VERSION)


def _ready(out: Path, settings: Settings) -> jobs.Work:
    face = Face(settings.style.font, settings.style.size_px)
    return partial(_make, out, settings, face)


def _make(out: Path, settings: Settings, face: Face, item: jobs.Item) -> dict[str, JSON]:
    if settings.media in SHARDS:
        return {"samples": _shard(out, settings, face, item)}
    return {"samples": [_sample(out, settings, face, text) for text in item.payload]}


def _sample(out: Path, settings: Settings, face: Face, text: LongText) -> dict[str, JSON]:
    if settings.compat:
        return _official(out, settings, text)
    pages = _filled(text, settings, face)
    made: dict[str, JSON] = {"id": text.id, "pages": len(pages), "missing": _missing(pages)}
    if settings.media == "video":
        name = f"videos/{stem(text.id)}.mp4"
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        write_film(pages, out / name)
        return made | {"video": True, "files": [[name, hashlib.sha256((out / name).read_bytes()).hexdigest()]]}
    pictures = ((f"images/{stem(text.id)}/{number:05d}.png", png(page)) for number, page in enumerate(pages))
    return made | {"video": False, "files": [_write(out, name, data) for name, data in pictures]}


def _official(out: Path, settings: Settings, text: LongText) -> dict[str, JSON]:
    font = official.font(settings.style.font)
    pages = [official.lay_out(chunk, font) for chunk in official.chunks(text.context, limit=settings.limit)]
    if not pages:
        raise DataError(f"{text.id}: the context is blank, so there is nothing to show")
    files = []
    for number, page in enumerate(pages):
        data = io.BytesIO()
        official.draw(page, font).save(data, "PNG")
        files.append(_write(out, f"images/{stem(text.id)}/text_pic_{number:05d}.png", data.getvalue()))
    cut_off = sum(page.leaves_canvas for page in pages)
    return {"id": text.id, "pages": len(pages), "missing": "", "video": False, "files": files, "cut_off_pages": cut_off}


def _shard(out: Path, settings: Settings, face: Face, item: jobs.Item) -> list[dict[str, JSON]]:
    made, rows = [], []
    for text in item.payload:
        pages = _filled(text, settings, face)
        pictures = [(f"{stem(text.id)}.{number:05d}.png", png(page)) for number, page in enumerate(pages)]
        files = [[name, hashlib.sha256(data).hexdigest()] for name, data in pictures]
        made.append({"id": text.id, "pages": len(pages), "missing": _missing(pages), "video": False, "files": files})
        row = TrainingRow(text.id, text.question, text.answer, images=tuple(n for n, _ in pictures), source=text.source)
        rows.append((written(row, "messages"), pictures))
    ending, pack = {"webdataset": ("tar", tar), "parquet": ("parquet", parquet)}[settings.media]
    name = f"shards/{item.id}.{ending}"
    _write(out, name, pack(rows))
    return [{**one, "shard": name} for one in made]


def _filled(text: LongText, settings: Settings, face: Face) -> list[Page]:
    pages = list(_pages(text, settings, face))
    if not pages:
        raise DataError(f"{text.id}: the context is blank, so there is nothing to show")
    return pages


def _pages(text: LongText, settings: Settings, face: Face | None) -> Iterator[Page]:
    return laid_out(text.context, settings.style, by=settings.by, limit=settings.limit, face=face)


def _missing(pages: Sequence[Page]) -> str:
    return "".join(sorted({c for page in pages for c in page.missing}))


def _write(out: Path, name: str, data: bytes) -> list[str]:
    """Writes beside and renames, so that no half of a file is ever seen; its name and hash."""
    path = out / name
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_ = path.with_name(f".{path.name}.partial")
    partial_.write_bytes(data)
    partial_.replace(path)
    return [name, hashlib.sha256(data).hexdigest()]


def _verify_pictures(folder: Path, sample: dict[str, Any]) -> str:
    for name, _ in sample["files"]:
        with Image.open(folder / name) as picture:
            picture.load()
    return "" if len(sample["files"]) == sample["pages"] else "a page has no picture"


def _verify_film(path: Path, sample: dict[str, Any]) -> str:
    from videre.video.open import open_video

    with open_video(path) as video:
        count = len(video.at([float(second) for second in range(sample["pages"])]))
    return "" if count == sample["pages"] else f"{path.name} shows {count} pages, {sample['pages']} were written"


def _verify_shard(path: Path, sample: dict[str, Any], settings: Settings) -> str:
    if not path.is_file():
        return f"{path.name} is missing"
    found = in_tar(path, sample) if settings.media == "webdataset" else in_parquet(path, sample)
    wrong = [name for name, sha256 in sample["files"] if found.get(name) != sha256]
    return f"{path.name}: {wrong[0]} is missing or has other bytes than were written" if wrong else ""
