"""Text models: greedy and drawn replies, scores, losses, and what is refused; on a tiny random Qwen2 and Llama."""

import numpy as np
import pytest
import torch
import transformers as tf

from tiny_models import CHATML, TEXT, tokenizer
from videre.errors import ModelError
from videre.models import text

SIZE = {**TEXT, "max_position_embeddings": 512}


@pytest.fixture(scope="module", params=["Qwen2", "Llama"])
def folder(request, tmp_path_factory):
    place = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(0)
    words = tokenizer(chat=CHATML if request.param == "Qwen2" else None)
    ends = {"bos_token_id": None, "eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id}
    config = getattr(tf, f"{request.param}Config")(vocab_size=len(words), **SIZE, **ends)
    getattr(tf, f"{request.param}ForCausalLM")(config).save_pretrained(place)
    words.save_pretrained(place)
    return place


def test_replies_are_the_same_twice_and_a_seed_draws_its_own(folder):
    model = text.load(str(folder), device="cpu")
    assert model.generate("why?", max_tokens=8) == model.generate("why?", max_tokens=8)
    drawn = [model.generate("why?", max_tokens=12, temperature=1.0, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert model.generate("why?", max_tokens=4, start='{"op"').startswith('{"op"')


def test_drawing_leaves_other_randomness_alone(folder):
    model = text.load(str(folder), device="cpu")
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    model.generate("why?", max_tokens=2, temperature=1.0, seed=9)
    assert torch.equal(torch.rand(1), expected)


def test_score_is_the_log_probability_of_the_continuation_and_its_end(folder):
    model = text.load(str(folder), device="cpu")
    prompt, reply = "what falls?", "the ball"
    ids = model._prompt(prompt) + model._plain(reply) + [model.tokenizer.eos_token_id]
    with torch.no_grad():
        logs = model.network(torch.tensor([ids])).logits[0].double().log_softmax(-1)
    first = len(model._prompt(prompt))
    expected = sum(float(logs[i - 1, ids[i]]) for i in range(first, len(ids)))
    assert model.score(prompt, [reply, "x"])[0] == pytest.approx(expected, abs=1e-4)
    assert model.score(prompt, [reply, "x"]).dtype == np.float64


def test_a_step_on_the_loss_makes_the_target_likelier(folder):
    model = text.load(str(folder), device="cpu", dtype="float32")
    before = model.score("q", ["yes"])[0]
    optimizer = torch.optim.SGD(model.network.parameters(), lr=0.1)
    model.loss("q", "yes").mean().backward()
    optimizer.step()
    assert model.score("q", ["yes"])[0] > before


def test_what_is_too_long_or_empty_or_missing_is_refused(folder, tmp_path):
    model = text.load(str(folder), device="cpu")
    with pytest.raises(ModelError, match="reads 512 tokens"):
        model.generate("why " * 600)
    with pytest.raises(ValueError, match="empty"):
        model.loss("q", "", end=False)
    with pytest.raises(ModelError, match="no such model folder"):
        text.load(str(tmp_path / "nowhere"))
