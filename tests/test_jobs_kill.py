"""Runs that are killed or interrupted at any moment, and runs of very many items, each in a process of its own."""

import functools
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from videre import jobs

TESTS = Path(__file__).parent
COUNT = 200
STARTED: list[subprocess.Popen] = []


@pytest.fixture(autouse=True)
def _end_what_was_started():
    yield
    while STARTED:
        process = STARTED.pop()
        if process.poll() is None:  # the test failed
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def begin(item: jobs.Item) -> None:
    """Notes that the item was worked on, in a way that survives a kill."""
    with open(item.payload["begun"], "ab", buffering=0) as file:
        file.write(f"{item.id}\n".encode())


def quick(item: jobs.Item) -> dict:
    begin(item)
    time.sleep(0.002)
    if item.payload["n"] % 10 == 0:
        raise ValueError(f"{item.payload['n']} is bad")
    return {"answer": f"answer to {item.payload['n']} " + "x" * (item.payload["n"] * 37 % 900)}


def slow(item: jobs.Item, seconds: float) -> dict:
    begin(item)
    time.sleep(seconds)
    return {"answer": item.payload["n"]}


def deaf(item: jobs.Item) -> dict:
    """Inside one call that does not come back to Python for a minute or more."""
    begin(item)
    hashlib.pbkdf2_hmac("sha256", b"a", b"b", 1 << 28)
    return {"answer": item.payload["n"]}


WORK = {
    "quick": quick,
    "slow": functools.partial(slow, seconds=0.3),
    "stuck": functools.partial(slow, seconds=60),
    "deaf": deaf,
}


def run(folder: Path, work: str, workers: int, grace_seconds: float = 5.0) -> jobs.Outcome:
    given = [jobs.Item(jobs.key(n=n), f"i{n}", {"n": n, "begun": str(folder / "begun")}) for n in range(COUNT)]
    engine = jobs.Local(workers=workers) if workers >= 0 else jobs.Threads(-workers)
    stop = jobs.Stop(grace_seconds=grace_seconds)
    return jobs.run(given, WORK[work], folder=folder / "run", manifest={}, engine=engine, quiet=True, stop=stop)


