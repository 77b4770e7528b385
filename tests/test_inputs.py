"""What is typed becomes tasks: patterns, odd names, rows good and bad."""

import io

import pytest

from videre.apps.inputs import expanded, rows, tasks
from videre.errors import DataError


def test_one_task_a_video_and_names_stay_apart(tmp_path):
    for name in ("a/x.mp4", "b/x.mp4", "b/y.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    made = tasks([str(tmp_path / "*/*.mp4")], "why?", ["a", "b"])
    assert [task.path for task in made] == [str(tmp_path / n) for n in ("a/x.mp4", "b/x.mp4", "b/y.mp4")]
    assert made[2].id == "y.mp4"
    assert len({task.id for task in made}) == 3
    assert made[0].question.options == ("a", "b")


def test_names_that_look_like_patterns_are_literal_where_they_exist(tmp_path):
    odd = tmp_path / "clip [1] 100%*.mp4"
    odd.touch()
    assert expanded(str(odd)) == [str(odd)]
    assert expanded("gone-[x].mp4") == ["gone-[x].mp4"]


@pytest.mark.parametrize("text", ["", "  ", "x" * 20_001])
def test_a_question_that_is_none_is_refused(text):
    with pytest.raises(DataError):
        tasks(["a.mp4"], text)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"video": "a.mp4"}', "'question' is missing or not text"),
        ('{"video": 3, "question": "why?"}', "'video' is missing or not text"),
        ('{"video": "a.mp4", "question": "why?", "options": "red"}', "'options' is a list of texts"),
        ('{"video": "a.mp4", "question": "why?", "options": ["red"]}', "two options or more"),
        ('{"video": "a.mp4", "question": "why?",}', "not JSON"),
        ('["a.mp4", "why?"]', "expected an object"),
        ('{"video": "a.mp4", "quest', "not JSON"),
    ],
)
def test_a_bad_row_is_its_own_error_and_the_rest_goes_on(line, reason):
    good = '{"video": "b.mp4", "question": "when?"}'
    made = list(rows(io.StringIO(f"\ufeff{good}\r\n\r\n{line}\n{good.replace('b.', 'c.')}\n")))
    assert [getattr(task, "path", None) for task in made] == ["b.mp4", None, "c.mp4"]
    assert isinstance(made[1], DataError)
    assert "line 3" in str(made[1])
    assert reason in str(made[1])


def test_an_id_given_twice_is_refused():
    line = '{"id": "q1", "video": "b.mp4", "question": "when?"}\n'
    made = list(rows(io.StringIO(line * 2)))
    assert made[0].id == "q1"
    assert "line 2: the id 'q1' is given twice" in str(made[1])
