"""Runs of many items: what is kept, what is skipped, what is refused, and how each ends."""

import io
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from videre import jobs
from videre.errors import ConfigError, DataError, ModelError, VideoError
from videre.record import from_row
from videre.types import Question

MANIFEST = {"model": {"id": "tiny", "revision": "1"}, "prompt": "p"}


def items(count: int, **inputs) -> list[jobs.Item]:
    return [
        jobs.Item(jobs.key(n=n, **inputs), f"item-{n}", n, f"{n}.mp4", Question(f"what is {n}?")) for n in range(count)
    ]


def double(item: jobs.Item) -> dict:
    return {"answer": item.payload * 2}


def run(folder: Path, count: int = 5, work=double, manifest=MANIFEST, **settings) -> jobs.Outcome:
    given = settings.pop("items", None) or items(count)
    return jobs.run(given, work, folder=folder, manifest=manifest, quiet=settings.pop("quiet", True), **settings)


def answers(folder: Path) -> dict:
    return {row["id"]: row.get("answer") for row in jobs.rows(folder)}


def refuse_to_work(item: jobs.Item) -> dict:
    raise AssertionError(f"worked on {item.id} again")


def test_one_row_an_item_and_a_second_run_works_on_none(tmp_path):
    first = run(tmp_path)
    assert (first.done, first.failed, first.skipped, first.left, first.exit_code) == (5, 0, 0, 0, 0)
    assert answers(tmp_path) == {f"item-{n}": 2 * n for n in range(5)}
    again = run(tmp_path, work=refuse_to_work)
    assert (again.done, again.skipped, again.exit_code) == (5, 5, 0)


def test_a_longer_list_works_on_what_is_new(tmp_path):
    run(tmp_path, 3)
    assert run(tmp_path, 5).skipped == 3
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == 5


def test_what_is_loaded_is_loaded_only_where_there_is_an_item_to_do(tmp_path):
    loads = []
    work = jobs.PerWorker(lambda: loads.append(1) or double)
    run(tmp_path, work=work)
    run(tmp_path, work=work)
    assert loads == [1]


def test_seven_percent_bad_items_are_rows_and_the_rest_is_answered(tmp_path):
    def work(item):
        if item.payload % 100 < 7:
            raise VideoError(f"{item.path} is empty", code="empty_file")
        return double(item)

    outcome = run(tmp_path, 1000, work=work)
    assert (outcome.done, outcome.failed, outcome.left, outcome.exit_code) == (930, 70, 0, 4)
    bad = [row for row in jobs.rows(tmp_path) if row.get("error")]
    assert len(bad) == 70
    assert {row["error"]["code"] for row in bad} == {"empty_file"}
    record = from_row(bad[0])
    assert (record.video["path"], record.question.text) == ("0.mp4", "what is 0?")
    again = run(tmp_path, 1000, work=refuse_to_work)
    assert (again.done, again.failed, again.exit_code) == (930, 70, 4)


def test_failed_rows_are_retried_by_choice_and_the_new_row_counts(tmp_path):
    run(tmp_path, work=lambda item: 1 / item.payload)
    rows = list(jobs.rows(tmp_path))
    assert rows[0]["error"]["code"] == "ZeroDivisionError"
    assert "test_jobs.py" in rows[0]["error"]["where"]
    assert run(tmp_path, work=refuse_to_work).failed == 5, "the others are no rows either: a number is not a row"
    outcome = run(tmp_path, retry_failed=True)
    assert (outcome.done, outcome.failed, outcome.skipped, outcome.exit_code) == (5, 0, 0, 0)
    assert sorted(answers(tmp_path).values()) == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("row", [{"answer": object()}, {"answer": b"bytes"}, None, []])
def test_what_is_no_row_is_an_error_row(tmp_path, row):
    assert run(tmp_path, 1, work=lambda item: row).failed == 1


def test_changed_inputs_are_refused_with_the_difference(tmp_path):
    run(tmp_path)
    changed = {"model": {"id": "tiny", "revision": "2"}, "selector": "uniform"}
    with pytest.raises(ConfigError) as refused:
        run(tmp_path, manifest=changed)
    assert (refused.value.code, refused.value.exit_code) == ("changed_inputs", 2)
    for part in ("model.revision was '1', now '2'", "prompt was 'p', now absent", "selector was absent, now 'uniform'"):
        assert part in str(refused.value)
    assert "model.id" not in str(refused.value)
    assert run(tmp_path, work=refuse_to_work).exit_code == 0, "the refused run changed nothing"


def test_forced_inputs_answer_only_what_changed(tmp_path):
    run(tmp_path)
    worked = []
    given = [*items(3), jobs.Item(jobs.key(n="other"), "item-3", 10), jobs.Item(jobs.key(n=9), "item-9", 9)]

    def work(item):
        worked.append(item.id)
        return double(item)

    outcome = run(tmp_path, items=given, manifest={"new": 1}, force=True, work=work)
    assert worked == ["item-3", "item-9"]
    assert (outcome.done, outcome.skipped) == (5, 3)
    assert answers(tmp_path)["item-3"] == 20, "the last row of an id counts"
    assert json.loads((tmp_path / "manifest-1.json").read_text()) == MANIFEST


