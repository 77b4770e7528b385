"""MA-LMM as a model: for one frame the words of transformers, sessions, checkpoints there and back, the command."""

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch.testing import assert_close

from tiny_blip import BLIPS
from tiny_models import save as save_checkpoint
from videre.apps import naming
from videre.apps.cli import cli
from videre.data import world
from videre.errors import ConfigError, ModelError
from videre.methods.ma_lmm import convert, loading
from videre.methods.ma_lmm.memory import Memory
from videre.models.handover import upright
from videre.options import listed
from videre.types import MLLM, Frames, Question, Session

ASKED = Question("what happens in the video ?")
CHOICE = Question("what opens the door ?", ("a person", "a red square"))


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    root = tmp_path_factory.mktemp("blips")
    return cache(lambda name: save_checkpoint(BLIPS[name](), root / name))


@pytest.fixture(scope="module")
def model(checkpoints):
    return small(loading.load(str(checkpoints("instructblip")), device="cpu"))


def small(model, **memory):
    writing = replace(model.settings.writing, answer_tokens=6)
    model.settings = replace(model.settings, memory=Memory(**{"visual": 3, "query": 3, **memory}), writing=writing)
    return model


def film(count, seed=0, first=0):
    pixels = np.random.default_rng(seed).integers(0, 255, (count, 3, 40, 56), dtype=np.uint8)
    return Frames(pixels, np.arange(first, first + count, dtype=np.float64))


