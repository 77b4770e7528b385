"""`fit`: learns, resumes to the same numbers after a kill, and the seed decides."""

import json
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from videre.train.fit import FitConfig, fit


class Batches:
    """Ready batches by number; counts which were made, and can die at one of them."""

    def __init__(self, steps: int, dies_at: int | None = None) -> None:
        self.steps, self.dies_at, self.made = steps, dies_at, []

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        if index == self.dies_at:
            raise KeyboardInterrupt
        self.made.append(index)
        x = torch.randn(16, 4, generator=torch.Generator().manual_seed(index))
        return {"x": x, "y": x.sum(1, keepdim=True)}


def network() -> nn.Module:
    torch.manual_seed(5)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 1))


def loss(model, batch):
    return nn.functional.mse_loss(model(batch["x"]), batch["y"])


def final(model) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.fixture
def config(tmp_path) -> FitConfig:
    return FitConfig(out=str(tmp_path / "whole"), steps=20, lr=1e-2, save_steps=4, log_steps=5)


def test_a_run_learns_and_writes_its_log(config):
    batches = Batches(20)
    before = loss(network().eval(), batches[99]).item()
    model = fit(network(), batches, loss, replace(config, steps=200))
    assert loss(model, batches[99]).item() < 0.5 * before
    assert not model.training
    lines = [json.loads(line) for line in Path(config.out, "fit.jsonl").read_text("utf-8").splitlines()]
    assert lines[0]["config"]["steps"] == 200
    assert sum("loss" in line for line in lines) == 40


def test_killed_and_resumed_equals_uninterrupted(config, tmp_path):
    whole = final(fit(network(), Batches(20), loss, config))
    halved = replace(config, out=str(tmp_path / "halved"), resume=True)
    with pytest.raises(KeyboardInterrupt):
        fit(network(), Batches(20, dies_at=11), loss, halved)
    rest = Batches(20)
    resumed = final(fit(network(), rest, loss, halved))
    torch.testing.assert_close(resumed, whole, atol=1e-6, rtol=0)
    assert min(rest.made) == 8, "batches before the checkpoint are not made again"


@pytest.mark.parametrize("torn", [None, "", '{"epoch": 0.5, "global_'])
def test_a_checkpoint_that_was_not_written_to_its_end_is_passed_over(config, tmp_path, torn):
    whole = final(fit(network(), Batches(20), loss, config))
    parts = replace(config, out=str(tmp_path / "parts"), resume=True)
    with pytest.raises(KeyboardInterrupt):
        fit(network(), Batches(20, dies_at=11), loss, parts)
    state = Path(parts.out, "checkpoint-8", "trainer_state.json")
    state.unlink() if torn is None else state.write_text(torn)
    rest = Batches(20)
    torch.testing.assert_close(final(fit(network(), rest, loss, parts)), whole, atol=1e-6, rtol=0)
    assert min(rest.made) == 4


def test_killed_at_twenty_random_steps_equals_uninterrupted(config, tmp_path):
    config = replace(config, steps=60, save_steps=3)
    whole = fit(network(), Batches(60), loss, config)
    parts = replace(config, out=str(tmp_path / "parts"), resume=True)
    for step in sorted(random.Random(8).sample(range(1, 60), 20)):
        with pytest.raises(KeyboardInterrupt):
            fit(network(), Batches(60, dies_at=step), loss, parts)
    resumed = fit(network(), Batches(60), loss, parts)
    torch.testing.assert_close(final(resumed), final(whole), atol=1e-6, rtol=0)
    batch = Batches(60)[7]
    assert abs(loss(resumed, batch).item() - loss(whole, batch).item()) < 1e-6


class Tied(nn.Module):
    """Two names for one weight, as words and output layer of a language model often are."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = network()
        self.first = self.layers[0]

    def forward(self, x):
        return self.layers(x)


def test_a_model_with_shared_weights_resumes(config, tmp_path):
    whole = fit(Tied(), Batches(20), loss, config)
    parts = replace(config, out=str(tmp_path / "parts"), resume=True)
    with pytest.raises(KeyboardInterrupt):
        fit(Tied(), Batches(20, dies_at=11), loss, parts)
    resumed = fit(Tied(), Batches(20), loss, parts)
    torch.testing.assert_close(final(resumed), final(whole), rtol=1e-6, atol=1e-6)


def test_a_plain_iterable_resumes_too(config, tmp_path):
    def stream():
        batches = Batches(20)
        return (batches[i] for i in range(20))

    class Stream:
        def __iter__(self):
            return stream()

    whole = final(fit(network(), Stream(), loss, config))
    numbered = final(fit(network(), Batches(20), loss, replace(config, out=str(tmp_path / "numbered"))))
    torch.testing.assert_close(whole, numbered, atol=1e-6, rtol=0)


def test_one_seed_twice_is_the_same_and_two_seeds_differ(config, tmp_path):
    runs = [
        final(fit(network(), Batches(20), loss, replace(config, seed=seed, out=str(tmp_path / f"{i}"), save_steps=0)))
        for i, seed in enumerate((1, 1, 2))
    ]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


TWO = """
import sys
import torch
from torch import nn
from videre.train.fit import FitConfig, fit

class Batches:
    def __len__(self):
        return 12
    def __getitem__(self, index):
        x = torch.randn(16, 4, generator=torch.Generator().manual_seed(index))
        return {"x": x, "y": x.sum(1, keepdim=True)}

def loss(model, batch):
    return nn.functional.mse_loss(model[2](model[1](model[0](batch["x"]))), batch["y"])

out, accumulate = sys.argv[1], int(sys.argv[2])
torch.manual_seed(5)
model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
fit(model, Batches(), loss, FitConfig(out, 6, lr=1e-2, accumulate=accumulate, log_steps=1))
torch.save(model.state_dict(), f"{out}/{torch.distributed.get_rank() if accumulate == 1 else 'one'}.pt")
"""


def test_two_processes_do_as_one_with_twice_the_batches(tmp_path):
    """The loss calls parts of the model, which the wrapper of many processes does not have."""
    script = tmp_path / "train.py"
    script.write_text(TWO)
    many = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", script, tmp_path, "1"]
    for arguments in (many, [script, tmp_path, "2"]):
        done = subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert Path(tmp_path, "fit.jsonl").read_text("utf-8").count('"grad_norm"') == 6
    first, second, one = (torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("0", "1", "one"))
    for name, value in one.items():
        assert torch.equal(first[name], second[name]), "all processes hold the same weights"
        torch.testing.assert_close(first[name], value, atol=1e-6, rtol=0)


def test_frozen_parameters_stay(config):
    model = network()
    model[0].requires_grad_(False)
    before = model[0].weight.clone()
    fit(model, Batches(20), loss, replace(config, save_steps=0))
    assert torch.equal(model[0].weight, before)


def test_settings_out_of_range_are_refused(tmp_path):
    with pytest.raises(ValueError, match="steps"):
        FitConfig(out=str(tmp_path), steps=0)
    with pytest.raises(ValueError, match="warmup"):
        FitConfig(out=str(tmp_path), steps=1, warmup=2.0)
