"""`videre retrieve`: a benchmark's pairs through the encoder, interrupted, and with videos that are not there."""

import json

import numpy as np
import pytest

import tiny_clip
from videre import jobs
from videre.apps import cli
from videre.data import world
from videre.methods.bt_adapter import encoder as encoders
from videre.methods.bt_adapter import protocol
from videre.types import Span
from videre.video.open import open_video


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("retrieve")
    tiny_clip.build("clip", folder / "clip")
    lines = ["key,vid_key,video_id,sentence"]
    for seed in range(4):
        clip = world.make(seed, world.Config(seconds=1.0, size_px=48))
        world.write(clip, folder / f"video{seed}.mp4")
        lines.append(f'ret{seed},msr{seed},video{seed},"{world.describe(clip)}"')
    (folder / "test.csv").write_text("\n".join([*lines, "ret9,msr9,video9,nothing"]) + "\n", "utf-8")
    return folder


def test_scores_by_command_equal_those_by_hand(place, tmp_path, capsys):
    arguments = ["retrieve", "msrvtt", "--annotations", place / "test.csv", "--videos", place, "--encoder",
                 place / "clip", "-o", tmp_path / "run", "--json", "-q"]  # fmt: skip
    code = cli.run(list(map(str, arguments)))
    told = json.loads(capsys.readouterr().out)
    assert code == 4  # one video is not there
    assert (told["scored"], told["defined"], told["videos"]) == (4, 5, 4)
    encoder = encoders.load(str(place / "clip"))
    vectors, texts = [], []
    for seed in range(4):
        with open_video(str(place / f"video{seed}.mp4")) as video:
            moments = [(i + 0.5) / 10 for i in protocol.shown_frames(10, 12)]
            vectors.append(encoder.clips(encoders.frames_at(video, moments).pixels[None])[0])
        texts.append(world.describe(world.make(seed, world.Config(seconds=1.0, size_px=48))))
    similar = encoder.texts(texts) @ np.stack(vectors).T
    ranks = (similar > similar.diagonal()[:, None]).sum(1) + 1
    assert told["text_to_video"]["R1"]["percent"] == pytest.approx(100 * (ranks == 1).mean())
    assert told["text_to_video"]["mean_rank"] == pytest.approx(ranks.mean())
    log = (tmp_path / "run" / "answers.jsonl").read_bytes()
    assert cli.run(list(map(str, arguments))) == 4
    assert json.loads(capsys.readouterr().out)["text_to_video"] == told["text_to_video"]
    assert (tmp_path / "run" / "answers.jsonl").read_bytes().startswith(log)
    before = place / "video0.mp4"
    kept = before.read_bytes()
    before.write_bytes((place / "video1.mp4").read_bytes())
    assert cli.run(list(map(str, arguments))) == 4
    found = {row["id"]: row.get("vector") for row in jobs.rows(tmp_path / "run")}
    assert found["video0"] == found["video1"], "another file under an old name"
    before.write_bytes(kept)


def test_long_texts_keep_their_end(place):
    encoder = encoders.load(str(place / "clip")).encoder
    cut = encoder.tokens(["a red square " * 20], most_tokens=8)["input_ids"]
    assert cut.shape == (1, 8)
    assert cut[0, -1] == encoder.processor.tokenizer.eos_token_id


def test_parts_and_middles(place):
    pixels = np.arange(2 * 3 * 8 * 16, dtype=np.int64).reshape(2, 3, 8, 16).astype(np.uint8)
    assert protocol.middle(pixels, 1.0) is pixels
    assert np.array_equal(protocol.middle(pixels, 0.5), pixels[:, :, 2:6, 6:10])
    encoder = encoders.load(str(place / "clip"))
    with open_video(str(place / "video1.mp4")) as video:
        part = protocol.vector(video, encoder, protocol.PROTOCOLS["didemo"], Span(0.0, 0.5))
    assert np.linalg.norm(part) == pytest.approx(1.0, abs=1e-5)
    assert protocol.matches(["a", "b"], ["b", "b", "a"]).tolist() == [[False, True], [False, True], [True, False]]
