"""An open-vocabulary detector of the world: "the red circle" in, boxes out, in transformers' own OwlViT.

python recipes/world_detector.py --out runs/world-detector    (cost and accuracy: docs/world.md)

Half of its frames are of clips, half of stories; some show nothing. The patch that holds a thing's centre learns its
box and every phrase that is true of it; all other patches learn that no phrase is. The checkpoint is kept under the
hash of what decides it; the same command again reads it. `--detector FOLDER` of `videre ground` takes the folder.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as tf
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from world_detected import measure
from world_kept import kept

from videre.data import world
from videre.data.world.scene import COLOURS, SHAPES, Clip
from videre.models.detector import Detector
from videre.train.fit import FitConfig, fit
from videre.types import Box

PHRASES = [
    *(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES),
    *(f"{colour} thing" for colour in COLOURS),
    *SHAPES,
    "thing",
]
WRAPS = ("{}", "the {}", "a {}", "a photo of a {}")
SPECIAL = ["<pad>", "<unk>"]
ENDS = ["<|startoftext|>", "<|endoftext|>"]
"""The last of all ids: OwlViT reads a phrase at its highest id, and takes a row that begins with id 0 for padding."""


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights; the seed of frame i of batch n is `first_seed + n * batch + i`."""

    steps: int = 2000
    batch: int = 24
    size_px: int = 64
    width: int = 128
    layers: int = 4
    lr: float = 1e-3
    seed: int = 0
    first_seed: int = 20_000_000


def tokenizer() -> tf.PreTrainedTokenizerFast:
    words = [*SPECIAL, "a", "the", "photo", "of", "object", "thing", *COLOURS, *SHAPES, *ENDS]
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [(token, inner.token_to_id(token)) for token in ENDS]
    inner.post_processor = processors.TemplateProcessing(single=f"{ENDS[0]} $A {ENDS[1]}", special_tokens=ends)
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token=ENDS[0], eos_token=ENDS[1], pad_token="<pad>", unk_token="<unk>",
        model_max_length=16, model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


