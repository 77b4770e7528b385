"""Faults of prediction and annotation files: one line that names file and place, exit 2, and never a silent score."""

import json
from pathlib import Path

import numpy as np
import pytest

from videre.apps.cli import run

GSUB = {"v": {"duration": 9, "fps": 1.0, "location": {"0": [[1, 3]], "1": [[2, 4]]}}}
SPANS = {"v_0": [1, 2], "v_1": [2, 3]}
ANSWERS = {"v_0": {"prediction": 1, "answer": 1}, "v_1": {"prediction": 0, "answer": 1}}
MOMENT = {
    "qid": 1,
    "duration": 6,
    "relevant_windows": [[0, 2]],
    "relevant_clip_ids": [0],
    "saliency_scores": [[4, 4, 1]],
}
GUESS = {"qid": 1, "pred_relevant_windows": [[0, 2, 0.5]], "pred_saliency_scores": [0.5, 0.1, 0.2]}
ASKED = {"question": "which?\nA. run\nB. sit", "answer": "A. run", "prediction": "A"}
TEMPCOMPASS = {"v": {"action": [ASKED]}}
META = {"w": {"eval_dim": {"action": {"type": "fine"}}}}
ACTIVITYNET = [{"question_id": "v_1", "answer": "yes", "type": 3}]
VIDEO_MME = {"options": ["A. x", "B. y"], "answer": "A", "response": "A"}
RESULTS = {"results": {"v": [{"label": "a", "score": 1, "segment": [0, 1]}]}}
LOCATED = {"v_v": {"annotations": [{"label": "a", "segment": [0, 1]}]}}


@pytest.fixture
def score(tmp_path, capsys):
    """Runs `videre score` on files made of values: (exit code, stdout, stderr)."""

    def scored(command: str, *given: object, **options: object) -> tuple[int, str, str]:
        words: list[str] = ["score", command]
        for number, value in enumerate(given):
            words.append(str(value) if isinstance(value, Path) else write(tmp_path / f"said{number}.json", value))
        for name, value in options.items():
            words.append(f"--{name.replace('_', '-')}")
            words += (
                [] if value is True else [value if isinstance(value, str) else write(tmp_path / f"{name}.json", value)]
            )
        code = run(words)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return scored


def write(path: Path, value: object) -> str:
    path.write_text(json.dumps(value))
    return str(path)


def refused(done: tuple[int, str, str], *words: str) -> None:
    code, out, err = done
    assert (code, out) == (2, ""), err
    assert len(err.strip().split("\n")) == 1, err
    assert all(word in err for word in words), err


def changed(row: dict, **more: object) -> dict:
    return {key: value for key, value in {**row, **more}.items() if value is not ...}


@pytest.mark.parametrize(
    ("spans", "annotations", "answers", "words"),
    [
        ([1], GSUB, ANSWERS, ["spans.json:1", "JSON object"]),
        ({"v_0": "1-2"}, GSUB, ANSWERS, ["spans.json:1 (v_0)", "list"]),
        ({"v_0": []}, GSUB, ANSWERS, ["v_0", "[start, end]"]),
        ({"v_0": [1]}, GSUB, ANSWERS, ["v_0", "[start, end]"]),
        ({"v_0": [True, False]}, GSUB, ANSWERS, ["v_0", "True"]),
        ({"v_0": [float("nan"), 3]}, GSUB, ANSWERS, ["v_0", "nan"]),
        ({"v_0": [[1, 2], [3, 4]]}, GSUB, ANSWERS, ["v_0", "a number"]),
        ({"x": [1, 2]}, GSUB, ANSWERS, ["spans.json", "none of its 1 ids", "v_0"]),
        ({}, GSUB, ANSWERS, ["there is no prediction in this file"]),
        (SPANS, GSUB, {"id": 3}, ["answers.json:1 (id)", "object"]),
        (SPANS, GSUB, {"v_0": {"answer": 1}}, ["(v_0)", '"prediction"']),
        (SPANS, GSUB, {"v_0": {"prediction": [1], "answer": 1}}, ["(v_0)", '"prediction" is [1]']),
        (SPANS, GSUB, {"v_0": {"prediction": None, "answer": 1}}, ["answers.json", "every prediction is null"]),
        (SPANS, GSUB, {"w_0": {"prediction": 1, "answer": 1}}, ["answers.json", "none of its 1 ids"]),
        (SPANS, {"v": 3}, ANSWERS, ["annotations.json:1 (v)", "object"]),
        (SPANS, {"v": changed(GSUB["v"], duration="long")}, ANSWERS, ["(v)", '"duration" is text']),
        (SPANS, {"v": changed(GSUB["v"], location=...)}, ANSWERS, ["(v)", '"location"']),
        (SPANS, {"v": changed(GSUB["v"], location={"0": "x"})}, ANSWERS, ["(v)", '"0" is text']),
        (SPANS, {"v": changed(GSUB["v"], location={"0": []})}, ANSWERS, ["question 0", "no true segment"]),
        (SPANS, {"v": changed(GSUB["v"], location={"0": [[1]]})}, ANSWERS, ["(v)", "[1]"]),
    ],
)
def test_nextgqa(score, spans, annotations, answers, words):
    refused(score("nextgqa", spans=spans, annotations=annotations, answers=answers), *words)


