"""Moments, highlights, labelled spans and boxes: published scores, cases by hand, properties."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videre.errors import DataError
from videre.metrics import detection, highlights, moments
from videre.types import Box, Span

PARITY = Path(__file__).parent / "parity" / "mmaction2"
WINDOW = st.tuples(st.integers(0, 100), st.integers(1, 50)).map(lambda w: [float(w[0]), float(w[0] + w[1])])
TRUTH = st.dictionaries(st.integers(0, 8), st.lists(WINDOW, min_size=1, max_size=4), min_size=1)


@given(TRUTH, st.data())
def test_the_truth_scores_everything_and_silence_nothing(truth, data):
    for query, windows in truth.items():
        truth[query] = list(map(list, {tuple(window) for window in windows}))
    perfect = moments.retrieve(truth, truth)
    assert perfect.mean_precision == pytest.approx(1.0)
    assert perfect.mean_iou == pytest.approx(1.0)
    silent = moments.retrieve({}, truth)
    assert silent.mean_precision == silent.mean_iou == 0.0
    assert silent.n_missing == silent.n_queries == len(truth)


@given(TRUTH, st.dictionaries(st.integers(0, 8), st.lists(WINDOW, max_size=12)))
def test_scores_are_in_range_and_fall_with_the_threshold(truth, said):
    found = moments.retrieve(said, truth)
    recall = [share.value for share in found.recall.values()]
    precision = list(found.precision.values())
    assert all(0 <= value <= 1 + 1e-12 for value in [*recall, *precision, found.mean_iou])
    assert recall == sorted(recall, reverse=True)
    assert precision == sorted(precision, reverse=True)
    assert all(share.count == len(truth) for share in found.recall.values())


def test_average_precision_by_hand():
    truths = np.array([[0.0, 10.0], [20.0, 30.0]])
    spans = np.array([[0.0, 10.0, 0.9], [0.0, 10.0, 0.8], [20.0, 30.0, 0.7]])
    # Hit, miss (its truth is taken), hit: precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1.
    assert moments.average_precision(spans, truths, [0.5])[0] == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert moments.average_precision(spans[:, :2], truths, [0.5])[0] == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert moments.average_precision(np.zeros((0, 3)), truths, [0.5])[0] == 0


def test_overlaps_agree_with_span_iou():
    rng = np.random.default_rng(0)
    spans = np.sort(rng.random((20, 2)), axis=1)
    table = moments.overlaps(spans[:10], spans[10:])
    for i, a in enumerate(spans[:10]):
        for j, b in enumerate(spans[10:]):
            assert table[i, j] == pytest.approx(Span(*a).iou(Span(*b)))


def test_a_query_without_a_true_window_is_refused():
    with pytest.raises(DataError, match="true window"):
        moments.retrieve({}, {"q": []})


def test_read_span():
    assert moments.read_span("from 7.5 to 2 seconds") == Span(2.0, 7.5)
    assert moments.read_span("at 7 s") is None


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=30))
def test_ranked_precision_properties(clips):
    relevant = np.array([mark for mark, _ in clips])
    scores = np.array([float(score) for _, score in clips])
    value = float(highlights.ranked_precision(relevant, scores))
    assert 0 <= value <= 1
    assert float(highlights.ranked_precision(relevant, relevant.astype(float))) == float(relevant.any())
    shuffled = np.random.default_rng(0).permutation(len(clips))
    assert highlights.ranked_precision(relevant[shuffled], scores[shuffled]) == pytest.approx(value)


def test_highlights_by_hand():
    truth = {"q": np.array([[4.0, 0.0], [0.0, 0.0], [4.0, 4.0]])}
    found = highlights.highlights({"q": [0.9, 0.1, 0.5]}, truth, least=4)
    assert found.hit_at_1 == 1.0
    assert found.mean_precision == pytest.approx((1.0 + 0.5) / 2)
    assert highlights.highlights({}, truth, least=4).mean_precision == 0.0
    assert highlights.highlights({"q": [0.0, 0.0, 0.0, 9.0]}, truth, least=4).hit_at_1 == 0.0
    table = highlights.saliency_of([1], [[1, 2, 3]], duration_seconds=7)
    assert table.tolist() == [[0, 0, 0], [1, 2, 3], [0, 0, 0]]


def test_activitynet_localisation_of_mmaction2():
    truth = {
        video[2:]: [Span(*map(float, row["segment"]), label=row["label"]) for row in known["annotations"]]
        for video, known in json.loads((PARITY / "localization_gt.json").read_text()).items()
    }
    said = {
        video: [Span(*map(float, row["segment"]), confidence=row["score"], label=row["label"]) for row in rows]
        for video, rows in json.loads((PARITY / "localization_result.json").read_text())["results"].items()
    }
    found = detection.localise(said, truth)
    wanted = [0.71428571] * 3 + [0.6875] * 2 + [0.59722222] + [0.52083333] * 3 + [0.5]
    assert list(found.precision.values()) == pytest.approx(wanted, abs=5e-9)
    assert found.mean_precision == pytest.approx(0.6177579365079365, abs=1e-12)
    assert detection.localise(truth, truth).mean_precision == 1.0
    assert detection.localise({}, truth).mean_precision == 0.0


def boxes(name: str) -> dict[str, list[Box]]:
    frames: dict[str, list[Box]] = {}
    for row in csv.reader((PARITY / name).read_text().splitlines()):
        if row:
            box = Box(float(row[1]), *map(float, row[2:6]), label=row[6], confidence=float(row[7]))
            frames.setdefault(f"{row[0]},{row[1]}", []).append(box)
    return frames


def test_ava_detection_of_mmaction2():
    said, truth = boxes("detection_pred.csv"), boxes("detection_gt.csv")
    assert detection.boxes_on_frames(said, truth).mean_precision == pytest.approx(0.09385522, abs=5e-9)
    assert detection.boxes_on_frames(truth, truth).mean_precision == 1.0
    assert detection.boxes_on_frames(said, truth, labels=["2"]).labels == {"2": 0.0}


@settings(max_examples=50, deadline=None)
@given(TRUTH, st.dictionaries(st.integers(0, 8), st.lists(WINDOW, max_size=12)), st.booleans())
def test_queries_scored_at_once_are_those_scored_one_by_one(truth, said, scored):
    if scored:
        said = {query: [[*window, float(i % 3)] for i, window in enumerate(some)] for query, some in said.items()}
    found = moments.retrieve(said, truth)
    for place, (query, windows) in enumerate(truth.items()):
        own = np.array(said.get(query, [])[:10], dtype=np.float64).reshape(-1, 3 if scored else 2)
        alone = moments.average_precision(own, np.array(windows), moments.THRESHOLDS)
        assert found.queries[place] == pytest.approx(alone)
        best = max((Span(*own[0, :2]).iou(Span(*window)) for window in windows), default=0.0) if len(own) else 0.0
        assert found.ious[place] == pytest.approx(best)


def naive_precision(spans: np.ndarray, truths: np.ndarray, threshold: float) -> float:
    """The official loops, written out: each span claims the free truth that it overlaps most."""
    free, hits = list(range(len(truths))), []
    for span in spans:
        iou = {g: Span(*span).iou(Span(*truths[g])) for g in free}
        best = max(iou, key=lambda g: (iou[g], g), default=None)
        hits.append(best is not None and iou[best] >= threshold)
        if hits[-1]:
            free.remove(best)
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1) if hits else np.zeros(0)
    return sum(precision[i:].max() for i, hit in enumerate(hits) if hit) / len(truths)


@settings(max_examples=50, deadline=None)
@given(st.lists(WINDOW, max_size=8), st.lists(WINDOW, min_size=1, max_size=4))
def test_average_precision_is_that_of_the_loops(spans, truths):
    said, true = np.array(spans).reshape(-1, 2), np.array(truths)
    for threshold in (0.3, 0.5, 0.75):
        (found,) = moments.average_precision(said, true, [threshold])
        assert found == pytest.approx(naive_precision(said, true, threshold))


@given(TRUTH, st.dictionaries(st.integers(0, 8), st.lists(WINDOW, max_size=4)))
@settings(max_examples=20, deadline=None)
def test_intervals_of_moments_hold_their_scores(truth, said):
    found = moments.retrieve(said, truth)
    pairs = [(found.mean_iou, found.mean_iou_interval), (found.mean_precision, found.mean_precision_interval)]
    pairs += [(found.precision[x], found.precision_interval(x)) for x in (0.5, 0.75)]
    for value, (low, high) in pairs:
        assert low - 1e-9 <= high
        assert min(found.ious.min(), found.queries.min()) - 1e-9 <= low
        assert high <= 1 + 1e-9
        if len(truth) == 1:
            assert (low, high) == pytest.approx((value, value))
