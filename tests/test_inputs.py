"""What is typed becomes tasks: patterns, odd names, rows good and bad."""

import io

import pytest

from videre.apps import benchmarks, naming, plan
from videre.apps.answering import Settings
from videre.apps.inputs import expanded, rows, tasks
from videre.errors import ConfigError, DataError
from videre.models.fake import FakeMLLM
from videre.record import dumps


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
        ('{"id": ' + "1" * 5000 + "}", "no JSON that can be read"),
        ("[" * 100_000, "no JSON that can be read"),
    ],
)
def test_a_bad_row_is_its_own_error_and_the_rest_goes_on(line, reason):
    good = '{"video": "b.mp4", "question": "when?"}'
    made = list(rows(io.BytesIO(f"\ufeff{good}\r\n\r\n{line}\n{good.replace('b.', 'c.')}\n".encode())))
    assert [getattr(task, "path", None) for task in made] == ["b.mp4", None, "c.mp4"]
    assert isinstance(made[1], DataError)
    assert "line 3" in str(made[1])
    assert reason in str(made[1])


def test_one_video_that_is_named_twice_is_asked_about_once(tmp_path):
    (tmp_path / "x.mp4").touch()
    assert len(tasks([str(tmp_path / "x.mp4"), str(tmp_path / "*.mp4")], "why?")) == 1


def test_more_options_than_letters_are_refused():
    with pytest.raises(DataError, match="has 27 options; at most 26"):
        tasks(["a.mp4"], "which?", [str(n) for n in range(27)])


def test_an_empty_id_is_none():
    lines = b'{"id": "", "video": "b.mp4", "question": "?"}\n{"id": null, "video": "b.mp4", "question": "?"}'
    assert [task.id for task in rows(io.BytesIO(lines))] == ["row-1", "row-2"]


def test_an_id_given_twice_is_refused():
    line = b'{"id": "q1", "video": "b.mp4", "question": "when?"}\n'
    made = list(rows(io.BytesIO(line * 2)))
    assert made[0].id == "q1"
    assert "line 2: the id 'q1' is given twice" in str(made[1])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"video": "a.mp4", "question": "caf\xe9?"}', "line 1: not UTF-8"),
        (b'{"video": "", "question": "why?"}', "'video' is empty"),
        (b'{"video": "a.mp4", "question": "why?", "id": NaN}', "'id' is text or a whole number, got nan"),
        (b'{"video": "a.mp4", "question": " "}', "line 1: the question is empty"),
    ],
)
def test_a_row_that_names_nothing_is_refused(line, reason):
    (made,) = rows(io.BytesIO(line))
    assert reason in str(made)


def test_an_id_may_be_a_whole_number():
    (made,) = rows(io.BytesIO(b'{"video": "a.mp4", "question": "why?", "id": 0}'))
    assert made.id == "0"


def test_logins_of_servers_stand_in_no_settings_and_no_message():
    login = "http://ann:s3cret@127.0.0.1:9/v1"
    settings = Settings(f"{login}#m", f"made:model={login}#m,k=2", 8, 768, 0)
    told = dumps(plan._inputs(benchmarks.Benchmark("rows", []), settings, FakeMLLM()))
    assert "127.0.0.1:9/v1#m" in told
    assert "s3cret" not in told
    assert "ann" not in told
    for name in (login, f"{login}?q=1#m"):
        with pytest.raises(ConfigError) as caught:
            naming.model(name)
        assert "s3cret" not in str(caught.value)


def test_the_seed_reaches_selectors_that_draw_and_no_other(monkeypatch):
    def make(*folder, **settings):
        made = lambda video, question: None  # noqa: E731
        made.settings = settings
        return made

    monkeypatch.setattr(naming, "_load", lambda place: make)
    texts = ("q-frame:clip=c", "q-frame:clip=c,seed=1", "focus:clip=c", "uniform", "./f:strategy=q-frame", "./f")
    given = [naming.selector(text, k=4, seed=5).settings for text in texts]
    assert [settings.get("seed") for settings in given] == [5, 1, 5, None, 5, None]
