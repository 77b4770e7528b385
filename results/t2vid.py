"""T2Vid's claims in the generated world: do long texts on pages teach a model to follow long videos?

The built-in model is first taught to read the world's names on pages (`t2vid_reader.py`); only its eye learns that.
From this one reader every arm starts, and only its text side learns. A sample is a clip or a text with four questions:

- video: short clips of two or three things;
- mix: two thirds short clips, one third long texts (16 to 32 lines, four to eight things), a page a line;
- words: the same samples as mix, the texts as words of the prompt instead of pages;
- tenfold: ten times the short clips.

All are asked about held-out videos three times as long, with six things: what came first, what last, and the order of
two, at several numbers of frames. Questions and answers come from the world; what models are shown is pixels.

Claims, held before any run: on the long videos at the most frames, the mix is above video alone; above the mix in
words; not more than 0.02 below ten times the video. `holds` is where the whole interval lies above the threshold.

    python results/t2vid.py --seed 0 [--arm mix]      one seed, or one arm of it; what is done is not done again
    python results/t2vid.py --report                  writes t2vid.md and t2vid.json from all that is done
    python results/t2vid.py --smoke [--json]          the machinery, in a minute; writes nothing
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from videre import compat

compat.need_hf()
HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "recipes")]

import builtin_language as language  # noqa: E402
import numpy as np  # noqa: E402
import t2vid_reader as reading  # noqa: E402
import torch  # noqa: E402
from checkout import commit  # noqa: E402
from t2vid_shown import PAGE, Batches, Encoder, asked, batch, film, long, short  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from videre.methods.t2vid.face import Face  # noqa: E402
from videre.metrics.interval import bootstrap  # noqa: E402
from videre.models import builtin, mllm  # noqa: E402
from videre.train.fit import FitConfig, fit  # noqa: E402

RUNS = HERE.parent / "runs" / "t2vid"
FIRST_SEED = 91_000_000
"""Clips of seed S start at FIRST_SEED + S * 100 000, held-out ones 90 000 later: no other training uses them."""
PARTS = 3
ARMS = ("video", "mix", "words", "tenfold")
CLAIMS = {
    "mix above video": ("mix", "video", 0.0),
    "mix above its words": ("mix", "words", 0.0),
    "mix near tenfold video": ("mix", "tenfold", -0.02),
}


@dataclass(frozen=True)
class Size:
    """How much of everything: steps of reading, samples of an arm, held-out clips, numbers of frames."""

    reading: int = 350
    pages: int = 32
    samples: int = 96
    clips: int = 32
    frames: tuple[int, ...] = (4, 8, 24)
    short_frames: int = 8
    batch: int = 8
    lr: float = 5e-4


SMOKE = Size(reading=2, pages=4, samples=6, clips=2, frames=(2, 4), short_frames=4, batch=2)


@dataclass(frozen=True)
class Told:
    """A mean with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


Load = Callable[[], mllm.TransformersMLLM]


def at(folder: Path) -> Load:
    """What loads a checkpoint as any other, ready to be trained."""
    return partial(mllm.load, str(folder), device="cpu", dtype="float32")


def samples(arm: str, size: Size, first: int) -> list[tuple[str, int]]:
    """The samples of an arm: how each is shown, and its seed."""
    if arm in ("video", "tenfold"):
        return [("video", first + n) for n in range(size.samples * (10 if arm == "tenfold" else 1))]
    way = "pages" if arm == "mix" else "words"
    return [(way if n % 3 == 2 else "video", first + n) for n in range(size.samples)]