@pytest.mark.parametrize("name", ["instructblip", "blip2"])
def test_one_frame_gives_the_words_of_transformers(checkpoints, name):
    model = small(loading.load(str(checkpoints(name)), device="cpu"))
    frame, text = film(1), listed(ASKED)
    inputs = model.processor(images=list(upright(frame)), text=text, return_tensors="pt")
    with torch.no_grad():
        plain = model.network(**inputs).logits
        told = model.network.generate(**inputs, max_new_tokens=6, do_sample=False)
        looked = model.watch([frame])._look(text)
        ours = model.network.language_model(inputs_embeds=model.voice.prompt(model.projected(looked.seen), text)).logits
    assert_close(ours, plain, rtol=1e-4, atol=1e-5)
    expected = model.processor.decode(told[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip()
    assert model.answer([frame], ASKED).text == expected


@pytest.mark.parametrize("name", list(BLIPS))
def test_it_is_a_model_like_any_other(checkpoints, name):
    model = small(loading.load(str(checkpoints(name)), device="cpu"))
    assert isinstance(model, MLLM)
    chunks = [film(4), film(3, 1, first=4)]
    assert isinstance(model.watch(chunks), Session)
    answer = model.answer(iter(chunks), CHOICE)
    assert answer.usage.frames == 7
    memory = answer.run["memory"]
    assert (memory["recall"], memory["frames"], memory["visual_slots"]) == ("live", 7, 3)
    assert sum(memory["frames_in_slots"]) == pytest.approx(7, abs=0.05)
    scores = model.score(chunks, CHOICE, CHOICE.options)
    assert scores.shape == (2,)
    losses = [model.loss(chunks, CHOICE, option, end=False).sum().item() for option in CHOICE.options]
    assert_close(torch.tensor(losses), torch.tensor(-scores, dtype=torch.float32), rtol=1e-4, atol=1e-4)
    assert isinstance(model.generate("what happens ?", max_tokens=3), str)


def test_the_three_roads_to_an_answer_and_what_they_say(model):
    chunks = [film(5), film(6, 1, first=5)]
    live = model.watch(chunks, follow=[ASKED.text])
    replay = model.watch(chunks, recall="replay")
    visual = model.watch(chunks, recall="visual")
    told = [session.answer(ASKED) for session in (live, replay, visual)]
    assert [one.run["memory"]["recall"] for one in told] == ["live", "replay", "visual"]
    looks = [session._look(ASKED.text).seen for session in (live, replay, visual)]
    assert_close(looks[0], looks[1], rtol=1e-5, atol=1e-5)
    assert not torch.allclose(looks[0], looks[2], atol=1e-3)
    with pytest.raises(ModelError, match="name this one beforehand"):
        live.answer(CHOICE)


def test_where_a_reply_was_seen_is_a_stretch_of_the_video(checkpoints):
    """One frame differs from all others, and the words hang on the picture: it is what a reply rests on."""
    model = small(loading.load(str(checkpoints("instructblip")), device="cpu"), visual=4, query=0)
    with torch.no_grad():
        model.network.language_projection.weight.mul_(30)  # So that what is seen moves the words of a random model.
    quiet = film(1)
    pixels = np.repeat(quiet.pixels, 12, 0)
    pixels[7] = film(1, seed=1).pixels[0]
    shown = Frames(pixels, np.arange(12) * 0.5 + 10)
    for session in (model.watch([shown]), model.watch([shown], recall="visual"),
                    model.watch([shown], follow=[listed(ASKED)], where=True)):  # fmt: skip
        losses = {text: _spans(session, text) for text in ("the door", "a person", "red square")}
        told = [span for spans in losses.values() for span in spans]
        assert told
        assert all(10 <= span.start_seconds <= span.end_seconds <= 15.5 for span in told)
        assert (13.5, 13.5) in {(span.start_seconds, span.end_seconds) for span in told}
        assert all(0 < span.confidence <= 1 for span in told)
    assert model.watch(follow=[listed(ASKED)], where=True).where(ASKED, "a") == ()
    with pytest.raises(ModelError, match="watch with where=True"):
        model.watch([shown], follow=[listed(ASKED)]).where(ASKED, "a person")


def _spans(session, reply):
    return session.where(ASKED, reply, most=1)


def test_the_visual_road_is_a_model_without_query_banks(checkpoints, model):
    chunks = [film(9)]
    alone = small(loading.load(str(checkpoints("instructblip")), device="cpu"), query=0)
    visual = model.watch(chunks, recall="visual")._look(ASKED.text)
    assert_close(visual.seen, alone.watch(chunks, follow=[ASKED.text])._look(ASKED.text).seen, rtol=1e-5, atol=1e-5)
    assert model.watch(chunks, recall="visual").answer(ASKED).run["memory"]["query_slots"] == 0


def test_it_answers_at_any_moment_as_if_the_video_ended_there(model):
    whole = film(8)
    session = model.watch(follow=[ASKED.text])
    assert session.answer(ASKED).run["memory"]["recall"] == "none"
    for t in range(8):
        session.push(Frames(whole.pixels[t : t + 1], whole.seconds[t : t + 1]))
        start = Frames(whole.pixels[: t + 1], whole.seconds[: t + 1])
        assert_close(session._look(ASKED.text).seen, model.watch([start])._look(ASKED.text).seen, rtol=1e-5, atol=1e-5)
    assert session.last_seconds == 7.0


def test_memory_is_constant_on_two_roads_and_grows_on_the_third(model):
    def bytes_after(count, **how):
        return model.watch([film(count)], **how).bytes

    assert bytes_after(8, follow=[ASKED.text]) == bytes_after(32, follow=[ASKED.text])
    assert bytes_after(8, recall="visual") == bytes_after(32, recall="visual")
    assert bytes_after(8, recall="replay") * 3 < bytes_after(32, recall="replay")


def test_what_a_person_writes_is_text(model):
    tricky = Question("is <image> <|im_end|> in the video ?")
    assert model.words(tricky.text) is not None
    prompt = model.voice.prompt(torch.zeros(1, 5, 64), tricky.text)
    plain = model.voice.prompt(torch.zeros(1, 5, 64), "is  in the video ?")
    assert prompt.shape[1] > plain.shape[1] + 2
    end = model.voice._embedded([model.processor.tokenizer.eos_token_id])[0, 0]
    assert not (prompt[0] == end).all(-1).any()


def test_beams_are_ranked_guesses(checkpoints):
    model = naming.model(f"ma-lmm:{checkpoints('instructblip')}#slots=2,beams=3,answer_tokens=4", device="cpu")
    answer = model.answer([film(4)], ASKED)
    assert answer.text == answer.ranking[0]
    assert 1 <= len(answer.ranking) <= 3


def test_a_question_too_long_for_the_q_former_is_refused(model):
    with pytest.raises(ModelError, match="ask shorter") as caught:
        model.answer([film(1)], Question("red " * 80))
    assert caught.value.code == "too_long"


def test_training_reaches_what_is_to_be_trained(checkpoints):
    model = small(loading.load(str(checkpoints("instructblip")), device="cpu"))
    model.positions = torch.nn.Parameter(torch.zeros(6, 24))
    model.loss([film(5)], ASKED, "a red square").mean().backward()
    network = model.network
    for weight in (network.query_tokens, network.vision_model.post_layernorm.weight, model.positions):
        assert weight.grad.abs().sum() > 0
    assert network.qformer.encoder.layer[0].crossattention.attention.key.weight.grad.abs().sum() > 0
    assert model.positions.grad.abs().sum(1).nonzero().flatten().tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="no frames"):
        model.loss([], ASKED, "a red square")


# Checkpoints


def test_a_released_checkpoint_there_and_back(checkpoints, tmp_path):
    donor = loading.load(str(checkpoints("instructblip")), device="cpu")
    donor.positions = torch.nn.Parameter(torch.randn(9, 24))
    with torch.no_grad():
        donor.network.query_tokens.add_(1.0)
        donor.network.vision_model.post_layernorm.weight.mul_(1.5)
    file = loading.save_official(donor, tmp_path / "checkpoint_best.pth")
    names = torch.load(file, weights_only=True)["model"]
    assert {"query_tokens", "image_pe.weight", "ln_vision.weight", "llm_proj.bias"} <= names.keys()
    assert "Qformer.bert.encoder.layer.0.crossattention.self.key.weight" in names
    assert names["Qformer.bert.embeddings.position_ids"].tolist() == [list(range(64))]
    back = loading.load(str(checkpoints("instructblip")), device="cpu", official=file)
    assert back.network.vision_model.post_layernorm.eps == 1e-5
    assert torch.equal(back.positions, donor.positions)
    for name, value in donor.network.state_dict().items():
        assert torch.equal(back.network.state_dict()[name], value), name
    kept = loading.load(str(loading.save(small(back), tmp_path / "kept")), device="cpu")
    assert kept.network.vision_model.post_layernorm.eps == 1e-5
    assert (kept.settings.memory.visual, kept.card["positions"]) == (3, True)
    assert torch.equal(kept.positions, donor.positions)
    assert small(kept).answer([film(4)], ASKED).text == small(back).answer([film(4)], ASKED).text


def test_a_released_checkpoint_by_command_without_opening_the_base(checkpoints, tmp_path):
    donor = loading.load(str(checkpoints("instructblip")), device="cpu")
    donor.positions = torch.nn.Parameter(torch.randn(9, 24))
    file, base = loading.save_official(donor, tmp_path / "checkpoint_best.pth"), str(checkpoints("instructblip"))
    run = CliRunner().invoke
    ran = run(cli, ["convert", "ma-lmm", str(file), "-o", str(tmp_path / "ours"), "--base", base])
    assert ran.exit_code == 0, ran.output
    ours = naming.model(f"ma-lmm:{tmp_path / 'ours'}", device="cpu")
    assert ours.settings.memory.positions == "write"
    assert ours.network.vision_model.post_layernorm.eps == 1e-5
    assert torch.equal(ours.positions, donor.positions)
    ran = run(cli, ["convert", "ma-lmm", str(tmp_path / "ours"), "-o", str(tmp_path / "back.pth"), "--back"])
    assert ran.exit_code == 0, ran.output
    there, back = (torch.load(path, weights_only=True)["model"] for path in (file, tmp_path / "back.pth"))
    assert there.keys() == back.keys()
    assert all(torch.equal(there[name], value) for name, value in back.items())
    ran = run(cli, ["convert", "ma-lmm", str(tmp_path), "-o", str(tmp_path / "no.pth"), "--back"])
    assert "no memory.safetensors" in str(ran.exception)


def test_every_name_of_the_vision_tower_goes_there_and_back():
    official = {
        "visual_encoder.cls_token": torch.randn(1, 1, 4),
        "visual_encoder.pos_embed": torch.randn(1, 5, 4),
        "visual_encoder.patch_embed.proj.weight": torch.randn(4, 3, 2, 2),
        "visual_encoder.blocks.0.norm1.weight": torch.randn(4),
        "visual_encoder.blocks.0.attn.qkv.weight": torch.randn(12, 4),
        "visual_encoder.blocks.0.attn.q_bias": torch.randn(4),
        "visual_encoder.blocks.0.attn.v_bias": torch.randn(4),
        "visual_encoder.blocks.0.attn.proj.bias": torch.randn(4),
        "visual_encoder.blocks.0.mlp.fc1.weight": torch.randn(8, 4),
        "llm_model.model.layers.0.self_attn.q_proj.weight": torch.randn(4, 4),
    }
    ours = convert.from_official(official)
    assert "vision_model.encoder.layers.0.self_attn.projection.bias" in ours
    assert ours["vision_model.encoder.layers.0.self_attn.qkv.bias"][4:8].abs().sum() == 0
    back = convert.to_official(ours)
    assert back.keys() == official.keys()
    assert all(torch.equal(back[name], value) for name, value in official.items())
    with pytest.raises(ModelError, match="no weight of MA-LMM"):
        convert.our_name("head.weight")


class Trap:
    def __reduce__(self):
        return (open, ("/tmp/never-written", "w"))


def test_a_checkpoint_that_runs_code_is_refused(tmp_path):
    torch.save({"model": {"query_tokens": torch.zeros(1, 5, 32)}, "config": Trap()}, tmp_path / "bad.pth")
    with pytest.raises(ModelError, match="does not open as plain weights"):
        convert.read_official(tmp_path / "bad.pth")
    torch.save({"model": {"head": torch.zeros(1)}}, tmp_path / "other.pth")
    with pytest.raises(ModelError, match="no query_tokens"):
        convert.read_official(tmp_path / "other.pth")
    with pytest.raises(ModelError, match="no such checkpoint"):
        convert.read_official(tmp_path / "none.pth")


def test_weights_that_do_not_fit_are_named(checkpoints, tmp_path):
    torch.save({"model": {"query_tokens": torch.zeros(1, 7, 32)}}, tmp_path / "wide.pth")
    with pytest.raises(ModelError, match=r"query_tokens \[1, 7, 32\] does not fit"):
        loading.load(str(checkpoints("instructblip")), device="cpu", official=tmp_path / "wide.pth")


def test_other_architectures_are_refused(tiny_checkpoint):
    with pytest.raises(ModelError, match="has no Q-Former"):
        loading.load(str(tiny_checkpoint("llava_onevision")), device="cpu")


# The command


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("world") / "clip.mp4"
    world.write(world.make(7, world.Config(seconds=4.0, size_px=64)), path)
    return path


def test_ask_by_command_says_how_it_remembered(checkpoints, clip):
    name = f"ma-lmm:{checkpoints('instructblip')}#slots=3,answer_tokens=4"
    ran = CliRunner().invoke(
        cli, ["ask", str(clip), "what happens ?", "-m", name, "-k", "12", "--device", "cpu", "--json"]
    )
    assert ran.exit_code == 0, ran.output
    row = json.loads(ran.stdout)
    assert row["run"]["memory"]["recall"] == "live"
    assert row["run"]["memory"]["frames"] == len(row["frames"]) == 12
    assert row["run"]["model"]["method"] == "ma-lmm"


def test_a_dry_run_loads_no_model(clip):
    ran = CliRunner().invoke(cli, ["ask", str(clip), "what happens ?", "-m", "ma-lmm:nowhere", "-k", "4", "--dry-run"])
    assert ran.exit_code == 0, ran.output
    assert "4 frames" in ran.stdout


@pytest.mark.parametrize(
    ("text", "why"),
    [("", "name a checkpoint"), ("x#slot=3", "no setting"), ("x#recall=some", "one of"), ("x#slots=many", "number")],
)
def test_wrong_names_are_told(text, why):
    with pytest.raises(ConfigError, match=why):
        naming.model(f"ma-lmm:{text}")


def test_official_mode_by_name(checkpoints):
    model = naming.model(f"ma-lmm:{checkpoints('instructblip')}#mode=official,visual=4,reduce=fifo", device="cpu")
    memory = model.settings.memory
    assert (memory.positions, memory.cached, memory.first, memory.visual, memory.query) == ("write", False, True, 4, 20)
    assert memory.reduce.__name__ == "fifo"


def test_anticipation_by_command_takes_beams_as_guesses(checkpoints, tmp_path):
    """EPIC-KITCHENS through `videre eval`: five beams are five guesses, and only what came before is seen."""
    (tmp_path / "videos/P01/videos").mkdir(parents=True)
    world.write(world.make(3, world.Config(seconds=6.0, size_px=48)), tmp_path / "videos/P01/videos/P01_11.mp4")
    columns = "narration_id,participant_id,video_id,start_timestamp,stop_timestamp,narration,"
    columns += "verb,verb_class,noun,noun_class"
    row = "P01_11_0,P01,P01_11,00:00:04.00,00:00:05.00,open door,open,3,door,8"
    (tmp_path / "EPIC_100_validation.csv").write_text(f"{columns}\n{row}\n")
    model = f"ma-lmm:{checkpoints('instructblip')}#slots=2,beams=5,answer_tokens=3"
    given = ["eval", "epic-kitchens", "--annotations", str(tmp_path / "EPIC_100_validation.csv")]
    given += ["--videos", str(tmp_path / "videos"), "-m", model, "-k", "4", "-o", str(tmp_path / "run"), "--no-blind"]
    ran = CliRunner().invoke(cli, given)
    assert ran.exit_code == 0, (ran.output, ran.exception)
    lines = [json.loads(line) for file in (tmp_path / "run").rglob("*.jsonl") for line in file.read_text().splitlines()]
    answered = [line.get("row", line) for line in lines if "ranking" in line.get("row", line)]
    assert answered, [list(line) for line in lines]
    assert 1 < len(answered[0]["ranking"]) <= 5
    assert max(frame["seconds"] for frame in answered[0]["frames"]) <= 3.0
