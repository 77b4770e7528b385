"""The trained selector: layout, hook, causality, filling, pooling, what learns in each stage, save and load."""

import json
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as tf
from click.testing import CliRunner
from safetensors.torch import load_file

import tiny_clip
from tiny_models import CHATML, TEXT, tokenizer
from videre import jobs
from videre.apps import labelling, naming, selecting
from videre.apps.training import command as train
from videre.data import world
from videre.errors import ConfigError, DataError, ModelError
from videre.methods.frame_selector import labels, store, training
from videre.methods.frame_selector.lessons import Lessons, answer_labels
from videre.methods.frame_selector.model import FrameSelector, FrameSelectorConfig
from videre.methods.frame_selector.stages import LoRA, first_stage, joint, loss, merged, second_stage
from videre.models.fake import FakeMLLM
from videre.record import from_row
from videre.train.fit import FitConfig, fit
from videre.types import Frames, Question
from videre.video.open import open_video

N, D = 16, 32


def made(layout="query", *, grid=3, side=4, seed=0):
    torch.manual_seed(seed)
    vision = tf.SiglipVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=8 * side,
        patch_size=8, vision_use_head=False,
    )  # fmt: skip
    text = tf.Qwen2Config(
        vocab_size=64, hidden_size=D, intermediate_size=64, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, tie_word_embeddings=True,
    )  # fmt: skip
    config = FrameSelectorConfig(vision_config=vision, text_config=text, layout=layout, n=N, grid=grid)
    return FrameSelector(config).eval()


def inputs(count=2, *, side=4, seed=1):
    torch.manual_seed(seed)
    patches = torch.randn(count, N, side**2, 16)
    ids = torch.randint(0, 64, (count, 7))
    return patches, ids, torch.tensor([7, 4, 5][:count])


@pytest.mark.parametrize("layout", ["query", "frame"])
def test_a_logit_a_frame_over_a_sequence_of_known_length(layout):
    model, (patches, ids, lengths) = made(layout), inputs()
    assert model(patches, ids, lengths).shape == (2, N)
    embeds, _, _ = model.sequence(model.tokens(patches), ids, lengths)
    assert embeds.shape == (2, N * 9 + 7 + (layout == "query"), D)


def test_the_query_stands_last_and_is_read_after_the_last_but_one_block():
    model, (patches, ids, lengths) = made(), inputs()
    embeds, mask, places = model.sequence(model.tokens(patches), ids, lengths)
    assert torch.equal(embeds[1, N * 9 + 4], model.query[0])
    assert torch.equal(embeds[0, N * 9 + 7], model.query[0])
    hidden = model.penultimate(embeds, mask, places)
    layers = model.llm.model.layers
    caught = {}
    handle = layers[-2].register_forward_hook(lambda _, __, out: caught.update(out=out))
    model.penultimate(embeds, mask, places)
    handle.remove()
    out = caught["out"][0] if isinstance(caught["out"], tuple) else caught["out"]
    assert torch.equal(out, hidden)
    scores, labels_ = model(patches, ids, lengths), answer_labels(ids, lengths - 2, [7, 4])
    loss_before = model.answer_loss(patches, ids, labels_)
    with torch.no_grad():
        layers[-1].mlp.down_proj.weight.add_(0.5)
    assert torch.equal(model(patches, ids, lengths), scores)
    assert not torch.isclose(model.answer_loss(patches, ids, labels_), loss_before, atol=1e-4)


