"""MA-LMM against tensors that the official code gave (boheumd/MA-LMM, commit ffe9fa9), kept beside the checkout."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import layer_norm, linear
from torch.testing import assert_close

import official_ma_lmm
from videre import compat
from videre.methods.ma_lmm import convert
from videre.methods.ma_lmm.bank import Bank, compress, push
from videre.methods.ma_lmm.memory import OFFICIAL, Parts, State, Words, step, watched
from videre.methods.ma_lmm.positions import place

compat.need_hf()

import transformers as tf  # noqa: E402

CASES = [
    "all_identical_ties", "negative_sims", "random_f64", "random_ones", "random_sizes", "scaled_pair", "t2",
    "two_exact_ties", "zero_vector",
]  # fmt: skip


@pytest.fixture(scope="module")
def golden(shared):
    return lambda name: load_file(shared / "golden/ma_lmm" / f"{name}.safetensors")


@pytest.fixture(scope="module")
def compressions(golden):
    return golden("memory_bank_compress")


def bank_of(values, sizes):
    return Bank(values, sizes, torch.arange(values.shape[1], dtype=sizes.dtype)[None, :, None].expand_as(sizes))


@pytest.mark.parametrize("case", CASES)
def test_compress(compressions, case):
    told = {part: compressions[f"{case}.{part}"] for part in ("bank_in", "size_in", "bank_out", "size_out")}
    values, sizes = told["bank_in"].clone(), told["size_in"].clone()
    shorter = compress(bank_of(values, sizes))
    assert torch.equal(shorter.sizes, told["size_out"])
    exact = 1e-12 if case == "random_f64" else 1e-6
    assert_close(shorter.values, told["bank_out"], rtol=exact, atol=exact)
    assert torch.equal(values, told["bank_in"])
    assert torch.equal(sizes, told["size_in"])


def test_every_published_case_is_tried(compressions):
    assert sorted({name.split(".")[0] for name in compressions} - {"stream"}) == sorted(CASES)


def test_compress_has_the_gradient_of_its_values(compressions):
    values, sizes = compressions["random_f64.bank_in"], compressions["random_f64.size_in"]
    given = values.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: compress(bank_of(x, sizes)).values, (given,), fast_mode=True)


def test_push_over_a_stream(compressions):
    frames, limit = compressions["stream.frames"], int(compressions["stream.memory_bank_length"])
    bank = None
    for t in range(frames.shape[1]):
        bank = push(bank, frames[:, t], limit, time=float(t))
        assert torch.equal(bank.sizes, compressions[f"stream.size_after_{t:02d}"])
        assert_close(bank.values, compressions[f"stream.bank_after_{t:02d}"], rtol=1e-6, atol=1e-6)


VIDEOS = ["generate_T6_M3", "generate_T4_M10_nomerge", "generate_T1_M3_single", "train_T6_M3"]


def qformer_of(weights):
    """A Q-Former of transformers with the golden's weights, its projection, and the parts of a memory."""
    config = tf.InstructBlipQFormerConfig(
        vocab_size=60, hidden_size=32, num_hidden_layers=4, num_attention_heads=4, intermediate_size=48,
        max_position_embeddings=16, encoder_hidden_size=24, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    network = tf.InstructBlipQFormerModel(config).eval()
    ours = convert.from_official(weights)
    left = {name: value for name, value in ours.items() if not name.startswith("qformer.")}
    inner = {name.removeprefix("qformer."): value for name, value in ours.items() if name.startswith("qformer.")}
    assert network.load_state_dict(inner, strict=True)
    return network, {name: torch.nn.Parameter(value) for name, value in left.items()}


class Golden:
    """One golden video: the frames after the vision norm, the question, and every step as the official code had it."""

    def __init__(self, told):
        self.told = told
        weights = {name.removeprefix("weights."): v for name, v in told.items() if name.startswith("weights.")}
        self.network, self.rest = qformer_of(weights)
        self.parts = Parts(self.network, self.rest["query_tokens"], self.rest["image_pe.weight"])
        self.words = Words(told["text_input_ids"], told["text_attention_mask"].bool())
        self.count, self.limit = told["meta.T_M"].tolist()
        self.memory = replace(OFFICIAL, visual=self.limit, query=self.limit)

    def frames(self):
        norm = (self.rest[f"vision_model.post_layernorm.{part}"] for part in ("weight", "bias"))
        return layer_norm(self.told["frame_tokens"], (24,), *norm, 1e-5).unbind(1)

    def projected(self, seen):
        return linear(seen[:, :5], self.rest["language_projection.weight"], self.rest["language_projection.bias"])


@pytest.fixture(scope="module", params=VIDEOS)
def video(request, golden):
    return Golden(golden(f"qformer_{request.param}"))


def assert_same_sizes(bank, sizes):
    """Equal, but where every slot of a token holds the same vector: which twins merge is a matter of the last bit.

    So it is with the words in layers 0 and 1: they have seen no picture yet.
    """
    twins = (bank.values - bank.values[:, :1]).abs().amax((1, 3)) < 1e-5
    parted = twins[:, None].expand_as(sizes)
    assert torch.equal(bank.sizes.masked_fill(parted, 0), sizes.masked_fill(parted, 0))
    assert torch.equal(bank.sizes.sum(1), sizes.sum(1))


@torch.no_grad()
def test_every_step_of_the_official_loop(video):
    state = State()
    for t, frame in enumerate(video.frames()):
        shown = torch.cat(
            [*([] if state.visual is None else [state.visual.flat]), place(frame, video.parts.positions, t)], 1
        )
        assert_close(shown, video.told[f"step{t:02d}.encoder_hidden_states"], rtol=1e-5, atol=1e-5)
        seen, state = step(video.parts, state, frame, words=video.words, memory=video.memory)
        assert_close(seen, video.told[f"step{t:02d}.last_hidden_state"], rtol=1e-5, atol=1e-5)
        for number, bank in enumerate(state.queries):
            name = f"step{t:02d}.layer{number}.query_"
            if t < video.count - 1:
                assert_same_sizes(bank, video.told[f"{name}sizes_after"])
                assert_close(bank.values, video.told[f"{name}bank_after"], rtol=1e-5, atol=1e-5)
    assert_close(video.projected(seen), video.told["inputs_llm"], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_keys_and_values_from_the_cache_give_the_official_video(video):
    cached = replace(video.memory, cached=True)
    seen, _ = watched(video.parts, video.frames(), words=video.words, memory=cached)
    assert_close(video.projected(seen), video.told["inputs_llm"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("cached", [False, True])
def test_gradients_of_the_official_training_step(golden, cached):
    video = Golden(golden("qformer_train_T6_M3"))
    memory = replace(video.memory, cached=cached)
    seen, _ = watched(video.parts, video.frames(), words=video.words, memory=memory)
    loss = (video.projected(seen) * video.told["loss_weight"]).sum()
    assert_close(loss, video.told["loss"], rtol=1e-5, atol=1e-5)
    loss.backward()
    got = {f"qformer.{name}": value for name, value in video.network.named_parameters()} | video.rest
    told = {name.removeprefix("grad."): v for name, v in video.told.items() if name.startswith("grad.")}
    assert len(told) > 80
    for name, gradient in told.items():
        assert_close(
            got[convert.our_name(name)].grad, gradient, rtol=1e-4, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}"
        )
    rows = video.rest["image_pe.weight"].grad.abs().sum(1)
    assert rows.nonzero().flatten().tolist() == [video.count - 1]


@torch.no_grad()
def test_the_written_down_loop_of_the_benchmark_gives_the_same(video):
    frames = torch.stack(list(video.frames()), 1)
    ids, mask = video.told["text_input_ids"], video.told["text_attention_mask"]
    seen = official_ma_lmm.run(
        video.network, video.parts.queries, video.parts.positions, frames, ids=ids, mask=mask, limit=video.limit
    )
    assert_close(seen, video.told[f"step{video.count - 1:02d}.last_hidden_state"], rtol=1e-5, atol=1e-5)
    assert_close(video.projected(seen), video.told["inputs_llm"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_the_written_down_compression_gives_the_same(compressions, case):
    values, sizes = official_ma_lmm.compress(compressions[f"{case}.bank_in"], compressions[f"{case}.size_in"])
    assert torch.equal(sizes, compressions[f"{case}.size_out"])
    assert_close(values, compressions[f"{case}.bank_out"], rtol=1e-6, atol=1e-6)
