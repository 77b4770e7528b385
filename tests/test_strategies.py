"""Every strategy: exactly min(k, n) distinct frames in time order, whatever the scores."""

import subprocess
import sys

import numpy as np
import pytest

from videre.video import strategies, wavelet
from videre.video.bandit import focus
from videre.video.diverse import kernel, mdp3
from videre.video.segments import wfs_sb


def by_vectors(scores, k):
    """mDP3 on vectors whose likeness to the question follows the scores."""
    angle = np.arccos(np.clip(np.asarray(scores), -1, 1))
    return mdp3(np.stack([np.cos(angle), np.sin(angle)], 1), np.array([1.0, 0.0]), k)


def in_parts(scores, k):
    angle = np.asarray(scores, np.float64)
    return mdp3(np.stack([np.cos(angle), np.sin(angle)], 1), np.array([1.0, 0.0]), k, part=7)


def by_bandit(scores, k):
    return focus(lambda frames: [scores[i] for i in frames], len(scores), k)[0]


ALL = {
    "top_k": strategies.top_k,
    "nms_greedy": strategies.nms_greedy,
    "nms_wide": lambda s, k: strategies.nms_greedy(s, k, delta=9),
    "aks": strategies.aks,
    "bolt": strategies.bolt,
    "qframe": strategies.qframe,
    "wfs_sb": wfs_sb,
    "mdp3": by_vectors,
    "mdp3_parts": in_parts,
    "focus": by_bandit,
}
SHAPES = ["random", "constant", "ties", "one-hot", "ramp", "negative", "tiny"]


def cases(count=500):
    draw = np.random.default_rng(7)
    for i in range(count):
        n = int(draw.choice([1, 2, 3, 5, 8, 16, 33, 64, 100, 128]))
        k = int(draw.choice([1, 2, 3, 4, 5, 7, 8, 16, n, n + 3]))
        shape = SHAPES[i % len(SHAPES)]
        scores = {
            "random": draw.random(n),
            "constant": np.full(n, 0.3),
            "ties": draw.integers(0, 3, n) / 2,
            "one-hot": np.eye(n)[int(draw.integers(n))],
            "ramp": np.linspace(0, 1, n),
            "negative": draw.normal(size=n) - 2,
            "tiny": draw.random(n) * 1e-12,
        }[shape]
        yield shape, scores, k


@pytest.mark.parametrize("name", ALL)
def test_exactly_k_distinct_frames_in_time_order(name):
    choose = ALL[name]
    for shape, scores, k in cases(120 if name == "mdp3_parts" else 500):  # each part is a dynamic program
        chosen = choose(scores, k)
        told = f"{name}: {shape}, n={len(scores)}, k={k}: {chosen}"
        assert len(chosen) == min(k, len(scores)), told
        assert chosen == sorted(set(chosen)), told
        assert chosen[0] >= 0, told
        assert chosen[-1] < len(scores), told
        assert all(type(place) is int for place in chosen), told


@pytest.mark.parametrize("name", ["top_k", "nms_greedy", "aks", "bolt"])
def test_shift_and_scale_change_nothing(name):
    draw, choose = np.random.default_rng(3), ALL[name]
    for _ in range(50):
        scores = draw.random(64)
        assert choose(scores, 8) == choose(4.0 * scores + 2.0, 8)


def test_the_reach_of_nms_by_k():
    scores = np.zeros(128)
    scores[64] = 1.0
    for k, delta in {4: 8, 8: 4, 16: 2, 32: 1}.items():
        rest = scores.copy()
        rest[64 - delta : 65 + delta] += 1.0
        chosen = strategies.nms_greedy(rest, k)
        assert 64 in chosen
        assert not [i for i in chosen if 0 < abs(i - 64) <= delta]
    near = np.zeros(128)
    near[60] = near[63] = 1.0
    assert 63 not in strategies.nms_greedy(near, 4)
    assert strategies.nms_greedy(near, 4, delta=0) == strategies.top_k(near, 4)


