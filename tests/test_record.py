"""The evidence record survives the trip to a line and back."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videre.errors import DataError, VideoError
from videre.record import Record, dumps, error_record, from_row, to_row
from videre.types import Answer, Box, Evidence, Question, ScoreLine, Span, Step, Usage

FULL = Record(
    "clip-1",
    {"path": 'a\n"b".mp4', "duration_seconds": 4.0, "notes": []},
    Question("which?", ("red", "blue")),
    Answer(
        "B",
        option=1,
        rationale="it is blue",
        confidence=0.75,
        evidence=Evidence(
            seconds=(0.5, 2.0),
            scores=(0.1, 0.9),
            spans=(Span(0.5, 2.0, 0.5, "key"),),
            boxes=(Box(2.0, 0.1, 0.2, 0.3, 0.4, "ball", 0.8),),
            steps=(Step("select", {"k": 2}, [0.5, 2.0], 1.5),),
            scored=ScoreLine((0.0, 0.5, 2.0), (0.0, 0.1, 0.9)),
        ),
        usage=Usage(2, 30, 1, 12.5),
        run={"frames_sha256": ["aa", "bb"]},
        ranking=("B", "A"),
        notes=("careful",),
    ),
)


def test_round_trip():
    assert from_row(json.loads(dumps(to_row(FULL)))) == FULL


def test_round_trip_of_an_error():
    record = error_record(
        VideoError("a.mp4: file is empty", code="empty"), id="1", path="a.mp4", question=FULL.question
    )
    back = from_row(json.loads(dumps(to_row(record))))
    assert back == record
    assert back.error == {"code": "empty", "message": "a.mp4: file is empty", "exit_code": 3}
    assert str(back) == "error: a.mp4: file is empty"


def test_frames_carry_their_score_and_hash():
    frames = to_row(FULL)["frames"]
    assert frames[1] == {"seconds": 2.0, "score": 0.9, "sha256": "bb"}


def test_a_reply_that_names_no_option_is_kept_and_marked():
    row = to_row(Record("1", {}, FULL.question, Answer("!!!!")))
    assert (row["answer"], row["option"], row["parse_ok"]) == ("!!!!", None, False)


@given(st.text(st.characters(codec="utf-8")) | st.just("\ud800"), st.floats())
def test_a_row_is_one_line_of_strict_json(text, number):
    line = dumps({"text": text, "number": number})
    assert "\n" not in line
    back = json.loads(line)
    assert back["text"] == text
    assert back["number"] == (number if math.isfinite(number) else None)


def test_scores_that_are_no_numbers_are_left_out_of_the_line():
    line = ScoreLine((0.0, 0.5, 2.0), (math.nan, 0.1, -math.inf))
    lame = replace(FULL, answer=replace(FULL.answer, evidence=Evidence((0.5,), scored=line)))
    assert from_row(json.loads(dumps(to_row(lame)))).evidence.scored == ScoreLine((0.5,), (0.1,))


@pytest.mark.parametrize(
    "other",
    [{"frames": [{}]}, {"question": 3}, {"question": {"text": 3, "options": []}}, {"video": "a.mp4"}, {"answer": None},
     {"option": "B"}, {"rationale": 5}, {"confidence": "high"}, {"run": "x"}, {"error": "x"}, {"scored": 3},
     {"steps": [{"name": "s", "inputs": "x", "output": None}]}],
)  # fmt: skip
def test_values_of_other_types_are_refused_in_words(other):
    with pytest.raises(DataError, match="not an evidence record"):
        from_row({**to_row(FULL), **other})


@pytest.mark.parametrize(
    ("row", "reason"), [({}, "no 'question'"), ({"question": "why?"}, "'question' is of type str; expected")]
)
def test_other_rows_are_refused_in_words(row, reason):
    with pytest.raises(DataError, match=f"not an evidence record: {reason}"):
        from_row(row)
