"""Image chat models that read a video as one picture, through the adapter or with their frames pooled."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as tf
from safetensors.torch import load_file

import tiny_blip
import tiny_models
from videre.apps import adapters, cli
from videre.apps.training import read_recipe
from videre.data import world
from videre.errors import ConfigError, DataError, ModelError
from videre.methods.bt_adapter import chat_model, official, store, tuning
from videre.methods.bt_adapter.adapter import Adapter
from videre.methods.bt_adapter.branch import BranchConfig
from videre.methods.bt_adapter.chat import video_tokens
from videre.types import MLLM, Frames, Question

CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image>\n{% elif c['type'] == 'text' %}{{ c['text'] }}{% endif %}{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
VISION = {"model_type": "clip_vision_model", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4,
          "num_attention_heads": 2, "image_size": 56, "patch_size": 14}  # fmt: skip


def llava(*, next_generation=False):
    t = tiny_models.tokenizer(["<image>"], chat=CHAT)
    given = {"vision_config": VISION, "text_config": {"model_type": "llama", **tiny_models._text(t)}}
    given["image_token_index"] = t.convert_tokens_to_ids("<image>")
    shown = {"size": {"shortest_edge": 56}, "crop_size": {"height": 56, "width": 56}}
    rest = {"patch_size": 14, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}
    if next_generation:
        grid = [[56, 112], [112, 56], [112, 112]]
        model = tf.LlavaNextForConditionalGeneration(tf.LlavaNextConfig(**given, image_grid_pinpoints=grid))
        images = tf.LlavaNextImageProcessor(**shown, image_grid_pinpoints=grid)
        return model, tf.LlavaNextProcessor(images, t, chat_template=CHAT, **rest)
    model = tf.LlavaForConditionalGeneration(tf.LlavaConfig(**given, image_seq_length=16))
    return model, tf.LlavaProcessor(tf.CLIPImageProcessor(**shown), t, chat_template=CHAT, **rest)


BUILDS = {
    "llava": llava,
    "llava_next": lambda: llava(next_generation=True),
    "llava_onevision": tiny_models.llava_onevision,
    "blip2": tiny_blip.blip2,
    "instructblip": tiny_blip.instructblip,
}


def awake(tower):
    """An adapter whose temporal blocks do something."""
    made = Adapter(tower, BranchConfig(depth=2))
    for block in made.branch.temporal:
        torch.nn.init.normal_(block.temporal_fc.weight, std=0.5)
    return made


@pytest.fixture(scope="module", params=list(BUILDS))
def place(request, tmp_path_factory):
    """A chat checkpoint, and an adapter beside its tower."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp(request.param)
    built = BUILDS[request.param]()
    tiny_models.save(built, folder / "chat")
    store.write(folder / "adapter", awake(tower_of(built[0])), base={"id": "its tower", "revision": None})
    return folder


def tower_of(network):
    """The picture tower of a chat model."""
    return network.vision_model if hasattr(network, "qformer") else network.model.vision_tower


def tokens(model, count):
    """How many tokens the prompt of a video has."""
    return model.answer([frames(count)], ASKED).usage.prompt_tokens


def frames(count=5, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 3, 60, 90), dtype=np.uint8)
    return Frames(pixels, np.arange(count, dtype=np.float64))


ASKED = Question("What happens?", ("left", "right"))


def test_answers_scores_and_learns(place):
    model = chat_model.load(str(place / "chat"), place / "adapter", device="cpu")
    assert isinstance(model, MLLM)
    answer = model.answer([frames()], ASKED)
    assert answer.usage.frames == 5
    assert answer.run["model"]["video"]["adapter"]["base"]["id"] == "its tower"
    assert (
        len({tokens(model, count) for count in (1, 3, 70)}) == 1
    )  # as many tokens as one picture, whatever the length
    scores = model.score([frames()], ASKED, ["left", "right"])
    moved = Frames(frames().pixels[::-1].copy(), frames().seconds)
    assert np.abs(scores - model.score([moved], ASKED, ["left", "right"])).max() > 1e-5
    branch = chat_model.branch_of(model).requires_grad_(True)
    model.loss([frames()], ASKED, "left").mean().backward()
    assert next(branch.temporal[0].self_attn.parameters()).grad.abs().max() > 0
    assert all(p.grad is None for p in tower_of(model.network).encoder.parameters())