def child() -> None:
    """What `start` runs; fewer than no workers are threads."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    folder, work, workers, grace_seconds = sys.argv[1:]
    outcome = run(Path(folder), work, int(workers), float(grace_seconds))
    print(outcome.message)
    sys.exit(outcome.exit_code)


def start(folder: Path, work: str, *, workers: int = 0, grace_seconds: float = 5.0) -> subprocess.Popen:
    """A run in a process group of its own, once it holds its folder."""
    folder.mkdir(exist_ok=True)
    code = f"import sys; sys.path.insert(0, {str(TESTS)!r}); from test_jobs_kill import child; child()"
    command = [sys.executable, "-c", code, str(folder), work, str(workers), str(grace_seconds)]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE, text=True)
    STARTED.append(process)
    wait_for(lambda: (folder / "run" / ".lock").exists() or process.poll() is not None)
    return process


def wait_for(condition, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.001)


def begun(folder: Path) -> list[str]:
    path = folder / "begun"
    return path.read_text().split() if path.exists() else []


def whole(folder: Path) -> list[dict]:
    return sorted(jobs.rows(folder / "run"), key=lambda row: row["id"])


def clean_run(folder: Path, workers: int) -> list[dict]:
    """The rows of a run that nobody disturbs."""
    process = start(folder, "quick", workers=workers)
    process.communicate()
    assert process.returncode == 4
    return whole(folder)


def kill_and_finish(folder: Path, rng: random.Random, workers: int) -> tuple[list[dict], int, int]:
    """Kills a run, finishes it; gives its rows, how many the kill left, and how many items were worked on twice."""
    count = rng.randrange(COUNT)
    process = start(folder, "quick", workers=workers)
    wait_for(lambda: len(begun(folder)) >= count or process.poll() is not None)
    time.sleep(rng.uniform(0, 0.006))  # anywhere within an item, or in the opening of the folder
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    log = folder / "run" / "answers.jsonl"
    kept = log.read_bytes().count(b"\n") if log.exists() else 0
    outcome = run(folder, "quick", workers=0)
    assert (outcome.done, outcome.failed, outcome.left, outcome.set_aside) == (180, 20, 0, 0)
    assert len(log.read_bytes().splitlines()) == COUNT, "no line twice, no line of the killed run unreadable"
    return whole(folder), kept, len(begun(folder)) - COUNT


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("kills", "workers"),
    [(12, 0), pytest.param(50, 0, marks=pytest.mark.slow), pytest.param(50, 2, marks=pytest.mark.slow)],
)
def test_kill_sweep(tmp_path, kills, workers):
    expected = clean_run(tmp_path / "clean", workers)
    assert len(expected) == COUNT
    rng, kept, again = random.Random(0), [], []
    for n in range(kills):
        rows, had, twice = kill_and_finish(tmp_path / str(n), rng, workers)
        assert rows == expected, n
        kept.append(had)
        again.append(twice)
    print(f"{kills} kills, {workers} workers: rows kept {sorted(kept)}, items worked on twice {sorted(again)}")
    assert max(again) <= max(1, workers)
    assert sum(0 < had < COUNT for had in kept) >= kills // 2, "the kills did not land inside the run"


@pytest.mark.parametrize(("signum", "status", "workers"), [(signal.SIGINT, 130, 0), (signal.SIGTERM, 143, 2)])
def test_interrupt_finishes_what_is_in_hand(tmp_path, signum, status, workers):
    process = start(tmp_path, "slow", workers=workers)
    wait_for(lambda: len(begun(tmp_path)) >= 3)
    os.killpg(process.pid, signum)  # as a terminal does: the workers get it too
    out, _ = process.communicate(timeout=10)
    assert process.returncode == status
    assert "left" in out
    assert "run the same again to continue" in out
    assert {row["id"] for row in whole(tmp_path)} == set(begun(tmp_path)), "none in hand was lost"
    assert jobs.status(tmp_path / "run")["state"] == "interrupted"
    assert alive(process.pid) is False


@pytest.mark.parametrize("workers", [0, 2])
def test_a_second_interrupt_stops_now(tmp_path, workers):
    process = start(tmp_path, "stuck", workers=workers)
    wait_for(lambda: len(begun(tmp_path)) >= max(1, workers))
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.2)
    assert process.poll() is None
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=10)
    assert time.monotonic() - began < 1.5
    assert process.returncode == 130
    assert alive(process.pid) is False


@pytest.mark.parametrize(("work", "workers"), [("stuck", 0), ("stuck", 2), ("stuck", -2), ("deaf", 0)])
def test_what_does_not_finish_in_time_is_given_up(tmp_path, work, workers):
    process = start(tmp_path, work, workers=workers, grace_seconds=0.5)
    wait_for(lambda: len(begun(tmp_path)) >= max(1, workers))
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate(timeout=10)
    assert time.monotonic() - began < 3.0
    assert process.returncode == 143
    assert whole(tmp_path) == []
    assert alive(process.pid) is False


def alive(group: int) -> bool:
    """Whether a process of the group is left, after a moment for the last of them."""
    for _ in range(200):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.01)
    return True


def test_the_workers_of_a_killed_run_end_too(tmp_path):
    process = start(tmp_path, "slow", workers=2)
    wait_for(lambda: len(begun(tmp_path)) >= 2)
    process.kill()
    process.communicate()
    assert alive(process.pid) is False


def many() -> None:
    """The child of the test below: what one more item costs in memory."""
    count = int(sys.argv[2])
    seen = {}

    def resident_bytes() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def work(item: jobs.Item) -> dict:
        if item.payload in (count // 10, count - 1):
            seen[item.payload] = resident_bytes()
        return {"answer": item.payload}

    given = (jobs.Item(jobs.key(n=n), f"item {n}", n) for n in range(count))
    outcome = jobs.run(given, work, folder=sys.argv[1], manifest={}, quiet=True)
    (low, before), (high, after) = sorted(seen.items())
    print(outcome.done, (after - before) / (high - low), after)


@pytest.mark.timeout(1800)
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the resident memory from /proc")
@pytest.mark.parametrize("count", [100_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_memory_stays_flat(tmp_path, count):
    code = f"import sys; sys.path.insert(0, {str(TESTS)!r}); from test_jobs_kill import many; many()"
    command = [sys.executable, "-c", code, str(tmp_path), str(count)]
    done, slope, resident = map(float, subprocess.run(command, capture_output=True, check=True).stdout.split())
    print(f"{count} items: {slope:.0f} bytes of memory an item, {resident / 2**20:.0f} MiB in all")
    assert done == count
    assert slope <= 1000
