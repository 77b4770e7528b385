"""TempCompass predictions of others, beside chance and the best constant answer."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from videre.errors import DataError
from videre.metrics import choice, tempcompass
from videre.metrics.interval import Share
from videre.score.files import Report, Row, notes_of, objects, percents, share_report
from videre.score.questions import counted


@dataclass(frozen=True)
class Item:
    """A question of one aspect, the line it stands on, and the reply to it, None where there is none."""

    video: str
    aspect: str
    row: Row
    question: str
    answer: str
    reply: str | None


def score_tempcompass(
    predictions: Path, *, annotations: Path | None = None, task: str = "multi-choice", meta_info: Path | None = None
) -> Report:
    """TempCompass's accuracy by aspect and `avg`, in percent; what its rules cannot match is wrong, and counted.

    Args:
        predictions: `{video: {aspect: [{"question", "answer", "prediction"}]}}`.
        annotations: the official question file; its questions without a prediction then count as wrong.
        task: "multi-choice", "yes_no" or "caption_matching".
        meta_info: the official `meta_info.json`, for the fine-grained aspects.
    """
    if task not in tempcompass.TASKS:
        raise ValueError(f"task is one of {', '.join(tempcompass.TASKS)}, got {task!r}")
    items = _answered(predictions)
    items += _absent(items, annotations) if annotations else []
    right, sizes = zip(*(_options(item, task) for item in items), strict=True)
    rule = tempcompass.TASKS[task]
    marks = [None if item.reply is None else rule(item.reply, item.answer, item.question) for item in items]
    found = choice.tally([bool(mark) for mark in marks], kinds=[item.aspect for item in items])
    missing = sum(item.reply is None for item in items)
    # What the rules cannot match is wrong and counted: a missing reply is one of these, as a reply of no option is.
    counts = counted(found, n_unmatched=sum(mark is None for mark in marks), n_missing=missing)
    letter, constant = choice.best_constant(right)
    usual = {"A": "yes", "B": "no"}[letter] if task == "yes_no" else letter
    report = share_report({**found.kinds, "avg": found.overall})
    report |= {"benchmark": "tempcompass", "task": task, "counts": counts}
    report |= {"macro": found.macro * 100, "macro_interval": percents(found.macro_interval)}
    report["baselines"] = {"chance": choice.chance(sizes) * 100, f"always {usual}": constant.percent}
    report["notes"] = notes_of(counts)
    if meta_info:
        fine = share_report(_fine_grained(items, [bool(mark) for mark in marks], meta_info))
        report |= {"fine_grained": fine["scores"], "fine_grained_intervals": fine["intervals"]}
    return report


def _answered(path: Path) -> list[Item]:
    """The items of a prediction file; one without any reply is an error."""
    items = list(_items(path))
    if all(item.reply is None for item in items):
        raise DataError(f'{path}: no question has a "prediction"', code="no_replies")
    return items


def _items(path: Path) -> Iterator[Item]:
    for video, aspects in objects(path).items():
        for aspect in aspects.fields:
            for row in aspects.inners(aspect):
                name = "prediction" if "prediction" in row.fields else "response"
                yield Item(video, aspect, row, row.text("question"), row.text("answer"), row.maybe_text(name))


def _absent(items: list[Item], annotations: Path) -> list[Item]:
    """The official questions that have no prediction, as items without a reply."""
    seen = {(_bare(item.video), item.aspect, item.question) for item in items}
    official = [Item(i.video, i.aspect, i.row, i.question, i.answer, None) for i in _items(annotations)]
    absent = [item for item in official if (item.video, item.aspect, item.question) not in seen]
    if len(absent) == len(official):
        raise DataError(f"none of the questions of {annotations} is in the predictions; are both of one task?")
    return absent


def _options(item: Item, task: str) -> tuple[int, int]:
    """(place of the right option, how many there are); an answer of another task is an error."""
    if task == "yes_no":
        names = ["yes", "no"]
        answer = item.answer
    else:
        names = [line.split(": " if task == "caption_matching" else ".")[0] for line in item.question.split("\n")[1:]]
        answer = item.answer.split(": " if task == "caption_matching" else ".")[0]
    if answer not in names or (task != "yes_no" and answer == item.answer):
        known = ", ".join(name[:20] for name in names) or "there are none"
        raise item.row.wrong(f'"answer" is {item.answer[:40]!r}, which is no option of the task {task} ({known})',
                             fix="give the --task of this file", code="task")  # fmt: skip
    return names.index(answer), len(names)


def _fine_grained(items: list[Item], marks: list[bool], path: Path) -> dict[str, Share]:
    info = objects(path)
    return choice.shares(marks, [_fine_aspect(info, item, path) for item in items])


def _fine_aspect(info: dict[str, Row], item: Item, path: Path) -> str:
    name = _bare(item.video)
    if item.aspect == "order":
        return "order"
    if name not in info:
        raise item.row.wrong(f"the video {name} is not in {path}", fix="give the meta_info.json of these questions")
    return info[name].inner("eval_dim").inner(item.aspect).text("type")


def _bare(video: str) -> str:
    return video.removesuffix(".jpg").removesuffix(".mp4")