def replies(model: nn.Module, rows: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Cross-entropy of each token to be said, and where it stands as `[N, 2]`: the row, the block."""
    hidden = language.states(model, rows)[-1]
    wanted = rows["label"] != -100
    miss = F.cross_entropy(model.lm_head(hidden[wanted]).float(), rows["label"][wanted], reduction="none")
    return miss, torch.stack([wanted.nonzero()[:, 0], rows["block"][wanted]], 1)


def packed(model: mllm.TransformersMLLM) -> nn.Module:
    """The network with the attention that takes several questions at once."""
    model.network.config.text_config._attn_implementation = "packed"
    return model.network


def trained(start: Load, arm: str, size: Size, seed: int, out: Path) -> Path:
    """The folder of an arm's checkpoint: its text side trained on each of its samples once."""
    folder = out / "model"
    if (folder / "config.json").is_file():
        return folder
    model = start()
    network = packed(model)
    for part in (network.model.vision_model, network.model.connector):
        part.requires_grad_(False)
    encoder = Encoder(model._loaded.prompter, Face(None, PAGE.size_px), size.short_frames)
    batches = Batches(encoder, samples(arm, size, FIRST_SEED + 100_000 * seed), size.batch, seed)
    settings = FitConfig(
        str(out / "fit"), len(batches), lr=size.lr, seed=seed, bf16=True, log_steps=5, save_steps=30, resume=True
    )
    fit(network, batches, lambda m, parts: torch.cat([replies(m, rows)[0] for rows in parts]).mean(), settings)
    network.config.text_config._attn_implementation = "sdpa"
    network.save_pretrained(str(folder))
    model.processor.save_pretrained(str(folder))
    return folder


@torch.inference_mode()
def right(model: mllm.TransformersMLLM, clips: Sequence[Any], show: Callable[[Any], Any]) -> list[int]:
    """1 for each question on the clips where the likeliest option is the true one, as `Session.choose` finds it."""
    encoder, network = Encoder(model._loaded.prompter, Face(None, PAGE.size_px)), packed(model).eval()
    drafts = [asked(clip) for clip in clips]
    pairs = [[(draft.text, option) for draft in some for option in draft.options] for some in drafts]
    rows = batch([encoder.packed([show(c)], of, end=False) for c, of in zip(clips, pairs, strict=True)])
    with torch.autocast("cpu", torch.bfloat16):
        miss, place = replies(network, rows)
    said = -torch.zeros(len(clips), 1 + max(map(len, pairs))).index_put(tuple(place.T), miss, accumulate=True)
    found = []
    for row, some in zip(said, drafts, strict=True):
        start = 1  # block 0 holds the frames
        for draft in some:
            best = int(row[start : start + len(draft.options)].argmax())
            found.append(int(draft.options[best] == draft.answer))
            start += len(draft.options)
    return found


def measured(folder: Path, size: Size, seed: int) -> dict[str, list[int]]:
    """Marks on the held-out long videos by number of frames, and on held-out short ones."""
    model = at(folder)()
    made = {str(n): marks(model, partial(long, parts=PARTS), partial(film, count=n), size, seed) for n in size.frames}
    return made | {"short": marks(model, short, partial(film, count=size.short_frames), size, seed)}


def marks(model: Any, make: Callable[[int], Any], show: Callable[[Any], Any], size: Size, seed: int) -> list[int]:
    """The marks on all held-out clips of a seed."""
    first = FIRST_SEED + 100_000 * seed + 90_000
    groups = [range(s, min(s + size.batch, first + size.clips)) for s in range(first, first + size.clips, size.batch)]
    return [mark for group in groups for mark in right(model, [make(s) for s in group], show)]


def run(seed: int, arms: Sequence[str], size: Size, root: Path) -> None:
    """Arms of one seed, and what they answer, a file an arm; what was done before is not done again."""
    face = Face(None, PAGE.size_px)
    reader = reading.teach(at(builtin.FOLDER), steps=size.reading, size=size.pages, face=face, out=root / "reader")
    for arm in arms:
        out = root / f"seed-{seed}" / arm
        note = out / "right.json"
        if note.is_file():
            continue
        folder = reader if arm == "reader" else trained(at(reader), arm, size, seed, out)
        found = measured(folder, size, seed)
        out.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps(found) + "\n", "utf-8")
        print(f"seed {seed}, {arm}: " + ", ".join(f"{k} {np.mean(v):.3f}" for k, v in found.items()), file=sys.stderr)


def gathered(root: Path) -> list[dict[str, Any]]:
    """What the arms that are done answered, for every seed."""
    runs = []
    for folder in sorted(root.glob("seed-*")):
        notes = {arm: folder / arm / "right.json" for arm in ("reader", *ARMS)}
        done = {arm: json.loads(note.read_text("utf-8")) for arm, note in notes.items() if note.is_file()}
        runs.append({"seed": int(folder.name.removeprefix("seed-")), **done})
    return runs


def kinds(seed: int, size: Size, what: str) -> list[tuple[int, str]]:
    """The clip and the kind of each question behind the marks of `measured`."""
    first = FIRST_SEED + 100_000 * seed + 90_000
    make = short if what == "short" else partial(long, parts=PARTS)
    return [(s, draft.kind) for s in range(first, first + size.clips) for draft in asked(make(s))]


