"""Bad rows, junk replies, servers, locks, kills, interrupts, closed pipes, for `videre label` and `videre select`."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
from click.testing import CliRunner

import tiny_clip
from loopback import Response, completion, serve
from videre import jobs
from videre.apps import labelling, selecting
from videre.data import world
from videre.data.world.sample import SAMPLE
from videre.errors import ConfigError, DataError, ModelError
from videre.models import endpoint
from videre.record import from_row

MODEL = """
import os
import time
from videre.models.fake import FakeMLLM

def noted():
    def says(chunks, text):
        with open(os.environ["ASKED"], "a") as file:
            file.write(text.splitlines()[0] + "\\n")
        time.sleep(float(os.environ.get("SLOW", "0")))
        return "True" if "first" in text else "False"
    return FakeMLLM(says)

def silent():
    return FakeMLLM(lambda chunks, text: "" if "captions" in text else "True")
"""
ROW = {"id": "a", "video": SAMPLE.name, "question": "which?"}


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "models.py").write_text(MODEL)
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    return tmp_path


def arguments(place, *more, videos=SAMPLE.parent, spatial="noted", n=2):
    model = spatial if "//" in spatial else f"{place / 'models.py'}:{spatial}"
    told = ["rows", "--annotations", place / "rows.jsonl", "--videos", videos, "-o", place / "out", "-n", n, "-q",
            "--size-px", 32, "--spatial", model, *more]  # fmt: skip
    return [str(one) for one in told]


def label(place, *more, **settings):
    return CliRunner().invoke(labelling.command, arguments(place, *more, **settings), standalone_mode=False)


def write(place, *lines):
    (place / "rows.jsonl").write_bytes(b"".join(lines))


def line(**more):
    return json.dumps({**ROW, **more}).encode() + b"\n"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b'{"id": "b", "video": "x.mp4"}\n', "rows.jsonl:2: no field"),
        (b'{"id": "b", "video": "x.mp4", "question": 3}\n', "rows.jsonl:2: "),
        (b'{"id": "b", "video": "x.mp4", "question": "why?",}\n', "rows.jsonl:2: "),
        (b'{"id": "b", "video": "x.mp4", "ques', "rows.jsonl:2: "),
    ],
    ids=["missing-key", "wrong-type", "trailing-comma", "torn"],
)
def test_a_bad_row_is_told_by_its_line_and_the_good_ones_are_labelled(place, bad, reason):
    write(place, line(), bad)
    done = label(place)
    assert done.exit_code == 4
    assert reason in done.stderr
    assert [row["id"] for row in jobs.rows(place / "out")] == ["a"]


def test_a_line_of_a_hundred_megabytes_is_passed_over_by_its_number(place):
    write(place, line(), b'{"id": "b", "video": "x.mp4", "question": "', b"x" * 100_000_000, b'"}\n', line(id="c"))
    done = label(place)
    assert done.exit_code == 4
    assert "rows.jsonl:2: the line is longer than" in done.stderr
    assert len(done.stderr) < 2000
    assert [row["id"] for row in jobs.rows(place / "out")] == ["a", "c"]


def test_marks_of_windows_are_read_and_equal_ids_refused_unless_meant(place):
    write(place, b"\xef\xbb\xbf", line().replace(b"\n", b"\r\n"), line(question="again?"))
    done = label(place)
    assert isinstance(done.exception, DataError)
    assert (done.exception.code, done.exception.exit_code) == ("duplicate_id", 2)
    assert label(place, "--dedupe").exit_code == 0
    (row,) = jobs.rows(place / "out")
    assert row["question"] == "which?"


def test_replies_without_a_frame_are_kept_marked_and_counted(place):
    write(place, line(), line(id="b"))
    done = label(place, "--captions", f"{place / 'models.py'}:silent")
    assert done.exit_code == 0
    assert "2 replies list no frame" in done.stderr
    assert [(row["reply"], row["parse_ok"]) for row in jobs.rows(place / "out")] == [("", False)] * 2


def letters(body):
    tops = [{"token": "Y", "logprob": -0.2, "bytes": [89]}, {"token": "N", "logprob": -1.8, "bytes": [78]}]
    return completion("Y", logprobs={"content": [{**tops[0], "top_logprobs": tops}]})


def test_a_server_that_asks_to_wait_is_waited_for(place):
    write(place, line())
    asked = []

    def reply(body):
        asked.append(time.monotonic())
        return Response(429, b"{}", {"Retry-After": "1"}) if len(asked) == 1 else letters(body)

    with serve(reply) as base_url:
        assert label(place, spatial=f"{base_url}#tiny").exit_code == 0
    assert len(asked) == 3
    assert asked[1] - asked[0] >= 1
    (row,) = jobs.rows(place / "out")
    share = np.exp(-0.2) / (np.exp(-0.2) + np.exp(-1.8))
    np.testing.assert_allclose(row["spatial"], [share] * 2, atol=1e-6)


def hurried(monkeypatch):
    limits = {"try_seconds": 0.5, "deadline_seconds": 2.0, "backoff_seconds": 0.05}
    monkeypatch.setattr(endpoint, "connect", partial(endpoint.connect, **limits))


@pytest.mark.parametrize(
    "trouble",
    [Response(500, b"{}"), Response(hang_seconds=60), Response(200, b'{"choices": [{"mess'), Response(dropped=True)],
    ids=["500", "hang", "half-json", "dropped"],
)
def test_a_server_that_stumbles_once_is_asked_again(place, monkeypatch, trouble):
    hurried(monkeypatch)
    write(place, line())
    asked = []

    def reply(body):
        asked.append(body)
        return trouble if len(asked) == 1 else letters(body)

    with serve(reply) as base_url:
        assert label(place, spatial=f"{base_url}#tiny").exit_code == 0
    assert len(asked) == 3
    (row,) = jobs.rows(place / "out")
    assert row["error"] is None
    assert len(row["spatial"]) == 2


def test_an_item_on_which_a_server_hangs_meets_its_deadline_alone(place, monkeypatch):
    hurried(monkeypatch)
    write(place, line(id="a", question="the slow one?"), line(id="b", question="the other?"))

    def reply(body):
        return Response(hang_seconds=60) if "the slow one?" in json.dumps(body) else letters(body)

    with serve(reply) as base_url:
        started = time.monotonic()
        assert label(place, spatial=f"{base_url}#tiny").exit_code == 4
        assert time.monotonic() - started < 30
        slow, other = sorted(jobs.rows(place / "out"), key=lambda row: row["id"])
        assert slow["error"]["code"] == "deadline"
        assert other["error"] is None
    with serve(letters, port=int(base_url.rpartition(":")[2].split("/")[0])):  # well again, at the same address
        assert label(place, "--retry-failed", spatial=f"{base_url}#tiny").exit_code == 0
    assert all(row["error"] is None for row in jobs.rows(place / "out"))


@pytest.mark.parametrize("status", [401, 404])
def test_a_server_that_refuses_for_good_is_not_asked_again(place, status):
    write(place, *(line(id=str(i)) for i in range(20)))
    with serve(lambda body: Response(status, b'{"error": {"message": "no"}}')) as base_url:
        done = label(place, spatial=f"{base_url}#tiny")
        assert isinstance(done.exception, ModelError)
        assert done.exception.exit_code == 5
        assert len(base_url.questions) == 1


def test_a_second_labeller_of_the_same_folder_is_told_who_holds_it(place):
    from videre.jobs.folder import locked

    write(place, line())
    with locked(place / "out"):
        done = label(place)
    assert isinstance(done.exception, ConfigError)
    assert done.exception.code == "locked"
    assert not (place / "asked").exists()


def test_a_clock_that_jumps_back_and_another_time_zone_change_nothing(place, monkeypatch):
    write(place, line(), line(id="b", question="the b?"))
    assert label(place).exit_code == 0
    asked, rows = (place / "asked").read_text(), list(jobs.rows(place / "out"))
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 400 * 86_400)
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    try:
        assert label(place).exit_code == 0
    finally:
        monkeypatch.undo()
        time.tzset()
    assert (place / "asked").read_text() == asked
    assert list(jobs.rows(place / "out")) == rows


def started(place, *more, slow, **settings):
    told = {**os.environ, "SLOW": str(slow)}
    command = [sys.executable, "-m", "videre", "label", *arguments(place, *more, **settings)]
    return subprocess.Popen(command, env=told, stderr=subprocess.PIPE, text=True)


def until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)


def lines_in(path):
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def test_killed_in_the_midst_of_twenty_videos_it_ends_as_one_that_was_not(place):
    videos = place / "videos"
    videos.mkdir()
    for i in range(20):
        (videos / f"{i:02d}.mp4").write_bytes(SAMPLE.read_bytes() + b"\0\0\0\x08free" * i)
    write(place, *(line(id=f"{i:02d}", video=f"{i:02d}.mp4", question=f"the {i}?") for i in range(20)))
    log = place / "out" / "answers.jsonl"
    running = started(place, slow=0.1, videos=videos)
    until(lambda: lines_in(log) >= 3)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    finished = [json.loads(row)["question"] for row in log.read_bytes().splitlines() if row.endswith(b"}")]
    assert 3 <= len(finished) < 20
    before = (place / "asked").read_text().splitlines()
    assert label(place, videos=videos).exit_code == 0
    after = (place / "asked").read_text().splitlines()[len(before) :]
    assert not [text for text in after for question in finished if text.endswith(question)]
    rows = {row["id"]: row for row in jobs.rows(place / "out")}
    place.joinpath("out").rename(place / "first")
    assert label(place, videos=videos).exit_code == 0
    whole = {row["id"]: row for row in jobs.rows(place / "out")}
    told = ("id", "key", "seconds", "spatial", "scores")
    assert {i: [row[name] for name in told] for i, row in rows.items()} == {
        i: [row[name] for name in told] for i, row in whole.items()
    }


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_keeps_what_it_has_and_says_how_to_go_on(place, number, code):
    write(place, *(line(id=str(i), question=f"the {i}?") for i in range(50)))
    running = started(place, slow=0.05)
    until(lambda: lines_in(place / "out" / "answers.jsonl") >= 1)
    running.send_signal(number)
    _, told = running.communicate(timeout=60)
    assert running.returncode == code, told
    assert 1 <= len(list(jobs.rows(place / "out"))) < 50
    assert "run the same" in told.lower()


def test_a_second_interrupt_ends_it_now(place):
    write(place, *(line(id=str(i), question=f"the {i}?") for i in range(3)))
    running = started(place, slow=60)
    until((place / "asked").is_file)
    running.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert running.poll() is None  # finishing what is in hand
    began = time.monotonic()
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=60)
    assert time.monotonic() - began < 4
    assert running.returncode == 130
    assert "Traceback" not in told


def test_select_is_interrupted_without_a_traceback(place):
    model = f"top-k:truth={place / 'models.py'}:noted,n=50,size_px=32"
    command = [sys.executable, "-m", "videre", "select", str(SAMPLE), "which?", "-s", model]
    running = subprocess.Popen(
        command, env={**os.environ, "SLOW": "0.5"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    until((place / "asked").is_file)
    running.send_signal(signal.SIGINT)
    shown, told = running.communicate(timeout=60)
    assert running.returncode == 130
    assert shown == ""
    assert "Traceback" not in told


@pytest.mark.parametrize(("status", "code"), [(401, 5), (404, 5)])
def test_select_tells_a_server_that_refuses(status, code):
    with serve(lambda body: Response(status, b'{"error": {"message": "no"}}')) as base_url:
        told = [str(SAMPLE), "which?", "-s", f"top-k:truth={base_url}#tiny,n=8"]
        done = CliRunner().invoke(selecting.command, told, standalone_mode=False)
        assert isinstance(done.exception, ModelError)
        assert done.exception.exit_code == code
        assert len(base_url.questions) == 1


def test_select_gives_its_frames_also_where_a_model_talks_junk(place):
    done = select(SAMPLE, "which?", "-k", 3, "-s", f"top-k:captions={place / 'models.py'}:silent,n=6", "--json")
    evidence = from_row(json.loads(done.stdout)).evidence
    assert len(evidence.seconds) == 3
    assert set(evidence.scores) == {0.0}


FORM = {
    "answer", "boxes", "confidence", "error", "frames", "id", "notes", "option", "parse_ok", "question", "ranking",
    "rationale", "record", "run", "scored", "spans", "steps", "usage", "video",
}  # fmt: skip


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    root = tmp_path_factory.mktemp("clips")
    for seed in range(3):
        world.write(world.make(seed, world.Config(seconds=2.0)), root / f"{seed}.mp4")
    return root, tiny_clip.build("clip", root / "model")


def select(*told):
    done = CliRunner().invoke(selecting.command, [str(one) for one in told], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


def test_three_videos_by_command_give_records_of_one_form_within_twenty_seconds(clips):
    root, clip = clips
    start, forms, name = time.process_time(), [], f"aks:clip={clip},n=8"
    for seed in range(3):
        for out in select(root / f"{seed}.mp4", "where?", "-k", 3, "-s", name, "--json").stdout.splitlines():
            row = json.loads(out)
            forms.append(set(row))
            assert [set(frame) for frame in row["frames"]] == [{"seconds", "score", "sha256"}] * 3
            assert [frame["seconds"] for frame in row["frames"]] == list(from_row(row).evidence.seconds)
            assert len(from_row(row).evidence.scored.scores) == 8
    assert time.process_time() - start < 20
    assert forms == [FORM] * 3


def test_a_damaged_file_of_the_cache_is_told_and_made_again(clips, tmp_path):
    root, clip = clips
    told = [root / "0.mp4", "where?", "-k", 2, "-s", f"nms:clip={clip},n=6,cache={tmp_path / 'cache'}", "--json"]
    first = select(*told)
    (kept,) = (tmp_path / "cache").glob("*.npz")
    kept.write_bytes(b"\x80\x04K\x01.")  # a pickle
    again = select(*told)
    assert "1 damaged files of the cache were set aside" in again.stderr
    before, after = (from_row(json.loads(done.stdout)).evidence for done in (first, again))
    assert before.seconds == after.seconds
    assert [evidence.steps[0].inputs["cached"] for evidence in (before, after)] == [False, False]
    assert from_row(json.loads(select(*told).stdout)).evidence.steps[0].inputs["cached"]


def test_a_reader_that_leaves_ends_it_quietly():
    command = f"{sys.executable} -m videre select {SAMPLE} 'where?' -k 60 --json -s uniform -s uniform:convention=ends"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command} | head -c 10"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
