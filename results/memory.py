"""MA-LMM's claims in the generated world: what of a video can still be told from a memory of eight slots.

A video has 60 frames, one a second, in four scenes with a stage and grey scenery of their own; six things of six
colours are shown on it, each once, for two frames. It is written as H.264 and decoded again. A small InstructBLIP
(the real class) has learned, from nothing, to answer "what shape is the red thing ?" about single pictures. It
becomes a `MALMM`; Q-Former, learned queries and projection learn on from 150 such videos, and it is asked about 60
others, six questions each. Arms differ in how memory is kept, and in nothing else: the same seeds, steps, weights to
begin with, and 8 LLM tokens. Chance is 1 in 6; every reply is a word that the model wrote.

The visual bank depends on nothing that is learned here (the vision tower and its norm are frozen, there are no
position vectors), so it is made once a video and arm, by the same `remembered` that a running model uses. Arms with
query banks read the whole video at every step. Some of the held-out videos are also watched frame by frame by the
public `MALMM.watch`, and the replies must be the same.

    python results/memory.py --arm merge [--seed 0]     one arm of one seed, kept in runs/memory
    python results/memory.py --all                      every arm of every seed that is not there yet
    python results/memory.py --report                   what was run -> results/memory.md and memory.json
    python results/memory.py --smoke                    the machinery, in a minute
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent))
from memory_model import (
    QUERIES,
    WORDS,
    Lots,
    Schooling,
    ids_of,
    pixels_of,
    question,
    reply_loss,
    schooled,
    tokens_of,
    told,
    words_of,
)
from memory_report import report
from memory_world import Minute, asked, decoded, minute

from videre.data.world.scene import Thing
from videre.methods.ma_lmm import bank as banks
from videre.methods.ma_lmm.bank import Bank
from videre.methods.ma_lmm.loading import save
from videre.methods.ma_lmm.memory import Memory, State, remembered, step, watched
from videre.methods.ma_lmm.model import MALMM, Settings
from videre.models.voice import Writing
from videre.train.fit import FitConfig, fit
from videre.types import Frames, Question

HERE = Path(__file__).parent
RUNS = HERE.parent / "runs" / "memory"
SEEDS = (0, 1, 2)
SLOTS = 8
ARMS: dict[str, Memory] = {
    "none": Memory(0, 0),
    "fifo": Memory(SLOTS, 0, reduce=banks.fifo),
    "merge": Memory(SLOTS, 0),
    "pool": Memory(1, 0, reduce=banks.pool),
    "uniform": Memory(SLOTS, 0, reduce=banks.uniform),
    "tome": Memory(SLOTS, 0, reduce=banks.tome),
    "tome in frames": Memory(1, 0, reduce=banks.concatenate),
    "merge2": Memory(2, 0),
    "merge16": Memory(16, 0),
    "merge32": Memory(32, 0),
    "windows: query": Memory(0, SLOTS),
    "windows: both": Memory(SLOTS, SLOTS),
    "windows: visual": Memory(SLOTS, 0),
    "concatenate": Memory(1, 0, reduce=banks.concatenate),
    "plain": Memory(SLOTS, 0, reduce=banks.compress_plainly),
    "merge4": Memory(4, 0),
}
"""`tome in frames` keeps every frame and two tokens of each, the paper's way to use ToMe; it has no public road."""
WINDOW_FRAMES = 4
"""Arms named after windows learn from so many frames, the thing that is asked for among them and none to two frames
after it: a step with query banks runs the Q-Former frame by frame, and whole videos would cost fifteen times as much.
They are asked about whole videos as the others are."""


@dataclass(frozen=True)
class Size:
    """How much is learned from, and how long."""

    train: int = 150
    held_out: int = 60
    steps: int = 200
    windows_steps: int = 1000
    batch: int = 32
    lr: float = 1e-3
    watched: int = 3
    schooling: Schooling = field(default_factory=Schooling)
    minute: Minute = field(default_factory=Minute)


class Learning(nn.Module):
    """What learns, as in the paper: Q-Former, learned queries and projection; tower and language model do not."""

    def __init__(self, model: MALMM) -> None:
        super().__init__()
        model.network.requires_grad_(False)
        self.qformer, self.query_tokens = model.network.qformer, model.network.query_tokens
        self.language_projection = model.network.language_projection
        self.requires_grad_(True)


def data_of(seed: int, size: Size, root: Path, model: MALMM) -> dict[str, Any]:
    """Clips of a seed and what the tower makes of them."""
    start = 60_000_000 + seed * 10_000
    parts = {"train": (start, size.train), "held_out": (start + 5_000, size.held_out)}
    clips = {name: [minute(first + i, size.minute) for i in range(count)] for name, (first, count) in parts.items()}
    path = root / f"seed-{seed}" / "tokens.pt"
    if not path.is_file():
        tokens = {name: torch.cat([tokens_of(model, pixels_of(model, film)[None]) for film in decoded(some)])
                  for name, some in clips.items()}  # fmt: skip
        torch.save(tokens, path)
    return {"clips": clips, "tokens": torch.load(path, weights_only=True)}


