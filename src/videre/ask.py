"""Road 1: open a video, select moments, look at them, answer; the evidence record comes back."""

import hashlib
import platform
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import av
import numpy as np

import videre
from videre.options import listed
from videre.record import Record, video_facts
from videre.types import JSON, Answer, Answerer, Evidence, Frames, Question, Selector, Step, System, Video
from videre.video.look import look
from videre.video.open import open_video
from videre.video.sample import uniform

DEFAULT_FRAMES = 8
DEFAULT_SIZE_PX = 768


def ask(
    video: Video | str | Path,
    question: Question | str,
    *,
    options: Iterable[str] = (),
    model: Answerer | None = None,
    select: Selector | None = None,
    size_px: int | None = DEFAULT_SIZE_PX,
    seed: int = 0,
    id: str | None = None,
) -> Record:
    """The evidence record of one question about one video; `str(record)` is the answer.

    Args:
        video: a path, or a video that is open already and stays open.
        question: the question, as text or with its options.
        options: the options of a multiple-choice question, where `question` is text.
        model: who answers; None takes the built-in model, which knows only its generated world.
        select: which moments are shown; None takes 8 uniform ones.
        size_px: frames whose longer side is longer than this are scaled down to it; None shows them as they are.
        seed: written to the run card: the one that `select` was made with, where it draws. Nothing here does.
        id: name of the record; None takes the file name.

    Raises:
        VideoError: the video cannot be read, or may not be.
        ModelError: the model cannot be loaded or did not answer.
    """
    asked = question if isinstance(question, Question) else Question(question, tuple(options))
    if isinstance(video, str | Path):
        with open_video(video) as opened:
            return ask(opened, asked, model=model, select=select, size_px=size_px, seed=seed, id=id)
    answers = system(model or _builtin(), select or uniform(DEFAULT_FRAMES), size_px=size_px, seed=seed)
    answer = answers(video, asked)
    return Record(id or Path(video.path).name, video_facts(video), asked, answer)


def system(model: Answerer, select: Selector, *, size_px: int | None = DEFAULT_SIZE_PX, seed: int = 0) -> System:
    """A model behind a selector: the system that every evaluation and every command runs."""

    def answers(video: Video, question: Question) -> Answer:
        started = time.perf_counter()
        evidence = select(video, question)
        selected = time.perf_counter()
        shown = laid_out(select, video, evidence, question, size_px=size_px)
        frames = shown.chunks[shown.main]
        looked = time.perf_counter()
        answer = model.answer(shown.chunks, shown.question)
        settle: Callable[..., Evidence] | None = getattr(select, "settle", None)  # A selector that grounds afterwards.
        evidence = settle(video, question, answer, evidence) if settle else evidence
        chosen = Step("select", {"selector": selector_name(select)}, list(evidence.seconds), _ms(started, selected))
        steps = (
            *(evidence.steps or (chosen,)),
            Step("look", {"moments": len(evidence.seconds)}, f"{frames!r}", _ms(selected, looked)),
            Step("answer", {"model": model.name}, answer.text, _ms(looked, time.perf_counter())),
        )
        told = run_card(model, select, frames, shown.question, video=video, seed=seed)
        run = {**told, **shown.facts, **answer.run}
        return replace(answer, evidence=replace(shown_evidence(evidence, frames), steps=steps), run=run)

    return answers


@dataclass(frozen=True)
class Shown:
    """What is laid before the model.

    Attributes:
        chunks: the frames, in parts.
        question: the question as it is asked of the model.
        main: which chunk the evidence points at.
        facts: what the run card says beside the usual.
    """

    chunks: tuple[Frames, ...]
    question: Question
    main: int = 0
    facts: Mapping[str, JSON] = field(default_factory=dict)


def laid_out(select: Selector, video: Video, evidence: Evidence, question: Question, *, size_px: int | None) -> Shown:
    """The frames at the chosen moments; a selector with a method `show` of this form lays out parts of its own."""
    show: Callable[..., Shown] | None = getattr(select, "show", None)
    if show is None:
        return Shown((look(video, evidence, size_px=size_px),), question)
    return show(video, evidence, question, size_px=size_px)


class Blind:
    """A model that is shown grey in place of every frame: what it gets right, it gets without the video."""

    def __init__(self, model: Answerer) -> None:
        self._model = model
        self.name = f"{model.name}, blind"
        self.card: Mapping[str, JSON] = {**model.card, "blind": True}

    def answer(self, frames: Iterable[Frames], question: Question) -> Answer:
        """The model's answer to the question and as many grey frames."""
        grey = [Frames(np.full_like(chunk.pixels, 128), chunk.seconds, chunk.label) for chunk in frames]
        return self._model.answer(grey, question)


def shown_evidence(evidence: Evidence, frames: Frames) -> Evidence:
    """The evidence with the true times of the frames that were shown, in place of the moments that were asked for."""
    seconds = tuple(float(t) for t in frames.seconds)
    if seconds == evidence.seconds:
        return evidence
    kept = evidence.scores if len(evidence.scores) == len(seconds) else ()
    return replace(evidence, seconds=seconds, scores=kept)


def run_card(
    model: Answerer, select: Selector, frames: Frames, question: Question, *, video: Video, seed: int
) -> dict[str, JSON]:
    """What it takes to get this answer again: versions, model, decoder, what was shown, what was asked."""
    return {
        "videre": videre.__version__,
        "python": platform.python_version(),
        "decoder": video.info.get("decoder", f"pyav {av.__version__}"),
        "model": dict(model.card),
        "selector": selector_name(select),
        "frames_seconds": [float(t) for t in frames.seconds],
        "frames_sha256": frames.sha256(),
        "frames_px": [frames.width_px, frames.height_px],
        "prompt_sha256": hashlib.sha256(listed(question).encode("utf-8", "surrogatepass")).hexdigest(),
        "seed": seed,
    }


def selector_name(select: Selector) -> str:
    """How the run card names a selector: its own `name`, else the function that it is or that made it."""
    place = getattr(select, "__qualname__", type(select).__qualname__).partition(".<locals>")[0]
    return getattr(select, "name", None) or f"{select.__module__}:{place}"


def _builtin() -> Answerer:
    from videre.models import builtin

    return builtin.load()


def _ms(start: float, end: float) -> float:
    return round((end - start) * 1000, 3)
