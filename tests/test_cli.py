"""The command line as a person meets it: what goes to stdout and stderr, exit codes, files, signals."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from loopback import serve
from videre import Answer, Question, errors
from videre.apps import asking
from videre.apps.catalog import COMMANDS
from videre.apps.cli import cli
from videre.data import world
from videre.record import Record, to_row

ROOT = Path(__file__).parent.parent
OTHERS = {"--help", "--force-reinstall", "--nproc-per-node", "--tasks", "--baseline"}
"""Options of pip, torchrun and lmms-eval, and the one that click gives every command."""
SLOW_MODEL = """
import time
from videre import Answer

class Slow:
    name = "slow"
    card = {"id": "slow"}

    def answer(self, frames, question):
        time.sleep(0.2)
        return Answer(question.text.upper())

def make():
    return Slow()

def broken():
    raise RuntimeError("out of luck")
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    """A user's own model in a file, so that the command line is tested without weights."""
    path = tmp_path_factory.mktemp("own") / "slow.py"
    path.write_text(SLOW_MODEL)
    return f"{path}:make"


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """A clip of two seconds, so that every frame of it is soon read."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    world.write(world.make(3, world.Config(seconds=2.0, size_px=64)), path)
    return path


def videre(*arguments: object, stdin: str = "", timeout: float = 120) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "videre", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)


def test_help_names_every_command_and_the_exit_codes():
    done = videre("--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in COMMANDS)
    assert "Exit codes" in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself(name):
    done = videre(name, "--help")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) > 5


def test_no_text_of_ours_names_an_option_that_no_command_has():
    known = OTHERS | _options(cli)
    texts = [path.read_text("utf-8") for path in (ROOT / "src" / "videre").rglob("*.py")]
    assert {name for text in texts for name in re.findall(r"(?<![\w-])--[a-z][a-z-]+[a-z]", text)} <= known


def _options(command: click.Command) -> set[str]:
    found = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found |= _options(command.get_command(context, name))
    return found


def test_the_page_on_ask_names_every_option_field_and_exit_code():
    page = (ROOT / "docs" / "ask.md").read_text("utf-8")
    options = {name for each in asking.command.params for name in each.opts if name.startswith("-")}
    row = to_row(Record("a", {}, Question("why?"), Answer("so")))
    codes = {value for name, value in vars(errors).items() if name.isupper() and isinstance(value, int)}
    assert not [name for name in [*options - {"-h", "--help"}, *row] if f"`{name}`" not in page]
    assert not [code for code in codes if f"| {code} |" not in page and f"{code}" not in "130, 143"]


def test_a_server_is_asked_several_questions_at_once_and_answers_stand_in_order(tmp_path, clip):
    busy, most = [], []

    def reply(_body):
        busy.append(1)
        most.append(len(busy))
        time.sleep(0.3)
        busy.pop()
        return "yes"

    rows = [json.dumps({"video": str(clip), "question": f"{n}?", "id": f"q{n}"}) for n in range(6)]
    with serve(reply) as url:
        asked = ["ask", "-", "-m", f"{url}#tiny", "-o", tmp_path / "run", "-f", "", "--json", "--at-once", 3, "-q"]
        done = videre(*asked, stdin="\n".join(rows))
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [f"q{n}" for n in range(6)]
    assert 2 <= max(most) <= 3


def test_an_answer_with_its_evidence(model, clip):
    done = videre("ask", clip, "what moves?", "-m", model, "-k", 4)
    assert done.returncode == 0, done.stderr
    assert "WHAT MOVES?" in done.stdout
    assert "seen    4 frames at 00:0" in done.stdout


def test_json_is_one_record_a_line_and_nothing_else(model, clip):
    done = videre("ask", clip, "what?", "-m", model, "--json")
    row = json.loads(done.stdout)
    assert row["answer"] == "WHAT?"
    assert len(row["frames"]) == 8
    assert len(row["run"]["frames_sha256"]) == 8
    assert row["run"]["selector"].startswith("uniform")


def test_one_bad_video_fails_alone_and_in_a_batch_the_rest_goes_on(model, tmp_path, clip):
    empty = tmp_path / "empty.mp4"
    empty.touch()
    alone = videre("ask", empty, "what?", "-m", model)
    assert alone.returncode == 3
    assert f"{empty}: file is empty (0 bytes)" in alone.stderr
    batch = videre("ask", empty, clip, "what?", "-m", model, "--json")
    rows = [json.loads(line) for line in batch.stdout.splitlines()]
    assert batch.returncode == 4
    assert [bool(row["error"]) for row in rows] == [True, False]
    assert rows[0]["error"]["exit_code"] == 3


def test_a_refusal_has_its_own_code(model):
    done = videre("ask", "http://127.0.0.1:9/x.mp4", "what?", "-m", model)
    assert done.returncode == 7, done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["ask"], 2, "Missing argument"),
        (["ask", "a.mp4"], 2, "give a video and a question"),
        (["ask", "a.mp4", ""], 2, "question is empty"),
        (["ask", "a.mp4", "why?", "-k", "0"], 2, "-k"),
        (["ask", "a.mp4", "why?", "--select", "unifrom"], 2, "did you mean 'uniform'"),
        (["ask", "a.mp4", "why?", "-f", "pdf"], 2, "no format 'pdf'"),
        (["ask", "a.mp4", "why?", "-m", "http://127.0.0.1:9/v1"], 2, "name the server's model"),
        (["ask", "a.mp4", "why?", "-m", "./no-such-folder/"], 5, "no-such-folder"),
        (["ask", "a.mp4", "why?", "--select", "uniform:kk=3"], 2, "no setting 'kk'; did you mean 'k'?"),
        (["ask", "-", "-O", "a", "-O", "b"], 2, "leave -O out"),
        (["ask", "a.mp4", __file__], 2, "the question comes last"),
        (["ask", "a.mp4", "why?", "-m", "./no-such"], 5, "no such model folder: ./no-such"),
        (["ask", "a.mp4", "why?", "--device", "tpu3"], 2, "model 'builtin': device is auto, cpu, cuda"),
        (["ask", "a.mp4", "why?", "--dtype", "int8"], 2, "'int8' is not one of 'auto', 'float32'"),
        (["ground", "a.mp4", " ", "--encoder", "x"], 2, "the question is empty"),
        (["stream", "a.mp4", " ", "-m", "builtin"], 2, "the question is empty"),
        (["label", "world", "-o", "x"], 2, "name a model that makes labels: --spatial MODEL"),
        (["world", "-o", "/proc/none/x"], 2, "/proc/none: No such file or directory; name another place"),
        (["repot"], 2, "No such command 'repot'. Did you mean 'report'?"),
        (["report", __file__], 2, "line 1: not JSON; expected a line that `videre ask --json` wrote"),
        (["world", "stories", "--seconds", "20", "--events", "3"], 2, "need 20.4 s, got 20 s"),
        (["report", "gone.jsonl"], 3, "gone.jsonl"),
        (["select", "a.mp4", "why?", "--sheet", "sheet.xyz"], 2, "end its name with .png"),
    ],
)
def test_what_cannot_work_is_said_in_words(arguments, code, reason):
    done = videre(*arguments)
    assert done.returncode == code, done.stderr
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_bug_of_ours_or_theirs_shows_its_traceback(model, clip):
    done = videre("ask", clip, "why?", "-m", model.replace(":make", ":broken"))
    assert done.returncode == 1
    assert "out of luck" in done.stderr
    assert "please report" in done.stderr


def test_rows_from_standard_input(model, clip):
    rows = [
        json.dumps({"id": "q1", "video": str(clip), "question": "which?", "options": ["which?", "no"]}),
        "{broken",
        json.dumps({"id": "q3", "video": "gone.mp4", "question": "where?"}),
    ]
    done = videre("ask", "-", "-m", model, "--json", stdin="\n".join(rows))
    first, second, third = (json.loads(line) for line in done.stdout.splitlines())
    assert done.returncode == 4
    assert (first["id"], first["answer"]) == ("q1", "WHICH?")
    assert "line 2" in second["error"]["message"]
    assert third["error"]["exit_code"] == 3


def test_a_folder_holds_log_records_page_and_cues_and_a_second_run_decodes_nothing(model, tmp_path, clip):
    arguments = ["ask", clip, "what?", "-m", model, "-o", tmp_path / "run", "-f", "jsonl,html,vtt,srt,csv"]
    first = videre(*arguments)
    assert first.returncode == 0, first.stderr
    written = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"evidence.jsonl", "report.html", "spans.vtt", "spans.srt", "answers.csv"} <= written
    assert "report.html" in first.stdout
    assert "data:image/jpeg" in (tmp_path / "run" / "report.html").read_text()
    log = (tmp_path / "run" / "answers.jsonl").read_bytes()
    again = videre(*arguments)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "run" / "answers.jsonl").read_bytes() == log
    changed = videre(*arguments, "-k", 3)
    assert changed.returncode == 2
    assert "frames" in changed.stderr


def test_a_folder_keeps_the_answer_to_its_question(model, tmp_path, clip):
    out = tmp_path / "run"
    assert videre("ask", clip, "first?", "-m", model, "-o", out, "-f", "").returncode == 0
    other = videre("ask", clip, "second?", "-m", model, "-o", out, "-f", "")
    assert other.returncode == 2
    assert "another question under clip.mp4" in other.stderr
    assert "FIRST?" in videre("ask", clip, "first?", "-m", model, "-o", out, "-f", "").stdout
    forced = videre("ask", clip, "first?", "-m", model, "-o", out, "-f", "", "-k", 3, "--force")
    assert "seen    3 frames" in forced.stdout, forced.stderr


def test_names_from_strangers_are_shown_and_written_and_never_obeyed(model, tmp_path, clip):
    odd = tmp_path / "red\x1b[31m\nline.mp4"
    odd.write_bytes(clip.read_bytes())
    row = json.dumps({"video": str(odd), "question": "lone \ud800?", "id": "\ud800 =1+1"})
    done = videre("ask", "-", "-m", model, "-o", tmp_path / "run", "-f", "jsonl,html,vtt,srt,csv", stdin=row)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("\\ud800 =1+1  lone \\ud800?")
    alone = videre("ask", odd, "what?", "-m", model)
    assert "red\\x1b[31m\\nline.mp4  what?" in alone.stdout


def test_an_answer_in_the_words_of_its_option_is_told_once(model, clip):
    done = videre("ask", clip, "what?", "-O", "What?", "-O", "no", "-m", model)
    assert "answer  WHAT?\n" in done.stdout


def test_select_tells_the_times_of_frames_and_reads_beside_itself(clip):
    done = videre("select", clip, "what?", "-s", "uniform:convention=ends", "-k", 4, "--json")
    row = json.loads(done.stdout)
    times = [frame["seconds"] for frame in row["frames"]]
    assert times == [0.0, 0.6, 1.3, 1.9]  # ten frames a second: the moments are 0, 2/3, 4/3 and 2
    assert row["video"]["isolated"] is True


def test_track_is_chosen(model, tmp_path, clip):
    done = videre("ask", clip, "what?", "-m", model, "--track", 1)
    assert done.returncode == 2
    assert "no video track 1; choose one of 0..0" in done.stderr


def test_report_reads_what_ask_printed(model, tmp_path, clip):
    asked = videre("ask", clip, "<b>what?</b>", "-m", model, "--json")
    done = videre("report", "-", "-o", tmp_path / "page.html", stdin=asked.stdout)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "&lt;b&gt;what?&lt;/b&gt;" in page
    assert "<b>what?</b>" not in page


def test_dry_run_loads_no_model(tiny_checkpoint, clip):
    done = videre("ask", clip, "why?", "--dry-run", "--json", "-m", tiny_checkpoint("qwen3_vl"))
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["frames"] == 8
    assert plan["frames_bytes"] == 8 * 3 * plan["width_px"] * plan["height_px"]
    assert plan["weights_bytes"] > 0


def test_dry_run_without_videos_fails(tmp_path):
    assert videre("ask", tmp_path / "gone.mp4", "why?", "--dry-run").returncode == 3


def test_a_closed_pipe_is_quiet(model, clip):
    command = f"{sys.executable} -m videre ask {clip} {clip} {clip} what -m {model} --json"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | head -c 10"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_keeps_what_is_done_and_goes_on(model, tmp_path, number, code, clip):
    rows = "\n".join(json.dumps({"video": str(clip), "question": f"number {i}?"}) for i in range(12))
    command = [sys.executable, "-m", "videre", "ask", "-", "-m", model, "-o", str(tmp_path / "run"), "--json"]
    log = tmp_path / "run" / "answers.jsonl"
    with (tmp_path / "rows").open("w+") as asked, (tmp_path / "said").open("w+") as said:
        asked.write(rows)
        asked.seek(0)
        with subprocess.Popen(command, stdin=asked, stdout=subprocess.DEVNULL, stderr=said) as process:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and not (log.exists() and log.read_bytes().count(b"\n") >= 2):
                time.sleep(0.05)
            os.kill(process.pid, number)
            ended = process.wait(60)
        said.seek(0)
        assert ended == code, said.read()
    kept = log.read_bytes().count(b"\n")
    assert 2 <= kept < 12
    again = videre(*command[3:], stdin=rows)
    assert again.returncode == 0, again.stderr
    assert len(again.stdout.splitlines()) == 12
    assert log.read_bytes().count(b"\n") == 12


def test_world_writes_the_same_bytes_for_a_seed(tmp_path):
    for name in "ab":
        done = videre("world", "-n", 1, "--seed", 5, "--seconds", 2, "-o", tmp_path / name)
        assert done.returncode == 0, done.stderr
    first, second = (sorted((tmp_path / name).iterdir()) for name in "ab")
    assert [p.suffix for p in first] == [".mp4", ".png", ".jsonl"] or len(first) == 3
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_doctor_says_what_works():
    done = videre("doctor", "--json")
    findings = {row["name"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 0, done.stdout
    assert findings["decode"]["ok"] is True
    assert "PyAV" in findings["reader"]["detail"]
    assert findings["built-in model"]["ok"] is True


def test_a_wish_to_end_is_answered_before_anything_listens_for_it(tmp_path, clip):
    own = tmp_path / "slow.py"
    own.write_text("import time\ndef slow():\n    print('loading', flush=True)\n    time.sleep(60)\n")
    command = [sys.executable, "-m", "videre", "ask", str(clip), "What?", "-m", f"{own}:slow"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "loading\n"
        process.terminate()
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (143, "videre: terminated\n")
