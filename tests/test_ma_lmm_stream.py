"""Videos that come in bytes: files, pipes, files that grow; and `videre stream` over them."""

import io
import json
import os
import subprocess
import sys
import threading
import time
from functools import partial

import av
import numpy as np
import pytest
from click.testing import CliRunner

from tiny_blip import instructblip
from tiny_models import save
from videre.apps.cli import cli
from videre.apps.streaming import answers
from videre.data import world
from videre.errors import VideoError
from videre.types import Answer, Frames, Question
from videre.video.live import growing, live
from videre.video.open import open_video


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One clip of the world as MP4, and the same packets as MPEG-TS and Matroska."""
    root = tmp_path_factory.mktemp("live")
    world.write(world.make(11, world.Config(seconds=6.0, size_px=64)), root / "clip.mp4")
    for name in ("clip.ts", "clip.mkv"):
        with av.open(str(root / "clip.mp4")) as source, av.open(str(root / name), "w") as target:
            stream = target.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(source.streams.video[0]):
                if packet.dts is not None:
                    packet.stream = stream
                    target.mux(packet)
    return root


@pytest.mark.parametrize("name", ["clip.ts", "clip.mkv"])
@pytest.mark.parametrize("fps", [1.0, 2.5, 100.0])
def test_a_pipe_gives_the_frames_of_the_file(folder, name, fps):
    with open_video(folder / "clip.mp4") as video:
        whole = list(video.stream(fps, size_px=48))
    came = list(live(io.BytesIO((folder / name).read_bytes()).read, fps=fps, size_px=48))
    told = np.concatenate([chunk.seconds for chunk in whole])
    assert np.allclose(np.concatenate([chunk.seconds for chunk in came]), told, atol=2e-3)
    assert np.array_equal(np.concatenate([c.pixels for c in came]), np.concatenate([c.pixels for c in whole]))


def test_a_camera_that_connects_anew_goes_on_after_its_last_frame(folder):
    data = (folder / "clip.ts").read_bytes()
    once, twice = (list(live(io.BytesIO(data * times).read, fps=2.0)) for times in (1, 2))
    assert np.allclose([chunk.seconds[0] for chunk in twice], np.arange(24) / 2, atol=2e-3)
    again = [chunk.pixels for chunk in [*once, *once]]
    assert all(np.array_equal(chunk.pixels, same) for chunk, same in zip(twice, again, strict=True))


def test_frames_come_before_the_video_has_ended(folder):
    data, given = (folder / "clip.ts").read_bytes(), 0

    def read(count):
        nonlocal given
        given += count
        return data[given - count : given]

    next(live(read, fps=1.0))
    assert given < len(data)


def test_a_file_that_grows_is_read_to_its_end(folder, tmp_path):
    data, path = (folder / "clip.ts").read_bytes(), tmp_path / "grows.ts"
    path.write_bytes(data[:2000])

    def write():
        for start in range(2000, len(data), 4000):
            time.sleep(0.02)
            with path.open("ab") as file:
                file.write(data[start : start + 4000])

    thread = threading.Thread(target=write)
    thread.start()
    came = list(live(growing(path, idle_seconds=1.0), fps=1.0))
    thread.join()
    assert [round(float(chunk.seconds[0])) for chunk in came] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"#EXTM3U\n#EXT-X-VERSION:3\nhttp://example.org/a.ts\n", "playlist"),
        (b"", "empty_file"),
        (b"\x47" + b"\0" * 187, "unreadable"),
        (b"hello, this is text\n" * 20, "not_a_video"),
    ],
)
def test_other_bytes_are_refused(data, code):
    with pytest.raises(VideoError) as caught:
        list(live(io.BytesIO(data).read, fps=1.0))
    assert caught.value.code == code


def test_no_such_file_and_no_such_rate():
    with pytest.raises(VideoError, match="no such file"):
        growing("/nowhere/at/all.ts", idle_seconds=0)
    with pytest.raises(ValueError, match="above zero"):
        next(live(io.BytesIO(b"").read, fps=0))


class Counting:
    """A session that tells which frames it has seen."""

    frames, last_seconds = 0, None

    def push(self, chunk):
        for seconds in chunk.seconds:
            self.frames, self.last_seconds = self.frames + 1, float(seconds)

    def answer(self, question):
        return Answer(f"{self.frames}", run={"memory": {}})


@pytest.mark.parametrize("size", [1, 3, 32])
def test_an_answer_rests_on_no_later_frame(size):
    times = np.arange(0, 10.5, 0.5)
    whole = [times[i : i + size] for i in range(0, len(times), size)]
    frames = (Frames(np.zeros((len(some), 3, 2, 2), np.uint8), some) for some in whole)
    told = list(answers(frames, [Question("how many?")], Counting(), every_seconds=4.0, name="a.mp4"))
    assert [(one.video["until_seconds"], str(one)) for one in told] == [(4.0, "9"), (8.0, "17"), (10.0, "21")]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return f"ma-lmm:{save(instructblip(), tmp_path_factory.mktemp('blip'))}#slots=2,answer_tokens=3"


def test_stream_by_command(folder, model):
    run = partial(CliRunner().invoke, cli)
    given = [
        "stream",
        str(folder / "clip.mp4"),
        "what happens ?",
        "who ?",
        "-m",
        model,
        "--device",
        "cpu",
        "--every",
        "2",
    ]
    told = run([*given, "--json"])
    assert told.exit_code == 0, told.output
    rows = [json.loads(line) for line in told.stdout.splitlines()]
    assert [row["video"]["until_seconds"] for row in rows] == [2.0, 2.0, 4.0, 4.0, 5.0, 5.0]
    assert [row["run"]["memory"]["frames"] for row in rows] == [3, 3, 5, 5, 6, 6]
    assert {row["run"]["memory"]["recall"] for row in rows} == {"live"}
    assert rows[-1]["steps"][0]["name"] == "remember"
    lines = run(given).stdout.splitlines()
    assert len(lines) == 6
    assert "6 frames in 2 slots, live" in lines[-1]
    rows = [json.loads(line) for line in run([*given, "--where", "--json"]).stdout.splitlines()]
    assert rows[0]["spans"] == [] or all(0 <= s["start_seconds"] <= 2 for s in rows[0]["spans"])
    assert any(row["spans"] for row in rows)


def test_stream_from_a_pipe_by_command(folder, model):
    command = [
        sys.executable,
        "-m",
        "videre",
        "stream",
        "-",
        "what happens ?",
        "-m",
        model,
        "--device",
        "cpu",
        "--every",
        "3",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (folder / "clip.ts").open("rb") as file:
        ran = subprocess.run(command, stdin=file, capture_output=True, text=True, env=environment, timeout=200)
    assert ran.returncode == 0, ran.stderr
    assert [line.split()[0] for line in ran.stdout.splitlines()] == ["00:03.00", "00:05.00"]


def test_models_without_a_memory_are_refused(folder):
    told = CliRunner().invoke(cli, ["stream", str(folder / "clip.mp4"), "what?", "-m", "builtin"])
    assert told.exception is not None
    assert "has no memory to watch with" in str(told.exception)
