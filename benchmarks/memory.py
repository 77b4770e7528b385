"""The memory Q-Former against the released loop, written down from its description, with the same weights and sizes.

The peer (`tests/official_ma_lmm.py`) passes the same goldens as ours. Sizes are the published ones: 12 layers 768 wide,
32 queries, 257 tokens of 1408 a frame, 12 words, banks of 20 slots; weights are random. `--quick` takes the same sizes
and fewer frames. Times are processor seconds of one thread, medians over interleaved rounds, so that other work on the
machine counts less.

- frame: one frame with full banks, ours (keys and values in the cache) over the peer (all projected again).
- frame_with_positions: the same with a position vector read at every slot.
- late_over_early: a frame after many others over a frame with just filled banks.
- step: one training step on a video, ours (earlier frames without a graph) over the peer, gradients compared first.
- step_memory: what a step holds at its peak beside weights and gradients, as counted by saved tensors.
- stream_memory: peak memory of the process after 12 hours of frames of the world, one a second, over one minute.

    python benchmarks/memory.py [--quick] [--json]
"""

import argparse
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from videre import compat

compat.need_hf()

import transformers as tf  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import official_ma_lmm  # noqa: E402
from videre.methods.ma_lmm.memory import Memory, Parts, State, Words, step, watched  # noqa: E402

LIMIT, TOKENS, WIDTH, QUERIES, WORDS = 20, 257, 1408, 32, 12


def parts(layers: int = 12) -> Parts:
    torch.manual_seed(0)
    config = tf.InstructBlipQFormerConfig(
        num_hidden_layers=layers, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, vocab_size=1000
    )
    return Parts(tf.InstructBlipQFormerModel(config).eval(), torch.randn(1, QUERIES, 768), torch.zeros(120, WIDTH))


def words() -> Words:
    ids = torch.arange(WORDS)[None] + 5
    return Words(ids, torch.ones_like(ids, dtype=torch.bool))


def frames(count: int, seed: int = 0) -> Iterator[torch.Tensor]:
    """Frames that change slowly, as those of a video do."""
    draw = torch.Generator().manual_seed(seed)
    frame = torch.randn(1, TOKENS, WIDTH, generator=draw)
    for _ in range(count):
        yield frame
        frame = 0.9 * frame + 0.4359 * torch.randn(1, TOKENS, WIDTH, generator=draw)


