"""`videre score` for several texts a video, scale grids and anticipation, in the forms that peers publish."""

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from videre import score
from videre.apps.cli import run
from videre.errors import DataError

MATRIX = np.array([[9, 1], [2, 3], [8, 7]])  # three texts, two videos: 0, 1, 1
RANKS = {"t2v": 4 / 3, "v2t": 1.0}


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def check(found: dict) -> None:
    assert {name: found["scores"][name]["MeanR"] for name in RANKS} == pytest.approx(RANKS)
    assert found["counts"]["t2v"]["n_queries"] == 3
    assert found["counts"]["v2t"]["n_queries"] == 2
    chance = found["baselines"]["chance"]
    assert (chance["t2v"]["R1"], chance["t2v"]["MeanR"]) == (50.0, 1.5)
    assert chance["v2t"]["R1"] == pytest.approx((100 / 3 + 200 / 3) / 2)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ids.txt", "a\nb\nb\n"),
        ("ids.json", '["a", "b", "b"]'),
        ("pairs.csv", "key,vid_key,video_id,sentence\nret0,x,a,one\nret1,y,b,two\nret2,y,b,three\n"),
        ("rows.json", '[{"video": "a", "caption": "x"}, {"video": "b"}, {"video": "b"}]'),
        ("rows.jsonl", '{"video_id": "a"}\n{"video_id": "b"}\n{"video_id": "b"}\n'),
        ("coco.json", '{"annotations": [{"image_id": "a", "id": 0}, {"image_id": "b"}, {"image_id": "b"}]}'),
    ],
)
def test_several_texts_a_video(tmp_path, name, text):
    np.save(tmp_path / "m.npy", MATRIX)
    check(score.score_retrieval(tmp_path / "m.npy", texts=write(tmp_path / name, text)))


def test_columns_may_be_in_an_order_of_their_own(tmp_path):
    np.save(tmp_path / "m.npy", MATRIX[:, ::-1])
    texts, videos = write(tmp_path / "t.txt", "a\nb\nb"), write(tmp_path / "v.txt", "b\na")
    check(score.score_retrieval(tmp_path / "m.npy", texts=texts, videos=videos))


@pytest.mark.parametrize(
    ("texts", "videos", "words"),
    [
        ("a\nb", None, "t.txt: 2 ids for the 3 rows"),
        ("a\na\na", None, "t.txt: 1 ids for the 2 columns"),
        ("a\nb\nb", "a\nc", "every column is one video"),
        ("a\nb\nb", "a\na", "every column is one video"),
        ("a\nb\nb", "a\nb\nc", "v.txt: 3 ids for the 2 columns"),
    ],
)
def test_ids_that_do_not_fit_the_matrix(tmp_path, texts, videos, words):
    np.save(tmp_path / "m.npy", MATRIX)
    columns = None if videos is None else write(tmp_path / "v.txt", videos)
    with pytest.raises(DataError, match=words):
        score.score_retrieval(tmp_path / "m.npy", texts=write(tmp_path / "t.txt", texts), videos=columns)


def test_integers_and_floats_score_alike(tmp_path):
    matrix = np.random.default_rng(0).permutation(36).reshape(6, 6)
    for kind in (np.int64, np.uint8, np.float16, np.float64):
        np.save(tmp_path / f"{np.dtype(kind)}.npy", matrix.astype(kind))
    found = [score.score_retrieval(path) for path in sorted(tmp_path.glob("*.npy"))]
    assert all(one == found[0] for one in found)
    for name, bounds in found[0]["intervals"]["t2v"].items():
        assert bounds[0] <= found[0]["scores"]["t2v"][name] <= bounds[1]


