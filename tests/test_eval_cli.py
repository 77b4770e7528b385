"""`videre eval` as a person meets it: tables, partial sets, judges, exit codes, resume, and `eval diff`."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from loopback import serve
from videre.apps.benchmarks import WORLD_CLIPS, world_samples
from videre.apps.catalog import BENCHMARKS
from videre.apps.cli import cli
from videre.data import world
from videre.errors import VidereError

OWN = """
import os, time
from videre import Answer, Evidence, Span
from videre.types import ScoreLine
from videre.errors import ModelError
from videre.models.fake import FakeMLLM

class Own:
    name, card = "own", {"id": "own", "transformers": "5.23.0"}

    def answer(self, frames, question):
        light = sum(int(c.pixels.astype("int64").sum()) for c in frames)
        time.sleep(float(os.environ.get("OWN_SECONDS", 0)))
        if not question.options:
            return Answer("1. wash cup\\n2. cut bread" if "next" in question.text else "dog")
        chosen = light % len(question.options)
        return Answer("ABCDEFG"[chosen], option=chosen)

class Unclear(Own):
    def answer(self, frames, question):
        return Answer("the first of them")

def own():
    return Own()

def unclear():
    return Unclear()

def gone():
    raise ModelError("the server is down", code="unreachable")

def judge():
    return FakeMLLM(lambda chunks, text: "A" if "Letter:" in text else "{'pred': 'yes', 'score': 4}", name="judge")

def early(video, question):
    line = ScoreLine((1.5, 0.5), (0.1, 0.9))
    return Evidence((0.5,), spans=(Span(0.0, 2.0),), scored=line)

