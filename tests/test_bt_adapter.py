"""The branch: what it does to a frozen pair, to the order of frames, to masks and to its own weights."""

import numpy as np
import pytest
import torch

import tiny_clip
from videre.errors import ModelError
from videre.evaluate import retrieval
from videre.methods.bt_adapter import losses, mask
from videre.methods.bt_adapter.adapter import Adapter, layers
from videre.methods.bt_adapter.branch import BranchConfig
from videre.methods.bt_adapter.chat import official_group, video_tokens


@pytest.fixture(scope="module")
def networks():
    torch.manual_seed(0)
    return {name: tiny_clip.FAMILIES[name]()[0].eval() for name in ("clip", "siglip")}


def adapter(network, *, seed=1, awake=True, **config):
    """A branch whose temporal blocks do something, unlike at the start of training."""
    torch.manual_seed(seed)
    made = Adapter(network, BranchConfig(**{"depth": 3, **config})).eval()
    for block in made.branch.temporal if awake else ():
        torch.nn.init.normal_(block.temporal_fc.weight, std=0.3)
    return made


def videos(count=2, frames=4, seed=0):
    return torch.randn(count, frames, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def plain(network, pixels):
    flat = network.get_image_features(pixels.flatten(0, 1)).pooler_output
    return flat.unflatten(0, pixels.shape[:2]).mean(1)


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_a_closed_gate_is_the_frozen_pair_bit_for_bit(networks, name):
    made = adapter(networks[name])
    made.branch.out_balance.data.fill_(1.0)
    assert torch.equal(made(videos()), plain(networks[name], videos()))
    assert torch.equal(Adapter(networks[name])(videos()), plain(networks[name], videos()))


def test_an_open_gate_leaves_the_branch_alone(networks):
    made = adapter(networks["clip"])
    made.branch.out_balance.data.fill_(-1.0)
    summary = torch.randn(2, 4, 32)
    branch = torch.randn(2, 1, 32)
    assert torch.equal(made.branch.mixed(summary, branch), branch.expand(2, 4, 32))
    made(videos()).square().sum().backward()
    assert made.branch.out_balance.grad.abs().max() == 0


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_at_first_the_spatial_layers_are_the_towers_and_time_is_zero(networks, name):
    made = adapter(networks[name], awake=False)
    tower = made.tower
    for mine, theirs in zip(made.branch.spatial, tower.layers[-3:], strict=True):
        state = theirs.state_dict()
        assert mine.state_dict().keys() == state.keys()
        assert all(torch.equal(value, state[key]) for key, value in mine.state_dict().items())
    assert all(block.temporal_fc.weight.abs().max() == 0 for block in made.branch.temporal)
    shuffled = videos()[:, [2, 0, 3, 1]]
    assert (made(videos()) - made(shuffled)).abs().max() > 1e-4  # the time table is not zero
    made.branch.time.weight.data.zero_()
    torch.testing.assert_close(made(videos()), made(shuffled), atol=1e-5, rtol=1e-5)
    before = made(videos())
    made.branch.temporal[0].self_attn.q_proj.weight.data.add_(1.0)
    assert torch.equal(made(videos()), before)


def test_time_awakes_after_a_step(networks):
    made = adapter(networks["clip"], awake=False, drop_path=0.0).train()
    trained = [p for p in made.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=1e-2)
    block = made.branch.temporal[0]
    for step in range(2):
        optimizer.zero_grad()
        losses.contrast(made(videos(3)), torch.randn(3, 16)).backward()
        assert (block.self_attn.q_proj.weight.grad.abs().max() > 0) == (step == 1)
        optimizer.step()
    assert block.temporal_fc.weight.abs().max() > 0


def test_training_leaves_the_frozen_network_as_it_was(networks):
    network = networks["clip"]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    model = losses.Pretraining(adapter(network)).train()
    names = {name for name, p in model.named_parameters() if p.requires_grad}
    assert all(name.startswith(("adapter.branch.", "align.")) for name in names)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    kept = mask.kept_tokens(3, patches=16, frames=4, ratio=0.7)
    sum(losses.losses(model, videos(3), torch.randn(3, 16), kept=kept).values()).backward()
    optimizer.step()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(p.grad is None for p in network.parameters())
    assert not any(module.training for module in network.modules())
    assert not [name for name in model.state_dict() if "network" in name]


def test_states_below_the_branch_carry_no_graph(networks):
    made = adapter(networks["clip"]).train()
    for seen in layers(made.tower, made.branch, pixels=videos()):
        assert not seen.tokens.requires_grad
        assert (seen.state is not None) == (seen.layer >= 3)


def test_tubes_keep_the_same_patches_in_every_frame():
    kept = mask.kept_tokens(5, patches=256, frames=8, ratio=0.7)
    assert kept.shape == (5, 8 * (256 - 179))
    groups = kept.view(5, -1, 8)
    assert (groups // 8 == groups[..., :1] // 8).all()
    assert (groups % 8 == torch.arange(8)).all()
    assert len({tuple(row.tolist()) for row in groups[:, :, 0]}) == 5


def test_the_official_layout_scatters_its_tubes():
    kept = mask.kept_tokens(3, patches=256, frames=8, ratio=0.7, layout="official")
    assert kept.shape == (3, 616)
    assert (kept.view(3, 8, 77) % 256 == kept.view(3, 8, 77)[:, :1] % 256).all()  # tubes, as frame by frame they lie
    patches = (kept // 8).view(3, -1, 8)
    assert (patches == patches[..., :1]).all(-1).float().mean() < 0.05  # and not as the branch reads them
    tokens = torch.arange(8 * 256).view(1, 8, 256, 1).float().expand(3, -1, -1, -1)  # which frame and patch it is
    student = mask.take(mask.patch_major(tokens), kept)
    assert (student == mask.targets(tokens, kept, "official")).float().mean() < 0.02
    tubes = mask.kept_tokens(3, patches=256, frames=8, ratio=0.7)
    assert torch.equal(mask.take(mask.patch_major(tokens), tubes), mask.targets(tokens, tubes, "tube"))


def test_no_mask_is_all_tokens(networks):
    made = adapter(networks["clip"], drop_path=0.0)
    every = mask.kept_tokens(2, patches=16, frames=4, ratio=0.0)
    whole = made(videos())
    torch.testing.assert_close(made.train()(videos(), kept=every), whole)
    with pytest.raises(ValueError, match=r"\[0, 1\)"):
        mask.kept_tokens(2, patches=16, frames=4, ratio=1.0)


def test_drop_path_works_in_training_only(networks):
    made = adapter(networks["clip"], drop_path=0.9)
    assert torch.equal(made(videos()), made(videos()))
    torch.manual_seed(0)
    assert not torch.equal(made.train()(videos()), made(videos()))


def test_alignment_is_a_distance_and_leaves_its_target_alone():
    target = torch.randn(2, 5, 8, requires_grad=True)
    student = torch.randn(2, 5, 8, requires_grad=True)
    assert losses.alignment(target, target).abs() < 1e-6
    assert losses.alignment(-target, target).item() == pytest.approx(4.0, abs=1e-5)
    losses.alignment(student, target).backward()
    assert target.grad is None
    assert student.grad.abs().max() > 0


def test_contrast_is_the_sum_of_both_directions():
    rows = torch.eye(6)
    assert losses.contrast(rows, rows) < 1e-4
    assert losses.contrast(rows[:1], rows[1:2]) == 0
    a, b = torch.randn(5, 7), torch.randn(5, 7)
    logits = 100 * torch.nn.functional.normalize(a) @ torch.nn.functional.normalize(b).T
    entropy = torch.nn.functional.cross_entropy
    wanted = entropy(logits, torch.arange(5)) + entropy(logits.T, torch.arange(5))
    torch.testing.assert_close(losses.contrast(a, b), wanted)


@pytest.mark.parametrize("frames", [1, 2, 3, 7, 64, 65, 100, 128, 130])
def test_any_number_of_frames(networks, frames):
    made = adapter(networks["clip"])
    with torch.no_grad():
        assert made(videos(1, frames)).isfinite().all()
        tokens, cls = video_tokens(made.tower, made.branch, videos(1, frames))
    assert (tokens.shape, cls.shape) == ((1, 16, 32), (1, 1, 32))
    assert tokens.isfinite().all()


def test_sixty_six_frames_are_thirty_three_pairs(networks):
    made = adapter(networks["clip"])
    single = videos(1, 33)
    wanted = video_tokens(made.tower, made.branch, single)
    for compat in ("none", "official"):  # At 66 the released code averages pairs and then takes 33 frames for 33.
        found = video_tokens(made.tower, made.branch, single.repeat_interleave(2, 1), compat=compat)
        for mine, theirs in zip(found, wanted, strict=True):
            torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)


def test_three_frames_are_not_taken_for_colours(networks):
    made = adapter(networks["clip"])
    clip = videos(1, 3)
    once = made(clip)
    clip[:, 2] = 0.0
    assert (made(clip) - once).abs().max() > 1e-4
    padded = torch.cat([made.frames(made.run(clip))[0], made.frames(made.run(clip[:, :3]))[0]])
    assert padded.shape == (6, 16)


def test_the_released_chat_tower_fails_in_words(networks):
    made = adapter(networks["clip"])
    for frames in (1, 65, 67, 130):
        with pytest.raises(ModelError, match=f"fails on {frames} frames"):
            video_tokens(made.tower, made.branch, videos(1, frames), compat="official")
    assert official_group(8, 256, 64) == 4
    assert official_group(100, 256, 64) == 50
    with pytest.raises(ModelError):
        official_group(7, 256, 64)


def test_chat_never_reads_the_last_branch_layer(networks):
    made = adapter(networks["clip"])
    before = video_tokens(made.tower, made.branch, videos())
    for part in (made.branch.spatial[2], made.branch.temporal[2]):
        for weight in part.parameters():
            weight.data.normal_()
    assert all(map(torch.equal, before, video_tokens(made.tower, made.branch, videos())))


def test_stored_features_give_the_same_tokens(networks):
    made = adapter(networks["clip"])
    entering = next(seen.tokens for seen in layers(made.tower, made.branch, pixels=videos()) if seen.layer == 2)
    stored = video_tokens(made.tower, made.branch, entering=entering)
    for mine, theirs in zip(stored, video_tokens(made.tower, made.branch, videos()), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("design", ["no-interaction", "separate-st", "joint-st"])
def test_designs_of_the_ablation(networks, design):
    made = adapter(networks["clip"], design=design)
    whole = adapter(networks["clip"])
    assert (made(videos()) - whole(videos())).abs().max() > 1e-3
    assert (made(videos()) - made(videos().flip(1))).abs().max() > 1e-4
    if design != "no-interaction":  # the tower's last layers are not in what comes out
        summary = torch.randn(2, 4, 32)
        assert torch.equal(made.branch.mixed(summary, summary[:, :1]), summary[:, :1].expand(2, 4, 32))


def test_pooled_tokens_are_those_of_the_baselines(networks):
    tower = Adapter(networks["clip"]).tower
    hidden = networks["clip"].vision_model(videos().flatten(0, 1), output_hidden_states=True).hidden_states[-2]
    hidden = hidden.unflatten(0, (2, 4))
    mean, cls = video_tokens(tower, None, videos(), pooling="frame-mean")
    torch.testing.assert_close(mean, hidden[:, :, 1:].mean(1))
    torch.testing.assert_close(cls, hidden[:, :, :1].mean(1))
    both, _ = video_tokens(tower, None, videos(), pooling="st-pool")
    assert both.shape == (2, 16 + 4, 32)
    torch.testing.assert_close(both[:, 16:], hidden[:, :, 1:].mean(2))


def test_other_towers_are_refused(networks):
    with pytest.raises(ModelError, match="CLIP, SigLIP or EVA"):
        Adapter(networks["clip"].text_model)
    with pytest.raises(ValueError, match="the tower has 6 layers"):
        Adapter(networks["clip"], BranchConfig(depth=7))


def test_the_order_of_the_gallery_does_not_count():
    rng = np.random.default_rng(0)
    video, text = (np.round(rng.normal(size=(12, 4))).astype(np.float32) for _ in range(2))
    shuffled = rng.permutation(12)
    one, other = (retrieval(v, t)["text_to_video"] for v, t in ((video, text), (video[shuffled], text[shuffled])))
    assert {k: share.percent for k, share in one.recall.items()} == {k: s.percent for k, s in other.recall.items()}
    assert (one.median_rank, one.mean_rank) == (other.median_rank, other.mean_rank)
