"""The frame selector's claims on NeedleFrames: labels from models that read pixels, a trained selector, two answerers.

    python results/selector.py --smoke     (a minute: the machinery, no claim)
    python results/selector.py --quick     (one fresh seed, the per-frame layout)
    python results/selector.py             (three seeds, both layouts, and selectors of each kind of label alone)

Claims, thresholds and settings stand here and were written before the run. `holds` is computed from the 95 % interval
of paired differences over the questions of all seeds; where a claim asks for a margin, the interval must lie above it.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import needle_frames as needles
import numpy as np
import torch
import transformers as tf
from needle_frames import Asked, Films, Lots, Needles

from videre.methods.frame_selector.model import FrameSelector, FrameSelectorConfig
from videre.methods.frame_selector.stages import loss
from videre.metrics.interval import paired
from videre.train.fit import FitConfig, fit
from videre.video.strategies import nms_greedy, top_k

HERE = Path(__file__).parent
VERSION = 1
FIRST_SEED = 910_000
CLAIMS: dict[str, tuple[str, str, float]] = {
    "trained beats CLIP similarity, k=4": ("trained nms 4", "clip nms 4", 0.0),
    "4 trained beat 8 uniform by 20": ("trained nms 4", "uniform 8", 0.20),
    "8 trained beat 16 uniform by 20": ("trained nms 8", "uniform 16", 0.20),
    "both labels beat spatial alone, k=4": ("both nms 4", "spatial nms 4", 0.0),
    "both labels beat temporal alone, k=4": ("both nms 4", "temporal nms 4", 0.0),
    "NMS beats top-k on the mix, k=4": ("both nms 4", "both top 4", 0.0),
    "trained keeps 85 % of its labels, k=4": ("trained nms 4", "0.85 of both nms 4", 0.0),
    "a second answerer: trained beats CLIP, k=4": ("second: trained nms 4", "second: clip nms 4", 0.0),
    "a second answerer: 4 trained beat 8 uniform by 20": ("second: trained nms 4", "second: uniform 8", 0.20),
}
"""Claim -> (ours, theirs, margin): the mean difference of being right, over the same questions, is above the margin."""


@dataclass(frozen=True)
class Size:
    """How much is done: seeds, steps of each training, held-out videos with four questions each."""

    seeds: int = 3
    reader_steps: int = 300
    clip_steps: int = 200
    selector_steps: int = 1500
    films: int = 16
    held_out: int = 200
    layouts: tuple[str, ...] = ("frame", "query")
    alone: bool = True


FULL = Size()
QUICK = Size(
    seeds=1, reader_steps=180, clip_steps=120, selector_steps=500, held_out=150, layouts=("frame",), alone=False
)
SMOKE = Size(
    seeds=1, reader_steps=12, clip_steps=6, selector_steps=6, films=4, held_out=6, layouts=("frame",), alone=False
)


@dataclass(frozen=True)
class World:
    """The frozen models of a seed: two readers and a CLIP."""

    eyes: Any
    other: Any
    clip: Any


def world(seed: int, size: Size, out: Path) -> World:
    """Trains the models that label and answer."""
    eyes = needles.reader("transformer", size.reader_steps, seed, out / "eyes")
    other = needles.reader("cells", size.reader_steps, seed + 1, out / "other")
    return World(eyes, other, needles.likeness(size.clip_steps, seed + 2, out / "clip"))


def labels(models: World, told: Films, asked: Sequence[Asked], draw: np.random.Generator) -> dict[str, np.ndarray]:
    """Spatial labels of one reader, temporal ones of the other's captions, and their mean `[Q, n]`."""
    spatial = needles.spatial(models.eyes.read(told.pixels), asked)
    temporal = needles.temporal(models.other.read(told.pixels), asked, draw)
    return {"spatial": spatial, "temporal": temporal, "both": (spatial + temporal) / 2}


def untrained(layout: str, tower: Any, seed: int) -> FrameSelector:
    """A selector around the frozen tower: one token a frame, a language model of four blocks, 18 words."""
    torch.manual_seed(seed)
    text = tf.Qwen2Config(
        vocab_size=18, hidden_size=64, intermediate_size=192, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=4, initializer_range=0.05, tie_word_embeddings=True,
    )  # fmt: skip
    config = FrameSelectorConfig(vision_config=tower.config, text_config=text, layout=layout, n=Needles().n, grid=1)
    model = FrameSelector(config)
    model.vision.load_state_dict(tower.state_dict())
    model.vision.requires_grad_(False)
    return model


