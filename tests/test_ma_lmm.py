"""The memory of MA-LMM: what a bank keeps, what the Q-Former makes of it, and what never changes."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

import official_ma_lmm
from videre import compat
from videre.methods.ma_lmm import bank as banks
from videre.methods.ma_lmm.bank import Bank, push
from videre.methods.ma_lmm.memory import OFFICIAL, Memory, Parts, State, Words, apart, step, watched
from videre.methods.ma_lmm.positions import of_slots

compat.need_hf()

import transformers as tf  # noqa: E402

SIZES = {"vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4}
SIZES |= {"intermediate_size": 48, "max_position_embeddings": 16, "encoder_hidden_size": 24}
KINDS = [banks.compress, banks.compress_plainly, banks.fifo, banks.tome, banks.uniform, banks.pool]


def filled(frames, limit, reduce=banks.compress):
    """The bank after each of `frames [B, T, N, C]`."""
    bank, states = None, []
    for t, frame in enumerate(frames.unbind(1)):
        bank = push(bank, frame, limit, time=float(t), reduce=reduce)
        states.append(bank)
    return states


# Banks


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), limit=st.integers(1, 6), count=st.integers(1, 20))
def test_a_bank_loses_nothing_and_keeps_order(seed, limit, count):
    # The last channel is the index of the frame: a slot is the mean of a run of whole numbers as long as its size.
    frames = torch.randn(2, count, 3, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    index = torch.arange(count, dtype=torch.float64)[None, :, None, None].expand(2, -1, 3, 1)
    for t, bank in enumerate(filled(torch.cat([frames, index * 1e-3], -1), limit)):
        assert len(bank) == min(limit, t + 1)
        assert (bank.sizes.sum(1) == t + 1).all()
        assert (bank.sizes == bank.sizes.round()).all()
        assert bank.sizes.min() >= 1
        assert_close((bank.sizes[..., None] * bank.values).sum(1)[..., :5], frames[:, : t + 1].sum(1))
        last = bank.sizes.cumsum(1) - 1
        middle = last - (bank.sizes - 1) / 2
        assert_close(bank.values[..., 5] * 1e3, middle)
        assert_close(bank.times, middle)


def test_a_bank_that_is_never_full_holds_the_frames_and_one_slot_their_mean():
    frames = torch.randn(1, 7, 4, 6)
    assert torch.equal(filled(frames, 7)[-1].values, frames)
    assert_close(filled(frames, 1)[-1].values[:, 0], frames.mean(1))


@pytest.mark.parametrize("reduce", KINDS)
def test_every_way_to_reduce_keeps_the_limit_and_the_cache_in_step(reduce):
    frames, weight = torch.randn(2, 12, 3, 8), torch.randn(8, 5)
    bank = None
    for t, frame in enumerate(frames.unbind(1)):
        bank = push(bank, frame, 4, time=float(t), cached=(frame @ weight,), reduce=reduce)
        assert len(bank) <= 4
        assert_close(bank.cached[0], bank.values @ weight, rtol=1e-4, atol=1e-4)


def test_first_in_first_out_concatenation_and_even_spread():
    frames = torch.randn(1, 9, 1, 4)
    assert torch.equal(filled(frames, 4, banks.fifo)[-1].values, frames[:, 5:])
    assert torch.equal(filled(frames, 4, banks.concatenate)[-1].values, frames)
    assert filled(frames, 5, banks.uniform)[-1].times.flatten().tolist() == [0, 2, 4, 6, 8]
    assert filled(frames, 3, banks.uniform)[-1].times.flatten().tolist() == [0, 4, 8]
    assert_close(filled(frames, 1, banks.pool)[-1].values[:, 0], frames.mean(1))


def test_plain_means_differ_once_a_merged_slot_merges_again():
    first = torch.tensor([1.0, 0.0, 0.0]).expand(3, 3) + 0.01 * torch.eye(3)
    frames = torch.cat([first, torch.tensor([[0.0, 1.0, 0.0]])])[None, :, None]
    ours, paper = (filled(frames, 2, kind)[-1] for kind in (banks.compress, banks.compress_plainly))
    assert_close(ours.values[:, 0, 0], first.mean(0)[None])
    assert not torch.allclose(ours.values, paper.values, atol=1e-4)
    assert torch.equal(ours.sizes, paper.sizes)


def test_a_limit_may_change_between_frames():
    bank = filled(torch.randn(1, 9, 2, 4), 8)[-1]
    shorter = push(bank, torch.randn(1, 2, 4), 3, time=9.0)
    assert len(shorter) == 3
    assert (shorter.sizes.sum(1) == 10).all()
    with pytest.raises(ValueError, match="1 slot or more"):
        push(bank, torch.randn(1, 2, 4), 0)


@pytest.mark.parametrize("reduce", [banks.compress, banks.compress_plainly])
def test_likeness_that_is_kept_is_likeness_asked_again(reduce):
    for limit in (1, 2, 5):
        for bank in filled(torch.randn(2, 15, 3, 8), limit, reduce):
            again = torch.cosine_similarity(bank.values[:, :-1], bank.values[:, 1:], dim=-1)
            assert_close(bank.alike, again, rtol=0, atol=1e-6)


def test_frames_of_zeros_stay_numbers():
    bank = filled(torch.zeros(1, 6, 2, 4), 3)[-1]
    assert torch.equal(bank.values, torch.zeros(1, 3, 2, 4))


# The Q-Former


@pytest.fixture(scope="module")
def parts():
    torch.manual_seed(0)
    network = tf.InstructBlipQFormerModel(tf.InstructBlipQFormerConfig(**SIZES)).eval()
    for weight in network.parameters():
        weight.data = torch.randn_like(weight) * 0.2 if weight.ndim > 1 else weight.data
    return Parts(network, torch.randn(1, 5, 32), torch.randn(12, 24) * 0.3)


@pytest.fixture(scope="module")
def words():
    ids = torch.tensor([[7, 8, 9, 10], [11, 12, 0, 0]])
    return Words(ids, torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]).bool())


def frames_of(count, seed=1, batch=2):
    return torch.randn(batch, count, 6, 24, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def final(parts, frames, words, memory):
    return watched(parts, frames.unbind(1), words=words, memory=memory)[0]


@torch.no_grad()
@pytest.mark.parametrize("memory", [OFFICIAL, Memory()], ids=["official", "default"])
def test_one_frame_is_plain_instructblip(parts, words, memory):
    frame = frames_of(1)
    plain = parts.qformer(
        input_ids=words.ids,
        attention_mask=torch.cat([torch.ones(2, 5), words.real], 1),
        query_embeds=parts.queries.expand(2, -1, -1),
        encoder_hidden_states=frame[:, 0] + parts.positions[0],
    ).last_hidden_state
    real = torch.cat([torch.ones(2, 5), words.real], 1).bool()
    assert_close(final(parts, frame, words, memory)[real], plain[real], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_one_frame_is_plain_blip2():
    torch.manual_seed(0)
    sizes = {key: value for key, value in SIZES.items() if key not in ("vocab_size", "max_position_embeddings")}
    network = tf.Blip2QFormerModel(tf.Blip2QFormerConfig(**sizes)).eval()
    queries, frame = torch.randn(1, 5, 32), frames_of(1)
    plain = network(query_embeds=queries.expand(2, -1, -1), encoder_hidden_states=frame[:, 0]).last_hidden_state
    bare = Parts(network, queries)
    assert_close(final(bare, frame, None, Memory()), plain, rtol=1e-5, atol=1e-5)
    assert final(bare, frames_of(5), None, Memory(visual=2, query=2)).shape == (2, 5, 32)


@torch.no_grad()
def test_frame_by_frame_is_the_released_loop_on_every_prefix(parts, words):
    frames, memory, state = frames_of(9), replace(OFFICIAL, visual=3, query=3), State()
    for t, frame in enumerate(frames.unbind(1)):
        seen, state = step(parts, state, frame, words=words, memory=memory)
        told = official_ma_lmm.run(
            parts.qformer, parts.queries, parts.positions, frames[:, : t + 1],
            ids=words.ids, mask=words.real.long(), limit=3,
        )  # fmt: skip
        assert_close(seen[:, :5], told[:, :5], rtol=1e-5, atol=1e-5)
        assert state.frames == t + 1


@torch.no_grad()
def test_keys_and_values_kept_are_those_projected_again_over_thirty_frames(parts, words):
    for positions in ("write", "read"):
        ways = [Memory(5, 5, positions=positions, cached=cached, first=True) for cached in (True, False)]
        states = [State(), State()]
        for frame in frames_of(30).unbind(1):
            pairs = [step(parts, s, frame, words=words, memory=way) for s, way in zip(states, ways, strict=True)]
            states = [pair[1] for pair in pairs]
            assert_close(pairs[0][0], pairs[1][0], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_memory_takes_the_same_room_after_ten_frames_and_after_fifty(parts, words):
    state, rooms = State(), {}
    for t, frame in enumerate(frames_of(50).unbind(1)):
        state = step(parts, state, frame, words=words, memory=Memory(5, 5))[1]
        rooms[t] = state.bytes
    assert rooms[9] == rooms[49] > 0
    assert rooms[0] < rooms[9]


@torch.no_grad()
def test_the_bank_of_the_first_layer_changes_nothing(parts, words):
    with_it, without = (final(parts, frames_of(20), words, Memory(4, 4, first=first)) for first in (True, False))
    assert_close(with_it[:, :5], without[:, :5], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_a_video_of_one_picture_is_that_picture(parts, words):
    bare, picture = replace(parts, positions=None), frames_of(1)
    one = final(bare, picture, words, Memory(3, 3))
    many = final(bare, picture.expand(-1, 9, -1, -1), words, Memory(3, 3))
    assert_close(many[:, :5], one[:, :5], rtol=1e-5, atol=1e-5)
    assert final(bare, torch.zeros(2, 9, 6, 24), words, Memory(3, 3)).isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize("memory", [replace(OFFICIAL, visual=3, query=3), Memory(3, 3)], ids=["official", "default"])
def test_a_sample_alone_is_the_sample_in_a_batch_and_padding_is_not_seen(parts, words, memory):
    frames = frames_of(8)
    both = final(parts, frames, words, memory)
    for i in range(2):
        alone = final(parts, frames[i : i + 1], Words(words.ids[i : i + 1], words.real[i : i + 1]), memory)
        assert_close(alone[:, :5], both[i : i + 1, :5], rtol=1e-5, atol=1e-5)
    short = final(parts, frames[1:], Words(words.ids[1:, :2], words.real[1:, :2]), memory)
    assert_close(short[:, :5], both[1:, :5], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_two_videos_in_a_row_are_each_alone_also_after_an_error(parts, words):
    """The released code keeps banks on modules and drops them by counting to a fixed number of frames."""
    memory, before = Memory(3, 3), {name: value.clone() for name, value in parts.qformer.state_dict().items()}
    videos = [(frames_of(7, 1), words), (frames_of(4, 2), words)]
    longer = Words(torch.tensor([[5, 6, 7, 8, 9, 10]]), torch.ones(1, 6).bool())
    videos.append((frames_of(9, 3, batch=1), longer))
    alone = [final(parts, *video, memory) for video in videos]

    def broken():
        yield frames_of(1, 4)[:, 0]
        raise RuntimeError("the cable was pulled")

    for order in ([0, 0, 1, 2], [2, 1, 0]):
        for i in order:
            with pytest.raises(RuntimeError, match="cable"):
                watched(parts, broken(), words=words, memory=memory)
            assert torch.equal(final(parts, *videos[i], memory), alone[i])
    after = parts.qformer.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    own = {name for module in parts.qformer.modules() for name, value in vars(module).items() if torch.is_tensor(value)}
    assert not own


@torch.no_grad()
def test_without_memory_each_frame_speaks_for_itself(parts, words):
    frames = frames_of(4)
    tokens = apart(parts, frames, words=words)
    assert tokens.shape == (2, 4 * 5, 32)
    bare = replace(parts, positions=None)
    for t in range(4):
        one = final(bare, frames[:, t : t + 1], words, Memory(0, 0))
        assert torch.equal(tokens[:, 5 * t : 5 * t + 5], one[:, :5])


def test_gradients_are_those_of_the_released_loop_without_its_graphs(parts, words):
    weights = [weight for weight in parts.qformer.parameters() if weight.requires_grad]
    queries, table = parts.queries.clone().requires_grad_(), parts.positions.clone().requires_grad_()
    frames = frames_of(7)
    told = official_ma_lmm.run(
        parts.qformer, queries, table, frames, ids=words.ids, mask=words.real.long(), limit=3
    )[:, :5].square().sum()  # fmt: skip
    theirs = torch.autograd.grad(told, [*weights, queries, table], allow_unused=True)
    ours_parts = Parts(parts.qformer, queries, table)
    for cached in (True, False):
        memory = replace(OFFICIAL, visual=3, query=3, cached=cached)
        got = watched(ours_parts, frames.unbind(1), words=words, memory=memory)[0][:, :5].square().sum()
        ours = torch.autograd.grad(got, [*weights, queries, table], allow_unused=True)
        for a, b in zip(ours, theirs, strict=True):
            assert (a is None) == (b is None)
            if a is not None:
                assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_positions_learn_where_they_are_read(parts, words):
    table = parts.positions.clone().requires_grad_()
    rows = {}
    for positions in ("write", "read"):
        memory = Memory(3, 3, positions=positions)
        seen, _ = watched(replace(parts, positions=table), frames_of(7).unbind(1), words=words, memory=memory)
        (gradient,) = torch.autograd.grad(seen.square().sum(), table)
        rows[positions] = gradient.abs().sum(1).nonzero().flatten().tolist()
    assert rows == {"write": [6], "read": [0, 1, 2, 3, 4, 5, 6]}


@torch.no_grad()
def test_a_video_longer_than_the_table_of_positions(parts, words):
    for memory in (OFFICIAL, Memory(positions="read")):
        assert final(parts, frames_of(20), words, memory).isfinite().all()
    # Runs of one, two and three frames, the last of them half past a table of five rows.
    table, sizes = torch.arange(5.0)[:, None] ** 2, torch.tensor([1.0, 2.0, 3.0])
    found = of_slots(table, torch.tensor([0.0, 1.5, 5.0])[None, :, None], sizes[None, :, None])
    assert_close(found.flatten(), torch.tensor([0.0, (1 + 4) / 2, 16.0]))


@torch.no_grad()
def test_limits_may_change_from_frame_to_frame(parts, words):
    state = State()
    for t, frame in enumerate(frames_of(12).unbind(1)):
        state = step(parts, state, frame, words=words, memory=Memory(visual=6 if t < 8 else 2, query=1 + t % 3))[1]
    assert len(state.visual) == 2
    assert (state.visual.sizes.sum(1) == 12).all()
    assert all((bank.sizes.sum(1) == 12).all() for bank in state.queries[1:])


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="0 slots or more"):
        Memory(visual=-1)
    with pytest.raises(ValueError, match="no frames"):
        watched(Parts(None, torch.zeros(1, 1, 1)), [], words=None, memory=Memory())


def test_a_bank_knows_its_room():
    assert Bank(torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3), torch.zeros(1, 2, 3)).bytes == 4 * (24 + 6 + 6)
