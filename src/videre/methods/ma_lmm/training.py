"""What of a MA-LMM learns, from which batches, and by which loss; vision tower and language model stay frozen.

Frames before the last one are read without a graph: their gradients are zero in any case, since what is remembered is
cut off from them (`memory.watched`). So a step costs the graph of one frame, however long the video.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from videre import compat
from videre.errors import DataError

compat.need_hf()

import torch  # noqa: E402
from jaxtyping import Float  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from videre.data.videos import resolve  # noqa: E402
from videre.methods.ma_lmm.memory import Words, watched  # noqa: E402
from videre.methods.ma_lmm.model import MALMM  # noqa: E402
from videre.train.order import drawn  # noqa: E402
from videre.types import Sample  # noqa: E402
from videre.video.open import open_video  # noqa: E402

Batch = dict[str, list[Any]]
"""`tokens`: of each video what the vision tower gave `[T, N, C]`; `texts`: what is asked; `targets`: the replies."""


@dataclass(frozen=True)
class DataConfig:
    """What is learned from, and how it is shown.

    Attributes:
        videos: the folder that the videos lie in.
        frames: frames a video.
        moments: `random` is one in each of so many equal parts; `even` spreads them from the first frame to the last,
            as in evaluation, so that a video is decoded once and what the vision tower gave is kept.
        batch: questions a batch.
        size_px: longest side of a decoded frame.
        seed: of order and moments.

    Differs: the released code also crops and mirrors frames at random.
    """

    videos: str
    frames: int = 100
    moments: Literal["random", "even"] = "random"
    batch: int = 8
    size_px: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.frames, self.batch, self.size_px) < 1:
            raise ValueError(f"1 or more, got {self.frames=} {self.batch=} {self.size_px=}")


class Learning(nn.Module):
    """The parts of a MA-LMM that learn, and no others: what checkpoints of a run hold.

    Args:
        model: its `positions` learn too, where it has any.
    """

    def __init__(self, model: MALMM) -> None:
        super().__init__()
        network = model.network
        network.requires_grad_(False)
        self.qformer = network.qformer
        self.post_layernorm = network.vision_model.post_layernorm
        self.language_projection = network.language_projection
        self.query_tokens = network.query_tokens
        if isinstance(model.positions, nn.Parameter):
            self.positions = model.positions
        self.requires_grad_(True)
        self._malmm = [model]

    @property
    def malmm(self) -> MALMM:
        """The whole model; kept in a list, so that its frozen parts are no part of this module."""
        return self._malmm[0]


class Batches:
    """Batches by number: each epoch is a shuffle, and a number gives the same batch at every call.

    Args:
        model: its vision tower looks at the frames.
        samples: questions with answers; each must have one.
        data: how they are shown.
        count: how many batches.
    """

    def __init__(self, model: MALMM, samples: Sequence[Sample], data: DataConfig, *, count: int) -> None:
        nameless = [sample.id for sample in samples if not sample.answer]
        if nameless or not samples:
            raise DataError(f"to learn from, every question needs an answer; without one: {', '.join(nameless[:5])}")
        self.model, self.samples, self.data, self.count = model, list(samples), data, count
        self._kept: dict[tuple[str, Any], Tensor] = {}

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Batch:
        taken = self._taken(index)
        rng = np.random.default_rng([self.data.seed, index])
        return {
            "tokens": [self._tokens(sample, rng) for sample in taken],
            "texts": [sample.question.text for sample in taken],
            "targets": [str(sample.answer) for sample in taken],
        }

    def _taken(self, index: int) -> list[Sample]:
        batch, seed = self.data.batch, [self.data.seed, 1 << 32]  # The moments of batch n are drawn from [seed, n].
        return [self.samples[i] for i in drawn(len(self.samples), index * batch, batch, seed=seed)]

    def _tokens(self, sample: Sample, rng: np.random.Generator) -> Float[Tensor, "T N C"]:
        key = (sample.video, sample.clip)
        if key in self._kept:
            return self._kept[key]
        with open_video(resolve(self.data.videos, sample.video)) as video:
            start = sample.clip.start_seconds if sample.clip else 0.0
            length = (sample.clip.end_seconds if sample.clip else video.duration_seconds) - start
            shown = video.at([start + share * length for share in self._shares(rng)], size_px=self.data.size_px)
        tokens = torch.stack(list(self.model.seen(shown)))
        if self.data.moments == "even":
            self._kept[key] = tokens
        return tokens

    def _shares(self, rng: np.random.Generator) -> np.ndarray:
        count = self.data.frames
        if self.data.moments == "even":
            return np.linspace(0.0, 1.0, count)
        return (np.arange(count) + rng.random(count)) / count


def loss_of(model: nn.Module, batch: Batch) -> Tensor:
    """Mean cross-entropy of all tokens of all replies of a batch, the closing ones included."""
    learning: Any = getattr(model, "module", model)
    malmm: MALMM = learning.malmm
    losses = []
    for some in _of_one_length(batch["tokens"]):
        texts = [batch["texts"][i] for i in some]
        frames = torch.stack([batch["tokens"][i] for i in some], 1)
        normed = (malmm.normed(frame) for frame in frames)
        seen, _ = watched(malmm.parts, normed, words=_words(malmm, texts), memory=malmm.settings.memory)
        for row, i in enumerate(some):
            prompt = malmm.voice.prompt(malmm.projected(seen[row : row + 1]), batch["texts"][i])
            losses.append(malmm.voice.losses(prompt, batch["targets"][i], end=True))
    return torch.cat(losses).mean()


Loss = Callable[[nn.Module, Batch], Tensor]


def _of_one_length(tokens: Sequence[Tensor]) -> list[list[int]]:
    """Numbers of the videos, those of one length together, so that they are read in step."""
    groups: dict[int, list[int]] = {}
    for number, video in enumerate(tokens):
        groups.setdefault(len(video), []).append(number)
    return list(groups.values())


def _words(model: MALMM, texts: Sequence[str]) -> Words | None:
    """Questions of different length as one batch, padded behind."""
    each = [model.words(text) for text in texts]
    if any(words is None for words in each):
        return None
    ids = [words.ids[0] for words in each if words is not None]
    real = [words.real[0] for words in each if words is not None]
    pad = nn.utils.rnn.pad_sequence
    return Words(pad(ids, batch_first=True), pad(real, batch_first=True))
