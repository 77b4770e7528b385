"""The study of the reasoner: what its films show and ask, when a claim holds, that its page tells its figures."""

import json
import sys
from pathlib import Path

import pytest

RESULTS = Path(__file__).parent.parent / "results"
sys.path.insert(0, str(RESULTS))

import reasoner_films as films  # noqa: E402
from reasoner_page import page  # noqa: E402


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_film_shows_one_thing_at_a_time_and_its_questions_are_about_the_scene_that_answers_them(seed):
    shown = films.film(seed)
    assert films.film(seed) == shown
    assert len({t.colour for t in shown.things}) == len(shown.things) == 8
    assert all(len(shown.boxes(float(s))) == 1 for s in shown.frame_seconds)
    for sample in films.questions(shown):
        what, where = sample.kind.split()
        (span,) = sample.spans
        place = next(i for i, t in enumerate(shown.things) if t.start_seconds == span.start_seconds)
        anchor = shown.things[place - {"self": 0, "after": 1, "before": -1}[where]]
        assert anchor.colour in sample.question.text.split()
        assert sample.answer == getattr(shown.things[place], what)
        assert sample.question.options.count(sample.answer) == 1
        assert len(set(sample.question.options)) == 4
        assert what != "colour" or anchor.colour not in sample.question.options


def test_questions_about_named_things_are_answered_by_their_own_scene():
    shown = films.film(4)
    asked = films.named(shown)
    assert len({sample.id for sample in asked}) == len(asked) == 16
    for i, sample in enumerate(asked):
        thing = shown.things[i // 2]
        assert thing.colour in sample.question.text.split()
        assert sample.answer == (thing.direction, thing.shape)[i % 2]
        assert sample.spans[0].start_seconds == thing.start_seconds


def test_the_page_is_that_of_the_figures():
    told = json.loads((RESULTS / "reasoner.json").read_text("utf-8"))
    assert page(told) == (RESULTS / "reasoner.md").read_text("utf-8")
    gains = [claim for name, claim in told["claims"].items() if "negated" not in name and "tie" not in name]
    assert told["facts"]["questions"] == 500
    assert bool(told["arms"]) == any("blind rule" in name for name in told["claims"])
    assert all(claim["holds"] == (claim["low"] > claim["threshold"]) for claim in gains)
