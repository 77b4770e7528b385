"""Sampling conventions, looking at evidence, drawing."""

import doctest
import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from make_videos import make_video, numbers_in
from videre.types import Box, Evidence, Frames, Question, Video
from videre.video import draw, sample
from videre.video.look import look, shrunk
from videre.video.open import VideoFile, open_video

GOLDEN = Path(__file__).resolve().parents[2] / "shared" / "golden" / "t2vid" / "frame_sampling.json"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("sample") / "clip.mp4", 50)


@pytest.mark.parametrize("module", [sample, draw])
def test_examples_in_docstrings(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


@given(duration=st.floats(0.01, 1e5), k=st.integers(1, 300), convention=st.sampled_from(sorted(sample.CONVENTIONS)))
def test_conventions_give_k_ascending_moments_inside(duration: float, k: int, convention: str) -> None:
    moments = sample.CONVENTIONS[convention](duration, k)
    assert len(moments) == k
    assert all(0 <= moment <= duration * (1 + 1e-12) for moment in moments)
    assert (np.diff(moments) >= 0).all()


def test_conventions_in_frames() -> None:
    """Over T frames of one second the moments fall on the frames that the field's formulas name."""
    T, k = 100, 8
    assert [int(moment) for moment in sample.centres(T, k)] == [int((i + 0.5) * T / k) for i in range(k)]
    assert [int(moment) for moment in sample.interior(T, k)] == [int((i + 1) * T / (k + 1)) for i in range(k)]
    assert (
        sample.pick(np.arange(float(T)), k, convention="ends") == np.linspace(0, T - 1, k).round().astype(int).tolist()
    )
    assert sample.pick(np.arange(5.0), 8) == [0, 1, 2, 3, 4]


@pytest.mark.skipif(not GOLDEN.is_file(), reason="the goldens are not beside the checkout")
def test_segment_middles_equal_the_official_values() -> None:
    for row in json.loads(GOLDEN.read_text()):
        assert sample.segment_middles(row["total"], row["want"]) == row["train"]
        assert sample.segment_middles(row["total"], row["want"], take_all=False) == row["eval"]


def test_fps_sampling_has_a_budget() -> None:
    assert sample.at_fps(10.0, 1.0) == tuple(float(i) for i in range(10))
    assert sample.at_fps(0.2, 1.0) == (0.0,)
    assert sample.at_fps(100.0, 1.0, at_most=5) == sample.with_ends(100.0, 5)


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="k is at least 1"):
        sample.uniform(0)
    with pytest.raises(ValueError, match="convention is one of"):
        sample.uniform(3, convention="middle")
    with pytest.raises(ValueError, match="fps"):
        sample.at_fps(1.0, 0.0)
    with pytest.raises(ValueError, match="duration_seconds"):
        sample.centres(float("nan"), 2)


def test_selectors_say_what_they_did(clip: Path) -> None:
    with open_video(clip) as video:
        evidence = sample.uniform(4)(video, Question("what?"))
        assert evidence.seconds == (0.25, 0.75, 1.25, 1.75)
        assert (evidence.steps[0].name, evidence.steps[0].inputs["convention"]) == ("uniform", "centres")
        frames = look(video, evidence, label="overview")
        assert numbers_in(frames.pixels) == [6, 18, 31, 43]
        assert frames.label == "overview"
        assert len(sample.uniform_fps(2.0)(video, Question("what?")).seconds) == 4


def test_look_gives_each_frame_once(clip: Path) -> None:
    with open_video(clip) as video:
        assert len(look(video, sample.uniform(400)(video, Question("what?")))) == 50
        with pytest.raises(ValueError, match="no moment"):
            look(video, Evidence())


class Slides:
    """A user's own video: it knows nothing of sizes."""

    path, duration_seconds, width_px, height_px, info, notes = "", 3.0, 200, 100, {}, ()

    def at(self, seconds: list[float]) -> Frames:
        return Frames(np.zeros((len(seconds), 3, 100, 200), np.uint8), np.array(sorted(seconds), np.float64))

    def stream(self, fps: float, start_seconds: float = 0.0) -> list[Frames]:
        return []


def test_look_shrinks_any_video(clip: Path) -> None:
    assert isinstance(Slides(), Video)
    frames = look(Slides(), Evidence(seconds=(0.0, 1.0)), size_px=50)  # type: ignore[arg-type]
    assert (frames.width_px, frames.height_px) == (50, 25)
    with open_video(clip) as video:
        assert isinstance(video, VideoFile)
        assert look(video, Evidence(seconds=(0.0,)), size_px=96).width_px == 96
        assert shrunk(video.at([0.0]), None).width_px == 192


def grey(count: int = 3) -> Frames:
    return Frames(np.full((count, 3, 90, 160), 128, np.uint8), np.arange(float(count)))


def test_thumbnails_carry_time_and_boxes() -> None:
    box = Box(1.4, 0.25, 0.25, 0.75, 0.75, label="a <dog>\n", confidence=0.5)
    pictures = draw.thumbnails(grey(), boxes=[box], size_px=160)
    assert [picture.size for picture in pictures] == [(160, 90)] * 3
    assert np.asarray(pictures[0])[45, 40].tolist() == [128, 128, 128]
    assert np.asarray(pictures[1])[45, 39:41].tolist() != [[128] * 3] * 2  # on the frame shown at 1.4 s
    assert np.asarray(pictures[0])[3, 3].tolist() != [128, 128, 128]  # the time mark


def test_boxes_go_to_the_frame_shown_at_their_time() -> None:
    boxes = [Box(time, 0, 0, 1, 1) for time in (0.0, 0.99, 2.0, 9.0)]
    assert [len(here) for here in draw.boxes_by_frame(np.array([0.0, 1.0, 2.0]), boxes)] == [2, 0, 2]
    assert draw.boxes_by_frame(np.zeros(0), boxes) == []


def test_sheet_and_encodings() -> None:
    sheet = draw.contact_sheet(grey(5), columns=2, size_px=80)
    assert sheet.size == (2 * 84 + 4, 3 * 49 + 4)
    for kind in ("JPEG", "PNG", "WEBP"):
        assert Image.open(io.BytesIO(draw.encoded(sheet, kind=kind))).size == sheet.size
    with pytest.raises(ValueError, match="columns=0"):
        draw.contact_sheet(grey(), columns=0)