def test_torn_json_is_named_with_its_line(score, tmp_path):
    (tmp_path / "torn.json").write_text('{"v_0": [1,\n 2')
    refused(score("nextgqa", spans=str(tmp_path / "torn.json"), annotations=GSUB), "torn.json:2", "not JSON")


@pytest.mark.parametrize(
    ("said", "truth", "words"),
    [
        (changed(GUESS, pred_relevant_windows=[["a", 2, 3]]), MOMENT, ["said0.json:1", "'a'"]),
        (changed(GUESS, pred_relevant_windows=5), MOMENT, ["said0.json:1", '"pred_relevant_windows" is a number']),
        (changed(GUESS, pred_relevant_windows=[[float("nan"), 2, 3]]), MOMENT, ["said0.json:1", "nan"]),
        (changed(GUESS, pred_relevant_windows=[[1]]), MOMENT, ["said0.json:1", "[1]"]),
        (changed(GUESS, pred_relevant_windows=[[1, 2], [1, 2, 3]]), MOMENT, ["all of them as many"]),
        (changed(GUESS, pred_saliency_scores=["high"]), MOMENT, ["'high'"]),
        (changed(GUESS, qid=[1]), MOMENT, ["said0.json:1", '"qid" is a list']),
        (changed(GUESS, qid=2), MOMENT, ["none of its 1 ids (2)"]),
        (changed(GUESS, pred_relevant_windows=..., pred_saliency_scores=...), MOMENT, ["in any row"]),
        (MOMENT, GUESS, ["said0.json:1", "neither"]),
        (GUESS, GUESS, ["annotations.json:1", '"relevant_windows"']),
        (GUESS, changed(MOMENT, relevant_windows=...), ["annotations.json:1", '"relevant_windows"']),
        (GUESS, changed(MOMENT, relevant_windows=[[3, 2]]), ["annotations.json:1", "ends before it starts"]),
        (GUESS, changed(MOMENT, relevant_windows=[]), ["annotations.json:1", "empty"]),
        (GUESS, changed(MOMENT, saliency_scores=...), ["annotations.json:1", '"saliency_scores"']),
        (GUESS, changed(MOMENT, relevant_clip_ids=[7]), ["annotations.json:1", "0 to 2"]),
        (GUESS, changed(MOMENT, relevant_clip_ids=[0, 1]), ["annotations.json:1", "1 rows for 2"]),
    ],
)
def test_qvhighlights(score, said, truth, words):
    refused(score("qvhighlights", [said], annotations=[truth]), *words)


def test_an_id_that_occurs_twice(score):
    refused(score("qvhighlights", [GUESS, GUESS], annotations=[MOMENT]), "occurs twice", "row 1")
    refused(score("qvhighlights", [GUESS, {"query": 2}], annotations=[MOMENT]), "row 1", 'no field "qid"')


def test_charades_sta_of_another_set(score):
    refused(score("charades-sta", [changed(GUESS, qid=7)], annotations=[MOMENT]), "none of its 1 ids (7)")
    refused(score("charades-sta", [MOMENT], annotations=[MOMENT]), '"pred_relevant_windows" is in no row')


@pytest.mark.parametrize(
    ("said", "options", "words"),
    [
        ({}, {}, ["said0.json", '"prediction"']),
        ({"v": [1]}, {}, ["(v)", "an object was expected"]),
        ({"v": {"action": "xx"}}, {}, ["(v)", '"action" is text']),
        ({"v": {"action": [{"x": 1}]}}, {}, ["(v, action[0])", '"question"']),
        ({"v": {"action": [changed(ASKED, prediction=3)]}}, {}, ["(v, action[0])", '"prediction" is a number']),
        ({"v": {"action": [changed(ASKED, prediction=None)]}}, {}, ['no question has a "prediction"']),
        ({"v": {"action": [changed(ASKED, answer="C. fly")]}}, {}, ["(v, action[0])", "C. fly"]),
        (TEMPCOMPASS, {"task": "yes_no"}, ["(v, action[0])", "task yes_no", "--task"]),
        (TEMPCOMPASS, {"task": "caption_matching"}, ["task caption_matching"]),
        (TEMPCOMPASS, {"meta_info": META}, ["the video v is not in", "meta_info.json"]),
        (TEMPCOMPASS, {"annotations": {"w": {"action": [ASKED]}}}, ["none of the questions"]),
    ],
)
def test_tempcompass(score, said, options, words):
    refused(score("tempcompass", said, **options), *words)


