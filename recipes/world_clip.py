"""A small CLIP pair of the world: a frame and "a photo of a red circle" in one space, in transformers' own CLIPModel.

python recipes/world_clip.py --out runs/world-clip            (cost and accuracy: docs/world.md)

The checkpoint is kept under the hash of what decides it; the same command again reads it. Held-out seeds
start at `world.HELD_OUT_SEED`. The measure: which of 48 names is meant by a frame that shows one thing; chance is 1/48.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import transformers as tf
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from world_kept import kept

from videre.data import world
from videre.data.world.scene import COLOURS, SHAPES
from videre.train.fit import FitConfig, fit

NAMES = [f"{colour} {shape}" for colour in COLOURS for shape in SHAPES]
ENDS = ["<|startoftext|>", "<|endoftext|>"]


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights; the seed of batch n is `first_seed + n * batch`."""

    steps: int = 1300
    batch: int = 24
    size_px: int = 48
    lr: float = 1e-3
    seed: int = 0
    first_seed: int = 10_000_000


def tokenizer() -> tf.PreTrainedTokenizerFast:
    words = [*ENDS, "<unk>", "a", "photo", "of", "the", "thing", *COLOURS, *SHAPES]
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [(token, inner.token_to_id(token)) for token in ENDS]
    inner.post_processor = processors.TemplateProcessing(single=f"{ENDS[0]} $A {ENDS[1]}", special_tokens=ends)
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token=ENDS[0], eos_token=ENDS[1], pad_token=ENDS[1], unk_token="<unk>",
        model_max_length=16,
    )  # fmt: skip


def network(recipe: Recipe) -> tf.CLIPModel:
    width = {"hidden_size": 96, "intermediate_size": 192, "num_attention_heads": 4}
    ids = {"vocab_size": len(tokenizer()), "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    text = {**width, **ids, "num_hidden_layers": 2, "max_position_embeddings": 16}
    vision = {**width, "num_hidden_layers": 3, "image_size": recipe.size_px, "patch_size": 8}
    torch.manual_seed(recipe.seed)
    return tf.CLIPModel(tf.CLIPConfig(text_config=text, vision_config=vision, projection_dim=64))


def picture(seed: int, size_px: int) -> tuple[torch.Tensor, str]:
    """A frame `[3, H, W]` in [-1, 1] that shows one thing, and the thing's name; even over colours and shapes."""
    clip = world.make(seed, world.Config(things=(1, 1)))
    (thing,) = clip.things
    moment = np.random.default_rng(seed).uniform(thing.start_seconds, thing.end_seconds - 0.01)
    pixels = world.render(clip, [moment], size_px).pixels[0]
    return torch.from_numpy(pixels).float() / 127.5 - 1, thing.name


class Batches:
    """Frames with their names, by number."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe, self.words = recipe, tokenizer()

    def __len__(self) -> int:
        return self.recipe.steps

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        r = self.recipe
        first = r.first_seed + index * r.batch
        pairs = [picture(seed, r.size_px) for seed in range(first, first + r.batch)]
        same = torch.tensor([[a == b for _, a in pairs] for _, b in pairs])
        texts = self.words([f"a photo of a {name}" for _, name in pairs], return_tensors="pt", padding=True)
        return {"pixel_values": torch.stack([p for p, _ in pairs]), **texts, "same": same}


def loss(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """CLIP's loss both ways; two frames of one name in a batch are no wrong answers to each other."""
    batch = dict(batch)
    same = batch.pop("same")
    batch.pop("token_type_ids", None)
    logits = model(**batch).logits_per_image
    wanted = same.float() / same.sum(1, keepdim=True)
    return -0.5 * sum((wanted * each.log_softmax(1)).sum(1).mean() for each in (logits, logits.T))


@torch.no_grad()
def measure(model: tf.CLIPModel, recipe: Recipe, count: int = 480) -> dict[str, float]:
    """Shares right among all names, on held-out seeds: the name, its colour, its shape."""
    texts = tokenizer()([f"a photo of a {name}" for name in NAMES], return_tensors="pt", padding=True)
    texts.pop("token_type_ids", None)
    pairs = [picture(world.HELD_OUT_SEED + i, recipe.size_px) for i in range(count)]
    logits = model(**texts, pixel_values=torch.stack([p for p, _ in pairs])).logits_per_image
    said = [NAMES[i].split() for i in logits.argmax(1).tolist()]
    true = [name.split() for _, name in pairs]
    right = np.array([[a == b, a[0] == b[0], a[1] == b[1]] for a, b in zip(said, true, strict=True)]).mean(0)
    return dict(zip(("name", "colour", "shape"), map(float, right), strict=True)) | {"chance": 1 / len(NAMES)}


def make(recipe: Recipe, out: Path) -> tuple[Path, dict[str, float]]:
    """The folder of the checkpoint of this recipe, trained unless it is there, and what it reaches."""

    def train(folder: Path, on_the_way: Path) -> dict[str, float]:
        settings = FitConfig(str(on_the_way), recipe.steps, lr=recipe.lr, seed=recipe.seed, save_steps=200, resume=True)
        model = fit(network(recipe), Batches(recipe), loss, settings)
        model.save_pretrained(folder)
        tokenizer().save_pretrained(folder)
        size = {"height": recipe.size_px, "width": recipe.size_px}
        half = [0.5, 0.5, 0.5]
        tf.CLIPImageProcessorPil(
            size=size, crop_size=size, do_center_crop=False, image_mean=half, image_std=half
        ).save_pretrained(folder)
        return measure(model, recipe)

    return kept(recipe, [__file__], out, train)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/world-clip"))
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    given = parser.parse_args()
    print(*make(Recipe(steps=given.steps), given.out))
