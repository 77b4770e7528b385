"""Training by command, adapters on disk, official files, and the gradient over several processes."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

import tiny_clip
from videre.apps import cli
from videre.apps.training import read_recipe
from videre.data import world
from videre.errors import ConfigError, ModelError
from videre.methods.bt_adapter import captions, convert, encoder, losses, official, pretrain, store
from videre.methods.bt_adapter.adapter import Adapter
from videre.methods.bt_adapter.branch import BranchConfig
from videre.methods.bt_adapter.mask import kept_tokens
from videre.models import clip
from videre.video.open import open_video


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A tiny pair, five clips of the world, and their captions."""
    folder = tmp_path_factory.mktemp("adapter")
    tiny_clip.build("clip", folder / "clip")
    rows = []
    for seed in range(5):
        made = world.make(seed, world.Config(seconds=2.0, size_px=48))
        world.write(made, folder / f"{seed}.mp4")
        rows.append({"video": f"{seed}.mp4", "caption": world.describe(made)})
    (folder / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return folder


@pytest.fixture
def recipe(place):
    return {
        "base": str(place / "clip"),
        "branch": {"depth": 2},
        "data": {"captions": str(place / "captions.jsonl"), "videos": str(place), "frames": 3, "batch": 2,
                 "crop": [0.5, 1.0]},
        "fit": {"steps": 4, "lr": 1e-3, "save_steps": 2},
    }  # fmt: skip


def as_toml(told):
    tables = [f'base = "{told["base"]}"']
    for name in ("branch", "data", "fit"):
        tables += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in told[name].items())]
    return "\n".join(tables)


def command(*arguments):
    return CliRunner().invoke(cli.cli, list(map(str, arguments)))


def test_trains_by_command_and_goes_on_after_a_stop(place, recipe, tmp_path, monkeypatch):
    (tmp_path / "small.toml").write_text(as_toml(recipe), "utf-8")
    whole = command("train", "adapter", tmp_path / "small.toml", "-o", tmp_path / "whole")
    assert whole.exit_code == 0, whole.output
    made = []
    taken = pretrain.CaptionBatches.__getitem__

    def dies(self, index):
        made.append(index)
        if made.count(3) == 1 and index == 3:
            raise KeyboardInterrupt
        return taken(self, index)

    monkeypatch.setattr(pretrain.CaptionBatches, "__getitem__", dies)
    with pytest.raises(KeyboardInterrupt):
        pretrain.train(recipe, tmp_path / "cut")
    assert not (tmp_path / "cut" / store.FACTS).exists()
    pretrain.train(recipe, tmp_path / "cut")
    assert made == [0, 1, 2, 3, 2, 3]
    one, two = (load_file(tmp_path / name / store.WEIGHTS) for name in ("whole", "cut"))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    checkpoint = load_file(next((tmp_path / "cut" / "fit").glob("checkpoint-2/*.safetensors")))
    assert not [name for name in checkpoint if "network" in name]


def test_the_trained_adapter_is_read_beside_its_own_pair_only(place, recipe, tmp_path):
    pretrain.train(recipe, tmp_path / "out")
    found = encoder.load(None, tmp_path / "out")
    assert found.card["adapter"]["note"]["recipe"]["data"]["frames"] == 3
    with open_video(str(place / "0.mp4")) as video:
        frames = encoder.frames_at(video, [0.0, 0.5, 1.0])
    vectors = found.clips(frames.pixels[None])
    assert vectors.shape == (1, found.width)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert found.images(frames).shape == (3, found.width)
    assert np.abs(vectors - encoder.load(str(place / "clip")).clips(frames.pixels[None])).max() > 1e-3
    other = tiny_clip.clip()[0]
    with pytest.raises(ModelError, match="trained beside"):
        store.read(tmp_path / "out", other, revision="another")
    (tmp_path / "out" / store.WEIGHTS).write_bytes(b"cut off")
    with pytest.raises(ModelError, match="not the branch"):
        store.read(tmp_path / "out", other)
    with pytest.raises(ModelError, match="pass a folder"):
        store.facts(tmp_path)


def test_another_recipe_does_not_go_on(recipe, tmp_path):
    pretrain.train(recipe, tmp_path / "out")
    recipe["fit"]["lr"] = 2e-3
    with pytest.raises(ConfigError, match="begun with another recipe"):
        pretrain.train(recipe, tmp_path / "out")


