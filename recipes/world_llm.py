"""A small text model of the world, in transformers' own Llama: it follows three prompts of the methods here.

python recipes/world_llm.py --out runs/world-llm              (cost and accuracy: results/world_models.md)

What it is taught stands in `world_lessons.py`. Its tokenizer is a byte-level BPE of the world's sentences, in which
each fixed part of a prompt is one token: it follows these prompts word for word, and no others.
"""

import argparse
import string
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers as tf
import world_circuit as circuit
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn
from world_kept import kept
from world_lessons import WAYS, Lesson, lesson

from videre.data import world
from videre.data.world.scene import COLOURS, SHAPES
from videre.errors import DataError
from videre.methods.frame_selector.temporal import LIST, indices
from videre.methods.msr_vir.parse import read_reply
from videre.methods.msr_vir.policy import read
from videre.methods.msr_vir.prompts import OURS
from videre.methods.msr_vir.rivals import READ
from videre.models.text import TextLLM
from videre.options import INSTRUCTION, letter
from videre.train.fit import FitConfig, fit

HERE = Path(__file__).parent
END, PAD = "<|endoftext|>", "<|pad|>"
FIRST_OF_TOKENIZER = 30_000_000
PROMPT_SHARE = 0.1
TOLD_WEIGHT = 4.0
"""What a name, a number or a letter of a reply weighs in the loss: the rest is form, which is learned at once."""


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights; the seed of lesson i of batch n is `first_seed + n * batch + i`."""

    steps: int = 1400
    batch: int = 16
    lr: float = 2e-3
    layers: int = 3
    seed: int = 0
    first_seed: int = 31_000_000


def fixed() -> list[str]:
    """The parts of the prompts that are always the same, longest first."""
    form = OURS.replace("{perspective}", "none").partition("{question}")
    parts = [form[0], form[2], INSTRUCTION]
    parts += [text for one in (LIST, READ) for text, *_ in string.Formatter().parse(one) if len(text) > 3]
    return sorted(set(parts), key=len, reverse=True)


def names() -> list[str]:
    """What things are called, longest first: one token each, wherever it stands."""
    found = [f"{colour} {shape}" for colour in COLOURS for shape in (*SHAPES, "thing", "object")]
    return [*found, *SHAPES, *COLOURS]


@cache
def tokenizer() -> tf.PreTrainedTokenizerFast:
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    corpus = [_plain(lesson(FIRST_OF_TOKENIZER + i)) for i in range(600)]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=640, special_tokens=[PAD, END], initial_alphabet=alphabet, show_progress=False
    )
    inner.train_from_iterator(corpus, trainer)
    spaced = [f" {name}" for name in names()]
    tenths = [f".{i} s:" for i in range(10)]
    known = [*fixed(), *WAYS.values(), *tenths, *map(str, range(100)), *spaced, *names()]
    whole = [AddedToken(text, normalized=False, special=False) for text in known]
    inner.add_tokens(whole)
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token=END, pad_token=PAD, clean_up_tokenization_spaces=False
    )


def _plain(one: Lesson) -> str:
    text = one.prompt + " " + one.reply
    for part in (*fixed(), *names()):
        text = text.replace(part, " ")
    return "".join(" " if c.isdigit() else c for c in text)


def network(recipe: Recipe, words: tf.PreTrainedTokenizerFast) -> tf.LlamaForCausalLM:
    """Drawn from the seed, then started with the circuit of a look-up."""
    torch.manual_seed(recipe.seed)
    model = tf.LlamaForCausalLM(
        tf.LlamaConfig(
            vocab_size=len(words), hidden_size=circuit.WIDTH, intermediate_size=2 * circuit.WIDTH,
            num_hidden_layers=recipe.layers, num_attention_heads=circuit.HEADS, head_dim=circuit.HEAD,
            attention_bias=True, rope_theta=circuit.THETA, max_position_embeddings=512, initializer_range=0.03,
            tie_word_embeddings=True, bos_token_id=None, eos_token_id=words.eos_token_id,
            pad_token_id=words.pad_token_id,
        )
    )  # fmt: skip
    circuit.prime(model, **codes(words))
    return model


def codes(words: tf.PreTrainedTokenizerFast) -> dict[str, Any]:
    """Which tokens are names, numbers and letters, and articles."""

    def ids(text: str) -> list[int]:
        return [found[0] for found in (words(form)["input_ids"] for form in (text, f" {text}")) if len(found) == 1]

    kinds = {}
    for name in names():
        colour, shape = ([i for i, word in enumerate(some) if word in name.split()] for some in (COLOURS, SHAPES))
        kinds |= dict.fromkeys(ids(name), ((colour or [-1])[0], (shape or [-1])[0]))
    numbers = {token: float(n) for n in range(100) for token in ids(str(n))}
    letters = {token: letter(i) for i in range(5) for token in ids(letter(i))}
    articles = {token: kind for text, kind in (("a", "a"), ("an", "a"), ("the", "the")) for token in ids(text)}
    return {"names": kinds, "labels": numbers | letters, "articles": articles}


class Batches:
    """The lessons of a round as token ids, by number."""

    def __init__(self, recipe: Recipe, words: tf.PreTrainedTokenizerFast) -> None:
        self.recipe, self.words = recipe, words
        told = [
            *names(),
            *(f" {name}" for name in names()),
            *map(str, range(100)),
            *(f" {letter(i)}" for i in range(5)),
        ]
        self.told = torch.tensor(sorted({words(text)["input_ids"][0] for text in told}))

    def __len__(self) -> int:
        return self.recipe.steps

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        first = self.recipe.first_seed + index * self.recipe.batch
        rows = [self._row(lesson(seed)) for seed in range(first, first + self.recipe.batch)]
        longest = -(-max(len(ids) for ids, _ in rows) // 16) * 16  # odd sizes take products more time
        pad = self.words.pad_token_id
        ids = torch.tensor([ids + [pad] * (longest - len(ids)) for ids, _ in rows])
        labels = torch.tensor([marks + [-100] * (longest - len(marks)) for _, marks in rows])
        weights = torch.where(torch.isin(ids, self.told), TOLD_WEIGHT, 1.0)
        return {"input_ids": ids, "attention_mask": (ids != pad).long(), "labels": labels, "weights": weights}

    def _row(self, one: Lesson) -> tuple[list[int], list[int]]:
        prompt = self.words(one.prompt)["input_ids"]
        reply = [*self.words(one.reply)["input_ids"], self.words.eos_token_id]
        return prompt + reply, [-100] * len(prompt) + reply


def loss(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Cross-entropy of the replies, each alike, and a little of the prompts: captions repeat, which teaches to copy."""
    ids, mask, labels, weights = (batch[name] for name in ("input_ids", "attention_mask", "labels", "weights"))
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1]
    each = nn.functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
    is_reply = labels[:, 1:] >= 0
    is_prompt = mask[:, 1:].bool() & ~is_reply
    weights = weights[:, 1:] * is_reply
    replies = (each * weights).sum(1) / weights.sum(1)
    return replies.mean() + PROMPT_SHARE * each[is_prompt].mean()