@torch.no_grad()
def banked(model: MALMM, tokens: Tensor, memory: Memory) -> State:
    """The visual bank of each video `[V, T, N, C]` before its last frame, as one batch."""
    state = State()
    for frame in tokens[:, :-1].unbind(1):
        state = remembered(model.parts, state, frame, memory=memory)
    return state


def in_frames(tokens: Tensor, *, keep: int) -> Tensor:
    """The tokens of each frame, the most alike pair merged by size until so many are left `[V, T, N, C]`."""
    frames = tokens.flatten(0, 1)
    sizes = torch.ones(frames.shape[:2])
    rows = torch.arange(len(frames))
    while frames.shape[1] > keep:
        unit = nn.functional.normalize(frames, dim=-1)
        alike = (unit @ unit.transpose(1, 2)).tril(-1) - 2 * torch.ones(frames.shape[1:2] * 2).triu()
        gone, into = (torch.stack(list(torch.unravel_index(alike.flatten(1).argmax(1), alike.shape[1:])), 0)).unbind(0)
        both = sizes[rows, into] + sizes[rows, gone]
        mean = frames[rows, into] * sizes[rows, into, None] + frames[rows, gone] * sizes[rows, gone, None]
        frames, sizes = frames.clone(), sizes.clone()
        frames[rows, into], sizes[rows, into] = mean / both[:, None], both
        left = torch.ones_like(sizes, dtype=torch.bool).scatter(1, gone[:, None], False)
        frames, sizes = frames[left].unflatten(0, (len(rows), -1)), sizes[left].unflatten(0, (len(rows), -1))
    return frames.unflatten(0, tokens.shape[:2])


def read(model: MALMM, tokens: Tensor, state: State | None, rows: Tensor, ids: Tensor, memory: Memory) -> Tensor:
    """The last layer at the last frame of some videos, with gradients; the whole video where no bank is given."""
    words = words_of(ids)
    if state is None:
        return watched(model.parts, tokens[rows].unbind(1), words=words, memory=memory)[0]
    bank = state.visual and Bank(state.visual.values[rows], state.visual.sizes[rows], state.visual.times[rows])
    return step(model.parts, replace(state, visual=bank), tokens[rows, -1], words=words, memory=memory, learn=True)[0]


def run(arm: str, seed: int, size: Size, root: Path = RUNS) -> dict[str, Any]:
    """Trains an arm, asks it the held-out questions, and keeps what came out."""
    torch.set_num_threads(1)
    place = root / f"seed-{seed}" / f"{_file(arm)}.json"
    if place.is_file():
        return json.loads(place.read_text())
    began = time.process_time()
    model = schooled(seed, size.schooling, root / f"seed-{seed}" / "schooled")
    data, memory = data_of(seed, size, root, model), replace(ARMS[arm], cached=False)
    if arm == "tome in frames":
        data["tokens"] = {name: in_frames(tokens, keep=2) for name, tokens in data["tokens"].items()}
    model.settings = Settings(memory=memory, recall="visual", writing=Writing(answer_tokens=2))
    whole = {"train": "windows" in arm, "held_out": memory.query > 0}
    states = {name: None if whole[name] else banked(model, t, memory) for name, t in data["tokens"].items()}
    before = share(replies(model, data, states["held_out"], memory))
    ready = time.process_time()
    learn(model, data, states["train"], memory, size, seed, root / f"seed-{seed}" / _file(arm))
    right = replies(model, data, states["held_out"], memory)
    out = {"arm": arm, "seed": seed, "right": right, "accuracy": share(right), "training_free": before}
    out |= {
        "watched": {} if "frames" in arm else public(model, data, right, size),
        **room(states["held_out"], data["tokens"]["held_out"], memory),
    }
    out |= {"seconds": [ready - began, time.process_time() - ready], "size": asdict(size)}
    if arm == "merge":
        save(model, root / f"seed-{seed}" / "malmm")
    place.write_text(json.dumps(out))
    return out


def _file(arm: str) -> str:
    return arm.replace(": ", "-").replace(" ", "-")


