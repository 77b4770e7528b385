"""A benchmark by name -> its samples, where their videos lie, and how they are scored."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from videre.apps import naming
from videre.errors import NO_INPUT, ConfigError, DataError
from videre.types import JSON, Question, Sample

WORLD_CLIPS = 60
UNGROUNDED = ("presence", "count", "describe")
"""Kinds of the world whose answer rests on the whole clip, or on what is not there."""


@dataclass(frozen=True)
class Benchmark:
    """What is asked, and how the answers are scored.

    Attributes:
        name: in the catalogue.
        samples: all that the benchmark defines.
        scores: "questions", or what is scored beside or in place of them: "grounded", "moments", "captions",
            "anticipation", "aspects".
        match: the rule of `metrics.text.MATCHES` for open answers.
        rules: official extractors of `metrics.extractors.RULES`.
        groups: a second grouping of the samples, by id.
        durations: seconds of the videos by sample id, where the annotations say them.
        known: what else is known of a sample by id: captions, the class of an action, the saliency of clips.
        read: what a guess in words means, where answers are classes.
        files: annotation files and their hashes, for the run card.
    """

    name: str
    samples: Sequence[Sample]
    scores: str = "questions"
    match: str = "words"
    rules: Sequence[str] = ()
    groups: Mapping[str, str] = field(default_factory=dict)
    durations: Mapping[str, float] = field(default_factory=dict)
    known: Mapping[str, Any] = field(default_factory=dict)
    read: Callable[[str], Any] | None = None
    files: Mapping[str, JSON] = field(default_factory=dict)

    @property
    def generated(self) -> bool:
        """Whether its videos are made here."""
        return self.name.startswith("world")


@dataclass(frozen=True)
class Known:
    """Samples of a set that is no list of questions, with what is known of each by id."""

    samples: list[Sample]
    known: Mapping[str, Any]
    durations: Mapping[str, float] = field(default_factory=dict)
    read: Callable[[str], Any] | None = None


def load(name: str, annotations: Path | None, extras: Mapping[str, Any]) -> Benchmark:
    """The benchmark of a name.

    Args:
        name: a key of `catalog.BENCHMARKS`.
        annotations: the published file; None for the generated world.
        extras: further files and settings of the reader; None where not given.

    Raises:
        ConfigError: no such benchmark, or an option that it does not take.
        DataError: a file is missing or does not hold.
    """
    entry = naming.benchmark(name)
    given = {key: value for key, value in extras.items() if value is not None}
    _check_options(name, entry, given, annotations)
    scoring = {key: entry[key] for key in ("scores", "match", "rules") if key in entry}
    if annotations is None:
        return Benchmark(name, world_samples(grounded=entry["kinds"] == "grounded"), **scoring, files=_world_facts())
    read = entry["reader"](annotations, **_opened(given))
    found = read if isinstance(read, Known) else Known(read, {}, _durations(read, given.get("grounds")))
    grouped = entry["groups"](annotations, found.samples) if "groups" in entry else {}
    return Benchmark(
        name, found.samples, **scoring, groups=grouped, known=found.known, durations=found.durations,
        read=found.read, files=_files(annotations, given),
    )  # fmt: skip


def world_samples(*, grounded: bool, clips: int = WORLD_CLIPS) -> list[Sample]:
    """Questions about held-out clips of the generated world.

    Args:
        grounded: leave out the kinds whose answer lies in no stretch of time.
        clips: how many clips.
    """
    from videre.data import world

    kinds = [kind for kind in world.KINDS if not (grounded and kind in UNGROUNDED)]
    seeds = range(world.HELD_OUT_SEED, world.HELD_OUT_SEED + clips)
    return [sample for seed in seeds for sample in world.questions(world.make(seed), kinds=kinds)]


def write_clips(samples: Sequence[Sample], root: Path) -> None:
    """Writes the clips of world samples that are not there yet, each whole or not at all.

    Raises:
        OutOfSpace: a clip cannot be written.
    """
    from videre.data import world
    from videre.jobs.folder import writing

    root.mkdir(parents=True, exist_ok=True)
    for name in dict.fromkeys(sample.video for sample in samples):
        if not (root / name).exists():
            partial = root / f".{os.getpid()}-{name}"
            with writing(root / name):
                try:
                    world.write(world.make(int(name.removeprefix("world-").removesuffix(".mp4"))), partial)
                    partial.replace(root / name)
                finally:
                    partial.unlink(missing_ok=True)


def lengths(path: Path, samples: Sequence[Sample]) -> dict[str, str]:
    """LongVideoBench's groups by the length of the video, where the file has them."""
    from videre.data import longvideobench

    try:
        references = longvideobench.read_references(path)
    except DataError:
        return {}  # the form with option0 to option4 has no references
    return {reference.id: f"{reference.duration_group} s" for reference in references}


