"""Readers of files that are not kept beside the checkout: rows written by hand from the published descriptions."""

import json
from pathlib import Path

import pytest

from videre.data import (
    activities,
    conversations,
    longvideobench,
    mlvu,
    mvbench,
    nextqa,
    retrieval,
    short_answers,
    star,
    tempcompass,
    tgif_qa,
    video_chatgpt,
    video_mme,
)
from videre.data.conversations import Turn
from videre.errors import NO_INPUT, ConfigError, DataError
from videre.types import Span


def saved(folder: Path, name: str, value: object) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value, indent=1))
    return path


STAR_ROW = {
    "question_id": "Interaction_T1_13",
    "question": "Which object was tidied up by the person?",
    "video_id": "6H78U",
    "start": 11.1,
    "end": 19.6,
    "answer": "The closet/cabinet.",
    "question_program": [],
    "choices": [
        {"choice_id": 0, "choice": "The closet/cabinet."},
        {"choice_id": 1, "choice": "The blanket."},
        {"choice_id": 2, "choice": "The clothes."},
        {"choice_id": 3, "choice": "The table."},
    ],
    "situations": {},
}


def test_star(tmp_path):
    no_answer = {name: value for name, value in STAR_ROW.items() if name != "answer"} | {
        "question_id": "Feasibility_T2_7"
    }
    first, second = star.read(saved(tmp_path, "STAR_val.json", [STAR_ROW, no_answer]))
    assert (first.id, first.kind, first.video, first.option) == ("Interaction_T1_13", "Interaction", "6H78U", 0)
    assert first.clip == Span(11.1, 19.6)
    assert len(first.question.options) == 4
    assert (second.answer, second.kind) == (None, "Feasibility")


def test_star_sub_and_the_whole_video(tmp_path):
    rows = [STAR_ROW | {"question_id": f"{kind}_T1_{i}"} for i, kind in enumerate(star.KINDS)]
    path = saved(tmp_path, "STAR_val.json", rows)
    assert [s.kind for s in star.read(path, part="sub")] == ["Interaction", "Sequence"]
    assert all(s.clip is not None for s in star.read(path))
    assert all(s.clip is None for s in star.read(path, whole=True))
    with pytest.raises(ConfigError, match="a part of star is sub"):
        star.read(path, part="prediction")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"answer": "The sofa."}, "none of the options"),
        ({"question_id": "Mood_T1_1"}, "it starts with one of Interaction"),
        ({"start": 30.0}, "a span ends before it starts"),
        ({"start": None}, '"start" is null'),
        ({"choices": ["a", "b"]}, "holds other things than objects"),
        ({"video_id": "../6H78U"}, "climbs out of the video root"),
    ],
)
def test_star_names_the_row(tmp_path, change, reason):
    path = saved(tmp_path, "STAR_val.json", [STAR_ROW, STAR_ROW | {"question_id": "Sequence_T1_1"} | change])
    line = 2 + path.read_text().split("\n").index(" },")
    with pytest.raises(DataError) as caught:
        star.read(path)
    assert str(caught.value).startswith(f"{path}:{line}")
    assert reason in str(caught.value)


MV_ROW = {
    "video": "ZS9XR.mp4",
    "question": "What happened after the person took the food?",
    "candidates": ["Ate the medicine.", "Tidied up the blanket.", "Put down the cup/glass/bottle.", "Took the box."],
    "answer": "Ate the medicine.",
    "start": 11.1,
    "end": 18.2,
}


def test_mvbench_official_json_and_its_bounds_for_the_lines(tmp_path):
    folder = tmp_path / "json"
    saved(folder, "action_sequence.json", [MV_ROW])
    only = {"video": "v.mp4", "question": "What falls?", "candidates": ["The cube falls."], "answer": "The cube falls."}
    saved(folder, "counterfactual_inference.json", [only])
    first, second = mvbench.read(folder)
    assert (first.id, first.kind, first.clip) == ("action_sequence_0", "action_sequence", Span(11.1, 18.2))
    assert first.video == "star/Charades_v1_480/ZS9XR.mp4"
    assert (second.question.options, second.answer, second.clip) == ((), "The cube falls.", None)
    prompt = "\n".join([MV_ROW["question"], *(f"{'ABCD'[i]}. {text}" for i, text in enumerate(MV_ROW["candidates"]))])
    row = {"question_id": 1, "video": first.video, "prompt": prompt, "GT": "A", "category": "action_sequence"}
    lines = saved(tmp_path, "mvbench.jsonl", json.dumps(row) + "\n")
    assert mvbench.read(lines)[0].clip is None
    (bounded,) = mvbench.read(lines, bounds=folder)
    assert (bounded.clip, bounded.answer) == (Span(11.1, 18.2), "Ate the medicine.")


