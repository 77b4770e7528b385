"""MA-LMM's claims in the generated world: what of a long video can still be told from a memory of eight slots.

A video lasts a minute: six things of six colours, each on the stage for two seconds, one after the other, with an empty
stage between them. It is written as H.264 and decoded again at one frame a second; the tower of the built-in model
looks at the pixels. A small memory Q-Former and a small language model learn to answer "what shape is the red thing ?"
from 96 such videos, six questions each, and are asked about 40 others. Each arm differs in how the visual bank is kept
short, and in nothing else: the same seeds, steps, weights to begin with, and LLM tokens. Chance is 1 in 6.

The visual bank does not depend on what is learned here (the tower and its norm are frozen, there are no position
vectors), so it is made once a video and arm, by the same `remembered` that a running model uses. Query banks are off,
but in the arms that are named after them, which read the whole video at every step.

    python results/memory.py --arm merge [--seed 0]     one arm of one seed, kept in runs/memory
    python results/memory.py --report                   what was run -> results/memory.md and memory.json
    python results/memory.py --quick                    every arm without query banks, one seed
    python results/memory.py --smoke                    the machinery, in a minute
"""

import argparse
import json
import statistics
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from videre import compat

compat.need_hf()

import transformers as tf  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from videre.data import world  # noqa: E402
from videre.data.world.scene import COLOURS, SHAPES, Clip, Config, Thing  # noqa: E402
from videre.methods.ma_lmm import bank as banks  # noqa: E402
from videre.methods.ma_lmm.bank import Bank  # noqa: E402
from videre.methods.ma_lmm.memory import Memory, Parts, State, Words, remembered, step, watched  # noqa: E402
from videre.metrics.interval import bootstrap  # noqa: E402
from videre.models import builtin  # noqa: E402
from videre.video.open import open_video  # noqa: E402

HERE = Path(__file__).parent
RUNS = HERE.parent / "runs" / "memory"
FIRST_SEED = 60_000_000
"""Videos of seed S start at FIRST_SEED + S * 10 000: no other training of this project uses them."""
SECONDS, SHOWN_SECONDS, THINGS = 60, 2.0, 6
ARMS: dict[str, Memory] = {
    "none": Memory(0, 0),
    "fifo": Memory(8, 0, reduce=banks.fifo),
    "uniform": Memory(8, 0, reduce=banks.uniform),
    "pool": Memory(1, 0, reduce=banks.pool),
    "tome": Memory(8, 0, reduce=banks.tome),
    "merge": Memory(8, 0),
    "plain": Memory(8, 0, reduce=banks.compress_plainly),
    "merge4": Memory(4, 0),
    "merge16": Memory(16, 0),
    "concatenate": Memory(1, 0, reduce=banks.concatenate),
    "query": Memory(0, 8),
    "both": Memory(8, 8),
}
WITH_QUERIES = ("query", "both")
CLAIMS: dict[str, tuple[str, str]] = {
    "merging above first-in-first-out": ("merge", "fifo"),
    "merging above an average": ("merge", "pool"),
    "merging above token merging (ToMe)": ("merge", "tome"),
    "merging above every n-th frame": ("merge", "uniform"),
    "a visual bank above none": ("merge", "none"),
    "more slots help up to eight": ("merge", "merge4"),
    "query banks above none": ("query", "none"),
    "both banks above the visual one": ("both", "merge"),
}
"""Claim -> (arm, arm that it is to exceed): it holds where the 95 % interval of the paired difference in accuracy on
held-out questions lies above 0. One more: the bank saturates, that is, merge16 is not above merge by 0.05 or more."""


@dataclass(frozen=True)
class Size:
    """How much is learned from, and how long."""

    train: int = 96
    held_out: int = 40
    steps: int = 600
    batch: int = 48
    lr: float = 2e-3


