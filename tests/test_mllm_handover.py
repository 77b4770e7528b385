"""The times in a model's own prompt are the true times of its frames; what a person writes stays text."""

import re

import numpy as np
import pytest
import torch

from tiny_models import FAMILIES
from videre.errors import ModelError
from videre.models.handover import shrink
from videre.models.mllm import load
from videre.types import Frames, Question

ASKED = Question("What falls ?")
TIMES = {
    "uniform": np.arange(8) * 2.0,
    "uniform midpoints": (np.arange(6) + 0.5) * 3.7,
    "a uniform stretch of the middle": 600 + np.arange(5) * 0.5,
    "hand-picked": np.array([0.04, 0.54, 3.0, 3.21, 9.96, 15.5, 3600.25]),
    "two far apart": np.array([1.0, 101.0]),
    "one": np.array([12.34]),
}


def frames(seconds, *, height=48, width=64, label="", seed=0) -> Frames:
    pixels = np.random.default_rng(seed).integers(0, 255, (len(seconds), 3, height, width), dtype=np.uint8)
    return Frames(pixels, np.asarray(seconds, np.float64), label)


def stated(prompt: str) -> list[float]:
    """The times that a prompt states, in its order."""
    return [float(seconds) for seconds in re.findall(r"<([\d.]+) seconds>", prompt)]


@pytest.fixture(scope="module")
def models(tiny_checkpoint):
    loaded: dict = {}

    def get(name: str, handover: str = "auto"):
        if (name, handover) not in loaded:
            loaded[name, handover] = load(str(tiny_checkpoint(name)), handover=handover, answer_tokens=4)
        return loaded[name, handover]

    return get


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("name", FAMILIES)
def test_stated_times_are_true_times(models, name, times):
    prompt = models(name).prompt([frames(TIMES[times])], ASKED)
    assert len(stated(prompt)) == len(TIMES[times])
    np.testing.assert_allclose(stated(prompt), TIMES[times], atol=0.05 + 1e-9)


@pytest.mark.parametrize("mode", ["images", "video-doubled"])
@pytest.mark.parametrize("name", FAMILIES)
def test_stated_times_are_true_times_in_a_wanted_mode(models, name, mode):
    model, times = models(name, mode), TIMES["hand-picked"]
    if name == "idefics3" and mode != "images":
        with pytest.raises(ModelError, match="takes no videos"):
            model.answer([frames(times)], ASKED)
        return
    answer = model.answer([frames(times)], ASKED)
    assert (answer.run["handover"], answer.usage.frames) == (mode, len(times))
    np.testing.assert_allclose(stated(model.prompt([frames(times)], ASKED)), times, atol=0.05 + 1e-9)


@pytest.mark.parametrize("name", FAMILIES)
def test_chunks_keep_their_order_labels_and_times(models, name):
    chunks = [
        frames([0.0, 10.0, 20.0], label="overview"),
        frames([9.5, 10.5], height=96, label="key moment"),
        frames([10.0], height=32, width=32, label="close-up"),
    ]
    model = models(name)
    prompt = model.prompt(chunks, ASKED)
    assert stated(prompt) == [0.0, 10.0, 20.0, 9.5, 10.5, 10.0]
    places = [prompt.index(label) for label in ("overview", "key moment", "close-up")]
    assert places == sorted(places)
    assert model.answer(chunks, ASKED).usage.frames == 6


def test_plain_video_is_labelled_with_the_mean_of_each_pair_where_the_family_fuses(models):
    prompt = models("qwen3_vl", "video").prompt([frames([0.0, 1.0, 5.0, 7.0, 9.0])], ASKED)
    assert stated(prompt) == [0.5, 6.0, 9.0]  # The last, without a neighbour, is paired with itself.


