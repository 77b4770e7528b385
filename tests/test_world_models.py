"""World models: the recipe trains through `fit`, keeps its checkpoint by content, and the house's encoder reads it."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from videre.data import world
from videre.models import clip

RECIPE = Path(__file__).parent.parent / "recipes" / "world_clip.py"


@pytest.fixture(scope="module")
def recipe():
    spec = importlib.util.spec_from_file_location("world_clip", RECIPE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["world_clip"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["world_clip"]


def test_clip_pair_learns_is_kept_and_is_read_by_the_encoder(recipe, tmp_path, monkeypatch):
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
