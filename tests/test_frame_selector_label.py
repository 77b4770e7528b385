"""What `videre label` does with bad rows, junk replies, memory errors, dead servers and changed settings."""

import json

import pytest
from click.testing import CliRunner

from videre.apps import labelling
from videre.data.world.sample import SAMPLE
from videre.errors import ConfigError, DataError, ModelError
from videre.jobs import rows

MODEL = """
from videre.errors import ModelError
from videre.models.fake import FakeMLLM

def junk():
    return FakeMLLM(lambda chunks, text: "!!!! " * 50 if "captions" in text else "True")

def tired():
    def says(chunks, text):
        if "second" in text:
            raise ModelError("out of memory", code="oom")
        return "[0]" if "captions" in text else "False"
    return FakeMLLM(says)

def gone():
    def says(chunks, text):
        raise ModelError("no server at the address", code="unreachable")
    return FakeMLLM(says)
"""


@pytest.fixture
def place(tmp_path):
    (tmp_path / "models.py").write_text(MODEL)
    told = [{"id": name, "video": SAMPLE.name, "question": f"the {name} question?"} for name in ("first", "second")]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in told))
    return tmp_path


def label(place, model, *more, rows="rows.jsonl"):
    name = f"{place / 'models.py'}:{model}"
    arguments = ["rows", "--annotations", place / rows, "--videos", SAMPLE.parent, "-o", place / "out", "-n", 3, "-q",
                 "--spatial", name, "--captions", name, "--size-px", 32, *more]  # fmt: skip
    return CliRunner().invoke(labelling.command, [str(argument) for argument in arguments], standalone_mode=False)


def test_a_junk_reply_is_kept_and_lists_nothing(place):
    assert label(place, "junk").exit_code == 0
    first, second = rows(place / "out")
    assert first["reply"].startswith("!!!!")
    assert first["temporal"] == [0, 0, 0]
    assert first["scores"] == [score / 2 for score in first["spatial"]] == second["scores"]


def test_an_item_without_memory_fails_alone_and_can_be_retried(place):
    assert label(place, "tired").exit_code == 4
    good, bad = rows(place / "out")
    assert (good["id"], good["temporal"]) == ("first", [1, 0, 0])
    assert bad["error"]["code"] == "oom"


def test_a_server_that_is_gone_ends_the_run(place):
    done = label(place, "gone")
    assert isinstance(done.exception, ModelError)
    assert done.exception.code == "unreachable"


def test_changed_settings_are_refused_until_they_are_meant(place):
    assert label(place, "junk").exit_code == 0
    done = label(place, "junk", "-n", 4)
    assert isinstance(done.exception, ConfigError)
    assert done.exception.code == "changed_inputs"
    assert label(place, "junk", "-n", 4, "--force").exit_code == 0
    assert {len(row["scores"]) for row in rows(place / "out")} == {4}


def test_a_bad_row_and_a_missing_video_are_told(place):
    (place / "bad.jsonl").write_text('{"id": "a", "video": "x.mp4"}\n')
    done = label(place, "junk", rows="bad.jsonl")
    assert isinstance(done.exception, DataError)
    assert "bad.jsonl:1: no field" in str(done.exception)
    (place / "gone.jsonl").write_text('{"id": "a", "video": "x.mp4", "question": "why?"}\n')
    assert label(place, "junk", rows="gone.jsonl").exit_code == 4
    (row,) = rows(place / "out")
    assert row["error"]["code"] == "missing_video"


def test_labels_of_no_kind_are_refused(place):
    done = CliRunner().invoke(
        labelling.command, ["rows", "--annotations", str(place / "rows.jsonl"), "--videos", ".", "-o", str(place)],
        standalone_mode=False,
    )  # fmt: skip
    assert isinstance(done.exception, ConfigError)
    assert "spatial" in str(done.exception)


def test_the_question_may_stand_before_the_frame(place, tiny_checkpoint):
    folder = str(tiny_checkpoint("qwen3_vl"))
    own = ["--annotations", place / "rows.jsonl", "--videos", SAMPLE.parent, "-o", place / "out", "--spatial", folder]
    told = ["rows", *map(str, own), "-n", "3", "--size-px", "32", "-q"]

    def run(*more):
        return CliRunner().invoke(labelling.command, [*told, *more], standalone_mode=False)

    assert run("--question-first").exit_code == 0
    first = [row["spatial"] for row in rows(place / "out")]
    assert all(0 < score < 1 for line in first for score in line)
    assert run().exception.code == "changed_inputs"
    assert run("--force").exit_code == 0
    assert [row["spatial"] for row in rows(place / "out")] != first
    assert isinstance(run("--question-first", "--reasoned", "--force").exception, ConfigError)
