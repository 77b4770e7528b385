"""A small Q-Former model of the world, in transformers' own InstructBLIP: one frame in, words out.

python recipes/world_qformer.py --out runs/world-qformer      (cost and accuracy: results/world_models.md)

Its vision tower is the built-in model's, which names shapes and colours; it stays as it is. The Q-Former and the
language model learn to describe a frame, to answer about it, and to tell whether it helps with a question
(`world_frames.py`). It knows one frame and nothing of before and after; `-m ma-lmm:FOLDER` shows it many.
"""

import argparse
import json
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as tf
from safetensors.torch import load_file
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from torch import nn
from world_frames import EVERY_KIND, Asked, asked, shown
from world_kept import kept

from videre.data import world
from videre.methods.ma_lmm.memory import Memory
from videre.methods.ma_lmm.model import MALMM, Settings
from videre.models import builtin
from videre.models.voice import Writing
from videre.train.fit import FitConfig, fit
from videre.types import Frames, Question

HERE = Path(__file__).parent
PAD, UNKNOWN, END, IMAGE = "<pad>", "<unk>", "</s>", "<image>"
FIRST_OF_TOKENIZER = 40_000_001
EYES = builtin.FOLDER / "model.safetensors"
STAGE = 20
"""The grey level of an empty stage."""
NOISE = 5.0
"""Grey levels that coding may add."""


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights; the seed of frame i of batch n is `first_seed + n * frames + i`."""

    steps: int = 700
    frames: int = 16
    narrow: int = 96
    queries: int = 8
    lr: float = 2e-3
    seed: int = 0
    first_seed: int = 41_000_000


@cache
def eye() -> tuple[dict[str, Any], float, float]:
    """The built-in model's vision settings, and the mean and the deviation that its pixels are brought to."""
    pictures = json.loads((EYES.parent / "processor_config.json").read_text("utf-8"))["image_processor"]
    settings = json.loads((EYES.parent / "config.json").read_text("utf-8"))["vision_config"]
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "image_size",
             "patch_size", "hidden_act", "layer_norm_eps")  # fmt: skip
    return {name: settings[name] for name in names}, pictures["image_mean"][0], pictures["image_std"][0]


@cache
def tokenizer() -> tf.PreTrainedTokenizerFast:
    """A word a token; every word of the prompts, of the questions and of the replies."""
    split = pre_tokenizers.Split(Regex(r"\w+|[^\w\s]"), "removed", invert=True)
    rng = np.random.default_rng(0)
    rows = [row for i in range(600) for row in asked(shown(FIRST_OF_TOKENIZER + i, EVERY_KIND), rng)]
    texts = " ".join(text for row in rows for text in (row.prompt, row.reply, *row.options))
    words = sorted({word for word, _ in split.pre_tokenize_str(texts)})
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate([PAD, UNKNOWN, END, *words])}, unk_token=UNKNOWN))
    inner.pre_tokenizer = split
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token=PAD, unk_token=UNKNOWN, eos_token=END, extra_special_tokens=[IMAGE]
    )


def network(recipe: Recipe, words: tf.PreTrainedTokenizerFast) -> tf.InstructBlipForConditionalGeneration:
    torch.manual_seed(recipe.seed)
    narrow = {
        "hidden_size": recipe.narrow, "intermediate_size": 2 * recipe.narrow, "num_attention_heads": 4,
        "initializer_range": recipe.narrow**-0.5, "pad_token_id": words.pad_token_id,
    }  # fmt: skip
    config = tf.InstructBlipConfig(
        vision_config=eye()[0],
        qformer_config={
            **narrow, "vocab_size": len(words), "num_hidden_layers": 3, "cross_attention_frequency": 1,
            "max_position_embeddings": 96, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
        },
        text_config={
            **narrow, "model_type": "llama", "vocab_size": len(words), "num_hidden_layers": 2,
            "max_position_embeddings": 512, "bos_token_id": None, "eos_token_id": words.eos_token_id,
        },
        num_query_tokens=recipe.queries,
        image_token_index=words.convert_tokens_to_ids(IMAGE),
    )  # fmt: skip
    model = tf.InstructBlipForConditionalGeneration(config)
    with torch.no_grad():
        model.query_tokens.normal_()
    see(model.vision_model)
    return model


@torch.no_grad()
def see(tower: nn.Module) -> None:
    """Gives InstructBLIP's tower the weights of the built-in model's, which are SigLIP's in all but their names."""
    start = "model.vision_model."
    held = {name.removeprefix(start): value.float() for name, value in load_file(EYES).items() if start in name}
    for name in [name for name in held if ".q_proj." in name]:
        parts = [held.pop(name.replace(".q_proj.", f".{one}_proj.")) for one in "qkv"]
        held[name.replace(".q_proj.", ".qkv.")] = torch.cat(parts)
    held = {name.replace(".out_proj.", ".projection."): value for name, value in held.items()}
    places = held.pop("embeddings.position_embedding.weight")
    tower.load_state_dict(held, strict=False)
    # The class token, which the built-in model has none of, is one more patch of the empty stage.
    patch = tower.embeddings
    patch.position_embedding.copy_(torch.cat([places[:1], places])[None])
    stage = np.full((1, 3, patch.patch_size, patch.patch_size), STAGE)
    patch.class_embedding.copy_(patch.patch_embedding(levels(stage)).flatten(1)[None])
    tower.requires_grad_(False)


