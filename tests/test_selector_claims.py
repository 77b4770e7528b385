"""The study of the frame selector: labelled films, numbered batches, the network that answers, parts that are kept."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

RESULTS = Path(__file__).parents[1] / "results"


@pytest.fixture(scope="module")
def study():
    """The modules of the study, which lie beside the package."""
    sys.path.insert(0, str(RESULTS))
    names = ("selector", "needle_frames", "needle_network", "needle_selectors")
    try:
        yield {name: importlib.import_module(name) for name in names}
    finally:
        sys.path.remove(str(RESULTS))


@pytest.fixture(scope="module")
def rows(study):
    needles, selectors = study["needle_frames"], study["needle_selectors"]
    torch.manual_seed(0)
    world = selectors.World(needles.unread("transformer").eval(), needles.unread("cells").eval(), None)
    return selectors.labelled(world, 5, 6)


def test_every_labelled_question_comes_once_an_epoch_and_answers_take_turns(study, rows):
    lots = study["needle_selectors"].Lots(rows, "both", 24, 8, True, 1)
    assert ["labels" in lots[i] for i in range(4)] == [True, False, True, False]
    for start in (0, 6):  # 24 questions, 8 a batch, every second batch one of scores: an epoch is six batches
        targets = torch.cat([lots[i]["targets"] for i in range(start + 1, start + 6, 2)])
        assert targets.sum().item() == pytest.approx(rows.targets["both"].sum().item(), rel=1e-5)
    assert torch.equal(lots[3]["targets"], lots[3]["targets"])
    answers = lots[0]
    assert (answers["labels"][:, :2] == -100).all()
    assert torch.equal(answers["labels"][:, 2], answers["input_ids"][:, 2])


def test_the_network_sees_the_chosen_frames_alone(study):
    needles, network = study["needle_frames"], study["needle_network"]
    torch.manual_seed(1)
    model = network.Network(needles.unread("cells"), 32).eval()
    draw = np.random.default_rng(2)
    told = needles.films(draw, 3)
    asked = needles.questions(draw, told, 4)
    chosen = [network.shown(draw, told, one, 4) for one in asked]
    assert all(len(set(frames)) == 4 and frames == sorted(frames) for frames in chosen)
    batch = network.given(model, told, asked, chosen)
    logits = model(batch["frames"], batch["words"], batch["shown"])
    pixels = told.pixels.copy()
    for film in range(3):
        seen = {i for one, frames in zip(asked, chosen, strict=True) if one.film == film for i in frames}
        pixels[film, [i for i in range(pixels.shape[1]) if i not in seen]] = 0
    blind = network.given(model, needles.dataclasses.replace(told, pixels=pixels), asked, chosen)
    torch.testing.assert_close(model(blind["frames"], blind["words"], blind["shown"]), logits)
    whole = [[i for e in one.evidence for i in [int(told.start[one.film, e])]] for one in asked]
    assert network.given(model, told, asked, whole)["whole"].tolist() == [1.0] * len(asked)


def test_a_claim_holds_where_its_whole_interval_lies_above_the_margin(study):
    draw = np.random.default_rng(0)
    ours, theirs = np.ones(400), (draw.random(400) < 0.6).astype(float)
    found = {"a": ours.tolist(), "b": theirs.tolist()}
    claims = {"by 30": ("a", "b", 0.30), "by 40": ("a", "b", 0.40), "keeps": ("a", "0.85 of a", 0.0)}
    told = study["selector"].judged(found, claims)
    assert told["by 30"]["holds"]
    assert not told["by 40"]["holds"], "0.4 lies within the interval"
    assert told["keeps"]["value"] == pytest.approx(0.15)
    alike = study["selector"].judged(
        {"a": [1.0] * 400, "b": np.repeat(theirs[:100], 4).tolist()}, {"x": ("a", "b", 0.0)}
    )
    assert alike["x"]["high"] - alike["x"]["low"] > 1.5 * (told["by 30"]["high"] - told["by 30"]["low"]), "by videos"


def test_what_is_trained_is_kept_and_other_settings_are_refused(study, tmp_path, monkeypatch):
    script = study["selector"]
    told = script.run(script.SMOKE, 1, tmp_path, 1e9)
    assert len(told["claims"]) == 19
    assert set(told["claims"]["trained keeps 85 % of its labels, k=4"]) == {
        "value",
        "low",
        "high",
        "threshold",
        "holds",
    }
    assert "| uniform 4 |" in script.page(told, "command")
    monkeypatch.setattr(script.selectors, "trained", lambda *_: pytest.fail("trained again"))
    assert script.run(script.SMOKE, 1, tmp_path, 0.0)["arms"] == told["arms"]
    with pytest.raises(SystemExit, match="other settings"):
        script.run(script.QUICK, 1, tmp_path, 0.0)
    with pytest.raises(SystemExit, match="run the same again"):
        script.run(script.SMOKE, 1, tmp_path / "fresh", 0.0)


@pytest.fixture(scope="module")
def clips():
    """The modules of the study on clips of the world."""
    recipes = RESULTS.parent / "recipes"
    sys.path[:0] = [str(RESULTS), str(recipes)]
    try:
        yield [importlib.import_module(name) for name in ("selector_clips", "selector_world")]
    finally:
        for place in (str(RESULTS), str(recipes)):
            sys.path.remove(place)


def test_every_thing_of_a_clip_is_on_one_candidate_and_apart_from_the_others(clips):
    films, _ = clips
    for seed in range(6):
        told = films.film(seed)
        on = [np.flatnonzero(thing.shown(films.MOMENTS)) for thing in told.things]
        assert [len(places) for places in on] == [1] * len(told.things)
        assert (np.diff([int(places[0]) for places in on]) > films.GAP).all()
        samples = films.asked(told, 1)
        assert {sample.kind for sample in samples} <= set(films.KINDS)
        assert all(len(sample.spans) == 1 and sample.answer in sample.question.options for sample in samples)


def test_the_caption_reader_lists_by_the_words_of_the_question_alone(clips):
    films, _ = clips
    captions = ["nothing", "a red star", "a blue star and a red ring", "a green ring"]
    reader = films.Temporal(films.FakeMLLM(lambda chunks, text: ""), films.Listing())
    assert reader.listed(captions, "What colour is the star?").tolist() == [0, 1, 1, 0]
    assert reader.listed(captions, "What shape is the red thing?").tolist() == [0, 1, 1, 0]
    assert reader.listed(captions, "What happens?").tolist() == [0, 0, 0, 0]


def test_arms_hold_as_many_frames_as_they_say(clips):
    films, study = clips
    draw = np.random.default_rng(0)
    names = ("spatial", "temporal", "both", "trained", "clip")
    arms = study.chosen({name: draw.random(films.N) for name in names})
    assert {arm: len(set(frames)) for arm, frames in arms.items()} == {arm: int(arm.split()[-1]) for arm in arms}
    assert {"clip 8", "trained 8", "uniform 16", "both 4"} <= set(arms)
    sides = {name for ours, theirs, _, _ in study.CLAIMS.values() for name in (ours, theirs)}
    assert sides <= set(arms)
