"""Rows of one's own: what is read, and every refusal in words with file and line."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videre.data import rows
from videre.data.videos import checked_name
from videre.errors import REFUSED, USAGE, DataError
from videre.types import Box, Question, Sample, Span

GOOD = {"id": "a1", "video": "kitchen/01.mp4", "question": "What is cut?"}


def written(folder: Path, *lines: dict | str, end: str = "\n") -> Path:
    path = folder / "own.jsonl"
    text = end.join(line if isinstance(line, str) else json.dumps(line) for line in lines) + end
    path.write_bytes(text.encode())
    return path


def refusal(folder: Path, **fields: object) -> str:
    """The message for a row with these fields on line 2, which must name that line."""
    path = written(folder, GOOD, {**GOOD, "id": "a2", **fields})
    good, bad = rows.split(path)
    assert len(good) == 1
    assert len(bad) == 1
    assert bad[0].exit_code == USAGE
    message = str(bad[0])
    assert message.startswith(f"{path}:2: ")
    with pytest.raises(DataError) as caught:
        rows.read(path)
    assert str(caught.value) == message
    return message.removeprefix(f"{path}:2: ")


def test_a_full_row(tmp_path):
    row = {
        **GOOD,
        "options": ["bread", "cheese"],
        "answer": "cheese",
        "kind": "object",
        "duration_seconds": 31.5,
        "clip": [0, 20],
        "spans": [[4.5, 9], {"start_seconds": 10, "end_seconds": 11.5, "label": "again", "confidence": None}],
        "boxes": [{"seconds": 5, "x0": 0.2, "y0": 0.1, "x1": 0.5, "y1": 0.6, "label": "cheese"}],
        "note": "passed over",
    }
    assert rows.read(written(tmp_path, row)) == [
        Sample(
            id="a1",
            video="kitchen/01.mp4",
            question=Question("What is cut?", ("bread", "cheese")),
            answer="cheese",
            spans=(Span(4.5, 9), Span(10, 11.5, label="again")),
            boxes=(Box(5, 0.2, 0.1, 0.5, 0.6, "cheese"),),
            kind="object",
            clip=Span(0, 20),
        )
    ]


def test_the_smallest_row_with_a_byte_order_mark_and_crlf(tmp_path):
    path = written(tmp_path, "\ufeff" + json.dumps(GOOD), {**GOOD, "id": 2, "answer": None}, end="\r\n")
    assert [(s.id, s.answer, s.question.options) for s in rows.read(path)] == [("a1", None, ()), ("2", None, ())]


def test_good_rows_run_beside_bad_ones(tmp_path):
    path = written(tmp_path, GOOD, "{", {**GOOD, "id": "a2"}, {"id": "a3"}, '{"id": "torn', end="\n")
    good, bad = rows.split(path)
    assert [sample.id for sample in good] == ["a1", "a2"]
    assert [str(error).split(":")[1] for error in bad] == ["2", "4", "5"]
    with pytest.raises(DataError, match=r"own.jsonl:2: .*\(and 2 more bad rows\)"):
        rows.read(path)


def test_a_first_line_of_two_letters_is_a_line_of_its_own(tmp_path):
    good, bad = rows.split(written(tmp_path, "{}", GOOD))
    assert [sample.id for sample in good] == ["a1"]
    assert [str(error).split(":")[1] for error in bad] == ["1"]


def test_a_torn_last_line(tmp_path):
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + json.dumps(GOOD)[:20])
    with pytest.raises(DataError, match=r":2: the last line is torn"):
        rows.read(path)


def test_duplicate_ids_are_refused_or_the_first_is_kept(tmp_path):
    path = written(tmp_path, GOOD, {**GOOD, "question": "Which knife?"})
    with pytest.raises(DataError, match=r":2: the id 'a1' was used before, on line 1; .*dedupe"):
        rows.split(path)
    assert [sample.question.text for sample in rows.read(path, dedupe=True)] == ["What is cut?"]


def test_an_empty_file(tmp_path):
    path = tmp_path / "own.jsonl"
    path.write_text("\n")
    with pytest.raises(DataError, match="has no rows"):
        rows.read(path)


@pytest.mark.parametrize("name", ["/etc/passwd", "../../secret.mp4", "a/../../b.mp4", "C:/x.mp4"])
def test_a_path_out_of_the_root_ends_it_with_code_7(tmp_path, name):
    path = written(tmp_path, GOOD, {**GOOD, "id": "a2", "video": name})
    for read in (rows.read, rows.split):
        with pytest.raises(DataError, match=r"own.jsonl:2: ") as caught:
            read(path)
        assert (caught.value.exit_code, caught.value.code) == (REFUSED, "escapes_root")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"id": None}, '"id" is null, text was expected'),
        ({"id": ["a"]}, '"id" is a list'),
        ({"video": ["a"]}, '"video" is a list'),
        ({"question": 3}, '"question" is a number, text was expected'),
        ({"question": " "}, '"question" is empty'),
        ({"options": "a b"}, '"options" is text, a list was expected'),
        ({"options": ["a"]}, '"options" has 1, a choice has two or more'),
        ({"options": []}, '"options" has 0'),
        ({"options": [f"o{n}" for n in range(27)]}, '"options" has 27, a choice has at most 26'),
        ({"options": ["a", None]}, "holds other things than text"),
        ({"options": ["a", "b"], "answer": "B"}, "\"answer\" is 'B', which is none of the options 'a', 'b'"),
        ({"options": ["a", "b"], "answer": 1}, "write the option's text, not its letter or number"),
        ({"anwser": "cheese"}, 'there is no field "anwser"; write "answer"'),
        ({"spans": [[4, 2]]}, "a span ends before it starts: [4, 2]"),
        ({"spans": [[4]]}, "a span is [4], a list of 2 numbers was expected"),
        ({"spans": [["4", 5]]}, "a span holds '4', a number was expected"),
        ({"spans": [4, 5]}, "a span is 4, a list of 2 numbers was expected"),
        ({"spans": [[0, float("nan")]]}, "a span holds nan, a finite number was expected"),
        ({"spans": [[0, 10**400]]}, "a finite number was expected"),
        ({"spans": [[0, float("inf")]]}, "a span holds inf"),
        ({"spans": [{"start": 1, "end": 2}]}, 'no "start_seconds"'),
        ({"spans": "all"}, '"spans" is text, a list was expected'),
        ({"clip": [9, 3]}, "a span ends before it starts"),
        ({"spans": [[1500, 3200]]}, "looks like milliseconds"),
        ({"spans": [[120000.5, 125000.5]]}, "looks like milliseconds"),
        ({"spans": [[1500, 3200]], "duration_seconds": 12}, "looks like milliseconds; divide by 1000"),
        ({"spans": [[2, 14]], "duration_seconds": 12}, "ends after the video (12 s)"),
        ({"duration_seconds": "12"}, '"duration_seconds" is text'),
        ({"boxes": [[1, 2, 3, 4]]}, "an object was expected"),
        ({"boxes": [{"seconds": 1, "x0": 0}]}, 'no "y0"'),
    ],
)
def test_a_bad_row_is_refused_in_words(tmp_path, fields, reason):
    message = refusal(tmp_path, **fields)
    assert reason in message
    assert "; " in message, "the next step is missing"


def test_a_missing_key_is_named(tmp_path):
    path = written(tmp_path, {"id": "a1", "question": "What?"})
    with pytest.raises(DataError, match=r'own.jsonl:1: no field "video"'):
        rows.read(path)


@pytest.mark.parametrize(
    ("corners", "reason"),
    [
        ((120, 80, 400, 300), "looks like 0 to 1000 or pixels"),
        ((0, 0, 1000, 1000), "looks like 0 to 1000 or pixels"),
        ((10.5, 8.5, 1400, 720.25), "looks like pixels"),
        ((0.1, 0.1, 1.2, 0.5), "is outside 0 to 1"),
        ((-0.1, 0.1, 0.2, 0.5), "lies outside the frame"),
        ((0.5, 0.5, 0.2, 0.2), "second corner before its first"),
        ((0.1, float("nan"), 0.2, 0.2), "a box holds nan"),
    ],
)
def test_boxes_in_another_space_are_recognised(tmp_path, corners, reason):
    box = dict(zip(("x0", "y0", "x1", "y1"), corners, strict=True), seconds=1)
    assert reason in refusal(tmp_path, boxes=[box])


def test_an_hour_of_seconds_passes_where_the_duration_is_given(tmp_path):
    row = {**GOOD, "duration_seconds": 7200, "spans": [[1500, 3200]]}
    assert rows.read(written(tmp_path, row))[0].spans == (Span(1500, 3200),)


@settings(max_examples=200, deadline=None)
@given(
    fields=st.dictionaries(
        st.sampled_from([*rows.FIELDS, "other"]),
        st.none()
        | st.booleans()
        | st.integers(-2000, 2000)
        | st.floats()
        | st.text(max_size=4)
        | st.lists(st.floats() | st.text(max_size=2) | st.lists(st.floats(), max_size=4), max_size=3)
        | st.lists(
            st.dictionaries(st.sampled_from(["seconds", "x0", "y0", "x1", "y1", "label"]), st.floats(-1, 2)), max_size=2
        ),
    )
)
def test_any_json_is_a_sample_or_a_data_error(tmp_path_factory, fields):
    path = written(tmp_path_factory.mktemp("own"), {**GOOD, **fields})
    good, bad = rows.split(path) if not _escapes(fields) else ([], [])
    assert all("own.jsonl:1: " in str(error) for error in bad)
    for sample in good:
        assert sample.question.text.strip()
        assert all(span.start_seconds <= span.end_seconds for span in sample.spans)


def _escapes(fields: dict) -> bool:
    """Whether the row ends the reading: its video is a name that leads out of the root, such as an empty one."""
    try:
        checked_name(str(fields.get("video", "v")).strip())
    except DataError:
        return True
    return False
