"""What is not safe, not whole or not there is refused with a name, a reason and an exit code."""

import json
import shutil
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import torch
from safetensors.torch import load_file, save_file

from videre.errors import ModelError
from videre.models import weights
from videre.models.mllm import load


@pytest.fixture
def folder(tiny_checkpoint, tmp_path):
    """A copy of a whole checkpoint, to be broken."""
    return shutil.copytree(tiny_checkpoint("internvl"), tmp_path / "model")


def refused(name, **options) -> ModelError:
    with pytest.raises(ModelError) as caught:
        load(str(name), **options)
    assert "\n" not in str(caught.value)
    return caught.value


def edit(folder, change) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl", "model.ckpt"])
def test_pickles_are_refused_unopened(folder, name):
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    error = refused(folder)
    assert (error.code, error.exit_code) == ("pickle", 7)
    assert name in str(error)
    assert (refused(folder / name).code, refused(folder / name).exit_code) == ("pickle", 7)


def test_a_pickle_beside_safetensors_is_not_touched(folder):
    (folder / "training_args.bin").write_bytes(b"not even a pickle")
    assert load(str(folder)).card["class"] == "InternVLForConditionalGeneration"


@pytest.mark.parametrize("name", ["config.json", "processor_config.json", "tokenizer_config.json"])
def test_code_of_the_repository_is_refused_by_file_name(folder, name):
    told = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**told, "auto_map": {"AutoConfig": "evil.Config"}}))
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    error = refused(folder)
    assert (error.code, error.exit_code) == ("remote_code", 7)
    assert name in str(error)


def test_trust_needs_a_revision():
    error = refused("someone/model", trust_remote_code=True)
    assert (error.code, error.exit_code) == ("remote_code", 7)
    assert "revision" in str(error)


def test_mismatches_are_listed_five_at_most(folder):
    def break_it(tensors):
        names = sorted(tensors)
        for name in names[-3:]:
            del tensors[name]
        tensors[names[4]] = torch.zeros(3, 5)
        for i in range(4):
            tensors[f"stranger.{i}"] = torch.zeros(1)

    edit(folder, break_it)
    error = refused(folder)
    assert (error.code, error.exit_code) == ("weights", 3)
    assert "file [3, 5], model" in str(error)
    assert str(error).count("not in the file") == 3
    assert str(error).count("not in the model") == 1
    assert "and 3 more" in str(error)


def test_nan_weights_are_refused(folder):
    edit(folder, lambda tensors: tensors[max(tensors)].view(-1)[0].fill_(float("nan")))
    error = refused(folder)
    assert (error.code, error.exit_code) == ("weights", 3)
    assert "holds NaN" in str(error)


@pytest.mark.parametrize("keep", [0, 5, 4096, -1])
def test_a_cut_off_file_is_refused(folder, keep):
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:keep])
    error = refused(folder)
    assert (error.code, error.exit_code) == ("weights", 3)
    assert "cut off" in str(error)


def test_a_missing_shard_is_refused(folder):
    index = {"metadata": {}, "weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "model-1.safetensors" in str(refused(folder))


@pytest.mark.parametrize("index", ["{", "[]", "{}", '{"weight_map": [1]}', '{"weight_map": {"a": 1}}', "[" * 100_000])
def test_an_index_that_is_none_is_refused(tmp_path, index):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors.index.json").write_text(index)
    assert refused(tmp_path).code == "weights"


def test_no_weights_no_config_no_json(folder):
    (folder / "model.safetensors").unlink()
    assert "no *.safetensors" in str(refused(folder))
    (folder / "config.json").write_text("{")
    assert "config.json is not JSON" in str(refused(folder))
    (folder / "config.json").unlink()
    assert (refused(folder).code, refused(folder).exit_code) == ("no_config", 3)


def test_an_unknown_family_names_the_library_version(folder):
    told = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**told, "model_type": "from_the_future"}))
    error = refused(folder)
    assert error.exit_code == 5
    assert "from_the_future" in str(error)
    assert "transformers" in str(error)


def test_a_text_model_is_no_model_for_pictures(folder, tmp_path):
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from tiny_models import CHATML, TEXT, tokenizer

    words = tokenizer(chat=CHATML)
    Qwen3ForCausalLM(Qwen3Config(vocab_size=len(words), head_dim=16, **TEXT)).save_pretrained(tmp_path / "text")
    words.save_pretrained(tmp_path / "text")
    assert "not an image-text model" in str(refused(tmp_path / "text"))


def test_what_is_not_there_is_told_at_once():
    start = time.perf_counter()
    for name in ("./no/such/folder", "/no/such/folder", "someone/model-that-is-not-cached"):
        error = refused(name)
        assert error.exit_code == 5
        assert name in str(error)
    assert time.perf_counter() - start < 2


class Hub(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(404)
        self.end_headers()

    def log_message(self, *words):
        pass


def test_a_hub_that_knows_nothing_and_a_hub_that_is_away(monkeypatch):
    from huggingface_hub import constants

    server = HTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    assert (refused("someone/unknown").code, refused("someone/unknown").exit_code) == ("no_model", 5)
    server.shutdown()
    server.server_close()
    thread.join()
    start = time.perf_counter()
    error = refused("someone/unknown")
    assert (error.code, error.exit_code) == ("hub", 5)
    assert "cannot be reached" in str(error)
    assert time.perf_counter() - start < 6


def test_a_model_of_the_local_cache_is_used_with_its_commit(folder, tmp_path, monkeypatch):
    from huggingface_hub import constants

    commit = "0123456789abcdef0123456789abcdef01234567"
    cached = tmp_path / "hub" / "models--someone--tiny"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text(commit)
    shutil.copytree(folder, cached / "snapshots" / commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    assert load("someone/tiny").card["revision"] == commit
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert load("someone/tiny").card["revision"] == commit
    assert refused("someone/tiny", revision="f" * 40).code == "hub"


def test_the_fingerprint_follows_the_weights(folder):
    checkpoint = weights.find(str(folder), revision=None, trust_remote_code=False)
    before = weights.fingerprint(checkpoint)
    assert before == weights.fingerprint(checkpoint)
    edit(folder, lambda tensors: tensors[max(tensors)].view(-1)[0].add_(1))
    assert weights.fingerprint(checkpoint) != before