def trained(models: World, kind: str, layout: str, seed: int, size: Size, out: Path) -> FrameSelector:
    """A selector trained on one kind of label. Unlike the recipe it has no language model to start from: all learns."""
    model = untrained(layout, models.eyes.tower, seed)

    def batch(draw: np.random.Generator) -> dict[str, torch.Tensor]:
        told = needles.films(draw, size.films)
        asked = needles.questions(draw, told, 4)
        return {**prepared(model, told, asked), "targets": torch.from_numpy(labels(models, told, asked, draw)[kind])}

    config = FitConfig(str(out), size.selector_steps, lr=2e-3, seed=seed, log_steps=50)
    fit(model, Lots(batch, size.selector_steps, seed), loss, config)
    return model.eval()


def prepared(model: FrameSelector, told: Films, asked: Sequence[Asked]) -> dict[str, torch.Tensor]:
    """What the selector takes."""
    count, n = told.pixels.shape[:2]
    flat = needles.floats(told.pixels.reshape(-1, 3, needles.SIDE, needles.SIDE))
    patches = model.encode(flat, batch=512).view(count, n, 9, -1)[[one.film for one in asked]]
    ids = torch.tensor([one.tokens for one in asked])
    return {"patches": patches, "input_ids": ids, "lengths": torch.full((len(asked),), 2)}


@torch.no_grad()
def scores(model: FrameSelector, told: Films, asked: Sequence[Asked]) -> np.ndarray:
    """Probabilities `[Q, n]`."""
    parts = []
    for start in range(0, len(asked), 64):
        given = prepared(model, told, asked[start : start + 64])
        parts.append(torch.sigmoid(model(given["patches"], given["input_ids"], given["lengths"])).double().numpy())
    return np.concatenate(parts)


def uniform(n: int, k: int) -> list[int]:
    """Bin centres."""
    return [int((i + 0.5) * n / k) for i in range(k)]


def measured(models: World, selectors: dict[str, FrameSelector], seed: int, size: Size) -> dict[str, np.ndarray]:
    """Arm -> whether each held-out question is answered right; "second:" arms by the other answerer."""
    draw = np.random.default_rng([seed, 77])
    told = needles.films(draw, size.held_out)
    asked = needles.questions(draw, told, 4)
    curves = labels(models, told, asked, draw) | {"clip": needles.similarity(models.clip, told, asked)}
    curves |= {name: scores(model, told, asked) for name, model in selectors.items()}
    found = {}
    for name, reader in (("", models.other), ("second: ", models.eyes)):
        seen = reader.read(told.pixels)
        for k in (4, 8, 16):
            found[f"{name}uniform {k}"] = needles.answers(seen, asked, [uniform(Needles().n, k)] * len(asked))
        for kind, lines in curves.items():
            for k in (4, 8):
                chosen = [nms_greedy(line, k) for line in lines]
                found[f"{name}{kind} nms {k}"] = needles.answers(seen, asked, chosen)
                found[f"{name}{kind} top {k}"] = needles.answers(seen, asked, [top_k(line, k) for line in lines])
    return found


def density(models: World, seed: int, size: Size) -> list[tuple[int, float]]:
    """Right answers from 4 frames by both labels, by the number of candidates that may be chosen from."""
    draw = np.random.default_rng([seed, 78])
    told = needles.films(draw, size.held_out)
    asked = needles.questions(draw, told, 4)
    seen, curve = models.other.read(told.pixels), labels(models, told, asked, draw)["both"]
    rows = []
    for pool in (4, 8, 16, 32):
        places = np.array(uniform(Needles().n, pool))
        chosen = [places[nms_greedy(line[places], 4)] for line in curve]
        rows.append((pool, float(needles.answers(seen, asked, chosen).mean())))
    return rows


