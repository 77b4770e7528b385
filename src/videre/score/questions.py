"""Answers that others predicted: TempCompass, ActivityNet-QA, Video-MME, and Video-MME under many settings."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from videre.errors import DataError
from videre.metrics import choice, extractors, tempcompass, text
from videre.score.files import Report, by_key, need, read_csv, read_object, read_rows, share_report


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
    rows = list(_tempcompass_rows(predictions))
    rows += _absent(rows, annotations) if annotations else []
    marks = [None if said is None else tempcompass.TASKS[task](said, answer, asked) for *_, said, answer, asked in rows]
    right = [bool(mark) for mark in marks]
    found = choice.tally(right, kinds=[aspect for _, aspect, *_ in rows])
    report = share_report({**found.kinds, "avg": found.overall})
    report |= {"benchmark": "tempcompass", "task": task, "macro": found.macro * 100}
    report["counts"] = _counted(
        found, n_unmatched=sum(mark is None for mark in marks), n_missing=sum(row[2] is None for row in rows)
    )
    if meta_info:
        info = read_object(meta_info)
        fine = choice.shares(right, [_fine_aspect(info, video, aspect) for video, aspect, *_ in rows])
        report["fine_grained"] = {name: share.percent for name, share in fine.items()}
    return report


def score_activitynet_qa(predictions: Path, annotations: Path, *, match: str = "exact") -> Report:
    """ActivityNet-QA's accuracy by type, `Free` and `All`, in percent, without a judge.

    Args:
        predictions: rows with `question_id` and the reply under `pred`, `prediction` or `answer` (the official key).
        annotations: `val_a.json` or `test_a.json`.
        match: a rule of `metrics.text.MATCHES`; "exact" is the official one.
    """
    if match not in text.MATCHES:
        raise ValueError(f"match is one of {', '.join(text.MATCHES)}, got {match!r}")
    said, truth = (by_key(read_rows(path), "question_id", path) for path in (predictions, annotations))
    replies = [_reply(said[key]) if key in said else None for key in truth]
    answers = [row["answer"] for row in truth.values()]
    found = text.matched(replies, answers, match=text.MATCHES[match])
    marks = [r is not None and text.MATCHES[match](r, a) for r, a in zip(replies, answers, strict=True)]
    report = share_report(text.activitynet_shares(marks, [int(row["type"]) for row in truth.values()]))
    counts = _counted(found, n_missing=found.n_unparsed, n_unknown=len(said.keys() - truth.keys()))
    return {"benchmark": "activitynet-qa", "match": match, **report, "counts": counts}


def score_video_mme(predictions: Path, *, rule: str = "recommended") -> Report:
    """Video-MME's accuracy by length and over all, in percent, beside chance and the best constant letter.

    Args:
        predictions: the official result file: a list of videos with `duration` (or `duration_category`) and
            `questions`, each with `options`, `answer` (a letter) and `response`.
        rule: a rule of `metrics.extractors.RULES`; "videomme" is the official one.
    """
    if rule not in extractors.RULES:
        raise ValueError(f"rule is one of {', '.join(extractors.RULES)}, got {rule!r}")
    items = list(_video_mme_items(predictions))
    options, right = [item[1] for item in items], [item[2] for item in items]
    found = choice.accuracy_of_replies(
        [item[3] for item in items], options, right, rule=extractors.RULES[rule], kinds=[item[0] for item in items]
    )
    letter, constant = choice.best_constant(right)
    report = share_report({**found.kinds, "all": found.overall})
    chance = choice.chance([len(some) for some in options]) * 100
    report["baselines"] = {"chance": chance, f"always {letter}": constant.percent}
    return {"benchmark": "video-mme", "rule": rule, **report, "counts": _counted(found, n_unparsed=found.n_unparsed)}


def score_scalegrid(flags: Path, *, letters: Path | None = None, model: str | None = None) -> Report:
    """Visual confusion and overwrite rates by model, in percent, of a Video-MME scale grid.

    Args:
        flags: its `derived` csv: `sample_id`, `model`, `is_visually_confused`, `is_text_overwritten`, ...
        letters: the letters that one model gave, a column a setting; adds accuracy by setting, best fixed setting,
            oracle and headroom. The right letter is the one given under `best_config`, unless never right.
        model: whose letters they are.
    """
    rows = read_csv(flags)
    models = [need(row, "model", str(flags)) for row in rows]
    names = {"visual_confusion_rate": "is_visually_confused", "overwrite_rate": "is_text_overwritten"}
    tables = {rate: choice.shares([row[flag] == "1" for row in rows], models) for rate, flag in names.items()}
    scores = {
        name: {"n": models.count(name), **{rate: table[name].percent for rate, table in tables.items()}}
        for name in dict.fromkeys(models)
    }
    if letters is not None:
        if model not in scores:
            raise DataError(f"{flags}: model {model!r} is not one of {', '.join(scores)}")
        scores[model] |= _grid([row for row in rows if row["model"] == model], letters)
    return {"benchmark": "video-mme-scalegrid", "scores": scores, "counts": {"n_items": len(rows)}}


Row = tuple[str, str, str | None, str, str]
"""(video, aspect, reply, answer, question)."""


def _tempcompass_rows(path: Path) -> Iterator[Row]:
    for video, aspects in read_object(path).items():
        for aspect, some in aspects.items():
            for row in some:
                where = f"{path}, {video}, {aspect}"
                said = row.get("prediction", row.get("response"))
                yield video, aspect, said, need(row, "answer", where), need(row, "question", where)


def _absent(rows: list[Row], annotations: Path) -> list[Row]:
    """The official questions that have no prediction, as rows without a reply."""
    seen = {(video.removesuffix(".mp4"), aspect, asked) for video, aspect, _, _, asked in rows}
    official = _tempcompass_rows(annotations)
    return [(v, a, None, answer, asked) for v, a, _, answer, asked in official if (v, a, asked) not in seen]


def _fine_aspect(info: Mapping[str, Any], video: str, aspect: str) -> str:
    name = video.removesuffix(".jpg").removesuffix(".mp4")
    return aspect if aspect == "order" else str(info[name]["eval_dim"][aspect]["type"])


def _reply(row: Mapping[str, Any]) -> str | None:
    found = next((row[key] for key in ("pred", "prediction", "answer") if key in row), None)
    return None if found is None else str(found)


def _video_mme_items(path: Path) -> Iterator[tuple[str, list[str], int, str | None]]:
    for number, video in enumerate(read_rows(path), 1):
        length = str(video.get("duration_category", video.get("duration", "")))
        for row in need(video, "questions", f"{path}, video {number}"):
            where = f"{path}, video {number}, question {row.get('question_id', '?')}"
            right = "ABCDEFGH".find(str(need(row, "answer", where)).strip()[:1] or "?")
            if not 0 <= right < len(need(row, "options", where)):
                raise DataError(f"{where}: the answer {row['answer']!r} names none of {len(row['options'])} options")
            yield length, row["options"], right, row.get("response")


def _grid(rows: list[dict[str, str]], letters: Path) -> Report:
    said = by_key(read_csv(letters), "sample_id", letters)
    settings = [name for name in next(iter(said.values())) if name != "sample_id"]
    settings.sort(key=lambda name: [int(n) for n in name.replace("f_", " ").replace("k", "").split() if n.isdigit()])
    best = {row["sample_id"]: row["best_config"] for row in rows if row["trajectory_class"] != "always_wrong"}
    marks = [[key in best and row[name] == row[best[key]] for name in settings] for key, row in said.items()]
    found = choice.grid(np.array(marks, dtype=bool), settings)
    return {
        "accuracy_by_config": {name: share.percent for name, share in found.settings.items()},
        "best_fixed": found.best_fixed * 100,
        "oracle": found.oracle * 100,
        "headroom": found.headroom * 100,
        "overwritten": found.overwritten.percent,
        "dropped": found.dropped.percent,
    }


def _counted(found: choice.Choice, **more: int) -> dict[str, int]:
    return {"n_items": found.n_items, "n_scored": found.n_scored, **more}
