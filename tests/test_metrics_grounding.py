"""NExT-GQA to the last digit: single pairs, whole files, baselines, missing rules, the consistency rule."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videre.errors import DataError
from videre.metrics import grounding
from videre.metrics.grounding import Truth, nextgqa

MICRO = json.loads((Path(__file__).parent / "parity" / "nextgqa_micro_cases.json").read_text())


def read(path: Path):
    return json.loads(path.read_text())


def truth_of(path: Path) -> dict[str, Truth]:
    return {f"{v}_{q}": Truth(v, r["duration"], s) for v, r in read(path).items() for q, s in r["location"].items()}


def answers_of(path: Path) -> dict[str, tuple[int, int]]:
    return {key: (row["prediction"], row["answer"]) for key, row in read(path).items()}


def ground(span, segments) -> tuple[float, float]:
    iou, iop = grounding.ground([span], [segments])
    return float(iou[0]), float(iop[0])


@pytest.mark.parametrize("case", MICRO["pairs"], ids=lambda case: f"{case['pred']} in {case['gt']}")
def test_single_pairs_to_the_last_bit(case):
    first_and_last = [[case["pred"][0], case["pred"][-1]]]
    raw = grounding.overlap(np.array(first_and_last, dtype=float), np.array([case["gt"]], dtype=float))
    assert [float(value[0]) for value in raw] == case["official_raw"]
    assert ground(case["pred"], [case["gt"]]) == tuple(case["clamped"])


@pytest.mark.parametrize("case", MICRO["multi_segment"], ids=lambda case: str(case["pred"]))
def test_several_segments(case):
    assert ground(case["pred"], case["gt"]) == pytest.approx((case["IoU"], case["IoP"]), abs=1e-12)


@pytest.mark.parametrize("name", ["case1_test_random_seconds", "case2_val_normalised"])
def test_golden_files(shared, name):
    folder = shared / "golden" / "nextgqa"
    case = read(folder / "expected.json")[name]
    answers = answers_of(folder / case["qa"])
    truth = truth_of(folder / f"gsub_{case['split']}.json")
    found = nextgqa(read(folder / case["ground"]), truth, answers=answers, normalised=case["gs"])
    wanted = case["ground_metrics"]
    assert found.printed() == wanted["official_printed"]
    assert found.metrics == pytest.approx(wanted["full_precision"], abs=1e-9)
    counts = {"n_scored": "n_evaluated", "n_missing": "n_missing", "IoP@0.3": "iop3", "IoP@0.5": "iop5"}
    counts |= {"IoU@0.3": "iou3", "IoU@0.5": "iou5", "Acc@GQA": "gqa"}
    assert {key: found.counts[key] for key in counts} == {key: wanted["counts"][name] for key, name in counts.items()}

    with (folder / f"qa_index_{case['split']}.csv").open() as rows:
        kinds = {f"{row['video_id']}_{row['qid']}": row["type"] for row in csv.DictReader(rows)}
    shares = grounding.nextgqa_answers(answers, kinds)
    wanted = case["qa_metrics"]
    assert {key: [share.right, share.count] for key, share in shares.items()} == wanted["counts"]
    assert {key: f"{share.percent:.2f}" for key, share in shares.items()} == wanted["official_printed"]
    assert {key: share.percent for key, share in shares.items()} == pytest.approx(wanted["full_precision"], abs=1e-9)


def as_printed(score: grounding.GroundedScore) -> dict[str, float]:
    return {name: float(value) for name, value in score.printed().items()}


@pytest.mark.parametrize("split", ["val", "test"])
def test_blind_baselines_table(shared, split):
    table = read(shared / "golden" / "nextgqa" / "trivial_baselines.json")["results"]
    found = grounding.blind_baselines(truth_of(shared / "golden" / "nextgqa" / f"gsub_{split}.json"))
    assert len(found) == 7
    for rule, score in found.items():
        assert as_printed(score) == table[rule][split], rule


def dilated(segment, duration):
    centre, half = (segment[0] + segment[1]) / 2, segment[1] - segment[0]
    return [max(0, centre - half), min(duration, centre + half)]


def following(segment, duration):
    return [max(0, segment[1]), min(duration, 2 * segment[1] - segment[0])]


ORACLES = {
    "gt_hull": lambda segments, duration: [min(s[0] for s in segments), max(s[1] for s in segments)],
    "gt_longest_segment": lambda segments, duration: max(segments, key=lambda s: s[1] - s[0]),
    "gt_centre_point": lambda segments, duration: [sum(segments[0]) / 2] * 2,
    "gt_dilated_x2": lambda segments, duration: dilated(segments[0], duration),
    "gt_next_window(after rule on gt)": lambda segments, duration: following(segments[0], duration),
}


@pytest.mark.parametrize("rule", ORACLES)
def test_what_spans_drawn_from_the_truth_score(shared, rule):
    truth = truth_of(shared / "golden" / "nextgqa" / "gsub_val.json")
    wanted = read(shared / "golden" / "nextgqa" / "trivial_baselines.json")["results"][rule]["val"]
    spans = {key: ORACLES[rule](known.segments, known.duration_seconds) for key, known in truth.items()}
    found = nextgqa(spans, truth, answers=dict.fromkeys(truth, (0, 0)), resamples=0)
    assert as_printed(found) == wanted


def test_missing_spans_official_and_strict():
    truth = {"v_0": Truth("v", 10, [[2, 6]]), "v_1": Truth("v", 10, [[0, 5]])}
    spans, answers = {"v_0": [2, 6], "other_9": [0, 1]}, {"v_0": (1, 1)}
    official = nextgqa(spans, truth, answers=answers)
    strict = nextgqa(spans, truth, answers=answers, missing="zero")
    assert (official.metrics["Acc@GQA"], strict.metrics["Acc@GQA"]) == (100.0, 50.0)
    assert (official.counts["n_scored"], strict.counts["n_scored"]) == (1, 2)
    assert official.counts["n_missing"] == strict.counts["n_missing"] == 1
    assert nextgqa(spans, truth).metrics["Acc@GQA"] == 0.0
    with pytest.raises(DataError, match="1 questions have a span but no answer, such as v_1"):
        nextgqa({"v_0": [2, 6], "v_1": [0, 1]}, truth, answers=answers)
    with pytest.raises(DataError, match="no question has a predicted span"):
        nextgqa({}, truth)


def test_answers_are_compared_as_python_does():
    truth = {"v_0": Truth("v", 10, [[2, 6]])}
    assert nextgqa({"v_0": [3, 4]}, truth, answers={"v_0": ("3", 3)}).metrics["Acc@GQA"] == 0.0


def test_normalised_spans_are_rounded_half_to_even_and_may_collapse():
    truth = {"v_0": Truth("v", 10, [[2, 6]])}
    found = nextgqa({"v_0": [0.301, 0.304]}, truth, normalised=True)
    assert (found.metrics["mIoP"], found.metrics["mIoU"]) == (100.0, 0.0)


TIMES = st.integers(0, 200).map(lambda tenths: tenths / 10)
PAIR = st.tuples(TIMES, TIMES)
SPAN = PAIR.map(sorted)


@st.composite
def systems(draw):
    n = draw(st.integers(1, 25))
    truth = {f"v{i % 5}_{i}": draw(st.lists(SPAN, min_size=1, max_size=3)) for i in range(n)}
    keys = draw(st.lists(st.sampled_from(sorted(truth)), min_size=1, unique=True))
    spans = {key: list(draw(PAIR)) for key in keys}
    answers = {key: (draw(st.integers(0, 2)), draw(st.integers(0, 2))) for key in truth}
    return spans, truth, answers


def known(truth):
    return {key: Truth(key.split("_")[0], 20, segments) for key, segments in truth.items()}


@settings(max_examples=50)
@given(systems(), st.sampled_from(["official", "zero"]))
def test_grounded_accuracy_never_exceeds_its_parts(system, missing):
    spans, truth, answers = system[0], known(system[1]), system[2]
    found = nextgqa(spans, truth, answers=answers, missing=missing, resamples=20)
    scored = dict.fromkeys(found.questions.questions, "CW")
    accuracy = grounding.nextgqa_answers(answers, scored)["Acc@QA"].percent
    assert found.metrics["Acc@GQA"] <= min(accuracy, found.metrics["IoP@0.5"]) + 1e-9
    assert all(0 <= value <= 100 + 1e-9 for value in found.metrics.values())
    assert found.metrics["IoU@0.5"] <= found.metrics["IoU@0.3"]
    assert (found.questions.iou <= found.questions.iop + 1e-12).all()
    for name, (low, high) in found.intervals.items():
        assert low - 1e-9 <= high, name


@settings(max_examples=50)
@given(systems())
def test_strict_is_never_above_official_and_counts_all(system):
    spans, truth, answers = system[0], known(system[1]), system[2]
    official, strict = (nextgqa(spans, truth, answers=answers, missing=m, resamples=0) for m in ("official", "zero"))
    assert strict.counts["n_scored"] == strict.counts["n_items"] == len(truth)
    assert all(strict.metrics[name] <= official.metrics[name] + 1e-9 for name in grounding.METRICS)
    assert official.counts["n_scored"] + official.counts["n_missing"] == len(truth)


@given(st.lists(SPAN, min_size=1, max_size=4), SPAN)
def test_more_true_segments_never_lower_a_score(segments, span):
    few, more = ground(span, segments[:1]), ground(span, segments)
    assert few[0] <= more[0]
    assert few[1] <= more[1]


def test_the_true_answer_is_perfect_unless_it_is_a_point():
    rng = np.random.default_rng(0)
    for start, length in rng.random((50, 2)) * 10:
        assert ground([start, start + length + 0.1], [[start, start + length + 0.1]]) == (1.0, 1.0)