def test_scalegrid_by_command(shared, capsys):
    folder = shared / "corpus" / "results" / "video_mme_scalegrid"
    model, rate = "Qwen3-VL-8B", 16.6667  # as table2_metrics.json of the grid has it
    letters = str(folder / f"{model}_V1_short_predictions_wide.csv")
    flags = str(folder / "derived_V1_short.csv")
    assert run(["score", "scalegrid", flags, "--letters", letters, "--model", model, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert round(found["scores"][model]["visual_confusion_rate"], 4) == rate
    assert found["scores"][model]["headroom"] > 0
    low, high = found["intervals"][model]["visual_confusion_rate"]
    assert low < rate < high
    assert run(["score", "scalegrid", letters]) == 2
    assert "no column" in capsys.readouterr().err
    assert run(["score", "scalegrid", flags, "--letters", letters, "--model", "none"]) == 2


@pytest.fixture(scope="module")
def epic(shared) -> Path:
    return shared / "corpus" / "annotations" / "epic_kitchens_100"


def classes(epic: Path) -> dict[str, tuple[int, int, str]]:
    with (epic / "EPIC_100_validation.csv").open() as file:
        rows = csv.DictReader(file)
        return {r["narration_id"]: (int(r["verb_class"]), int(r["noun_class"]), r["participant_id"]) for r in rows}


def submission(truth: dict, *, off: int = 0) -> str:
    def row(verb: int, noun: int) -> dict:
        return {
            "verb": {str(verb + off): 0.9, "96": 0.1},
            "noun": {str(noun + off): 3},
            "action": {f"{verb},{noun}": 1},
        }

    results = {name: row(verb, noun) for name, (verb, noun, _) in truth.items()}
    return json.dumps({"version": "0.2", "challenge": "action_anticipation", "results": results})


class TestAnticipation:
    def test_the_truth_and_its_groups(self, epic, tmp_path):
        truth = classes(epic)
        participant = next(iter(truth.values()))[2]
        found = score.score_anticipation(
            write(tmp_path / "said.json", submission(truth)),
            epic / "EPIC_100_validation.csv",
            unseen=write(tmp_path / "unseen.csv", f"participant_id\n{participant}\n"),
            tail_verbs=epic / "EPIC_100_tail_verbs.csv",
            tail_nouns=epic / "EPIC_100_tail_nouns.csv",
        )
        for group in ("overall", "unseen", "tail"):
            assert set(found["scores"][group].values()) == {100.0}
            for name, (low, high) in found["intervals"][group].items():
                assert low <= 100.0 <= high, name
        assert found["notes"] == []
        usual = [noun for noun, _ in Counter(noun for _, noun, _ in truth.values()).most_common(5)]
        share = sum(noun in usual for _, noun, _ in truth.values()) / len(truth) * 100
        assert found["baselines"]["most common five"]["overall"]["noun top-5"] == pytest.approx(share)

    def test_wrong_verbs_and_missing_items(self, epic, tmp_path):
        truth = classes(epic)
        half = dict(list(truth.items())[::2])
        found = score.score_anticipation(
            write(tmp_path / "said.json", submission(half, off=200)), epic / "EPIC_100_validation.csv"
        )["scores"]["overall"]
        assert found["verb recall@5"] == 0.0
        assert found["action top-5"] == pytest.approx(len(half) / len(truth) * 100)
        assert 0 < found["action recall@5"] < 100

    @pytest.mark.parametrize(
        ("results", "words"),
        [
            (3, "an object was expected|no field"),
            ({"P01_11_0": 3}, '"P01_11_0" is a number'),
            ({"P01_11_0": {"verb": {"cut": 1}}}, "has the key 'cut'"),
            ({"P01_11_0": {"action": {"3": 1}}}, "VERB,NOUN"),
            ({"P01_11_0": {"verb": {"0": "high"}}}, '"0" is text'),
            ({"P99_1": {"verb": {"0": 1}}}, "none of its 1 ids"),
        ],
    )
    def test_faults_are_named(self, epic, tmp_path, results, words):
        said = write(tmp_path / "said.json", json.dumps({"results": results}))
        with pytest.raises(DataError, match=words):
            score.score_anticipation(said, epic / "EPIC_100_validation.csv")

    def test_tail_files_come_in_pairs(self, epic, tmp_path, capsys):
        said = str(write(tmp_path / "said.json", submission(classes(epic))))
        words = [
            "--annotations",
            str(epic / "EPIC_100_validation.csv"),
            "--tail-verbs",
            str(epic / "EPIC_100_tail_verbs.csv"),
        ]
        assert run(["score", "anticipation", said, *words]) == 2
        assert "given together" in capsys.readouterr().err
