"""World models: recipes train through `fit`, keep their checkpoints by content, and the house's loaders read them."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from videre.data import world
from videre.models import clip, detector

RECIPES = Path(__file__).parent.parent / "recipes"


@pytest.fixture
def recipes(monkeypatch):
    """Imports a recipe by name, and forgets it."""
    monkeypatch.syspath_prepend(str(RECIPES))
    before = set(sys.modules)
    yield importlib.import_module
    for name in [n for n in set(sys.modules) - before if n.startswith("world_")]:
        del sys.modules[name]


def test_clip_pair_learns_is_kept_and_is_read_by_the_encoder(recipes, tmp_path, monkeypatch):
    recipe = recipes("world_clip")
    settings = recipe.Recipe(steps=40)
    folder, reached = recipe.make(settings, tmp_path)
    assert reached["colour"] > 0.25, "twice the chance of one in eight, after 40 steps"
    monkeypatch.setattr(recipe, "fit", None)
    assert recipe.make(settings, tmp_path) == (folder, reached)
    encoder = clip.load(str(folder))
    shown = world.make(world.HELD_OUT_SEED, world.Config(things=(1, 1)))
    seconds = shown.things[0].start_seconds + 0.1
    pair = encoder.images(world.render(shown, [seconds])), encoder.texts(["a photo of a red circle"])
    np.testing.assert_allclose([np.linalg.norm(v) for v in pair], 1.0, atol=1e-5)


def test_detector_learns_is_kept_and_is_read_by_the_house(recipes, tmp_path):
    recipe = recipes("world_detector")
    settings = recipe.Recipe(steps=40, batch=8, width=64, layers=2)
    folder, reached = recipe.make(settings, tmp_path, held_out=2)
    assert set(reached) == {"named", "colour", "nothing there", "overlap", "things"}
    assert recipe.make(settings, tmp_path) == (folder, reached)
    seen = detector.load(str(folder), device="cpu", min_score=0.0)
    batch = recipe.Batches(settings)[999]
    with torch.no_grad():
        assert recipe.loss(seen.network, batch) < 0.7 * recipe.loss(recipe.network(settings), batch)
    frame = world.render(world.make(world.HELD_OUT_SEED), [1.0], 96)
    boxes = seen.detect(frame, "the thing")[0]
    assert len(boxes) > 1
    assert all(0 <= x0 < x1 <= 96 and 0 <= y0 < y1 <= 96 for x0, y0, x1, y1, _ in boxes)


def test_comments_do_not_count_and_code_does(recipes, tmp_path):
    key, recipe = recipes("world_kept").key, recipes("world_clip").Recipe()
    one, same, other = (tmp_path / name for name in ("one.py", "same.py", "other.py"))
    one.write_text('"""Text."""\nx = 1  # one\n')
    same.write_text("x=1\n")
    other.write_text("x = 2\n")
    assert key(recipe, [one]) == key(recipe, [same]) != key(recipe, [other])
