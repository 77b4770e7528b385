"""Every family through one class: answers, scores, loss and sessions agree with the plain library run."""

import numpy as np
import pytest
import torch

from tiny_models import FAMILIES, llava_onevision, save
from videre.errors import ModelError
from videre.models.mllm import TransformersMLLM, load
from videre.types import MLLM, Frames, Question, Session

QUESTION = Question("What falls?", ("red ball", "blue ball", "nothing"))
OPEN = Question("what happens in the video ?")


def frames(seconds, *, height=48, width=64, label="", seed=0) -> Frames:
    pixels = np.random.default_rng(seed).integers(0, 255, (len(seconds), 3, height, width), dtype=np.uint8)
    return Frames(pixels, np.array(seconds, np.float64), label)


@pytest.fixture(scope="module")
def models(tiny_checkpoint):
    loaded: dict[str, TransformersMLLM] = {}

    def get(name: str) -> TransformersMLLM:
        if name not in loaded:
            loaded[name] = load(str(tiny_checkpoint(name)), answer_tokens=12)
        return loaded[name]

    return get


def uncached_logprobs(model: TransformersMLLM, chunks, text: str) -> torch.Tensor:
    """Log-probabilities `[N, V]` of one plain forward over head and question, without a cache."""
    prompter = model._loaded.prompter
    prompt = prompter.read(chunks)
    rest = prompter.question(prompt, text)
    with torch.inference_mode():
        return torch.log_softmax(model._logits(prompt, rest, keep=len(rest)).float(), -1)


SHOWN = {
    "uniform": lambda: [frames([0.0, 1.0, 2.0, 3.0])],
    "picked": lambda: [frames([0.2, 3.2, 9.1, 15.7, 16.0], height=64)],
    "one": lambda: [frames([1.3])],
    "chunks": lambda: [frames([0.0, 4.0, 8.0], label="overview"), frames([4.2, 4.4], height=96, label="close-up")],
    "none": lambda: [],
}


@pytest.mark.parametrize("shown", SHOWN)
@pytest.mark.parametrize("name", FAMILIES)
def test_answers_score_and_loss_agree(models, name, shown):
    model = models(name)
    answer = model.answer(SHOWN[shown](), QUESTION)
    assert answer.usage.frames == sum(map(len, SHOWN[shown]()))
    assert answer.usage.answer_tokens is not None
    assert 1 <= answer.usage.answer_tokens <= 12
    assert (answer.confidence is None) == (answer.option is None)
    options = ["A", "red ball", "blue ball is seen"]
    scores = model.score(SHOWN[shown](), QUESTION, options)
    losses = [model.loss(SHOWN[shown](), QUESTION, option, end=False).sum().item() for option in options]
    np.testing.assert_allclose(scores, -np.array(losses), atol=2e-5)


