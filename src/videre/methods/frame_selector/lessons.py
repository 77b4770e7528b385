"""Labelled samples as the batches that the two stages train on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from videre import compat

compat.need_hf()

import torch  # noqa: E402

from videre.errors import DataError  # noqa: E402
from videre.methods.frame_selector.store import Trained, slots  # noqa: E402
from videre.train.order import drawn  # noqa: E402
from videre.types import JSON, Evidence, Span  # noqa: E402
from videre.video.look import look  # noqa: E402
from videre.video.part import Part  # noqa: E402

Row = Mapping[str, JSON]


@dataclass(frozen=True)
class Lessons:
    """Batches by number, the same at every call, every sample once an epoch in an order of its own.

    Attributes:
        selector: whose tokenizer and picture processor prepare the samples.
        rows: of `videre label`: video, question, answer, seconds, scores.
        find: where the video of a row lies.
        open_video: opens it.
        batch: samples a batch.
        epochs: how often every sample comes, in each kind of batch.
        answers: let batches of answers and of scores take turns, answers first; else scores alone.
        size_px: longest side of the frames before the picture processor.
        seed: of the order.
    """

    selector: Trained
    rows: Sequence[Row]
    find: Callable[[str], Path]
    open_video: Callable[[Path], Any]
    batch: int = 8
    epochs: int = 1
    answers: bool = False
    size_px: int = 448
    seed: int = 0
    told: list[int] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.told.extend(i for i, row in enumerate(self.rows) if row.get("answer"))
        if not self.rows or (self.answers and not self.told):
            what = "no answer, which stage 1 learns from" if self.rows else "no row"
            raise DataError(f"the labels hold {what}: label samples that have answers, or set stage1.answers = false")

    def __len__(self) -> int:
        once = -(-len(self.rows) // self.batch) * self.epochs
        return 2 * once if self.answers else once

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        """One batch for `stages.loss` or `reward.Rewarded`."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        turn = number // 2 if self.answers else number
        is_answers = self.answers and number % 2 == 0
        pool = self.told if is_answers else list(range(len(self.rows)))
        places = [pool[i] for i in drawn(len(pool), turn * self.batch, self.batch, seed=self.seed)]
        rows = [self.rows[i] for i in places]
        pixels = torch.stack([self._pixels(row) for row in rows])
        told = self._answers(rows) if is_answers else self._scores(rows)
        return {"pixels": pixels, "rows": torch.tensor(places), "turn": torch.tensor(number), **told}

    def _scores(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        ids, lengths = self.selector.questions([str(row["question"]) for row in rows])
        n = self.selector.candidates
        targets = np.stack([np.array(row["scores"], np.float32)[slots(len(row["scores"]), n)] for row in rows])
        return {"input_ids": ids, "lengths": lengths, "targets": torch.from_numpy(targets)}

    def _answers(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        ids, lengths = self.selector.questions(
            [str(row["question"]) for row in rows], [str(row["answer"]) for row in rows]
        )
        return {"input_ids": ids, "labels": answer_labels(ids, lengths, self._ends(rows))}

    def _ends(self, rows: Sequence[Row]) -> list[int]:
        """Where each row's answer ends, in tokens."""
        return [self.selector.questions([str(row["question"])], [str(row["answer"])])[0].shape[1] for row in rows]

    def _pixels(self, row: Row) -> torch.Tensor:
        with self.open_video(self.find(str(row["video"]))) as video:
            shown = Part(video, Span(*row["clip"])) if row.get("clip") else video
            frames = look(shown, Evidence(tuple(row["seconds"])), size_px=self.size_px)
        if len(frames) != len(row["scores"]):
            seen, known = len(frames), len(row["scores"])
            raise DataError(f"{row['video']}: {seen} frames at the times of {known} labels: label it again")
        return self.selector.pixels(frames.pixels)[slots(len(frames), self.selector.candidates)]


def answer_labels(
    ids: Int[torch.Tensor, "B L"], lengths: Int[torch.Tensor, " B"], ends: Sequence[int]
) -> Int[torch.Tensor, "B L"]:
    """The tokens from the end of each question to the end of its answer, -100 elsewhere."""
    places = torch.arange(ids.shape[1])[None]
    inside = (places >= lengths[:, None]) & (places < torch.tensor(list(ends))[:, None])
    return torch.where(inside, ids, torch.full_like(ids, -100))
