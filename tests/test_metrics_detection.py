"""Labelled spans and boxes on frames: properties, and intervals that equal a resampling done by hand."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videre.metrics import detection
from videre.metrics.moments import envelope_area
from videre.types import Box, Span

VIDEOS = st.sampled_from(["v1", "v2", "v3"])
CONFIDENCE = st.integers(0, 4).map(lambda n: n / 4)
SPAN = st.builds(
    lambda start, length, sure, label: Span(float(start), float(start + length), sure, label),
    st.integers(0, 20), st.integers(1, 9), CONFIDENCE, st.sampled_from("ab"),
)  # fmt: skip
SPANS = st.dictionaries(VIDEOS, st.lists(SPAN, max_size=5))
SOME_SPANS = st.dictionaries(VIDEOS, st.lists(SPAN, min_size=1, max_size=4), min_size=1)
BOX = st.builds(
    lambda x, y, size, sure, label: Box(1.0, x / 10, y / 10, (x + size) / 10, (y + size) / 10, label, sure),
    st.integers(0, 5), st.integers(0, 5), st.integers(1, 4), CONFIDENCE, st.sampled_from("ab"),
)  # fmt: skip
BOXES = st.dictionaries(VIDEOS, st.lists(BOX, max_size=5))
SOME_BOXES = st.dictionaries(VIDEOS, st.lists(BOX, min_size=1, max_size=4), min_size=1)


@settings(max_examples=40, deadline=None)
@given(SPANS, SOME_SPANS)
def test_spans_are_in_range_and_fall_with_the_threshold(said, truth):
    found = detection.localise(said, truth)
    values = list(found.precision.values())
    assert all(-1e-12 <= value <= 1 + 1e-12 for value in [*values, *found.labels.values()])
    assert all(a >= b - 1e-12 for a, b in itertools.pairwise(values))
    assert found.labels.keys() == {span.label for spans in truth.values() for span in spans}
    assert (found.mean_interval is None) == (len(truth) < 2)
    assert detection.localise({}, truth).mean_precision == 0.0


@settings(max_examples=40, deadline=None)
@given(SOME_SPANS)
def test_the_truth_is_perfect_and_so_are_its_draws(truth):
    distinct = {video: list(dict.fromkeys(spans)) for video, spans in truth.items()}
    apart = {
        v: [s for i, s in enumerate(some) if all(s.iou(o) < 0.5 for o in some[:i])] for v, some in distinct.items()
    }
    found = detection.localise(apart, apart)
    assert found.mean_precision == pytest.approx(1.0)
    if found.mean_interval:
        assert found.mean_interval == pytest.approx((1.0, 1.0))


@settings(max_examples=40, deadline=None)
@given(SPANS, SOME_SPANS, SPAN)
def test_a_wrong_span_behind_all_others_costs_nothing_and_an_unknown_label_neither(said, truth, odd):
    last = Span(odd.start_seconds + 500, odd.end_seconds + 500, -1.0, odd.label)
    more = {**said, "v1": [*said.get("v1", []), last, Span(0.0, 1.0, 1.0, "unknown")]}
    assert detection.localise(more, truth).precision == pytest.approx(detection.localise(said, truth).precision)


@settings(max_examples=40, deadline=None)
@given(BOXES, SOME_BOXES)
def test_boxes_are_in_range_and_silence_scores_nothing(said, truth):
    found = detection.boxes_on_frames(said, truth)
    assert all(-1e-12 <= value <= 1 + 1e-12 for value in found.labels.values())
    assert found.mean_precision == pytest.approx(np.mean(list(found.labels.values())))
    assert detection.boxes_on_frames({}, truth).mean_precision == 0.0
    alone = detection.boxes_on_frames(said, truth, labels=["a"])
    assert alone.labels == {label: value for label, value in found.labels.items() if label == "a"}
    assert math.isnan(detection.boxes_on_frames(said, truth, labels=[]).mean_precision)


@settings(max_examples=40, deadline=None)
@given(SOME_BOXES, st.randoms(use_true_random=False))
def test_the_order_of_frames_does_not_matter_where_nothing_ties(truth, rng):
    sure = iter(np.linspace(0.9, 0.1, 20))
    said = {f: [Box(b.seconds, b.x0, b.y0, b.x1, b.y1, b.label, next(sure)) for b in some] for f, some in truth.items()}
    order = rng.sample(list(said), len(said))
    one, other = (detection.boxes_on_frames(some, truth) for some in (said, {frame: said[frame] for frame in order}))
    assert one.labels == pytest.approx(other.labels)


RANKED = st.lists(st.tuples(st.booleans(), st.integers(0, 3)), min_size=1, max_size=12)


@settings(max_examples=50, deadline=None)
@given(RANKED, st.integers(1, 5))
def test_weighted_areas_are_those_of_predictions_written_out(ranked, missed):
    hits = np.array([hit for hit, _ in ranked])
    weights = np.array([weight for _, weight in ranked])
    count = int((hits * weights).sum()) + missed
    (found,) = detection.weighted_areas(hits[None], weights[None], np.array([count]))[0]
    written_out = np.repeat(hits, weights)[None]
    assert found == pytest.approx(envelope_area(written_out, count)[0] if written_out.size else 0.0)


def test_a_draw_without_truth_has_no_area():
    areas = detection.weighted_areas(np.array([[True]]), np.array([[0], [1]]), np.array([0, 1]))
    assert math.isnan(areas[0, 0])
    assert areas[0, 1] == 1.0


def test_intervals_hold_the_score_and_narrow_with_more_videos():
    def case(n: int) -> detection.Localisation:
        truth = {f"v{i}": [Span(0.0, 10.0, label="a")] for i in range(n)}
        said = {f"v{i}": [Span(0.0, 10.0 if i % 2 else 4.0, 0.5 + i / 999, "a")] for i in range(n)}
        return detection.localise(said, truth)

    few, many = case(8), case(200)
    for found in (few, many):
        low, high = found.mean_interval
        assert low <= found.mean_precision <= high
    assert many.mean_interval[1] - many.mean_interval[0] < few.mean_interval[1] - few.mean_interval[0]


def test_boxes_are_drawn_with_their_video():
    box = Box(1.0, 0.0, 0.0, 0.5, 0.5, "a", 0.5)
    truth = {"v,1": [box], "v,2": [box], "w,1": [box]}
    one = detection.boxes_on_frames({"v,1": [box]}, truth, groups=dict.fromkeys(truth, "v"))
    assert one.interval is None
    two = detection.boxes_on_frames({"v,1": [box]}, truth, groups={frame: frame[0] for frame in truth})
    assert two.interval == pytest.approx((0.0, 0.5))  # of (v, v), (v, w) and (w, w): 1 of 2, 1 of 3, none


def test_spans_are_gone_through_once_however_many_labels_there_are():
    class Counted(list):
        times = 0

        def __iter__(self):
            Counted.times += 1
            return super().__iter__()

    truth = {"v": [Span(0.0, 1.0, label=str(n)) for n in range(50)]}
    said = {"v": Counted(Span(0.0, 1.0, 0.5, str(n)) for n in range(50))}
    assert detection.localise(said, truth).mean_precision == 1.0
    assert Counted.times < 5