def test_mvbench_folders_that_are_none(tmp_path):
    with pytest.raises(DataError, match=r"no TASK\.json of MVBench") as caught:
        mvbench.read(tmp_path)
    assert caught.value.exit_code == NO_INPUT
    with pytest.raises(DataError, match="none of MVBench's tasks"):
        mvbench.read(saved(tmp_path, "mood.json", [MV_ROW]))


def test_tempcompass_rows_of_the_hub(tmp_path):
    row = {"video_id": "1034419625", "question": "Is the man dunking?", "answer": "yes", "dim": "action"}
    (sample,) = tempcompass.read(saved(tmp_path, "yes_no.jsonl", json.dumps(row)))
    assert (sample.question.options, sample.answer, sample.kind) == (("yes", "no"), "yes", "action")
    with pytest.raises(DataError, match="pass task= one of multi-choice"):
        tempcompass.read(saved(tmp_path, "test.jsonl", json.dumps(row)))
    assert tempcompass.read(tmp_path / "test.jsonl", task="yes_no")[0].answer == "yes"


VIDEO_MME = {
    "video_id": "001",
    "duration": "short",
    "domain": "Knowledge",
    "sub_category": "Humanity & History",
    "url": "https://www.youtube.com/watch?v=fFjv93ACGo8",
    "questions": [
        {
            "question_id": "001-1",
            "task_type": "Counting Problem",
            "question": "How many?",
            "options": ["A. Apples.", "B. Candles.", "C. Berries.", "D. They are equal."],
            "answer": "C",
        }
    ],
}


def test_video_mme(tmp_path):
    path = saved(tmp_path, "videomme.json", [VIDEO_MME])
    (sample,) = video_mme.read(path)
    assert (sample.id, sample.video, sample.answer, sample.kind) == ("001-1", "fFjv93ACGo8", "Berries.", "short")
    assert sample.question.options[3] == "They are equal."
    assert video_mme.read_task_types(path) == {"001-1": "Counting Problem"}
    flat = {**VIDEO_MME["questions"][0], "videoID": "fFjv93ACGo8", "duration": "long", "video_id": "001"}
    (other,) = video_mme.read(saved(tmp_path, "rows.jsonl", json.dumps(flat)))
    assert (other.video, other.kind, other.option) == ("fFjv93ACGo8", "long", 2)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"answer": "E"}, "the options are A, B, C, D"),
        ({"options": ["A. x", "C. y"]}, "an option B. was expected"),
        ({"question_id": None}, '"question_id" is null'),
    ],
)
def test_video_mme_names_the_question(tmp_path, change, reason):
    row = json.loads(json.dumps(VIDEO_MME))
    row["questions"][0] |= change
    with pytest.raises(DataError, match=r"videomme.json:2 \(row 0, questions\[0\]\): ") as caught:
        video_mme.read(saved(tmp_path, "videomme.json", [row]))
    assert reason in str(caught.value)


def test_longvideobench_with_padded_options_and_without_an_answer(tmp_path):
    row = {
        "id": "x_0",
        "video_path": "x.mp4",
        "question": "What next?",
        "option0": "one",
        "option1": "two",
        "option2": "three",
        "option3": "four",
        "option4": "N/A",
        "correct_choice": 3,
        "question_category": "S2E",
    }
    (sample,) = longvideobench.read(saved(tmp_path, "a.json", [row]))
    assert (sample.question.options, sample.answer) == (("one", "two", "three", "four"), "four")
    held_back = {name: value for name, value in row.items() if name != "correct_choice"}
    assert longvideobench.read(saved(tmp_path, "b.json", [held_back]))[0].answer is None


def test_mlvu_official_json(tmp_path):
    choice = {
        "video": "movie101_66.mp4",
        "duration": 480.0,
        "question": "What colour is the car?",
        "candidates": ["Yellow", "Red"],
        "answer": "Red",
        "question_type": "plotQA",
    }
    (sample,) = mlvu.read(saved(tmp_path, "1_plotQA.json", [choice]))
    assert (sample.video, sample.option, sample.kind) == ("video/1_plotQA/movie101_66.mp4", 1, "plotQA")
    told = {"video": "217.mp4", "question": "Summarize.", "answer": "It begins ...", "question_type": "summary"}
    (open_one,) = mlvu.read(saved(tmp_path, "9_summary.json", [told]))
    assert (open_one.question.options, open_one.answer) == ((), "It begins ...")


