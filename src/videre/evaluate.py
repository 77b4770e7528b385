"""Road 3: a system over samples; every sample is in every number, and a failure counts as wrong.

A run is a folder of `jobs`: its rows are evidence records, so that a finished run can be scored, shown and compared
again without a model.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from videre import jobs
from videre.metrics import choice, grounding
from videre.record import Record, from_row, to_row
from videre.types import JSON, Answer, Sample

Work = Callable[[Sample], Record]
"""Answers a sample; an exception becomes a row with its error, which counts as wrong."""


@dataclass(frozen=True)
class Run:
    """What a run answered.

    Attributes:
        samples: all that were asked, in order.
        records: the row of each by sample id; a sample that has none is missing, and counts as wrong.
        outcome: how the run ended.
    """

    samples: Sequence[Sample]
    records: Mapping[str, Record]
    outcome: jobs.Outcome

    @property
    def answered(self) -> list[Sample]:
        """The samples that have an answer."""
        return [sample for sample in self.samples if self._answer(sample) is not None]

    def chosen(self) -> list[int | None]:
        """The option of each sample's answer; None where there is no answer, or it names none."""
        return [answer.option if (answer := self._answer(sample)) else None for sample in self.samples]

    def _answer(self, sample: Sample) -> Answer | None:
        record = self.records.get(sample.id)
        return record.answer if record else None


def run(
    samples: Sequence[Sample],
    work: Work | jobs.PerWorker,
    *,
    folder: str | Path,
    manifest: Mapping[str, JSON],
    videos: Callable[[Sample], Path],
    engine: jobs.Engine | None = None,
    quiet: bool = False,
) -> Run:
    """The records of all samples, answered now or by an earlier call with the same folder.

    Args:
        samples: with unique ids.
        work: answers one sample.
        folder: where the log lies; the same call continues it.
        manifest: what the answers depend on beside the samples: model card, selector, frames, seed, versions.
        videos: where the file of a sample lies, for its key.
        engine: where the work runs; None is this process.
        quiet: no progress on stderr.

    Raises:
        ConfigError: the folder holds a run with another manifest, or another process works in it.
        ModelError: the model is gone.
    """
    items = [_item(sample, manifest, videos) for sample in samples]
    task = work if isinstance(work, jobs.PerWorker) else lambda item: to_row(work(item.payload))
    outcome = jobs.run(items, task, folder=folder, manifest=dict(manifest), engine=engine, quiet=quiet)
    return Run(samples, records(folder), outcome)


def records(folder: str | Path) -> dict[str, Record]:
    """The rows of a run by sample id.

    Raises:
        DataError: the folder is not a run, or a line of it is damaged.
    """
    return {row["id"]: from_row(row) for row in jobs.rows(folder)}


def accuracy(run: Run) -> choice.Choice:
    """Accuracy over all multiple-choice samples, by kind; unanswered ones are wrong."""
    pairs = [(s, c) for s, c in zip(run.samples, run.chosen(), strict=True) if s.option is not None]
    right = [s.option for s, _ in pairs if s.option is not None]
    return choice.accuracy([c for _, c in pairs], right, kinds=[s.kind for s, _ in pairs])


def grounded(run: Run, durations: Mapping[str, float]) -> grounding.GroundedScore:
    """NExT-GQA's scores over the samples with spans; one without a predicted span counts as 0.

    Args:
        run: records whose first span is the prediction.
        durations: seconds of each video, by `Sample.video`.
    """
    timed = [sample for sample in run.samples if sample.spans]
    truth = {s.id: _truth(s, durations) for s in timed}
    chosen = dict(zip((s.id for s in run.samples), run.chosen(), strict=True))
    spans = {
        s.id: _predicted(run.records[s.id]) for s in timed if s.id in run.records and run.records[s.id].evidence.spans
    }
    answers = {s.id: (chosen[s.id], s.option) for s in timed}
    return grounding.nextgqa(spans, truth, answers=answers, missing="zero")


def difference(first: Mapping[str, Record], second: Mapping[str, Record]) -> dict[str, int]:
    """What differs between two runs: how many of their common questions have other frames, prompts, models, answers.

    Keys with no difference are left out; `only_first` and `only_second` count questions that the other run lacks.
    """
    common = [id for id in first if id in second]
    counts = {"only_first": len(first) - len(common), "only_second": len(second) - len(common)}
    for name, facts in _FACTS.items():
        counts[name] = sum(facts(first[id]) != facts(second[id]) for id in common)
    return {name: count for name, count in counts.items() if count}


def _item(sample: Sample, manifest: Mapping[str, JSON], videos: Callable[[Sample], Path]) -> jobs.Item:
    path = videos(sample)
    inputs = {"question": sample.question, "clip": sample.clip and asdict(sample.clip), "run": dict(manifest)}
    return jobs.Item(jobs.key(video=jobs.file_key(path), **inputs), sample.id, sample, str(path), sample.question)


def _truth(sample: Sample, durations: Mapping[str, float]) -> grounding.Truth:
    segments = [[span.start_seconds, span.end_seconds] for span in sample.spans]
    return grounding.Truth(sample.video, round(durations[sample.video]), segments)


def _predicted(record: Record) -> list[float]:
    span = record.evidence.spans[0]
    return [span.start_seconds, span.end_seconds]


def _run_fact(name: str) -> Callable[[Record], JSON]:
    return lambda record: record.answer.run.get(name) if record.answer else None


_FACTS: dict[str, Callable[[Record], JSON]] = {
    "frames": _run_fact("frames_sha256"),
    "frame_times": _run_fact("frames_seconds"),
    "prompts": _run_fact("prompt_sha256"),
    "models": _run_fact("model"),
    "decoders": _run_fact("decoder"),
    "videre_versions": _run_fact("videre"),
    "selectors": _run_fact("selector"),
    "seeds": _run_fact("seed"),
    "answers": str,
    "options_chosen": lambda record: record.answer.option if record.answer else None,
}
