"""The operators of MSR-ViR and the 18 worked policies, against figures kept beside the checkout."""

import json

import numpy as np
import pytest

from videre.methods.msr_vir import operators, paper
from videre.methods.msr_vir.execute import ground
from videre.methods.msr_vir.policy import read
from videre.types import Frames, Span


@pytest.fixture(scope="module")
def ops(shared):
    return json.loads((shared / "golden/nextgqa/most_ops.json").read_text())


@pytest.fixture(scope="module")
def worked(shared):
    return json.loads((shared / "golden/nextgqa/policy_worked_examples.json").read_text())


def ends(span):
    return [span.start_seconds, span.end_seconds]


def test_temporal_operators(ops):
    for case in ops["temporal_localize"]:
        assert ends(operators.localized(case["prep"], Span(*case["span"]), case["duration"])) == case["expected"]
    for case in ops["temporal_between"]:
        assert ends(operators.hull(Span(*case["a"]), Span(*case["b"]))) == case["expected"]
    for case in ops["temporal_truncate_positions"]:
        assert list(operators.moments(Span(*case["span"]), case["n"])) == case["expected_seconds"]


def test_spatial_operators(ops):
    for case in ops["spatial_localize"]:
        kind = operators.relation_kind(case["relation"])
        box = operators.beside(kind, tuple(case["box"]), width_px=case["w"], height_px=case["h"])
        assert list(box) == case["expected"]
    for case in ops["spatial_truncate_box"]:
        assert list(operators.union([tuple(box) for box in case["boxes"]])) == case["expected"]


def test_the_worked_policies_have_their_ids(worked):
    assert len(worked) == 18
    for example in worked:
        assert read(example["policy"]).id == example["policy_id"], example["id"]


def test_the_papers_spelling_of_figure_3_is_worked_policy_2(worked):
    person = {"module": "locate_obj", "params": ["the person"]}
    event = {"module": "detect_act", "params": ["the person put down the blanket"]}
    when = {"module": "temporal_localize", "params": ["after", event]}
    where = {"module": "spatial_localize", "params": ["sitting on", person]}
    spelled = {
        "temporal_localizer": {"module": "temporal_truncate", "params": [when]},
        "spatial_localizer": {"module": "spatial_truncate", "params": [where]},
    }
    assert read(spelled).id == worked[1]["policy_id"]
    assert paper.exported(read(spelled)) == spelled


class Scripted:
    """A video, a grounder and a detector that know what a worked example says: doubles for models in tests only."""

    name = "scripted"
    path, info, notes = "", {"sha256": "0"}, ()

    def __init__(self, told):
        self.told, self.duration_seconds = told, told["duration"]
        self.width_px, self.height_px = told["width"], told["height"]

    def at(self, seconds):
        times = np.unique(np.array(seconds, np.float64))
        return Frames(np.zeros((len(times), 3, self.height_px, self.width_px), np.uint8), times)

    def stream(self, fps, start_seconds=0.0):
        raise NotImplementedError

    card = {"name": "scripted"}  # noqa: RUF012

    def ground(self, video, query, *, window, top_k=1):
        hits = [Span(float(a), float(b)) for a, b in self.told["acts"].get(query, [])]
        return [hit for hit in hits if hit.overlap_seconds(window) == hit.seconds]

    def detect(self, frames, query):
        box = self.told["objects"].get(query)
        return [[(*map(float, box), 1.0)] if box else [] for _ in frames.seconds]


def test_the_worked_policies_lead_where_they_should(worked):
    for example in worked:
        fake = Scripted(example["fake_video"])
        evidence, events = ground(
            read(example["policy"]), fake, grounder=fake, detector=fake, question=example["question"], frames=2
        )
        assert ends(evidence.spans[0]) == example["expected_span"], example["id"]
        wanted = [event for event in events if event["op"] != "spatial"]
        assert wanted == example["events"], example["id"]
        crops = {(b.x0 * 640, b.y0 * 480, b.x1 * 640, b.y1 * 480) for b in evidence.boxes}
        expected = example["expected_crop"]
        assert crops == set() if expected is None else all(list(c) == pytest.approx(expected) for c in crops) and crops
