"""World models: recipes train through `fit`, keep their checkpoints by content, and the house's loaders read them."""

import importlib
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from videre.apps import naming
from videre.data import world
from videre.models import clip, detector, text
from videre.types import Question

RECIPES = Path(__file__).parent.parent / "recipes"


@pytest.fixture
def recipes(monkeypatch):
    """Imports a recipe or a study by name, and forgets it."""
    monkeypatch.syspath_prepend(str(RECIPES))
    monkeypatch.syspath_prepend(str(RECIPES.parent / "results"))
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
    settings = recipe.Recipe(steps=30, batch=8, width=64, layers=2)
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


def test_lessons_are_true_and_judged_by_the_methods_own_readers(recipes):
    lessons, llm = recipes("world_lessons"), recipes("world_llm")
    for task in lessons.TASKS:
        told = [lessons.lesson(world.HELD_OUT_SEED + i, task) for i in range(6)]
        assert all(llm.is_right(one, one.reply) for one in told)
        assert not any(llm.is_right(a, b.reply) for a, b in pairwise(told) if a.truth != b.truth)
    lists = [lessons.lesson(i, "list") for i in range(12)]
    assert {"TN", "TP"} <= {one.kind for one in lists}, "the order of things is asked about too"
    for one in lists:
        lines = [line.partition(": ")[2] for line in one.prompt.splitlines() if line[:1].isdigit()]
        named = lessons.asked_of(one.prompt.partition("Question: ")[2])
        assert one.truth
        assert all(lines[i] != "nothing" for i in one.truth)
        assert any(named in lines[i] for i in one.truth), "the event of the thing that is named is among them"
        if one.kind in ("TN", "TP"):
            assert len({lines[i] for i in one.truth}) > 1, "and the event next to it"


def test_a_frame_helps_where_its_own_event_is_asked_about(recipes):
    frames, lessons = recipes("world_frames"), recipes("world_lessons")
    for seed in range(0, 80, 2):
        one = frames.shown(seed)
        for kind, asked, helps in one.questions:
            named = lessons.asked_of(asked)
            if named in one.names:
                assert helps, (seed, kind)
            if helps:
                assert one.names, (seed, kind)


def test_fresh_text_model_already_looks_up(recipes):
    recipe, lessons = recipes("world_llm"), recipes("world_lessons")
    words = recipe.tokenizer()
    model = recipe.network(recipe.Recipe(), words)
    model.set_attn_implementation("eager")

    def seen(prompt, head):
        """The line that the last token looks at, up to the token that it looks at."""
        ids = words(prompt)["input_ids"]
        with torch.no_grad():
            attended = model(input_ids=torch.tensor([ids]), output_attentions=True).attentions[1][0, head, -1]
        return words.decode(ids[: int(attended.argmax()) + 1]).rsplit("\n", 1)[-1]

    hits = []
    for seed in range(10):
        one = lessons.lesson(seed, "list")
        way, named = one.reply.partition(":")[0].split(" ", 1)
        first = next(line for line in one.prompt.splitlines() if named in line)
        hits.append(seen(f"{one.prompt}{way} {named}:", 0) == first.partition(named)[0] + named)
        one = lessons.lesson(seed, "read")
        way, _, right = one.reply.rpartition(" ")
        hits.append(seen(one.prompt + way, 1) == f"{right}. the {way.rstrip('.').rpartition(': ')[2]}")
    assert np.mean(hits) >= 0.9


def test_text_model_is_trained_kept_and_read_by_the_house(recipes, tmp_path):
    recipe = recipes("world_llm")
    settings = recipe.Recipe(steps=15, batch=4)
    folder, reached = recipe.make(settings, tmp_path, held_out=1)
    assert sum(count for count, _ in reached.values()) == 3
    model = text.load(str(folder), device="cpu")
    (lesson,) = list(recipe.held_out(1))[:1]
    assert (
        model.tokenizer.decode(model.tokenizer(lesson.prompt + lesson.reply)["input_ids"])
        == lesson.prompt + lesson.reply
    )
    fresh = recipe.network(settings, recipe.tokenizer())
    batch = recipe.Batches(settings, recipe.tokenizer())[999]
    with torch.no_grad():
        assert recipe.loss(model.network, batch) < 0.9 * recipe.loss(fresh, batch)
    assert isinstance(model.generate(lesson.prompt, max_tokens=4), str)


