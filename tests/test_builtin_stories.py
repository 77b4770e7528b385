"""What the built-in model is taught about stories: what frames show, where heads are to look, and how they start."""

import sys
from pathlib import Path

import numpy as np
import pytest

from videre import compat
from videre.data import world

compat.need_hf()

import torch  # noqa: E402

from videre.models import builtin  # noqa: E402

RECIPES = Path(__file__).parents[1] / "recipes"
sys.path.insert(0, str(RECIPES))
try:
    import builtin_films as films
    import builtin_looks as looks
    import builtin_start as starting
    import builtin_stories as stories
finally:
    sys.path.remove(str(RECIPES))

STORY = world.StoryConfig(42.0, 7, 0)


def even(count, seconds=42.0):
    return (np.arange(count) + 0.5) / count * seconds


@pytest.fixture(scope="module")
def model():
    return builtin.load()


@pytest.fixture(scope="module")
def batch(model):
    words = model.processor.tokenizer
    return stories.Lessons(words, 4, films=2, asks=6, tiny=12, frames=(12,), parts=0.5, seed=77_000)[1]


@pytest.mark.parametrize("seed", range(6))
def test_cells_show_the_colour_of_the_thing_that_is_said_to_be_there(seed):
    story = world.tell(seed, STORY)
    seen = films.film(story, even(16), 42.0)
    pixels = world.render(story.window(0, 42), seen.times, 64).pixels.astype(int)
    stage = np.median(pixels, axis=(2, 3))
    known = np.flatnonzero(seen.cells >= 0)
    assert len(known) > 8
    for cell in known:
        frame, place = divmod(int(cell), 16)
        row, column = divmod(place, 4)
        patch = pixels[frame, :, row * 16 : row * 16 + 16, column * 16 : column * 16 + 16].reshape(3, -1)
        colour = np.array(list(world.scene.COLOURS.values())[seen.looks[int(seen.cells[cell])][0]])
        nearest = np.abs(patch - colour[:, None]).max(0).min()
        assert nearest < 20 or np.abs(patch - stage[frame][:, None]).max() < 20  # rounded corners of a ring's hole


@pytest.mark.parametrize("seed", range(8))
def test_right_after_asks_for_the_next_event(seed):
    story = world.tell(seed, STORY)
    seen = films.film(story, even(24), 42.0)
    asked = films.sentences(seen, 30, np.random.default_rng(seed))
    orders = [one for one in asked if one.kind in ("TN", "TP")]
    assert len(orders) > 4
    for one in orders:
        (source,) = {seen.acts[thing] for thing in one.source}
        (goal,) = {seen.acts[thing] for thing in one.goal}
        step = story.events.index(goal) - story.events.index(source)
        assert step == (1 if one.kind == "TN" else -1)
        assert one.reply == f"the {goal.actor}"
        assert one.name == source.actor


def test_nothing_is_asked_that_no_frame_shows():
    story = world.tell(3, STORY)
    seen = films.film(story, np.array([1.0, 2.0]), 3.0)
    named = {name for one in films.sentences(seen, 40, np.random.default_rng(0)) for name in films.names(one.text)}
    assert named <= set(seen.things)
    assert {one.name for one in films.tiny(seen, np.random.default_rng(0))} <= set(seen.things)


def test_a_turned_thing_is_asked_about_by_the_name_it_had():
    for seed in range(200):
        story = world.tell(seed, world.StoryConfig(12.0, 2, 0, kinds=("recolour",)))
        seen = films.film(story, even(16, 12.0), 12.0)
        if set(seen.turned) & set(seen.things):
            break
    turns = [one for one in films.tiny(seen, np.random.default_rng(0)) if one.kind == "turn"]
    assert turns
    for one in turns:
        colours = list(world.scene.COLOURS)
        assert one.reply.strip() == colours[seen.looks[one.goal[0]][0]] != colours[seen.looks[one.source[0]][0]]


