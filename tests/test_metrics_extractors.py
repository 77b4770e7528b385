"""Which option a reply names: the recommended reading and each official one, against what the official code returns."""

import inspect
import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videre.metrics import extractors, tempcompass
from videre.options import letter, read_option, unlabelled

PARITY = Path(__file__).parent / "parity"
PAIRS = json.loads((PARITY / "answer_extraction.json").read_text())
UPSTREAM = json.loads((PARITY / "upstream_extractors.json").read_text())
COLOURS = ["red", "blue", "green", "yellow"]


def named(reply: str, options: list[str]) -> str:
    index = read_option(reply, options)
    return "Z" if index is None else letter(index)


@pytest.mark.parametrize("row", PAIRS, ids=lambda row: repr(row["output"]))
def test_golden_pairs(row):
    assert named(row["output"], row["options"]) == row["recommended"]
    assert (extractors.t2vid_letter(row["output"]) or "LLM") == row["official"]


@pytest.mark.parametrize("row", UPSTREAM, ids=lambda row: repr(row["output"]))
def test_golden_upstream(row):
    said = row["output"]
    assert extractors.mvbench_right(said, "(B) Blue") == row["mvbench_original_correct_when_gt_is_B"]
    assert extractors.videomme_letter(said) == row["videomme_original_letter"]
    assert extractors.lmms_eval_letter(said) == row["lmms_eval_videomme_letter"]
    assert int(extractors.lmms_eval_mvbench_right(said, "B")) == row["lmms_eval_mvbench_correct_when_gt_is_B"]


@pytest.mark.parametrize(
    ("reply", "option"),
    [
        ("The answer is B. Option A is wrong", "B"),
        ("Option A is wrong. The answer is B", "B"),
        ("The answer is A. No wait, the answer is C.", "C"),
        ("The answer is not B, it is C.", "C"),
        ("the answer is a red ball", "A"),
        ("The answer is A or B", "Z"),
        ("A man is walking, so B", "B"),
        ("A. red\nB. blue\nC. green\nD. yellow", "Z"),
        ("A. red\nB. blue\nC. green\nD. yellow\nAnswer: C", "C"),
        ("<answer>D</answer>", "D"),
        ("Not A", "Z"),
        ("option b", "B"),
        ("The option (c).", "C"),
        ("Option e", "Z"),
        ("Ｂ", "B"),
        ("答案是B", "B"),
        ("正确答案为C。", "C"),
        ("选B", "B"),
        ("不选B", "Z"),
        ("<think>The answer is A.", "Z"),
        ("It is not red, it is blue", "B"),
        ("red or blue", "Z"),
        ("B blue", "B"),
        ("I would choose C because A is wrong", "C"),
        ("B is the correct answer, not A", "B"),
        ("The correct answer to the question is (d).", "D"),
        ("answer: b", "B"),
        ("$\\boxed{\\text{B}}$", "B"),
        ("Final Answer:\nB", "B"),
        ("C\n\nThe ball is green", "C"),
        ("A and B are both correct", "Z"),
        ("(A) and (B)", "Z"),
        ("The answer is (E), B is wrong", "Z"),
        ("E. purple", "Z"),
        ("I think", "Z"),
        ("  \n", "Z"),
    ],
)
def test_more_replies(reply, option):
    assert named(reply, COLOURS) == option


def test_options_that_repeat_or_contain_each_other():
    assert read_option("same", ["same", "same", "other"]) is None
    assert read_option("B", ["same", "same", "other"]) == 1
    assert read_option("it turns counter clockwise", ["clockwise", "counter clockwise"]) == 1
    assert read_option("it is not rotating", ["rotating", "not rotating"]) == 1
    assert read_option("A", ["B", "A"]) == 0
    assert read_option("cafe\u0301", ["caf\u00e9", "the\u0301"]) == 0


def test_no_exception_for_what_is_not_text():
    for odd in (None, float("nan"), 3):
        assert inspect.unwrap(read_option)(odd, COLOURS) is None
    assert read_option("A", []) is None


def test_labels_are_taken_off_only_where_all_options_have_theirs():
    assert unlabelled(["(A) red", "(B) blue"]) == ["red", "blue"]
    assert unlabelled(["A. red", "blue"]) == ["A. red", "blue"]


@given(st.text(max_size=60), st.lists(st.text(max_size=12), max_size=6))
def test_reading_never_fails_and_never_names_an_option_that_does_not_exist(reply, options):
    index = read_option(reply, options)
    assert index is None or 0 <= index < len(options)


@given(st.integers(0, 3), st.sampled_from(["{}", "({})", "{}.", "The answer is {}", "Answer: {}.", "**{}**", "so {}"]))
def test_every_form_of_a_letter_is_read(index, form):
    assert read_option(form.format(letter(index)), COLOURS) == index
    assert read_option(COLOURS[index], COLOURS) == index


@given(st.text(max_size=40), st.integers(0, 3))
def test_every_rule_takes_every_reply(reply, right):
    for rule in extractors.RULES.values():
        assert rule(reply, COLOURS, right) in (True, False, None)


def test_an_empty_reply_is_right_for_mvbench_alone():
    marks = {name: rule("", COLOURS, 1) for name, rule in extractors.RULES.items()}
    assert [name for name, mark in marks.items() if mark] == ["mvbench"]


def test_tempcompass_rules():
    right = "A. dunking a basketball"
    assert [tempcompass.multi_choice_right(said, right) for said in (right, "A", "A) x", "B", "A dunk", "A\n", "")] == [
        True, True, True, False, None, None, None,
    ]  # fmt: skip
    assert tempcompass.yes_no_right("No.", "no") is True
    assert tempcompass.yes_no_right("Maybe", "no") is None
    asked = "Which caption matches?\nCaption A: a man runs\nCaption B: a man sits"
    rule = tempcompass.caption_matching_right
    answer = "Caption B: a man sits"
    replies = ["Caption B: a man sits", "a man sits", "Caption B.", "(B) a man sits", "Caption A", "B"]
    assert [rule(said, answer, asked) for said in replies] == [True, True, True, True, False, None]


@pytest.mark.parametrize("piece", ["A ", "Option A, ", "the answer is A ", "(", "answer to ", "\\boxed{", "<think>"])
def test_a_reply_that_never_ends_is_read_in_time(piece):
    started = time.perf_counter()
    read_option(piece * 20_000, COLOURS)
    assert time.perf_counter() - started < 10