@pytest.mark.parametrize("shown", SHOWN)
@pytest.mark.parametrize("name", FAMILIES)
def test_a_session_equals_the_uncached_run(models, name, shown):
    model = models(name)
    one, other = model.watch(SHOWN[shown]()), model.watch([frames([0.0, 1.5, 3.0, 4.5, 6.0, 7.5], seed=7)])
    for text in ("what happens ?", "is the red square before the blue ball ?", "A B C D ?"):
        for session, chunks in ((one, SHOWN[shown]()), (other, [frames([0.0, 1.5, 3.0, 4.5, 6.0, 7.5], seed=7)])):
            torch.testing.assert_close(session.logits(text), uncached_logprobs(model, chunks, text), atol=2e-5, rtol=0)
    assert one.generate("what happens ?", max_tokens=6) == model.generate(
        "what happens ?", SHOWN[shown](), max_tokens=6
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_generation_follows_the_best_token_of_the_uncached_run(models, name):
    model = models(name)
    chunks = [frames([0.0, 1.0, 2.0, 3.0, 20.0, 40.0])]
    prompter = model._loaded.prompter
    prompt = prompter.read(chunks)
    ids = prompter.question(prompt, "what happens ?")
    expected: list[int] = []
    with torch.inference_mode():
        for _ in range(8):
            expected.append(int(model._logits(prompt, [*ids, *expected], keep=1)[0].argmax()))
            if expected[-1] == prompter.end_id:
                break
    said = prompter.tokenizer.decode(expected, skip_special_tokens=True).strip()
    session = model.watch(chunks)
    assert session.generate("what happens ?", max_tokens=8) == said
    assert session.generate("what happens ?", max_tokens=8) == said


def test_native_video_of_the_scalar_spacing_family_reads_on_at_the_right_position(tiny_checkpoint):
    # 40 s between frames put the video's own positions in time far beyond where the text goes on.
    model = load(str(tiny_checkpoint("qwen2_5_vl")), handover="video")
    chunks = [frames([0.0, 40.0, 80.0, 120.0, 160.0, 200.0])]
    session = model.watch(chunks)
    torch.testing.assert_close(
        session.logits("what happens ?"), uncached_logprobs(model, chunks, "what happens ?"), atol=2e-5, rtol=0
    )


def test_the_head_equals_what_the_library_makes_of_the_whole_message(models):
    for name in FAMILIES:
        model = models(name)
        prompter = model._loaded.prompter
        prompt = prompter.read([frames([1.3])])
        from videre.models.handover import choose, hand_over

        chunks = [frames([1.3])]
        handed = hand_over(chunks, choose("auto", chunks, abilities=prompter.abilities), abilities=prompter.abilities)
        content = [*handed.content, {"type": "text", "text": "what happens ?"}]
        whole = prompter._process(prompter._render(content), handed)["input_ids"][0].tolist()
        ours = [*prompt.inputs["input_ids"][0].tolist(), *prompter.question(prompt, "what happens ?")]
        assert ours == whole, name


def test_sliding_window_layers_are_copied(tmp_path):
    torch.manual_seed(0)
    window = {"use_sliding_window": True, "sliding_window": 16, "max_window_layers": 1}
    model = load(str(save(llava_onevision(**window), tmp_path)), answer_tokens=4)
    chunks = [frames([0.0, 1.0, 2.0, 3.0])]
    session = model.watch(chunks)
    assert not session._cuttable
    for text in ("what happens ?", "A B C D ?", "what happens ?"):
        expected = uncached_logprobs(model, chunks, text)
        torch.testing.assert_close(session.logits(text), expected, atol=2e-5, rtol=0)
    scores = session.score(QUESTION, ["A", "blue ball"])
    losses = [model.loss(chunks, QUESTION, o, end=False).sum().item() for o in ["A", "blue ball"]]
    np.testing.assert_allclose(scores, -np.array(losses), atol=2e-5)


def test_a_question_that_breaks_off_leaves_the_session_as_it_was(models, monkeypatch):
    model = models("qwen3_vl")
    session = model.watch([frames([0.0, 1.0])])
    before = session.logits("what happens ?")
    second = model.network.model.language_model.layers[1]
    with monkeypatch.context() as patch:
        patch.setattr(second, "forward", lambda *a, **k: (_ for _ in ()).throw(torch.OutOfMemoryError("CUDA out")))
        with pytest.raises(ModelError, match="out of memory") as caught:
            session.answer(QUESTION)
    assert caught.value.code == "oom"
    torch.testing.assert_close(session.logits("what happens ?"), before)


def test_loss_trains(models):
    model = models("smolvlm")
    losses = model.loss([frames([0.0, 1.0])], OPEN, "a red square")
    assert losses.shape == (len(model._loaded.prompter.reply("a red square")) + 1,)
    losses.mean().backward()
    towers = {name.split(".")[1] for name, weight in model.network.named_parameters() if weight.grad is not None}
    assert {"vision_model", "text_model"} <= towers
    model.network.zero_grad(set_to_none=True)


def test_confidence_is_the_share_of_the_letter(models, monkeypatch):
    model = models("qwen3_vl")
    session = model.watch([frames([0.0, 1.0])])
    monkeypatch.setattr(session, "_said", lambda reply: "B. blue ball")
    answer = session.answer(QUESTION)
    shares = np.exp(session.score(QUESTION, ["A", "B", "C"]))
    assert answer.option == 1
    assert answer.confidence == pytest.approx(shares[1] / shares.sum())


@pytest.mark.parametrize("reply", ["", "!!!!", "the the the the " * 50, '{"answer": ', "A or B"])
def test_a_reply_that_names_no_option_is_no_option(models, monkeypatch, reply):
    session = models("qwen3_vl").watch([])
    monkeypatch.setattr(session, "_said", lambda ids: reply)
    answer = session.answer(QUESTION)
    assert (answer.text, answer.option, answer.confidence) == (reply, None, None)


def test_the_words_of_the_house(models):
    model = models("qwen3_vl")
    assert isinstance(model, MLLM)
    assert isinstance(model.watch([]), Session)
    assert {"id", "revision", "class", "dtype", "device", "torch", "transformers", "handover"} <= model.card.keys()
    assert model.card["revision"].startswith("sha256:")
    run = model.answer([frames([0.0, 1.0])], OPEN).run
    assert run["handover"] == "video-doubled"
    assert len(run["prompt_sha256"]) == 64
    assert run == model.answer([frames([0.0, 1.0])], OPEN).run


def test_a_prompt_longer_than_the_context_is_refused(models, monkeypatch):
    model = models("internvl")
    monkeypatch.setattr(model.network.config.get_text_config(), "max_position_embeddings", 64)
    with pytest.raises(ModelError, match="the model reads 64") as caught:
        model.answer([frames([0.0, 1.0, 2.0])], OPEN)
    assert (caught.value.code, caught.value.exit_code) == ("too_long", 2)


def test_half_precision_and_device_are_taken(tiny_checkpoint):
    model = load(str(tiny_checkpoint("qwen3_vl")), dtype="bfloat16", device="cpu")
    assert (model.card["dtype"], model.card["device"]) == ("bfloat16", "cpu")
    assert np.isfinite(model.score([frames([0.0, 1.0])], QUESTION, ["A", "B"])).all()
    with pytest.raises(ValueError, match="int3"):
        load(str(tiny_checkpoint("qwen3_vl")), dtype="int3")
    with pytest.raises(ValueError, match="device is auto"):
        load(str(tiny_checkpoint("qwen3_vl")), device="abacus")
    with pytest.raises(ValueError, match="handover is one of auto"):
        load(str(tiny_checkpoint("qwen3_vl")), handover="pigeon")
    if not torch.cuda.is_available():
        with pytest.raises(ModelError, match="sees no cuda device"):
            load(str(tiny_checkpoint("qwen3_vl")), device="cuda")