def needle(seed: int) -> Clip:
    """A minute with six things, one after the other."""
    rng = np.random.default_rng([9, seed])
    colours = rng.permutation(list(COLOURS))[:THINGS]
    slots = np.sort(rng.permutation(np.arange(1, SECONDS // 3 - 1))[:THINGS]) * 3.0
    things = []
    for colour, start in zip(colours, slots, strict=True):
        shape, (x, y) = str(rng.choice(list(SHAPES))), rng.uniform(0.3, 0.7, 2)
        rgb = tuple(int(v) for v in COLOURS[str(colour)])
        span = (float(start) - 0.25, float(start) - 0.25 + SHOWN_SECONDS)
        things.append(Thing(str(colour), shape, "large", rgb, 0.18, *span, path=(x, y, x, y), direction=""))
    return Clip(seed, Config(seconds=float(SECONDS), fps=4, size_px=64), (24, 24, 28), tuple(things))


def tokens_of(clips: list[Clip], folder: Path) -> torch.Tensor:
    """What the built-in tower makes of each decoded video, 2 x 2 tokens averaged `[V, T, 16, C]`."""
    model = builtin.load()
    tower, prepare = model.network.model.vision_model, model.processor.image_processor
    found = []
    for clip in clips:
        path = folder / world.video_name(clip)
        world.write(clip, path)
        with open_video(path) as video:
            pictures = [p for chunk in video.stream(1.0) for p in chunk.pixels.transpose(0, 2, 3, 1)]
        path.unlink()
        with torch.no_grad():
            pixels = prepare([[p] for p in pictures], return_tensors="pt", do_image_splitting=False)["pixel_values"]
            seen = tower(pixels[:, 0]).last_hidden_state
            side = round(seen.shape[1] ** 0.5)
            grid = seen.transpose(1, 2).unflatten(2, (side, side))
            found.append(nn.functional.avg_pool2d(grid, 2).flatten(2).transpose(1, 2))
    return torch.stack(found)


def data_of(seed: int, size: Size, root: Path) -> dict[str, Any]:
    """Tokens and things of the videos of a seed, made once."""
    start = FIRST_SEED + seed * 10_000
    parts = {"train": (start, size.train), "held_out": (start + 5_000, size.held_out)}
    clips = {name: [needle(first + i) for i in range(count)] for name, (first, count) in parts.items()}
    path = root / f"seed-{seed}" / "tokens.safetensors"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: tokens_of(some, path.parent).contiguous() for name, some in clips.items()}, path)
    return {"clips": clips, "tokens": load_file(path)}


class Small(nn.Module):
    """A memory Q-Former, a projection and a language model, all of transformers' classes, all learning."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.vocabulary = ["[PAD]", "?", "what", "shape", "is", "the", "thing", *COLOURS, *SHAPES]
        self.qformer = tf.InstructBlipQFormerModel(
            tf.InstructBlipQFormerConfig(
                vocab_size=len(self.vocabulary), hidden_size=96, num_hidden_layers=3, num_attention_heads=4,
                intermediate_size=192, max_position_embeddings=16, encoder_hidden_size=width,
                hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
            )
        )  # fmt: skip
        self.query_tokens = nn.Parameter(torch.randn(1, 8, 96) * 0.5)
        self.language_projection = nn.Linear(96, 64)
        self.language_model = tf.LlamaForCausalLM(
            tf.LlamaConfig(
                vocab_size=len(self.vocabulary), hidden_size=64, intermediate_size=128, num_hidden_layers=2,
                num_attention_heads=4, max_position_embeddings=64, pad_token_id=0, bos_token_id=None, eos_token_id=None,
            )
        )  # fmt: skip

    def ids(self, colours: list[str]) -> torch.Tensor:
        """The questions `[B, L]`."""
        rows = [["what", "shape", "is", "the", colour, "thing", "?"] for colour in colours]
        return torch.tensor([[self.vocabulary.index(word) for word in row] for row in rows])

    def logits(self, seen: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """Of the word after the question, among the shapes `[B, 6]`."""
        visual = self.language_projection(seen[:, :8])
        prompt = torch.cat([visual, self.language_model.get_input_embeddings()(ids)], 1)
        out = self.language_model(inputs_embeds=prompt, logits_to_keep=1, use_cache=False).logits[:, 0]
        return out[:, [self.vocabulary.index(shape) for shape in SHAPES]]


def banked(model: Small, tokens: torch.Tensor, memory: Memory) -> list[State]:
    """The memory of each video `[V, T, N, C]` before its last frame, one batch, in the visual bank alone."""
    parts, state = Parts(model.qformer, model.query_tokens), State()
    plain = replace(memory, cached=False)
    with torch.no_grad():
        for t in range(tokens.shape[1] - 1):
            state = remembered(parts, state, tokens[:, t], memory=plain)
    return state


def picked(state: State, rows: torch.Tensor) -> State:
    """The memory of some of the videos."""
    bank = state.visual
    if bank is None:
        return state
    return replace(state, visual=Bank(bank.values[rows], bank.sizes[rows], bank.times[rows]))


def read(
    model: Small, tokens: torch.Tensor, state: State | None, rows: torch.Tensor, ids: torch.Tensor, memory: Memory
) -> torch.Tensor:
    """The last layer at the last frame of some videos, with gradients."""
    parts, words = Parts(model.qformer, model.query_tokens), Words(ids, torch.ones_like(ids, dtype=torch.bool))
    plain = replace(memory, cached=False)
    if state is None:
        return watched(parts, tokens[rows].unbind(1), words=words, memory=plain)[0]
    return step(parts, picked(state, rows), tokens[rows, -1], words=words, memory=plain)[0]


def run(arm: str, seed: int, size: Size, root: Path = RUNS) -> dict[str, Any]:
    """Trains an arm, asks it the held-out questions, and keeps what came out."""
    torch.set_num_threads(1)
    place = root / f"seed-{seed}" / f"{arm}.json"
    if place.is_file():
        return json.loads(place.read_text())
    data, memory = data_of(seed, size, root), ARMS[arm]
    torch.manual_seed(seed)
    model = Small(data["tokens"]["train"].shape[-1])
    whole = arm in WITH_QUERIES
    states = {name: None if whole else banked(model, t, memory) for name, t in data["tokens"].items()}
    losses = learn(model, data, states["train"], memory, size, seed)
    right = asked(model, data, states["held_out"], memory)
    bank = states["held_out"].visual if states["held_out"] is not None else None
    out = {"arm": arm, "seed": seed, "right": right, "accuracy": statistics.fmean(right), "loss": losses[-20:]}
    out |= {"slots": len(bank) if bank is not None else 0, "bytes_a_video": bank.bytes // size.held_out if bank else 0}
    place.write_text(json.dumps(out))
    return out


def learn(model: Small, data: Any, state: State | None, memory: Memory, size: Size, seed: int) -> list[float]:
    """The loss of every step."""
    rng = np.random.default_rng([seed, 3])
    optimizer = torch.optim.AdamW(model.parameters(), lr=size.lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, size.lr, total_steps=size.steps, pct_start=0.1)
    losses = []
    for _ in range(size.steps):
        rows = rng.integers(0, size.train, size.batch)
        things = [data["clips"]["train"][row].things[rng.integers(THINGS)] for row in rows]
        ids = model.ids([thing.colour for thing in things])
        seen = read(model, data["tokens"]["train"], state, torch.as_tensor(rows), ids, memory)
        truth = torch.tensor([list(SHAPES).index(thing.shape) for thing in things])
        loss = nn.functional.cross_entropy(model.logits(seen, ids), truth)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
    return losses


@torch.no_grad()
def asked(model: Small, data: Any, state: State | None, memory: Memory) -> list[int]:
    """1 for each held-out question that is answered rightly, in order of videos and of appearance."""
    right = []
    for row, clip in enumerate(data["clips"]["held_out"]):
        ids = model.ids([thing.colour for thing in clip.things])
        rows = torch.full((THINGS,), row)
        seen = read(model, data["tokens"]["held_out"], state, rows, ids, memory)
        guesses = model.logits(seen, ids).argmax(1).tolist()
        right += [int(list(SHAPES)[g] == thing.shape) for g, thing in zip(guesses, clip.things, strict=True)]
    return right


def report(root: Path = RUNS) -> dict[str, Any]:
    """What the arms that were run say about the claims."""
    told = [json.loads(path.read_text()) for path in sorted(root.glob("seed-*/*.json"))]
    by_arm = {arm: {one["seed"]: one for one in told if one["arm"] == arm} for arm in ARMS}
    claims = {name: claim(by_arm[a], by_arm[b]) for name, (a, b) in CLAIMS.items() if set(by_arm[a]) & set(by_arm[b])}
    if set(by_arm["merge"]) & set(by_arm["merge16"]):
        grown = claim(by_arm["merge16"], by_arm["merge"])
        claims["the bank saturates"] = grown | {"threshold": 0.05, "holds": grown["high"] < 0.05}
    return {"name": "memory", "claims": claims, "seeds": sorted({one["seed"] for one in told}), "arms": by_arm}


def claim(ours: dict[int, Any], theirs: dict[int, Any]) -> dict[str, Any]:
    """The paired difference of two arms on the same held-out questions of the same seeds."""
    seeds = sorted(set(ours) & set(theirs))
    pairs = [x - y for s in seeds for x, y in zip(ours[s]["right"], theirs[s]["right"], strict=True)]
    low, high = bootstrap([float(p) for p in pairs])
    return {
        "value": statistics.fmean(pairs),
        "low": low,
        "high": high,
        "threshold": 0.0,
        "holds": low > 0,
        "seeds": seeds,
    }


def page(found: dict[str, Any]) -> str:
    """The report as a page."""
    lines = [
        "# MA-LMM in the generated world",
        "",
        "Made by `python results/memory.py --report` from the arms that were run, world version "
        f"{world.scene.VERSION}, seeds {found['seeds']}.",
        "Six things a minute, each shown for two seconds; `--help` says how it is made. Claims, thresholds, settings",
        "stand in `memory.py`, committed before the run. Chance is 0.167. The language model gets 8 visual tokens in",
        "every arm.",
        "",
        "| arm | accuracy, by seed | slots | memory a video |",
        "| --- | --- | ---: | ---: |",
    ]
    for arm, by_seed in found["arms"].items():
        marks = ", ".join(f"{one['accuracy']:.3f}" for one in by_seed.values()) or "not run"
        one = next(iter(by_seed.values()), {"slots": "", "bytes_a_video": 0})
        lines.append(f"| {arm} | {marks} | {one['slots']} | {one['bytes_a_video'] / 1024:.0f} KB |")
    lines += ["", "| claim | difference | 95 % interval | seeds | holds |", "| --- | ---: | --- | --- | --- |"]
    for name in [*CLAIMS, "the bank saturates"]:
        told = found["claims"].get(name)
        if told is None:
            lines.append(f"| {name} | | | | not run |")
            continue
        holds = "yes" if told["holds"] else "**no**"
        lines.append(
            f"| {name} | {told['value']:+.3f} | {told['low']:+.3f} to {told['high']:+.3f} | {told['seeds']} | {holds} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arm", choices=list(ARMS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--smoke", action="store_true", help="every arm on a handful of videos: the machinery")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.smoke:
        with tempfile.TemporaryDirectory() as folder:
            for arm in ARMS:
                run(arm, 0, Size(train=3, held_out=2, steps=2, batch=2), Path(folder))
            print(json.dumps(report(Path(folder))["claims"]))
        return
    arms = [given.arm] if given.arm else [arm for arm in ARMS if arm not in WITH_QUERIES] if given.quick else []
    for arm in arms:
        told = run(arm, given.seed, Size())
        print(f"{arm} seed {given.seed}: {told['accuracy']:.3f}", file=sys.stderr, flush=True)
    if given.report:
        found = report()
        (HERE / "memory.md").write_text(page(found))
        (HERE / "memory.json").write_text(json.dumps(found, indent=1) + "\n")
        print(json.dumps({key: found[key] for key in ("name", "claims", "seeds")}) if given.json else page(found))


if __name__ == "__main__":
    main()
