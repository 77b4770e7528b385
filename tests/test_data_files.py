"""Annotation files of every kind: where a row starts, and what is said of a file that does not hold."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videre.data import choices, labels
from videre.data.annotations import collect, read_text, table
from videre.data.fields import Row
from videre.data.json_rows import LINE_BYTES, each_line, jsonl, keyed, members
from videre.errors import NO_INPUT, USAGE, DataError
from videre.types import Question, Sample


def written(folder: Path, text: str | bytes, name: str = "rows.json") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(JSON_VALUES, max_size=5), indent=st.sampled_from([None, 0, 2]))
def test_members_are_what_json_loads_and_start_on_their_line(tmp_path_factory, rows, indent):
    text = json.dumps(rows, indent=indent)
    found = list(members(written(tmp_path_factory.mktemp("json"), text)))
    assert [
        row.fields if isinstance(value, dict) else row.fields["value"] for row, value in zip(found, rows, strict=True)
    ] == rows
    lines = text.split("\n")
    for row, value in zip(found, rows, strict=True):
        first = json.dumps(value, indent=indent).split("\n")[0]
        assert first in lines[row.line - 1]


@settings(max_examples=50, deadline=None)
@given(rows=st.dictionaries(st.text(max_size=4), st.integers(), max_size=5))
def test_keyed_is_what_json_loads(tmp_path_factory, rows):
    found = keyed(written(tmp_path_factory.mktemp("json"), json.dumps(rows)))
    assert {name: row.fields["value"] for name, row in found.items()} == rows


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ('[\n{"a": 1},\n{"a": 2},\n]', 3, "a comma stands before a closing bracket"),
        ('[\n{"a": 1,\n}\n]', None, "a comma stands before a closing bracket"),
        ('[\n{"a": 1}\n{"a": 2}]', 3, '"," or "]" was expected'),
        ('[\n{"a": 1},\n{"a": ', 3, "not JSON"),
        ('{"a": 1,\n"a": 2}', 2, "the key 'a' comes twice"),
        ("[]\n{}", 2, "something follows"),
        ('"text"', 1, "a JSON list or object was expected"),
        ("", 1, "a JSON list or object was expected"),
        ('{"a" 1}', 1, 'a key and ":" were expected'),
        ("{1: 2}", 1, "a key"),
        ("[" * 100_000, 1, "nested too deeply"),
        ('[{"a": ' + "9" * 5000 + "}]", 1, "a number with thousands of digits"),
        (b'["ok",\n"\xff\xfe"]', 2, "the text is not UTF-8"),
        ('[{"a": 1}]'.encode("utf-16"), 1, "the file is UTF-16"),
    ],
)
def test_broken_json_names_the_line(tmp_path, text, line, reason):
    path = written(tmp_path, text)
    with pytest.raises(DataError) as caught:
        list(members(path))
    assert reason in str(caught.value)
    assert str(caught.value).startswith(f"{path}:{line}:" if line else f"{path}:")
    assert caught.value.exit_code == USAGE


def test_json_lines_bear_a_mark_crlf_empty_lines_and_no_last_line_end(tmp_path):
    text = '\ufeff{"a": 1}\r\n\r\n{"a": "ü"}'
    rows = list(jsonl(written(tmp_path, text, "rows.jsonl")))
    assert [(row.line, row.fields["a"]) for row in rows] == [(1, 1), (3, "ü")]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"a": 1},\n', "a comma follows the closing brace"),
        (b'{"a": 1,}\n', "a comma stands before a closing bracket"),
        (b'{"a": 1', "the last line is torn"),
        (b'{"a": 1\n', "not JSON"),
        (b'[{"a": 1}]\n', "this is a JSON list, not JSON lines"),
        (b"12\n", "the line is no JSON object"),
        (b'{"a": "\xff"}\n', "the text is not UTF-8"),
    ],
)
def test_a_bad_line_is_named_and_the_others_are_read(tmp_path, raw, reason):
    path = written(tmp_path, b'{"a": 0}\n' + raw, "rows.jsonl")
    first, bad = each_line(path)
    assert isinstance(first, Row)
    assert str(bad).startswith(f"{path}:2: {reason}")
    with pytest.raises(DataError, match=reason):
        list(jsonl(path))


def test_a_hundred_megabytes_on_one_line_are_passed_over(tmp_path):
    path = tmp_path / "rows.jsonl"
    with path.open("wb") as file:
        file.write(b'{"a": 0}\n{"a": "')
        file.seek(100 * 1024 * 1024, 1)
        file.write(b'"}\n{"a": 2}\n')
    first, long, last = each_line(path)
    assert f":2: the line is longer than {LINE_BYTES} bytes" in str(long)
    assert (first.fields["a"], last.fields["a"], last.line) == (0, 2, 3)


def test_a_table_reads_either_delimiter_and_quotes(tmp_path):
    commas = list(
        table(written(tmp_path, '\ufeffkey,text\r\na,"one, ""two"""\r\n', "a.csv"), ("key", "text"), delimiters=",;")
    )
    colons = list(table(written(tmp_path, "key;text\na;one\n", "b.csv"), ("key", "text"), delimiters=",;"))
    assert commas[0].fields == {"key": "a", "text": 'one, "two"'}
    assert (colons[0].fields["text"], colons[0].line) == ("one", 2)


@pytest.mark.parametrize(
    ("text", "where", "reason"),
    [
        ("key\na\n", ":1:", "no column text (there is key)"),
        ("key,text\na,b\nc\n", ":3:", "fewer fields than columns"),
        ("key,text\na,b,c\n", ":2:", "more fields than columns"),
        ('key,text\na,"b\n', ":2:", "not readable as CSV"),
        ("", ":1:", "no column key, text"),
    ],
)
def test_a_broken_table_names_the_line(tmp_path, text, where, reason):
    path = written(tmp_path, text, "rows.csv")
    with pytest.raises(DataError) as caught:
        list(table(path, ("key", "text")))
    assert f"{path}{where} {reason}" in str(caught.value)


