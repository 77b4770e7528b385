"""`videre train answerer`: real architectures learn from pages, videos and words; resumed, adapted, mixed."""

import json
import random
import re

import numpy as np
import pytest
import torch
from click.testing import CliRunner

pytest.importorskip("fontTools")

from videre.apps import answerer, training
from videre.apps.lessons import Shown
from videre.data import training_rows
from videre.data.training_rows import TrainingRow
from videre.errors import ConfigError, DataError
from videre.methods.t2vid.budget import Budget
from videre.models import mllm
from videre.train.answerer import Lesson, Lessons, LoRA, Schooling, train, with_adapters
from videre.types import Frames, Question

FAMILIES = ["idefics3", "internvl", "qwen3_vl", "llava_onevision", "smolvlm"]
COLOURS = {"red": (220, 30, 30), "blue": (30, 30, 220)}


def plain(colour: str, count: int = 2) -> Frames:
    pixels = np.empty((count, 3, 56, 56), np.uint8)
    pixels[:] = np.array(COLOURS[colour], np.uint8)[None, :, None, None]
    return Frames(pixels, np.arange(count, dtype=np.float64))


def lesson(colour: str) -> Lesson:
    return Lesson([plain(colour)], Question("What moves?"), f"a {colour} square")


def likely(model, colour: str, said: str) -> float:
    return float(model.score([plain(colour)], Question("What moves?"), [f"a {said} square"])[0])


@pytest.mark.parametrize("family", FAMILIES)
def test_every_architecture_learns_answers(tiny_checkpoint, tmp_path, family):
    before = mllm.load(str(tiny_checkpoint(family)), device="cpu", dtype="float32")
    start = likely(before, "red", "red")
    schooling = Schooling(epochs=5, batch=2, lr=3e-3, warmup=0.0, save_steps=0)
    folder = train(lambda: before, ["red", "blue"], lesson, schooling, out=tmp_path)
    trained = mllm.load(str(folder), device="cpu")
    assert likely(trained, "red", "red") > start + 3
    assert json.loads((tmp_path / "done.json").read_text())["steps"] == 5


@pytest.mark.parametrize("family", ["idefics3", "internvl"])
def test_the_loss_covers_exactly_the_answer_or_the_question_too(tiny_checkpoint, family):
    model = mllm.load(str(tiny_checkpoint(family)), device="cpu")
    prompter = model._loaded.prompter
    frames, question = [plain("red", 3)], Question("What moves?")
    prompt = prompter.read(frames)
    asked, reply = prompter.question(prompt, "What moves?"), prompter.reply("a red square", end=True)
    alone, both = model.loss(frames, question, "a red square"), model.loss(frames, question, "a red square", asked=True)
    assert len(alone) == len(reply)
    assert len(both) == len(asked) + len(reply)
    assert torch.equal(both[-len(reply) :], alone)
    ids = prompt.inputs["input_ids"][0]
    images = int((torch.as_tensor(ids) == model.network.config.image_token_id).sum())
    pieces = prompt.inputs["pixel_values"].shape[:-3]  # Idefics3 cuts a picture into several, in a dimension of its own
    assert images == 4 * int(np.prod(pieces))


def test_adapters_train_alone_and_are_merged(tiny_checkpoint, tmp_path):
    pytest.importorskip("peft")
    load = lambda: mllm.load(str(tiny_checkpoint("internvl")), device="cpu", dtype="float32")  # noqa: E731
    start = load()
    schooling = Schooling(epochs=8, batch=2, lr=1e-2, warmup=0.0, save_steps=0)
    folder = train(load, ["red", "blue"], lesson, schooling, out=tmp_path, lora=LoRA(4, scope="language_model"))
    trained = mllm.load(str(folder), device="cpu")
    assert likely(trained, "red", "red") > likely(start, "red", "red") + 0.5
    old, new = start.network.state_dict(), trained.network.state_dict()
    changed = {name for name in old if not torch.equal(old[name], new[name])}
    assert changed
    assert all("language_model" in name and "proj" in name for name in changed)
    assert (tmp_path / "adapter" / "adapter_model.safetensors").is_file()
    with pytest.raises(ConfigError, match=r"no layer \['nose'\] in the model; there are"):
        with_adapters(start.network, LoRA(4, targets=("nose",)))


