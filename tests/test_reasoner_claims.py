"""The study of the reasoner: what its films show and ask, when a claim holds, that its page tells its figures."""

import json
import sys
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
    assert len({sample.id for sample in films.mixed(shown)}) == 10
    assert {t.radius for t in shown.things} == {films.SMALL}


@pytest.mark.parametrize("group", ["relation", "self", "order"])
def test_a_lesson_shows_the_parts_of_its_layout_and_asks_what_is_true(group):
    for seed in (1, 2, 3):
        chunks, asked = school.lesson(seed, school.WHOLE, group)
        assert [len(chunk) for chunk in chunks] == [school.OVERVIEW, school.K, school.K]
        assert [chunk.label.split()[0] for chunk in chunks] == ["Overview", "Key", "Close-up"]
        assert len(asked) >= 3
        assert all(text.endswith("?") and answer for text, answer in asked)
    (even,), asked = school.lesson(4, school.Showing(equal=True), "all")
    assert len(even) == school.OVERVIEW + 2 * school.K
    assert len(asked) == 10


def test_lessons_in_one_pass_have_the_loss_of_each_question_alone():
    model = builtin.load(handover="images")
    how = school.Showing(overview=0, close_ups=True, guide=False)
    chunks, asked = school.lesson(5, how, "self")
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
