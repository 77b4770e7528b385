"""Video-STaR's label verifiers against the executed official code (orrzohar/Video-STaR at 191559d)."""

import json
from functools import cache

import numpy as np
import pytest

from videre.methods.video_star import official, prompts, sentences
from videre.methods.video_star.label import OFFICIAL_KINDS, PROFILES, Label, Row
from videre.methods.video_star.verify import Verifier

WITHOUT_TAGGER = {"timestamp", "float", "bbox", "simple", "obj_identify"}


@pytest.fixture(scope="module")
def golden(shared):
    return cache(lambda name: json.loads((shared / "golden" / "video_star" / name).read_text()))


def row_of(case) -> Row:
    label = Label(case["label_type"], OFFICIAL_KINDS[case["verifier_type"]], case["label"])
    return Row(case["id"], "clip.mp4", "a question", (label,), duration_seconds=20.0)


def test_official_verdicts(golden):
    cases = [case for case in golden("verdicts.json") if case["verifier_type"] in WITHOUT_TAGGER]
    assert len(cases) == 45
    for case in cases:
        stub = case.get("qa_stub")
        verifier = Verifier(PROFILES["official"], read=(lambda q, t, s=stub: s["answer"]) if stub else None)
        verdict = verifier.verdicts(case["output"], row_of(case))[0]
        assert (verdict.status == "accept") == bool(case["official"].get("verdict")), case["id"]
        if "error" in case["official"]:
            assert case["official"]["error"].split(":")[0] in verdict.reason
        elif case["verifier_type"] in ("timestamp", "float", "bbox") and case["official"]["parsed"] != [None] * 4:
            assert verdict.found == case["official"]["parsed"]


def test_official_ranges_from_what_its_tagger_read(golden):
    cases = [case for case in golden("verdicts.json") if case["verifier_type"] == "temporal_range"]
    for case in cases:
        pair = case["official"]["parsed"]
        verifier = Verifier(PROFILES["official"], tag=lambda text, p=pair: [] if p[0] is None else p)
        assert (verifier.verdicts(case["output"], row_of(case))[0].status == "accept") == case["official"]["verdict"]


def test_official_primitives(golden):
    cases = golden("primitives.json")
    assert len(cases) == 38
    for case in cases:
        function = getattr(official, case["fn"])
        if isinstance(case["result"], str):
            with pytest.raises(Exception, match=r".*") as raised:
                function(*case["args"])
            assert raised.type.__name__ == case["result"].removeprefix("error:")
        else:
            assert function(*case["args"]) == bool(case["result"]), case


def test_the_default_profile_gives_the_recommended_verdicts(golden):
    cases = golden("verdicts.json")
    wanted = {True: "accept", False: "reject", "abstain": "abstain"}
    wrong = [
        case["id"]
        for case in cases
        if Verifier().verdicts(case["output"], row_of(case))[0].status != wanted[case["recommended"]]
    ]
    assert len(cases) == 66
    assert wrong == []


def test_official_sequence_matrices(golden):
    for case in golden("sequence_matrix_verdicts.json"):
        likeness = np.array(case["similarity"])
        test = official.in_order if case["order_matters"] else official.all_found
        assert test(likeness, case["threshold"]) == case["official"], case["name"]


def test_recommended_sequence_matrices(golden):
    profile = PROFILES["default"]
    for case in golden("sequence_matrix_verdicts.json"):
        likeness = np.array(case["similarity"])
        steps, parts = case["label_sequence"], case["sentences"]
        apart = [[sentences.is_negated(s) != sentences.is_negated(p) for p in parts] for s in steps]
        likeness[np.array(apart)] = 0.0
        ordered = case["order_matters"]
        found = sentences.monotone(likeness, profile.step) if ordered else sentences.covered(likeness, profile.sentence)
        assert (found is not None) == case["recommended"], case["name"]


def test_prompts(golden):
    told = golden("prompts.json")
    question = "On a scale of 1 to 100, how good is the dive?"
    label = {"action_sequence": ["Back", "3.5 Soms.Tuck", "Entry"], "action_difficulty": 3.3, "final_score": 63.0}
    assert prompts.answer(question) == told["answer_generation"]
    assert prompts.rationalize(question, label, official=True) == told["label_rationalization"]
    assert [prompts.label_text(c["label"], official=True) for c in told["label_strings"]] == [
        c["label_string"] for c in told["label_strings"]
    ]


def test_nothing_is_lost_where_official_chunks_lose_items(golden):
    for case in golden("chunk_loss.json"):
        size = case["total"] // case["num_chunks"]
        assert size * case["num_chunks"] == case["kept"]
        total = min(case["total"], 1003)
        parts = [range(total)[k :: case["num_chunks"]] for k in range(case["num_chunks"])]
        assert sorted(i for part in parts for i in part) == list(range(total))
