"""Rows as lessons: pictures, pages rendered at their turn, videos through a selector, or words alone."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from videre.apps import naming
from videre.apps.synth import READERS
from videre.data.long_texts import LongText
from videre.data.training_rows import TrainingRow
from videre.data.videos import resolve
from videre.errors import DataError
from videre.train.answerer import Lesson
from videre.train.recipe import table
from videre.types import Frames, Question, Selector, Span


@dataclass(frozen=True)
class Show:
    """`[show]`: how many frames of a video are shown, chosen by whom, how large; pages are shown whole."""

    select: str = "uniform"
    frames: int = 24
    size_px: int = 768
    isolate: bool = True


@dataclass(frozen=True)
class Data:
    """One `[[data]]`: rows for trainers, or long texts that become pages (or stay words) at their turn.

    Attributes:
        name: of the set.
        rows: a file of rows in any form of `videre.data.training_rows`.
        root: folder that the names in it are relative to; empty for the file's own.
        texts: a file of long texts, in place of rows.
        format: of the texts: own, longalpaca, longqlora, booksum, natural-questions.
        shown: "pages", or "words" for the control in pure text.
        share: its part of the mix.
        question_words: longer questions are left out.
        most_tokens: longer samples are left out, counted as pages by the model's own processor, also where they stay
            words, so that the control has the same rows; 0 takes the model's context.
        by: how texts are cut; "fit" puts on a page what it holds.
        limit: most tokens, words or lines of a page.
        style: as in `videre.methods.t2vid.layout.Style`.
    """

    name: str
    rows: str = ""
    root: str = ""
    texts: str = ""
    format: str = "own"
    shown: str = "pages"
    share: float = 1.0
    question_words: int = 0
    most_tokens: int = 0
    by: str = "tokens"
    limit: int = 115
    style: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if bool(self.rows) == bool(self.texts):
            raise ValueError(f"set {self.name!r} names either rows or texts")
        if self.format not in READERS or self.shown not in ("pages", "words"):
            raise ValueError(f"format is one of {', '.join(READERS)}, shown is pages or words: set {self.name!r}")


@dataclass(frozen=True)
class Source:
    """A row of the mix, and what is needed to show it."""

    row: TrainingRow
    root: str = ""
    text: LongText | None = None
    data: Data | None = None


class Shown:
    """Makes lessons: pictures and pages as frames a second apart, videos through a selector, words as words."""

    def __init__(self, show: Show) -> None:
        self._show = show
        self._select: Selector = naming.selector(show.select, k=show.frames)
        self._pages = lru_cache(maxsize=8)(page_maker)

    def __call__(self, source: Source) -> Lesson:
        """What is shown of a row, its question and its answer."""
        row, question = source.row, Question(source.row.question)
        if source.text is not None and source.data is not None and source.data.shown == "pages":
            make = self._pages(json.dumps([source.data.by, source.data.limit, source.data.style]))
            return Lesson([make(source.text)], question, row.answer)
        if row.video:
            return Lesson([self._look(source, question)], question, row.answer)
        return Lesson(_pictures(source) if row.images else [], question, row.answer)

    def _look(self, source: Source, question: Question) -> Frames:
        from videre.video.look import look
        from videre.video.open import open_video
        from videre.video.part import Part

        with open_video(resolve(source.root, source.row.video), isolate=self._show.isolate) as whole:
            video = Part(whole, Span(*source.row.clip)) if source.row.clip else whole
            return look(video, self._select(video, question), size_px=self._show.size_px)


def page_maker(told: str) -> Callable[[LongText], Frames]:
    """Renders texts on pages of one style; the font is opened once."""
    from videre.methods.t2vid.face import Face
    from videre.methods.t2vid.render import laid_out, pixels

    by, limit, styled = json.loads(told)
    style = style_of(styled)
    face = Face(style.font, style.size_px)

    def make(text: LongText) -> Frames:
        pages = laid_out(text.context, style, by=None if by == "fit" else by, limit=limit, face=face)
        grey = [pixels(page) for page in pages]
        if not grey:
            raise DataError(f"{text.id}: the context is blank, so there is nothing to show")
        return Frames(np.repeat(np.stack(grey)[:, None], 3, axis=1), np.arange(len(grey), dtype=np.float64))

    return make


def style_of(told: dict[str, Any]) -> Any:
    """`[data.style]` as `videre.methods.t2vid.layout.Style`."""
    from videre.methods.t2vid.layout import Style

    return table(Style, told, "[data.style]")


def _pictures(source: Source) -> list[Frames]:
    """The pictures as frames a second apart; those of one size that follow one another are one chunk."""
    from PIL import Image

    chunks, run = list[Frames](), list[np.ndarray]()
    start = 0
    for number, name in enumerate(source.row.images):
        with Image.open(resolve(source.root, name)) as picture:
            pixels = np.asarray(picture.convert("RGB")).transpose(2, 0, 1)
        if run and pixels.shape != run[-1].shape:
            chunks.append(_chunk(run, start))
            run, start = [], number
        run.append(pixels)
    return [*chunks, _chunk(run, start)]


def _chunk(run: Sequence[np.ndarray], start: int) -> Frames:
    return Frames(np.stack(run), np.arange(start, start + len(run), dtype=np.float64))