@pytest.mark.parametrize(
    ("table", "change", "message"),
    [
        ("data", {"frame": 3}, r"\[data\] has no 'frame'; did you mean 'frames'"),
        ("data", {"batch": 1}, "2 videos at least"),
        ("fit", {"lrr": 1}, "did you mean 'lr'"),
    ],
)
def test_recipes_are_checked(recipe, tmp_path, table, change, message):
    recipe[table] |= change
    with pytest.raises(ConfigError, match=message):
        pretrain.read(recipe, tmp_path)


def test_a_recipe_without_base_or_with_another_table_is_refused(recipe, tmp_path):
    with pytest.raises(ConfigError, match="has no 'brunch'; did you mean 'branch'"):
        pretrain.read({**recipe, "brunch": {}}, tmp_path)
    recipe.pop("base")
    with pytest.raises(ConfigError, match="name the frozen checkpoint"):
        pretrain.read(recipe, tmp_path)


def test_batches_are_the_same_at_every_call_and_cover_an_epoch(place, recipe, tmp_path):
    batches = pretrain.CaptionBatches(clip.load(recipe["base"]), pretrain.read(recipe, tmp_path))
    one, two = batches[1], batches[1]
    assert torch.equal(one["pixels"], two["pixels"])
    assert torch.equal(one["kept"], two["kept"])
    assert one["pixels"].shape == (2, 3, 3, 32, 32)
    assert one["kept"].shape == (2, 3 * (16 - 11))
    seen = [item.video for index in range(2) for item in batches._taken(index)]
    assert len(set(seen)) == 4


def test_bad_videos_stop_or_make_the_batch_smaller(place, recipe, tmp_path, capsys):
    rows = [{"video": f"{i}.mp4", "caption": "a thing"} for i in (0, 1, 2)] + [{"video": "bad.mp4", "caption": "none"}]
    (place / "bad.mp4").write_bytes(b"no video")
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    recipe["data"] |= {"captions": str(path), "batch": 4}
    pair = clip.load(recipe["base"])
    with pytest.raises(Exception, match="bad"):
        pretrain.CaptionBatches(pair, pretrain.read(recipe, tmp_path))[0]
    recipe["data"]["bad_videos"] = "skip"
    assert len(pretrain.CaptionBatches(pair, pretrain.read(recipe, tmp_path))[0]["pixels"]) == 3
    assert "left out" in capsys.readouterr().out