@pytest.mark.parametrize("layout", ["query", "frame"])
def test_the_question_and_every_frame_move_the_scores(layout):
    model, (patches, ids, lengths) = made(layout), inputs()
    scores = model(patches, ids, lengths)
    asked = ids.clone()
    asked[:, 1] = (asked[:, 1] + 1) % 64
    assert not torch.allclose(model(patches, asked, lengths), scores, atol=1e-7)
    if layout == "query":
        before = model.penultimate(model.sequence(model.tokens(patches), ids, lengths)[0])
        after = model.penultimate(model.sequence(model.tokens(patches), asked, lengths)[0])
        assert torch.equal(before[:, : N * 9], after[:, : N * 9])
    for frame in (0, N // 2, N - 1):
        other = patches.clone()
        other[:, frame] += 1.0
        moved = (model(other, ids, lengths) - scores).abs()
        assert (moved.max(1).values > 1e-7).all()
        if layout == "frame":
            assert (moved.min(1).values > 0).all(), "every frame sees every other"


@pytest.mark.parametrize("layout", ["query", "frame"])
def test_filling_changes_nothing(layout):
    model, (patches, ids, lengths) = made(layout), inputs()
    together = model(patches, ids, lengths)
    for i, length in enumerate(lengths.tolist()):
        alone = model(patches[i : i + 1], ids[i : i + 1, :length], lengths[i : i + 1])
        torch.testing.assert_close(alone[0], together[i], atol=1e-5, rtol=0)
    noise = ids.clone()
    noise[1, 4:] = 3
    torch.testing.assert_close(model(patches, noise, lengths), together, atol=1e-6, rtol=0)


def test_questions_about_one_video_share_its_frames_and_change_no_score():
    model, (patches, _, _) = made(), inputs()
    ids, lengths = torch.randint(0, 64, (2, 3, 7)), torch.tensor([[7, 4, 5], [1, 7, 6]])
    together = model.several(patches, ids, lengths)
    assert together.shape == (2, 3, N)
    for film in range(2):
        for i, length in enumerate(lengths[film].tolist()):
            alone = model(patches[film : film + 1], ids[film : film + 1, i, :length], lengths[film : film + 1, i])
            torch.testing.assert_close(alone[0], together[film, i], atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="its frames see none"):
        made("frame").several(patches, ids, lengths)


def test_one_pass_gives_both_losses_as_two_passes_would():
    model, (patches, _, _) = made(), inputs()
    ids, lengths = torch.randint(0, 64, (2, 3, 7)), torch.tensor([[7, 4, 5], [1, 7, 6]])
    answers, targets = torch.randint(0, 64, (2, 3)), torch.rand(2, 3, N)
    scored, _ = model.instructed(patches, ids, lengths)
    torch.testing.assert_close(scored, model.several(patches, ids, lengths))
    apart = []
    for film in range(2):
        for i, length in enumerate(lengths[film].tolist()):
            told = torch.cat([ids[film, i, :length], answers[film, i : i + 1]])[None]
            labels = answer_labels(told, torch.tensor([length]), [length + 1])
            apart.append(model.answer_loss(patches[film : film + 1], told, labels))
    wanted = 4 * torch.nn.functional.binary_cross_entropy(torch.sigmoid(scored), targets)
    wanted = wanted + 0.3 * torch.stack(apart).mean()
    batch = {"patches": patches, "input_ids": ids, "lengths": lengths, "targets": targets, "answers": answers}
    assert joint(model, batch).item() == pytest.approx(wanted.item(), abs=1e-5)


@pytest.mark.parametrize("family", ["siglip", "clip"])
def test_pictures_may_lie_in_memory_as_they_please(family):
    kind = {"siglip": tf.SiglipVisionConfig, "clip": tf.CLIPVisionConfig}[family]
    vision = kind(hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=32,
                  patch_size=8)  # fmt: skip
    text = made().config.text_config
    model = FrameSelector(FrameSelectorConfig(vision_config=vision, text_config=text, n=N)).eval()
    pixels = torch.rand(5, 3, 32, 32)
    with torch.no_grad():
        wanted = torch.cat([model.vision(pixel_values=one[None]).last_hidden_state for one in pixels])[:, -16:]
    for given in (pixels, pixels.contiguous(memory_format=torch.channels_last), pixels.flip(-1).flip(-1)):
        torch.testing.assert_close(model.encode(given, batch=2), wanted, atol=1e-6, rtol=0)


def test_the_frame_layout_takes_any_number_of_frames():
    model, (patches, ids, lengths) = made("frame"), inputs()
    assert model(patches[:, :5], ids, lengths).shape == (2, 5)


def test_pooling_follows_the_bins_of_adaptive_averages():
    model = made(grid=3, side=16)
    patches = torch.randn(1, 2, 256, 16)
    projected = model.projector(patches)[0]
    tokens = model.tokens(patches).unflatten(1, (2, 3, 3))[0]
    edges = [(0, 6), (5, 11), (10, 16)]  # floor(16 i / 3) to ceil(16 (i + 1) / 3)
    grid = projected.unflatten(1, (16, 16))
    for row, (top, bottom) in enumerate(edges):
        for column, (left, right) in enumerate(edges):
            wanted = grid[:, top:bottom, left:right].mean((1, 2))
            torch.testing.assert_close(tokens[:, row, column], wanted, atol=1e-5, rtol=0)
    model.config.grid = 1
    torch.testing.assert_close(model.tokens(patches)[0], projected.mean(1), atol=1e-5, rtol=0)


def batch_of(kind):
    patches, ids, lengths = inputs()
    if kind == "answers":
        return {"patches": patches, "input_ids": ids, "labels": answer_labels(ids, lengths - 2, [7, 4])}
    return {"patches": patches, "input_ids": ids, "lengths": lengths, "targets": torch.rand(2, N)}


def moved(model, before):
    state = dict(model.named_parameters())
    names = {name for name, value in before.items() if not torch.equal(value, state[name])}
    return {part for name in names for part in [name.partition(".")[0]]}, names


def stepped(model, kind):
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=1e-2, weight_decay=0.01)
    for _ in range(2):  # LoRA's second matrix begins at zero, so the first moves at the second step
        optimizer.zero_grad()
        loss(model.train(), batch_of(kind)).backward()
        optimizer.step()
    return moved(model, before)


