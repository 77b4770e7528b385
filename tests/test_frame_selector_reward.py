"""The third stage: chances of draws, advantages, what a reward makes likelier, and the stage by command."""

import itertools
import math

import numpy as np
import pytest
import torch

from videre.data import world
from videre.errors import ConfigError, DataError
from videre.methods.frame_selector import training
from videre.methods.frame_selector.reward import (
    Drawing,
    Likelihood,
    Rewarded,
    advantages,
    drawn,
    log_chance,
)
from videre.models.fake import FakeMLLM
from videre.video.open import open_video

LOGITS = torch.tensor([0.3, -1.0, 2.0, 0.0, 0.7])


def test_the_chances_of_all_orders_add_up_to_one():
    orders = torch.tensor(list(itertools.permutations(range(5), 3)))
    chances = log_chance(LOGITS, orders).exp()
    assert chances.sum().item() == pytest.approx(1.0, abs=1e-5)
    first = torch.softmax(LOGITS, 0)
    wanted = first[2] * first[0] / (1 - first[2]) * first[4] / (1 - first[2] - first[0])
    row = orders.tolist().index([2, 0, 4])
    assert chances[row].item() == pytest.approx(wanted.item(), rel=1e-5)


def test_draws_follow_these_chances_and_their_seed():
    orders = drawn(LOGITS, 2, 20_000, seed=3)
    assert torch.equal(orders, drawn(LOGITS, 2, 20_000, seed=3))
    assert all(len(set(order)) == 2 for order in orders[:200].tolist())
    for order in ([2, 4], [4, 2], [0, 1]):
        share = (orders == torch.tensor(order)).all(1).float().mean().item()
        wanted = log_chance(LOGITS, torch.tensor([order])).exp().item()
        assert abs(share - wanted) < 4 * math.sqrt(wanted * (1 - wanted) / 20_000)
    assert drawn(LOGITS, 9, 3, seed=0).sort(1).values.tolist() == [[0, 1, 2, 3, 4]] * 3


def test_advantages_compare_within_a_group():
    found = advantages(torch.tensor([0.2, 0.9, 0.4], dtype=torch.float64))
    assert found.sum().item() == pytest.approx(0, abs=1e-12)
    assert found.square().mean().item() == pytest.approx(1.0)
    assert not advantages(torch.full((4,), 0.3)).any(), "where all are alike, nothing is learned"


class Lines(torch.nn.Module):
    """A selector whose logits are its weights."""

    def __init__(self):
        super().__init__()
        self.line = torch.nn.Parameter(torch.zeros(2, 8))

    def forward(self, patches, ids, lengths):
        return self.line


def batch(turn):
    told = {"patches": torch.zeros(2, 8, 1, 1), "input_ids": torch.zeros(2, 1).long(), "lengths": torch.ones(2).long()}
    return told | {"targets": torch.full((2, 8), 0.5), "rows": torch.tensor([0, 1]), "turn": torch.tensor(turn)}


def test_frames_that_are_rewarded_together_become_likely():
    pairs, asked = [{2, 5}, {0, 7}], []

    def reward(row, choices):
        asked.append((row, [list(choice) for choice in choices]))
        return [float(pairs[row] <= set(choice)) for choice in choices]

    model, loss = Lines(), Rewarded(reward, Drawing(frames=3, draws=16, labels=0.0))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    for turn in range(150):
        optimizer.zero_grad()
        loss(model, batch(turn)).backward()
        optimizer.step()
    assert [set(line.topk(2).indices.tolist()) for line in model.line] == pairs
    assert {row for row, _ in asked} == {0, 1}
    assert all(choice == sorted(set(choice)) for _, choices in asked for choice in choices)


def test_labels_hold_the_scores_where_nothing_is_rewarded():
    model, loss = Lines(), Rewarded(lambda row, choices: [1.0] * len(choices), Drawing(labels=1.0))
    with torch.no_grad():
        model.line += 3.0
    value = loss(model, batch(0))
    wanted = torch.nn.functional.binary_cross_entropy_with_logits(model.line, torch.full((2, 8), 0.5))
    assert value.item() == pytest.approx(wanted.item())
    value.backward()
    assert (model.line.grad > 0).all(), "the labels draw 3 towards 0"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("reward")
    world.write(world.make(5, world.Config(seconds=2.0)), root / "a.mp4")
    return root


def test_the_reward_is_the_frozen_models_answer_from_the_drawn_frames(place):
    seen = []

    def says(chunks, text):
        seen.append([round(float(t), 1) for t in chunks[0].seconds])
        return "B" if len(chunks[0]) == 2 else "A"

    seconds = [0.2, 0.6, 1.0, 1.4]
    row = {"video": "a.mp4", "clip": None, "seconds": seconds, "question": "which?", "answer": "blue"}
    rows = [{**row, "options": ["red", "blue"]}, {**row, "answer": None}]
    reward = Likelihood(FakeMLLM(says), rows, place.joinpath, open_video, n=8, size_px=32)
    few, many = reward(0, [[0, 1], [0, 7]])  # eight places for four frames: 0 and 1 are the same one
    assert few < 0.5 < many
    assert [len(times) for times in seen[:1]] == [1]
    np.testing.assert_allclose(seen[-1], [0.2, 1.4], atol=0.06)
    with pytest.raises(DataError, match="without an answer"):
        reward(1, [[0]])


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"epochs": 1}, "need answerer"),
        ({"epochs": 1, "answerer": "a", "draws": 1}, "draws 2 or more"),
        ({"temprature": 1.0}, "did you mean 'temperature'"),
    ],
)
def test_a_third_stage_that_does_not_hold_is_told(told, message):
    with pytest.raises(ConfigError, match=message):
        training.read({"data": {"labels": "a", "videos": "b"}, "stage3": told})