def test_a_stopped_training_goes_on_as_if_nothing_had_been(tiny_checkpoint, tmp_path):
    load = lambda: mllm.load(str(tiny_checkpoint("qwen3_vl")), device="cpu", dtype="float32")  # noqa: E731
    schooling = Schooling(epochs=3, batch=1, lr=1e-3, save_steps=1)
    rows = ["red", "blue"]
    whole = train(load, rows, lesson, schooling, out=tmp_path / "whole")
    seen = []

    def stops(row):
        seen.append(row)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return lesson(row)

    with pytest.raises(KeyboardInterrupt):
        train(load, rows, stops, schooling, out=tmp_path / "torn")
    torn = train(load, rows, lesson, schooling, out=tmp_path / "torn")
    one, two = (mllm.load(str(folder), device="cpu").network.state_dict() for folder in (whole, torn))
    assert all(torch.equal(one[name], two[name]) for name in one)
    refuse = lambda: pytest.fail("a training that is done loads nothing")  # noqa: E731
    assert train(refuse, rows, lesson, schooling, out=tmp_path / "torn") == torn
    with pytest.raises(ConfigError, match="other settings"):
        train(load, rows, lesson, Schooling(epochs=4, batch=1), out=tmp_path / "torn")


def test_frozen_parts_stay_and_wrong_names_are_refused(tiny_checkpoint, tmp_path):
    load = lambda: mllm.load(str(tiny_checkpoint("smolvlm")), device="cpu", dtype="float32")  # noqa: E731
    old = load().network.state_dict()
    frozen = ("model.vision_model",)
    schooling = Schooling(epochs=1, batch=2, lr=1e-3, warmup=0.0, frozen=frozen, checkpointing=True, loss_on="all")
    new = mllm.load(
        str(train(load, ["red", "blue"], lesson, schooling, out=tmp_path)), device="cpu"
    ).network.state_dict()
    changed = {name for name in old if not torch.equal(old[name], new[name])}
    assert changed
    assert not any("vision_model" in name for name in changed)
    with pytest.raises(ConfigError, match=r"no parameter begins with \['model.nose'\]"):
        train(load, ["red"], lesson, Schooling(frozen=("model.nose",)), out=tmp_path / "b")


def test_each_epoch_has_every_row_once_in_an_order_of_its_own():
    numbered = lambda row: Lesson([], Question("What?"), str(row))  # noqa: E731
    lessons = Lessons(list(range(20)), numbered, count=60, seed=3)
    epochs = [[int(lessons[index]["lesson"].target) for index in range(at, at + 20)] for at in (0, 20, 40)]
    assert all(sorted(epoch) == list(range(20)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert lessons[5]["lesson"].target == str(epochs[0][5])
    with pytest.raises(DataError, match="no row to train on"):
        Lessons([], numbered, count=1, seed=0)


@pytest.fixture
def recipe(tiny_checkpoint, tmp_path):
    """A mix of pages rendered at their turn, a film and a folder of pictures, from the command line."""
    from PIL import Image

    from videre.data import world

    words = ["the", "red", "square", "moves", "to", "the", "left", "then", "a", "blue", "ball", "appears"]
    chance = random.Random(1)
    texts = [
        {
            "id": f"t{n}",
            "text": " ".join(chance.choices(words, k=60)),
            "question": "What moves?",
            "answer": "the square",
        }
        for n in range(4)
    ]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(text) + "\n" for text in texts))
    clip = world.make(3, world.Config(seconds=2.0))
    world.write(clip, tmp_path / "a.mp4")
    for n in range(2):
        Image.new("RGB", (56, 56), (200, 0, 0)).save(tmp_path / f"p{n}.png")
    rows = [TrainingRow(f"v{n}", "What moves?", "a ball", video="a.mp4", clip=(0.0, 1.0)) for n in range(7)]
    rows.append(TrainingRow("p", "What colour?", "red", images=("p0.png", "p1.png")))
    (tmp_path / "video.jsonl").write_text(training_rows.lines(rows, "swift"))
    path = tmp_path / "mix.toml"
    path.write_text(f"""
[model]
start = "{tiny_checkpoint("internvl")}"
device = "cpu"
[show]
frames = 2
size_px = 56
isolate = false
[[data]]
name = "synthetic"
texts = "{tmp_path}/texts.jsonl"
limit = 30
style = {{ width_px = 56, height_px = 56, size_px = 8, margin_px = 2 }}
[[data]]
name = "video"
rows = "{tmp_path}/video.jsonl"
share = 2
[mix]
count = 9
[fit]
batch = 3
lr = 1e-3
save_steps = 0
""")
    return path