def test_stage_one_moves_the_new_parts_alone():
    model = first_stage(made())
    learning = {name.partition(".")[0] for name, p in model.named_parameters() if p.requires_grad}
    assert learning == {"projector", "query", "head"}
    parts, _ = stepped(model, "answers")
    assert parts == {"projector"}
    parts, _ = stepped(first_stage(made()), "scores")
    assert parts == {"projector", "query", "head"}


def test_stage_two_moves_adapters_too_and_merges_into_plain_weights():
    model = made()
    patches, ids, lengths = inputs()
    before = model(patches, ids, lengths)
    second_stage(model, LoRA(rank=4, alpha=8, dropout=0.0))
    torch.testing.assert_close(model(patches, ids, lengths), before)
    parts, names = stepped(model, "scores")
    assert parts == {"projector", "query", "head", "llm"}
    in_llm = {name for name in names if name.startswith("llm.")}
    # The last block scores nothing, so its adapters stay; every other linear layer of the blocks has learned.
    wanted = {f"model.layers.{i}" for i in range(3)}
    assert {".".join(name.split(".")[1:4]) for name in in_llm} == wanted
    assert all(".lora_" in name for name in in_llm)
    assert len(in_llm) == 3 * 7 * 2
    learned = model.eval()(patches, ids, lengths)
    merged(model)
    torch.testing.assert_close(model(patches, ids, lengths), learned, atol=1e-5, rtol=1e-4)
    assert set(dict(model.named_parameters())) == set(dict(made().named_parameters()))


def test_the_score_loss_is_least_at_the_label():
    model, batch = made(), batch_of("scores")
    target = batch["targets"].double()
    least = -(target * target.log() + (1 - target) * (1 - target).log()).mean()
    model.forward = lambda *_: torch.logit(target)
    assert loss(model, batch).item() == pytest.approx(least.item(), abs=1e-5)


RECIPE = """
[model]
vision = "{siglip}"
llm = "{text}"
n = 4
[data]
labels = "{labels}"
videos = "{root}/videos"
size_px = 64
[stage1]
batch = 2
at_once = 2
steps = 4
save_steps = 2
[stage2]
batch = 2
at_once = 2
steps = 2
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A SigLIP, a Qwen2, and three clips with questions as rows of one's own."""
    root = tmp_path_factory.mktemp("selector")
    torch.manual_seed(0)
    text = tokenizer(chat=CHATML)
    ends = {"bos_token_id": None, "eos_token_id": text.eos_token_id, "pad_token_id": text.pad_token_id}
    config = tf.Qwen2Config(vocab_size=len(text), **{**TEXT, "num_hidden_layers": 4}, **ends)
    tf.Qwen2ForCausalLM(config).save_pretrained(root / "text")
    text.save_pretrained(root / "text")
    rows = []
    (root / "videos").mkdir()
    for seed in range(3):
        clip = world.make(world.HELD_OUT_SEED + seed)
        world.write(clip, root / "videos" / f"{seed}.mp4")
        for sample in world.questions(clip)[:2]:
            rows.append({"id": f"{seed}-{sample.id}", "video": f"{seed}.mp4", "question": sample.question.text,
                         "answer": sample.answer or "yes"})  # fmt: skip
    (root / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"siglip": tiny_clip.build("siglip", root / "siglip"), "text": root / "text", "root": root}


