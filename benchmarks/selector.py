"""What choosing frames costs: strategies on many candidates, labelling, and selection beside what it saves.

- Strategies: 32 of 10 000 candidates, milliseconds; the peers are the limits of the specification, 10 ms each and 1 s
  for mDP3, so that a ratio below 1 is within them.
- Labelling: P(True) of 64 frames, batched, against one call a frame on a session; same scores to 1e-4. With the
  question before the frame, the prompt is read once for all of them.
- Selection: 128 candidates scored by the trained selector and 4 chosen frames answered, against 8 uniform frames
  answered. Random weights in the proportion of the paper's Table 6: vision tower, selector's language model, answerer
  0.3 : 1.5 : 34, and the answerer looks at its frames by a tower as large as the selector's (CLIP-L there), 36 tokens a
  frame. A quarter of the paper's tokens: 64 patches a candidate, 144 a frame of the answerer; pooled tokens are 4 a
  candidate, where a quarter of 9 would be 2.25, which counts against the selector, as does that narrow layers are slow
  for their size on a processor. `--quick` takes narrower models than the full run.

Medians of processor time over interleaved rounds, one thread: what else the machine does counts little. The ratio of
selection is the median of the ratios of its rounds.

    python benchmarks/selector.py [--quick] [--json]
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as tf
from transformers.utils import logging

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from tiny_models import qwen3_vl, save
from videre.methods.frame_selector.model import FrameSelector, FrameSelectorConfig
from videre.methods.frame_selector.scorers import VERDICT, Truth, share, verdict_tokens
from videre.models.mllm import load
from videre.types import Frames, Question
from videre.video import strategies
from videre.video.bandit import focus
from videre.video.diverse import mdp3
from videre.video.segments import wfs_sb

COUNT, K = 10_000, 32
ASKED = Question("what does the person do before the door opens?")


def milliseconds(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """The median processor time of each, the calls of a round one after another."""
    return {name: statistics.median(times) for name, times in timed(calls, rounds).items()}


def timed(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """The processor time of each call in each round, milliseconds."""
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.process_time()
            call()
            spent[name].append((time.process_time() - start) * 1e3)
    return spent


def strategy_times(rounds: int) -> dict[str, float]:
    draw = np.random.default_rng(0)
    scores, features = draw.random(COUNT), draw.normal(size=(COUNT, 256))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    calls = {
        "top-k": lambda: strategies.top_k(scores, K),
        "nms": lambda: strategies.nms_greedy(scores, K),
        "aks": lambda: strategies.aks(scores, K),
        "bolt": lambda: strategies.bolt(scores, K),
        "q-frame": lambda: strategies.qframe(scores, K),
        "wfs-sb": lambda: wfs_sb(scores, K),
        "focus": lambda: focus(lambda frames: scores[np.array(frames)], COUNT, K, fps=4.0),
        "mdp3": lambda: mdp3(features, features[7], K),
    }
    return milliseconds(calls, rounds)


def small_times(rounds: int) -> dict[str, float]:
    draw = np.random.default_rng(1)
    scores, features = draw.random(128), draw.normal(size=(128, 256))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    calls = {
        "nms": lambda: strategies.nms_greedy(scores, 16), "aks": lambda: strategies.aks(scores, 16),
        "bolt": lambda: strategies.bolt(scores, 16), "mdp3": lambda: mdp3(features, features[7], 16),
    }  # fmt: skip
    return milliseconds(calls, rounds)


def labelling(rounds: int, frames: int) -> tuple[dict[str, float], dict[str, float]]:
    """Times of both roads, with the question after the frame and before it, and how far their scores lie apart."""
    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(0)
        model = load(str(save(qwen3_vl(), folder)))
    pixels = np.random.default_rng(0).integers(0, 255, (frames, 3, 64, 64), dtype=np.uint8)
    shown = Frames(pixels, np.arange(frames, dtype=np.float64))
    calls: dict[str, Callable[[], Any]] = {}
    apart = {}
    for name, first in (("", False), (", question first", True)):
        scorer = Truth(model, batch=32, question_first=first)
        calls[f"batched{name}"] = partial(scorer, shown, ASKED)
        calls[f"one a frame{name}"] = partial(one_by_one, model, shown, scorer)
        apart[f"batched{name}"] = float(np.abs(one_by_one(model, shown, scorer) - scorer(shown, ASKED).scores).max())
    return milliseconds(calls, rounds), apart


def one_by_one(model: Any, shown: Frames, scorer: Truth) -> np.ndarray:
    """P(True) of each frame by a session of its own."""
    yes, no = verdict_tokens(model.network, model.processor.tokenizer)
    text = scorer.prompt.format(question=ASKED.text)
    before, after = (text, "") if scorer.question_first else ("", text)
    scores = []
    for i in range(len(shown)):
        session = model.each(Frames(shown.pixels[i : i + 1], shown.seconds[i : i + 1]), before=before)
        logs = session.next_token(after, start=VERDICT).double().numpy()
        scores.append(float(share(logs[None, yes], logs[None, no])[0]))
    return np.array(scores)


def selection(rounds: int, scale: float) -> tuple[float, dict[str, float]]:
    """The ratio of choosing 4 of 128 and answering on them to answering on 8, and what its parts cost."""

    def wide(width: int) -> int:
        return int(width * scale)

    torch.manual_seed(0)
    sizes = {"hidden_size": wide(256), "intermediate_size": wide(512), "num_hidden_layers": 2, "num_attention_heads": 4}
    vision = tf.SiglipVisionConfig(**sizes, image_size=64, patch_size=8, vision_use_head=False)
    words = {"vocab_size": 400, "num_attention_heads": 4, "num_key_value_heads": 4}
    small = tf.Qwen2Config(hidden_size=wide(288), intermediate_size=wide(768), num_hidden_layers=5, **words)
    large = tf.Qwen2Config(hidden_size=wide(1024), intermediate_size=wide(2816), num_hidden_layers=9, **words)
    model = FrameSelector(FrameSelectorConfig(vision_config=vision, text_config=small, n=128, grid=2)).eval()
    eyes = tf.CLIPVisionModel(tf.CLIPVisionConfig(**sizes, image_size=96, patch_size=8)).eval()
    answerer = tf.Qwen2ForCausalLM(large).eval()
    pixels, shown, ids = torch.rand(128, 3, 64, 64), torch.rand(8, 3, 96, 96), torch.randint(0, 400, (1, 12))

    def choose() -> list[int]:
        logits = model(model.encode(pixels)[None], ids, torch.tensor([12]))[0]
        return strategies.nms_greedy(torch.sigmoid(logits).numpy(), 4)

    def answer(frames: int) -> None:
        eyes(pixel_values=shown[:frames])
        answerer(inputs_embeds=torch.rand(1, frames * 36 + 12, wide(1024)), logits_to_keep=1, use_cache=False)

    calls = {"choose 4 of 128": choose, "answer on 4": lambda: answer(4), "answer on 8": lambda: answer(8)}
    with torch.inference_mode():
        timed(calls, 1)  # The first pass also asks for memory.
        spent = timed(calls, rounds)
    ratio = statistics.median((one + four) / eight for one, four, eight in zip(*spent.values(), strict=True))
    parts = {"vision": model.vision, "selector's language model": model.llm, "answerer": answerer}
    weights = {f"weights of the {name}": sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
    return ratio, {name: statistics.median(times) for name, times in spent.items()} | weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    rounds = 5 if given.quick else 15
    large, small = strategy_times(rounds), small_times(rounds)
    saved, cost = selection(5 if given.quick else 7, 1.0 if given.quick else 1.5)
    label, apart = labelling(3 if given.quick else 7, 64)
    ratios = {f"{name}, {K} of {COUNT}": spent / (1000 if name == "mdp3" else 10) for name, spent in large.items()}
    limits = {"nms": 1, "aks": 2, "bolt": 2, "mdp3": 100}
    ratios |= {f"{name}, 16 of 128": small[name] / limit for name, limit in limits.items()}
    for name in ("", ", question first"):
        ratios[f"labelling{name}"] = label[f"batched{name}"] / label[f"one a frame{name}"]
    ratios["4 selected against 8 uniform"] = saved
    details = {
        "strategies_ms": large,
        "small_ms": small,
        "labelling_ms": label,
        "scores_apart": apart,
        "selection": cost,
    }
    if not given.json:
        for name, value in ratios.items():
            print(f"{value:8.3f}  {name}")
        print(json.dumps(details, indent=1))
    print(json.dumps({"name": "selector", "ratios": ratios, "details": details}))


if __name__ == "__main__":
    main()
