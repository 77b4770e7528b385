"""Stages 3 to 7: the text side follows things from frame to frame before it is asked about them.

What a question about motion needs arises on the frame tokens or nowhere: a token must look back at the earlier tokens
of the same thing and compare places. Left alone, a new text side did not find that in hundreds of batches. It does when
one head of each of its first two layers starts out looking for what has the same colour (`see_alike`), when places are
a good part of every token (`write_places`), and when tokens half-way up are held to say which way their thing has moved
and when it came (`Followed`), with one thing on the stage at first.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import builtin_dense as dense
import builtin_language as language
import numpy as np
import torch
from builtin_tower import batch as scenes
from builtin_tower import normal
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedTokenizerFast

from videre.data import world
from videre.data.world.scene import COLOURS, DIRECTIONS, Clip, Thing
from videre.train.fit import Loss

EARLY, HALF_WAY = 2, 3
"""After which layers of the text side frame tokens are read."""
MOTIONS = [*DIRECTIONS, ""]
RANKS = 6
MOST_FRAMES = 12
READINGS = {
    "came": (EARLY, MOST_FRAMES),
    "motion": (HALF_WAY, len(MOTIONS)),
    "rank": (HALF_WAY, RANKS),
    "newest": (HALF_WAY, 2),
}
"""What a frame token must know of its thing -> after which layer, out of how many: on which frame it came, how it
moves, as which one it came, and whether none has come after it so far."""
LAST = len(language.WEIGHTS) + dense.KINDS.index("last")
VISIBLE = 0.12
"""Least way, as a share of the side, after which a motion can be asked for."""
CELLS = (np.stack(np.meshgrid(np.arange(4), np.arange(4)), -1).reshape(16, 2) + 0.5) / 4
"""Where each frame token looks, x and y as shares of the side."""


class Followed(nn.Module):
    """A model with readings of its frame tokens half-way up: `READINGS`, and `when`, the moment it came as one number.

    The number makes later a direction in which one can look for the last; classes alone leave no such direction.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        width = model.config.text_config.hidden_size
        self.model = model
        self.heads = nn.ModuleDict({name: nn.Linear(width, count) for name, (_, count) in READINGS.items()})
        self.when = nn.ModuleDict({str(layer): nn.Linear(width, 1) for layer in (EARLY, HALF_WAY)})


def loss(readings: Mapping[str, float], last: float) -> Loss:
    """Cross-entropy of the replies, and so much of each reading.

    Args:
        readings: a weight for each of `READINGS`, and `when`; left out is 0.
        last: how much more than others the tiny question for the last thing counts, the hardest of all.
    """

    def told(learner: Followed, batch: dict[str, Tensor]) -> Tensor:
        model, hidden = learner.model, language.states(learner.model, batch)
        wanted = batch["label"] != -100
        replies = F.cross_entropy(model.lm_head(hidden[-1][wanted]).float(), batch["label"][wanted], reduction="none")
        total = (replies * torch.where(batch["kind"][wanted] == LAST, last, 1.0)).mean()
        frames = batch["ids"] == model.config.image_token_id
        tokens = {layer: model.model.text_model.norm(hidden[layer])[frames] for layer in (EARLY, HALF_WAY)}
        return total + _read(learner, batch, tokens, readings)

    return told


def _read(
    learner: Followed, batch: dict[str, Tensor], tokens: dict[int, Tensor], weights: Mapping[str, float]
) -> Tensor:
    """The loss of all readings that have a weight and something to read."""
    total = torch.zeros(())
    for name, (layer, _) in READINGS.items():
        known = batch[name] >= 0
        if weights.get(name) and known.any():
            read = learner.heads[name](tokens[layer][known]).float()
            total = total + weights[name] * F.cross_entropy(read, batch[name][known])
    known = batch["came"] >= 0
    if weights.get("when") and known.any():
        wanted = batch["came"][known].float() / 8 - 0.35
        for layer, head in learner.when.items():
            read = head(tokens[int(layer)][known]).float()[:, 0]
            total = total + weights["when"] * (read - wanted).square().mean()
    return total