@pytest.mark.parametrize("layout", ["query", "frame"])
def test_built_of_parts_saved_loaded_and_selected_by_its_folder(folders, tmp_path, layout):
    built = store.build(str(folders["siglip"]), str(folders["text"]), layout=layout, n=12)
    tower = tf.SiglipModel.from_pretrained(folders["siglip"]).vision_model
    pixels = torch.rand(2, 3, 32, 32)
    assert torch.equal(built.model.encode(pixels), tower(pixels).last_hidden_state)
    built.save(tmp_path)
    assert {"config.json", "model.safetensors"} <= {file.name for file in tmp_path.iterdir()}
    again = store.load(str(tmp_path))
    frames = Frames(np.random.default_rng(0).integers(0, 255, (12, 3, 40, 40), dtype=np.uint8), np.arange(12.0))
    scores = built(frames, Question("where?")).scores
    np.testing.assert_allclose(again(frames, Question("where?")).scores, scores, atol=1e-6)
    few = again(Frames(frames.pixels[:5], frames.seconds[:5]), Question("where?")).scores
    assert few.shape == (5,)
    assert ((few > 0) & (few < 1)).all()
    with open_video(folders["root"] / "videos" / "0.mp4") as video:
        evidence = naming.selector(str(tmp_path), k=4)(video, Question("where?"))
        other = naming.selector(f"{tmp_path}:strategy=aks", k=4)(video, Question("where?"))
    assert len(evidence.seconds) == len(other.seconds) == 4
    assert len(evidence.scored.seconds) == 12
    assert evidence.steps[1].inputs["strategy"] == "nms"


def test_what_is_no_selector_is_refused(folders):
    with pytest.raises(ModelError, match="no frame selector"):
        naming.selector(str(folders["text"]), k=4)
    built = store.build(str(folders["siglip"]), str(folders["text"]), n=4)
    frames = Frames(np.zeros((5, 3, 8, 8), np.uint8), np.arange(5.0))
    with pytest.raises(ModelError, match="scores 4 frames, got 5"):
        built(frames, Question("where?"))


def test_lessons_take_turns_and_come_the_same_at_every_call(folders, tmp_path):
    selector = store.build(str(folders["siglip"]), str(folders["text"]), n=6)
    row = {"video": "0.mp4", "seconds": [0.5, 1.0, 1.5], "scores": [0.0, 1.0, 0.5], "clip": None}
    rows = [{**row, "question": f"what is {i} ?", "answer": "a red ball" if i else None} for i in range(3)]
    find = (folders["root"] / "videos").joinpath
    lessons = Lessons(selector, rows, find, open_video, batch=2, epochs=2, answers=True)
    assert len(lessons) == 8
    assert "labels" in lessons[0]
    assert "targets" in lessons[1]
    for number in range(4):
        for name, value in lessons[number].items():
            assert torch.equal(value, lessons[number][name])
    assert lessons[1]["targets"][0].tolist() == [0.0, 0.0, 1.0, 1.0, 0.5, 0.5]
    answers = lessons[0]
    said = answers["labels"][0][answers["labels"][0] != -100]
    assert selector.tokenizer.decode(said) == "a red ball<|im_end|>"