@pytest.mark.parametrize(
    ("said", "truth", "words"),
    [
        (ACTIVITYNET, [{"question_id": "v_1", "question": "is it?"}], ["annotations.json:1", '"answer"']),
        ([{"question_id": [1], "answer": "x"}], ACTIVITYNET, ["said0.json:1", '"question_id" is a list']),
        ([{"question_id": "v_1", "reply": "x"}], ACTIVITYNET, ["said0.json:1", "no row has a reply"]),
        ([{"question_id": "v_1", "pred": None}], ACTIVITYNET, ["said0.json:1", "every reply"]),
        ([{"question_id": "v_1", "pred": ["x"]}], ACTIVITYNET, ["said0.json:1", '"pred" is a list']),
        ([{"question_id": "v_9", "pred": "x"}], ACTIVITYNET, ["none of its 1 ids (v_9)"]),
        ([3], ACTIVITYNET, ["said0.json:1", "an object was expected"]),
        (ACTIVITYNET, [changed(ACTIVITYNET[0], type=12)], ["annotations.json:1", '"type" is 12']),
    ],
)
def test_activitynet_qa(score, said, truth, words):
    refused(score("activitynet-qa", said, annotations=truth), *words)


@pytest.mark.parametrize(
    ("video", "words"),
    [
        ({"questions": "abc"}, ["(row 0)", '"questions" is text']),
        ({"questions": [changed(VIDEO_MME, options=3)]}, ["(row 0, questions[0])", '"options" is a number']),
        ({"questions": [changed(VIDEO_MME, answer="E")]}, ["(row 0, questions[0])", "'E'"]),
        ({"questions": [changed(VIDEO_MME, response=3)]}, ["(row 0, questions[0])", '"response" is a number']),
        ({"questions": [changed(VIDEO_MME, response=None)]}, ['no question has a "response"']),
        ({}, ["(row 0)", '"questions"']),
    ],
)
def test_video_mme(score, video, words):
    refused(score("video-mme", [{"duration": "short", **video}]), *words)


def test_rules_are_named(score):
    for command, name, options in (
        ("activitynet-qa", "match", {"annotations": ACTIVITYNET}),
        ("video-mme", "rule", {}),
    ):
        code, out, err = score(command, ACTIVITYNET, **{name: "foo"}, **options)
        assert (code, out) == (2, "")
        assert f"'--{name}': 'foo' is not one of" in err


@pytest.mark.parametrize(
    ("said", "truth", "words"),
    [
        ({"results": {"v": [{"label": "a", "score": 1}]}}, LOCATED, ["(results, v[0])", '"segment"']),
        ({"results": 3}, LOCATED, ["(results)", "number"]),
        ({"x": 3}, LOCATED, ["said0.json:1", '"results"']),
        (RESULTS, {"v_v": {}}, ["annotations.json:1 (v_v)", '"annotations"']),
        (RESULTS, {"v_w": LOCATED["v_v"]}, ["none of its 1 ids (v)"]),
    ],
)
def test_activitynet_localisation(score, said, truth, words):
    refused(score("activitynet-localisation", said, annotations=truth), *words)


@pytest.mark.parametrize("matrix", [np.zeros((2, 3)), np.eye(2, dtype=bool), np.array([[np.nan]]), np.zeros((0, 0))])
def test_retrieval(score, tmp_path, matrix):
    np.save(tmp_path / "m.npy", matrix)
    refused(score("retrieval", tmp_path / "m.npy"), "m.npy", "matrix")