def test_the_scalar_spacing_of_a_native_video_is_the_true_mean(models):
    for mode, per_patch in (("video", 2), ("video-doubled", 1)):
        model = models("qwen2_5_vl", mode)
        inputs = model._loaded.prompter.read([frames(np.arange(6) * 1.5)]).inputs
        assert inputs["second_per_grid_ts"].tolist() == pytest.approx([1.5 * per_patch])
        assert stated(model.prompt([frames(np.arange(6) * 1.5)], ASKED)) == [0.0, 1.5, 3.0, 4.5, 6.0, 7.5]


def test_a_doubled_frame_shares_its_patch_with_no_other(models):
    plain, times = frames([0.0, 50.0, 90.0]), [0.0, 50.0, 90.0]
    changed = plain.pixels.copy()
    changed[1] = 255 - changed[1]
    for mode, patches in (("video-doubled", {1}), ("video", {0})):
        prompter = models("qwen3_vl", mode)._loaded.prompter
        a = prompter.read([plain]).inputs["pixel_values_videos"]
        b = prompter.read([Frames(changed, np.array(times))]).inputs["pixel_values_videos"]
        per_patch = len(a) // (3 if mode == "video-doubled" else 2)
        assert set((torch.nonzero((a != b).any(1))[:, 0] // per_patch).tolist()) == patches


@pytest.mark.parametrize("name", FAMILIES)
def test_placeholders_in_a_question_are_text(models, name):
    model = models(name)
    prompter = model._loaded.prompter
    words = ["<image>", "<video>", "<|video_pad|>", "<|image_pad|>", "<IMG_CONTEXT>", "<|im_end|>", "<<image>>"]
    text = "what is " + " ".join(words) + "?<image><image>"
    for chunks in ([frames([0.0, 1.0])], []):
        prompt = prompter.read(chunks)
        plain = prompter.question(prompt, "what")
        ids = prompter.question(prompt, text)
        special = {i for i, token in prompter.tokenizer.added_tokens_decoder.items() if token.special}
        assert [i for i in ids if i in special] == [i for i in plain if i in special]
        assert text in prompter.tokenizer.decode(ids)
        assert model.answer(chunks, Question(text)).usage.prompt_tokens


@pytest.mark.parametrize("text", ["\x00\x07\x1b[31m", "\u202egnp.exe", "a\ud800b", "\n\n\n?", "é" * 2000, "👁"])
def test_strange_text_is_taken_as_it_is(models, text):
    assert models("qwen3_vl").answer([frames([0.0])], Question("q" + text)).usage.prompt_tokens
    assert models("llava_next_video").generate("q" + text, max_tokens=2) is not None


def test_empty_chunks_are_no_frames_and_big_ones_are_made_smaller(models, tiny_checkpoint):
    empty = Frames(np.zeros((0, 3, 8, 8), np.uint8), np.zeros(0))
    assert models("qwen3_vl").answer([empty], ASKED).usage.frames == 0
    model = load(str(tiny_checkpoint("internvl")), frame_px=32 * 32, handover="images")
    small = shrink(frames([0.0], height=90, width=160), 32 * 32)
    assert (small.height_px, small.width_px) == (24, 42)
    assert model.answer([frames([0.0], height=90, width=160)], ASKED).usage.frames == 1


def test_a_checkpoint_without_chat_template_says_so(models, monkeypatch):
    model = load(models("qwen3_vl").card["id"])
    model.processor.chat_template = None
    with pytest.raises(ModelError, match="no chat template"):
        model.answer([], ASKED)


def test_a_template_that_refuses_videos_gets_pictures(tiny_checkpoint):
    model = load(str(tiny_checkpoint("llava_onevision")), answer_tokens=2)
    refusing = "{% for m in messages %}{% for c in m['content'] %}{% if c['type'] == 'video' %}"
    refusing += "{{ raise_exception('no videos') }}{% elif c['type'] == 'image' %}<image>{% else %}{{ c['text'] }}"
    model.processor.chat_template = refusing + "{% endif %}{% endfor %}<|im_end|>{% endfor %}"
    assert model.answer([frames([1.0, 5.0])], ASKED).run["handover"] == "images"
    assert stated(model.prompt([frames([1.0, 5.0])], ASKED)) == [1.0, 5.0]