def causes(path: Path, samples: Sequence[Sample]) -> dict[str, str]:
    """NExT-QA's groups: causal, temporal, descriptive."""
    from videre.data import nextqa

    return {sample.id: nextqa.GROUPS[sample.kind] for sample in samples}


def task_types(path: Path, samples: Sequence[Sample]) -> dict[str, str]:
    """Video-MME's task types, where the file has them."""
    from videre.data import video_mme

    try:
        return video_mme.read_task_types(path)
    except DataError:
        return {}


def anticipation(path: Path, verbs: Path | None = None, nouns: Path | None = None) -> Known:
    """EPIC-KITCHENS-100: what can be seen before each action, and its (verb, noun) class; unseen ones are asked too.

    Args:
        path: the annotation file; its words are known.
        verbs: `EPIC_100_verb_classes.csv`: further words for verbs.
        nouns: `EPIC_100_noun_classes.csv`: further words for things.
    """
    from videre.data import epic_kitchens
    from videre.metrics import actions

    rows = epic_kitchens.anticipation(path)
    classes = {row.id: (row.verb_class, row.noun_class) for row in rows}
    known = actions.lexicon(
        [(str(row.sample.answer), classes[row.id]) for row in rows],
        [*((row.sample.kind, row.verb_class) for row in rows), *class_words(verbs)],
        [*((row.noun, row.noun_class) for row in rows), *class_words(nouns)],
    )
    return Known([row.sample for row in rows], classes, read=known.read)


def class_words(path: Path | None) -> list[tuple[str, int]]:
    """The words of each class, its own name before those that are counted to it."""
    from videre.data import epic_kitchens

    found = epic_kitchens.read_classes(path) if path else []
    return [(row.key, int(row.id)) for row in found] + [(word, int(row.id)) for row in found for word in row.instances]


def moments(path: Path) -> Known:
    """Sentences with their windows, how long each video is, and where clips are scored, their saliency."""
    from videre.data import moments as sets
    from videre.metrics.highlights import saliency_of

    rows = sets.read_highlights(path) if sets.has_saliency(path) else []
    tables = {row.id: saliency_of(row.clip_ids, row.saliency, duration_seconds=row.duration_seconds) for row in rows}
    return Known(sets.read(path), tables, sets.read_durations(path))


def msrvtt_captions(path: Path) -> Known:
    """MSR-VTT's videos with their captions."""
    from videre.data import captions

    return _captions(captions.msrvtt, path)


def msvd_captions(path: Path) -> Known:
    """MSVD's videos with their captions."""
    from videre.data import captions

    return _captions(captions.msvd, path)


def youcook2_captions(path: Path) -> Known:
    """YouCook2's segments with their captions."""
    from videre.data import captions

    return _captions(captions.youcook2, path)


def _captions(read: Callable[[Path], list[Any]], path: Path) -> Known:
    from videre.data.captions import QUESTION

    rows = [row for row in read(path) if row.captions]
    asked = Question(QUESTION)
    samples = [Sample(row.id, row.video, asked, answer=row.captions[0], clip=row.clip) for row in rows]
    return Known(samples, {row.id: row.captions for row in rows})


def _check_options(name: str, entry: Mapping[str, Any], given: Mapping[str, Any], annotations: Path | None) -> None:
    takes = entry.get("takes", ())
    for option in given:
        if option not in takes:
            raise ConfigError(f"{name} takes no --{option}" + (f"; it takes --{', --'.join(takes)}" if takes else ""))
    for option in entry.get("needs", ()):
        if option not in given:
            raise ConfigError(f"{name} needs --{option}")
    if "reader" in entry and annotations is None:
        raise ConfigError(f"{name} needs --annotations, its published file (docs/data.md says which)")
    if "reader" not in entry and annotations is not None:
        raise ConfigError(f"{name} is generated here: leave --annotations out")
    if annotations is not None and not annotations.exists():
        raise DataError(f"no such file: {annotations}", exit_code=NO_INPUT)


def _opened(given: Mapping[str, Any]) -> dict[str, Any]:
    """The reader's arguments; a folder map is a file that is read first."""
    if "folders" not in given:
        return dict(given)
    from videre.data import nextqa

    return {**given, "folders": nextqa.read_folders(given["folders"])}


def _durations(samples: Sequence[Sample], grounds: Path | None) -> dict[str, float]:
    if grounds is None:
        return {}
    from videre.data import nextgqa

    known = nextgqa.read_grounds(grounds)
    return {sample.id: float(known[sample.id.rpartition("_")[0]].duration_seconds) for sample in samples}


def _files(annotations: Path, given: Mapping[str, Any]) -> dict[str, JSON]:
    from videre import jobs

    named = {"annotations": annotations, **given}
    return {key: jobs.file_key(value) if isinstance(value, Path) else value for key, value in named.items()}


def _world_facts() -> dict[str, JSON]:
    from videre.data import world
    from videre.data.world import scene

    return {"world_version": scene.VERSION, "first_seed": world.HELD_OUT_SEED, "clips": WORLD_CLIPS}