def test_going_back_to_earlier_inputs_answers_again(tmp_path):
    run(tmp_path, 1)
    run(tmp_path, items=[jobs.Item(jobs.key(n="other"), "item-0", 7)])
    assert run(tmp_path, 1).skipped == 0
    assert answers(tmp_path) == {"item-0": 0}


def test_a_folder_of_something_else_is_refused(tmp_path):
    run(tmp_path)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(ConfigError, match="give another folder"):
        run(tmp_path)


def test_a_file_of_the_same_name_that_is_no_log_is_left_as_it_is(tmp_path):
    log = tmp_path / "answers.jsonl"
    log.write_text('{"precious": 1}\n{"torn": ')
    with pytest.raises(ConfigError, match="give another folder"):
        run(tmp_path)
    assert log.read_text() == '{"precious": 1}\n{"torn": '


def test_two_items_of_one_id_are_refused(tmp_path):
    with pytest.raises(DataError, match="'item-1'"):
        run(tmp_path, items=[*items(2), *items(2)[1:]])
    assert jobs.status(tmp_path)["state"] == "error"


def test_items_may_be_an_iterator(tmp_path):
    outcome = run(tmp_path, items=iter(items(7)))
    assert (outcome.done, outcome.left) == (7, 0)
    assert run(tmp_path / "b", items=iter(items(7)), total=7).left == 0


def test_new_folder_is_the_first_free_one(tmp_path):
    names = [jobs.new_folder(tmp_path / "run").name for _ in range(3)]
    assert names == ["run", "run-2", "run-3"]
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="choose a folder that you may write to"):
        jobs.new_folder(tmp_path / "file" / "run")


def test_stop_from_another_thread_finishes_the_item_in_hand(tmp_path):
    stop = jobs.Stop()
    outcome = run(tmp_path, work=lambda item: (item.payload == 2 and stop.request()) or double(item), stop=stop)
    assert (outcome.done, outcome.left, outcome.exit_code) == (3, 2, 130)
    assert jobs.status(tmp_path)["state"] == "interrupted"
    assert run(tmp_path).exit_code == 0


@pytest.mark.parametrize(("handler", "exit_code"), [(signal.default_int_handler, 130), (signal.SIG_IGN, 0)])
def test_an_ignored_interrupt_stays_ignored_and_the_handler_comes_back(tmp_path, handler, exit_code):
    def work(item):
        if item.payload == 1:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)
        return double(item)

    before = signal.signal(signal.SIGINT, handler)
    try:
        outcome = run(tmp_path, work=work)
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert (outcome.exit_code, outcome.done) == (exit_code, 2 if exit_code else 5)


def test_runs_outside_the_main_thread(tmp_path):
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(run(tmp_path)))
    thread.start()
    thread.join()
    assert outcomes[0].done == 5


def test_a_model_that_refuses_for_good_ends_the_run_at_once_without_a_row(tmp_path):
    def work(item):
        if item.payload == 2:
            raise ModelError("the server said 401", code="unauthorized")
        return double(item)

    with pytest.raises(ModelError, match="401"):
        run(tmp_path, work=work)
    assert len(answers(tmp_path)) == 2
    assert run(tmp_path).skipped == 2


def test_a_model_that_keeps_failing_ends_the_run(tmp_path):
    def work(item):
        raise ModelError("the server is busy", code="rate_limited")

    with pytest.raises(ModelError, match=r"20 of the last 20 .* busy"):
        run(tmp_path, 200, work=work)
    outcome = run(tmp_path, 200, retry_failed=True)
    assert (outcome.done, outcome.failed) == (200, 0)


@pytest.mark.parametrize("engine", [jobs.Local(), jobs.Threads(2)])
def test_work_that_exits_ends_the_run(tmp_path, engine):
    with pytest.raises(SystemExit):
        run(tmp_path, work=lambda item: sys.exit(3), engine=engine)


def test_bad_videos_never_end_the_run(tmp_path):
    def work(item):
        raise VideoError("empty")

    outcome = run(tmp_path, 150, work=work)
    assert (outcome.failed, outcome.exit_code) == (150, 4)


def test_status_and_lines_on_stderr(tmp_path, capfd):
    run(tmp_path, 100, quiet=False)
    out, err = capfd.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 20
    assert err.splitlines()[-1].startswith("100/100 items, 0 failed, ")
    status = jobs.status(tmp_path)
    assert (status["state"], status["done"], status["left"], status["total"]) == ("finished", 100, 0, 100)
    assert status["items_per_second"] > 0
    assert status["eta_seconds"] == 0