def test_names_look_at_frames_and_replies_at_names(batch, model):
    words = model.processor.tokenizer
    image = words.convert_tokens_to_ids("<image>")
    known = dict.fromkeys(range(len(looks.LOOKS)), 0)
    for (look, row, query), where in zip(batch["looks"].tolist(), batch["where"], strict=True):
        name, ids = list(looks.LOOKS)[look], batch["ids"][row]
        known[look] += 1
        assert (where.nonzero() < query).all()
        if name == "name":
            assert words.decode(ids[query]).strip() in world.scene.SHAPES
        if name == "carry":
            assert words.decode(ids[where]).strip() in world.scene.SHAPES
        else:
            assert (ids[where] == image).all() or where.nonzero().tolist() == [[0]]
    assert all(known.values())


def test_each_reply_means_one_way(batch):
    number = list(looks.LOOKS).index
    meant = [~batch["where"][batch["looks"][:, 0] == number(way), 0] for way in looks.WAYS]
    assert (torch.stack(meant).sum(0) == 1).all()


def test_same_index_same_batch_and_another_index_another(model):
    lessons = stories.Lessons(model.processor.tokenizer, 4, films=1, asks=2, tiny=4, frames=(12,), parts=0.5, seed=5)
    once, again, other = lessons[2], lessons[2], lessons[3]
    assert all(torch.equal(once[name], again[name]) for name in once)
    assert not torch.equal(once["pixels"], other["pixels"])


def test_clips_take_their_turn():
    class Counted(list):
        together = 2

    told = [("stories", i) for i in range(12)], [("clips", i) for i in range(12)]
    turns = stories.Turns(Counted(told[0]), told[1], every=3)
    assert [turns[i][0] for i in range(12)] == ["clips", "clips", *["stories"] * 4] * 2


def test_heads_start_where_they_are_to_look(model, batch):
    network = model.network
    layers = network.model.text_model.layers
    kept = {name: value.clone() for name, value in network.state_dict().items()}
    try:
        generator = torch.Generator().manual_seed(0)
        for layer, head in looks.LOOKS.values():
            for proj in (layers[layer].self_attn.q_proj, layers[layer].self_attn.k_proj):
                rows = proj.weight.data[head * 64 : head * 64 + 64]
                rows.copy_(torch.randn(rows.shape, generator=generator) * 0.05)
        before = masses(network, batch)
        words = model.processor.tokenizer
        ids = [[words.convert_tokens_to_ids(words.tokenize(f" {w}"))[0] for w in some]
               for some in (world.scene.COLOURS, world.scene.SHAPES)]  # fmt: skip
        starting.Start(network, [batch], *ids).run()
        after = masses(network, batch)
    finally:
        network.load_state_dict(kept)
    assert all(after[name] > 3 * before[name] for name in looks.LOOKS), (before, after)


def masses(network, batch):
    """How much of its attention each head gives to what it is to look at, on average."""
    config = network.model.text_model.config
    usual, config._attn_implementation = config._attn_implementation, "guided"
    try:
        with torch.no_grad():
            looks.language.states(network, batch)
    finally:
        config._attn_implementation = usual
    found = {}
    for number, (name, (layer, head)) in enumerate(looks.LOOKS.items()):
        mine = batch["looks"][:, 0] == number
        row, query = batch["looks"][mine, 1:].T
        looked = network.model.text_model.layers[layer].self_attn.looked[row, head, query]
        found[name] = float((looked * batch["where"][mine]).sum(1).mean())
    return found


def test_a_batch_without_a_look_has_no_loss_of_looks(model, batch):
    blank = stories.targets(batch["ids"], [], 3)
    learner = looks.Guided(looks.motion.Followed(model.network))
    config = model.network.model.text_model.config
    usual, config._attn_implementation = config._attn_implementation, "guided"
    try:
        with torch.no_grad():
            told = looks.parts(learner, {**batch, **blank}, 1.0, 1.0)
    finally:
        config._attn_implementation = usual
    assert all(torch.isfinite(value) for value in told.values())
    assert told["name"] == told["carry"] == told["after"] == 0.0
