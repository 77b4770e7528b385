"""Clips whose things are shown for one candidate frame each, their labels, and selectors that learn from these.

Labels come from the world's Q-Former model: P(True) of each frame alone on the frame selector's own prompt, and
captions, which a program reads as the list prompt gives them. The selectors see the frozen tower of the world's CLIP.
"""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as tf
from needle_selectors import lot

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "recipes")]

import world_clip  # noqa: E402
import world_qformer  # noqa: E402
from world_lessons import NAMED  # noqa: E402

from videre.data import world  # noqa: E402
from videre.data.world.scene import Clip  # noqa: E402
from videre.methods.frame_selector.model import FrameSelector, FrameSelectorConfig  # noqa: E402
from videre.methods.frame_selector.scorers import DIRECT, VERDICT, share  # noqa: E402
from videre.methods.frame_selector.stages import loss  # noqa: E402
from videre.methods.frame_selector.temporal import CAPTION, Temporal  # noqa: E402
from videre.models import clip  # noqa: E402
from videre.models.fake import FakeMLLM  # noqa: E402
from videre.train.fit import FitConfig, fit  # noqa: E402
from videre.types import Sample  # noqa: E402

N, THINGS, STEP_SECONDS, GAP = 32, 6, 0.25, 3
MOMENTS = (np.arange(N) + 0.5) * STEP_SECONDS
KINDS = ("colour", "shape")
"""Kinds that the answerer answers from four frames that hold the evidence (all of 39 in the pilot)."""


@dataclass(frozen=True)
class Size:
    """How much is done: seeds, labelled clips, held-out ones a seed, questions of each kind a clip, training."""

    seeds: int = 3
    films: int = 250
    held_out: int = 40
    each: int = 2
    steps: int = 400
    batch: int = 64
    lr: float = 2e-3


def film(seed: int) -> Clip:
    """A clip of six things, one at a time, each on the stage for one candidate frame."""
    rng = np.random.default_rng([seed, 91])
    told = world.make(seed, world.Config(things=(THINGS, THINGS), still=1.0))
    count = len(told.things)
    cuts = np.sort(rng.integers(0, N - count - GAP * (count - 1) + 1, count))
    starts = STEP_SECONDS * (cuts + np.arange(count) * (1 + GAP))
    spans = [{"start_seconds": float(s), "end_seconds": float(s + STEP_SECONDS)} for s in starts]
    things = tuple(replace(thing, **span) for thing, span in zip(told.things, spans, strict=True))
    return replace(told, things=things)


def asked(told: Clip, each: int) -> list[Sample]:
    """So many questions of each kind; a clip that does not carry a kind gives fewer."""
    return [s for i in range(each) for s in world.questions(replace(told, seed=told.seed + i * 7919), kinds=KINDS)]


def qformer() -> Path:
    """The Q-Former model that was made last, or else made now."""
    runs = ROOT / "runs" / "world-qformer"
    made = sorted(runs.glob("*/measured.json"), key=lambda place: place.stat().st_mtime)
    return made[-1].parent if made else world_qformer.make(world_qformer.Recipe(), runs)[0]