def test_caption_files_of_all_kinds(tmp_path):
    files = {
        "own.csv": "video,caption\na.mp4,one\na.mp4,two\nb.mp4,three\n",
        "webvid.csv": "videoid,contentUrl,duration,page_dir,name\n7,url,3,000_050,a red ball\n",
        "msrvtt.csv": "key,vid_key,video_id,sentence\nret0,msr0,video0,one\n",
        "own.json": '[{"video": "a.mp4", "caption": "one"}]',
        "msrvtt.json": '{"0": {"image_id": "v0", "caption": "one", "id": 0, "video": "v0.mp4"}}',
        "bad.csv": "name,words\na,b\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, "utf-8")
    read = {name: captions.read(tmp_path / name) for name in files if name != "bad.csv"}
    assert read["own.csv"] == [captions.Caption("a.mp4", ("one", "two")), captions.Caption("b.mp4", ("three",))]
    assert read["webvid.csv"] == [captions.Caption("000_050/7.mp4", ("a red ball",))]
    assert read["msrvtt.csv"] == [captions.Caption("video0", ("one",))]
    assert read["own.json"] == [captions.Caption("a.mp4", ("one",))]
    assert [each.texts for each in read["msrvtt.json"]] == [("one",)]
    with pytest.raises(Exception, match="no caption file that is known"):
        captions.read(tmp_path / "bad.csv")


def test_crops_are_rectangles_of_all_frames():
    pixels = np.arange(2 * 3 * 20 * 30, dtype=np.uint64).reshape(2, 3, 20, 30).astype(np.uint8)
    assert pretrain.cropped(pixels, np.zeros(4), (1.0, 1.0)) is pixels
    for draws in np.random.default_rng(0).random((20, 4)):
        shown = pretrain.cropped(pixels, draws, (0.25, 0.5))
        assert 0.2 <= shown.shape[2] * shown.shape[3] / 600 <= 0.55


def test_official_files_become_adapters(place, tmp_path):
    network = clip.load(str(place / "clip")).network
    torch.manual_seed(3)
    made = Adapter(network, BranchConfig(depth=2))
    names = convert.official(made.state_dict())
    torch.save({"state_dict": names, "meta": {"epoch": 1}}, tmp_path / "whole.pth")
    found, remarks = official.from_official([tmp_path / "whole.pth"], network)
    assert remarks == []
    assert found.branch.config == BranchConfig(depth=2)
    assert all(torch.equal(value, made.state_dict()[name]) for name, value in found.state_dict().items())
    ungated = {name: value for name, value in names.items() if "balance" not in name}
    torch.save(ungated, tmp_path / "ungated.pth")
    with pytest.warns(UserWarning, match="no gates in the file"):
        found, _ = official.from_official([tmp_path / "ungated.pth"], network)
    assert not found.branch.config.gates
    tuned = {name.replace("backbone.", "model.vision_tower."): value for name, value in names.items()
             if "btadapter" in name and "layers.1" not in name}  # fmt: skip
    torch.save(tuned, tmp_path / "btadapter_weight.bin")
    with pytest.warns(UserWarning, match="no gates"):
        found, remarks = official.from_official([tmp_path / "btadapter_weight.bin"], network)
    assert found.branch.config.depth == 2
    assert len(remarks) == 2
    both, remarks = official.from_official([tmp_path / "whole.pth", tmp_path / "btadapter_weight.bin"], network)
    assert (both.branch.config.gates, remarks) == (True, [])


def test_official_files_that_do_not_fit_are_refused(place, tmp_path):
    network = clip.load(str(place / "clip")).network
    names = convert.official(Adapter(network, BranchConfig(depth=2)).state_dict())
    changed = {**names, "backbone.class_embedding": names["backbone.class_embedding"] + 1}
    lacking = {name: value for name, value in names.items() if "S_layers.0.mlp" not in name}
    for name, state, message in (("other", changed, "not this network's"), ("less", lacking, "not a whole")):
        torch.save(state, tmp_path / f"{name}.pth")
        with pytest.raises(ModelError, match=message):
            official.from_official([tmp_path / f"{name}.pth"], network)
    torch.save({"state_dict": names, "object": Path("x")}, tmp_path / "object.pth")
    with pytest.raises(ModelError, match="more than tensors"):
        official.official_file(tmp_path / "object.pth")


def test_an_official_file_by_command(place, tmp_path):
    network = clip.load(str(place / "clip")).network
    torch.save(convert.official(Adapter(network, BranchConfig(depth=2)).state_dict()), tmp_path / "whole.pth")
    base, words = ["--base", place / "clip"], {"weight": torch.randn(5, 3), "bias": torch.randn(5)}
    torch.save({f"model.mm_projector.{name}": value for name, value in words.items()}, tmp_path / "mm_projector.bin")
    files = [tmp_path / "whole.pth", tmp_path / "mm_projector.bin"]
    told = command("adapter", "import", *files, *base, "-o", tmp_path / "ours")
    assert told.exit_code == 0, told.output
    brought = load_file(tmp_path / "ours" / store.PROJECTOR)
    assert all(torch.equal(brought[name], value) for name, value in words.items())
    assert encoder.load(None, tmp_path / "ours").adapter.branch.config.depth == 2
    back = command("adapter", "export", tmp_path / "ours", "-o", tmp_path / "back.safetensors")
    assert back.exit_code == 0, back.output
    exported, wanted = load_file(tmp_path / "back.safetensors"), torch.load(tmp_path / "whole.pth")
    assert exported.keys() == wanted.keys()
    assert all(torch.equal(exported[name], wanted[name]) for name in wanted)


WORKER = """
import sys, torch
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel
sys.path.insert(0, sys.argv[4])
import test_bt_adapter_train as told
from videre.methods.bt_adapter import losses, pretrain
from videre.train import fit
rank = int(sys.argv[1])
dist.init_process_group("gloo", init_method="file://" + sys.argv[2], rank=rank, world_size=2)
x, y, w = told.rows_and_map()
mine = [slice(0, 3), slice(3, 4)][rank]  # As where one process left out videos that it could not read.
loss = losses.contrast(x[mine] @ w, y[mine], scale=1.0)
loss.backward()
dist.all_reduce(w.grad)
model, batch = told.model_and_batch()
half = {name: value[2 * rank :][:2] for name, value in batch.items() if name != "tokens"}
half["tokens"] = {"input_ids": batch["tokens"]["input_ids"][2 * rank :][:2]}
many = DistributedDataParallel(model, find_unused_parameters=True)
fit._through(many, model, pretrain.loss_of(losses.Weights()), half).backward()
if rank == 0:
    torch.save({"loss": loss.detach(), "grad": w.grad / 2, "grads": told.gradients(model)}, sys.argv[3])
dist.destroy_process_group()
"""


def rows_and_map():
    g = torch.Generator().manual_seed(0)
    x, y, w = (torch.randn(*shape, generator=g) for shape in ((4, 6), (4, 5), (6, 5)))
    return x, y, w.requires_grad_()


def model_and_batch():
    torch.manual_seed(0)
    model = losses.Pretraining(Adapter(tiny_clip.clip()[0], BranchConfig(depth=2, drop_path=0.0))).train()
    kept = kept_tokens(4, patches=16, frames=3, ratio=0.5)
    words = torch.randint(3, 20, (4, 6))
    return model, {"pixels": torch.randn(4, 3, 3, 32, 32), "tokens": {"input_ids": words}, "kept": kept}


def gradients(model):
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def test_two_processes_give_the_gradient_of_the_whole_batch(tmp_path):
    run = [sys.executable, "-c", WORKER]
    places = [str(tmp_path / "meet"), str(tmp_path / "told.pt"), str(Path(__file__).parent)]
    started = [subprocess.Popen([*run, str(rank), *places]) for rank in range(2)]
    assert [process.wait(timeout=120) for process in started] == [0, 0]
    x, y, w = rows_and_map()
    loss = losses.contrast(x @ w, y, scale=1.0)
    loss.backward()
    told = torch.load(tmp_path / "told.pt")
    torch.testing.assert_close(told["loss"], loss.detach())
    torch.testing.assert_close(told["grad"], w.grad)
    model, batch = model_and_batch()
    pretrain.loss_of(losses.Weights())(model, batch).backward()
    wanted = gradients(model)
    assert told["grads"].keys() == wanted.keys()
    for name, gradient in wanted.items():
        near = 1e-4 * gradient.abs().max().item() + 1e-5  # A bias of keys has rounding noise alone.
        torch.testing.assert_close(told["grads"][name], gradient, rtol=1e-4, atol=near, msg=name)


@pytest.mark.parametrize("name", ["adapter", "adapter_own"])
def test_the_recipes_can_be_read(name, tmp_path):
    told = pretrain.read(read_recipe(Path(__file__).parent.parent / "recipes" / f"{name}.toml"), tmp_path)
    assert told.branch.depth == 4
    assert told.fit.rates == pretrain.RATES


def study_of(name, monkeypatch):
    """A script of results/ as a module."""
    folder = Path(__file__).parent.parent / "results"
    monkeypatch.syspath_prepend(str(folder))
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    made = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, made)
    spec.loader.exec_module(made)
    return made


