"""The study of the reasoner: what its films show and ask, when a claim holds, that its page tells its figures."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

RESULTS = Path(__file__).parent.parent / "results"
sys.path.insert(0, str(RESULTS))

import reasoner_films as films  # noqa: E402
import reasoner_school as school  # noqa: E402
import torch  # noqa: E402
from reasoner_page import page  # noqa: E402

from videre.models import builtin  # noqa: E402
from videre.models.prompt import Prompter  # noqa: E402
from videre.types import Question  # noqa: E402


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


def test_which_of_two_things_comes_first_is_told_by_their_scenes():
    shown = films.film(6, films.SMALL)
    started = {f"the {t.colour} thing": t.start_seconds for t in shown.things}
    for seed in range(20):
        sample = films.ordered(shown, (seed % 8, (seed + 3) % 8), np.random.default_rng(seed))
        (best, other) = sorted(sample.question.options, key=started.get, reverse="last" in sample.question.text)
        assert sample.answer == best
        assert other in sample.question.text
    assert len({sample.id for sample in films.mixed(shown)}) == 12
    assert {t.radius for t in shown.things} == {films.SMALL}


@pytest.mark.parametrize("guide", [True, False])
def test_a_lesson_shows_the_parts_of_its_layout_and_asks_what_is_true(guide):
    for seed in (1, 2, 3):
        chunks, asked = school.lesson(seed, replace(school.WHOLE, guide=guide))
        assert [len(chunk) for chunk in chunks] == [school.K, school.K, school.OVERVIEW]
        assert [chunk.label.split()[0] for chunk in chunks] == ["Key", "Close-up", "Overview"]
        assert len(asked) == school.EXPLAINED if guide else len(asked) >= 10
        assert all(text.endswith("?") and answer for text, answer in asked)
        assert all(("found by this plan" in text) == guide for text, _ in asked)
    (even,), asked = school.lesson(4, school.Showing(equal=True))
    assert len(even) == school.OVERVIEW + 2 * school.K
    assert len(asked) == 12


def test_lessons_about_a_moment_agree_with_its_film_and_those_about_all_of_it_need_the_overview():
    shown = films.film(9, films.SMALL)
    of_all, without = (school.asked(shown, np.random.default_rng(3), whole=whole) for whole in (True, False))
    assert {s.kind for s in without} == {s.kind for s in of_all} - {"order", "ends"}
    assert [sum(s.kind == kind for s in of_all) for kind in ("order", "ends")] == [school.ORDERS, 2]
    (span,) = {s.spans for s in without}
    (thing,) = (t for t in shown.things if t.start_seconds == span[0].start_seconds)
    assert all(s.answer == getattr(thing, s.kind.split()[0]) for s in without)
    assert of_all[0].kind not in ("order", "ends")
    assert {s.answer for s in of_all if s.kind == "ends"} == {shown.things[0].colour, shown.things[-1].colour}


def test_lessons_in_one_pass_have_the_loss_of_each_question_alone():
    model = builtin.load(handover="images")
    how = school.Showing(overview=0, close_ups=True, guide=False)
    chunks, asked = school.lesson(5, how)
    prompter = Prompter(model.processor, handover="images")
    head = prompter.read(chunks)
    row = school.Lessons(prompter, 1)._row(head, asked)
    batch = {"pixels": head.inputs["pixel_values"][0], **school.language.pack([row])}
    text = model.network.model.text_model.config
    text._attn_implementation = "packed"
    with torch.no_grad():
        together = school.loss(model.network, batch)
    text._attn_implementation = "eager"
    with torch.no_grad():
        alone = torch.cat([model.loss(chunks, Question(q), a) for q, a in asked]).mean()
    assert torch.allclose(together, alone, rtol=1e-4)


def test_the_page_is_that_of_the_figures():
    told = json.loads((RESULTS / "reasoner.json").read_text("utf-8"))
    assert page(told) == (RESULTS / "reasoner.md").read_text("utf-8")
    gains = [claim for name, claim in told["claims"].items() if "negated" not in name and "tie" not in name]
    assert told["facts"]["questions"] == 500
    assert bool(told["arms"]) == any("blind rule" in name for name in told["claims"])
    assert all(claim["holds"] == (claim["low"] > claim["threshold"]) for claim in gains)
