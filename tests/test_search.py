"""Indexing and searching: by command, on real files, killed and resumed, and what is nearest to what."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

import tiny_clip
from videre.apps import cli
from videre.data import world
from videre.errors import DataError
from videre.methods.bt_adapter import encoder as encoders
from videre.methods.bt_adapter import index, nearest, store
from videre.methods.bt_adapter.adapter import Adapter
from videre.methods.bt_adapter.branch import BranchConfig
from videre.methods.bt_adapter.windows import Windows, encoded, on_grid
from videre.models import clip
from videre.types import Span
from videre.video.open import open_video


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Three short clips and one of 9 seconds in a folder, a tiny pair, and an adapter beside it."""
    folder = tmp_path_factory.mktemp("search")
    videos = folder / "videos"
    (videos / "more").mkdir(parents=True)
    for seed in range(3):
        world.write(world.make(seed, world.Config(seconds=1.5, size_px=48)), videos / f"{seed}.mp4")
    world.write(world.make(9, world.Config(seconds=9.0, size_px=32, things=(3, 3))), videos / "more" / "long.mp4")
    (videos / "notes.txt").write_text("no video")
    tiny_clip.build("clip", folder / "clip")
    pair = clip.load(str(folder / "clip"))
    torch.manual_seed(0)
    store.write(folder / "adapter", Adapter(pair.network, BranchConfig(depth=2)), base=pair.card)
    return folder


CUT = ("--window", "2", "-k", "4")


@pytest.fixture
def library(place, tmp_path):
    """The folder of videos, with the index elsewhere and new for each test."""
    return [str(place / "videos"), "--adapter", str(place / "adapter"), *CUT, "-q", "-o", str(tmp_path / "index")]


def run(capsys, *arguments):
    code = cli.run([str(each) for each in arguments])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_index_and_search_by_command(place, library, tmp_path, capsys):
    code, out, err = run(capsys, "index", *library)
    assert code == 0, err
    assert out.endswith(": 4 videos, 11 windows\n")
    code, out, err = run(capsys, "search", "a red ball leaves", tmp_path / "index", "--json", "-k", "3",
                         "--report", tmp_path / "page.html")  # fmt: skip
    assert code == 0, err
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["rank"] for row in rows] == [1, 2, 3]
    assert all(a["score"] >= b["score"] for a, b in pairwise(rows))
    found = index.read(tmp_path / "index")
    text = encoders.load(None, place / "adapter").texts(["a red ball leaves"])[0]
    best = int((found.vectors.astype(np.float32) @ text).argmax())
    assert rows[0]["video"] == str(place / "videos" / found.videos[found.video[best]])
    assert (rows[0]["start_seconds"], rows[0]["end_seconds"]) == tuple(found.spans[best])
    page = (tmp_path / "page.html").read_text("utf-8")
    assert page.count("data:image/jpeg") >= 3
    assert "a red ball leaves" in page


def test_a_clip_finds_itself_and_captions_are_ranked(place, library, tmp_path, capsys):
    run(capsys, "index", *library)
    code, out, err = run(capsys, "search", "--like", place / "videos" / "2.mp4", tmp_path / "index", "--json")
    assert code == 0, err
    first = json.loads(out.splitlines()[0])
    assert first["video"].endswith("2.mp4")
    assert first["score"] == pytest.approx(1.0, abs=2e-3)
    (tmp_path / "lines.txt").write_text("a red square\n\na blue ball appears\nbefore\n", "utf-8")
    code, out, err = run(
        capsys, "search", tmp_path / "index", "--captions", tmp_path / "lines.txt", "-k", "2", "--json"
    )
    assert code == 0, err
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["rank"] for row in rows] == [1, 2] * 4
    assert {row["caption"] for row in rows} <= {"a red square", "a blue ball appears", "before"}


def test_only_new_and_changed_files_are_read_again(place, tmp_path, capsys):
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in ("0.mp4", "1.mp4"):
        (videos / name).write_bytes((place / "videos" / name).read_bytes())
    arguments = ["index", str(videos), "--encoder", str(place / "clip"), *CUT, "-q"]
    assert run(capsys, *arguments)[0] == 0
    seen = []
    inner = index._encoded

    def counted(video, item, *rest):
        seen.append(item.id)
        return inner(video, item, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "_encoded", counted)
        assert run(capsys, *arguments)[0] == 0
        assert seen == []
        (videos / "1.mp4").write_bytes((place / "videos" / "2.mp4").read_bytes())
        (videos / "2.mp4").write_bytes((place / "videos" / "2.mp4").read_bytes())
        (videos / "0.mp4").unlink()
        assert run(capsys, *arguments)[0] == 0
        assert seen == ["1.mp4", "2.mp4"]
    found = index.read(videos / index.FOLDER)
    assert found.videos == ("1.mp4", "2.mp4")
    assert np.array_equal(found.vectors[0], found.vectors[1])
    assert len(list((videos / index.FOLDER / index.VECTORS).iterdir())) == 2
    code, _, err = run(capsys, *arguments, "--overlap", "0")
    assert code == 2
    assert "changed" in err or "differ" in err
    assert run(capsys, *arguments, "--overlap", "0", "--rebuild")[0] == 0


