"""Published prediction files come out at their published scores, and faults of files are named."""

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from videre import score
from videre.errors import NO_INPUT, DataError


def read(path: Path):
    return json.loads(path.read_text())


@pytest.fixture(scope="session")
def results(shared) -> Path:
    return shared / "corpus" / "results"


@pytest.fixture(scope="session")
def expected(results) -> dict:
    return {entry["name"]: entry["expected"] for entry in read(results / "expected.json")}


@pytest.mark.parametrize("rule", ["whole_video", "centre_third", "random_span", "point_at_centre"])
def test_nextgqa_baselines(results, expected, rule):
    folder = results / "nextgqa"
    found = score.score_nextgqa(
        folder / f"val_ground_{rule}.json", folder / "gsub_val.json", answers=folder / "val_qa_random.json"
    )
    wanted = dict(expected["nextgqa_val_baselines"][rule])
    assert found["counts"]["n_scored"] == found["counts"]["n_items"] == wanted.pop("n")
    assert f"{found['answers']['scores']['Acc@QA']:.1f}" == f"{wanted.pop('Acc'):.1f}"
    assert found["printed"] == {name: f"{value:.1f}" for name, value in wanted.items()}
    assert found["strict"] == found["scores"]
    for name, (low, high) in found["intervals"].items():
        assert low <= found["scores"][name] <= high
    blind = found["baselines"]["middle_point"]
    assert blind["IoP@0.5"] == pytest.approx(26.4, abs=0.05)
    json.dumps(found)


def test_nextgqa_golden_with_kinds_normalised_and_subset(shared, tmp_path):
    folder = shared / "golden" / "nextgqa"
    case = read(folder / "expected.json")["case2_val_normalised"]
    files = [folder / case["ground"], folder / "gsub_val.json"]
    more = {"answers": folder / case["qa"], "questions": folder / "qa_index_val.csv", "normalised": True}
    found = score.score_nextgqa(*files, **more)
    assert found["printed"] == case["ground_metrics"]["official_printed"]
    printed = {name: f"{value:.2f}" for name, value in found["answers"]["scores"].items()}
    assert printed == case["qa_metrics"]["official_printed"]
    assert found["answers"]["n_other_answer"] == 0

    ids = list(read(files[0]))[:10]
    subset = tmp_path / "ids.txt"
    subset.write_text("\n".join(ids))
    assert score.score_nextgqa(*files, **more, subset=subset)["counts"]["n_scored"] == 10
    without = score.score_nextgqa(*files, normalised=True)
    assert "Acc@GQA" not in without["scores"]
    assert without["answers"] is None


def test_nextgqa_checks_the_true_answers_of_a_published_csv(tmp_path):
    (tmp_path / "gsub.json").write_text(json.dumps({"v": {"duration": 9, "fps": 1, "location": {"0": [[1, 3]]}}}))
    (tmp_path / "spans.json").write_text('{"v_0": [1, 2], "w_7": [0, 1]}')
    (tmp_path / "qa.json").write_text('{"v_0": {"prediction": 1, "answer": 1}}')
    with (tmp_path / "q.csv").open("w") as out:
        rows = csv.writer(out)
        rows.writerow(["video_id", "question", "answer", "qid", "type", "a0", "a1", "a2", "a3", "a4"])
        rows.writerow(["v", "why", "run", "0", "CW", "run", "sit", "eat", "fly", "dig"])
    found = score.score_nextgqa(
        tmp_path / "spans.json", tmp_path / "gsub.json", answers=tmp_path / "qa.json", questions=tmp_path / "q.csv"
    )
    assert found["answers"]["other_answer"] == ["v_0"]
    assert found["counts"]["n_unknown"] == 1


def test_nextgqa_says_what_is_missing(tmp_path):
    truth = {"v": {"duration": 9, "fps": 1, "location": {"0": [[1, 3]], "1": [[2, 4]]}}}
    (tmp_path / "gsub.json").write_text(json.dumps(truth))
    (tmp_path / "spans.json").write_text('{"v_0": [1, 2]}')
    found = score.score_nextgqa(tmp_path / "spans.json", tmp_path / "gsub.json")
    assert (found["scores"]["mIoP"], found["strict"]["mIoP"]) == (100.0, 50.0)
    assert "1 questions have no span" in found["notes"][0]
    (tmp_path / "qa.json").write_text('{"v_1": {"prediction": 1, "answer": 1}}')
    found = score.score_nextgqa(tmp_path / "spans.json", tmp_path / "gsub.json", answers=tmp_path / "qa.json")
    assert found["scores"] == found["strict"]
    assert found["answers"]["scores"] == {"Acc@QA": 50.0}
    assert "the official script would stop" in found["notes"][0]


