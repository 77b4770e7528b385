"""The recipe of `videre star`: its tables, their defaults, and what is wrong with one."""

from dataclasses import dataclass, field, fields
from typing import Any

from videre.errors import ConfigError
from videre.methods.video_star.cycle import Plan
from videre.train.recipe import known, one_of, table

FORMATS = ("own", "kinetics", "fine_diving", "something", "star_questions", "table", "vstar")
ARMS = ("star", "unverified", "templates", "annotator")


@dataclass(frozen=True)
class Labels:
    """`[labels]`: where the labels are, and how they become questions.

    `format` is one of own, kinetics, fine_diving, something, star_questions, table for rows that have questions, or
    vstar for the published VSTaR-1M files; `questions` names a model that writes questions in place of templates;
    `limit` takes the first so many rows.
    """

    file: str
    videos: str
    format: str = "own"
    task: str = "video understanding"
    seed: int = 0
    questions: str = ""
    limit: int = 0


@dataclass(frozen=True)
class Models:
    """`[model]`: the checkpoint that every training starts from, who answers first, and what they are shown.

    `direct` and `hinted` replace the paper's prompts; see `videre.methods.video_star.prompts.Wording`.
    """

    start: str = "builtin"
    first: str = ""
    select: str = "uniform"
    frames: int = 8
    size_px: int = 768
    answer_tokens: int = 512
    at_once: int = 1
    device: str = "auto"
    isolate: bool = True
    direct: str = ""
    hinted: str = ""


@dataclass(frozen=True)
class Cycles(Plan):
    """`[cycles]`: a plan of the rounds, and `arm`, which is star or one of the baselines.

    `template` says how the baselines tell a label, such as "{value}"; empty is a sentence. The arm annotator asks
    `annotated` of the rows (0 is all) and adds `template_share` of the rest by template.
    """

    arm: str = "star"
    profile: str = "default"
    embedder: str = "letters"
    template: str = ""
    template_share: float = 0.5
    annotated: int = 0


@dataclass(frozen=True)
class Mix:
    """`[mix]`: general instruction data in LLaVA's form, added to what every cycle trains on."""

    files: tuple[str, ...] = ()
    videos: str = ""
    limit: int = 0


@dataclass(frozen=True)
class Told:
    """A whole recipe."""

    labels: Labels
    model: Models = field(default_factory=Models)
    cycles: Cycles = field(default_factory=Cycles)
    mix: Mix = field(default_factory=Mix)
    fit: dict[str, Any] = field(default_factory=dict)
    export: dict[str, Any] = field(default_factory=dict)


def read(told: dict[str, Any]) -> Told:
    """A recipe with every table and key checked.

    Raises:
        ConfigError: an unknown table, key or value; the nearest name is shown.
    """
    known(told, [f.name for f in fields(Told)], "the recipe")
    if "labels" not in told:
        raise ConfigError("the recipe has no table [labels]; it names file and videos")
    made = Told(
        labels=table(Labels, told["labels"], "[labels]"),
        model=table(Models, told.get("model", {}), "[model]"),
        cycles=table(Cycles, told.get("cycles", {}), "[cycles]"),
        mix=table(Mix, told.get("mix", {}), "[mix]"),
        fit=dict(told.get("fit", {})),
        export=dict(told.get("export", {})),
    )
    one_of(made.labels.format, FORMATS, "labels.format")
    one_of(made.cycles.arm, ARMS, "cycles.arm")
    one_of(made.cycles.profile, ("default", "paper", "official"), "cycles.profile")
    return made
