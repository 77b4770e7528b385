"""The estimate equals the run, without a weight; the fake model says what it is told to."""

import subprocess
import sys

import numpy as np
import pytest

from tiny_models import FAMILIES
from videre.errors import ModelError
from videre.models.estimate import estimate
from videre.models.fake import FakeMLLM
from videre.models.mllm import load
from videre.types import MLLM, Frames, Question, Session

ASKED = Question("What happens in the video?")


def frames(count: int, *, height: int = 180, width: int = 320) -> Frames:
    return Frames(np.zeros((count, 3, height, width), np.uint8), np.arange(count, dtype=np.float64))


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("count", [1, 12])
def test_tokens_and_bytes_equal_the_run(tiny_checkpoint, name, count):
    told = estimate(str(tiny_checkpoint(name)), count, 320, 180, question=ASKED)
    model = load(str(tiny_checkpoint(name)), answer_tokens=1)
    session = model.watch([frames(count)])
    answer = session.answer(ASKED)
    slack = 12 if name == "llava_next_video" else 0  # In proportion from eight frames; the words are counted as well.
    assert told["prompt_tokens"] == pytest.approx(answer.usage.prompt_tokens, abs=slack)
    assert told["handover"] == answer.run["handover"]
    assert told["parameters"] == sum(weight.numel() for weight in model.network.parameters())
    held = sum(layer.keys.nbytes + layer.values.nbytes for layer in session._cache.layers)
    assert told["kv_cache_bytes"] == pytest.approx(held * told["prompt_tokens"] / session._length, rel=0.1)


def test_a_large_request_costs_no_memory(tiny_checkpoint):
    told = estimate(str(tiny_checkpoint("qwen3_vl")), 1024, 3840, 2160)
    assert told["visual_tokens"] > 1024
    assert told["total_bytes"] == told["weights_bytes"] + told["kv_cache_bytes"] + told["pixel_bytes"]
    half = estimate(str(tiny_checkpoint("qwen3_vl")), 1024, 3840, 2160, dtype="bfloat16")
    assert half["kv_cache_bytes"] * 2 == told["kv_cache_bytes"]


def test_wrong_arguments_are_named(tiny_checkpoint):
    with pytest.raises(ValueError, match="frames_count=0"):
        estimate(str(tiny_checkpoint("qwen3_vl")), 0, 320, 180)
    with pytest.raises(ValueError, match="float3"):
        estimate(str(tiny_checkpoint("qwen3_vl")), 1, 320, 180, dtype="float3")


def test_the_fake_model_says_what_the_table_says():
    model = FakeMLLM({"Which colour?": "B. blue"})
    question = Question("Which colour?", ("red", "blue"))
    assert isinstance(model, MLLM)
    session = model.watch([frames(2)])
    assert isinstance(session, Session)
    answer = session.answer(question)
    assert (answer.text, answer.option, answer.usage.frames) == ("B. blue", 1, 2)
    assert answer.run["model"]["fake"]
    assert session.score(question, ["A", "B"]).argmax() == 1
    assert session.score(question, ["red", "blue"]).argmax() == 1
    assert np.exp(session.score(question, ["A", "B"])).sum() == pytest.approx(1)
    unknown = model.answer([], Question("Who?", ("he", "she")))
    assert (unknown.option, unknown.confidence) == (None, None)
    assert model.asked[-1] == "Who?"
    assert model.videos_read == 2
    with pytest.raises(ModelError, match="no weights"):
        model.loss([], question, "B")


def test_the_fake_model_may_be_a_function():
    model = FakeMLLM(lambda chunks, text: f"{sum(map(len, chunks))} frames, {text}")
    assert model.generate("say it now", [frames(3)]) == "3 frames, say it now"
    assert model.generate("say it now", [frames(3)], max_tokens=2) == "3 frames,"


@pytest.mark.parametrize("module", ["prompt", "session", "fake"])
def test_each_file_can_be_imported_first(module):
    done = subprocess.run([sys.executable, "-c", f"import videre.models.{module}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]
