"""Judges: a model is asked about answers through `jobs`, its raw replies are rows, and `metrics.judge` reads them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from videre import jobs
from videre.evaluate.runs import Run
from videre.metrics import judge as verdicts
from videre.options import letter, read_option
from videre.types import JSON, MLLM, Answerer, Question, Sample

JUDGE_TOKENS = 128
TOLD_LATER = ("reported_model", "system_fingerprint", "left_out", "temperature")
"""Facts of a server's card that it tells while it is asked: they stand in rows, and are no inputs."""


@dataclass(frozen=True)
class Judging:
    """What a judge replied.

    Attributes:
        replies: raw replies by id; an id that was asked and has none failed.
        outcome: how the run ended.
    """

    replies: Mapping[str, str]
    outcome: jobs.Outcome

    def judged(self, ids: Sequence[str], *, whole_scores: bool = False) -> verdicts.Judged:
        """Accuracy and mean score over these items; one without a reply is unread, and counts as wrong."""
        read = [verdicts.read_verdict(self.replies[id]) if id in self.replies else None for id in ids]
        return verdicts.summarise(read, whole_scores=whole_scores)


def ask_judge(
    judge: Answerer,
    prompts: Mapping[str, str],
    *,
    folder: str | Path,
    manifest: Mapping[str, JSON],
    engine: jobs.Engine | None = None,
    retry_failed: bool = False,
    force: bool = False,
    quiet: bool = False,
) -> Judging:
    """The judge's replies to all prompts, given now or by an earlier call with the same folder.

    Args:
        judge: any model; it sees no frames.
        prompts: what to ask, by id.
        folder: where the log lies.
        manifest: what the replies depend on beside the prompts; the judge's card is added.
        engine: where the work runs; None is this process.
        retry_failed: asks again where the judge failed.
        force: goes on although the manifest differs.
        quiet: no progress on stderr.

    Raises:
        ModelError: the judge is gone.
    """
    pinned = {**manifest, "judge": {name: value for name, value in judge.card.items() if name not in TOLD_LATER}}
    items = [jobs.Item(jobs.key(asked=prompt, pinned=pinned), id, prompt) for id, prompt in prompts.items()]

    def work(item: jobs.Item) -> dict[str, JSON]:
        reply = _said(judge, item.payload)
        return {"prompt": item.payload, "reply": reply, "judge": dict(judge.card), "error": None}

    more = {"engine": engine, "retry_failed": retry_failed, "force": force, "quiet": quiet}
    outcome = jobs.run(items, work, folder=folder, manifest=pinned, **more)  # type: ignore[arg-type]
    wanted = {item.id: item.key for item in items}
    rows = [row for row in jobs.rows(folder) if row["key"] == wanted.get(row["id"]) and not row["error"]]
    return Judging({row["id"]: row["reply"] for row in rows}, outcome)


def qa_prompts(run: Run, *, prompt: str | Path = "qa") -> dict[str, str]:
    """The prompt for each open sample that was answered: is this answer right?"""
    return {s.id: verdicts.prompt(prompt, **_fields(s, reply)) for s, reply in _open(run)}


def aspect_prompts(run: Run, aspect: str, *, prompt: str | Path | None = None) -> dict[str, str]:
    """The prompts of one of Video-ChatGPT's aspects; consistency compares the two answers of a pair.

    Args:
        run: samples of the set that the aspect is judged on; pairs are named `..._Q1` and `..._Q2`.
        aspect: one of `metrics.judge.ASPECTS`.
        prompt: a file in place of the prompt of that name.
    """
    if aspect != "consistency":
        return qa_prompts(run, prompt=prompt or aspect)
    found = {sample.id: (sample, reply) for sample, reply in _open(run)}
    firsts = [id for id in found if id.endswith("_Q1") and _second(id) in found]
    return {id.removesuffix("_Q1"): _pair(found[id], found[_second(id)], prompt or aspect) for id in firsts}


def option_prompts(run: Run) -> dict[str, str]:
    """The prompt for each multiple-choice reply that names no option by the rules: which one does it mean?"""
    unread = [(s, a) for s in run.samples if s.question.options and (a := run.answer(s)) and a.option is None]
    return {s.id: verdicts.prompt("option", options=_listed(s.question), **_fields(s, a.text)) for s, a in unread}


def read_options(judging: Judging, samples: Sequence[Sample]) -> dict[str, int]:
    """The option that the judge named, by sample id; samples where it named none are left out."""
    known = {s.id: s.question for s in samples}
    read = {id: _option(reply, known[id]) for id, reply in judging.replies.items() if id in known}
    return {id: option for id, option in read.items() if option is not None}


def prompt_sha256(name_or_path: str | Path) -> str:
    """The hash of a prompt's wording, for the run card: scores depend on it."""
    names = ("question", "answer", "prediction", "question2", "prediction2", "options")
    blank = verdicts.prompt(name_or_path, **{name: f"${name}" for name in names})
    return hashlib.sha256(blank.encode()).hexdigest()


def _said(judge: Answerer, prompt: str) -> str:
    if isinstance(judge, MLLM):
        return judge.generate(prompt, max_tokens=JUDGE_TOKENS)
    return judge.answer([], Question(prompt)).text


def _open(run: Run) -> list[tuple[Sample, str]]:
    pairs = zip(run.samples, run.replies(), strict=True)
    return [(s, r) for s, r in pairs if r is not None and s.answer is not None and not s.question.options]


def _fields(sample: Sample, reply: str) -> dict[str, str]:
    return {"question": sample.question.text, "answer": sample.answer or "", "prediction": reply}


def _second(id: str) -> str:
    return f"{id.removesuffix('_Q1')}_Q2"


def _pair(first: tuple[Sample, str], second: tuple[Sample, str], prompt: str | Path) -> str:
    more = {"question2": second[0].question.text, "prediction2": second[1]}
    return verdicts.prompt(prompt, **_fields(*first), **more)


def _listed(question: Question) -> str:
    return "\n".join(f"{letter(i)}. {option}" for i, option in enumerate(question.options))


def _option(reply: str, question: Question) -> int | None:
    named = verdicts.read_option_reply(reply, {letter(i): text for i, text in enumerate(question.options)})
    return None if named in (None, "Z") else read_option(str(named), question.options)
