"""How a sample becomes a record: the video is opened, cut to the part that is asked about, and the system answers.

Times in a record are those of the whole file, also where only a part of it was shown.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from videre.errors import DataError, VideoError
from videre.record import Record, video_facts
from videre.types import JSON, Answer, Answerer, Box, Evidence, Frames, Sample, ScoreLine, Span, Step, System
from videre.video.open import VideoFile, open_video
from videre.video.part import Part


class Answering:
    """A system over samples: call it with a sample for its record; close it at the end, or use it in a `with` block.

    The last video of each thread stays open, as the questions about one video come one after another.

    Args:
        system: answers a question about a video.
        videos: where the file of a sample lies.
        isolate: decode in a process of its own, under limits.
    """

    def __init__(self, system: System, videos: Callable[[Sample], Path], *, isolate: bool = True) -> None:
        self._system, self._videos, self._isolate = system, videos, isolate
        self._open: dict[int, tuple[Path, VideoFile]] = {}

    def __enter__(self) -> "Answering":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self, sample: Sample) -> Record:
        """The record of a sample.

        Raises:
            VideoError: the video cannot be read, or the clip lies past its end.
        """
        video = self._opened(self._videos(sample))
        try:
            answer = self._answer(video, sample)
            return Record(sample.id, video_facts(video), sample.question, answer)
        except VideoError:
            self._close(threading.get_ident())  # a decoder that failed once starts afresh
            raise

    def close(self) -> None:
        """Closes the videos that are open; harmless twice."""
        for thread in list(self._open):
            self._close(thread)

    def _close(self, thread: int) -> None:
        if found := self._open.pop(thread, None):
            found[1].close()

    def _opened(self, path: Path) -> VideoFile:
        thread = threading.get_ident()
        if thread not in self._open or self._open[thread][0] != path:
            self._close(thread)
            self._open[thread] = path, open_video(path, isolate=self._isolate)
        return self._open[thread][1]

    def _answer(self, video: VideoFile, sample: Sample) -> Answer:
        if sample.clip is None:
            return self._system(video, sample.question)
        part = Part(video, sample.clip)
        answer = in_whole(self._system(part, sample.question), part.start_seconds)
        asked = {"start_seconds": sample.clip.start_seconds, "end_seconds": sample.clip.end_seconds}
        clip = Step("clip", asked, f"steps below count seconds from {part.start_seconds:g}")
        return replace(answer, evidence=replace(answer.evidence, steps=(clip, *answer.evidence.steps)))


def unseen(model: Answerer, seen: Mapping[str, Record]) -> Callable[[Sample], Record]:
    """A function from a sample to the record of a model that looks away, at frames of the times and sizes in `seen`.

    Args:
        model: who answers whatever it is shown: `videre.ask.Blind`, a model that reads text alone.
        seen: records of the run that saw the video.

    Raises:
        DataError: when it is called with a sample that `seen` has no answer to.
    """

    def work(sample: Sample) -> Record:
        record = seen.get(sample.id)
        if record is None or record.answer is None or "frames_px" not in record.answer.run:
            raise DataError(f"{sample.id}: no frames were shown, so none can be left out", code="not_shown")
        run = record.answer.run
        times = np.array(run["frames_seconds"], np.float64)
        width_px, height_px = run["frames_px"]
        frames = Frames(np.zeros((len(times), 3, height_px, width_px), np.uint8), times)
        answer = model.answer([frames], sample.question)
        card = {**run, "model": dict(model.card), "frames_sha256": [], **answer.run}
        evidence = Evidence(tuple(run["frames_seconds"]))
        return Record(sample.id, record.video, sample.question, replace(answer, evidence=evidence, run=card))

    return work


def in_whole(answer: Answer, start_seconds: float) -> Answer:
    """An answer about a part of a video with its times moved to those of the whole. Steps are left as they were."""

    def at(seconds: float) -> float:
        return round(seconds + start_seconds, 9)

    found = answer.evidence
    evidence = replace(
        found,
        seconds=tuple(at(t) for t in found.seconds),
        spans=tuple(_moved_span(span, at) for span in found.spans),
        boxes=tuple(_moved_box(box, at) for box in found.boxes),
        scored=found.scored and ScoreLine(tuple(at(t) for t in found.scored.seconds), found.scored.scores),
    )
    return replace(answer, evidence=evidence, run=_moved_card(answer.run, at))


def _moved_span(span: Span, at: Callable[[float], float]) -> Span:
    return replace(span, start_seconds=at(span.start_seconds), end_seconds=at(span.end_seconds))


def _moved_box(box: Box, at: Callable[[float], float]) -> Box:
    return replace(box, seconds=at(box.seconds))


def _moved_card(run: Mapping[str, JSON], at: Callable[[float], float]) -> dict[str, JSON]:
    shown = run.get("frames_seconds")
    return {**run, "frames_seconds": [at(t) for t in shown]} if shown else dict(run)