def bursts(models: World, seed: int, size: Size) -> list[tuple[str, float]]:
    """The gain of 4 frames by both labels over 8 uniform ones, by how long events last; 64 candidates."""
    rows = []
    for low, high in ((1, 2), (3, 4), (5, 6), (7, 8)):
        config = Needles(n=64, events=5, bursts=(low, high), gap=4)
        draw = np.random.default_rng([seed, 79])
        told = needles.films(draw, size.held_out // 2, config)
        asked = needles.questions(draw, told, 4)
        seen, curve = models.other.read(told.pixels), labels(models, told, asked, draw)["both"]
        ours = needles.answers(seen, asked, [nms_greedy(line, 4) for line in curve]).mean()
        even = needles.answers(seen, asked, [uniform(64, 8)] * len(asked)).mean()
        rows.append((f"{low}-{high}", float(ours - even)))
    return rows


def nms_limit(models: World, seed: int, size: Size) -> list[tuple[int, float, float]]:
    """Questions of order whose two events lie `gap` apart: right by NMS and by top-k, 4 of 128 candidates (delta 8)."""
    rows = []
    for gap in (1, 2, 4, 6, 8, 12):
        config = Needles(n=128, events=2, bursts=(1, 1), gap=gap, badged=0)
        draw = np.random.default_rng([seed, 80])
        told = _near(needles.films(draw, max(6, size.held_out // 2), config), draw, gap)
        asked = [needles._question(draw, told, b, "T") for b in range(len(told.start))]
        seen, curve = models.other.read(told.pixels), labels(models, told, asked, draw)["both"]
        by = [needles.answers(seen, asked, [pick(line, 4) for line in curve]).mean() for pick in (nms_greedy, top_k)]
        rows.append((gap, float(by[0]), float(by[1])))
    return rows


def _near(told: Films, draw: np.random.Generator, gap: int) -> Films:
    """The same videos with the second event `gap` frames after the first."""
    start = told.start.copy()
    start[:, 0] = np.minimum(start[:, 0], told.pixels.shape[1] - gap - 1)
    start[:, 1] = start[:, 0] + gap
    moved = needles.dataclasses.replace(told, start=start, stop=start + 1)
    return needles.dataclasses.replace(moved, pixels=needles._painted(draw, moved, told.pixels.shape[1]))


def judged(found: dict[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """Every claim with its difference, interval and whether it holds."""
    claims = {}
    for name, (ours, theirs, margin) in CLAIMS.items():
        factor, arm = (0.85, theirs.removeprefix("0.85 of ")) if theirs.startswith("0.85 of ") else (1.0, theirs)
        told = paired(found[ours].tolist(), (factor * found[arm]).tolist())
        claims[name] = {
            "value": told.mean, "low": told.low, "high": told.high, "threshold": margin, "holds": told.low > margin,
        }  # fmt: skip
    return claims


def monotone(values: Sequence[float], *, rising: bool, slack: float = 0.02) -> bool:
    """Whether a curve never turns by more than `slack`."""
    steps = np.diff(values)
    return bool((steps >= -slack).all() if rising else (steps <= slack).all())


def run(size: Size, first: int, folder: Path) -> dict[str, Any]:
    """Everything, for all seeds."""
    arms: dict[str, list[np.ndarray]] = {}
    curves: dict[str, list[Any]] = {"density": [], "bursts": [], "nms limit": []}
    seeds, started = [first + 10 * i for i in range(size.seeds)], time.process_time()
    for seed in seeds:
        models = world(seed, size, folder / f"{seed}")
        selectors = {"trained": trained(models, "both", "frame", seed + 3, size, folder / f"{seed}" / "both")}
        if "query" in size.layouts:
            selectors["trained query"] = trained(models, "both", "query", seed + 4, size, folder / f"{seed}" / "query")
        for kind in ("spatial", "temporal") if size.alone else ():
            selectors[f"trained on {kind}"] = trained(models, kind, "frame", seed + 5, size, folder / f"{seed}" / kind)
        for arm, right in measured(models, selectors, seed + 6, size).items():
            arms.setdefault(arm, []).append(right)
        for name, make in (("density", density), ("bursts", bursts), ("nms limit", nms_limit)):
            curves[name].append(make(models, seed + 7, size))  # type: ignore[operator]
    found = {arm: np.concatenate(parts) for arm, parts in arms.items()}
    claims = judged(found)
    for name, rising in (("density", True), ("bursts", False)):
        line = np.mean([[row[1] for row in rows] for rows in curves[name]], axis=0)
        claims[f"{name} curve is monotone"] = {
            "value": float(line[-1] - line[0]), "low": None, "high": None, "threshold": 0.02,
            "holds": monotone(line.tolist(), rising=rising),
        }  # fmt: skip
    return {
        "name": "selector", "version": VERSION, "claims": claims, "seeds": seeds, "size": asdict(size),
        "questions": len(found["uniform 4"]), "cpu_seconds": round(time.process_time() - started),
        "arms": {arm: float(right.mean()) for arm, right in found.items()}, "curves": curves, "commit": commit(),
    }  # fmt: skip


def commit() -> str:
    """The commit that ran, with a mark where files differ from it."""
    call: Callable[..., Any] = subprocess.run
    told = call(["git", "describe", "--always", "--dirty"], cwd=HERE, capture_output=True, text=True)
    return told.stdout.strip() or "unknown"


def page(told: dict[str, Any], command: str) -> str:
    """The result for a person."""
    lines = [
        "# Frame selection on NeedleFrames", "",
        f"`{command}`, commit {told['commit']}, seeds {told['seeds']}, {told['questions']} held-out questions, "
        f"{told['cpu_seconds']} CPU seconds on one thread. {needles.Needles()}.", "",
        "| claim | difference | 95 % interval | must exceed | holds |", "| --- | ---: | ---: | ---: | --- |",
    ]  # fmt: skip
    for name, one in told["claims"].items():
        interval = "" if one["low"] is None else f"{100 * one['low']:.1f} to {100 * one['high']:.1f}"
        margin = "(monotone)" if one["low"] is None else f"{100 * one['threshold']:.0f}"
        lines.append(
            f"| {name} | {100 * one['value']:.1f} | {interval} | {margin} | {'yes' if one['holds'] else '**no**'} |"
        )
    lines += ["", "Right answers in %, by the first answerer and by the second (another architecture):", ""]
    lines += ["| frames chosen by | first | second |", "| --- | ---: | ---: |"]
    for arm, value in told["arms"].items():
        if not arm.startswith("second"):
            lines.append(f"| {arm} | {100 * value:.1f} | {100 * told['arms']['second: ' + arm]:.1f} |")
    for name, head in (
        ("density", "candidates | right in %"),
        ("bursts", "burst length | gain of 4 chosen over 8 uniform"),
    ):
        rows = np.mean([[row[1] for row in rows] for rows in told["curves"][name]], axis=0)
        lines += ["", f"| {head} |", "| --- | ---: |"]
        lines += [f"| {row[0]} | {100 * v:.1f} |" for row, v in zip(told["curves"][name][0], rows, strict=True)]
    lines += [
        "",
        "The limit of NMS: questions of order whose two events lie close, 4 of 128 candidates, so delta is 8.",
        "",
    ]
    lines += ["| frames apart | NMS | top-k |", "| ---: | ---: | ---: |"]
    limits = np.mean([[row[1:] for row in rows] for rows in told["curves"]["nms limit"]], axis=0)
    lines += [
        f"| {row[0]} | {100 * v[0]:.1f} | {100 * v[1]:.1f} |"
        for row, v in zip(told["curves"]["nms limit"][0], limits, strict=True)
    ]
    return "\n".join([*lines, "", NOTE, ""])


NOTE = """What this shows and what not: labels beat each other by how the questions are made (a badge stands in no
caption, an order in no single frame), so these rows test that labelling, strategies and training keep what is there.
The judge, the caption reader and the answerers are small programs over networks that read pixels; the CLIP is small
too. The selector has no pre-trained language model to start from, so all of it but its vision tower learns, in one
stage."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seed", type=int, default=FIRST_SEED)
    given = parser.parse_args()
    torch.set_num_threads(1)
    size = SMOKE if given.smoke else QUICK if given.quick else FULL
    with tempfile.TemporaryDirectory() as folder:
        told = run(size, given.seed, Path(folder))
    if not given.smoke:
        command = f"python results/selector.py{' --quick' if given.quick else ''}"
        (HERE / "selector.md").write_text(page(told, command), "utf-8")
        (HERE / "selector.json").write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    if given.json:
        print(json.dumps({key: told[key] for key in ("name", "claims", "seeds")}))
    else:
        print(page(told, "smoke" if given.smoke else "python results/selector.py"))


if __name__ == "__main__":
    main()