def learn(model: MALMM, data: Any, state: State | None, memory: Memory, size: Size, seed: int, folder: Path) -> None:
    """Teaches the model its memory."""

    def some(rng: np.random.Generator) -> dict[str, Any]:
        rows = rng.integers(0, size.train, size.batch)
        things = [asked(data["clips"]["train"][row]) for row in rows]
        chosen = [each[rng.integers(len(each))] for each in things]
        after = rng.integers(0, WINDOW_FRAMES - 1, size.batch)
        ends = [round(one.end_seconds + 0.25) + int(more) for one, more in zip(chosen, after, strict=True)]
        return {"rows": torch.as_tensor(rows), "ends": torch.tensor(ends), **told(chosen)}

    def loss(_: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        tokens, rows = data["tokens"]["train"], batch["rows"]
        if state is None:
            tokens, rows = windows(tokens, rows, batch["ends"]), torch.arange(len(rows))
        seen = read(model, tokens, state, rows, batch["ids"], memory)
        return reply_loss(model, seen, batch["ids"], batch["truth"])

    steps = size.windows_steps if state is None else size.steps
    config = FitConfig(str(folder), steps, lr=size.lr, seed=seed, warmup=0.1)
    fit(Learning(model), Lots(some, steps, seed + 1000), loss, config)


def windows(tokens: Tensor, rows: Tensor, ends: Tensor) -> Tensor:
    """The frames of a few videos just before these ends, within the video `[B, WINDOW_FRAMES, N, C]`."""
    start = (ends - WINDOW_FRAMES).clamp(0, tokens.shape[1] - WINDOW_FRAMES)
    return tokens[rows[:, None], start[:, None] + torch.arange(WINDOW_FRAMES)]


@torch.no_grad()
def replies(model: MALMM, data: Any, state: State | None, memory: Memory) -> list[list[int]]:
    """A row a held-out video: 1 for each question whose reply is the right word, in order of appearance."""
    clips, tokens = data["clips"]["held_out"], data["tokens"]["held_out"]
    rows = torch.tensor([v for v, clip in enumerate(clips) for _ in asked(clip)])
    things = [one for clip in clips for one in asked(clip)]
    seen = read(model, tokens, state, rows, ids_of([one.colour for one in things]), memory)
    said = iter([word == one.shape for word, one in zip(_said(model, seen, things), things, strict=True)])
    return [[int(next(said)) for _ in asked(clip)] for clip in clips]


def _said(model: MALMM, seen: Tensor, things: list[Thing]) -> list[str]:
    """The replies, greedily, two words at most; all prompts have one length, so they are written as one batch."""
    language, table = model.network.language_model, model.network.language_model.get_input_embeddings()
    prompt = torch.cat([model.projected(seen), table(ids_of([one.colour for one in things]))], 1)
    written: list[Tensor] = []
    for _ in range(2):
        written.append(language(inputs_embeds=prompt, logits_to_keep=1, use_cache=False).logits[:, -1].argmax(-1))
        prompt = torch.cat([prompt, table(written[-1])[:, None]], 1)
    end = WORDS.index("</s>")
    rows = torch.stack(written, 1).tolist()
    ends = [row[: row.index(end)] if end in row else row for row in rows]
    return [model.voice.said(reply) for reply in ends]


def public(model: MALMM, data: Any, right: list[list[int]], size: Size) -> dict[str, int]:
    """Some videos watched frame by frame by the public session: how many replies are right or wrong as they were."""
    same = count = 0
    clips = data["clips"]["held_out"][: size.watched]
    for clip, film, row in zip(clips, decoded(clips), right, strict=False):
        texts = [question(one) for one in asked(clip)]
        session = model.watch(follow=texts) if model.settings.memory.query else model.watch(recall="visual")
        session.push(Frames(film, np.arange(len(film), dtype=np.float64)))
        for text, one, mark in zip(texts, asked(clip), row, strict=True):
            same, count = same + int((session.answer(Question(text)).text == one.shape) == bool(mark)), count + 1
    return {"same": same, "questions": count}


def share(right: list[list[int]]) -> float:
    """The share of right replies."""
    return statistics.fmean(mark for row in right for mark in row)


def room(state: State | None, tokens: Tensor, memory: Memory) -> dict[str, int]:
    """Slots that a video ends with, tokens that the Q-Former reads at its last frame, and the bytes of its banks."""
    visual = len(state.visual) if state is not None and state.visual is not None else memory.visual
    held = state.bytes // len(tokens) if state is not None else 0
    return {"slots": visual, "keys": (visual + 1) * tokens.shape[2], "bytes": held, "llm_tokens": QUERIES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arm", choices=list(ARMS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--minutes", type=float, help="with --all: start no arm after so many minutes")
    parser.add_argument("--smoke", action="store_true", help="every arm on a handful of videos: the machinery")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--root", type=Path, default=RUNS)
    given = parser.parse_args()
    if given.smoke:
        with tempfile.TemporaryDirectory() as folder:
            for arm in ARMS:
                run(arm, 0, SMOKE, Path(folder))
            print(json.dumps(report(Path(folder), list(ARMS))["claims"]))
        return
    todo = [(arm, seed) for seed in SEEDS for arm in ARMS] if given.all else [(given.arm, given.seed)]
    began = time.monotonic()
    for arm, seed in todo if given.all or given.arm else []:
        if given.minutes and time.monotonic() - began > 60 * given.minutes:
            break
        found = run(arm, seed, Size(), given.root)
        print(f"{arm} seed {seed}: {found['training_free']:.3f} -> {found['accuracy']:.3f} {found['seconds']}",
              file=sys.stderr, flush=True)  # fmt: skip
    if given.report:
        print(report(given.root, list(ARMS), write_to=HERE)["page"])


SMOKE = Size(3, 2, 2, 2, 2, watched=1, schooling=Schooling(2, 2, 2, 8), minute=Minute(frames=30, things=3))
"""Everything once, too little to learn from."""

if __name__ == "__main__":
    main()
