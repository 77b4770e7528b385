"""One evaluation from its settings to its files: questions, runs that see and that do not, judge, tables."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from videre import __version__, errors
from videre.apps import answering, benchmarks, judging, naming, showing, tables
from videre.apps.answering import Settings
from videre.apps.benchmarks import Benchmark
from videre.errors import ConfigError, DataError
from videre.types import JSON, Answerer, Sample, Selector

if TYPE_CHECKING:
    from videre.evaluate import Run

EXTRAS = ("grounds", "folders", "answers", "bounds", "task", "part", "whole", "verbs", "nouns", "dedupe")
PACKAGES = ("numpy", "av", "torch", "torchvision", "transformers", "pycocoevalcap")


@dataclass(frozen=True)
class Switches:
    """How a run is made, beside what its answers depend on."""

    limit: int | None = None
    blind: bool = True
    at_once: int = 8
    judge: str | None = None
    judge_prompt: Path | None = None
    allow_partial: bool = False
    retry_failed: bool = False
    new_run: bool = False
    force: bool = False
    quiet: bool = False


@dataclass(frozen=True)
class Plan:
    """All that one `videre eval` needs.

    Attributes:
        benchmark: what is asked.
        settings: model, selector, frames.
        switches: how the run is made.
        model: loaded.
        select: made.
        folder: of the run.
        root: of the videos.
        inputs: what the answers depend on, for the manifest.
    """

    benchmark: Benchmark
    settings: Settings
    switches: Switches
    model: Answerer
    select: Selector
    folder: Path
    root: Path
    inputs: Mapping[str, JSON]

    @classmethod
    def of(
        cls,
        name: str,
        settings: Settings,
        *,
        annotations: Path | None,
        videos: Path | None,
        out: Path | None,
        **given: Any,
    ) -> "Plan":
        """The plan of a command line; reads the annotations first, then loads the model.

        Raises:
            ConfigError: options that do not go together.
            DataError: the annotations do not hold.
            ModelError: the model cannot be loaded.
        """
        extras = {option: given.pop(option, None) for option in EXTRAS}
        switches = Switches(**given)
        benchmark = benchmarks.load(name, annotations, extras)
        if videos is None and not benchmark.generated:
            raise ConfigError(f"{name} needs --videos, the folder of its videos")
        model, select = answering.load(settings, at_once=switches.at_once)
        inputs = _inputs(benchmark, settings, model)
        folder = _folder(name, inputs, out, new=switches.new_run)
        root = videos or folder / "videos"
        return cls(benchmark, settings, switches, model, select, folder, root, inputs)

    def run(self) -> dict[str, JSON]:
        """The table of the run, which also stands in `metrics.json` of its folder.

        Raises:
            SystemExit: interrupted or out of space, with that exit code; the same command goes on.
        """
        here, missing = self._present()
        if not here:
            names = f"none of the videos of {len(missing)} questions is in {self.root}, such as {missing[0].video}"
            raise DataError(f"{names}; pass the folder that holds them as --videos", exit_code=errors.NO_INPUT)
        judge = self._judge()  # before the first answer: a name that is wrong costs nothing then
        asked = here[: self.switches.limit]
        seen = self._seen(asked)
        blind = self._blind(asked, seen) if self.switches.blind and self._can_be_blind else None
        counts = self._counts(seen, here, missing)
        table: dict[str, JSON] = {"benchmark": self.benchmark.name, "counts": counts, "partial": bool(missing)}
        code = answering.exit_code(seen.records.values())
        judged: dict[str, JSON] = {}
        if judge is not None:
            judged, code = self._judged(seen, judge, code)
        if not missing or self.switches.allow_partial:
            table |= tables.build(self.benchmark, seen, blind) | ({"judge": judged} if judged else {})
            table["headline"] = _headline(table)
        else:
            click.echo(f"videre: {showing.counted(table)}: no score without --allow-partial", err=True)
        code = errors.SOME_FAILED if missing and code == errors.OK else code
        return self._written(table | {"run": str(self.folder), "exit_code": code}, judged)

    @property
    def _can_be_blind(self) -> bool:
        return self.benchmark.scores not in ("moments", "aspects")  # spans are the selector's; aspects have no key

    def _present(self) -> tuple[list[Sample], list[Sample]]:
        from videre.data.videos import present

        if self.benchmark.generated:
            benchmarks.write_clips(self.benchmark.samples[: self.switches.limit], self.root)
            return list(self.benchmark.samples), []
        found = present(self.benchmark.samples, self.root)
        return found.here, found.missing

    def _place(self, sample: Sample) -> Path:
        from videre.data.videos import resolve

        return resolve(self.root, sample.video)

    def _seen(self, asked: list[Sample]) -> "Run":
        from videre import evaluate
        from videre.ask import system

        answers = system(self.model, self.select, size_px=self.settings.size_px, seed=self.settings.seed)
        with evaluate.Answering(answers, self._place) as work:
            return self._asked(asked, work, self.folder, "the video")

    def _blind(self, asked: list[Sample], seen: "Run") -> "Run":
        from videre import evaluate
        from videre.ask import Blind

        return self._asked(asked, evaluate.unseen(Blind(self.model), seen.records), self.folder / "blind", "grey")

    def _asked(self, asked: list[Sample], work: Any, folder: Path, shown: str) -> "Run":
        from videre import evaluate

        how = self.switches
        done = evaluate.run(
            asked, work, folder=folder, manifest={**self.inputs, "frames_shown": shown}, videos=self._place,
            engine=answering.engine(self.settings.model, how.at_once),
            retry_failed=how.retry_failed, force=how.force, quiet=how.quiet,
        )  # fmt: skip
        _end_if_stopped(done.outcome)
        return done

    def _judge(self) -> Answerer | None:
        how = self.switches
        settings = {"device": self.settings.device, "dtype": self.settings.dtype}
        return naming.model(how.judge, at_once=how.at_once, **settings) if how.judge else None

    def _judged(self, seen: "Run", judge: Any, code: int) -> tuple[dict[str, JSON], int]:
        from videre import evaluate

        how, rows = self.switches, {}
        for task in judging.tasks(self.benchmark, seen, how.judge_prompt):
            pins = judging.pinned(task, self.benchmark)
            found = evaluate.ask_judge(
                judge, task.prompts, folder=self.folder / f"judge-{task.name}", manifest=pins,
                engine=answering.engine(str(how.judge), how.at_once),
                retry_failed=how.retry_failed, force=how.force, quiet=how.quiet,
            )  # fmt: skip
            _end_if_stopped(found.outcome)
            rows[task.name] = judging.section(task, found, judge, seen) | {"card": dict(judge.card)}
            code = code or found.outcome.exit_code
        return rows, code

    def _counts(self, seen: "Run", here: list[Sample], missing: list[Sample]) -> dict[str, int]:
        counts = {"n_defined": len(self.benchmark.samples), "n_missing": len(missing)}
        known = [s for s in seen.samples if s.answer is not None or not self._can_be_blind]
        counts |= {"n_not_asked": len(here) - len(seen.samples), "n_scored": len(known)}
        counts |= {"n_without_answer": len(seen.samples) - len(known)}
        return counts | {"n_failed": len(seen.samples) - len(seen.answered)}

    def _written(self, table: dict[str, JSON], judged: Mapping[str, JSON]) -> dict[str, JSON]:
        from videre import jobs
        from videre.ask import selector_name
        from videre.record import dumps

        pins = {name: {key: row[key] for key in ("judge", "card", "prompt_sha256")} for name, row in judged.items()}
        card = {**self.inputs, "selector": selector_name(self.select), "versions": _versions()}
        command = [naming.told(word) for word in sys.argv[1:]]
        card |= {"judge": pins, "limit": self.switches.limit, "counts": table["counts"], "command": command}
        jobs.replace_file(self.folder / "run.json", dumps(card) + "\n")
        jobs.replace_file(self.folder / "metrics.json", dumps(table) + "\n")
        return table


def _inputs(benchmark: Benchmark, settings: Settings, model: Answerer) -> dict[str, JSON]:
    own = {name: key for name in ("model", "select") if (key := _own_file(getattr(settings, name)))}
    files = {**benchmark.files, **own}
    card = {"settings": settings.told(), "model": dict(model.card), "files": files}
    return {"videre": __version__, "benchmark": benchmark.name, **card}


def _own_file(name: str) -> str | None:
    """The hash of a person's own `file.py:function`: its answers depend on what stands in it."""
    from videre import jobs

    path = Path(name.rpartition(":")[0])
    return jobs.file_key(path) if path.suffix == ".py" and path.is_file() else None


def _folder(name: str, inputs: Mapping[str, JSON], out: Path | None, *, new: bool) -> Path:
    from videre import jobs

    folder = out or Path("runs") / f"{name}-{jobs.key(**inputs)[:8]}"
    return jobs.new_folder(folder) if new else folder


def _versions() -> dict[str, str]:
    found = {"videre": __version__, "python": sys.version.split()[0]}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _headline(table: Mapping[str, Any]) -> dict[str, JSON] | None:
    """The one number that a comparison prints."""
    if "choice" in table:
        return {"name": "accuracy", "value": table["choice"]["kinds"]["all"]["accuracy"]}
    if "open" in table:
        return {"name": f"accuracy ({table['open']['match']})", "value": table["open"]["kinds"]["all"]["accuracy"]}
    for section in ("moments", "captions", "anticipation"):
        for name, value in table.get(section, {}).get("scores", {}).items():
            return {"name": name, "value": value}
    return None


def _end_if_stopped(outcome: Any) -> None:
    if outcome.exit_code not in (errors.OK, errors.SOME_FAILED):
        click.echo(f"videre: {outcome.message}", err=True)
        raise SystemExit(outcome.exit_code)