def test_stopped_and_run_again_equals_a_whole_run(place, library, tmp_path, capsys, monkeypatch):
    calls = []
    inner = index._encoded

    def stopped(video, item, *rest):
        calls.append(item.id)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return inner(video, item, *rest)

    monkeypatch.setattr(index, "_encoded", stopped)
    assert run(capsys, "index", *library)[0] == 130
    with pytest.raises(DataError, match="make one with"):
        index.read(tmp_path / "index")
    monkeypatch.setattr(index, "_encoded", lambda *given: inner(*given))
    assert run(capsys, "index", *library)[0] == 0
    part = index.read(tmp_path / "index")
    library[-1] = str(tmp_path / "whole")
    run(capsys, "index", *library)
    whole = index.read(tmp_path / "whole")
    assert (part.videos, part.card) == (whole.videos, whole.card)
    assert np.array_equal(part.vectors, whole.vectors)


def test_broken_files_are_told_and_the_rest_is_there(place, tmp_path, capsys):
    (tmp_path / "0.mp4").write_bytes((place / "videos" / "0.mp4").read_bytes())
    (tmp_path / "bad.mp4").write_bytes(b"not a video at all")
    code, out, err = run(capsys, "index", tmp_path, "--encoder", place / "clip", *CUT, "-q")
    assert code == 4
    assert "1 videos" in out
    assert "1 failed" in err


def test_what_cannot_be_done_is_said(place, library, tmp_path, capsys):
    assert run(capsys, "index", place / "videos")[0] == 2
    (tmp_path / "empty").mkdir()
    code, _, err = run(capsys, "index", tmp_path / "empty", "--encoder", place / "clip")
    assert (code, "no videos below it" in err) == (3, True)
    code, _, err = run(capsys, "search", "a ball", tmp_path / "empty")
    assert (code, "videre index" in err) == (3, True)
    assert run(capsys, "search", tmp_path / "empty")[0] == 2
    run(capsys, "index", *library)
    next((tmp_path / "index" / index.VECTORS).iterdir()).unlink()
    code, _, err = run(capsys, "index", *library)
    assert (code, "index again" in err) == (3, True)
    (tmp_path / "index" / index.INDEX).write_bytes(b"torn")
    assert run(capsys, "search", "a ball", tmp_path / "index")[0] == 3


def test_windows_cover_a_video():
    cut = Windows(seconds=4.0, frames=4, overlap=0.5)
    assert cut.spans(3.0).tolist() == [[0.0, 3.0]]
    assert cut.spans(9.5).tolist() == [[0.0, 4.0], [2.0, 6.0], [4.0, 8.0], [5.0, 9.5]]
    assert Windows(4.0, 4, 0.0).spans(8.0).tolist() == [[0.0, 4.0], [4.0, 8.0]]
    for wrong in ((0.0, 4, 0.5), (4.0, 0, 0.5), (4.0, 4, 1.0)):
        with pytest.raises(ValueError, match="windows have"):
            Windows(*wrong)


def test_windows_of_a_long_video_are_those_of_its_moments(place):
    """What streaming gives is what asking for each window's moments gives."""
    encoder = encoders.load(None, place / "adapter")
    cut = Windows(seconds=2.0, frames=4)
    with open_video(str(place / "videos" / "more" / "long.mp4")) as video:
        spans, vectors = encoded(video, encoder, cut)
        for (start, _), vector in zip(spans, vectors, strict=True):
            moments = [start + (i + 0.5) * 0.5 for i in range(4)]
            alone = encoder.clips(encoders.frames_at(video, moments).pixels[None])[0]
            np.testing.assert_allclose(vector, alone, atol=2e-4)
        slow = list(on_grid(video, 0.03, 300, 48))  # more moments than the video has frames
        assert len(slow) == 300
        assert np.array_equal(slow[20], encoders.frames_at(video, [20.5 * 0.03]).pixels[0])