class TestNotes:
    """What is odd but may be meant is scored, and said on stderr and in the report."""

    def noted(self, done: tuple[int, str, str], words: str) -> dict:
        code, out, err = done
        assert code == 0, err
        found = json.loads(out)
        assert any(words in note for note in found["notes"])
        assert words in err
        return found

    def test_answers_of_another_type(self, score):
        said = {"v_0": {"prediction": "1", "answer": 1}, "v_1": {"prediction": 1, "answer": 1}}
        done = score("nextgqa", spans=SPANS, annotations=GSUB, answers=said, json=True)
        assert self.noted(done, "1 predictions are the answer in another type")["answers"]["scores"]["Acc@QA"] == 50.0

    def test_units_of_spans(self, score):
        shares = {"v_0": [0.1, 0.3], "v_1": [0.2, 0.4]}
        self.noted(score("nextgqa", spans=shares, annotations=GSUB, json=True), "give --normalised")
        one = {"v_0": [0.1, 0.3], "v_1": [0.2, 1.4]}
        self.noted(score("nextgqa", spans=one, annotations=GSUB, normalised=True, json=True), "reach past 1")
        refused(score("nextgqa", spans=SPANS, annotations=GSUB, normalised=True), "leave --normalised out")

    def test_spans_the_wrong_way_round(self, score):
        turned = {"v_0": [2, 1], "v_1": [2, 3]}
        self.noted(score("nextgqa", spans=turned, annotations=GSUB, json=True), "1 spans end before they start")

    def test_ids_that_are_not_known(self, score):
        said = [GUESS, changed(GUESS, qid=9)]
        self.noted(score("qvhighlights", said, annotations=[MOMENT], json=True), "1 predictions are of ids")

    def test_ids_may_be_text_or_numbers(self, score):
        code, out, _ = score("qvhighlights", [changed(GUESS, qid="1")], annotations=[MOMENT], json=True)
        assert (code, json.loads(out)["scores"]["MR-full-R1@0.7"]) == (0, 100.0)

    def test_one_half_of_qvhighlights_may_be_predicted(self, score):
        code, out, _ = score(
            "qvhighlights", [changed(GUESS, pred_relevant_windows=...)], annotations=[MOMENT], json=True
        )
        assert code == 0
        assert all(name.startswith("HL") for name in json.loads(out)["scores"])


class TestTable:
    """What a person reads says how much was scored, and never a flattering number alone."""

    def test_a_partial_file_shows_the_strict_numbers_and_blind_spans_on_the_same_set(self, score):
        code, out, _ = score("nextgqa", spans={"v_0": [1, 2]}, annotations=GSUB, answers=ANSWERS)
        assert code == 0
        assert "warning: 1 predicted / 2 defined" in out
        (line,) = [line for line in out.split("\n") if line.startswith("  mIoP")]
        assert (line.split()[1], line.split()[-1]) == ("100.00", "50.00")
        assert "answers Acc@QA" in out
        assert "  blind, on the scored alone:   Acc@GQA      mIoP" in out
        assert out.count("\n  whole_video ") == 2
        assert "answers blind: chance" in out

    def test_a_subset_is_no_fault_of_the_spans_and_its_own_lost_ids_are_named(self, score):
        code, out, _ = score("nextgqa", spans=SPANS, annotations=GSUB, subset=["v_0", "w_7"])
        assert code == 0
        assert "n_items 1, n_scored 1, n_missing 0, n_unknown 0" in out
        assert "1 ids of" in out
        assert "w_7" in out

    def test_a_subset_that_nobody_answered_has_no_constant_answer(self, score):
        answers = {"v_1": {"prediction": 1, "answer": 1}}
        code, out, err = score("nextgqa", spans=SPANS, annotations=GSUB, answers=answers, subset=["v_0"])
        assert (code, "Traceback" in err) == (0, False)
        assert "answers blind: chance" in out

    def test_names_of_any_length_stay_in_one_column(self, score):
        meta = {"v": {"eval_dim": {"action": {"type": "a very long name of an aspect of action"}}}}
        lines = score("tempcompass", TEMPCOMPASS, meta_info=meta)[1].split("\n")
        (fine,) = [line for line in lines if "fine-grained" in line]
        assert fine.endswith("aspect of action   100.00   [20.65, 100.00]")

    def test_saliency_of_another_length_is_noted(self, score):
        short = {**GUESS, "pred_saliency_scores": [0.5, 0.1]}
        code, out, _ = score("qvhighlights", [short], annotations=[MOMENT])
        assert code == 0
        assert "1 have more or fewer saliency scores than clips" in out

    def test_a_full_file_shows_no_warning(self, score):
        code, out, _ = score("nextgqa", spans=SPANS, annotations=GSUB)
        assert code == 0
        assert "warning" not in out
        assert "strict" not in out
        assert "counts: n_items 2, n_scored 2, n_missing 0, n_unknown 0" in out

    def test_fine_grained_aspects(self, score):
        meta = {"v": META["w"]}
        code, out, _ = score("tempcompass", TEMPCOMPASS, meta_info=meta)
        assert code == 0
        assert "fine-grained: fine" in out
        assert "blind: chance" in out

    def test_nested_counts_are_words(self, tmp_path, capsys):
        np.save(tmp_path / "m.npy", np.eye(3, dtype=int))
        assert run(["score", "retrieval", str(tmp_path / "m.npy")]) == 0
        out = capsys.readouterr().out
        assert "t2v n_queries 3" in out
        assert "{" not in out