def test_the_studies_run_end_to_end(tmp_path, monkeypatch):
    study = study_of("adapter", monkeypatch)
    size = study.Size(pair_steps=2, pair_batch=4, steps=2, batch=4, held_out=4)
    told = {arm: study.run(arm, 0, size, tmp_path)["right"] for arm in ("pair", "branch", "separate-st")}
    assert [right["time"][1] for right in told.values()] == [16, 16, 16]
    assert told["pair"]["motion"][0] == 4  # the mean of frames is right on one of each clip and its reversal
    report = study.report(size, tmp_path)
    assert set(report["arms"]) == {"frozen", "branch", "separate-st"}
    assert report["claims"]["frozen pair at chance on time"]["holds"]
    assert "| frozen | 1 |" in study.page(report)
    chat = study_of("adapter_chat", monkeypatch)
    for name, value in {"STEPS": 2, "BATCH": 4, "HELD_OUT": 2, "SIZE": size}.items():
        monkeypatch.setattr(chat, name, value)
    monkeypatch.setattr(study, "RUNS", tmp_path)
    assert chat.run(0)["frame mean"] == {"motion": [2, 4], "order": [2, 4], "time": [4, 8]}
    report = chat.report([0])
    assert report["shares"]["pictures"]["count"] > 100
    assert "| frame mean, time | 50.0% |" in chat.page(report)


def test_signs_tell_what_frames_do_not(monkeypatch):
    scenes = study_of("adapter_scenes", monkeypatch)
    moving, still = scenes.scene(3, "motion"), scenes.scene(3, "still")
    number = next(n for n in range(99) if len(scenes.scene(n).clip.things) == 1)
    (one, first), (other, second) = scenes.signs(number)
    assert {first, second} == {scenes.scene(number).caption, scenes.scene(number).backwards}
    assert not torch.equal(one, other)
    assert still.caption == still.backwards
    forwards = scenes.video(moving, 8, scenes.SIDE_PX)
    turned = {tuple(frame.flatten().tolist()) for frame in forwards.flip(0)}
    assert {tuple(frame.flatten().tolist()) for frame in forwards} == turned
    grey = torch.tensor([150.0] * 3).view(1, 3, 1, 1) / 127.5 - 1
    assert not ((forwards - grey).abs().amax(1) < 0.01).any()  # no video shows a mark
    assert ((torch.stack([one, other]) - grey).abs().amax(1) < 0.01).flatten(1).any(1).all()