def made_index(vectors, spans, video, tmp_path):
    return index.Index(vectors.astype(np.float16), spans, video, ("a.mp4", "b.mp4"), tmp_path, {}, tmp_path)


def test_hits_of_one_video_lie_apart(tmp_path):
    spans = np.array([[0.0, 4.0], [2.0, 6.0], [4.0, 8.0], [0.0, 4.0]])
    angles = np.array([0.0, 0.1, 0.2, 0.3])
    vectors = np.stack([np.cos(angles), np.sin(angles)], 1)
    found = made_index(vectors, spans, np.array([0, 0, 0, 1], np.int32), tmp_path)
    hits = index.search(found, np.array([1.0, 0.0], np.float32), k=3)
    assert [hit.row for hit in hits] == [0, 2, 3]
    assert replace(hits[0].span, confidence=None) == Span(0.0, 4.0)
    assert hits[0].span.confidence == pytest.approx(1.0, abs=1e-3)
    assert len(index.search(found, np.array([1.0, 0.0], np.float32), k=10)) == 3
    rows, scores = found.line(0, np.array([0.0, 1.0], np.float32))
    assert rows.tolist() == [0, 1, 2]
    assert scores.tolist() == pytest.approx(np.sin(angles[:3]).tolist(), abs=1e-3)


def test_comparing_all_is_exact_and_the_graph_nearly():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3000, 32)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    query = rows[17] + 0.05 * rows[5]
    found, scores = nearest.Exact(rows).find(query, 10)
    wanted = np.argsort(-(rows @ query), kind="stable")[:10]
    assert found.tolist() == wanted.tolist()
    np.testing.assert_allclose(scores, (rows @ query)[wanted], rtol=1e-5)
    assert nearest.Exact(rows[:0]).find(query, 3)[0].shape == (0,)
    assert nearest.Exact(rows[:2]).find(query, 3)[0].shape == (2,)


def test_the_graph_finds_most_of_what_is_nearest(tmp_path):
    pytest.importorskip("usearch")
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3000, 32)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    nearest.write_graph(rows, tmp_path / index.GRAPH)
    graph, exact = nearest.Graph(tmp_path / index.GRAPH), nearest.Exact(rows)
    assert (graph.exact, exact.exact) == (False, True)
    shares = []
    for query in rows[:50]:
        a, scores = graph.find(query, 10)
        b, wanted = exact.find(query, 10)
        shares.append(len(set(a) & set(b)) / 10)
        assert scores[0] == pytest.approx(wanted[0], abs=5e-3)
    assert np.mean(shares) > 0.9


@pytest.mark.slow
def test_real_clips(shared, place, tmp_path, capsys):
    clips = shared / "corpus" / "clips"
    code, out, err = run(capsys, "index", clips, "--encoder", place / "clip", "-q", "-o", tmp_path / "index")
    assert code == 0, err
    assert "29 videos" in out
    code, out, _ = run(capsys, "search", "a pancake", tmp_path / "index", "--report", tmp_path / "page.html")
    assert (code, len(out.splitlines())) == (0, 10)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["clips", "world"])
def test_killed_outright_and_run_again(shared, place, tmp_path, name):
    """A killed process leaves what it had done; the same command then equals a run that was never stopped."""
    videos = shared / "corpus" / "clips"
    if name == "world":
        videos = tmp_path / "world"
        videos.mkdir()
        for seed in range(12):
            world.write(world.make(seed, world.Config(seconds=4.0, size_px=48)), videos / f"{seed}.mp4")
    command = [sys.executable, "-m", "videre", "index", str(videos), "--adapter", str(place / "adapter"), "-q", "-o"]
    log = tmp_path / "cut" / "answers.jsonl"
    running = subprocess.Popen([*command, str(tmp_path / "cut")])
    while running.poll() is None and not (log.exists() and log.read_bytes().count(b"\n") >= 4):
        time.sleep(0.02)
    running.kill()
    assert running.wait() == -signal.SIGKILL
    done = log.read_bytes().count(b"\n")
    with pytest.raises(DataError, match="make one with"):
        index.read(tmp_path / "cut")
    for folder in ("cut", "whole"):
        subprocess.run([*command, str(tmp_path / folder)], check=True)
    part, whole = index.read(tmp_path / "cut"), index.read(tmp_path / "whole")
    assert 4 <= done < len(whole.videos) == len(index.files(videos))
    assert part.videos == whole.videos
    assert np.array_equal(part.vectors, whole.vectors)