def thirds(video, question):
    third = video.duration_seconds / 3
    return Evidence((third, 2 * third), spans=(Span(third, 2 * third),))
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A folder with the own model, four clips of two seconds and rows about five videos, one of them missing."""
    root = tmp_path_factory.mktemp("home")
    (root / "own.py").write_text(OWN)
    (root / "videos").mkdir()
    for seed in range(4):
        world.write(world.make(seed, world.Config(seconds=2.0, size_px=64)), root / "videos" / f"{seed}.mp4")
    rows = [
        {"id": f"{video}-{kind}", "video": f"{video}.mp4", "question": f"{kind}?", "kind": kind,
         "options": ["red", "blue", "green"], "answer": "red"}
        for video in range(5) for kind in ("what", "when")
    ]  # fmt: skip
    (root / "all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (root / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:8]))
    return root


def videre(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["eval", *map(str, arguments)])


def on(home: Path, *arguments: object, file: str = "rows.jsonl", name: str = "rows", model: str = "own") -> Result:
    where = ("--annotations", home / file, "--videos", home / "videos", "-m", f"{home / 'own.py'}:{model}", "-q")
    return videre(name, *where, *arguments)


def table(done: Result) -> dict:
    assert isinstance(done.exception, SystemExit | None), done.exception
    return json.loads(done.stdout)


def written(home: Path, name: str, value: object) -> Path:
    (home / name).write_text(value if isinstance(value, str) else json.dumps(value))
    return home / name


class TestTable:
    def test_every_number_has_its_neighbours(self, home, tmp_path):
        found = table(on(home, "-o", tmp_path, "--json"))
        assert found["counts"] == {
            "n_defined": 8,
            "n_missing": 0,
            "n_not_asked": 0,
            "n_scored": 8,
            "n_without_answer": 0,
            "n_failed": 0,
        }
        choice = found["choice"]
        assert choice["n_items"] == choice["n_scored"] == 8
        assert set(choice["kinds"]) == {"all", "what", "when"}
        assert choice["kinds"]["all"]["chance"] == pytest.approx(1 / 3)
        assert choice["kinds"]["all"]["blind"] is not None
        assert choice["constant"] == {"letter": "A", "accuracy": 1.0}
        low, high = choice["kinds"]["all"]["interval"]
        assert low <= choice["kinds"]["all"]["accuracy"] <= high

    def test_the_folder_says_how_to_get_it_again(self, home, tmp_path):
        on(home, "-o", tmp_path)
        card = json.loads((tmp_path / "run.json").read_text())
        assert card["settings"]["frames"] == 8
        assert card["model"]["id"] == "own"
        assert card["files"]["annotations"].startswith("sha256:")
        assert card["files"]["model"].startswith("sha256:")
        assert card["versions"]["av"]
        assert json.loads((tmp_path / "metrics.json").read_text())["choice"]["n_scored"] == 8
        row = json.loads((tmp_path / "answers.jsonl").read_text().splitlines()[0])
        assert row["run"]["frames_sha256"]
        assert row["run"]["model"]["id"] == "own"

    def test_the_text_says_scored_of_defined_and_limit(self, home, tmp_path):
        done = on(home, "-o", tmp_path, "--limit", 3)
        assert done.exit_code == 0
        assert "rows: 3 scored / 8 defined (5 beyond --limit)" in done.stdout
        assert "always A" in done.stdout

    def test_a_run_goes_to_a_folder_of_its_settings_by_itself(self, home, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for frames in (2, 3, 3):
            assert on(home, "-k", frames, "--limit", 1).exit_code == 0
        assert len(list((tmp_path / "runs").iterdir())) == 2


class TestSameTwice:
    def test_frame_hashes_answers_and_score_are_identical(self, home, tmp_path):
        first, second = (table(on(home, "-o", tmp_path / name, "--json")) for name in "ab")
        assert first["choice"] == second["choice"]
        rows = [[json.loads(r) for r in (tmp_path / n / "answers.jsonl").read_text().splitlines()] for n in "ab"]
        kept = [[(r["id"], r["answer"], r["run"]["frames_sha256"]) for r in some] for some in rows]
        assert kept[0] == kept[1]
        done = videre("diff", tmp_path / "a", tmp_path / "b", "--json")
        assert json.loads(done.stdout)["differ"] == {}
        assert json.loads(done.stdout)["settings"] == {}

    def test_a_transformers_model_says_the_same_twice(self, home, tmp_path, tiny_checkpoint):
        where = ("--annotations", home / "rows.jsonl", "--videos", home / "videos", "-m", tiny_checkpoint("smolvlm"))
        for name, frames in (("a", 4), ("b", 4), ("c", 2)):
            done = videre("rows", *where, "-q", "--limit", 2, "--no-blind", "-k", frames, "-o", tmp_path / name)
            assert done.exit_code == 0
        same = json.loads(videre("diff", tmp_path / "a", tmp_path / "b", "--json").stdout)
        assert (same["differ"], same["settings"]) == ({}, {})
        fewer = json.loads(videre("diff", tmp_path / "a", tmp_path / "c", "--json").stdout)
        assert fewer["settings"] == {"settings.frames": [4, 2]}
        assert fewer["differ"]["frames"]["values"] == [["4 a question", "2 a question", 2]]
        assert {"questions", "transformers", "model revision"} <= set(fewer["equal"])

    def test_a_second_run_in_the_folder_asks_nothing(self, home, tmp_path):
        on(home, "-o", tmp_path)
        log = (tmp_path / "answers.jsonl").read_bytes()
        assert on(home, "-o", tmp_path).exit_code == 0
        assert (tmp_path / "answers.jsonl").read_bytes() == log

    def test_diff_names_the_frame_count_and_nothing_else_as_cause(self, home, tmp_path):
        for name, frames in (("a", 4), ("b", 2)):
            on(home, "-o", tmp_path / name, "-k", frames)
        found = json.loads(videre("diff", tmp_path / "a", tmp_path / "b", "--json").stdout)
        assert found["settings"] == {"settings.frames": [4, 2]}
        assert set(found["differ"]) - {"answers", "options chosen"} == {"frames", "frame times", "selectors"}
        assert found["differ"]["frames"] == {"count": 8, "values": [["4 a question", "2 a question", 8]]}
        assert {"prompts", "questions", "transformers", "decoder", "video files"} <= set(found["equal"])
        text = videre("diff", tmp_path / "a", tmp_path / "b").stdout
        assert "settings.frames: 4 vs 2" in text
        assert "frames differ on 8 of 8: 4 a question vs 2 a question (8)" in text

    def test_other_settings_are_refused_in_the_same_folder(self, home, tmp_path):
        on(home, "-o", tmp_path, "-k", 2)
        done = on(home, "-o", tmp_path, "-k", 3)
        assert isinstance(done.exception, VidereError)
        assert "settings.frames was 2, now 3" in str(done.exception)
        assert on(home, "-o", tmp_path, "-k", 3, "--new-run").exit_code == 0
        assert tmp_path.with_name(f"{tmp_path.name}-2").is_dir()


class TestPartial:
    def test_missing_videos_leave_no_score(self, home, tmp_path):
        done = on(home, "-o", tmp_path, file="all.jsonl")
        assert done.exit_code == 4
        assert "rows: 8 scored / 10 defined (2 without their video)" in done.stdout
        assert "accuracy" not in done.stdout
        assert "--allow-partial" in done.stderr
        assert "choice" not in json.loads((tmp_path / "metrics.json").read_text())
        assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == 8

    def test_it_is_printed_on_demand_and_still_exits_with_4(self, home, tmp_path):
        done = on(home, "-o", tmp_path, "--allow-partial", file="all.jsonl")
        assert done.exit_code == 4
        assert "8 scored / 10 defined" in done.stdout
        assert "accuracy" in done.stdout

    def test_a_broken_video_counts_as_wrong(self, home, tmp_path):
        row = {"id": "x", "video": "bad.mp4", "question": "what?", "options": ["red", "blue"], "answer": "red"}
        (home / "videos" / "bad.mp4").write_bytes(b"nothing")
        lines = (home / "rows.jsonl").read_text() + json.dumps(row) + "\n"
        written(home, "broken.jsonl", lines)
        done = on(home, "-o", tmp_path, "--json", file="broken.jsonl")
        assert done.exit_code == 4
        assert (table(done)["counts"]["n_scored"], table(done)["counts"]["n_failed"]) == (9, 1)
        assert table(done)["choice"]["n_scored"] == 9


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["nextqua", "-m", "x"], 2, "did you mean 'nextqa'"),
        (["nextqa", "-m", "x"], 2, "needs --annotations"),
        (["nextgqa", "--annotations", "x"], 2, "needs --grounds"),
        (["rows", "--annotations", "gone.jsonl", "--videos", "."], 3, "gone.jsonl"),
        (["star", "--annotations", __file__, "--grounds", "x"], 2, "takes no --grounds"),
        (["world", "--annotations", "x"], 2, "generated here"),
    ],
)
def test_what_cannot_work_is_said_before_a_model_is_loaded(arguments, code, reason):
    done = videre(*arguments)
    assert isinstance(done.exception, VidereError)
    assert done.exception.exit_code == code
    assert reason in str(done.exception)


def test_no_video_at_all_is_no_input_and_a_gone_model_is_5(home, tmp_path):
    nowhere = on(home, "-o", tmp_path / "a", "--videos", tmp_path)
    assert nowhere.exception.exit_code == 3
    assert "such as 0.mp4; pass the folder that holds them as --videos" in str(nowhere.exception)
    gone = on(home, "-o", tmp_path / "b", model="gone")
    assert gone.exception.exit_code == 5


def test_a_judge_that_is_none_costs_no_answer(home, tmp_path):
    done = on(home, "-o", tmp_path, "--judge", f"{home / 'own.py'}:nobody")
    assert done.exception.exit_code == 2
    assert not (tmp_path / "answers.jsonl").exists()


def test_of_rows_with_one_id_the_first_is_kept_on_demand(home, tmp_path):
    written(home, "twice.jsonl", (home / "rows.jsonl").read_text() * 2)
    refused = on(home, "-o", tmp_path, file="twice.jsonl")
    assert "keep the first with --dedupe" in str(refused.exception)
    kept = on(home, "-o", tmp_path, "--json", "--dedupe", "--no-blind", file="twice.jsonl")
    assert table(kept)["counts"]["n_scored"] == 8


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_goes_on(home, tmp_path, number, code):
    where = ["--annotations", home / "rows.jsonl", "--videos", home / "videos", "-m", f"{home / 'own.py'}:own"]
    command = [sys.executable, "-m", "videre", "eval", "rows", *map(str, where), "-o", str(tmp_path), "--no-blind"]
    slow = {**os.environ, "OWN_SECONDS": "0.3"}
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, env=slow, start_new_session=True, **pipes)
    log = tmp_path / "answers.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (log.exists() and log.read_bytes().count(b"\n") >= 2):
        time.sleep(0.02)
    os.killpg(process.pid, number)  # as a terminal does: the decoder beside it is in no terminal
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert "run the same again" in errors
    assert 2 <= log.read_bytes().count(b"\n") < 8
    assert on(home, "-o", tmp_path, "--no-blind").exit_code == 0
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(rows) == 8
    assert not any(row["error"] for row in rows)


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_random_moments_it_ends_with_the_rows_of_a_quiet_run(home, tmp_path, kills):
    """The whole command with its decoders, killed and run again, on a log that a kill may tear."""
    where = ["--annotations", home / "rows.jsonl", "--videos", home / "videos", "-m", f"{home / 'own.py'}:own"]
    command = [sys.executable, "-m", "videre", "eval", "rows", *map(str, where), "-o", str(tmp_path / "killed"), "-q"]
    log, rng = tmp_path / "killed" / "answers.jsonl", random.Random(7)
    for _ in range(kills):
        process = subprocess.Popen(command, env={**os.environ, "OWN_SECONDS": "0.05"}, stdout=subprocess.DEVNULL)
        before, deadline = log.read_bytes().count(b"\n") if log.exists() else 0, time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if log.exists() and log.read_bytes().count(b"\n") > before:
                break
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.2))
        process.kill()
        process.wait()
    assert on(home, "-o", tmp_path / "killed").exit_code == 0
    assert on(home, "-o", tmp_path / "quiet").exit_code == 0

    def told(folder):
        rows = [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]
        assert len({row["id"] for row in rows}) == len(rows)
        return {row["id"]: (row["answer"], row["run"]["frames_sha256"]) for row in rows}

    assert told(tmp_path / "killed") == told(tmp_path / "quiet")


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=28k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a small disk cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_exit_6_and_the_same_command_finishes(home, small_disk):
    full = on(home, "-o", small_disk / "run", "--no-blind")
    assert getattr(full.exception, "exit_code", full.exit_code) == 6, full.output
    log = small_disk / "run" / "answers.jsonl"
    kept = [json.loads(line) for line in log.read_text().splitlines()]
    assert 0 < len(kept) < 8
    assert not (small_disk / "run" / "metrics.json").exists()
    subprocess.run(["mount", "-o", "remount,size=2m", str(small_disk)], check=True)
    assert on(home, "-o", small_disk / "run", "--no-blind").exit_code == 0
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert rows[: len(kept)] == kept
    assert len({row["id"] for row in rows}) == len(rows) == 8


def test_failed_questions_are_asked_again_on_request(home, tmp_path):
    videos = tmp_path / "videos"
    videos.mkdir()
    for clip in (home / "videos").iterdir():
        (videos / clip.name).write_bytes(b"" if clip.name == "0.mp4" else clip.read_bytes())
    out, own = tmp_path / "run", f"{home / 'own.py'}:own"
    command = ["rows", "--annotations", home / "rows.jsonl", "--videos", videos, "-m", own, "-q", "-o", out]
    assert videre(*command, "--no-blind").exit_code == 4
    log = out / "answers.jsonl"
    assert sum(json.loads(line)["error"] is not None for line in log.read_text().splitlines()) == 2
    again = videre(*command, "--no-blind", "--retry-failed", "--json")
    assert again.exit_code == 4
    assert len(log.read_text().splitlines()) == 10, "the two were asked again and failed again"
    assert table(again)["counts"]["n_failed"] == 2


def test_other_settings_in_one_folder_need_force(home, tmp_path):
    assert on(home, "-o", tmp_path, "--no-blind").exit_code == 0
    refused = on(home, "-o", tmp_path, "--no-blind", "-k", "4")
    assert refused.exception.exit_code == 2
    assert "settings.frames was 8, now 4" in str(refused.exception)
    forced = on(home, "-o", tmp_path, "--no-blind", "-k", "4", "--force")
    assert forced.exit_code == 0


class TestWorld:
    def test_grounding_is_printed_beside_blind_spans(self, home, tmp_path):
        own = f"{home / 'own.py'}"
        arguments = ["world-gqa", "-m", f"{own}:own", "-s", f"{own}:thirds", "--limit", 6, "-o", tmp_path, "-q"]
        found = table(videre(*arguments, "--json"))
        grounding = found["grounding"]
        middle = grounding["baselines"]["middle_third"]
        assert grounding["counts"]["n_missing"] == 0
        assert grounding["scores"]["mIoU"] == pytest.approx(middle["mIoU"], abs=1.0)
        assert grounding["scores"]["Acc@GQA"] <= 100 * found["choice"]["kinds"]["all"]["accuracy"]
        assert set(grounding["intervals"]) == set(grounding["scores"])
        text = videre(*arguments).stdout
        assert "6 of 6 have a predicted span" in text
        assert "whole_video" in text

    def test_a_selector_without_spans_is_told_in_words(self, home, tmp_path):
        done = videre("world-gqa", "-m", f"{home / 'own.py'}:own", "--limit", 3, "-o", tmp_path, "-q", "--no-blind")
        assert "the selector names no span: a question without a span counts as 0" in done.stdout

    def test_its_questions_are_held_out_and_grounded_ones_have_spans(self):
        samples = world_samples(grounded=True, clips=2)
        assert samples
        assert all(sample.spans and sample.option is not None for sample in samples)
        assert WORLD_CLIPS >= 50
        assert world.HELD_OUT_SEED > 1_000_000


class TestPublished:
    def test_nextgqa_by_kind_group_and_grounding(self, home, tmp_path):
        names = [
            "video",
            "frame_count",
            "width",
            "height",
            "question",
            "answer",
            "qid",
            "type",
            *(f"a{i}" for i in range(5)),
        ]
        rows = [
            [v, 20, 64, 64, f"why {v}?", "x0", "1", k, *(f"x{i}" for i in range(5))]
            for v, k in (("0", "CW"), ("1", "TN"))
        ]
        with (home / "val.csv").open("w", newline="") as file:
            csv.writer(file).writerows([names, *rows])
        truth = {v: {"duration": 2, "fps": 10.0, "location": {"1": [[0.5, 1.5]]}} for v in "01"}
        grounds = written(home, "gsub_val.json", truth)
        select = f"{home / 'own.py'}:thirds"
        done = on(home, "--grounds", grounds, "-s", select, "-o", tmp_path, "--json", file="val.csv", name="nextgqa")
        found = table(done)
        assert set(found["choice"]["groups"]) == {"C", "T"}
        assert found["grounding"]["scores"]["mIoU"] == pytest.approx(100 * 2 / 3, abs=0.1)
        assert {"CW", "TN", "C", "T", "Acc@QA"} <= set(found["grounding"]["answers"])

    def test_questions_without_a_public_answer_are_asked_and_not_scored(self, home, tmp_path):
        rows = [{"q_uid": str(i), "question": "why?", **{f"option {j}": f"x{j}" for j in range(5)}} for i in range(3)]
        written(home, "questions.json", rows)
        answers = written(home, "subset_answers.json", {"1": 2})
        done = on(home, "--answers", answers, "-o", tmp_path, file="questions.json", name="egoschema")
        assert "egoschema: 1 scored / 3 defined (2 asked, their answer is not public)" in done.stdout
        assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == 3

    def test_star_asks_about_the_clip_and_averages_its_kinds(self, home, tmp_path):
        rows = [
            {"question_id": f"{kind}_T1_{i}", "question": "which?", "answer": "b", "video_id": str(i), "start": 1.0,
             "end": 2.0, "choices": [{"choice_id": j, "choice": c} for j, c in enumerate("abcd")]}
            for i, kind in enumerate(("Interaction", "Sequence", "Prediction", "Feasibility"))
        ]  # fmt: skip
        written(home, "STAR_val.json", rows)
        found = table(on(home, "-o", tmp_path, "--json", file="STAR_val.json", name="star"))
        assert len(found["choice"]["kinds"]) == 5
        shown = [json.loads(row)["frames"] for row in (tmp_path / "answers.jsonl").read_text().splitlines()]
        assert all(1.0 <= frame["seconds"] <= 2.0 for frames in shown for frame in frames)
        told = ("--part", "sub", "--whole", "-o", tmp_path / "sub", "--json")
        found = table(on(home, *told, file="STAR_val.json", name="star"))
        assert set(found["choice"]["kinds"]) == {"all", "Interaction", "Sequence"}
        shown = [json.loads(row)["frames"] for row in (tmp_path / "sub" / "answers.jsonl").read_text().splitlines()]
        assert any(frame["seconds"] < 1.0 for frames in shown for frame in frames)

    def test_video_mme_by_length_task_and_official_rules(self, home, tmp_path):
        rows = [
            {"videoID": str(i), "duration": length, "question_id": f"q{i}", "task_type": "Counting Problem",
             "question": "how many?", "options": ["A. 1", "B. 2", "C. 3", "D. 4"], "answer": "C"}
            for i, length in enumerate(("short", "medium", "long"))
        ]  # fmt: skip
        written(home, "mme.json", rows)
        found = table(on(home, "-o", tmp_path, "--json", file="mme.json", name="video-mme"))
        assert set(found["choice"]["kinds"]) == {"all", "short", "medium", "long"}
        assert set(found["choice"]["groups"]) == {"Counting Problem"}
        accuracy = found["choice"]["kinds"]["all"]["accuracy"]
        assert found["choice"]["rules"]["videomme"]["accuracy"] == accuracy

    @pytest.mark.parametrize("task", ["multi-choice", "yes_no", "caption_matching"])
    def test_tempcompass_has_its_own_rule(self, home, tmp_path, task):
        asked = {
            "multi-choice": {"question": "What?\nA. red\nB. blue", "answer": "A. red"},
            "yes_no": {"question": "Is it?", "answer": "yes"},
            "caption_matching": {"question": "Which?\nCaption A: red\nCaption B: blue", "answer": "Caption A: red"},
        }[task]
        written(home, f"{task}.json", {str(v): {"action": [asked]} for v in range(3)})
        found = table(on(home, "-o", tmp_path, "--json", file=f"{task}.json", name="tempcompass"))
        rule = found["choice"]["rules"]["tempcompass"]
        assert rule["n_unparsed"] == (0 if task == "multi-choice" else 3)
        assert found["choice"]["n_scored"] == 3

    def test_open_questions_by_match_and_by_judge(self, home, tmp_path):
        rows = [{"video_id": v, "question": "what is it", "answer": a, "id": v} for v, a in ((0, "dog"), (1, "cat"))]
        for v in (0, 1):
            link = home / "videos" / f"vid{v}.mp4"
            link.exists() or link.write_bytes((home / "videos" / f"{v}.mp4").read_bytes())
        written(home, "msvd.json", rows)
        judge = ("--judge", f"{home / 'own.py'}:judge")
        done = on(home, "-o", tmp_path, "--json", *judge, file="msvd.json", name="msvd-qa")
        found = table(done)
        assert found["open"]["match"] == "first-word"
        assert found["open"]["kinds"]["all"]["accuracy"] == 0.5
        assert found["judge"]["qa"]["accuracy"]["accuracy"] == 1.0
        assert found["judge"]["qa"]["score"] == 4.0
        card = json.loads((tmp_path / "run.json").read_text())
        assert card["judge"]["qa"]["card"]["id"] == "judge"
        assert len(card["judge"]["qa"]["prompt_sha256"]) == 64
        raw = json.loads((tmp_path / "judge-qa" / "answers.jsonl").read_text().splitlines()[0])
        assert raw["reply"] == "{'pred': 'yes', 'score': 4}"
        text = on(home, "-o", tmp_path, *judge, file="msvd.json", name="msvd-qa").stdout
        assert "judge judge, prompt qa" in text

    def test_five_aspects_are_judged(self, home, tmp_path):
        generic = [{"Q": "what?", "A": "a dog", "video_name": "0"}]
        pairs = [{"Q1": "what?", "Q2": "which?", "A": "a dog", "video_name": "1"}]
        judge = ("--judge", f"{home / 'own.py'}:judge", "--json")
        for name, rows, aspects in (
            ("generic", generic, {"correctness", "detail", "context"}),
            ("temporal", generic, {"temporal"}),
            ("consistency", pairs, {"consistency"}),
        ):
            written(home, f"{name}_qa.json", rows)
            found = table(on(home, "-o", tmp_path / name, *judge, file=f"{name}_qa.json", name="video-chatgpt"))
            assert set(found["judge"]) == aspects
            assert all(row["score"] == 4.0 and row["n_items"] == 1 for row in found["judge"].values())

    def test_unclear_replies_are_read_by_the_judge(self, home, tmp_path):
        judge = ("--judge", f"{home / 'own.py'}:judge", "--json")
        found = table(on(home, "-o", tmp_path, *judge, model="unclear"))
        assert found["choice"]["n_unparsed"] == 8
        assert found["choice"]["kinds"]["all"]["accuracy"] == 0.0
        assert found["judge"]["option"]["accuracy"]["accuracy"] == 1.0

    def test_anticipation_in_words(self, home, tmp_path):
        names = ["narration_id", "participant_id", "video_id", "start_timestamp", "stop_timestamp", "narration",
                 "verb", "verb_class", "noun", "noun_class"]  # fmt: skip
        actions = (("cut bread", "cut", "bread"), ("open door", "open", "door"))
        times = ["00:00:01.50", "00:00:02.00"]
        rows = [[f"n{i}", "P01", str(i), *times, text, v, i, n, i] for i, (text, v, n) in enumerate(actions)]
        with (home / "epic.csv").open("w", newline="") as file:
            csv.writer(file).writerows([names, *rows])
        folder = home / "videos" / "P01" / "videos"
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(2):
            (folder / f"{i}.mp4").write_bytes((home / "videos" / f"{i}.mp4").read_bytes())
        found = table(on(home, "-o", tmp_path, "--json", file="epic.csv", name="epic-kitchens"))
        section = found["anticipation"]
        assert section["scores"]["action top-5"] == 50.0
        assert section["counts"]["n_verb_classes"] == 2
        assert section["scores"]["verb recall@5"] == section["scores"]["noun recall@5"] == 50.0
        assert section["baselines"]["most common five"]["action top-5"] == 100.0
        assert "grey frames" in section["baselines"]

    def test_captions_are_scored_or_say_what_is_missing(self, home, tmp_path):
        rows = {"0": {"image_id": "0", "caption": "a dog", "id": 0, "video": "0.mp4"}}
        written(home, "cap_val.json", rows)
        found = table(on(home, "-o", tmp_path, "--json", file="cap_val.json", name="msvd-captions"))
        assert found["captions"]["scores"] or "videre[captions]" in found["captions"]["notes"][0]

    def test_moments_are_scored_by_the_selectors_spans(self, home, tmp_path):
        row = {"qid": 1, "query": "it moves", "duration": 2, "vid": "0", "relevant_windows": [[0.0, 2.0]]}
        written(home, "charades.jsonl", json.dumps(row) + "\n")
        select = ("-s", f"{home / 'own.py'}:thirds")
        found = table(on(home, "-o", tmp_path, "--json", *select, file="charades.jsonl", name="charades-sta"))
        section = found["moments"]
        assert section["scores"]["mIoU"] == pytest.approx(100 / 3, abs=0.1)
        assert section["scores"]["R@1 IoU=0.3"] == 100.0
        assert section["baselines"]["whole_video"]["mIoU"] == 100.0

    def test_qvhighlights_under_its_official_keys(self, home, tmp_path):
        row = {"qid": 1, "query": "it moves", "duration": 8, "vid": "0", "relevant_windows": [[0, 2]]}
        row |= {"relevant_clip_ids": [0], "saliency_scores": [[4, 4, 2]]}
        written(home, "qv.jsonl", json.dumps(row) + "\n")
        found = table(
            on(home, "-o", tmp_path, "--json", "-s", f"{home / 'own.py'}:early", file="qv.jsonl", name="qvhighlights")
        )
        scores = found["moments"]["scores"]
        assert (scores["MR-full-R1@0.5"], scores["MR-full-mAP"], scores["HL-min-Good-Hit1"]) == (100.0, 100.0, 100.0)
        assert scores.keys() == found["moments"]["intervals"].keys()
        assert found["moments"]["baselines"].keys() == {"whole_video", "middle_third", "level_saliency"}
        assert found["headline"]["name"] == "MR-full-mAP"


def test_every_benchmark_of_the_catalogue_can_be_loaded():
    from videre.apps import naming

    for name, entry in BENCHMARKS.items():
        loaded = naming.benchmark(name)
        assert ("reader" in entry) == (not name.startswith("world"))
        assert all(callable(loaded[key]) for key in ("reader", "groups") if key in loaded)


class TestServer:
    """A server is asked several questions at once, and what comes back is what one at a time would give."""

    def asked(self, home, folder, at_once):
        """The answers, and the most requests that were under way together."""
        busy, most, lock = [0], [0], threading.Lock()

        def reply(body):
            with lock:
                busy[0] += 1
                most[0] = max(most[0], busy[0])
            time.sleep(0.15)
            with lock:
                busy[0] -= 1
            return "B"

        with serve(reply) as base_url:
            name = ("--annotations", home / "rows.jsonl", "--videos", home / "videos", "-m", f"{base_url}#tiny")
            done = videre("rows", *name, "-o", folder, "--at-once", at_once, "--no-blind", "-q", "--json")
        assert table(done)["counts"]["n_failed"] == 0
        rows = [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]
        return {row["id"]: (row["answer"], row["run"]["frames_sha256"]) for row in rows}, most[0]

    def test_at_once(self, home, tmp_path):
        together, most = self.asked(home, tmp_path / "together", 4)
        alone, one = self.asked(home, tmp_path / "alone", 1)
        assert together == alone
        assert len(alone) == 8
        assert one == 1
        assert 2 <= most <= 4
