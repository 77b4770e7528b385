"""`videre study selectors`: rows at equal numbers of frames, resumed without asking, and what choosing costs."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

import tiny_clip
from videre.apps import naming, selector_study
from videre.apps.study import command
from videre.data import world
from videre.models import mllm
from videre.types import Frames, Question

MODEL = """
from videre.models.fake import FakeMLLM

asked = []

def early():
    def says(chunks, text):
        asked.append(text)
        return "A" if chunks[0].seconds[0] < 0.6 else "B"
    return FakeMLLM(says)
"""
SELECT = """
from videre.types import Evidence, Step

def late(video, question):
    return Evidence((1.5,), steps=(Step("score", {"cached": True}, None, 700.0),))
"""


@pytest.fixture
def place(tmp_path):
    clip = world.make(3, world.Config(seconds=2.0))
    world.write(clip, tmp_path / "a.mp4")
    rows = [
        {"id": str(n), "video": "a.mp4", "question": f"Number {n}?", "options": ["yes", "no"], "answer": "yes"}
        for n in range(3)
    ]
    rows.append({"id": "open", "video": "a.mp4", "question": "Which letter?", "answer": "a"})
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "models.py").write_text(MODEL)
    (tmp_path / "late.py").write_text(SELECT)
    return tmp_path


def study(place, *more, code=0):
    arguments = ["selectors", "rows", "--annotations", place / "rows.jsonl", "--videos", place, "-q", *more]
    done = CliRunner().invoke(command, [str(one) for one in [*arguments, "-o", place / "out"]])
    assert done.exit_code == code, (done.output, done.exception)
    return done.stdout


def test_selectors_stand_side_by_side_and_a_second_call_asks_nothing(place):
    own = [f"{place / 'models.py'}:early", "uniform:convention=ends", f"{place / 'late.py'}:late"]
    more = ["-m", own[0], "-s", own[1], "-s", own[2], "--counts", "2,4", "--json"]
    rows = json.loads(study(place, *more))["rows"]
    assert [(row["frames"], row["select"] == own[1]) for row in rows] == [(2, True), (2, False), (4, True), (4, False)]
    first, second = rows[:2]
    assert (first["right"], first["count"], first["gain"], first["gain_interval"]) == (4, 4, 0.0, None)
    assert (second["right"], second["gain"], second["gain_interval"]) == (0, -100.0, [-100.0, -100.0])
    assert first["choose_ms"] >= 0
    assert second["choose_ms"] is None, "scores out of a cache are no cost of choosing"
    folders = sorted(path.name for path in (place / "out").rglob("answers.jsonl"))
    assert len(folders) == 4
    before = {path: path.read_bytes() for path in (place / "out").rglob("answers.jsonl")}
    assert json.loads(study(place, *more))["rows"] == rows
    assert {path: path.read_bytes() for path in before} == before
    table = study(place, *more[:-1])
    assert "2 frames, 4 questions" in table
    assert "-100.0" in table


def test_a_clip_beside_uniform_frames_by_command(place, tmp_path_factory):
    clip = tiny_clip.build("clip", tmp_path_factory.mktemp("clip") / "model")
    more = ["-m", f"{place / 'models.py'}:early", "-s", "uniform", "-s", f"top-k:clip={clip},n=8", "--counts", "2"]
    uniform, chosen = json.loads(study(place, *more, "--json"))["rows"]
    assert uniform["choose_ms"] < chosen["choose_ms"], "a CLIP looks at eight frames"
    assert uniform["answer_ms"] >= 0


def test_a_list_of_counts_that_is_none_is_told(place):
    arguments = ["selectors", "world", "--counts", "four", "-o", str(place / "out")]
    done = CliRunner().invoke(command, arguments)
    assert "numbers separated by commas" in str(done.exception)


def test_names_of_folders_are_plain_and_apart():
    assert selector_study.slug("uniform") == "uniform"
    made = {selector_study.slug(text) for text in ("a/b", "a:b", "a,b", "../x", "é")}
    assert len(made) == 5
    assert all("/" not in name and not name.startswith(".") for name in made)


def test_a_reply_that_is_begun_is_answered_by_its_likeliest_letter(tiny_checkpoint):
    folder = str(tiny_checkpoint("qwen3_vl"))
    model, begun = mllm.load(folder, answer_tokens=2), naming.model(f"option:{folder}", device="cpu")
    frames = Frames(np.random.default_rng(0).integers(0, 255, (3, 3, 56, 56), dtype=np.uint8), np.arange(3.0))
    asked = Question("which?", ("red", "blue", "green"))
    answer = begun.answer([frames], asked)
    logs = model.watch([frames]).next_token(
        "which?\nA. red\nB. blue\nC. green\nAnswer with the letter of the right option.", start="Option"
    )
    tokens = [model.processor.tokenizer(f" {letter}", add_special_tokens=False)["input_ids"] for letter in "ABC"]
    bare = [model.processor.tokenizer(letter, add_special_tokens=False)["input_ids"] for letter in "ABC"]
    wanted = [max(float(logs[ids[0]]) for ids in pair if len(ids) == 1) for pair in zip(tokens, bare, strict=True)]
    assert answer.option == int(np.argmax(wanted))
    assert answer.text == "Option " + "ABC"[answer.option]
    assert answer.confidence == pytest.approx(float(np.exp(max(wanted)) / np.exp(wanted).sum()), abs=1e-5)
    assert begun.card["begun"] == "Option"
    told = begun.answer([frames], Question("which?"))
    assert (told.option, told.text) == (None, begun.model.answer([frames], Question("which?")).text)
