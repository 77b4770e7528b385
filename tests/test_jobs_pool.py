"""Work in other processes: the same rows, and a process that dies or hangs costs one item."""

import functools
import os
import signal
import time
from pathlib import Path

import pytest

from videre import jobs
from videre.errors import ModelError, VideoError


def items(count: int, what: dict | None = None) -> list[jobs.Item]:
    return [jobs.Item(jobs.key(n=n), f"i{n}", (what or {}).get(n, n), f"{n}.mp4") for n in range(count)]


def work(item: jobs.Item) -> dict:
    match item.payload:
        case "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "oom":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(3)
        case "sys.exit":
            raise SystemExit(5)
        case "hang":
            time.sleep(600)
        case "bad":
            raise VideoError("no picture in it", code="no_picture")
        case "401":
            raise ModelError("the server said 401", code="unauthorized")
        case "fork":  # a child of the work keeps the pipe to the parent open
            if os.fork() == 0:
                time.sleep(3)
                os._exit(0)
            os._exit(4)
    return {"answer": item.payload, "pid": os.getpid()}


def load(folder: Path, error: str = "") -> jobs.Work:
    (folder / f"loaded-{os.getpid()}").touch()
    if error == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if error == "model":
        raise ModelError("no such model", code="no_model")
    if error:
        raise ImportError(error)
    return work


def run(folder: Path, given: list[jobs.Item], what=work, workers: int = 2, **settings) -> jobs.Outcome:
    engine = jobs.Local(workers=workers, **settings)
    return jobs.run(given, what, folder=folder / "run", manifest={}, engine=engine, quiet=True)


def rows(folder: Path) -> dict[str, dict]:
    return {row["id"]: row for row in jobs.rows(folder / "run")}


def test_many_processes_give_the_rows_of_one(tmp_path):
    outcome = run(tmp_path, items(50), jobs.PerWorker(functools.partial(load, tmp_path)))
    assert (outcome.done, outcome.exit_code) == (50, 0)
    found = rows(tmp_path)
    assert {id: row["answer"] for id, row in found.items()} == {f"i{n}": n for n in range(50)}
    assert len({row["pid"] for row in found.values()} | {os.getpid()}) == 3
    assert len(list(tmp_path.glob("loaded-*"))) == 2, "loaded once in each process"
    again = run(tmp_path, items(50), jobs.PerWorker(functools.partial(load, tmp_path)))
    assert again.skipped == 50
    assert len(list(tmp_path.glob("loaded-*"))) == 2, "nothing to do loads nothing"


def test_a_run_begun_by_one_engine_is_finished_by_another(tmp_path):
    run(tmp_path, items(3), workers=0)
    assert run(tmp_path, items(6)).skipped == 3
    assert run(tmp_path, items(6), workers=0).skipped == 6


def test_a_process_that_dies_is_a_row_and_is_replaced(tmp_path):
    given = items(12, {1: "segfault", 3: "oom", 5: "exit", 7: "bad", 8: "sys.exit", 9: "fork"})
    outcome = run(tmp_path, given)
    assert (outcome.done, outcome.failed, outcome.left, outcome.exit_code) == (6, 6, 0, 4)
    errors = {id: row["error"] for id, row in rows(tmp_path).items() if row.get("error")}
    assert {id: error["code"] for id, error in errors.items()} == {
        "i1": "worker_died", "i3": "worker_died", "i5": "worker_died", "i7": "no_picture", "i8": "worker_died",
        "i9": "worker_died",
    }  # fmt: skip
    assert "SIGSEGV" in errors["i1"]["message"]
    assert "SIGKILL, often a lack of memory" in errors["i3"]["message"]
    assert "exit status 3" in errors["i5"]["message"]


def test_one_process_may_be_isolated_and_an_item_that_hangs_is_ended(tmp_path):
    begun = time.monotonic()
    outcome = run(tmp_path, items(3, {1: "hang"}), workers=1, limit_seconds=0.5)
    assert time.monotonic() - begun < 10
    assert (outcome.done, outcome.failed) == (2, 1)
    assert rows(tmp_path)["i1"]["error"]["code"] == "timeout"
    assert rows(tmp_path)["i0"]["pid"] != os.getpid()


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        ("model", ModelError, "no such model"),
        ("die", ModelError, "died while it loaded the work"),
        ("boom", RuntimeError, "ImportError: boom"),
    ],
)
def test_work_that_cannot_be_loaded_ends_the_run_without_a_row(tmp_path, error, kind, words):
    with pytest.raises(kind, match=words):
        run(tmp_path, items(5), jobs.PerWorker(functools.partial(load, tmp_path, error)))
    assert rows(tmp_path) == {}
    assert run(tmp_path, items(5)).done == 5


def test_a_refused_key_in_a_process_ends_the_run(tmp_path):
    with pytest.raises(ModelError, match="401") as refused:
        run(tmp_path, items(30, {4: "401"}))
    assert refused.value.code == "unauthorized"
    assert "i4" not in rows(tmp_path)


def test_work_that_cannot_travel_is_refused(tmp_path):
    with pytest.raises(TypeError, match="top level of a module"):
        run(tmp_path, items(2), lambda item: {})


def test_items_are_taken_only_when_they_can_begin(tmp_path):
    taken = []

    def endless():
        for item in items(10_000):
            taken.append(item.id)
            if len(taken) == 20:
                stop.request()
            yield item

    stop = jobs.Stop()
    outcome = jobs.run(
        endless(), work, folder=tmp_path, manifest={}, engine=jobs.Local(workers=2), quiet=True, stop=stop
    )
    assert (len(taken), outcome.done, outcome.exit_code) == (20, 20, 130)
    assert outcome.left is None


@pytest.mark.parametrize("settings", [{"workers": -1}, {"limit_seconds": 0.0}])
def test_settings_of_the_engine_are_checked(settings):
    with pytest.raises(ValueError, match="workers >= 0"):
        jobs.Local(**settings)