def value(runs: Sequence[dict[str, Any]], size: Size, arms: tuple[str, str], what: str, kind: str = "") -> Told | None:
    """The mean mark of an arm, less that of another if one is named, over all seeds that have both; by clip."""
    numbers, clips = list[float](), list[int]()
    ours, theirs = arms
    for one in (run for run in runs if all(arm in run for arm in arms if arm)):
        for at_, (clip, of) in enumerate(kinds(one["seed"], size, what)):
            if not kind or of == kind:
                numbers.append(float(one[ours][what][at_]) - (float(one[theirs][what][at_]) if theirs else 0.0))
                clips.append(clip)
    if not numbers:
        return None
    low, high = bootstrap(numbers, groups=clips)
    return Told(float(np.mean(numbers)), low, high)


def claims(runs: Sequence[dict[str, Any]], size: Size) -> dict[str, dict[str, Any]]:
    """What was claimed beforehand, on the long videos at the most frames."""
    made = {}
    for name, (ours, theirs, threshold) in CLAIMS.items():
        gain = value(runs, size, (ours, theirs), str(max(size.frames)))
        if gain is not None:
            made[name] = {**asdict(gain), "threshold": threshold, "holds": gain.low > threshold}
    return made


def table(runs: Sequence[dict[str, Any]], size: Size) -> str:
    """Accuracy by arm: long videos by number of frames, by kind at the most frames, and short videos."""
    most = str(max(size.frames))
    views = {
        **{f"long, {n} frames": (str(n), "") for n in size.frames},
        **{f"{kind}, {most}": (most, kind) for kind in ("order", "first", "last")},
        f"short, {size.short_frames} frames": ("short", ""),
    }
    lines = ["| arm | seeds | " + " | ".join(views) + " |", "| --- |" + " ---: |" * (1 + len(views))]
    for arm in ("reader", *ARMS):
        cells = [value(runs, size, (arm, ""), *view) for view in views.values()]
        if any(cells):
            done = sum(arm in run for run in runs)
            lines.append(f"| {arm} | {done} | " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines)


def report(root: Path, size: Size) -> dict[str, Any]:
    """Writes `t2vid.json` and `t2vid.md`: the figures, and after them `t2vid_notes.md`, which says what they mean."""
    runs = gathered(root)
    found, seeds = claims(runs, size), [one["seed"] for one in runs]
    state = commit("results/t2vid*.py", "src/videre/methods/t2vid", "src/videre/train", "src/videre/models")
    face = Face(None, PAGE.size_px)
    read = reading.accuracy(at(root / "reader" / "model"), 400, face)
    out = {"name": "t2vid", "claims": found, "seeds": seeds, "size": asdict(size), "reads": read, "commit": state}
    (HERE / "t2vid.json").write_text(json.dumps(out, indent=1) + "\n", "utf-8")
    lines = "\n".join(
        f"| {name} | {c['value']:+.3f} | {c['low']:+.3f} to {c['high']:+.3f} | {c['threshold']:+.2f} | "
        f"{'yes' if c['holds'] else 'not shown'} |" for name, c in found.items()
    )  # fmt: skip
    head = (
        "# T2Vid in the generated world\n\n"
        f"`python results/t2vid.py --seed 0` (1, 2), then `--report`; commit {state}, "
        f"seeds {', '.join(map(str, seeds))}.\n"
        f"Settings: {', '.join(f'{name} {value}' for name, value in asdict(size).items())}.\n"
        f"The reader names {read['colour']:.1%} of colours and {read['shape']:.1%} of shapes on 400 new pages.\n\n"
        "| claim | difference | 95 % interval | must exceed | holds |\n| --- | ---: | ---: | ---: | --- |\n"
    )
    text = f"{head}{lines}\n\nShare of right answers, with 95 % intervals drawn by clip:\n\n{table(runs, size)}\n"
    notes = HERE / "t2vid_notes.md"
    (HERE / "t2vid.md").write_text(text + ("\n" + notes.read_text("utf-8") if notes.is_file() else ""), "utf-8")
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--arm", choices=("reader", *ARMS), action="append", help="default: all")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--out", type=Path, default=RUNS)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.smoke:
        with tempfile.TemporaryDirectory() as root:
            run(0, ("reader", *ARMS), SMOKE, Path(root))
            runs = gathered(Path(root))
        print(table(runs, SMOKE))
        found: dict[str, Any] = {"name": "t2vid", "claims": claims(runs, SMOKE), "seeds": [0]}
    elif given.report:
        found = report(given.out, Size())
        print((HERE / "t2vid.md").read_text("utf-8"))
    elif given.seed is not None:
        run(given.seed, given.arm or ("reader", *ARMS), Size(), given.out)
        return
    else:
        parser.error("name a --seed to run, --report, or --smoke")
    if given.json:
        print(json.dumps({name: found[name] for name in ("name", "claims", "seeds")}))


if __name__ == "__main__":
    main()