@pytest.mark.parametrize("name", ["missing.json", "."])
def test_a_file_that_cannot_be_opened_says_where_files_are_from(tmp_path, name):
    for reader in (members, jsonl, read_text):
        with pytest.raises(DataError, match=r"docs/data\.md") as caught:
            list(reader(tmp_path / name))
        assert caught.value.exit_code == NO_INPUT


def test_collect_refuses_an_id_twice_and_an_empty_file():
    rows = [Row("a.json", 3, {"id": "x"}), Row("a.json", 8, {"id": "x"})]

    def build(row: Row) -> Sample:
        return Sample(row.text("id"), "v", Question("what?"))

    with pytest.raises(DataError, match=r"a.json:8: the id 'x' was used before, on line 3"):
        collect(rows, build, path="a.json")
    with pytest.raises(DataError, match=r"a.json:1: the file has no rows"):
        collect([], build, path="a.json")
    with pytest.raises(DataError, match=r"a.json:3: the question is empty"):
        collect(rows, lambda row: Sample("y", "v", Question(" ")), path="a.json")


@pytest.mark.parametrize(
    ("method", "value", "reason"),
    [
        ("text", 3, '"f" is a number, text was expected'),
        ("text", "  ", '"f" is empty'),
        ("label", True, '"f" is true or false, text was expected'),
        ("number", "3", '"f" is text, a number was expected'),
        ("number", True, '"f" is true or false, a number was expected'),
        ("number", float("nan"), '"f" is nan, a finite number was expected'),
        ("whole", 1.5, "a whole number was expected"),
        ("items", {}, '"f" is an object, a list was expected'),
        ("strings", [["a"]], "holds other things than text"),
        ("inner", None, '"f" is null, an object was expected'),
        ("inners", [1], "holds other things than objects"),
    ],
)
def test_a_field_of_the_wrong_type_is_named(method, value, reason):
    with pytest.raises(DataError) as caught:
        getattr(Row("a.json", 7, {"f": value}), method)("f")
    assert "a.json:7: " in str(caught.value)
    assert reason in str(caught.value)


def test_a_missing_field_is_named_with_those_that_are_there():
    with pytest.raises(DataError, match=r'no field "answer" \(there is anwser\)'):
        Row("a.json", 7, {"anwser": "x"}).text("answer")


def test_numbers_of_a_table_are_read_out_of_text():
    row = Row("a.csv", 2, {"n": "1.5", "k": "4", "bad": "x"}, texts=True)
    assert (row.number("n"), row.whole("k")) == (1.5, 4)
    with pytest.raises(DataError, match="'x', a number was expected"):
        row.number("bad")


TAIL = choices.TAIL


@pytest.mark.parametrize(
    ("text", "question", "options"),
    [
        (f"What?\nA. red\nB. blue\n{TAIL}", "What?", ("red", "blue")),
        (f"Question: Where is U.S.A. shown?\nA. here\nB. there\n{TAIL}", "Where is U.S.A. shown?", ("here", "there")),
        ("What?\n\nA. red\nB. \nC. two\nlines", "What?", ("red", "", "two\nlines")),
        ("In what order?A. one\nA. two\nB. three", "In what order?", ("one", "two", "three")),
    ],
)
def test_a_prompt_is_taken_apart(text, question, options):
    found = choices.prompt(Row("a.jsonl", 1, {}), text)
    assert (found.question, found.options) == (question, options)


def test_the_letter_of_a_stuck_option_is_that_of_its_line():
    found = choices.prompt(Row("a.jsonl", 1, {"GT": "A"}), "In what order?A. one\nA. two\nB. three")
    assert choices.by_letter(Row("a.jsonl", 1, {"GT": "A"}), "GT", letters=found.letters) == "two"


@pytest.mark.parametrize(
    ("text", "reason"), [("What?", 'no line that starts with "A."'), ("What?\nA. x\nC. y", "skip from B to C")]
)
def test_a_prompt_without_options_is_refused(text, reason):
    with pytest.raises(DataError, match=reason):
        choices.prompt(Row("a.jsonl", 1, {}), text)


def test_an_answer_outside_the_options_is_refused():
    with pytest.raises(DataError, match=r"a:4: \"GT\" is 'F', the options are A, B"):
        choices.by_letter(Row("a", 4, {"GT": "F"}), "GT", letters={"A": "x", "B": "y"})
    with pytest.raises(DataError, match=r'"i" is 2, the options are 0 to 1'):
        choices.by_index(Row("a", 4, {"i": 2}), "i", options=("x", "y"))
    with pytest.raises(DataError, match=r"is 'z', which is none of the options 'x', 'y'"):
        choices.by_text(Row("a", 4, {"t": "z"}), "t", options=("x", "y"))
    assert choices.asked("Only one?", ("x",)) == Question("Only one?")


def test_label_maps_name_their_bad_line(tmp_path):
    with pytest.raises(DataError, match=":2: an empty class name"):
        labels.read_names(written(tmp_path, "run\n\nwalk\n", "map.txt"))
    with pytest.raises(DataError, match=":2: 'x' is no code and name"):
        labels.read_coded(written(tmp_path, "a0 run\nx\n", "map.txt"))
    with pytest.raises(DataError, match=":2: the code a0 comes twice"):
        labels.read_coded(written(tmp_path, "a0 run\na0 walk\n", "map.txt"))
