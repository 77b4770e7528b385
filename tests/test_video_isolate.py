"""A decoder that crashes, hangs or eats memory in its own process is an error of its file."""

import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from make_videos import make_video, numbers_in
from videre.errors import VideoError
from videre.video import isolate
from videre.video.limits import Limits
from videre.video.open import open_video

BREAKING = """
import os, sys, time
from videre.video import child, open as opening
from videre.video.reader import AvReader
class Broken(AvReader):
    def shown(self, moments, size_px, row):
        {deed}
        yield 0.0
opening.read = lambda source, limits, backend, track: Broken(source, limits, track)
child.serve()
"""
DEEDS = {
    "segfault": ("import ctypes; ctypes.string_at(0)", "decoder_crashed", 3, "SIGSEGV"),
    "abort": ("os.abort()", "decoder_crashed", 3, "SIGABRT"),
    "exit": ("os._exit(3)", "decoder_crashed", 3, "exit 3"),
    "hang": ("time.sleep(60)", "decoder_hung", 3, "hung for 5 s"),
    "memory": ("hoard = [bytearray(1 << 28) for _ in range(99)]", "too_much_memory", 7, "memory"),
    "processor": ("[None for _ in iter(int, 1)]", "decoder_over_time", 7, "processor time"),
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("isolated") / "clip.mp4", 50)


@pytest.mark.parametrize("name", DEEDS)
def test_the_caller_lives_on(clip: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    deed, code, exit_code, words = DEEDS[name]
    monkeypatch.setattr(isolate, "_PROGRAM", BREAKING.format(deed=deed))
    limits = Limits(
        wall_seconds=5.0 if name == "hang" else 30.0,
        cpu_seconds=2.0 if name == "processor" else 60.0,
        child_bytes=1 << 30,
    )
    began = time.monotonic()
    with open_video(clip, isolate=True, limits=limits) as video:
        with pytest.raises(VideoError, match=words) as caught:
            video.at([0.5])
        assert (caught.value.code, caught.value.exit_code) == (code, exit_code)
        assert clip.name in str(caught.value)
    assert time.monotonic() - began < 30


def test_the_next_call_gets_a_new_process(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_video(clip, isolate=True) as video:
        first = video._reader._idle  # type: ignore[attr-defined]
        first._process.kill()
        with pytest.raises(VideoError, match="SIGKILL"):
            video.at([0.5])
        assert numbers_in(video.at([0.5]).pixels) == [12]


def test_no_process_is_left_behind(clip: Path) -> None:
    before = set(psutil.Process().children())
    video = open_video(clip, isolate=True)
    stream = video.stream(25.0)
    next(stream)
    video.at([0.5])
    assert len(set(psutil.Process().children()) - before) == 2
    stream.close()
    video.close()
    assert set(psutil.Process().children()) == before


def test_a_child_ends_with_its_parent(clip: Path) -> None:
    program = f"""
import os, signal
from videre.video.open import open_video
video = open_video({str(clip)!r}, isolate=True)
print(video._reader._idle._process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment(), check=False
    )
    child = int(done.stdout)
    deadline = time.monotonic() + 10
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_child_holds_only_its_file(clip: Path, tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w"), open_video(clip, isolate=True) as video:
        process = psutil.Process(video._reader._idle._process.pid)  # type: ignore[attr-defined]
        assert [file.path for file in process.open_files()] in ([str(clip)], [str(clip), "/dev/null"])
        assert process.net_connections() == []
        assert process.cwd() == "/"


def test_many_open_files_are_no_hindrance(clip: Path) -> None:
    """`select` takes no descriptor above 1023; a server of many videos has them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < 1200:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(1200, hard), hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1050)]
    try:
        with open_video(clip, isolate=True) as video:
            assert len(video.at([0.0])) == 1
    finally:
        for descriptor in held:
            os.close(descriptor)


def test_errors_of_opening_come_through(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(99))
    with pytest.raises(VideoError, match=r"broken\.mp4: truncated") as caught:
        open_video(tmp_path / "broken.mp4", isolate=True)
    assert (caught.value.code, caught.value.exit_code) == ("truncated", 3)


def test_an_installation_error_is_not_blamed_on_the_file(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolate, "_PROGRAM", "import sys; sys.modules['torchcodec'] = None\n" + isolate._PROGRAM)
    with pytest.raises(ImportError, match="torchcodec"):
        open_video(clip, isolate=True, backend="torchcodec")


def test_a_decode_error_does_not_hang_the_exit(clip: Path, tmp_path: Path) -> None:
    """Frame threads and an error in the stream: the interpreter still ends."""
    data = bytearray(clip.read_bytes())
    middle = data.find(b"mdat") + (data.find(b"moov") - data.find(b"mdat")) // 2
    data[middle : middle + 400] = bytes(400)
    (tmp_path / "damaged.mp4").write_bytes(bytes(data))
    program = f"""
from videre.video import decode
decode.usable_cores = lambda: 4
from videre.video.open import open_video
print(len(open_video({str(tmp_path / "damaged.mp4")!r}).at([0.0, 1.9])))
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment(), timeout=60)
    assert (run.returncode, run.stdout.strip(), run.stderr) == (0, "2", "")


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_traced_no_other_file_and_no_network(clip: Path, tmp_path: Path) -> None:
    """What the decoder's process really opens after it was told the file."""
    trap = tmp_path / "list.mp4"
    trap.write_text(f"ffconcat version 1.0\nfile '{clip}'\n")
    program = f"""
import av, os
from videre.video import reader, animate, child, isolate
from videre.video.open import open_video
open_video({str(clip)!r}).at([0.1])
os.path.exists("/begin-of-trace")
for path in ({str(trap)!r}, {str(clip)!r}):
    try:
        open_video(path).at([0.5])
    except Exception as error:
        print(error)
"""
    log = tmp_path / "trace"
    command = [
        "strace",
        "-f",
        "-e",
        "trace=%file,%network",
        "-o",
        str(log),
        sys.executable,
        "-c",
        program,
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=120, check=False)
    if "begin-of-trace" not in log.read_text():
        pytest.skip(f"strace cannot trace here: {done.stderr[:80]}")
    after = log.read_text().split("begin-of-trace", 1)[1]
    assert "socket(" not in after
    opened = {
        line.split('"')[1] for line in after.splitlines() if "open" in line and '"' in line and "= -1" not in line
    }
    assert opened <= {str(trap), str(clip)}
    assert "playlist files are not videos" in done.stdout


def environment() -> dict[str, str]:
    root = str(Path(isolate.__file__).parents[2])
    return {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