def labelled(folders, out):
    samples = naming.benchmark("rows")["reader"](folders["root"] / "rows.jsonl")
    model = FakeMLLM(lambda chunks, text: "[1, 2]" if "captions" in text else "True")
    labeller = labels.Labeller(labels.Truth(model), labels.Temporal(model), n=6, size_px=64)
    find = lambda sample: folders["root"] / "videos" / sample.video  # noqa: E731
    outcome = labels.run(samples, lambda: labeller, out, card=labeller.card, find=find, open_video=open_video,
                         quiet=True)  # fmt: skip
    return outcome, model


def test_labels_are_the_mean_and_a_second_run_asks_nothing(folders, tmp_path):
    outcome, model = labelled(folders, tmp_path / "labels")
    assert (outcome.done, outcome.failed) == (6, 0)
    rows = list(labels.read(tmp_path / "labels"))
    for row in rows:
        wanted = (np.array(row["spatial"]) + np.array(row["temporal"])) / 2
        np.testing.assert_allclose(row["scores"], wanted, atol=1e-6)
        assert np.flatnonzero(row["temporal"]).tolist() == [1, 2]
        assert len(row["seconds"]) == len(row["captions"]) == 6
    captions = sum("Describe" in text for text in model.asked)
    assert captions == 3 * 6, "captions are made once a video, not once a question"
    outcome, model = labelled(folders, tmp_path / "labels")
    assert (outcome.done, outcome.skipped) == (6, 6)
    assert not model.asked


def ran(command, *arguments):
    """What a command printed, run in this process."""
    done = CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_label_train_and_select_by_command(folders, tiny_checkpoint, tmp_path):
    root, model = folders["root"], tiny_checkpoint("qwen3_vl")
    arguments = [
        "rows", "--annotations", root / "rows.jsonl", "--videos", root / "videos", "-n", 4, "--spatial", model,
        "--captions", model, "-o", tmp_path / "labels", "--size-px", 64, "--limit", 3,
        "-q",
    ]  # fmt: skip
    running = subprocess.Popen([sys.executable, "-m", "videre", "label", *map(str, arguments)])
    log = tmp_path / "labels" / "answers.jsonl"
    until = time.monotonic() + 100
    while time.monotonic() < until and not (log.is_file() and log.stat().st_size):
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
    first = log.read_bytes()
    assert first.count(b"\n") >= 1
    ran(labelling.command, *arguments)
    assert log.read_bytes().startswith(first[: first.rfind(b"\n") + 1]), "finished rows are not labelled again"
    rows = list(jobs.rows(tmp_path / "labels"))
    assert len(rows) == 3
    assert all(0 <= score <= 1 for row in rows for score in row["scores"])
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE.format(**folders, labels=tmp_path / "labels"))
    ran(train, "selector", recipe, "-o", tmp_path / "selector")
    ran(train, "selector", recipe, "-o", tmp_path / "selector")  # does nothing: it is there
    out = ran(
        selecting.command, root / "videos" / "1.mp4", "what moves?", "-s", tmp_path / "selector", "-k", 3, "--json"
    )
    record = from_row(json.loads(out))
    assert len(record.evidence.seconds) == 3
    assert len(record.evidence.scored.seconds) == 4


def test_a_third_stage_goes_on_from_the_last_by_command(folders, tiny_checkpoint, tmp_path):
    labelled(folders, tmp_path / "labels")
    recipe = tmp_path / "recipe.toml"
    third = ["epochs = 1", f'answerer = "{tiny_checkpoint("qwen3_vl")}"', "batch = 2", "at_once = 2", "steps = 2"]
    told = RECIPE.format(**folders, labels=tmp_path / "labels").replace("steps = 4", "steps = 1")
    recipe.write_text(told + "epochs = 0\n[stage3]\n" + "\n".join([*third, "lr = 1e-2", "frames = 2", "draws = 3"]))
    ran(train, "selector", recipe, "-o", tmp_path / "out")
    assert {path.parent.parent.name for path in (tmp_path / "out").glob("*/selector/config.json")} == {
        "stage1",
        "stage3",
    }
    first, last = (load_file(tmp_path / "out" / name / "model.safetensors") for name in ("stage1/selector", "."))
    changed = {name.partition(".")[0] for name in first if not torch.equal(first[name], last[name])}
    assert changed == {"projector", "query", "head", "llm"}
    assert (tmp_path / "out" / "stage3" / "fit.jsonl").read_text().count("\n") >= 2


