"""Short answers, judges' replies, anticipation."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videre.errors import ConfigError, DataError
from videre.metrics import anticipation, judge, text
from videre.metrics.interval import Share
from videre.metrics.judge import Verdict

REPLIES = json.loads((Path(__file__).parent / "parity" / "judge_response_parsing.json").read_text())
COLOURS = {"A": "Red", "B": "Blue", "C": "Green", "D": "Yellow"}


@pytest.mark.parametrize(
    ("rule", "reply", "answer", "same"),
    [
        ("exact", "yes", "yes", True),
        ("exact", "Yes", "yes", False),
        ("words", "Yes.", "yes", True),
        ("words", "The red ball!", "red ball", True),
        ("words", "red balls", "red ball", False),
        ("words", "“The man’s dog”", "man's dog", True),
        ("words", "狗。", "狗", True),
        ("first-word", "dog running in a park", "dog", True),
        ("first-word", "A dog", "dog", True),
        ("first-word", "", "dog", False),
        ("first-word", "...", "", False),
    ],
)
def test_matches(rule, reply, answer, same):
    assert text.MATCHES[rule](reply, answer) is same


@given(st.text(max_size=30))
def test_every_answer_matches_itself(answer):
    assert text.same_text(answer, answer)
    assert text.same_words(answer, answer)
    assert text.same_words(f" {answer.upper()} ", answer) or answer.upper().casefold() != answer.casefold()


@given(st.lists(st.tuples(st.none() | st.sampled_from(["dog", "cat"]), st.sampled_from(["dog", "cat"])), min_size=1))
def test_missing_replies_are_wrong_and_counted(items):
    replies, answers = zip(*items, strict=True)
    found = text.matched(replies, answers, kinds=answers)
    assert found.n_scored == len(items)
    assert found.n_unparsed == replies.count(None)
    assert found.overall.right == sum(a == b for a, b in items)


def test_activitynet_names():
    shares = text.activitynet_shares([True, False, True, True], [0, 3, 4, 8])
    assert shares["Motion"] == Share(1, 1)
    assert shares["Free"] == Share(2, 3)
    assert shares["All"] == Share(3, 4)
    assert "Number" not in shares


@pytest.mark.parametrize("row", REPLIES, ids=lambda row: repr(row["judge_response"]))
def test_option_replies_as_the_official_parser_reads_them(row):
    assert judge.read_option_reply(row["judge_response"], COLOURS) == (row["official"] or None)


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("{'pred': 'yes', 'score': 4}", Verdict(True, 4.0)),
        ('```json\n{"pred": "No", "score": "0"}\n```', Verdict(False, 0.0)),
        ("{''pred'': ''no'', ''score'': 1.5}", Verdict(False, 1.5)),
        ("{'score': 9}", Verdict(None, None)),
        ("Yes, they agree.", Verdict(True, None)),
        ("4/5", Verdict(None, 4.0)),
        ("score: 3", Verdict(None, 3.0)),
        ("{broken", Verdict(None, None)),
        ("", Verdict(None, None)),
    ],
)
def test_verdicts(reply, verdict):
    assert judge.read_verdict(reply) == verdict


@given(st.text(max_size=80))
def test_any_reply_can_be_read(reply):
    found = judge.read_verdict(reply)
    assert found.score is None or 0 <= found.score <= 5
    assert judge.read_option_reply(reply, COLOURS) in {None, "Z", *COLOURS}


def test_failures_of_a_judge_are_counted_not_scored():
    found = judge.summarise([Verdict(True, 4.8), Verdict(False, 1.0), Verdict(), None])
    assert (found.accuracy, found.accuracy_of_read) == (Share(1, 4), Share(1, 2))
    assert (found.n_items, found.n_unread) == (4, 2)
    assert found.score == pytest.approx(2.9)
    assert judge.summarise([Verdict(True, 4.8), Verdict(False, 1.0)], whole_scores=True).score == 2.5
    assert math.isnan(judge.summarise([]).score)


@pytest.mark.parametrize("name", ["qa", *judge.ASPECTS])
def test_prompts_are_shipped_and_their_answers_readable(name):
    fields = {
        "question": "what?",
        "question2": "what then?",
        "answer": "a $5 dog",
        "prediction": "x",
        "prediction2": "y",
    }
    said = judge.prompt(name, **fields)
    assert "a $5 dog" in said
    assert "{'" in said
    with pytest.raises(ConfigError, match="needs the fields"):
        judge.prompt(name, question="what?")


def test_prompts_of_ones_own(tmp_path):
    path = tmp_path / "paper.txt"
    path.write_text("Q: $question")
    assert judge.prompt(path, question="why?") == "Q: why?"
    with pytest.raises(ConfigError, match="there are consistency, context"):
        judge.prompt("nope")
    with pytest.raises(DataError, match="no prompt file"):
        judge.prompt(tmp_path / "none.txt")


@given(st.lists(st.tuples(st.lists(st.integers(0, 6), max_size=7, unique=True), st.integers(0, 6)), min_size=1))
def test_anticipation_properties(items):
    guesses, labels = zip(*items, strict=True)
    one, five = (anticipation.top_k(guesses, labels, k=k) for k in (1, 5))
    assert one.accuracy.right <= five.accuracy.right
    assert one.class_recall <= five.class_recall + 1e-12
    assert five.n_classes == len(set(labels))
    perfect = anticipation.top_k([[label] for label in labels], labels)
    assert perfect.class_recall == perfect.accuracy.value == 1.0


def test_class_recall_weighs_classes_alike_and_ignores_absent_ones():
    guesses, labels = [["a"]] * 4, ["a", "a", "a", "b"]
    assert anticipation.top_k(guesses, labels).accuracy.value == 0.75
    assert anticipation.top_k(guesses, labels).class_recall == 0.5
    tail = anticipation.top_k(guesses, labels, classes=["b", "absent"])
    assert (tail.class_recall, tail.n_classes) == (0.0, 1)
    assert anticipation.top_k([[]], ["a"]).accuracy.value == 0.0


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=1, max_size=40))
@settings(max_examples=20, deadline=None)
def test_the_interval_of_class_recall(items):
    guesses, labels = [[label] if hit else [] for hit, label in items], [label for _, label in items]
    found = anticipation.top_k(guesses, labels)
    low, high = found.class_recall_interval
    assert 0 <= low <= high <= 1
    if all(hit for hit, _ in items):
        assert (low, high) == (1.0, 1.0)
    assert np.isnan(anticipation.top_k(guesses, labels, classes=["none"]).class_recall_interval).all()