def test_qvhighlights(results, expected):
    folder = results / "qvhighlights"
    found = score.score_qvhighlights(
        folder / "moment_detr_sample_val_preds.jsonl", folder / "highlight_val_release.jsonl"
    )
    assert {name: round(value, 2) for name, value in found["scores"].items()} == expected["qvhighlights_moment_detr"]
    raw = read(folder / "moment_detr_sample_val_preds_metrics_raw.json")
    for length, tables in found["detail"].items():
        for name, table in tables.items():
            wanted = {iou: value for iou, value in raw[length][name].items() if iou != "average"}
            assert {iou: f"{value:.2f}" for iou, value in table.items()} == {k: f"{v:.2f}" for k, v in wanted.items()}
    assert found["counts"] == {"n_queries": 1550, "n_missing": 0, "n_unknown": 0, "n_missing_saliency": 0}
    assert found["intervals"].keys() == found["scores"].keys()
    for name, (low, high) in found["intervals"].items():
        assert low < found["scores"][name] < high
    whole, level = found["baselines"]["whole_video"], found["baselines"]["level_saliency"]
    assert 0 < whole["MR-full-mAP"] < found["scores"]["MR-full-mAP"]
    assert 0 < level["HL-min-VeryGood-mAP"] < found["scores"]["HL-min-VeryGood-mAP"]


def test_charades_sta(tmp_path):
    (tmp_path / "gt.jsonl").write_text(
        '{"qid": 1, "relevant_windows": [[0, 10]]}\n{"qid": 2, "relevant_windows": [[0, 10]]}\n'
    )
    (tmp_path / "said.jsonl").write_text('{"qid": 1, "pred_relevant_windows": [[0, 4, 1.0]]}\n')
    found = score.score_charades_sta(tmp_path / "said.jsonl", tmp_path / "gt.jsonl")
    assert found["scores"] == {"R1@0.3": 50.0, "R1@0.5": 0.0, "R1@0.7": 0.0, "mIoU": pytest.approx(20.0)}
    assert found["counts"]["n_missing"] == 1


@pytest.mark.parametrize("name", ["sim_no_ties", "sim_with_ties"])
def test_retrieval(results, expected, name):
    path = results / "retrieval" / f"{name}.npy"
    for direction, variants in expected["retrieval_synthetic"][name].items():
        for variant, wanted in variants.items():
            popular = variant == "mil_nce_clip4clip_code"
            ties = "mean" if popular else variant.removesuffix("_rank")
            found = score.score_retrieval(path, ties=ties, popular_ties=popular)
            scores, counts = found["scores"][direction], found["counts"][direction]
            got = {k: scores[k] / 100 if k.startswith("R") else scores[k] for k in wanted if k != "rows_counted"}
            assert got == pytest.approx({k: v for k, v in wanted.items() if k != "rows_counted"}, abs=1e-12)
            assert counts["n_ranks"] == (wanted["rows_counted"] if popular else counts["n_queries"])


def test_tempcompass(results):
    folder = results / "tempcompass"
    entry = next(e for e in read(results / "expected.json") if e["name"] == "tempcompass_video_llava_multi_choice")
    found = score.score_tempcompass(folder / "video-llava.multi-choice.pred.json", meta_info=folder / "meta_info.json")
    assert {name: round(value, 1) for name, value in found["scores"].items()} == entry["expected"]
    assert {k: round(v, 1) for k, v in found["fine_grained"].items()} == entry["expected_fine_grained"]
    assert found["counts"] == {"n_items": entry["n"], "n_scored": entry["n"], "n_unmatched": 0, "n_missing": 0}


def test_tempcompass_without_a_prediction_is_wrong(tmp_path):
    asked = {"question": "q?\nA. run\nB. sit", "answer": "A. run"}
    (tmp_path / "gt.json").write_text(
        json.dumps({"v": {"action": [asked, {**asked, "question": "other?\nA. run\nB. sit"}]}})
    )
    (tmp_path / "said.json").write_text(json.dumps({"v.mp4": {"action": [{**asked, "prediction": "A"}]}}))
    found = score.score_tempcompass(tmp_path / "said.json", annotations=tmp_path / "gt.json")
    assert found["scores"] == {"action": 50.0, "avg": 50.0}
    assert found["counts"] == {"n_items": 2, "n_scored": 2, "n_unmatched": 1, "n_missing": 1}


