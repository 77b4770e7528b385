"""The recipe of `videre train parser`: its tables, their defaults, and what is wrong with one."""

from dataclasses import dataclass, field
from typing import Any

from videre.errors import ConfigError
from videre.methods.msr_vir.dpo import DPO
from videre.methods.msr_vir.grpo import GRPO
from videre.methods.msr_vir.preferences import Choice
from videre.methods.msr_vir.propose import Proposing
from videre.train.answerer import LoRA, Schooling
from videre.train.recipe import known, table


@dataclass(frozen=True)
class Models:
    """`[models]`: folders or hub ids of the parser, the answerer, and of what finds actions and objects."""

    parser: str
    answerer: str
    encoder: str
    detector: str = ""
    device: str = "auto"


@dataclass(frozen=True)
class Data:
    """`[data]`: rows of questions with answers, as `videre eval rows` reads them; spans count where known."""

    rows: str
    videos: str


@dataclass(frozen=True)
class Cycle:
    """`[cycle]`: how the two take turns.

    Attributes:
        cycles: how often.
        questions: of one cycle; the next takes the next ones, round and round.
        judge: who judges: `crossfit` (two answerers, each on the half it did not learn on), `cache` (the one that has
            just learnt on them, as in the paper), or `frozen` (the answerer does not learn at all).
        trainer: of the parser: `dpo` (pairs), or `grpo` (all policies of a question, weighed by a reward).
        profile: of the policies: default or paper.
        k: frames of the key moment.
        overview: frames of the whole video.
        guide: explain to the answerer what it is shown.
        size_px: the longer side of frames, at most.
        iop: weight of the guarded IoP in the preference, where spans are known.
        iou: weight of the IoU.
    """

    cycles: int = 1
    questions: int = 3200
    judge: str = "crossfit"
    trainer: str = "dpo"
    profile: str = "default"
    k: int = 4
    overview: int = 2
    guide: bool = True
    size_px: int = 448
    iop: float = 0.0
    iou: float = 0.0

    def __post_init__(self) -> None:
        if self.judge not in ("crossfit", "cache", "frozen"):
            raise ValueError(f"judge is crossfit, cache or frozen, got {self.judge!r}")
        if self.trainer not in ("dpo", "grpo"):
            raise ValueError(f"trainer is dpo or grpo, got {self.trainer!r}")
        if self.cycles < 1 or self.questions < 2:
            raise ValueError(f"one cycle and two questions at least, got {self.cycles=} {self.questions=}")


@dataclass(frozen=True)
class Recipe:
    """A whole recipe."""

    models: Models
    data: Data
    cycle: Cycle = field(default_factory=Cycle)
    policies: Proposing = field(default_factory=Proposing)
    answerer: Schooling = field(default_factory=lambda: Schooling(batch=16, lr=1e-4))
    adapters: LoRA = field(default_factory=lambda: LoRA(rank=16, alpha=32, dropout=0.05))
    pairs: Choice = field(default_factory=Choice)
    dpo: DPO = field(default_factory=DPO)
    grpo: GRPO = field(default_factory=GRPO)


def read_recipe(told: dict[str, Any]) -> Recipe:
    """A recipe with every table and key checked.

    Raises:
        ConfigError: an unknown table, key or value; the nearest name is shown.
    """
    kinds: dict[str, Any] = {
        "models": Models, "data": Data, "cycle": Cycle, "policies": Proposing, "answerer": Schooling, "adapters": LoRA,
        "pairs": Choice, "dpo": DPO, "grpo": GRPO,
    }  # fmt: skip
    known(told, list(kinds), "the recipe")
    for name in ("models", "data"):
        if name not in told:
            raise ConfigError(f"the recipe has no table [{name}]")
    defaults = {"answerer": {"batch": 16, "lr": 1e-4}, "adapters": {"rank": 16, "alpha": 32, "dropout": 0.05}}
    return Recipe(**{n: table(k, {**defaults.get(n, {}), **told.get(n, {})}, f"[{n}]") for n, k in kinds.items()})