def test_the_same_seed_draws_the_same_in_another_process():
    code = (
        "import numpy as np; from videre.video.strategies import qframe; from videre.video.bandit import focus;"
        "s = np.linspace(0, 1, 90) ** 2; print(qframe(s, 6, seed=5), focus(lambda f: s[np.array(f)], 90, 6, seed=5)[0])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    scores = np.linspace(0, 1, 90) ** 2
    here = focus(lambda frames: scores[np.array(frames)], 90, 6, seed=5)[0]
    assert out == f"{strategies.qframe(scores, 6, seed=5)} {here}"
    assert strategies.qframe(scores, 6, seed=5) != strategies.qframe(scores, 6, seed=6)


def test_mdp3_is_the_greedy_maximum_of_its_objective():
    draw = np.random.default_rng(11)
    vectors = draw.normal(size=(12, 6))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    asked = vectors[3]

    def worth(chosen):
        near = np.log(kernel(asked[None], vectors[chosen])[0]).sum() * 2 / 0.2
        return near + np.linalg.slogdet(kernel(vectors[chosen], vectors[chosen]))[1]

    chosen: list[int] = []
    for k in range(1, 6):
        chosen.append(max((i for i in range(12) if i not in chosen), key=lambda i: worth([*chosen, i])))
        assert mdp3(vectors, asked, k) == sorted(chosen)


def test_wfs_takes_unlike_frames_where_features_tell():
    scores = np.concatenate([np.full(32, 0.1), np.full(32, 0.9)]) + np.linspace(0, 0.01, 64)
    features = np.zeros((64, 3))
    features[:32, 0] = features[32:48, 1] = features[48:, 2] = 1
    chosen = wfs_sb(scores, 4, features=features)
    assert {int(features[i].argmax()) for i in chosen if i >= 32} == {1, 2}


def test_a_curve_of_its_coarsest_band_is_kept_whole():
    curve = np.random.default_rng(0).random(64)
    low = curve
    bands = np.zeros(64)
    for halvings in (1, 2, 3):
        bands += wavelet.coarsest_detail(curve, halvings)
    rest = curve - bands  # what is left is the approximation: smooth, and of the same mean away from the borders
    assert np.abs(np.diff(rest)).max() < np.abs(np.diff(low)).max()
    for halvings in (1, 2, 3):
        assert np.abs(wavelet.coarsest_detail(rest, halvings)[24:40]).max() < 0.05


@pytest.mark.parametrize(
    "call",
    [
        lambda: strategies.top_k([], 1),
        lambda: strategies.top_k([0.1, float("nan")], 1),
        lambda: strategies.top_k([0.1], 0),
        lambda: mdp3(np.zeros((2, 3)), np.zeros(2), 1),
        lambda: mdp3(np.zeros((2, 3)), np.zeros(3), 1, relevance=0.0),
        lambda: mdp3(np.full((2, 3), np.inf), np.zeros(3), 1),
        lambda: wfs_sb(np.arange(6.0), 2, features=np.zeros((5, 2))),
        lambda: wfs_sb(np.arange(6.0), 2, balance=2.0),
        lambda: focus(lambda frames: [0.0] * len(frames), 0, 1),
    ],
)
def test_wrong_arguments_are_refused(call):
    with pytest.raises(ValueError, match=r"\w"):
        call()


def test_aks_looks_at_all_of_the_video_where_it_has_more_parts_than_frames():
    scores = np.random.default_rng(0).normal(0, 0.05, 128)
    scores[[20, 60, 100, 120]] += 1.0
    assert strategies.aks(scores, 4) == [20, 60, 100, 120]
    chosen = strategies.aks(scores, 8)
    assert {i // 16 for i in chosen} == set(range(8))
    assert len({i // 10 for i in strategies.aks(np.ones(40), 4)}) == 4
