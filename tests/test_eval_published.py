"""Every benchmark whose published file is at hand: read by name, answered by one letter, scored without a gap."""

from pathlib import Path

import pytest

from videre import Answer, Evidence, Record, Span
from videre.apps import benchmarks, showing, tables
from videre.evaluate import Run
from videre.jobs import Outcome

PUBLISHED = {
    "activitynet-qa": ("activitynet_qa/test_q.json", {"answers": "activitynet_qa/test_a.json"}),
    "breakfast": ("breakfast/val.json", {}),
    "charades-sta": ("charades_sta/charades_test_release.jsonl", {}),
    "egoschema": ("egoschema/questions.json", {"answers": "egoschema/subset_answers.json"}),
    "epic-kitchens": ("epic_kitchens_100/EPIC_100_validation.csv", {}),
    "longvideobench": ("longvideobench/include_frame_idx.json", {}),
    "lvu": ("lvu/test.json", {}),
    "mlvu": ("mlvu/mlvu.jsonl", {}),
    "msrvtt-captions": ("msrvtt_cap/cap_val.json", {}),
    "msrvtt-qa": ("msrvtt_qa/qa_val.json", {}),
    "msvd-qa": ("msvd_qa/qa_test.json", {}),
    "mvbench": ("mvbench/mvbench.jsonl", {}),
    "nextgqa": (
        "nextgqa/test.csv",
        {"grounds": "nextgqa/gsub_test.json", "folders": "nextgqa/map_vid_vidorID.json"},
    ),
    "nextqa": ("nextqa/test.csv", {}),
    "qvhighlights": ("qvhighlights/highlight_val_release.jsonl", {}),
    "tempcompass": ("tempcompass_official/caption_matching.json", {}),
    "youcook2-captions": ("youcook2/cap_val.json", {}),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_questions_are_all_scored(shared, name):
    file, extras = PUBLISHED[name]
    folder = shared / "corpus" / "annotations"
    found = benchmarks.load(name, folder / file, {key: folder / value for key, value in extras.items()})
    assert found.files["annotations"].startswith("sha256:")
    run = answered(found)
    sections = tables.build(found, run, run)
    assert sections or all(sample.answer is None for sample in found.samples)
    for section in sections.values():
        if "n_items" in section:
            assert section["n_items"] == section["n_scored"] > 0
    counts = {
        "n_defined": len(run.samples),
        "n_missing": 0,
        "n_not_asked": 0,
        "n_without_answer": 0,
        "n_scored": len(run.samples),
        "n_failed": 0,
    }
    text = showing.evaluation({"benchmark": name, "counts": counts, "run": "runs/x", **sections})
    assert f"{len(run.samples)} scored / {len(run.samples)} defined" in text


def test_the_middle_third_scores_as_the_blind_baseline_says(shared):
    """A selector that always names the middle third gets, on published annotations, the baseline's own figures."""
    folder = shared / "corpus" / "annotations" / "nextgqa"
    found = benchmarks.load("nextgqa", folder / "test.csv", {"grounds": folder / "gsub_test.json"})
    seconds = found.durations
    run = answered(found, lambda sample: Span(seconds[sample.id] / 3, 2 * seconds[sample.id] / 3))
    section = tables.grounding(run, found)
    assert section["scores"] == pytest.approx(section["baselines"]["middle_third"])
    assert section["counts"]["n_missing"] == 0


def answered(found, span=None) -> Run:
    """A run in which each question is answered by its first option."""
    records = {
        s.id: Record(
            s.id,
            {"duration_seconds": 60.0},
            s.question,
            Answer("A", 0 if s.question.options else None, evidence=Evidence(spans=(span(s),) if span else ())),
        )
        for s in found.samples
    }
    outcome = Outcome(len(records), 0, 0, 0, 0, 0, Path("answers.jsonl"), "")
    return Run(found.samples, records, outcome)
