"""`videre eval --judge`: which prompts a judge gets for a run, and what its replies come to."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videre.apps.benchmarks import Benchmark
from videre.types import JSON, Answerer

if TYPE_CHECKING:
    from videre.evaluate import Judging, Run


@dataclass(frozen=True)
class Task:
    """One prompt over a run.

    Attributes:
        name: of the prompt: "qa", "option", or an aspect; its folder is `judge-NAME`.
        wording: the shipped prompt of that name, or a file.
        prompts: the filled-in prompt by id.
        ids: every item that counts, asked or not.
    """

    name: str
    wording: str | Path
    prompts: Mapping[str, str]
    ids: list[str]


Ask = Callable[[Task], "Judging"]


def tasks(benchmark: Benchmark, seen: "Run", wording: Path | None) -> Iterator[Task]:
    """What a judge is asked: the five aspects, whether open answers are right, what unclear replies mean.

    Args:
        benchmark: decides between aspects and right or wrong.
        seen: the run.
        wording: a file in place of the shipped prompt.
    """
    from videre import evaluate
    from videre.data.video_chatgpt import ASPECTS

    opened = [s.id for s in seen.samples if not s.question.options and s.answer is not None]
    if benchmark.scores == "aspects":
        parts = {sample.kind for sample in seen.samples}
        for aspect in (name for name, part in ASPECTS.items() if part in parts):
            prompts = evaluate.aspect_prompts(seen, aspect, prompt=wording)
            yield Task(aspect, wording or aspect, prompts, _ids(opened, aspect))
    elif opened and benchmark.scores in ("questions", "grounded"):
        yield Task("qa", wording or "qa", evaluate.qa_prompts(seen, prompt=wording or "qa"), opened)
    if unclear := evaluate.option_prompts(seen):
        yield Task("option", "option", unclear, list(unclear))


def section(task: Task, judging: "Judging", judge: Answerer, seen: "Run") -> dict[str, JSON]:
    """What the judge's replies come to, with the judge and the prompt's hash beside it."""
    from videre.evaluate.judging import prompt_sha256

    pinned = {"judge": judge.name, "prompt_sha256": prompt_sha256(task.wording)}
    if task.name == "option":
        return pinned | _options(task, judging, seen)
    found = judging.judged(task.ids)
    row: dict[str, Any] = {"n_items": found.n_items, "n_unread": found.n_unread}
    if task.name == "qa":
        read = {"accuracy_of_read": found.accuracy_of_read.value}
        row |= {"accuracy": _share(found.accuracy), **read}
    scored = found.score == found.score
    row |= {"score": found.score if scored else None, "score_interval": list(found.score_interval) if scored else None}
    return pinned | row


def pinned(task: Task, benchmark: Benchmark) -> dict[str, JSON]:
    """What the replies depend on, beside the judge and the prompts themselves."""
    from videre.evaluate.judging import JUDGE_TOKENS, prompt_sha256

    wording = prompt_sha256(task.wording)
    return {"benchmark": benchmark.name, "prompt": task.name, "prompt_sha256": wording, "max_tokens": JUDGE_TOKENS}


def _options(task: Task, judging: "Judging", seen: "Run") -> dict[str, JSON]:
    """Accuracy where the judge read what the rules could not."""
    from videre.evaluate.judging import read_options
    from videre.metrics import choice

    named = read_options(judging, seen.samples)
    rows = [(s.option, named.get(s.id, c)) for s, c in zip(seen.samples, seen.chosen(), strict=True)]
    found = choice.accuracy([c for right, c in rows if right is not None], [r for r, _ in rows if r is not None])
    return {"n_items": len(task.ids), "n_unread": len(task.ids) - len(named), "accuracy": _share(found.overall)}


def _share(share: Any) -> dict[str, JSON]:
    return {"accuracy": share.value, "interval": list(share.interval), "count": share.count}


def _ids(opened: list[str], aspect: str) -> list[str]:
    """The items of an aspect: a pair of answers is one item of consistency."""
    if aspect != "consistency":
        return opened
    return list(dict.fromkeys(id.removesuffix("_Q1").removesuffix("_Q2") for id in opened))