def test_nextqa_with_the_answer_as_an_index(tmp_path):
    head = "video,frame_count,width,height,question,answer,qid,type,a0,a1,a2,a3,a4"
    path = saved(tmp_path, "val.csv", f"{head}\n4010069381,369,640,480,how many,1,6,DC,two,three,four,five,six\n")
    (sample,) = nextqa.read(path)
    assert (sample.id, sample.answer, sample.kind) == ("4010069381_6", "three", "DC")


def test_original_lists_of_msvd_qa_and_msrvtt_qa(tmp_path):
    rows = [
        {
            "answer": "couch",
            "category_id": 14,
            "id": 158581,
            "question": "what are people sitting on?",
            "video_id": 6513,
        }
    ]
    path = saved(tmp_path, "val_qa.json", rows)
    (sample,) = short_answers.msrvtt(path)
    assert (sample.id, sample.video, sample.kind) == ("158581", "video6513", "what")
    assert short_answers.msvd(path)[0].video == "vid6513"


def test_tgif_qa(tmp_path):
    names = ["gif_name", "question", "a1", "a2", "a3", "a4", "a5", "answer", "vid_id", "key"]
    values = ["tumblr_x", "What does he do 3 times?", "nod", "jump", "run", "sit", "eat", "1", "ACT1", "7"]
    action = "\t".join(names) + "\n" + "\t".join(values) + "\n"
    (sample,) = tgif_qa.read(saved(tmp_path, "Test_action_question.csv", action))
    assert (sample.video, sample.answer, sample.kind) == ("tumblr_x", "jump", "action")
    frame = "gif_name\tquestion\tanswer\ttype\tvid_id\tdescription\ntumblr_y\twhat is the colour?\tred\t2\tFR1\tnone\n"
    (sample,) = tgif_qa.read(saved(tmp_path, "Test_frameqa_question.csv", frame))
    assert (sample.answer, sample.kind, sample.question.options) == ("red", "frameqa/color", ())
    with pytest.raises(DataError, match=r":2: \"answer\" is 5, the options are 0 to 4"):
        tgif_qa.read(saved(tmp_path, "Test_action_question.csv", action.replace("\t1\tACT1", "\t5\tACT1")))


def test_lsmdc(tmp_path):
    clip = "1012_Unbreakable_00.05.16.065-00.05.21.941"
    line = f'{clip}\t00.05.16.065\t00.05.21.941\t00.05.15\t00.05.22\tSOMEONE says "no.\n'
    first, again = retrieval.lsmdc(saved(tmp_path, "LSMDC16_challenge_1000_publictect.csv", line * 2))
    assert (first.id, first.video, first.text) == (clip, f"1012_Unbreakable/{clip}", 'SOMEONE says "no.')
    assert again.id == f"{clip}#2"
    with pytest.raises(DataError, match=r":1: fewer fields than columns"):
        retrieval.lsmdc(saved(tmp_path, "short.csv", "clip\tno sentence\n"))


def test_activitynet_captions_official(tmp_path):
    row = {
        "duration": 55.15,
        "timestamps": [[0.28, 55.15], [13.79, 54.32]],
        "sentences": ["A tutorial is given.", "  He helps."],
    }
    assert (
        retrieval.activitynet(saved(tmp_path, "val_1.json", {"v_uqiMw7tQ1Cc": row}))[0].text
        == "A tutorial is given. He helps."
    )


def test_msrvtt_retrieval_takes_semicolons(tmp_path):
    path = saved(
        tmp_path, "msrvtt_test.csv", "key;vid_key;video_id;sentence\nret0;msr9770;video9770;a person, connecting\n"
    )
    assert retrieval.msrvtt(path)[0].text == "a person, connecting"


def test_coin_in_both_forms(tmp_path):
    ours = {
        "AAA": {"subset": "train", "duration": 30, "target": "replace battery"},
        "BBB": {"subset": "val", "target": "make tea"},
    }
    assert [s.answer for s in activities.coin(saved(tmp_path, "a.json", ours), split="val")] == ["make tea"]
    row = {
        "class": "ReplaceBattery",
        "recipe_type": 3,
        "subset": "testing",
        "duration": 30.5,
        "annotation": [{"id": "1", "label": "open the lid", "segment": [2.0, 5.5]}],
    }
    (sample,) = activities.coin(saved(tmp_path, "COIN.json", {"database": {"AAA": row}}), split="testing")
    assert (sample.video, sample.answer) == ("3/AAA", "ReplaceBattery")
    assert sample.spans == (Span(2.0, 5.5, label="open the lid"),)


