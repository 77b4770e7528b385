"""The runs of a study: questions with options, one model, shown in several ways."""

from pathlib import Path
from typing import Any

from videre import __version__
from videre.apps import benchmarks, naming
from videre.apps.benchmarks import Benchmark
from videre.errors import ConfigError, DataError
from videre.types import Answerer, Sample


class Study:
    """Questions with options, a model, and runs of it that go on where they were stopped."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.given, self.out = given, given["out"]
        self.benchmark: Benchmark = benchmarks.load(given["benchmark"], given["annotations"], {})
        self.root: Path = given["videos"] or self.out / "videos"
        if self.benchmark.generated:
            benchmarks.write_clips(self.benchmark.samples[: given["limit"]], self.root)
        samples = [sample for sample in self.benchmark.samples if sample.question.options and sample.answer is not None]
        self.samples: list[Sample] = samples[: given["limit"]]
        if not self.samples:
            raise DataError(f"{given['benchmark']} has no question with options and an answer")
        self.ids = [sample.id for sample in self.samples]
        self.groups = {s.id: self.benchmark.groups.get(s.id) or s.kind for s in self.samples}
        self.model: Answerer = naming.model(given["model"], **device_of(given["model"], given["device"]))
        self.out.mkdir(parents=True, exist_ok=True)

    def right(self, model: Answerer, number: int, folder: str) -> dict[str, bool] | None:
        """Whether each answer is right, a failure being wrong; None where the frames do not fit into the context."""
        from videre import evaluate
        from videre.ask import system
        from videre.data.videos import resolve
        from videre.video.sample import uniform

        def place(sample: Sample) -> Path:
            return resolve(self.root, sample.video)

        told = {"videre": __version__, "model": dict(model.card), "frames": number, "size_px": self.given["size_px"]}
        answers = system(model, uniform(number), size_px=self.given["size_px"], seed=self.given["seed"])
        with evaluate.Answering(answers, place) as work:
            done = evaluate.run(
                self.samples, work, folder=self.out / folder, manifest=told, videos=place, retry_failed=True,
                quiet=self.given["quiet"],
            )  # fmt: skip
        if done.outcome.exit_code in (6, 130, 143):
            raise SystemExit(done.outcome.exit_code)
        codes = {(record.error or {}).get("code") for record in done.records.values()}
        if codes == {"too_long"}:
            return None
        pairs = zip(self.samples, done.chosen(), strict=True)
        return {sample.id: option is not None and option == sample.option for sample, option in pairs}


def device_of(model: str, device: str | None) -> dict[str, Any]:
    """What the loader is told of the device; the built-in model is told nothing."""
    return {} if model == "builtin" else {"device": device}


def numbers(text: str) -> list[int]:
    """Whole numbers from text such as `4,8,16`, ascending.

    Raises:
        ConfigError: it is no such list.
    """
    try:
        found = sorted({int(part) for part in text.split(",")})
    except ValueError as error:
        raise ConfigError(f"--counts is numbers separated by commas, got {text!r}") from error
    if not found or found[0] < 1:
        raise ConfigError(f"--counts is numbers of 1 or more, got {text!r}")
    return found
