"""The log of a run on disks that fill up, are cut off and flip bytes."""

import errno
import json
import os
import random
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from videre import jobs
from videre.errors import ConfigError, DataError
from videre.jobs.log import Log, seal, unseal

TESTS = Path(__file__).parent


@pytest.fixture
def no_fsync(monkeypatch):
    """For tests that open a log a thousand times."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)


def fill(folder: Path, count: int) -> bytes:
    """A log of some rows; its bytes."""
    folder.mkdir(exist_ok=True)
    log = Log(folder)
    for n in range(count):
        line = seal({"key": f"k{n}", "id": f"i{n}", "answer": "x" * (n % 7), "error": None})
        log.append(line, key=f"k{n}", id=f"i{n}", failed=False)
    log.close()
    return (folder / "answers.jsonl").read_bytes()


def known(folder: Path, count: int) -> list[int]:
    """Opens the log, and tells which rows it knows."""
    log = Log(folder)
    found = [n for n in range(count) if log.give(f"k{n}", f"i{n}") == "done"]
    log.close()
    return found


def test_a_sealed_row_comes_back_and_no_other():
    line = seal({"key": "k", "id": "é\ud800", "answer": "a\nb", "x": float("inf")})
    assert line.count(b"\n") == 1
    assert unseal(line) == {"key": "k", "id": "é\ud800", "answer": "a\nb", "x": None}
    assert unseal(line[:-1]) == unseal(line)
    assert unseal(b"") is unseal(b"\n") is unseal(b'{"key": "k", "id": "i"}\n') is None


def test_an_item_that_was_handed_out_is_no_row_yet(tmp_path):
    fill(tmp_path, 2)
    log = Log(tmp_path)
    assert log.give("k9", "i9") is None
    assert len(log) == 2
    log.close()


def test_every_flipped_byte_of_a_line_is_found():
    line = seal({"key": "k", "id": "i", "answer": "yes", "error": None})
    for place in range(len(line) - 1):
        for bit in range(8):
            flipped = bytearray(line)
            flipped[place] ^= 1 << bit
            assert unseal(bytes(flipped)) is None, place


@pytest.mark.usefixtures("no_fsync")
def test_a_log_cut_at_any_byte_keeps_every_whole_row(tmp_path):
    """What a power cut leaves of an append-only file is a prefix of it."""
    whole = fill(tmp_path, 6)
    path = tmp_path / "answers.jsonl"
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        left = whole[:length].count(b"\n")
        left += length < len(whole) and whole[length : length + 1] == b"\n"  # only the line end is missing
        assert known(tmp_path, 6) == list(range(left)), length
        assert [row["id"] for row in jobs.rows(tmp_path)] == [f"i{n}" for n in range(left)]
        assert path.read_bytes() == b"".join(whole.splitlines(keepends=True)[:left])


def test_zeros_at_the_end_are_cut_off(tmp_path):
    whole = fill(tmp_path, 3)
    (tmp_path / "answers.jsonl").write_bytes(whole + b"\0" * 4096)
    log = Log(tmp_path)
    log.close()
    assert log.trimmed_bytes == 4096
    assert (tmp_path / "answers.jsonl").read_bytes() == whole


@pytest.mark.usefixtures("no_fsync")
def test_a_flipped_byte_loses_its_row_alone(tmp_path):
    count, rng = 20, random.Random(0)
    whole = fill(tmp_path, count)
    path = tmp_path / "answers.jsonl"
    for _ in range(200):
        place, bit = rng.randrange(len(whole)), rng.randrange(8)
        flipped = bytearray(whole)
        flipped[place] ^= 1 << bit
        path.write_bytes(flipped)
        row = whole[:place].count(b"\n")
        lost = {row, row + 1} if whole[place : place + 1] == b"\n" else {row}  # two lines have become one
        assert known(tmp_path, count) == [n for n in range(count) if n not in lost]
        list(jobs.rows(tmp_path))  # readable again


def test_damaged_lines_are_moved_aside_counted_and_answered_again(tmp_path, capfd):
    items = [jobs.Item(jobs.key(n=n), f"i{n}", n) for n in range(10)]

    def run():
        return jobs.run(items, lambda item: {"answer": f"a{item.payload}"}, folder=tmp_path, manifest={})

    run()
    path = tmp_path / "answers.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"a4"', b'"b4"').replace(b'"a7"', b"\xff\xfe7\xff"))
    with pytest.raises(DataError, match=r"answers\.jsonl: line 5 is damaged"):
        list(jobs.rows(tmp_path))
    outcome = run()
    assert (outcome.set_aside, outcome.skipped, outcome.done) == (2, 8, 10)
    assert "moved 2 damaged lines to set_aside.txt" in capfd.readouterr().err
    assert {row["answer"] for row in jobs.rows(tmp_path)} == {f"a{n}" for n in range(10)}
    assert len((tmp_path / "set_aside.txt").read_bytes().splitlines()) == 2
    assert run().set_aside == 0


def test_rows_of_a_run_at_work_are_whole(tmp_path):
    fill(tmp_path, 2)
    with open(tmp_path / "answers.jsonl", "ab") as file:
        file.write(b'{"key": "k2", "id"')
    assert len(list(jobs.rows(tmp_path))) == 2
    with pytest.raises(DataError, match="is not a run"):
        list(jobs.rows(tmp_path / "nowhere"))


def big(item: jobs.Item) -> dict:
    with open(item.path, "ab", buffering=0) as file:
        file.write(f"{item.id}\n".encode())
    return {"answer": "y" * 1000}


def big_items(begun: Path) -> list[jobs.Item]:
    return [jobs.Item(jobs.key(n=n), f"i{n}", n, str(begun)) for n in range(200)]


def run_big(folder: Path, begun: Path) -> jobs.Outcome:
    return jobs.run(big_items(begun), big, folder=folder, manifest={}, quiet=True)


def limited() -> None:
    """The child of the test below: no file may grow over 64 kB."""
    folder, begun = map(Path, sys.argv[1:])
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, resource.RLIM_INFINITY))
    outcome = run_big(folder, begun)
    print(outcome.message)
    sys.exit(outcome.exit_code)


def check_full(folder: Path, begun: Path, exit_code: int, message: str, kept: int) -> None:
    assert exit_code == 6, message
    assert f"{kept} answered, 0 failed, {200 - kept} left" in message
    assert "run the same again" in message
    assert (folder / "answers.jsonl").read_bytes().endswith(b"}\n"), "no torn line is left"
    assert len(begun.read_text().split()) == kept + 1, "what was written is kept; one was in hand"


def check_finished(folder: Path, begun: Path, kept: int) -> None:
    outcome = run_big(folder, begun)
    assert (outcome.done, outcome.skipped, outcome.exit_code) == (200, kept, 0)
    assert len({row["id"] for row in jobs.rows(folder)}) == 200
    assert len(begun.read_text().split()) == 201, "only the one in hand was worked on twice"


def test_a_full_disk_keeps_what_was_written(tmp_path):
    begun, folder = tmp_path / "begun", tmp_path / "run"
    code = f"import sys; sys.path.insert(0, {str(TESTS)!r}); from test_jobs_log import limited; limited()"
    done = subprocess.run([sys.executable, "-c", code, str(folder), str(begun)], capture_output=True, text=True)
    kept = len(list(jobs.rows(folder)))
    assert 50 < kept < 64
    check_full(folder, begun, done.returncode, done.stdout + done.stderr, kept)
    check_finished(folder, begun, kept)


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a small disk cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_small_disk_that_is_full_and_has_room_again(small_disk, tmp_path):
    begun, folder = tmp_path / "begun", small_disk / "run"
    outcome = run_big(folder, begun)
    kept = len(list(jobs.rows(folder)))
    check_full(folder, begun, outcome.exit_code, outcome.message, kept)
    again = run_big(folder, begun)
    assert (again.exit_code, again.done) == (6, kept), "still full: nothing is lost by trying"
    begun.write_text("\n".join(begun.read_text().split()[:-1]) + "\n")  # forget that second try
    subprocess.run(["mount", "-o", "remount,size=2m", str(small_disk)], check=True)
    check_finished(folder, begun, kept)


@pytest.mark.parametrize("call", ["mkdir", "open", "fsync", "replace"])
def test_no_space_at_the_start_is_exit_6(tmp_path, monkeypatch, call):
    def full(*args, **settings):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    outcome = run_big(tmp_path / "run", tmp_path / "begun")
    monkeypatch.undo()
    assert (outcome.exit_code, outcome.done) == (6, 0)
    assert "No space left" in outcome.message
    check_finished_from_nothing(tmp_path)


def check_finished_from_nothing(tmp_path: Path) -> None:
    assert run_big(tmp_path / "run", tmp_path / "begun").done == 200


def test_no_space_for_the_work_itself_ends_the_run(tmp_path):
    def work(item):
        raise OSError(errno.ENOSPC, "No space left on device")

    outcome = jobs.run(big_items(tmp_path), work, folder=tmp_path / "run", manifest={}, quiet=True)
    assert (outcome.exit_code, outcome.failed, outcome.left) == (6, 0, 200)


def test_a_sync_that_failed_is_told_by_the_next_row(tmp_path, monkeypatch):
    log = Log(tmp_path)
    log.append(seal({"key": "a", "id": "a"}), key="a", id="a", failed=False)

    def broken(fd):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    log.sync()
    with pytest.raises(jobs.OutOfSpace, match="Input/output"):
        log.append(seal({"key": "b", "id": "b"}), key="b", id="b", failed=False)
    monkeypatch.undo()
    log.close()


def test_a_last_sync_that_failed_is_exit_6(tmp_path, monkeypatch):
    sync = os.fsync

    def broken(fd):
        if os.readlink(f"/proc/self/fd/{fd}").endswith("answers.jsonl"):
            raise OSError(errno.EIO, "Input/output error")
        sync(fd)

    monkeypatch.setattr(os, "fsync", broken)
    assert run_big(tmp_path / "run", tmp_path / "begun").exit_code == 6
    monkeypatch.undo()
    assert run_big(tmp_path / "run", tmp_path / "begun").exit_code == 0


def test_a_derived_file_is_the_old_one_or_the_new_one(tmp_path, monkeypatch):
    path = tmp_path / "metrics.json"
    jobs.replace_file(path, json.dumps({"accuracy": 1}))

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(jobs.OutOfSpace, match=r"metrics\.json"):
        jobs.replace_file(path, b"new")
    assert json.loads(path.read_text()) == {"accuracy": 1}
    assert os.listdir(tmp_path) == ["metrics.json"]


def test_threads_that_write_one_file_do_not_meet(tmp_path, no_fsync):
    path = tmp_path / "cache.json"
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(jobs.replace_file, path, f"{n}" * 10_000) for n in range(200)]:
            done.result()
    assert len(set(path.read_text())) <= 3
    assert os.listdir(tmp_path) == ["cache.json"]


@pytest.mark.parametrize("place", ["a file/run", "n" * 300])
def test_a_place_where_nothing_can_be_written_is_no_lack_of_space(tmp_path, place):
    (tmp_path / "a file").write_text("")
    with pytest.raises(ConfigError, match="choose a folder") as caught:
        run_big(tmp_path / place, tmp_path / "begun")
    assert caught.value.exit_code == 2
