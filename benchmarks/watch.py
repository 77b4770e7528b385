"""What a further question on the same video costs, beside the first: `videre.models.session` against asking anew.

The model has random weights: a Qwen3-VL layout, 256 wide and 8 layers deep, on 32 frames of 320 x 256. First means: the
frames go through processor, vision tower and prefix, and one question of three options is answered with at most 8
tokens and a confidence. Further means: the next question on the session; longer replies cost more on both sides. The
numbers are medians over interleaved rounds. The peer is the same model asked anew for each question.

    python benchmarks/watch.py [--quick] [--json]
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers.utils import logging

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from tiny_models import qwen3_vl, save
from videre.models.mllm import TransformersMLLM, load
from videre.types import Frames, Question

QUESTIONS = [
    Question(text, ("yes", "no", "it cannot be seen"))
    for text in (
        "Does the person open the door?",
        "Is the red square before the blue ball?",
        "Does anything fall?",
        "Is there a person in the first frame?",
        "Does the ball move to the left?",
        "Is the last frame the same as the first?",
        "Are there more than two objects?",
        "Does the square vanish at the end?",
    )
]


def video(count: int, *, height_px: int, width_px: int) -> Frames:
    """Noise: what a frame shows does not change what it costs."""
    pixels = np.random.default_rng(0).integers(0, 255, (count, 3, height_px, width_px), dtype=np.uint8)
    return Frames(pixels, np.arange(count, dtype=np.float64))


def seconds(job: Callable[[], Any]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def one_round(model: TransformersMLLM, frames: Frames) -> dict[str, float]:
    """Seconds of the first answer, of a further one (the median of seven), and of all eight asked anew."""
    begin = time.perf_counter()
    session = model.watch([frames])
    first_answer = session.answer(QUESTIONS[0])
    first = time.perf_counter() - begin
    further = [seconds(lambda asked=asked: session.answer(asked)) for asked in QUESTIONS[1:]]
    anew = seconds(lambda: model.answer([frames], QUESTIONS[-1]))
    assert session.answer(QUESTIONS[0]).text == first_answer.text
    return {"first": first, "further": statistics.median(further), "slowest": max(further), "anew": anew}


def run(*, quick: bool) -> dict[str, Any]:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    shape = {"hidden": 256, "layers": 8, "heads": 8}
    frames = video(32, height_px=256, width_px=320)
    with tempfile.TemporaryDirectory() as folder:
        model = load(str(save(qwen3_vl(**shape, tokens_per_frame=64), folder)), answer_tokens=8)
        model.answer([video(2, height_px=256, width_px=320)], QUESTIONS[0])  # The first call of all pays for set-up.
        rounds = [one_round(model, frames) for _ in range(2 if quick else 5)]
        prefix = model.watch([frames])._length
    median = {key: statistics.median(times[key] for times in rounds) for key in rounds[0]}
    return {
        "name": "watch",
        "ratios": {
            "further_over_first": median["further"] / median["first"],
            "slowest_further_over_first": median["slowest"] / median["first"],
            "eight_questions_over_asking_anew": (median["first"] + 7 * median["further"]) / (8 * median["anew"]),
        },
        "details": {"seconds": median, "model": shape, "frames": 32, "prefix_tokens": prefix, "rounds": len(rounds)},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two rounds instead of five, within a minute")
    parser.add_argument("--json", action="store_true", help="one JSON object last")
    options = parser.parse_args()
    result = run(quick=options.quick)
    for name, ratio in result["ratios"].items():
        print(f"{name:36s} {ratio:.3f}")
    print({key: round(value, 4) for key, value in result["details"]["seconds"].items()}, "seconds")
    if options.json:
        print(json.dumps(result))
    return 0 if result["ratios"]["slowest_further_over_first"] <= 0.2 else 1


if __name__ == "__main__":
    raise SystemExit(main())
