"""A run: samples answered through `jobs`, one evidence record a line, resumed by the same call."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from videre import jobs
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
        return [sample for sample in self.samples if self.answer(sample) is not None]

    def answer(self, sample: Sample) -> Answer | None:
        """The answer to a sample; None where it failed or was not asked."""
        record = self.records.get(sample.id)
        return record.answer if record else None

    def chosen(self) -> list[int | None]:
        """The option of each sample's answer, the first of equal ones; None where there is no answer, or it names none.

        Some published rows list one text twice, and their true option is told by its text.
        """
        return [_first(answer.option, sample) if (answer := self.answer(sample)) else None for sample in self.samples]

    def replies(self) -> list[str | None]:
        """The text of each sample's answer; None where there is none."""
        return [answer.text if (answer := self.answer(sample)) else None for sample in self.samples]


def run(
    samples: Sequence[Sample],
    work: Work | jobs.PerWorker,
    *,
    folder: str | Path,
    manifest: Mapping[str, JSON],
    videos: Callable[[Sample], Path],
    engine: jobs.Engine | None = None,
    retry_failed: bool = False,
    force: bool = False,
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
        retry_failed: asks failed samples again.
        force: goes on although the manifest differs; samples whose key changed are asked again.
        quiet: no progress on stderr.

    Raises:
        ConfigError: the folder holds a run with another manifest, or another process works in it.
        ModelError: the model is gone.
    """
    keys: dict[str, str] = {}

    def items() -> Iterator[jobs.Item]:  # one by one: the first answer does not wait until every video was hashed
        for sample in samples:
            item = _item(sample, manifest, videos)
            keys[item.id] = item.key
            yield item

    task = work if isinstance(work, jobs.PerWorker) else lambda item: to_row(work(item.payload))
    more = {"engine": engine, "retry_failed": retry_failed, "force": force, "quiet": quiet}
    given = {"folder": folder, "manifest": dict(manifest), "total": len(samples), **more}
    outcome = jobs.run(items(), task, **given)  # type: ignore[arg-type]
    rows = jobs.rows(folder) if outcome.path.exists() else ()
    found = {row["id"]: from_row(row) for row in rows if row["key"] == keys.get(row["id"])}
    return Run(samples, found, outcome)


def records(folder: str | Path) -> dict[str, Record]:
    """The rows of a run by sample id.

    Raises:
        DataError: the folder is not a run, or a line of it is damaged.
    """
    return {row["id"]: from_row(row) for row in jobs.rows(folder)}


def _first(option: int | None, sample: Sample) -> int | None:
    options = sample.question.options
    return options.index(options[option]) if option is not None and 0 <= option < len(options) else option


def _item(sample: Sample, manifest: Mapping[str, JSON], videos: Callable[[Sample], Path]) -> jobs.Item:
    path = videos(sample)
    inputs = {"question": sample.question, "clip": sample.clip and asdict(sample.clip), "run": dict(manifest)}
    return jobs.Item(jobs.key(video=jobs.file_key(path), **inputs), sample.id, sample, str(path), sample.question)