def labels(clip: Clip, times: np.ndarray) -> dict[str, np.ndarray]:
    """The `READINGS` of what each cell of each frame shows, `[T * 16]` each; -100 where nothing or two things are."""
    told = {name: np.full((len(times), 16), -100) for name in READINGS}
    came = [int(shown.argmax()) if (shown := thing.shown(times)).any() else MOST_FRAMES for thing in clip.things]
    for k, now in enumerate(times):
        here = [t for t in clip.things if t.shown(times)[k]]
        covered = [np.abs(CELLS - t.centre(times[k : k + 1])[0]).max(-1) < max(0.125, t.radius) for t in here]
        alone = np.sum(covered, axis=0) == 1
        for thing, cells in zip(here, covered, strict=True):
            number, mine = clip.things.index(thing), cells & alone
            told["rank"][k, mine] = min(number, RANKS - 1)
            told["came"][k, mine] = min(came[number], MOST_FRAMES - 1)
            told["newest"][k, mine] = int(min(came[number + 1 :], default=MOST_FRAMES) > k)
            if _has_shown_motion(thing, times, now):
                told["motion"][k, mine] = MOTIONS.index(thing.direction)
    return {name: values.ravel() for name, values in told.items()}


def _has_shown_motion(thing: Thing, times: np.ndarray, now: float) -> bool:
    """Whether these frames, up to now, tell which way it moves, or that it rests."""
    seen = times[thing.shown(times) & (times <= now)]
    way = np.abs(thing.centre(seen[-1:])[0] - thing.centre(seen[:1])[0]).max()
    return bool(way > VISIBLE) if thing.direction else len(seen) > 3


