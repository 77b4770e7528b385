"""Pseudo labels: how much each candidate frame of a sample helps with its question, from models that see and read.

A run is a folder of `videre.jobs`: one row a sample, resumable. A row keeps both kinds, the captions and the raw reply,
so that a label can be judged and made again without asking.

Source: M-LLM based video frame selection, arXiv 2502.19680, section 3.3.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from videre import jobs
from videre.errors import ConfigError, DataError
from videre.methods.frame_selector.scorers import Truth
from videre.methods.frame_selector.temporal import Temporal, marks
from videre.types import JSON, Evidence, Frames, Sample, Video
from videre.video.look import look
from videre.video.part import Part
from videre.video.sample import centres


@dataclass
class Labeller:
    """Labels samples; the frames of a video and their captions are kept for the next question about it.

    Args:
        spatial: P(True) of each frame alone; None leaves it out.
        temporal: frames listed from captions; None leaves it out.
        n: candidates, spread evenly.
        size_px: longest side of the candidates.
    """

    spatial: Truth | None = None
    temporal: Temporal | None = None
    n: int = 128
    size_px: int = 448
    last: dict[str, tuple[Frames, list[str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.spatial is None and self.temporal is None:
            raise ConfigError("labels are spatial (a model that sees), temporal (one that reads captions), or both")

    @property
    def card(self) -> dict[str, JSON]:
        """All that labels depend on beside the samples."""
        kinds = {"spatial": self.spatial, "temporal": self.temporal}
        cards = {name: scorer.card if scorer else None for name, scorer in kinds.items()}
        return {**cards, "n": self.n, "size_px": self.size_px}

    def label(self, sample: Sample, video: Video, *, key: str = "") -> dict[str, JSON]:
        """The row of a sample: times of the candidates, each kind, and their mean as `scores`.

        Args:
            sample: its clip, where it has one, is all that is looked at; times are the clip's own then.
            video: open, the whole of it.
            key: names video and clip for what is kept.
        """
        frames, captions = self._seen(sample, video, key)
        row: dict[str, JSON] = {
            "video": sample.video, "question": sample.question.text, "options": list(sample.question.options),
            "answer": sample.answer,
            "clip": [sample.clip.start_seconds, sample.clip.end_seconds] if sample.clip else None,
            "seconds": [float(t) for t in frames.seconds], "spatial": None, "temporal": None,
            "captions": captions, "reply": None, "parse_ok": None,
        }  # fmt: skip
        if self.spatial:
            row["spatial"] = _rounded(self.spatial(frames, sample.question).scores)
        if self.temporal:
            row["reply"] = self.temporal.reply(captions, sample.question.text)
            row["temporal"] = _rounded(marks(row["reply"], len(captions)))
            row["parse_ok"] = any(row["temporal"])
        return row | {"scores": mean(row["spatial"], row["temporal"])}

    def _seen(self, sample: Sample, video: Video, key: str) -> tuple[Frames, list[str]]:
        if not key or key not in self.last:
            shown = Part(video, sample.clip) if sample.clip else video  # type: ignore[arg-type]
            frames = look(shown, Evidence(centres(shown.duration_seconds, self.n)), size_px=self.size_px)
            captions = self.temporal.captions(frames) if self.temporal else []
            self.last.clear()
            self.last[key] = frames, captions
        return self.last[key]


def mean(*kinds: list[float] | None) -> list[float]:
    """The mean of the kinds that there are, frame by frame.

    >>> mean([0.5, 0.0], [1.0, 0.0]), mean(None, [1.0, 0.0])
    ([0.75, 0.0], [1.0, 0.0])
    """
    return _rounded(np.mean([kind for kind in kinds if kind is not None], axis=0))


def run(
    samples: Iterable[Sample],
    labeller: Callable[[], Labeller],
    folder: Path,
    *,
    card: dict[str, JSON],
    find: Callable[[Sample], Path],
    open_video: Callable[[Path], Any],
    **settings: Any,
) -> jobs.Outcome:
    """Labels the samples that have no label yet.

    Args:
        samples: what to label; questions about one video should follow one another.
        labeller: makes the labeller, when there is a sample to do.
        folder: of the run.
        card: `Labeller.card`, for the keys and the manifest.
        find: where the video of a sample lies.
        open_video: opens it.
        settings: of `jobs.run`.

    Raises:
        ConfigError, DataError, ModelError: as `jobs.run`.
    """
    items = (_item(sample, card, find) for sample in samples)
    work = jobs.PerWorker(lambda: _work(labeller(), find, open_video))
    return jobs.run(items, work, folder=folder, manifest={"labels": card}, **settings)


def read(folder: Path) -> Iterator[dict[str, JSON]]:
    """The labels of a run, failed rows left out.

    Raises:
        DataError: no run, a damaged line, or no label in it.
    """
    found = False
    for row in jobs.rows(folder):
        if not row.get("error"):
            found = True
            yield row
    if not found:
        raise DataError(f"{folder} holds no label: run `videre label` again, or see the errors in its log")


def _item(sample: Sample, card: dict[str, JSON], find: Callable[[Sample], Path]) -> jobs.Item:
    path = _path(sample, find)
    clip = [sample.clip.start_seconds, sample.clip.end_seconds] if sample.clip else None
    facts = {"video": jobs.file_key(path), "clip": clip, "question": sample.question.text, "answer": sample.answer}
    return jobs.Item(jobs.key(card=card, **facts), sample.id, sample, path, sample.question)


def _path(sample: Sample, find: Callable[[Sample], Path]) -> str:
    try:
        return str(find(sample))
    except DataError:  # A video that is gone is a failed row of its own, raised again where the work is done.
        return sample.video


def _work(labeller: Labeller, find: Callable[[Sample], Path], open_video: Callable[[Path], Any]) -> jobs.Work:
    def label(item: jobs.Item) -> dict[str, JSON]:
        sample: Sample = item.payload
        path = find(sample)
        with open_video(path) as video:
            return {**labeller.label(sample, video, key=f"{jobs.file_key(path)} {sample.clip}"), "error": None}

    return label


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), 6) for value in values]