def test_a_run_that_was_stopped_ends_as_one_that_was_not(folders, tmp_path):
    labelled(folders, tmp_path / "labels")
    rows = list(labels.read(tmp_path / "labels"))
    find = (folders["root"] / "videos").joinpath

    def learned(out, *, stop_at=None):
        selector = store.build(str(folders["siglip"]), str(folders["text"]), n=6, seed=3)
        second_stage(selector.model, LoRA(rank=2, alpha=4, dropout=0.0))
        lessons = Lessons(selector, rows, find, open_video, batch=2, epochs=3, size_px=64)
        config = FitConfig(str(out), 6, lr=1e-2, save_steps=3, log_steps=1, resume=True)

        def stopping(model, batch, calls=[0]):  # noqa: B006
            calls[0] += 1
            if stop_at and calls[0] > stop_at:
                raise KeyboardInterrupt
            return loss(model, batch)

        fit(selector.model, lessons, stopping, config)
        return merged(selector.model).state_dict()

    whole = learned(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        learned(tmp_path / "part", stop_at=4)
    resumed = learned(tmp_path / "part")
    for name, value in whole.items():
        torch.testing.assert_close(resumed[name], value, atol=1e-6, rtol=1e-5, msg=name)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({}, r"no table \[data\]"),
        ({"data": {"labels": "a", "videos": "b"}, "stage4": {}}, "did you mean 'stage"),
        ({"data": {"labels": "a", "videos": "b"}, "stage1": {"epoch": 1}}, "did you mean 'epochs'"),
        ({"data": {"labels": "a", "videos": "b"}, "stage1": {"batch": 7}}, "multiple of at_once"),
    ],
)
def test_a_recipe_that_does_not_hold_is_told(told, message):
    with pytest.raises(ConfigError, match=message):
        training.read(told)


def test_another_recipe_for_the_same_folder_is_refused(tmp_path: Path):
    told = {"data": {"labels": str(tmp_path / "labels"), "videos": "b"}}
    for _ in range(2):
        with pytest.raises(DataError):  # no labels there, but the folder has been begun
            training.train(told, tmp_path)
    with pytest.raises(ConfigError, match=r"another recipe: stage1\.lr was 0\.001, now 0\.5"):
        training.train({**told, "stage1": {"lr": 0.5}}, tmp_path)


@pytest.mark.parametrize("name", ["selector", "selector_frame", "selector_reward"])
def test_the_recipes_that_come_along_are_read(name):
    path = Path(__file__).parents[1] / "recipes" / f"{name}.toml"
    recipe = training.read(tomllib.loads(path.read_text("utf-8")))
    assert recipe.data.labels == "runs/labels"
    assert bool(recipe.stage3.epochs) == (name == "selector_reward")


@pytest.mark.parametrize("family", ["GPT2", "Llama", "OPT"])
def test_the_head_reads_what_goes_into_the_last_block_which_is_not_run(family):
    torch.manual_seed(0)
    sizes = {"GPT2": {"n_embd": 32, "n_layer": 3, "n_head": 4}}.get(
        family, {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
    )
    more = {"OPT": {"ffn_dim": 64, "word_embed_proj_dim": 32}, "Llama": {"intermediate_size": 64}}.get(family, {})
    text = getattr(tf, f"{family}Config")(vocab_size=64, **sizes, **more)
    vision = tf.SiglipVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=8,
        vision_use_head=False,
    )  # fmt: skip
    model = FrameSelector(FrameSelectorConfig(vision_config=vision, text_config=text, n=4, grid=2)).eval()
    embeds = torch.randn(2, 9, 32)
    with torch.no_grad():
        whole = model.llm.get_decoder()(inputs_embeds=embeds, output_hidden_states=True, use_cache=False)
        assert torch.equal(model.penultimate(embeds), whole.hidden_states[-2])
        last = whole.last_hidden_state
        again = model.llm.get_decoder()(inputs_embeds=embeds, use_cache=False).last_hidden_state
    assert torch.equal(last, again)  # nothing of the early end stays behind
