"""What the branch costs: a masked step, a step against the released arrangement, inference beside the pair alone.

The tower has random weights, 8 layers of 256 and a branch of 4, on 16 patches a side of 8 frames: what is compared is
work, which does not depend on what the weights know. Numbers are medians over interleaved rounds of one thread's
processor seconds, so that a busy machine does not count. The released arrangement is its procedure, as the method's
specification has it: autograd through all of the frozen tower, and the tokens of every layer kept to the end of the
step; it gives the same losses and gradients, which is asserted before anything is timed. Search: the ten best of
100 000 clips, half-float vectors of 512 numbers, all compared; and the words of a query through a text tower of CLIP
B/32's size, with random weights.

    python benchmarks/adapter.py [--quick] [--json]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as tf
from torch import Tensor

from videre.methods.bt_adapter.adapter import Adapter, Seen
from videre.methods.bt_adapter.branch import BranchConfig
from videre.methods.bt_adapter.index import Index, search
from videre.methods.bt_adapter.losses import Pretraining, losses
from videre.methods.bt_adapter.mask import kept_tokens
from videre.methods.bt_adapter.nearest import Exact

FRAMES, VIDEOS, CLIPS = 8, 2, 100_000
BASE_TEXT = {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 12, "num_attention_heads": 8}
VISION = {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 8, "num_attention_heads": 4,
          "image_size": 128, "patch_size": 8}  # fmt: skip
TEXT = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 99}
ENDS = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}


def model() -> Pretraining:
    torch.manual_seed(0)
    config = tf.CLIPConfig(text_config=TEXT | ENDS, vision_config=VISION, projection_dim=128)
    return Pretraining(Adapter(tf.CLIPModel(config), BranchConfig(drop_path=0.0))).train()


def ours(made: Pretraining, pixels: Tensor, texts: Tensor, kept: Tensor | None) -> Tensor:
    return torch.stack(list(losses(made, pixels, texts, kept=kept).values())).sum()


def released(made: Pretraining, pixels: Tensor, texts: Tensor, kept: Tensor | None) -> Tensor:
    """The same sum, with the tower run under autograd and the tokens of all layers held until the end."""
    adapter = made.adapter
    vision = adapter.network.vision_model
    states = [vision.pre_layrnorm(vision.embeddings(pixels.flatten(0, 1).requires_grad_(True)))]
    for layer in vision.encoder.layers:
        states.append(layer(states[-1], attention_mask=None))
    branch, tower, state = adapter.branch, adapter.tower, None
    for number, tokens in enumerate(states[-branch.config.depth :]):
        seen = tower.split(tokens.unflatten(0, pixels.shape[:2]))
        state = branch.step(number, state, seen, positions=tower.positions, kept=kept)
    last = Seen(len(states) - 2, states[-1].unflatten(0, pixels.shape[:2]), state)
    adapter.run = lambda *_, **__: last  # The losses read what this gives.
    try:
        return ours(made, pixels, texts, kept)
    finally:
        del adapter.run


def stepped(work: Callable[..., Tensor], made: Pretraining, *given: Any) -> float:
    """Seconds of one forward and backward."""
    made.zero_grad(set_to_none=True)
    start = time.process_time()
    work(made, *given).backward()
    return time.process_time() - start


def same_gradients(made: Pretraining, *given: Any) -> None:
    found = []
    for work in (ours, released):
        stepped(work, made, *given)
        found.append([p.grad.clone() for p in made.parameters() if p.requires_grad and p.grad is not None])
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-5)


def branch_alone(made: Pretraining, tokens: list[tuple[Tensor, Tensor]], kept: Tensor | None) -> Tensor:
    """The branch on ready tokens: what the mask saves is here."""
    state = None
    for number, seen in enumerate(tokens):
        state = made.adapter.branch.step(number, state, seen, positions=made.adapter.tower.positions, kept=kept)
    assert state is not None
    return state.patches.square().mean() + state.cls.square().mean()


def searched(queries: int) -> dict[str, float]:
    """Median seconds of one query over 100 000 clips: the nearest, the stretches apart, and with the words before."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(CLIPS, 512)).astype(np.float16)
    spans, clips = np.tile([0.0, 8.0], (CLIPS, 1)), np.arange(CLIPS, dtype=np.int32)
    whole = Index(rows, spans, clips, tuple(map(str, range(CLIPS))), Path(), {}, Path())
    words = tf.CLIPTextModelWithProjection(tf.CLIPTextConfig(**BASE_TEXT)).eval()
    finder, times = Exact(rows), {"nearest": [], "search": [], "words": []}
    for query in rng.normal(size=(queries, 512)).astype(np.float32):
        for name, work in (
            ("nearest", lambda query=query: finder.find(query, 40)),
            ("search", lambda query=query: search(whole, query, k=10, nearest=finder)),
            ("words", lambda: words(input_ids=torch.randint(3, 40_000, (1, 12)))),
        ):
            start = time.process_time()
            with torch.inference_mode():
                work()
            times[name].append(time.process_time() - start)
    return {f"{name}_{CLIPS}": statistics.median(each) for name, each in times.items()}


@torch.no_grad()
def inference(made: Pretraining, pixels: Tensor) -> dict[str, float]:
    """Seconds of the vector of each video, with the branch and by the pair alone."""
    alone, times = Adapter(made.adapter.network), {}
    for name, adapter in (("with", made.adapter), ("alone", alone)):
        start = time.process_time()
        adapter(pixels)
        times[name] = time.process_time() - start
    return times


def run(*, quick: bool) -> dict[str, Any]:
    torch.set_num_threads(1)
    made = model()
    pixels, texts = torch.randn(VIDEOS, FRAMES, 3, 128, 128), torch.randn(VIDEOS, 128)
    kept = kept_tokens(VIDEOS, patches=256, frames=FRAMES, ratio=0.7)
    same_gradients(made, pixels, texts, kept)
    tokens = [(torch.randn(VIDEOS, FRAMES, 256), torch.randn(VIDEOS, FRAMES, 256, 256)) for _ in range(4)]
    rounds = []
    for _ in range(2 if quick else 7):
        one = {
            "ours": stepped(ours, made, pixels, texts, kept),
            "released": stepped(released, made, pixels, texts, kept),
        }
        one["ours_unmasked"] = stepped(ours, made, pixels, texts, None)
        one |= {"masked": stepped(branch_alone, made, tokens, kept), "whole": stepped(branch_alone, made, tokens, None)}
        rounds.append(one | inference(made, pixels))
    median = {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}
    median |= searched(5 if quick else 25)
    return {
        "name": "adapter",
        "ratios": {
            "masked_branch_over_unmasked": median["masked"] / median["whole"],
            "masked_step_over_unmasked": median["ours"] / median["ours_unmasked"],
            "our_step_over_released": median["ours"] / median["released"],
            "with_branch_over_pair_alone": median["with"] / median["alone"],
        },
        "details": {"seconds": median, "rounds": len(rounds), "frames": FRAMES, "videos": VIDEOS, "vision": VISION},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    told = run(quick=given.quick)
    if not given.json:
        for name, ratio in told["ratios"].items():
            print(f"{name:32} {ratio:6.3f}")
        print({key: round(value, 4) for key, value in told["details"]["seconds"].items()})
    print(json.dumps(told))


if __name__ == "__main__":
    main()
