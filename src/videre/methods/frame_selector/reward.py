"""A third stage: frames are drawn by their scores, a frozen model answers from them, what helps it is made likelier.

For each question a group of choices of k frames is drawn; the reward of each is how well the frozen model answers from
these frames alone; what is better than the mean of its group becomes likelier.

Source: TSPO (AAAI 2026) and RL-FrameSel (CVPR 2026), which train selectors by GRPO with the answer of a frozen model as
    reward; DeepSeekMath, arXiv 2402.03300, for the advantage within a group. No code of theirs was read.
Differs: one update a group, so that nothing needs clipping; what holds the selector near its labels is stage 2's own
    loss with a small weight, in place of a reference model; the reward is a probability, not right or wrong.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from videre import compat

compat.need_hf()

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from videre.errors import DataError  # noqa: E402
from videre.methods.frame_selector.stages import encoded  # noqa: E402
from videre.methods.frame_selector.store import slots  # noqa: E402
from videre.options import letter  # noqa: E402
from videre.types import JSON, MLLM, Evidence, Frames, Question, Span  # noqa: E402
from videre.video.look import look  # noqa: E402
from videre.video.part import Part  # noqa: E402

Reward = Callable[[int, Sequence[Sequence[int]]], Sequence[float]]
"""The number of a row and choices of places among its n candidates in; a reward a choice out."""


@dataclass(frozen=True)
class Drawing:
    """How frames are drawn, and what the rewards are weighed against.

    Attributes:
        frames: of a choice.
        draws: choices a question, which are compared with one another.
        temperature: of the scores' logits; high draws more evenly.
        labels: weight of stage 2's loss beside the rewards.
    """

    frames: int = 4
    draws: int = 8
    temperature: float = 1.0
    labels: float = 0.1

    def __post_init__(self) -> None:
        if self.frames < 1 or self.draws < 2 or self.temperature <= 0 or self.labels < 0:
            raise ValueError(f"frames 1 or more, draws 2 or more, temperature above 0, labels not below: {self}")


@dataclass(frozen=True)
class Rewarded:
    """The loss of the third stage: call it as `stages.loss`, with batches that also hold `rows [B]` and `turn []`."""

    reward: Reward
    drawing: Drawing = Drawing()

    def __call__(self, model: Any, batch: Mapping[str, Tensor]) -> Float[Tensor, ""]:
        """Minus the advantage-weighed log-chance of the drawn choices, and a little of the labels' loss."""
        patches = batch["patches"] if "patches" in batch else encoded(model, batch["pixels"])
        logits = model(patches, batch["input_ids"], batch["lengths"]).float()
        told = torch.nn.functional.binary_cross_entropy_with_logits(logits, batch["targets"].float())
        gains = [
            self._gain(line, int(row), seed=1000 * int(batch["turn"]) + i)
            for i, (line, row) in enumerate(zip(logits, batch["rows"], strict=True))
        ]
        return self.drawing.labels * told - torch.stack(gains).mean()

    def _gain(self, logits: Float[Tensor, " n"], row: int, *, seed: int) -> Float[Tensor, ""]:
        sharp = logits / self.drawing.temperature
        orders = drawn(sharp.detach().cpu(), self.drawing.frames, self.drawing.draws, seed=seed)
        rewards = self.reward(row, [sorted(order) for order in orders.tolist()])
        better = advantages(torch.tensor(list(rewards), dtype=torch.float64)).to(logits)
        return (better * log_chance(sharp, orders.to(logits.device))).mean()


def drawn(logits: Float[Tensor, " n"], frames: int, draws: int, *, seed: int) -> Int[Tensor, "G k"]:
    """Places in the order in which they are drawn, each once a choice; the same seed draws the same."""
    uniform = torch.rand(draws, len(logits), generator=torch.Generator().manual_seed(seed))
    gumbel = -torch.log(-torch.log(uniform.clamp(1e-9, 1 - 1e-7)))
    return (logits + gumbel).topk(min(frames, len(logits)), dim=1).indices


def log_chance(logits: Float[Tensor, " n"], orders: Int[Tensor, "G k"]) -> Float[Tensor, " G"]:
    """Log-probability of drawing exactly these places in this order, without putting back (Plackett-Luce)."""
    gone = torch.nn.functional.one_hot(orders, len(logits)).cumsum(1) - torch.nn.functional.one_hot(orders, len(logits))
    left = logits.masked_fill(gone.bool(), -torch.inf).logsumexp(-1)
    return (logits[orders] - left).sum(1)


def advantages(rewards: Float[Tensor, " G"]) -> Float[Tensor, " G"]:
    """How much better than its group each is, in standard deviations; zeros where all are alike.

    >>> advantages(torch.tensor([1.0, 0.0, 1.0, 0.0])).tolist()
    [1.0, -1.0, 1.0, -1.0]
    """
    off = rewards - rewards.mean()
    spread = off.square().mean().sqrt()
    return off / spread if spread > 1e-9 else torch.zeros_like(off)


@dataclass
class Likelihood:
    """How likely a frozen model finds the true answer, seeing the drawn frames alone.

    Among options it is the share of the right letter; else the log-probability of the answer's text.

    Attributes:
        model: frozen; any `MLLM`.
        rows: of `videre label`, with an answer each.
        find: where the video of a row lies.
        open_video: opens it.
        n: candidates of the selector.
        size_px: longest side of the frames.
    """

    model: MLLM
    rows: Sequence[Mapping[str, JSON]]
    find: Callable[[str], Path]
    open_video: Callable[[Path], Any]
    n: int
    size_px: int = 448

    def __call__(self, row: int, choices: Sequence[Sequence[int]]) -> list[float]:
        """A reward a choice of places."""
        told: Any = self.rows[row]
        if not told.get("answer"):
            raise DataError(f"{told['video']}: a question without an answer rewards nothing")
        with self.open_video(self.find(str(told["video"]))) as video:
            shown = Part(video, Span(*told["clip"])) if told.get("clip") else video
            frames = look(shown, Evidence(tuple(told["seconds"])), size_px=self.size_px)
        places = slots(len(frames), self.n)
        picked = [np.unique(places[[place for place in choice if place < len(places)]]) for choice in choices]
        return [self._worth(Frames(frames.pixels[i], frames.seconds[i]), told) for i in picked]

    def _worth(self, frames: Frames, told: Mapping[str, Any]) -> float:
        options = tuple(told.get("options") or ())
        asked = Question(str(told["question"]), options)
        if told["answer"] not in options:
            return float(self.model.score([frames], Question(asked.text), (str(told["answer"]),))[0])
        scores = self.model.score([frames], asked, [letter(i) for i in range(len(options))])
        shares = np.exp(scores - scores.max())
        return float(shares[options.index(told["answer"])] / shares.sum())
