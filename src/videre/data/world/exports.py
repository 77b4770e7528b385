"""Writes stories as the annotation files of published benchmarks, so that what reads those reads the world too."""

import csv
import json
import os
from collections.abc import Iterable, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

from videre.data.nextqa import COLUMNS, GROUPS
from videre.data.star import KINDS as STAR_KINDS
from videre.data.world.story import EVENTS, Act, Story
from videre.data.world.story_questions import story_name, story_questions
from videre.types import Sample

Target = str | os.PathLike


def export(stories: Sequence[Story], folder: Target) -> list[Path]:
    """All annotation files of these stories, written into a folder; their paths.

    `nextqa.csv` and `gsub.json` (NExT-GQA), `star.json`, `msrvtt.csv`, `breakfast.json`, `coin.json` (official form),
    `kinetics.csv` (a clip an event) and `epic_{train,verb,noun}.csv`. Videos are named without their ending.
    """
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    epic = [*_epic(stories)]
    tables = {
        "nextqa.csv": _nextqa(stories),
        "msrvtt.csv": [
            {"key": f"ret{i}", "vid_key": f"msr{i}", "video_id": _name(s), "sentence": s.caption}
            for i, s in enumerate(stories)
        ],
        "kinetics.csv": [*_kinetics(stories)],
        "epic_train.csv": epic,
        "epic_verb.csv": _classes(EVENTS),
        "epic_noun.csv": _classes(sorted({str(row["noun"]) for row in epic})),
    }
    objects = {
        "gsub.json": _gsub(stories),
        "star.json": _star(stories),
        "breakfast.json": {_name(s): _breakfast(s) for s in stories},
        "coin.json": {"database": {_name(s): _coin(s) for s in stories}},
    }
    return [
        *(_write_table(root / name, rows) for name, rows in tables.items()),
        *(_write_json(root / name, value) for name, value in objects.items()),
    ]


def own_row(sample: Sample) -> dict[str, Any]:
    """The sample as a row of one's own (`videre.data.rows`)."""
    row: dict[str, Any] = {"id": sample.id, "video": sample.video, "question": sample.question.text}
    row |= {"options": list(sample.question.options), "answer": sample.answer, "kind": sample.kind}
    return row | {"spans": [_pair(s) for s in sample.spans]} | ({"clip": _pair(sample.clip)} if sample.clip else {})


def _nextqa(stories: Iterable[Story]) -> list[dict[str, Any]]:
    rows = []
    for story in stories:
        for number, sample in enumerate(_next_samples(story)):
            options = dict(zip(COLUMNS[4:], sample.question.options, strict=True))
            frames, side = round(story.config.seconds * story.config.fps), story.config.size_px
            about = {"video_id": _name(story), "frame_count": frames, "width": side, "height": side}
            asked = {"question": sample.question.text, "answer": sample.answer, "qid": number, "type": sample.kind}
            rows.append({**about, **asked, **options})
    return rows


def _next_samples(story: Story) -> list[Sample]:
    """The questions that the file can hold: those with five options."""
    return [s for s in story_questions(story) if s.kind in GROUPS and len(s.question.options) == 5]


def _gsub(stories: Iterable[Story]) -> dict[str, Any]:
    return {
        _name(story): {
            "duration": round(story.config.seconds),
            "location": {str(i): [_pair(span) for span in s.spans] for i, s in enumerate(_next_samples(story))},
            "fps": float(story.config.fps),
        }
        for story in stories
    }


def _star(stories: Iterable[Story]) -> list[dict[str, Any]]:
    rows = []
    for story in stories:
        for sample in story_questions(story, kinds=STAR_KINDS):
            clip = sample.clip or sample.spans[0]
            choices = [{"choice_id": i, "choice": option} for i, option in enumerate(sample.question.options)]
            about = {"question_id": f"{sample.kind}_{_name(story)}", "video_id": _name(story)}
            asked = {"question": sample.question.text, "answer": sample.answer, "choices": choices}
            rows.append({**about, **asked, "start": clip.start_seconds, "end": clip.end_seconds})
    return rows


def _breakfast(story: Story) -> dict[str, Any]:
    frames = round(story.config.seconds * story.config.fps)
    label = reduce(lambda number, act: number * len(EVENTS) + EVENTS.index(act.kind), story.events, 0)
    named = {"class_name": story.activity, "class_label": label}
    return {"duration": story.config.seconds, "frame_length": frames, **named}


def _coin(story: Story) -> dict[str, Any]:
    steps = [{"id": str(i), "label": act.caption, "segment": _pair(act.span)} for i, act in enumerate(story.events)]
    about = {"class": story.activity, "recipe_type": 0, "subset": "training", "duration": story.config.seconds}
    return {**about, "annotation": steps}


def _kinetics(stories: Iterable[Story]) -> Iterable[dict[str, Any]]:
    for story in stories:
        for act in story.events:
            times = {"time_start": int(act.span.start_seconds), "time_end": int(-(-act.span.end_seconds // 1))}
            yield {"label": act.kind, "youtube_id": _name(story), **times, "split": "train"}


def _epic(stories: Iterable[Story]) -> Iterable[dict[str, Any]]:
    shapes = sorted({act.actor.split()[1] for story in stories for act in story.events})
    for story in stories:
        for number, act in enumerate(story.events):
            noun = act.actor.split()[1]
            yield {
                "narration_id": f"{_name(story)}_{number}",
                "participant_id": "world",
                "video_id": _name(story),
                "start_timestamp": _clock(act.span.start_seconds),
                "stop_timestamp": _clock(act.span.end_seconds),
                "narration": _narration(act),
                "verb": act.kind,
                "verb_class": EVENTS.index(act.kind),
                "noun": noun,
                "noun_class": shapes.index(noun),
            }


def _narration(act: Act) -> str:
    return f"{act.kind} {act.actor}"


def _classes(names: Sequence[str]) -> list[dict[str, Any]]:
    return [{"id": i, "key": name, "instances": repr([name]), "category": ""} for i, name in enumerate(names)]


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest / 1000:06.3f}"


def _name(story: Story) -> str:
    return story_name(story).removesuffix(".mp4")


def _pair(span: Any) -> list[float]:
    return [span.start_seconds, span.end_seconds]


def _write_table(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)
    return path


def _write_json(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    return path