def is_right(one: Lesson, reply: str) -> bool:
    """Whether a reply says what is true, by the reader that the method itself uses."""
    if one.task == "list":
        return indices(reply, 100) == one.truth
    if one.task == "read":
        return reply.strip().endswith(one.truth)
    try:
        return read_reply(reply)[0] == read(one.truth)
    except DataError:
        return False


def measure(model: TextLLM, each: int = 60) -> dict[str, list[int]]:
    """For each task and kind: how many held-out lessons, and how many right."""
    tallies: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for one in held_out(each):
        tally = tallies[f"{one.task} {one.kind}"]
        tally[0] += 1
        tally[1] += is_right(one, model.generate(one.prompt, max_tokens=96))
    return dict(tallies)


def held_out(each: int) -> Iterator[Lesson]:
    """Lessons from seeds that no training uses."""
    for task in ("list", "read", "parse"):
        yield from (lesson(world.HELD_OUT_SEED + i, task) for i in range(each))


def make(recipe: Recipe, out: Path, *, held_out: int = 60) -> tuple[Path, dict[str, Any]]:
    """The folder of the checkpoint of this recipe, trained unless it is there, and what it reaches."""

    def train(folder: Path, on_the_way: Path) -> dict[str, Any]:
        words = tokenizer()
        model: Any = network(recipe, words)
        settings = FitConfig(
            str(on_the_way), recipe.steps, lr=recipe.lr, seed=recipe.seed, bf16=True, save_steps=200, resume=True
        )
        model = fit(model, Batches(recipe, words), loss, settings)
        model.save_pretrained(folder)
        words.save_pretrained(folder)
        return measure(TextLLM(model, words, name="world", card={}), held_out)

    return kept(recipe, [__file__, HERE / "world_circuit.py", HERE / "world_lessons.py"], out, train)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/world-llm"))
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(*make(Recipe(seed=given.seed), given.out))