@pytest.mark.parametrize("task", ["multi-choice", "yes_no", "caption_matching"])
def test_tempcompass_of_the_published_questions(shared, tmp_path, task):
    official = shared / "corpus" / "annotations" / "tempcompass_official" / f"{task}.json"
    said = {
        video: {aspect: [{**row, "prediction": row["answer"]} for row in rows] for aspect, rows in aspects.items()}
        for video, aspects in read(official).items()
    }
    (tmp_path / "said.json").write_text(json.dumps(said))
    found = score.score_tempcompass(tmp_path / "said.json", annotations=official, task=task)
    assert set(found["scores"].values()) == {100.0}
    assert found["counts"]["n_missing"] == found["counts"]["n_unmatched"] == 0
    chance, constant = found["baselines"].values()
    assert 25 < chance < 100 / 3 if task == "multi-choice" else chance == 50.0
    answers = [row["answer"] for aspects in said.values() for rows in aspects.values() for row in rows]
    if task != "caption_matching":  # its options have several names: Option 1, Sentence A, ...
        assert constant == pytest.approx(max(Counter(a.split(".")[0] for a in answers).values()) / len(answers) * 100)


def test_activitynet_qa_of_the_published_answers(shared, tmp_path):
    answers = shared / "corpus" / "annotations" / "activitynet_qa" / "test_a.json"
    rows = read(answers)
    perfect = score.score_activitynet_qa(answers, answers)
    assert perfect["scores"]["All"] == 100.0
    (tmp_path / "said.json").write_text(json.dumps([{"question_id": r["question_id"], "pred": "yes"} for r in rows]))
    found = score.score_activitynet_qa(tmp_path / "said.json", answers)
    assert found["right"]["All"] == [sum(r["answer"] == "yes" for r in rows), len(rows)]
    (tmp_path / "few.jsonl").write_text(json.dumps({"question_id": rows[0]["question_id"], "pred": "Yes."}))
    few = score.score_activitynet_qa(tmp_path / "few.jsonl", answers, match="words")
    assert few["counts"]["n_missing"] == len(rows) - 1
    assert few["counts"]["n_scored"] == len(rows)


def test_localisation_and_detection(expected):
    folder = Path(__file__).parent / "parity" / "mmaction2"
    found = score.score_activitynet_localisation(folder / "localization_result.json", folder / "localization_gt.json")
    assert found["scores"]["mAP"] == pytest.approx(expected["activitynet_localization"]["average_mAP"], abs=1e-12)
    by_threshold = [value for name, value in found["scores"].items() if name != "mAP"]
    assert by_threshold == pytest.approx(expected["activitynet_localization"]["mAP_at_tIoU_0_5_to_0_95"], abs=5e-9)
    boxes = score.score_ava_detection(folder / "detection_pred.csv", folder / "detection_gt.csv")
    assert boxes["scores"] == pytest.approx(expected["ava_detection"], abs=5e-9)


def test_scalegrid(results, expected):
    folder = results / "video_mme_scalegrid"
    flags = folder / "derived_V1_short.csv"
    for model, wanted in expected["video_mme_scalegrid_V1_short"].items():
        letters = folder / f"{model}_V1_short_predictions_wide.csv"
        report = score.score_scalegrid(flags, letters=letters, model=model)
        found, bounds = report["scores"][model], report["intervals"][model]
        assert {key: round(found[key], 4) for key in wanted} == wanted
        table = read(folder / f"{model}_V1_short.json")
        got = {key: round(value, 4) for key, value in found["accuracy_by_config"].items()}
        assert got == table["accuracy_by_config"]
        assert [round(found[k], 4) for k in ("best_fixed", "oracle")] == [table["best_fixed"], table["oracle"]]
        assert found["headroom"] == pytest.approx(table["headroom"], abs=1e-4)
        assert round(found["overwritten"], 4) == wanted["overwrite_rate"]
        assert all(bounds[name][0] <= found[name] <= bounds[name][1] for name in ("best_fixed", "oracle", "headroom"))


def test_video_mme(tmp_path):
    asked = {"options": ["A. red", "B. blue", "C. green", "D. grey"], "answer": "B"}
    replies = ["B", "Because it is blue, B", "", None]
    video = {"duration_category": "short", "questions": [{**asked, "response": said} for said in replies]}
    (tmp_path / "said.json").write_text(json.dumps([video]))
    found = score.score_video_mme(tmp_path / "said.json")
    assert found["scores"] == {"short": 50.0, "all": 50.0}
    assert found["counts"] == {"n_items": 4, "n_scored": 4, "n_unparsed": 1, "n_missing": 1}
    assert found["baselines"] == {"chance": 25.0, "always B": 100.0}
    with pytest.raises(ValueError, match="rule is one of recommended"):
        score.score_video_mme(tmp_path / "said.json", rule="mine")


def test_more_faults(tmp_path):
    with pytest.raises(DataError, match="no such file") as caught:
        score.score_retrieval(tmp_path / "none.npy")
    assert caught.value.exit_code == NO_INPUT
    (tmp_path / "boxes.csv").write_text("v,1,0,0,2,1,3\n")
    with pytest.raises(DataError, match="csv:1: video,second,x1"):
        score.score_ava_detection(tmp_path / "boxes.csv", tmp_path / "boxes.csv")
