"""What a second question on a video costs beside the first, and what it gains to follow policies together.

The modules have random weights of the real classes: CLIP of 12 layers, 384 wide; OWLv2 of 4 layers, 128 wide. The film
lasts 40 s at 320 x 240. First means: open the file, encode 2 frames a second, follow a policy of time and place with 4
frames. Second means: another question in a run of its own that opens the file again and has what the first left on
disk (features of the video). Again means: the first question once more in a run of its own. The peer of the batch is
the same executor asked one policy at a time, on fresh modules.

    python benchmarks/reasoner.py [--quick] [--json]
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import tiny_clip
from make_videos import make_video
from videre.methods.msr_vir.batch import Asked, ground_many
from videre.methods.msr_vir.execute import ground
from videre.methods.msr_vir.memory import KnownPlaces, KnownTimes, Memory
from videre.methods.msr_vir.rules import parse
from videre.methods.msr_vir.scan import Scan
from videre.models import clip, detector
from videre.video.open import open_video

THINGS = ("lady", "man", "dog", "child")
ACTS = ("sat down", "opened the door", "threw the ball", "ran away")
FRAMES = 4


def questions() -> list[str]:
    return [f"what did the {thing} do after he {act}?" for thing in THINGS for act in ACTS]


def models(folder: Path) -> tuple[Path, Path]:
    torch.manual_seed(0)
    wide = {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 12, "num_attention_heads": 6}
    pair, processor = tiny_clip.clip(**wide, image_size=224, patch_size=32)
    pair.save_pretrained(folder / "clip")
    processor.save_pretrained(folder / "clip")
    small = {"hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 4, "num_attention_heads": 4}
    return folder / "clip", tiny_clip.owlv2(folder / "owl", image_px=224, **small)


def film(path: Path) -> Path:
    return make_video(path, 400, size_px=(320, 240), fps=10)


def asked(text: str, video: Path, eyes: Any, finds: Any, kept: Path | None) -> float:
    """Seconds for one question in a run of its own; the models are loaded already."""
    start = time.perf_counter()
    memory = Memory(kept)
    with open_video(video) as opened:
        times, places = KnownTimes(Scan(eyes, folder=kept), memory), KnownPlaces(finds, memory)
        ground(parse(text), opened, grounder=times, detector=places, question=text, frames=FRAMES)
    return time.perf_counter() - start


def together(video: Path, eyes: Any, finds: Any) -> tuple[float, float]:
    """Policies a second one by one and all at once, with the features of the video in memory in both cases."""
    told = [Asked(parse(text), text) for text in questions()]
    spent = []
    for at_once in (False, True):
        with open_video(video) as opened:
            scan = Scan(eyes)
            scan.prepare(opened, [])
            start = time.perf_counter()
            more: dict[str, Any] = {"grounder": scan, "detector": finds, "frames": FRAMES}
            if at_once:
                found = [e for e, _ in ground_many(told, opened, **more)]
            else:
                alone = [ground(one.policy, opened, question=one.question, **more)[0] for one in told]
            spent.append(time.perf_counter() - start)
    assert [e.spans for e in found] == [e.spans for e in alone]
    return len(told) / spent[0], len(told) / spent[1]


def run(*, quick: bool) -> dict[str, Any]:
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    first, second, again, rates = [], [], [], []
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        video, (eyes, finds) = film(root / "film.mp4"), models(root)
        pair, places = clip.load(str(eyes)), detector.load(str(finds), device="cpu", min_score=0.0)
        one, other = questions()[0], questions()[7]
        asked(one, video, pair, places, None)  # The first call of all pays for set-up.
        for number in range(1 if quick else 5):
            kept = root / f"kept{number}"
            first.append(asked(one, video, pair, places, kept))
            second.append(asked(other, video, pair, places, kept))
            again.append(asked(one, video, pair, places, kept))
            rates.append(together(video, pair, places))
    median = {k: statistics.median(v) for k, v in (("first", first), ("second", second), ("again", again))}
    alone, batched = (statistics.median(rate[i] for rate in rates) for i in range(2))
    return {
        "name": "reasoner",
        "ratios": {
            "second_over_first": median["second"] / median["first"],
            "again_over_first": median["again"] / median["first"],
            "policies_batched_over_one_by_one": batched / alone,
        },
        "details": {"seconds": median, "policies_a_second": {"one_by_one": alone, "batched": batched}},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round instead of five")
    parser.add_argument("--json", action="store_true", help="one JSON object last")
    options = parser.parse_args()
    result = run(quick=options.quick)
    for name, ratio in result["ratios"].items():
        print(f"{name:36s} {ratio:.3f}")
    print(result["details"])
    if options.json:
        print(json.dumps(result))
    return 0 if result["ratios"]["second_over_first"] <= 0.25 else 1


if __name__ == "__main__":
    raise SystemExit(main())
