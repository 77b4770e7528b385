"""`ask` over every real clip and question: a tiny checkpoint of a real architecture, and the same behind a server."""

import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from videre.ask import ask
from videre.record import from_row, to_row
from videre.types import Question
from videre.video.open import open_video
from videre.video.sample import uniform

FRAMES = 8


def clips(shared: Path) -> list[dict]:
    lines = (shared / "corpus" / "clips.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def decoded_seconds(path: Path) -> np.ndarray:
    """Every frame's time by a plain full decode, from the first displayed frame."""
    with av.open(str(path)) as container:
        times = sorted(
            float(frame.pts * frame.time_base) for frame in container.decode(video=0) if frame.pts is not None
        )
    return np.array(times) - times[0]


def check(record, truth: np.ndarray, question: Question) -> None:
    seconds = np.array(record.evidence.seconds)
    assert len(seconds) == min(FRAMES, len(truth))
    half_a_frame = np.diff(truth).min() / 2
    off = np.abs(seconds[:, None] - truth[None]).min(1)
    assert (off <= half_a_frame).all(), f"{off.max()} s off a full decode"
    assert len(set(np.abs(seconds[:, None] - truth[None]).argmin(1))) == len(seconds), "a frame was shown twice"
    assert record.error is None
    assert from_row(json.loads(json.dumps(to_row(record)))).question == question


def ask_all(shared: Path, model) -> int:
    asked = 0
    for clip in clips(shared):
        path = shared / "corpus" / clip["file"]
        truth = decoded_seconds(path)
        with open_video(path) as video:
            for row in clip["qa"]:
                question = Question(row["question"], tuple(row["options"]))
                record = ask(video, question, model=model, select=uniform(FRAMES), size_px=112)
                check(record, truth, question)
                asked += 1
    return asked


def test_every_clip_and_question_by_command_with_a_checkpoint(shared, tiny_checkpoint, tmp_path):
    asked = {
        f"{clip['file']}#{number}": (shared / "corpus" / clip["file"], Question(row["question"], tuple(row["options"])))
        for clip in clips(shared)
        for number, row in enumerate(clip["qa"])
    }
    rows = [
        json.dumps({"id": id, "video": str(path), "question": question.text, "options": question.options})
        for id, (path, question) in asked.items()
    ]
    command = [sys.executable, "-m", "videre", "ask", "-", "-m", str(tiny_checkpoint("qwen3_vl")), "--size-px", "112"]
    done = subprocess.run(
        [*command, "-k", str(FRAMES), "-o", str(tmp_path / "run"), "-f", "jsonl", "--json", "--device", "cpu"],
        input="\n".join(rows), capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    records = [from_row(json.loads(line)) for line in done.stdout.splitlines()]
    assert [record.id for record in records] == list(asked)
    assert len(records) >= 81
    truths = {path: decoded_seconds(path) for path, _ in asked.values()}
    for record in records:
        path, question = asked[record.id]
        check(record, truths[path], question)


def test_every_clip_and_question_through_a_server(shared, tiny_checkpoint):
    from loopback import serve_model
    from videre.models import endpoint, mllm

    served = mllm.load(str(tiny_checkpoint("smolvlm")), device="cpu", answer_tokens=8)
    with serve_model(served) as url:
        model = endpoint.connect(url, "tiny")
        assert ask_all(shared, model) >= 81


@pytest.mark.parametrize("name", ["clips", "hard"])
def test_the_shared_lists_name_files_that_exist(shared, name):
    lines = (shared / "corpus" / f"{name}.jsonl").read_text("utf-8").splitlines()
    assert all((shared / "corpus" / json.loads(line)["file"]).exists() for line in lines if line.strip())
