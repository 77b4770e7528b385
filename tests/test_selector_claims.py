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
def models(study):
    """Models that have not learned yet."""
    torch.manual_seed(0)
    needles = study["needle_frames"]
    return study["needle_selectors"].World(
        needles.unread("transformer").eval(), needles.unread("cells").eval(), needles.Likeness()
    )


@pytest.fixture(scope="module")
def rows(study, models):
    return study["needle_selectors"].labelled(models, 5, 6, 4, at_once=4)


def test_films_are_labelled_in_parts_with_as_many_questions_each(study, rows, models):
    assert rows.patches.shape[:3] == (6, 32, 9)
    assert rows.words.shape == (6, 4, 2)
    assert {kind: tuple(lines.shape) for kind, lines in rows.targets.items()} == dict.fromkeys(
        ("spatial", "temporal", "both"), (6, 4, 32)
    )
    torch.testing.assert_close(rows.targets["both"], (rows.targets["spatial"] + rows.targets["temporal"]) / 2)
    assert not torch.equal(rows.patches[0], rows.patches[4]), "a part goes on where the last one ended"


@pytest.mark.parametrize(("layout", "batch"), [("frame", 8), ("query", 2)])
def test_every_labelled_question_comes_once_an_epoch(study, rows, layout, batch):
    course = study["needle_selectors"].Course(layout, 12, batch, 1e-3)
    lots = study["needle_selectors"].Lots(rows, "both", course, 1)
    for epoch in range(12 // 3):  # 24 questions, 8 a batch: an epoch is three batches
        parts = [lots[3 * epoch + i] for i in range(3)]
        lines = torch.cat([part["targets"].flatten(0, -2) for part in parts])
        assert sorted(lines.sum(1).tolist()) == sorted(rows.targets["both"].sum(2).flatten().tolist())
        assert all(part["patches"].shape[0] == batch for part in parts)
    assert torch.equal(lots[3]["targets"], lots[3]["targets"])
    assert len(lots) == 12
    with pytest.raises(IndexError):
        lots[12]


@pytest.mark.parametrize("layout", ["frame", "query"])
def test_scores_are_those_of_asking_one_by_one(study, models, layout):
    needles, selectors = study["needle_frames"], study["needle_selectors"]
    draw = np.random.default_rng(3)
    told = needles.films(draw, 3)
    asked = needles.questions(draw, told, 4)
    model = selectors.untrained(layout, models.eyes.tower, 1).eval()
    lines = selectors.scores(model, told, asked)
    with torch.no_grad():
        seen = selectors.patches(model.vision, told)
        for line, one in zip(lines, asked, strict=True):
            alone = model(seen[one.film][None], torch.tensor([one.tokens]), torch.tensor([2]))[0]
            np.testing.assert_allclose(line, torch.sigmoid(alone), atol=1e-5)


def test_the_query_begins_able_to_copy_and_to_tell_places_and_knows_no_word(study, models):
    selectors, width = study["needle_selectors"], 64
    model = selectors.untrained("query", models.eyes.tower, 1)
    for block in model.llm.transformer.h:
        values = block.attn.c_attn.weight[:, 2 * width :]
        torch.testing.assert_close(values @ block.attn.c_proj.weight, torch.eye(width), atol=1e-5, rtol=0)
    places = model.llm.transformer.wpe.weight[:32]
    with torch.no_grad():
        assert (model.head(places).argmax(1) == torch.arange(32)).all(), "a place says its own frame"
    first = model.llm.transformer.h[0].attn.c_attn
    late = 3 * 16
    query, key = first.bias[late], model.llm.transformer.h[0].ln_1(places) @ first.weight[:, width + late]
    line = (query * key / 4).detach().numpy()
    assert np.corrcoef(line, np.arange(32))[0, 1] > 0.99
    assert 0.3 < (line[-1] - line[0]) / 31 < 0.5, "a frame later counts more"
    words = model.llm.get_input_embeddings().weight
    torch.testing.assert_close(words.norm(dim=1), torch.full((len(words),), 3.0))


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
    assert "| uniform 4 |" in script.page.page(told, "command")
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