def test_pooled_frames_know_no_order(place):
    mean = chat_model.load(str(place / "chat"), pooling="frame-mean", device="cpu")
    scores = mean.score([frames()], ASKED, ["left", "right"])
    moved = Frames(frames().pixels[::-1].copy(), frames().seconds)
    np.testing.assert_allclose(scores, mean.score([moved], ASKED, ["left", "right"]), atol=1e-4)
    both = chat_model.load(str(place / "chat"), pooling="st-pool", device="cpu")
    longer = 0 if hasattr(both.network, "qformer") else 4  # The Q-Former's queries are as many as ever.
    assert tokens(both, 6) - tokens(both, 2) == longer


def test_one_frame_without_adapter_is_the_model_on_a_picture(place):
    """The road through one picture's place gives what transformers gives for that picture."""
    mean = chat_model.load(str(place / "chat"), pooling="frame-mean", device="cpu")
    if "NextForConditional" in type(mean.network).__name__ or "Onevision" in type(mean.network).__name__:
        pytest.skip("cuts a picture into several tiles")
    if hasattr(mean.network, "qformer"):
        pytest.skip("see test_one_frame_of_blip")
    square = Frames(np.random.default_rng(1).integers(0, 256, (1, 3, 56, 56), dtype=np.uint8), np.zeros(1))
    prompt = mean.watch([square]).prompt
    plain = tf.AutoModelForImageTextToText.from_pretrained(place / "chat").eval()
    processor = tf.AutoProcessor.from_pretrained(place / "chat")
    pixels = processor.image_processor(images=[torch.from_numpy(square.pixels[0])], return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        told = plain(input_ids=prompt.inputs["input_ids"], pixel_values=pixels).logits
        mine = mean.network(input_ids=prompt.inputs["input_ids"], pixel_values=prompt.inputs["pixel_values"]).logits
    torch.testing.assert_close(mine, told, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("build", [tiny_blip.blip2, tiny_blip.instructblip])
def test_one_frame_of_blip_is_the_model_on_a_picture(build, tmp_path):
    """Queries, Q-Former and the side of words give what transformers gives for that picture and question."""
    tiny_models.save(build(), tmp_path)
    mean = chat_model.load(str(tmp_path), pooling="frame-mean", device="cpu")
    square = Frames(np.random.default_rng(1).integers(0, 256, (1, 3, 28, 28), dtype=np.uint8), np.zeros(1))
    text = "what moves"
    given = mean.processor(images=square.pixels[0].transpose(1, 2, 0), text=text, return_tensors="pt")
    with torch.no_grad():
        told = mean.network(**given).logits[0, -1].log_softmax(-1)
    mine = mean.score([square], Question(text), ["left"])
    (first, *_) = mean.processor.tokenizer("left", add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        seen, _ = mean.seen([square])
        prompt = mean.voice.prompt(mean.told(seen, text), text)
        logits = mean.network.language_model(inputs_embeds=prompt).logits[0, -1].log_softmax(-1)
    torch.testing.assert_close(logits, told, atol=1e-4, rtol=1e-4)
    assert mine[0] <= float(told[first]) + 1e-4


def test_the_official_variant_puts_cls_last(place):
    if "blip" in place.name:
        with pytest.raises(ModelError, match="knows LLaVA alone"):
            chat_model.load(str(place / "chat"), place / "adapter", official="official", device="cpu")
        return
    made = chat_model.load(str(place / "chat"), place / "adapter", official="official", device="cpu")
    eyes = made._loaded.prompter.eyes
    pixels = made._loaded.prompter.pixels(frames(8))
    patches, cls = video_tokens(eyes.tower, eyes.branch, pixels[None], layer=eyes.config.vision_feature_layer,
                                compat="official")  # fmt: skip
    found = eyes.features(pixels).pooler_output[0]
    joined = torch.cat([patches, cls], 1) if eyes.tower.has_cls else patches
    wanted = eyes.inner.multi_modal_projector(joined)[0]
    torch.testing.assert_close(found[: len(wanted)], wanted)
    with pytest.raises(ModelError, match="fails on 1 frames"):
        made.answer([frames(1)], ASKED)


@pytest.mark.parametrize("place", ["llava"], indirect=True)
def test_another_tower_is_refused(place, tmp_path):
    other = tf.CLIPVisionModel(tf.CLIPVisionConfig(**VISION))
    store.write(tmp_path / "other", awake(other), base={"id": "another", "revision": None})
    with pytest.raises(ModelError, match="trained beside the tower of another"):
        chat_model.load(str(place / "chat"), tmp_path / "other", device="cpu")


@pytest.mark.parametrize("place", ["llava"], indirect=True)
def test_settings_are_checked(place, tiny_checkpoint):
    for text, message in (("#pooling=mean", "pooling is one of"), ("#pool=x", "no setting"), ("", "name a checkpoint")):
        with pytest.raises(ConfigError, match=message):
            adapters.chat_model(f"{place / 'chat' if text else ''}{text}")
    with pytest.raises(ModelError, match="name an adapter, or pooling"):
        adapters.chat_model(str(place / "chat"))
    with pytest.raises(ModelError, match="is no LLaVA"):
        adapters.chat_model(f"{tiny_checkpoint('smolvlm')}#pooling=frame-mean")


@pytest.mark.parametrize("place", ["llava", "blip2"], indirect=True)
def test_asked_by_command(place, tmp_path, capsys):
    world.write(world.make(1, world.Config(seconds=1.0, size_px=48)), tmp_path / "clip.mp4")
    name = f"bt-adapter:{place / 'chat'}#adapter={place / 'adapter'}"
    code = cli.run(["ask", str(tmp_path / "clip.mp4"), "what moves?", "-m", name, "-k", "3", "--json"])
    told = capsys.readouterr()
    assert code == 0, told.err
    row = json.loads(told.out)
    assert len(row["frames"]) == 3
    assert row["run"]["model"]["video"]["pooling"] == "adapter"


def tuning_recipe(place, folder):
    """Three questions about two clips, and a recipe that learns from them."""
    for seed in range(2):
        world.write(world.make(seed, world.Config(seconds=1.0, size_px=48)), folder / f"{seed}.mp4")
    rows = [{"id": f"{n}", "video": f"{n % 2}.mp4", "conversations": [
        {"from": "human", "value": "<video>\nwhat moves?"}, {"from": "gpt", "value": ["left", "right"][n % 2]}]}
        for n in range(3)]  # fmt: skip
    (folder / "rows.json").write_text(json.dumps(rows), "utf-8")
    return {
        "base": str(place / "chat"),
        "adapter": str(place / "adapter"),
        "device": "cpu",
        "data": {"rows": str(folder / "rows.json"), "videos": str(folder), "frames": 3, "epochs": 2},
        "fit": {"lr": 0.01, "accumulate": 2, "save_steps": 1},
    }


@pytest.mark.parametrize("place", ["llava"], indirect=True)
def test_learns_by_recipe_and_goes_on_after_a_stop(place, tmp_path, monkeypatch):
    told = tuning_recipe(place, tmp_path)
    tuning.train(told, tmp_path / "whole")
    taken, made = tuning.Rows.__getitem__, []

    def dies(self, index):
        made.append(index)
        if index == 4 and made.count(4) == 1:
            raise KeyboardInterrupt
        return taken(self, index)

    monkeypatch.setattr(tuning.Rows, "__getitem__", dies)
    with pytest.raises(KeyboardInterrupt):
        tuning.train(told, tmp_path / "cut")
    tuning.train(told, tmp_path / "cut")
    assert 0 not in made[made.index(4) + 1 :]  # what was learned before the stop is not read again
    for name in (store.WEIGHTS, store.PROJECTOR):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes()
    before, after = load_file(place / "adapter" / store.WEIGHTS), load_file(tmp_path / "whole" / store.WEIGHTS)
    assert not torch.equal(before["temporal.0.temporal_fc.weight"], after["temporal.0.temporal_fc.weight"])
    assert torch.equal(before["out_balance"], after["out_balance"])  # as released


@pytest.mark.parametrize("place", ["llava", "instructblip"], indirect=True)
def test_what_was_tuned_answers_by_name(place, tmp_path):
    told = tuning_recipe(place, tmp_path)
    tuning.train(told, tmp_path / "tuned")
    asked, question = [frames()], Question("what moves?")
    before = chat_model.load(told["base"], told["adapter"], device="cpu").score(asked, question, ["left", "right"])
    made = adapters.chat_model(f"{told['base']}#adapter={tmp_path / 'tuned'}", device="cpu")
    assert np.abs(made.score(asked, question, ["left", "right"]) - before).max() > 1e-3
    assert made.card["video"]["adapter"]["note"]["recipe"]["base"] == told["base"]
    plain = tf.AutoModelForMultimodalLM.from_pretrained(told["base"]).state_dict()
    kept = {name: value for name, value in made.network.state_dict().items() if "language_model" in name}
    assert kept
    assert all(torch.equal(plain[name], value) for name, value in kept.items())


def test_the_released_map_to_words(tmp_path):
    """One linear layer: it fits a LLaVA whose two have nothing between them, and is refused by another."""
    projector = llava()[0].model.multi_modal_projector
    weight, bias = torch.randn_like(projector.linear_1.weight), torch.randn_like(projector.linear_1.bias)
    torch.save({"model.mm_projector.weight": weight, "model.mm_projector.bias": bias,
                "model.embed_tokens.weight": torch.zeros(2, len(bias))}, tmp_path / "mm_projector.bin")  # fmt: skip
    found, remarks = official.projector([tmp_path / "mm_projector.bin"])
    assert len(remarks) == 1
    store.write_projector(tmp_path, found)
    with pytest.raises(ModelError, match="projector_hidden_act = linear"):
        store.fill_projector(projector, tmp_path)
    projector.act, shown = torch.nn.Identity(), torch.randn(3, weight.shape[1])
    store.fill_projector(projector, tmp_path)
    torch.testing.assert_close(projector(shown), shown @ weight.T + bias)


@pytest.mark.parametrize("place", ["llava"], indirect=True)
def test_recipes_for_chat_are_checked(place, tmp_path):
    told = tuning_recipe(place, tmp_path)
    for change, message in (({"bas": 1}, "did you mean 'base'"), ({"adapter": 3}, "no adapter: name"),
                            ({"data": {**told["data"], "frames": 0}}, "frames are 1 or more"),
                            ({"fit": {"rate": 1}}, "has no 'rate'")):  # fmt: skip
        with pytest.raises(ConfigError, match=message):
            tuning.train({**told, **change}, tmp_path / "never")
    (tmp_path / "rows.json").write_text(json.dumps([{"id": "a", "messages": [
        {"role": "user", "content": "hi"}, {"role": "assistant", "content": "there"}]}]), "utf-8")  # fmt: skip
    with pytest.raises(DataError, match="asks about a video"):
        tuning.train(told, tmp_path / "never")
    published = read_recipe(Path(__file__).parent.parent / "recipes" / "adapter_chat.toml")
    assert tuning.read(published).data.frames == 100