def network(recipe: Recipe) -> tf.OwlViTForObjectDetection:
    words = tokenizer()
    ids = {"vocab_size": len(words), "bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id}
    text = {"hidden_size": 96, "intermediate_size": 192, "num_hidden_layers": 2, "num_attention_heads": 4}
    vision = {
        "hidden_size": recipe.width, "intermediate_size": 2 * recipe.width, "num_hidden_layers": recipe.layers,
        "num_attention_heads": 4, "image_size": recipe.size_px, "patch_size": 8,
    }  # fmt: skip
    torch.manual_seed(recipe.seed)
    config = tf.OwlViTConfig(
        text_config={**text, **ids, "max_position_embeddings": 16, "pad_token_id": words.pad_token_id},
        vision_config=vision,
        projection_dim=96,
    )
    return started(tf.OwlViTForObjectDetection(config))


@torch.no_grad()
def started(model: tf.OwlViTForObjectDetection) -> tf.OwlViTForObjectDetection:
    """The model with weights that it can learn from: transformers draws those of the heads with a deviation of 1."""
    for part in (*model.class_head.modules(), *model.box_head.modules()):
        if isinstance(part, torch.nn.Linear):
            part.weight.mul_(part.in_features**-0.5)
    head, seen = model.class_head, model.owlvit.vision_model.embeddings
    head.logit_scale.weight.zero_(), head.logit_shift.weight.zero_()
    # At first no phrase is true anywhere: cosines of [-1, 1] become logits of [-15, 5].
    head.logit_scale.bias.fill_(9.0), head.logit_shift.bias.fill_(-0.5)
    # The box starts as large as its patch, and things are thrice that.
    model.box_head.dense2.weight.mul_(0.1)
    seen.patch_embedding.weight.mul_(4)
    words = model.owlvit.text_model.embeddings
    words.token_embedding.weight.mul_(25), words.position_embedding.weight.mul_(10)
    seen.position_embedding.weight[1:] = waves(model.num_patches_height, seen.embed_dim)
    return model


def waves(side: int, width: int) -> torch.Tensor:
    """Places as sines and cosines `[side**2, width]`, row by row."""
    rates = torch.pi * torch.arange(1, width // 4 + 1) / side / 4
    place = (torch.arange(side)[:, None] + 0.5) * rates
    one = torch.cat([place.sin(), place.cos()], 1)
    return 0.3 * torch.cat([one.repeat_interleave(side, 0), one.repeat(side, 1)], 1)


def processor(recipe: Recipe) -> tf.OwlViTProcessor:
    size = {"height": recipe.size_px, "width": recipe.size_px}
    half = [0.5, 0.5, 0.5]
    pictures = tf.OwlViTImageProcessorPil(
        size=size, crop_size=size, do_center_crop=False, image_mean=half, image_std=half
    )
    return tf.OwlViTProcessor(pictures, tokenizer())


def scene(seed: int) -> tuple[Clip, float]:
    """A clip or a part of a story, and a moment of it."""
    rng = np.random.default_rng([seed, 31])
    if rng.random() < 0.5:
        clip = world.make(seed)
        return clip, float(rng.uniform(0, clip.config.seconds - 0.1))
    story = world.tell(seed)
    act = story.act(int(rng.integers(story.config.events + story.config.distractors)))
    slack = act.span.seconds * 0.05
    moment = float(rng.uniform(act.span.start_seconds - slack, act.span.end_seconds + slack))
    moment = min(max(moment, 0.0), story.config.seconds - 0.1)
    return story.window(moment, moment), moment


def picture(seed: int, size_px: int) -> tuple[np.ndarray, tuple[Box, ...]]:
    """A frame uint8 `[3, H, W]` and the boxes of what it shows; what lies behind another thing counts too."""
    clip, moment = scene(seed)
    return world.render(clip, [moment], size_px).pixels[0], clip.boxes(moment)


def is_true(phrase: str, name: str) -> bool:
    """Whether a phrase is true of a thing.

    >>> is_true("red thing", "red circle"), is_true("circle", "red circle"), is_true("red square", "red circle")
    (True, True, False)
    """
    return set(phrase.split()) - {"thing"} <= set(name.split())


class Batches:
    """Frames with what is true of each patch, by number."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe, self.words = recipe, tokenizer()

    def __len__(self) -> int:
        return self.recipe.steps

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        r = self.recipe
        first = r.first_seed + index * r.batch
        shown = [picture(seed, r.size_px) for seed in range(first, first + r.batch)]
        wrap = WRAPS[index % len(WRAPS)]
        texts = self.words([wrap.format(p) for p in PHRASES], return_tensors="pt", padding="max_length")
        pixels = torch.from_numpy(np.stack([p for p, _ in shown])).float() / 127.5 - 1
        truth = [targets(boxes, r.size_px // 8) for _, boxes in shown]
        return {
            "pixels": pixels, "ids": texts["input_ids"], "mask": texts["attention_mask"],
            "phrases": torch.stack([t for t, _ in truth]), "boxes": torch.stack([b for _, b in truth]),
        }  # fmt: skip


def targets(boxes: tuple[Box, ...], side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What is true at each patch `[side**2, phrases]`, and its box x, y, width, height `[side**2, 4]`; -1 for none."""
    phrases, where = torch.zeros(side * side, len(PHRASES)), torch.full((side * side, 4), -1.0)
    for box in boxes:
        x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
        patch = min(int(y * side), side - 1) * side + min(int(x * side), side - 1)
        phrases[patch] = torch.tensor([float(is_true(p, box.label)) for p in PHRASES])
        where[patch] = torch.tensor([x, y, box.x1 - box.x0, box.y1 - box.y0])
    return phrases, where


def loss(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Focal cross-entropy of the phrases at each patch, and the distance of the boxes of patches that hold a thing."""
    features, _ = model.image_embedder(batch["pixels"])
    flat = features.flatten(1, 2)
    texts = model.owlvit.get_text_features(input_ids=batch["ids"], attention_mask=batch["mask"]).pooler_output
    logits, _ = model.class_predictor(flat, texts[None].expand(len(flat), -1, -1))
    truth = batch["phrases"]
    each = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    missed = (logits.sigmoid() - truth).abs() ** 2
    held = batch["boxes"][..., 0] >= 0
    count = held.sum().clamp(min=1)
    boxes = model.box_predictor(flat, features)
    apart = (boxes - batch["boxes"])[held].abs().sum()
    return (each * missed).sum() / count + 5 * apart / count


def make(recipe: Recipe, out: Path, *, held_out: int = 300) -> tuple[Path, dict[str, float]]:
    """The folder of the checkpoint of this recipe, trained unless it is there, and what it reaches."""

    def train(folder: Path, on_the_way: Path) -> dict[str, float]:
        # A shift moves every patch and phrase at once, so it learns slowly.
        settings = FitConfig(
            str(on_the_way), recipe.steps, lr=recipe.lr, seed=recipe.seed, clip=5.0, save_steps=200, log_steps=100,
            resume=True, rates={"logit_": 0.03},
        )  # fmt: skip
        model = fit(network(recipe), Batches(recipe), loss, settings)
        model.save_pretrained(folder)
        processor(recipe).save_pretrained(folder)
        return measure(Detector(model, processor(recipe), name="world", card={}, min_score=0.25), picture, held_out)

    return kept(recipe, [__file__], out, train)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/world-detector"))
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(*make(Recipe(steps=given.steps, seed=given.seed), given.out))