@dataclass(frozen=True)
class Lessons:
    """Batches of clips with questions, and what their frame tokens must know.

    Attributes:
        words: the model's tokenizer.
        steps: how many batches there are.
        clips: clips a batch.
        asks: questions in sentences a clip.
        tiny: tiny questions a clip.
        hard: kinds of tiny questions that are taken before others.
        frames: how many frames a batch may show; drawn evenly from these.
        single: share of clips with one thing, in the first batch and, from half-way on, in the others.
        seed: first clip seed; every batch has its own.
        often: how often each kind of question in a sentence is asked, where it is not as in `builtin_language`.
        frame_tokens: tokens a frame.
        together: batches that are taken at once, one a process; they show equally many frames, so that none waits.
    """

    words: PreTrainedTokenizerFast
    steps: int
    clips: int
    asks: int
    tiny: int
    hard: tuple[str, ...]
    frames: tuple[int, ...]
    single: tuple[float, float]
    seed: int
    often: Mapping[str, float] = field(default_factory=dict)
    frame_tokens: int = 16
    together: int = 1

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        count = int(np.random.default_rng([self.seed, index // self.together, 1]).choice(self.frames))
        rng = np.random.default_rng([self.seed, index])
        rows, pixels, known = [], [], []
        for clip, times, layout in self._drawn(index, count, rng):
            pixels.append(normal(world.render(clip, times, 64).pixels, rng))
            rows.append(self._row(clip, times, layout, rng))
            known.append(labels(clip, times))
        told = {name: torch.from_numpy(np.concatenate([k[name] for k in known])) for name in known[0]}
        return {"pixels": torch.from_numpy(np.concatenate(pixels)), **language.pack(rows), **told}

    def _drawn(self, index: int, count: int, rng: np.random.Generator) -> Iterator[tuple[Clip, np.ndarray, str]]:
        first, then = self.single
        share = then + (first - then) * max(0.0, 1 - 2 * index / self.steps)
        for i in range(self.clips):
            most = 1 if rng.random() < share else 4
            yield dense.drawn(self.seed + index * self.clips + i, count, rng, most=most)

    def _row(self, clip: Clip, times: np.ndarray, layout: str, rng: np.random.Generator) -> dict[str, list[int]]:
        start = language.prefix(times, clip.config.seconds, self.frame_tokens, layout)
        bridge = language.BRIDGE[layout]
        asked = language.texts(language.drafts(clip, times, self.asks, rng, self.often), 0.0, rng)
        row = language.encode(self.words, start, asked, bridge=bridge)
        pool = dense.minis(clip, times, rng)
        pool = sorted((pool[j] for j in rng.permutation(len(pool))), key=lambda mini: mini[0] not in self.hard)
        some = [(kind, bridge + text, answer) for kind, text, answer in pool[: self.tiny]]
        extra = dense.encode(self.words, start, some, first_block=max(row["block"]) + 1)
        shared = extra["block"].count(0)
        extra["kind"] = [k if k < 0 else k + len(language.WEIGHTS) for k in extra["kind"]]
        return {key: row[key] + extra[key][shared:] for key in row}


@torch.no_grad()
def write_places(model: nn.Module, clips: int = 400) -> None:
    """Adds to every frame token where its thing is, x and y, in two directions that the tokens do not use.

    The connector is one matrix, so a linear reading of the place, found by ridge regression, is simply added to it.
    """
    features, tokens, place, colour = _seen(model, clips)
    weight = np.where(colour >= 0, 1.0, 0.1)[:, None]
    reading = ridge(features, place - 0.5, weight, 1e-2)
    free = np.linalg.eigh(np.cov(tokens.T))[1][:, :2]
    size = 0.35 * np.linalg.norm(tokens, axis=1).mean() / (features @ reading).std(0)
    _connector(model).add_(torch.from_numpy((free * size) @ reading.T).float())


@torch.no_grad()
def see_alike(model: nn.Module, clips: int = 400) -> None:
    """Starts one head of each of the first two layers where a token looks at the tokens of its own colour.

    Queries and keys both read the colour, by ridge regression, into the dimensions of the head that turn slowest with
    the position. Source of the idea: Trockman and Kolter, "Mimetic initialization of self-attention layers" (2023).
    """
    _, tokens, _, colour = _seen(model, clips)
    tokens = tokens / np.sqrt((tokens**2).mean(1, keepdims=True))
    truth = np.eye(len(COLOURS) + 1)[colour][:, :-1]
    reading = ridge(tokens, truth, np.where(colour >= 0, 1.0, 0.05)[:, None], 3e-3)
    read = tokens[colour >= 0] @ reading
    head = model.config.text_config.head_dim
    gain = np.sqrt(8.0 * np.sqrt(head) / (read**2).sum(1).mean())
    slow = slice(head // 2 - len(COLOURS), head // 2)
    for layer in model.model.text_model.layers[:2]:
        for part in (layer.self_attn.q_proj, layer.self_attn.k_proj):
            part.weight[:head] = 0.0
            part.weight[slow] = torch.from_numpy(gain * reading.T).float()


def _seen(model: nn.Module, clips: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of fresh frames: the tower's features and the tokens, the place, the colour (-1 for none) of each cell."""
    rng, core = np.random.default_rng(0), model.model
    made = [world.make(90_000_000 + i) for i in range(clips)]
    rows = [(clip, t) for clip in made for t in np.sort(rng.uniform(0, clip.config.seconds, 6))]
    features, tokens = [], []
    for start in range(0, len(rows), 48):
        pixels = scenes(rows[start : start + 48], rng)["pixels"]
        shuffled = core.connector.pixel_shuffle(core.vision_model(pixel_values=pixels).last_hidden_state, 2)
        features.append(shuffled.flatten(0, 1).numpy())
        tokens.append(core.connector.modality_projection(shuffled).flatten(0, 1).numpy())
    truth = [_cells(clip, t) for clip, t in rows]
    place, colour = (np.concatenate([t[i] for t in truth]) for i in range(2))
    return np.concatenate(features), np.concatenate(tokens), place, colour


def _cells(clip: Clip, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Place of what each cell shows (its own where it shows nothing) `[16, 2]`, and its colour `[16]`, -1 for none."""
    place, colour, now = CELLS.copy(), np.full(16, -1), np.array([seconds])
    for thing in (t for t in clip.things if t.shown(now)[0]):
        inside = (np.abs(CELLS - thing.centre(now)[0]) < 0.125 + 0.6 * thing.radius).all(1)
        place[inside], colour[inside] = thing.centre(now)[0], list(COLOURS).index(thing.colour)
    return place, colour


def ridge(x: np.ndarray, y: np.ndarray, weight: np.ndarray, strength: float) -> np.ndarray:
    """The linear reading `[D, K]` of `y` off `x`, with a penalty relative to the mean variance."""
    square = (x * weight).T @ x
    return np.linalg.solve(square + strength * np.trace(square) / len(square) * np.eye(len(square)), (x * weight).T @ y)


def _connector(model: nn.Module) -> Tensor:
    return model.model.connector.modality_projection.proj.weight