def processor(recipe: Recipe) -> tf.InstructBlipProcessor:
    settings, mean, deviation = eye()
    size = {"height": settings["image_size"], "width": settings["image_size"]}
    pictures = tf.BlipImageProcessor(size=size, image_mean=[mean] * 3, image_std=[deviation] * 3)
    return tf.InstructBlipProcessor(pictures, tokenizer(), tokenizer(), num_query_tokens=recipe.queries)


def levels(pixels: np.ndarray) -> torch.Tensor:
    """Grey levels 0 to 255 as the tower takes them."""
    _, mean, deviation = eye()
    return torch.from_numpy((pixels / 255 - mean) / deviation).float()


class Batches:
    """Frames with prompts and replies about them, by number."""

    def __init__(self, recipe: Recipe, words: tf.PreTrainedTokenizerFast) -> None:
        self.recipe, self.words = recipe, words

    def __len__(self) -> int:
        return self.recipe.steps

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        r = self.recipe
        first = r.first_seed + index * r.frames
        found = [shown(seed) for seed in range(first, first + r.frames)]
        rows = [(i, row) for i, one in enumerate(found) for row in asked(one, np.random.default_rng([first, i]))]
        side_px, rng = eye()[0]["image_size"], np.random.default_rng([first, 52])
        pixels = np.concatenate([world.render(one.clip, [one.moment], side_px).pixels for one in found])
        pixels = levels(pixels + NOISE * rng.random((len(pixels), 1, 1, 1)) * rng.standard_normal(pixels.shape))
        prompts = [self.words(row.prompt)["input_ids"] for _, row in rows]
        replies = [[*self.words(row.reply)["input_ids"], self.words.eos_token_id] for _, row in rows]
        whole = [a + b for a, b in zip(prompts, replies, strict=True)]
        labels = [[-100] * len(a) + b for a, b in zip(prompts, replies, strict=True)]
        return {
            "pixels": pixels, "frames": torch.tensor([i for i, _ in rows]), "prompts": padded(prompts, 0),
            "ids": padded(whole, 0), "labels": padded(labels, -100),
        }  # fmt: skip


def padded(rows: list[list[int]], value: int) -> torch.Tensor:
    longest = max(map(len, rows))
    return torch.tensor([row + [value] * (longest - len(row)) for row in rows])


def loss(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Cross-entropy of the replies; the tower learns no more."""
    with torch.no_grad():
        seen = model.vision_model(batch["pixels"]).last_hidden_state
    seen = seen[batch["frames"]]
    queries = model.query_tokens.expand(len(seen), -1, -1)
    given = (batch["prompts"] > 0).long()
    mask = torch.cat([torch.ones(queries.shape[:2], dtype=torch.long, device=given.device), given], 1)
    read = model.qformer(
        input_ids=batch["prompts"], attention_mask=mask, query_embeds=queries, encoder_hidden_states=seen
    ).last_hidden_state[:, : queries.shape[1]]
    words = model.language_model.get_input_embeddings()(batch["ids"])
    inputs = torch.cat([model.language_projection(read), words], 1)
    logits = model.language_model(inputs_embeds=inputs, use_cache=False).logits[:, queries.shape[1] - 1 : -1]
    return nn.functional.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten(), ignore_index=-100)


def speaking(model: Any, recipe: Recipe) -> MALMM:
    """The model as the house shows it frames, without a memory."""
    settings = Settings(memory=Memory(0, 0), writing=Writing(answer_tokens=24))
    return MALMM(model.eval(), processor(recipe), name="world", card={}, settings=settings)


def is_right(model: MALMM, one: Asked, frame: Frames) -> bool:
    """Whether the model says what is true: its own words, or the likelier verdict where one is asked for."""
    if one.task != "helps":
        return model.generate(one.prompt, [frame]).replace(" :", ":") == one.reply
    scores = model.score([frame], Question(one.prompt), one.options)
    return one.options[int(scores.argmax())] == one.reply


def measure(model: MALMM, count: int = 120, *, blind: bool = False) -> dict[str, list[int]]:
    """For each task and kind on held-out frames: how many were asked, how many right; blind: of an empty stage."""
    tallies: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for i in range(count):
        one = shown(world.HELD_OUT_SEED + i, EVERY_KIND)
        clip = replace(one.clip, things=()) if blind else one.clip
        frame = world.render(clip, [one.moment], 192)
        for row in asked(one, np.random.default_rng([world.HELD_OUT_SEED, i])):
            tally = tallies[f"{row.task} {row.kind}"]
            tally[0] += 1
            tally[1] += is_right(model, row, Frames(frame.pixels, np.zeros(1)))
    return dict(tallies)


def make(recipe: Recipe, out: Path, *, held_out: int = 120) -> tuple[Path, dict[str, Any]]:
    """The folder of the checkpoint of this recipe, trained unless it is there, and what it reaches."""

    def train(folder: Path, on_the_way: Path) -> dict[str, Any]:
        words = tokenizer()
        model = network(recipe, words)
        settings = FitConfig(str(on_the_way), recipe.steps, recipe.lr, seed=recipe.seed, save_steps=200, resume=True)
        fit(model, Batches(recipe, words), loss, settings)
        model.save_pretrained(folder)
        processor(recipe).save_pretrained(folder)
        return measure(speaking(model, recipe), held_out)

    files = [__file__, HERE / "world_frames.py", HERE / "world_lessons.py", EYES]
    return kept(recipe, files, out, train)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/world-qformer"))
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(*make(Recipe(seed=given.seed), given.out))