def run(*arguments):
    return CliRunner().invoke(training.command, ["answerer", *map(str, arguments)])


def test_the_command_trains_on_a_mix_and_the_checkpoint_answers(recipe, tmp_path, monkeypatch):
    done = CliRunner().invoke(
        training.command, ["answerer", str(recipe), "-o", str(tmp_path / "out")], catch_exceptions=False
    )
    assert (done.exit_code, done.stdout) == (0, f"{tmp_path / 'out'}\n")
    told = json.loads((tmp_path / "out/mix.json").read_text())
    assert told["counts"] == {"synthetic": 3, "video": 6}
    assert len(set(told["ids"])) == 9
    assert (
        mllm.load(str(tmp_path / "out/model"), device="cpu").answer([plain("red")], Question("What moves?")).text
        is not None
    )
    again = run(recipe, "-o", tmp_path / "out")
    assert again.exit_code == 0
    other = run(recipe, "-o", tmp_path / "out", "--set", "mix.seed=2")
    assert "begun with another recipe" in str(other.exception)


def test_what_each_row_of_a_mix_shows(recipe):
    told = answerer.read(training.read_recipe(recipe))
    sources, dropped = answerer.mixed(told)
    assert dropped == {"synthetic": {}, "video": {}}
    show = Shown(told.show)
    shown = {source.row.id: show(source) for source in sources}
    pages = next(one for id, one in shown.items() if id.startswith("t"))
    assert len(pages.frames[0]) > 1
    assert pages.frames[0].pixels.shape[1:] == (3, 56, 56)
    film = next(one for id, one in shown.items() if id.startswith("v"))
    assert len(film.frames[0]) == 2
    assert max(film.frames[0].seconds) <= 1.0


def test_the_control_in_words_has_the_same_ids_and_no_frames(recipe):
    table = training.read_recipe(recipe)
    pages = answerer.mixed(answerer.read(table))[0]
    table["data"][0]["shown"] = "words"
    words = answerer.mixed(answerer.read(table))[0]
    assert [one.row.id for one in pages] == [one.row.id for one in words]
    one = next(source for source in words if source.row.id.startswith("t"))
    lesson = Shown(answerer.read(table).show)(one)
    assert lesson.frames == []
    assert len(lesson.question.text.split()) > 50


def test_what_is_too_long_as_pages_is_left_out_of_the_control_too(recipe, tmp_path):
    rows = [{"id": f"t{n}", "text": "sea " * (30 + 90 * (n % 2)), "question": "Q?", "answer": "A."} for n in range(4)]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = training.read_recipe(recipe)
    most = Budget(table["model"]["start"], page_px=(56, 56)).tokens(2, "Q?", "A.")
    table["data"][0]["most_tokens"], table["mix"]["count"] = most, 6
    found = {}
    for shown in ("pages", "words"):
        table["data"][0]["shown"] = shown
        sources, dropped = answerer.mixed(answerer.read(table))
        assert dropped["synthetic"] == {f"more than {most} tokens": 2}
        found[shown] = [one.row.id for one in sources]
    assert found["pages"] == found["words"]
    table["model"]["start"] = "builtin"
    table["data"][0]["most_tokens"] = 1
    with pytest.raises(DataError, match="the mix needs 2 rows of 'synthetic' and there are 0"):
        answerer.mixed(answerer.read(table))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("fit.lrr=1", r"\[fit\] has no 'lrr'; did you mean 'lr'"),
        ("fit.batch=0", "a batch has one row or more"),
        ("mix.count=90", "the mix needs 30 rows of 'synthetic' and there are 4"),
        ("model.start=nowhere", "nowhere"),
        ("data=[]", r"the recipe has no \[\[data\]\]"),
    ],
)
def test_recipes_that_do_not_hold(recipe, tmp_path, change, reason):
    done = run(recipe, "-o", tmp_path / "out", "--set", change)
    assert done.exit_code != 0
    assert re.search(reason, str(done.exception)), done.exception