def spent(job: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = job()
    return time.process_time() - start, result


@torch.no_grad()
def one_frame(*, rounds: int, late: int) -> dict[str, Any]:
    """Seconds of one frame with full banks, of both; and of ours after many more frames."""
    ours, said = parts(), words()
    bare, timed = replace(ours, positions=None), replace(ours, positions=torch.randn(120, WIDTH))
    memory = Memory(LIMIT, LIMIT)
    state, filled = State(), list(frames(LIMIT + 2))
    for frame in filled[:-1]:
        state = step(bare, state, frame, words=said, memory=replace(memory, first=True))[1]
    peer = Peer(bare, said, state)
    state = replace(state, queries=(None, *state.queries[1:]))  # Ours leaves out the bank that changes nothing.
    after = state
    for frame in frames(late, seed=1):
        after = step(bare, after, frame, words=said, memory=memory)[1]
    jobs = {
        "ours": lambda: step(bare, state, filled[-1], words=said, memory=memory)[0],
        "ours_with_positions": lambda: step(timed, state, filled[-1], words=said, memory=memory)[0],
        "late": lambda: step(bare, after, filled[-1], words=said, memory=memory)[0],
        "peer": lambda: peer(filled[-1]),
    }
    told: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        seen = {}
        for name, job in jobs.items():
            seconds, seen[name] = spent(job)
            told[name].append(seconds)
        difference = float((seen["ours"][:, :QUERIES] - seen["peer"][:, :QUERIES]).abs().max())
        assert difference < 1e-3, difference
    median = {name: statistics.median(values) for name, values in told.items()}
    return {"seconds": median, "difference": difference, "frames_before": late + LIMIT + 1, "state_bytes": state.bytes}


class Peer:
    """One frame of the released loop with full banks: `official_ma_lmm.run` cut open after many frames."""

    def __init__(self, told: Parts, said: Words, state: State) -> None:
        self.parts, self.words, self.state = told, said, state

    def __call__(self, frame: torch.Tensor) -> torch.Tensor:
        """The last layer."""
        return official_ma_lmm.one(
            self.parts.qformer, self.parts.queries, frame, self._banks(self.state.visual),
            [self._banks(bank) for bank in self.state.queries],
            ids=self.words.ids, mask=self.words.real.long(),
        )  # fmt: skip

    def _banks(self, bank: Any) -> Any:
        found = official_ma_lmm.Banked(LIMIT)
        found.values, found.sizes = bank.values, bank.sizes
        return found


def training(*, rounds: int, count: int, layers: int) -> dict[str, Any]:
    """Seconds and saved bytes of one training step on a video, of both, and how far their gradients differ."""
    ours, said, video = parts(layers), words(), torch.stack(list(frames(count)), 1)
    weights = [w for w in ours.qformer.parameters() if w.requires_grad]
    memory = Memory(LIMIT, LIMIT, first=True)
    bare = replace(ours, positions=None)

    def us() -> torch.Tensor:
        return watched(bare, video.unbind(1), words=said, memory=memory)[0][:, :QUERIES].square().mean()

    def them() -> torch.Tensor:
        return official_ma_lmm.run(
            ours.qformer, ours.queries, None, video, ids=said.ids, mask=said.real.long(), limit=LIMIT
        )[:, :QUERIES].square().mean()  # fmt: skip

    told: dict[str, list[float]] = {"ours": [], "peer": []}
    for _ in range(rounds):
        gradients = {}
        for name, job in (("ours", us), ("peer", them)):
            seconds, gradients[name] = spent(lambda job=job: torch.autograd.grad(job(), weights, allow_unused=True))
            told[name].append(seconds)
    pairs = [(a, b) for a, b in zip(gradients["ours"], gradients["peer"], strict=True) if a is not None]
    # Over the largest of all, since some are zero but for rounding: a key's bias moves no softmax.
    largest = max(float(b.abs().max()) for _, b in pairs)
    difference = max(float((a - b).abs().max()) for a, b in pairs) / largest
    assert difference < 1e-3, difference
    saved = {name: held(job) for name, job in (("ours", us), ("peer", them))}
    median = {name: statistics.median(values) for name, values in told.items()}
    return {"seconds": median, "bytes": saved, "gradient_difference": difference, "frames": count, "layers": layers}


def held(job: Callable[[], torch.Tensor]) -> int:
    """Bytes of the tensors that a graph keeps for its backward pass, each storage once."""
    storages: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if not isinstance(tensor, torch.nn.Parameter):
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        kept = job()
        del kept
    return sum(storages.values())


def streaming(*, hours: float) -> dict[str, Any]:
    """Peak resident memory of this process after one minute of world frames, and after so many hours of them.

    A tiny MA-LMM watches, since this is about growth. The frames are drawn once and shown over and over.
    """
    from tiny_blip import instructblip
    from videre.data import world
    from videre.methods.ma_lmm.model import MALMM, Settings
    from videre.types import Frames

    network, processor = instructblip()
    model = MALMM(network, processor, name="tiny", card={}, settings=Settings(memory=Memory(LIMIT, LIMIT)))
    film = world.render(world.make(0, world.Config(seconds=60.0, size_px=28)), np.arange(0.0, 60.0)).pixels
    session, peaks = model.watch(follow=["what happens ?"]), {}
    for start in range(0, round(hours * 3600), 15):
        seconds = np.arange(start, start + 15, dtype=np.float64)
        session.push(Frames(film[np.arange(start, start + 15) % 60], seconds))
        if session.frames == 60:
            peaks["minute"] = peak_bytes()
            held_bytes = session.bytes
    peaks["hours"] = peak_bytes()
    return {"frames": session.frames, "peak_bytes": peaks, "bank_bytes": [held_bytes, session.bytes]}


def peak_bytes() -> int:
    """Most resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def told(name: str, found: dict[str, Any]) -> dict[str, Any]:
    """What was found, said on the way."""
    print(name, json.dumps(found), file=sys.stderr, flush=True)
    return found


def run(*, quick: bool, hours: float) -> dict[str, Any]:
    torch.set_num_threads(1)
    stream = told("stream", streaming(hours=hours))  # First, while the process is small.
    frame = told("frame", one_frame(rounds=3 if quick else 7, late=10 if quick else 200))
    learning = training(rounds=1 if quick else 3, count=24 if quick else 60, layers=2 if quick else 6)
    seconds, taught = frame["seconds"], learning["seconds"]
    return {
        "name": "memory",
        "ratios": {
            "frame": seconds["ours"] / seconds["peer"],
            "frame_with_positions": seconds["ours_with_positions"] / seconds["peer"],
            "late_over_early": seconds["late"] / seconds["ours"],
            "step": taught["ours"] / taught["peer"],
            "step_memory": learning["bytes"]["ours"] / learning["bytes"]["peer"],
            "stream_memory": stream["peak_bytes"]["hours"] / stream["peak_bytes"]["minute"],
        },
        "details": {"frame": frame, "training": learning, "stream": stream},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer frames and rounds, within a minute or two")
    parser.add_argument("--json", action="store_true", help="one JSON object last")
    parser.add_argument("--hours", type=float, help="hours of stream; default 12, with --quick 0.1")
    options = parser.parse_args()
    result = run(quick=options.quick, hours=options.hours or (0.1 if options.quick else 12.0))
    for name, ratio in result["ratios"].items():
        print(f"{name:24s} {ratio:.3f}")
    print(json.dumps(result["details"], indent=1), file=sys.stderr)
    if options.json:
        print(json.dumps(result))
    limits = {"frame": 0.2, "step": 0.5, "step_memory": 1.0, "stream_memory": 1.2}
    return 0 if all(result["ratios"][name] <= most for name, most in limits.items()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