def test_qformer_model_is_trained_kept_and_read_by_the_house(recipes, tmp_path):
    recipe = recipes("world_qformer")
    settings = recipe.Recipe(steps=25, frames=4, narrow=32)
    folder, reached = recipe.make(settings, tmp_path, held_out=1)
    assert reached["caption caption"][0] == 1
    model = naming.model(f"ma-lmm:{folder}", device="cpu")
    frame = world.render(world.make(3), [1.0], 96)
    assert model.answer([frame], Question("Is there a red circle?", ("yes", "no"))).option in (0, 1, None)
    batch = recipe.Batches(settings, recipe.tokenizer())[999]
    with torch.no_grad():
        before, after = (recipe.loss(m, batch) for m in (recipe.network(settings, recipe.tokenizer()), model.network))
    assert after < 0.8 * before


def test_area_is_the_share_of_pairs_in_the_right_order(recipes):
    area = recipes("world_asked").area
    rows = [{"helps": helps, "score": score} for helps, score in ((True, 2.0), (True, 0.0), (False, 1.0), (False, 0.0))]
    assert area(rows) == (1 + 1 + 0 + 0.5) / 4
    assert np.isnan(area(rows[:2]))


def test_who_sees_less_is_told_less(recipes):
    lessons, reading = recipes("world_lessons"), recipes("world_reading")
    for task in ("list", "read"):
        prompt = lessons.lesson(world.HELD_OUT_SEED, task).prompt
        captions = [line for line in prompt.splitlines() if line[:1].isdigit()]
        for keep in (0, 1):
            left = [line for line in reading.hidden(prompt, keep).splitlines() if line[:1].isdigit()]
            assert len(left) == len(captions)
            assert sum(not line.endswith(": nothing") for line in left) == keep
        assert reading.hidden(prompt, 99) == prompt


def test_page_has_a_table_a_part_with_intervals(recipes):
    rows = [{"kind": "named", "count": 100, "right": 0.5, "chance": 0.2}, {"kind": "other", "count": 3, "right": 1.0}]
    model = {
        "name": "clip",
        "class": "CLIPModel",
        "bytes": 2_000_000,
        "seconds": 120.0,
        "cpu_seconds": 90.0,
        "recipe": "x.py",
        "key": "0",
    }
    part = {"rows": rows, "cpu_seconds": 6.0, "commit": "abc"}
    page = recipes("world_page").page({"models": [model], "parts": {"clip": part}})
    assert "| clip | `CLIPModel` | 2.0 | `python x.py` | 2.0 | 1.5 |" in page
    assert "| named | 100 | 0.500 | 0.200 | 0.40 to 0.60 |" in page
    assert "| other | 3 | 1.000 |  | 0.44 to 1.00 |" in page


def test_comments_do_not_count_and_code_does(recipes, tmp_path):
    key, recipe = recipes("world_kept").key, recipes("world_clip").Recipe()
    one, same, other = (tmp_path / name for name in ("one.py", "same.py", "other.py"))
    one.write_text('"""Text."""\nx = 1  # one\n')
    same.write_text("x=1\n")
    other.write_text("x = 2\n")
    assert key(recipe, [one]) == key(recipe, [same]) != key(recipe, [other])
    weights = tmp_path / "weights.bin"
    weights.write_bytes(b"\xff\x00")
    before = key(recipe, [one, weights])
    weights.write_bytes(b"\xff\x01")
    assert key(recipe, [one, weights]) != before


def test_who_knows_all_but_the_order_guesses_at_order_and_tells_the_rest(recipes):
    guess = recipes("world_guess")
    told: dict[str, list[dict[str, float]]] = {}
    for seed in range(25):
        story = world.tell(seed, world.StoryConfig(seconds=60.0, events=7))
        seen = guess.frames(story)
        for sample in world.story_questions(story):
            told.setdefault(str(sample.kind), []).append(guess.shares(seen, sample))
    shuffled = {kind: np.mean([row["shuffled"] for row in rows]) for kind, rows in told.items()}
    assert all(abs(shuffled[kind] - 0.2) < 0.03 for kind in ("TN", "TP", "Sequence", "DC"))
    assert all(shuffled[kind] > 0.95 for kind in ("CW", "TC", "DL", "Feasibility", "Prediction"))
    assert shuffled["DO"] > 0.85, "but where things of one shape turn both colours"
    assert all(np.mean([row["one_frame"] for row in told[kind]]) < 0.27 for kind in ("TN", "TP", "Sequence"))