def test_status_of_a_run_at_work_and_of_one_that_was_killed(tmp_path):
    seen = []

    def work(item):
        path = tmp_path / "status.json"
        while not path.exists():
            pass
        seen.append(jobs.status(tmp_path)["state"])
        return double(item)

    run(tmp_path, 1, work=work)
    assert seen == ["running"]
    facts = json.loads((tmp_path / "status.json").read_text()) | {"state": "running"}
    (tmp_path / "status.json").write_text(json.dumps(facts))
    assert jobs.status(tmp_path)["state"] == "killed"


def hold(folder: str, connection) -> None:
    def work(item):
        connection.send("holding")
        connection.recv()
        return {"answer": 1}

    run(Path(folder), 1, work=work)


def test_a_second_process_on_one_folder_is_refused(tmp_path):
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=hold, args=(str(tmp_path), theirs))
    process.start()
    assert ours.recv() == "holding"
    with pytest.raises(ConfigError) as refused:
        run(tmp_path)
    assert (refused.value.code, refused.value.exit_code) == ("locked", 2)
    assert f"locked by pid {process.pid} on {os.uname().nodename} since 20" in str(refused.value)
    ours.send("go on")
    process.join()
    assert process.exitcode == 0
    assert run(tmp_path).skipped == 1
    process.close()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_of_the_work_that_lives_on_does_not_hold_the_folder(tmp_path):
    children = []

    def work(item):
        children.append(os.fork())
        if children[-1] == 0:
            time.sleep(60)
            os._exit(0)
        return double(item)

    run(tmp_path, 1, work=work)
    try:
        assert run(tmp_path, 2).done == 2
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def test_key_is_of_inputs_only():
    key = jobs.key(video="v", question=Question("why?", ("a", "b")), decoding={"seed": 0, "frames": 8})
    assert key == jobs.key(decoding={"frames": 8, "seed": 0}, question=Question("why?", ("a", "b")), video="v")
    assert key != jobs.key(video="v", question=Question("why?", ("a", "c")), decoding={"seed": 0, "frames": 8})
    assert len(key) == 64
    with pytest.raises(ValueError, match="JSON compliant"):
        jobs.key(x=float("nan"))
    with pytest.raises(TypeError, match="got PosixPath"):
        jobs.key(x=Path("a"))


def test_file_key_follows_the_bytes(tmp_path):
    path, copy = tmp_path / "a.mp4", tmp_path / "b.mp4"
    assert jobs.file_key(path).startswith("unreadable:FileNotFoundError")
    path.write_bytes(b"1")
    copy.write_bytes(b"1")
    assert jobs.file_key(path) == jobs.file_key(copy)
    assert jobs.file_key(path, cheap=True) != jobs.file_key(copy, cheap=True)
    before = jobs.file_key(path)
    path.write_bytes(b"22")
    assert jobs.file_key(path) != before
    os.mkfifo(tmp_path / "pipe")
    assert jobs.file_key(tmp_path / "pipe").startswith("not-a-file")
    assert jobs.file_key("a\0b").startswith("unreadable:ValueError")


def test_a_missing_video_is_answered_once_it_is_there(tmp_path):
    video = tmp_path / "v.mp4"

    def one() -> list[jobs.Item]:
        return [jobs.Item(jobs.key(video=jobs.file_key(video)), "v", str(video))]

    def work(item):
        return {"answer": Path(item.payload).read_text()}

    assert run(tmp_path / "run", items=one(), work=work).failed == 1
    video.write_text("here")
    assert run(tmp_path / "run", items=one(), work=work).done == 1
    assert answers(tmp_path / "run") == {"v": "here"}


@pytest.mark.parametrize("count", [1, 2])
def test_the_page_begins_with_something_that_runs(tmp_path, monkeypatch, capsys, count):
    page = (Path(__file__).parent.parent / "docs" / "jobs.md").read_text("utf-8")
    code = page.split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(tmp_path)
    for _ in range(count):
        exec(compile(code, "docs/jobs.md", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out.count("3 answered, 0 failed, 0 left") == count


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_on_a_terminal(tmp_path, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    run(tmp_path, 10, quiet=False, work=lambda item: {"answer": 1 / item.payload})
    assert "10/10" in terminal.getvalue()
    assert "failed=1" in terminal.getvalue()
    assert "items, " not in terminal.getvalue()


def test_an_item_that_fails_once_a_signal_came_is_done_again(tmp_path):
    def struck(item):
        if item.id == "item-1":
            os.kill(os.getpid(), signal.SIGTERM)
            raise DataError("the decoder crashed (SIGTERM)")
        return double(item)

    outcome = run(tmp_path, 3, work=struck)
    assert (outcome.exit_code, outcome.failed) == (143, 0)
    outcome = run(tmp_path, 3)
    assert (outcome.exit_code, outcome.done, outcome.failed) == (0, 3, 0)
