"""`videre train memory`: it learns what it shall, resumes, and writes a model with a name. The claims' machinery."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from tiny_blip import instructblip
from tiny_models import save
from videre.apps import memory_training, naming
from videre.apps.cli import cli
from videre.apps.training import read_recipe
from videre.ask import ask
from videre.data import world
from videre.errors import ConfigError, DataError
from videre.methods.ma_lmm.training import Batches, DataConfig, Learning, loss_of
from videre.types import Question, Sample

COLOURS = ("red", "blue")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny checkpoint, four clips of the world, a question and an answer about each, and a recipe."""
    root = tmp_path_factory.mktemp("memory")
    save(instructblip(), root / "blip")
    (root / "videos").mkdir()
    with (root / "rows.jsonl").open("w") as file:
        for seed in range(4):
            world.write(world.make(seed, world.Config(seconds=2.0 + seed % 2, size_px=48)), root / f"videos/{seed}.mp4")
            row = {"id": str(seed), "video": f"{seed}.mp4", "question": "what moves ?", "answer": COLOURS[seed % 2]}
            file.write(json.dumps(row) + "\n")
    (root / "recipe.toml").write_text(f"""
[model]
start = "{root / "blip"}"
rows = 8
[memory]
slots = 2
[data]
annotations = "{root / "rows.jsonl"}"
videos = "{root / "videos"}"
frames = 4
moments = "even"
batch = 2
size_px = 32
[fit]
steps = 12
lr = 0.01
save_steps = 6
log_steps = 1
""")
    return root


@pytest.fixture(scope="module")
def trained(folder):
    ran = CliRunner().invoke(cli, ["train", "memory", str(folder / "recipe.toml"), "-o", str(folder / "out")])
    assert ran.exit_code == 0, (ran.output, ran.exception)
    return folder / "out"


def losses(out):
    rows = [json.loads(line) for line in (out / "fit/fit.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


def test_it_learns_and_is_a_model_by_name(folder, trained):
    told = losses(trained)
    assert sum(told[-3:]) < 0.97 * sum(told[:3])
    base = naming.model(f"ma-lmm:{folder / 'blip'}", device="cpu")
    model = naming.model(f"ma-lmm:{trained}#answer_tokens=2", device="cpu")
    assert (model.settings.memory.visual, model.card["learned"]) == (2, str(trained))
    assert model.card["revision"] == base.card["revision"]
    assert model.positions.abs().sum(1).gt(0).tolist()[:3] == [True] * 3
    for part in ("vision_model.encoder", "language_model"):
        for name, value in base.network.state_dict().items():
            if name.startswith(part):
                assert torch.equal(model.network.state_dict()[name], value)
    record = ask(folder / "videos/0.mp4", "what moves ?", model=model)
    assert record.answer.run["memory"]["recall"] == "live"


def test_a_run_that_was_killed_goes_on_to_the_same_weights(folder, trained, monkeypatch):
    told = read_recipe(folder / "recipe.toml")
    real = memory_training.begin
    calls = []

    def stopping(model, batch):
        calls.append(1)
        if len(calls) == 9:
            raise KeyboardInterrupt
        return loss_of(model, batch)

    from videre.methods.ma_lmm import training

    monkeypatch.setattr(training, "loss_of", stopping)
    with pytest.raises(KeyboardInterrupt):
        memory_training.train(told, folder / "again")
    monkeypatch.setattr(training, "loss_of", loss_of)
    memory_training.train(told, folder / "again")
    assert real is memory_training.begin
    first, second = ((place / "memory.safetensors").read_bytes() for place in (trained, folder / "again"))
    assert first == second
    before = (folder / "again/memory.json").stat().st_mtime_ns
    memory_training.train(told, folder / "again")
    assert (folder / "again/memory.json").stat().st_mtime_ns == before


def test_another_recipe_does_not_go_on_from_it(folder, trained):
    with pytest.raises(ConfigError, match="another recipe"):
        memory_training.train(read_recipe(folder / "recipe.toml", ["fit.steps=3"]), trained)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("data.frame=3", "did you mean 'frames'"),
        ("data.frames=0", "1 or more"),
        ("memory.slot=3", "no setting"),
        ("model.begin=3", "has no 'begin'"),
        ("data.benchmark='breakfst'", "did you mean 'breakfast'"),
    ],
)
def test_what_is_wrong_in_a_recipe_is_named(folder, tmp_path, change, why):
    with pytest.raises(ConfigError, match=why):
        memory_training.train(read_recipe(folder / "recipe.toml", [change]), tmp_path / "out")


def test_batches_are_numbered_and_only_the_right_parts_learn(folder):
    model = naming.model(f"ma-lmm:{folder / 'blip'}#slots=2", device="cpu")
    asked = [Question("what moves ?" if i else "what ?") for i in range(3)]
    samples = [Sample(str(i), f"{i}.mp4", question, COLOURS[i % 2]) for i, question in enumerate(asked)]
    batches = Batches(model, samples, DataConfig(str(folder / "videos"), frames=3, batch=2), count=6)
    seen = [text for number in range(3) for text in batches[number]["targets"]]
    assert sorted(seen) == ["blue", "blue", "red", "red", "red", "red"]
    assert all(torch.equal(a, b) for a, b in zip(batches[1]["tokens"], batches[1]["tokens"], strict=True))
    learning = Learning(model)
    names = {name.split(".")[0] for name, _ in learning.named_parameters()}
    assert names == {"qformer", "post_layernorm", "language_projection", "query_tokens"}
    frozen = [weight for weight in model.network.language_model.parameters() if weight.requires_grad]
    assert not frozen
    together = loss_of(learning, batches[0])
    each = [model.loss_of_tokens(t, text, target) for t, text, target in zip(*batches[0].values(), strict=True)]
    torch.testing.assert_close(together, torch.cat(each).mean(), rtol=1e-5, atol=1e-5)


def test_questions_without_answers_teach_nothing(folder):
    model = naming.model(f"ma-lmm:{folder / 'blip'}", device="cpu")
    with pytest.raises(DataError, match="without one: a"):
        Batches(model, [Sample("a", "0.mp4", Question("what ?"))], DataConfig(str(folder)), count=1)


def test_the_claims_of_the_world_can_be_run(tmp_path):
    """Three arms on three videos: written, decoded, read, learned from, asked about, watched in public, reported."""
    place = Path(__file__).parent.parent / "results" / "memory.py"
    spec = importlib.util.spec_from_file_location("results_memory", place)
    results = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(results)
    arms = ("merge", "none", "windows: both")
    told = {arm: results.run(arm, 0, results.SMOKE, tmp_path) for arm in arms}
    assert (told["merge"]["slots"], told["none"]["slots"]) == (8, 0)
    assert [len(row) for row in told["merge"]["right"]] == [3, 3]
    assert all(one["watched"] == {"same": 3, "questions": 3} for one in told.values())
    found = results.report(tmp_path, list(results.ARMS))
    assert found["claims"]["a visual bank above none"]["seeds"] == [0]
    assert found["claims"]["merging above an average"]["holds"] is None
    assert "| merging above an average | | | 0 | | not run |" in found["page"]