def test_video_chatgpt_sets(tmp_path):
    generic = saved(tmp_path, "generic_qa.json", [{"Q": "What happens?", "A": "A man runs.", "video_name": "v_x"}])
    (sample,) = video_chatgpt.read(generic)
    assert (sample.id, sample.kind, sample.answer, sample.video) == ("generic_0", "generic", "A man runs.", "v_x")
    rows = [{"Q1": "What?", "Q2": "What is it?", "A": "A dog.", "video_name": "v_y"}]
    first, second = video_chatgpt.read(saved(tmp_path, "consistency_qa.json", rows))
    assert (first.id, second.id) == ("consistency_0_Q1", "consistency_0_Q2")
    assert (second.question.text, second.answer) == ("What is it?", "A dog.")
    assert len(video_chatgpt.ASPECTS) == 5
    with pytest.raises(DataError, match="pass part="):
        video_chatgpt.read(saved(tmp_path, "mood.json", rows))


def test_llava_style_conversations(tmp_path):
    row = {
        "id": "LongAlpaca_00012",
        "video": "webvid/1.mp4",
        "conversations": [
            {"from": "human", "value": "<video>\nDescribe it."},
            {"from": "gpt", "value": "A dog runs."},
            {"from": "human", "value": "Where?"},
            {"from": "gpt", "value": "In a park."},
        ],
    }
    unverified = row | {"id": "x", "cls_correct": False}
    text_only = {"conversations": row["conversations"][:2]}
    path = saved(tmp_path, "sharegemini.json", [row, unverified, text_only])
    first, last = conversations.share_gemini(path)
    assert first.turns == (Turn("Describe it.", "A dog runs."), Turn("Where?", "In a park."))
    assert [s.id for s in first.samples()] == ["LongAlpaca_00012#0", "LongAlpaca_00012#1"]
    assert (last.video, last.id) == ("", "1")


def test_question_and_answer_sets(tmp_path):
    rows = [{"q": "What?", "a": "A dance.", "video_id": "v_k_ZXmr8pmrs"}] * 2
    found = conversations.video_chatgpt_100k(saved(tmp_path, "VideoInstruct100K.json", rows))
    assert [(row.id, row.video, row.turns) for row in found] == [
        ("0", "v_k_ZXmr8pmrs", (Turn("What?", "A dance."),)),
        ("1", "v_k_ZXmr8pmrs", (Turn("What?", "A dance."),)),
    ]
    row = {
        "video": "a.mp4",
        "QA": [{"i": "Watch closely.", "q": "Who?", "a": "She."}, {"q": "When?", "a": "Now."}],
        "start": 1,
        "end": 4.5,
    }
    (chat,) = conversations.videochat2(saved(tmp_path, "train.json", [row]))
    assert chat.turns == (Turn("Watch closely.\nWho?", "She."), Turn("When?", "Now."))
    assert chat.clip == Span(1, 4.5) == chat.samples()[1].clip


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ([], "no turns"),
        ([("human", "a")], "pairs of human and gpt"),
        ([("gpt", "a"), ("human", "b")], "gpt and human speak"),
        ([("human", "<video>\n"), ("gpt", "b")], "empty but for its placeholder"),
        ([("human", "a"), ("gpt", "")], '"value" is empty'),
    ],
)
def test_conversations_that_do_not_hold(tmp_path, said, reason):
    row = {"video": "a.mp4", "conversations": [{"from": who, "value": what} for who, what in said]}
    with pytest.raises(DataError, match=r"a.json:2 ") as caught:
        conversations.llava(saved(tmp_path, "a.json", [row]))
    assert reason in str(caught.value)


def test_every_reader_stands_in_the_table_of_the_docs():
    root = Path(__file__).parent.parent
    table = (root / "docs" / "data.md").read_text("utf-8")
    readers = {path.stem for path in (root / "src" / "videre" / "data").glob("*.py")}
    shared_logic = {"__init__", "annotations", "json_rows", "fields", "spans", "choices", "videos"}
    for name in readers - shared_logic:
        assert f"`{name}." in table, f"docs/data.md does not say what {name}.py reads"
