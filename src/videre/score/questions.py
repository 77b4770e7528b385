"""Answers that others predicted: ActivityNet-QA, Video-MME, and Video-MME under many settings."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from videre.errors import DataError
from videre.metrics import choice, extractors, text
from videre.metrics.choice import shares
from videre.score.files import Report, Row, by_id, first, listed, notes_of, percents, share_report, table, unknown

REPLIES = ("pred", "prediction", "answer")


def score_activitynet_qa(predictions: Path, annotations: Path, *, match: str = "exact") -> Report:
    """ActivityNet-QA's accuracy by type, `Free` and `All`, in percent, without a judge.

    Args:
        predictions: rows with `question_id` and the reply under `pred`, `prediction` or `answer` (the official key).
        annotations: `val_a.json` or `test_a.json`.
        match: a rule of `metrics.text.MATCHES`; "exact" is the official one.
    """
    if match not in text.MATCHES:
        raise ValueError(f"match is one of {', '.join(text.MATCHES)}, got {match!r}")
    said, truth = by_id(predictions, "question_id"), by_id(annotations, "question_id")
    n_unknown = unknown(said, truth, path=predictions, known_from=annotations)
    replies = _replies(said, truth)
    answers, types = [row.text("answer") for row in truth.values()], [_type(row) for row in truth.values()]
    found = text.matched(replies, answers, match=text.MATCHES[match])

    def by_type(given: Sequence[str | None]) -> Report:
        marks = [r is not None and text.MATCHES[match](r, a) for r, a in zip(given, answers, strict=True)]
        return share_report(text.activitynet_shares(marks, types))

    usual = Counter(answers).most_common(1)[0][0]
    counts = counted(found, n_missing=found.n_unparsed, n_unknown=n_unknown)
    return {
        "benchmark": "activitynet-qa",
        "match": match,
        **by_type(replies),
        "baselines": {f"always {usual}": by_type([usual] * len(answers))["scores"]},
        "counts": counts,
        "notes": notes_of(counts),
    }


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
    options, right, replies = [item[1] for item in items], [item[2] for item in items], [item[3] for item in items]
    if all(reply is None for reply in replies):
        raise DataError(f'{predictions}: no question has a "response"', code="no_replies")
    found = choice.accuracy_of_replies(
        replies, options, right, rule=extractors.RULES[rule], kinds=[item[0] for item in items]
    )
    letter, constant = choice.best_constant(right)
    chance = choice.chance([len(some) for some in options]) * 100
    missing = sum(reply is None for reply in replies)
    counts = counted(found, n_unparsed=found.n_unparsed, n_missing=missing)
    return {
        "benchmark": "video-mme",
        "rule": rule,
        **share_report({**found.kinds, "all": found.overall}),
        "baselines": {"chance": chance, f"always {letter}": constant.percent},
        "counts": counts,
        "notes": notes_of(counts),
    }


def score_scalegrid(flags: Path, *, letters: Path | None = None, model: str | None = None) -> Report:
    """Visual confusion and overwrite rates by model, in percent, of a Video-MME scale grid.

    Args:
        flags: its `derived` csv: `sample_id`, `model`, `is_visually_confused`, `is_text_overwritten`, ...
        letters: the letters that one model gave, a column a setting; adds accuracy by setting, best fixed setting,
            oracle and headroom. The right letter is the one given under `best_config`, unless never right.
        model: whose letters they are.
    """
    names = {"visual_confusion_rate": "is_visually_confused", "overwrite_rate": "is_text_overwritten"}
    rows = table(flags, ("sample_id", "model", "trajectory_class", "best_config", *names.values()))
    models = [row.text("model") for row in rows]
    found = {rate: shares([_flag(row, name) for row in rows], models) for rate, name in names.items()}
    scores: dict[str, dict] = {
        name: {"n": models.count(name), **{rate: some[name].percent for rate, some in found.items()}}
        for name in dict.fromkeys(models)
    }
    intervals: dict[str, dict] = {
        name: {rate: percents(some[name].interval) for rate, some in found.items()} for name in scores
    }
    if letters is not None:
        if model not in scores:
            raise DataError(f"{flags}: model {model!r} is not one of {', '.join(scores)}")
        grid = _grid([row for row in rows if row.get("model") == model], letters)
        scores[model] |= grid["scores"]
        intervals[model] |= grid["intervals"]
    counts = {"n_items": len(rows)}
    return {"benchmark": "video-mme-scalegrid", "scores": scores, "intervals": intervals, "counts": counts}


def counted(found: choice.Choice, **more: int) -> dict[str, int]:
    """Items, items scored, and what else was counted."""
    return {"n_items": found.n_items, "n_scored": found.n_scored, **more}


def _replies(said: Mapping[str, Row], truth: Mapping[str, Row]) -> list[str | None]:
    """The reply to each question, None where there is none; a file without any is an error."""
    keys = [name for name in REPLIES if any(name in row.fields for row in said.values())]
    if not keys:
        names = " or ".join(f'"{name}"' for name in REPLIES)
        raise first(said.values()).wrong(f"no row has a reply under {names}")
    replies = {key: _reply(row) for key, row in said.items()}
    if all(reply is None for reply in replies.values()):
        raise first(said.values()).wrong(f'every reply of this file is null ("{keys[0]}")', code="no_replies")
    return [replies.get(key) for key in truth]


def _reply(row: Row) -> str | None:
    """The reply as text; a number, which some write for counts, becomes text."""
    name = next((key for key in REPLIES if row.has(key)), None)
    if name is None:
        return None
    value = row.fields[name]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else row.text(name, blank=True)


def _type(row: Row) -> int:
    kind = row.whole("type")
    if not 0 <= kind < len(text.ACTIVITYNET_KINDS):
        raise row.wrong(f'"type" is {kind}, 0 to {len(text.ACTIVITYNET_KINDS) - 1} were expected')
    return kind


def _video_mme_items(path: Path) -> Iterator[tuple[str, tuple[str, ...], int, str | None]]:
    for video in listed(path):
        length = video.text("duration_category" if video.has("duration_category") else "duration")
        for row in video.inners("questions"):
            options = row.strings("options")
            right = "ABCDEFGH".find(row.text("answer")[0])
            if not 0 <= right < len(options):
                raise row.wrong(
                    f'"answer" is {row.get("answer")!r}, a letter of the {len(options)} options was expected'
                )
            yield length, options, right, row.maybe_text("response")


def _flag(row: Row, name: str) -> bool:
    if row.get(name) not in ("0", "1"):
        raise row.wrong(f'"{name}" is {row.get(name)!r}, 0 or 1 was expected')
    return row.get(name) == "1"


def _grid(rows: Sequence[Row], letters: Path) -> Report:
    said = {row.text("sample_id"): row for row in table(letters, ("sample_id",))}
    settings = [name for name in first(said.values()).fields if name != "sample_id"]
    settings.sort(key=lambda name: [int(n) for n in name.replace("f_", " ").replace("k", "").split() if n.isdigit()])
    best = {r.text("sample_id"): r.text("best_config") for r in rows if r.get("trajectory_class") != "always_wrong"}
    marks = [[key in best and row.get(name) == row.get(best[key]) for name in settings] for key, row in said.items()]
    found = choice.grid(np.array(marks, dtype=bool), settings)
    names = ("best_fixed", "oracle", "headroom", "overwritten", "dropped")
    over_all, by_setting = share_report({name: getattr(found, name) for name in names}), share_report(found.settings)
    return {key: {"accuracy_by_config": by_setting[key], **over_all[key]} for key in ("scores", "intervals")}
