"""The values check themselves and print shapes, not pixels."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from videre.types import Answer, Box, Evidence, Frames, Question, Sample, ScoreLine, Span

times = st.floats(0, 1e5, allow_nan=False)
spans = st.tuples(times, times).map(lambda ab: Span(min(ab), max(ab)))


@given(spans, spans)
def test_span_iou_is_symmetric_and_in_range(a, b):
    assert a.iou(b) == b.iou(a)
    assert 0.0 <= a.iou(b) <= 1.0 + 1e-12
    if a.seconds > 0:
        assert a.iou(a) == 1.0


def test_spans_that_only_touch_do_not_overlap():
    assert Span(0, 1).iou(Span(1, 2)) == 0.0
    assert Span(0, 4).overlap_seconds(Span(1, 2)) == 1.0


@pytest.mark.parametrize("bad", [(2.0, 1.0), (math.nan, 1.0), (0.0, math.inf)])
def test_a_span_refuses_what_is_no_stretch_of_time(bad):
    with pytest.raises(ValueError, match=r"span ends before|finite number of seconds"):
        Span(*bad)


@pytest.mark.parametrize("corners", [(0.6, 0, 0.5, 1), (0, 0, 320, 240), (-0.1, 0, 1, 1), (0, 0, math.nan, 1)])
def test_a_box_refuses_pixels_and_crossed_corners(corners):
    with pytest.raises(ValueError, match=r"corners are x0 <= x1"):
        Box(0.0, *corners)


def test_box_iou():
    half, whole = Box(0, 0, 0, 0.5, 1), Box(9, 0, 0, 1, 1)
    assert half.iou(whole) == 0.5
    assert half.iou(Box(0, 0.5, 0, 1, 1)) == 0.0
    assert Box(0, 0.5, 0.5, 0.5, 0.5).iou(half) == 0.0


def frames(count=2, **changes):
    made = {"pixels": np.zeros((count, 3, 4, 6), np.uint8), "seconds": np.arange(count, dtype=np.float64)}
    return Frames(**(made | changes))


def test_frames_print_shapes_not_pixels():
    assert repr(frames(3, label="overview")) == "Frames(uint8 [3, 3, 4, 6], 0.00..2.00 s, 'overview')"
    assert repr(frames(0)) == "Frames(uint8 [0, 3, 4, 6], empty)"
    assert (frames().height_px, frames().width_px, len(frames())) == (4, 6, 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"pixels": np.zeros((2, 4, 6, 3), np.uint8)},
        {"pixels": np.zeros((2, 3, 4, 6), np.float32)},
        {"seconds": np.zeros(3)},
        {"seconds": np.zeros(2, np.float32)},
        {"seconds": np.array([1.0, 0.0])},
        {"seconds": np.array([0.0, np.nan])},
    ],
)
def test_frames_refuse_other_shapes_and_times(changes):
    with pytest.raises((ValueError, TypeError)):
        frames(**changes)


def test_frame_hashes_tell_pixels_and_sizes_apart():
    flat, tall = np.zeros((1, 3, 4, 6), np.uint8), np.zeros((1, 3, 6, 4), np.uint8)
    one = np.zeros(1)
    assert Frames(flat, one).sha256() != Frames(tall, one).sha256()
    assert frames().sha256()[0] == frames().sha256()[1]
    lit = flat.copy()
    lit[0, 0, 0, 0] = 1
    assert Frames(lit, one).sha256() != Frames(flat, one).sha256()


def test_questions_refuse_nothing_and_one_option():
    with pytest.raises(ValueError, match="empty"):
        Question("  \n")
    with pytest.raises(ValueError, match="two options"):
        Question("which?", ("red",))


def test_evidence_checks_order_and_counts():
    with pytest.raises(ValueError, match="ascending"):
        Evidence(seconds=(2.0, 1.0))
    with pytest.raises(ValueError, match="one score a chosen moment"):
        Evidence(seconds=(1.0, 2.0), scores=(0.5,))
    with pytest.raises(ValueError, match="one score a moment"):
        ScoreLine((1.0,), ())


def test_an_answer_prints_its_text_and_a_sample_knows_its_option():
    assert str(Answer("red")) == "red"
    assert Sample("1", "a.mp4", Question("?!", ("red", "blue")), "blue").option == 1
    assert Sample("1", "a.mp4", Question("what?"), "blue").option is None