class Reader:
    """The Q-Former model of the world, many frames at once, each read alone."""

    def __init__(self) -> None:
        folder = qformer()
        self.model: Any = tf.InstructBlipForConditionalGeneration.from_pretrained(folder).eval()
        self.words = tf.AutoProcessor.from_pretrained(folder).tokenizer
        self.temporal = Temporal(FakeMLLM(lambda chunks, text: ""), Listing())

    @torch.inference_mode()
    def see(self, told: Clip) -> torch.Tensor:
        """What the vision tower sees of every candidate, once for all questions."""
        pixels = torch.from_numpy(world.render(told, MOMENTS, self.model.config.vision_config.image_size).pixels)
        return self.model.vision_model(pixels.float() / 127.5 - 1).last_hidden_state

    @torch.inference_mode()
    def captions(self, seen: torch.Tensor, most: int = 5) -> list[str]:
        """One line a frame, greedily."""
        read, ids = self._read(seen, CAPTION)
        for _ in range(most):
            ids = torch.cat([ids, self._next(read, ids).argmax(-1, keepdim=True)], 1)
        start, end = ids.shape[1] - most, self.words.eos_token_id
        rows = [row[: row.index(end)] if end in row else row for row in ids[:, start:].tolist()]
        return [self.words.decode(row) for row in rows]

    @torch.inference_mode()
    def truth(self, seen: torch.Tensor, question: str) -> np.ndarray:
        """P(True) of each frame `[n]`."""
        read, ids = self._read(seen, DIRECT.format(question=question), VERDICT)
        logs = self._next(read, ids).log_softmax(-1).double().numpy()
        yes, no = (self.words(word)["input_ids"] for word in ("True", "False"))
        return share(logs[:, yes], logs[:, no])

    def listed(self, captions: Sequence[str], question: str) -> np.ndarray:
        """Zeros and ones: the frames that the list prompt's reader names."""
        return self.temporal.listed(captions, question)

    def _read(self, seen: torch.Tensor, prompt: str, reply: str = "") -> tuple[torch.Tensor, torch.Tensor]:
        def ids(text: str) -> torch.Tensor:
            return torch.tensor([self.words(text)["input_ids"]], dtype=torch.long).expand(len(seen), -1)

        queries, given = self.model.query_tokens.expand(len(seen), -1, -1), ids(prompt)
        mask = torch.ones(len(seen), queries.shape[1] + given.shape[1])
        told = self.model.qformer(
            input_ids=given, attention_mask=mask, query_embeds=queries, encoder_hidden_states=seen
        ).last_hidden_state[:, : queries.shape[1]]
        return self.model.language_projection(told), torch.cat([given, ids(reply)], 1)

    def _next(self, read: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        words = self.model.language_model.get_input_embeddings()(ids)
        inputs = torch.cat([read, words], 1)
        return self.model.language_model(inputs_embeds=inputs, use_cache=False, logits_to_keep=1).logits[:, -1]


class Listing:
    """A program in place of the model that reads captions: lists the frames whose caption has the question's words."""

    name, card = "caption reader", {}

    def generate(self, prompt: str, *, max_tokens: int = 128) -> str:
        """Indices, as the list prompt wants them."""
        question = re.findall(r"Question: (.*)", prompt)[0]
        wanted = {word for name in NAMED.findall(question) for word in name.split()} - {"thing", "object"}
        lines = [line.partition(": ") for line in prompt.split("\n") if re.match(r"\d+: ", line)]
        return str([int(number) for number, _, caption in lines if wanted and wanted <= set(caption.split())])


@dataclass(frozen=True, eq=False)
class Labelled:
    """Questions with their labels: patches `[films, n, P, V]`, a film, token ids and labels of each kind a question."""

    patches: torch.Tensor
    films: torch.Tensor
    ids: torch.Tensor
    lengths: torch.Tensor
    labels: dict[str, torch.Tensor]


@cache
def encoder() -> clip.ClipEncoder:
    """The CLIP of the world."""
    return clip.load(str(world_clip.make(world_clip.Recipe(), ROOT / "runs" / "world-clip")[0]), device="cpu")


def labelled(films: Sequence[Clip], each: int) -> Labelled:
    """All questions about these clips, labelled, and what the CLIP's tower sees of the clips."""
    reader, rows, texts, owners = Reader(), {"spatial": [], "temporal": []}, [], []
    for i, told in enumerate(films):
        seen = reader.see(told)
        captions = reader.captions(seen)
        for sample in asked(told, each):
            texts.append(sample.question.text)
            owners.append(i)
            rows["spatial"].append(reader.truth(seen, sample.question.text))
            rows["temporal"].append(reader.listed(captions, sample.question.text))
    ids, lengths = tokens(texts)
    labels = {kind: torch.from_numpy(np.stack(lines)).float() for kind, lines in rows.items()}
    labels["both"] = (labels["spatial"] + labels["temporal"]) / 2
    return Labelled(patches(films), torch.tensor(owners), ids, lengths, labels)


def tokens(texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """A word a token, filled up at the end `[B, L]`, and lengths `[B]`."""
    rows = [torch.tensor(words()(text)["input_ids"]) for text in texts]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), torch.tensor([len(row) for row in rows])


@cache
def words() -> Any:
    """The tokenizer that knows every word of the world."""
    return world_qformer.tokenizer()


@torch.no_grad()
def patches(films: Sequence[Clip]) -> torch.Tensor:
    """What the CLIP's frozen tower sees of each patch `[films, n, P, V]`, half precision."""
    tower, told = encoder().network.vision_model, []
    for one in films:
        pixels = encoder().pixels(world.render(one, MOMENTS).pixels)["pixel_values"]
        told.append(tower(pixel_values=pixels).last_hidden_state[:, 1:].half())
    return torch.stack(told)


@dataclass(frozen=True, eq=False)
class Lots:
    """Numbered batches; every question comes once an epoch."""

    rows: Labelled
    size: Size
    seed: int

    def __len__(self) -> int:
        return self.size.steps

    def __getitem__(self, place: int) -> dict[str, torch.Tensor]:
        if not 0 <= place < len(self):
            raise IndexError(place)
        chosen = lot(len(self.rows.films), place, batch=self.size.batch, seed=self.seed)
        return {
            "patches": self.rows.patches[self.rows.films[chosen]].float(), "input_ids": self.rows.ids[chosen],
            "lengths": self.rows.lengths[chosen], "targets": self.rows.labels["both"][chosen],
        }  # fmt: skip


def untrained(seed: int) -> FrameSelector:
    """A selector around the CLIP's tower: one token a frame, a language model of four blocks, from nothing."""
    torch.manual_seed(seed)
    text = tf.Qwen2Config(
        vocab_size=len(words()), hidden_size=64, intermediate_size=192, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=4, initializer_range=0.05, tie_word_embeddings=True,
    )  # fmt: skip
    tower = encoder().network.vision_model
    config = FrameSelectorConfig(vision_config=tower.config, text_config=text, layout="frame", n=N, grid=1)
    model = FrameSelector(config)
    model.vision.requires_grad_(False)
    return model


def trained(rows: Labelled, size: Size, seed: int, out: Path) -> FrameSelector:
    """A selector that has learned from the mean of both labels; its tower stays out of it."""
    settings = FitConfig(str(out), size.steps, lr=size.lr, seed=seed, log_steps=50)
    return fit(untrained(seed), Lots(rows, size, seed), loss, settings).eval()


@torch.no_grad()
def scores(model: FrameSelector, rows: Labelled) -> np.ndarray:
    """Probabilities `[Q, n]`."""
    parts = [slice(i, i + 64) for i in range(0, len(rows.films), 64)]
    logits = [model(rows.patches[rows.films[p]].float(), rows.ids[p], rows.lengths[p]) for p in parts]
    return torch.sigmoid(torch.cat(logits)).double().numpy()
