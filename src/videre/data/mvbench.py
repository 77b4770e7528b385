"""MVBench: twenty tasks of 200 questions over videos of eleven datasets.

Files: `json/TASK.json` of OpenGVLab/MVBench (lists of video, question, candidates, answer, and for five tasks the start
and end of the part asked about), or `benchmarks/mvbench/mvbench.jsonl` of xjtupanda/T2Vid (question_id, video, prompt,
GT, category; 3985 of the 4000, without start and end).

Source: Li et al., CVPR 2024. The JSON lines are verified; the official JSON is unverified: our copy of the benchmark
lacks it. Videos of `episodic_reasoning` are folders of frames, which count as missing.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from videre.data import choices, spans
from videre.data.annotations import Source, collect, missing_file
from videre.data.fields import Row
from videre.data.json_rows import rows
from videre.types import Sample, Span

FOLDERS = {
    "action_sequence": "star/Charades_v1_480",
    "action_prediction": "star/Charades_v1_480",
    "action_antonym": "ssv2_video",
    "fine_grained_action": "Moments_in_Time_Raw/videos",
    "unexpected_action": "FunQA_test/test",
    "object_existence": "clevrer/video_validation",
    "object_interaction": "star/Charades_v1_480",
    "object_shuffle": "perception/videos",
    "moving_direction": "clevrer/video_validation",
    "action_localization": "sta/sta_video",
    "scene_transition": "scene_qa/video",
    "action_count": "perception/videos",
    "moving_count": "clevrer/video_validation",
    "moving_attribute": "clevrer/video_validation",
    "state_change": "perception/videos",
    "fine_grained_pose": "nturgbd",
    "character_order": "perception/videos",
    "egocentric_navigation": "vlnqa",
    "episodic_reasoning": "tvqa/frames_fps3_hq",
    "counterfactual_inference": "clevrer/video_validation",
}
"""Task and the folder of its videos below the video root, in the order of the benchmark."""

Key = tuple[str, str, str, frozenset[str]]


def read(path: Source, *, bounds: Source | None = None) -> list[Sample]:
    """The questions, `kind` the task.

    Args:
        path: `mvbench.jsonl`, one task's JSON, or the folder `json/` with a file a task.
        bounds: the folder `json/`, where `path` is the JSON lines, which lack start and end; None leaves them out.
    """
    if str(path).endswith(".jsonl"):
        clips = {} if bounds is None else _clips(read(bounds))
        return collect(rows(path), lambda row: _from_prompt(row, clips), path=path)
    files = _task_files(path)
    return [sample for file in files for sample in _read_task(file)]


def _task_files(path: Source) -> list[Path]:
    if not Path(path).is_dir():
        return [Path(path)]
    files = [file for task in FOLDERS if (file := Path(path) / f"{task}.json").exists()]
    if not files:
        raise missing_file(path, "no TASK.json of MVBench in this folder")
    return files


def _read_task(path: Path) -> Iterator[Sample]:
    task = path.stem
    if task not in FOLDERS:
        raise missing_file(path, f"{task!r} is none of MVBench's tasks, which name the files")
    yield from collect(rows(path), lambda row: _official(row, task), path=path)


def _official(row: Row, task: str) -> Sample:
    options = row.strings("candidates")
    bounded = row.has("start") and row.has("end")
    return Sample(
        id=f"{task}_{row.name.removeprefix('row ')}",
        video=f"{FOLDERS[task]}/{row.video('video')}",
        question=choices.asked(row.text("question"), options),
        answer=choices.by_text(row, "answer", options=options),
        kind=task,
        clip=spans.published(row, [row.number("start"), row.number("end")]) if bounded else None,
    )


def _from_prompt(row: Row, clips: Mapping[Key, Span]) -> Sample:
    asked = choices.prompt(row, row.text("prompt"))
    task = row.text("category")
    if task not in FOLDERS:
        raise row.wrong(f'"category" is {task!r}, none of MVBench\'s tasks')
    video = row.video("video")
    return Sample(
        id=row.label("question_id"),
        video=video,
        question=asked.asked(),
        answer=choices.by_letter(row, "GT", letters=asked.letters),
        kind=task,
        clip=clips.get(_key(task, video, asked.question, asked.options)),
    )


def _clips(samples: list[Sample]) -> dict[Key, Span]:
    return {
        _key(sample.kind, sample.video, sample.question.text, sample.question.options): sample.clip
        for sample in samples
        if sample.clip is not None
    }


def _key(task: str, video: str, question: str, options: tuple[str, ...]) -> Key:
    return task, Path(video).stem, question, frozenset(options)
