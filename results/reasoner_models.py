"""The small models of the study: a CLIP pair and a detector of the films, the answerer, and a parser that writes JSON.

All are checkpoints of transformers' own classes, trained here and kept under a folder; a training that was stopped goes
on. Sizes and steps stand in the table of `reasoner.md`.
"""

import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as tf
from reasoner_films import RADIUS, film, named
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

sys.path.insert(0, str(Path(__file__).parent.parent / "recipes"))
import world_clip
import world_detector

from videre.data import world
from videre.data.world.scene import COLOURS, Clip
from videre.methods.msr_vir import rules
from videre.methods.msr_vir.policy import Policy, read
from videre.methods.msr_vir.prompts import OURS, PERSPECTIVES, prompt
from videre.methods.msr_vir.scan import NEUTRAL
from videre.train.fit import FitConfig, fit
from videre.types import Sample

K = 8
"""Frames of the key moment: as many as the built-in model was made for."""
CLIP_SEED, DETECTOR_SEED, PARSER_SEED = 30_000_000, 31_000_000, 33_000_000


def moment(seed: int, size_px: int, radius: float) -> tuple[np.ndarray, Clip, float]:
    """A frame uint8 `[3, H, W]` of a film that is not asked about, the film, and when."""
    shown = film(seed, radius)
    seconds = float(np.random.default_rng([seed, 53]).choice(shown.frame_seconds))
    return world.render(shown, [seconds], size_px).pixels[0], shown, seconds


def fitted(out: Path, make: Callable[[], torch.nn.Module], batches: Any, loss: Any, lr: float) -> torch.nn.Module:
    """A network after as many steps as there are batches."""
    return fit(make(), batches, loss, FitConfig(str(out), len(batches), lr=lr, bf16=True, save_steps=100, resume=True))


class Colours:
    """Batches for the CLIP pair: frames and the words for the colour that they show."""

    ways = ("the {} thing", "{} thing", "{}", "a photo of a {} thing")

    def __init__(self, steps: int, size_px: int, radius: float, batch: int = 24) -> None:
        self.steps, self.size_px, self.radius, self.batch = steps, size_px, radius, batch
        self.words = world_clip.tokenizer()

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        shown = [moment(CLIP_SEED + index * self.batch + i, self.size_px, self.radius) for i in range(self.batch)]
        names = [next(t.colour for t in clip.things if t.shown(np.array([s]))[0]) for _, clip, s in shown]
        way = self.ways[index % len(self.ways)]
        texts = self.words([*(way.format(n) for n in names), NEUTRAL], return_tensors="pt", padding=True)
        pixels = torch.from_numpy(np.stack([p for p, _, _ in shown])).float() / 127.5 - 1
        same = torch.tensor([[a == b for a in names] for b in names])
        return {"pixel_values": pixels, **texts, "same": same}


def pair_loss(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """CLIP's loss over the colours, where two frames of one colour are no wrong answers to each other; and the last
    text, the neutral one that the scan takes away, is to be as like to one frame as to another.
    """
    told = {k: v for k, v in batch.items() if k not in ("same", "token_type_ids")}
    logits = model(**told).logits_per_image
    named, neutral = logits[:, :-1], logits[:, -1]
    wanted = batch["same"].float() / batch["same"].sum(1, keepdim=True)
    both = -0.5 * sum((wanted * each.log_softmax(1)).sum(1).mean() for each in (named, named.T))
    return both + 0.1 * neutral.var()


def clip_pair(out: Path, eye: Path, steps: int, *, radius: float = RADIUS) -> Path:
    """The folder of a CLIP pair that knows the colours of the films; its eye begins as that of the detector `eye`.

    From nothing, such small things are not found in hundreds of steps: the loss stays at chance.
    """
    if not (out / "model.safetensors").exists():
        model: Any = fitted(out / "fit", lambda: _pair(eye), Colours(steps, 96, radius), pair_loss, 1e-3)
        size = {"height": 96, "width": 96}
        half = [0.5, 0.5, 0.5]
        world_clip.tokenizer().save_pretrained(out)
        tf.CLIPImageProcessorPil(
            size=size, crop_size=size, do_center_crop=False, image_mean=half, image_std=half
        ).save_pretrained(out)
        model.save_pretrained(out)
    return out


def _pair(eye: Path) -> tf.CLIPModel:
    seen = tf.OwlViTForObjectDetection.from_pretrained(eye).owlvit.vision_model
    plain = world_clip.network(world_clip.Recipe()).config
    told = {k: getattr(seen.config, k) for k in ("hidden_size", "intermediate_size", "num_hidden_layers",
            "num_attention_heads", "image_size", "patch_size", "hidden_act")}  # fmt: skip
    model = tf.CLIPModel(tf.CLIPConfig(text_config=plain.text_config, vision_config=told, projection_dim=64))
    named = {k.replace("pre_layernorm", "pre_layrnorm"): v for k, v in seen.state_dict().items()}
    lost = model.vision_model.load_state_dict(named, strict=False)
    if lost.missing_keys:
        raise ValueError(f"the checkpoint lacks {', '.join(lost.missing_keys)}")
    return model


class Boxes:
    """Batches for the detector: frames, and what is true at each patch."""

    phrases = (*COLOURS, *(f"{c} thing" for c in COLOURS), "thing")

    def __init__(self, steps: int, size_px: int, radius: float, batch: int = 16) -> None:
        self.steps, self.size_px, self.radius, self.batch = steps, size_px, radius, batch
        self.words = world_detector.tokenizer()

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        shown = [moment(DETECTOR_SEED + index * self.batch + i, self.size_px, self.radius) for i in range(self.batch)]
        wrap = ("{}", "the {}")[index % 2]
        texts = self.words([wrap.format(p) for p in self.phrases], return_tensors="pt", padding="max_length")
        pixels = torch.from_numpy(np.stack([p for p, _, _ in shown])).float() / 127.5 - 1
        truth = [self._targets(clip, seconds) for _, clip, seconds in shown]
        return {
            "pixels": pixels, "ids": texts["input_ids"], "mask": texts["attention_mask"],
            "phrases": torch.stack([t for t, _ in truth]), "boxes": torch.stack([b for _, b in truth]),
        }  # fmt: skip

    def _targets(self, clip: Clip, seconds: float) -> tuple[torch.Tensor, torch.Tensor]:
        side = self.size_px // 8
        true, where = torch.zeros(side * side, len(self.phrases)), torch.full((side * side, 4), -1.0)
        for box in clip.boxes(seconds):
            x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
            patch = min(int(y * side), side - 1) * side + min(int(x * side), side - 1)
            true[patch] = torch.tensor([float(world_detector.is_true(p, box.label)) for p in self.phrases])
            where[patch] = torch.tensor([x, y, box.x1 - box.x0, box.y1 - box.y0])
        return true, where


def spotter(out: Path, steps: int, *, radius: float = RADIUS) -> Path:
    """The folder of an OwlViT that finds the things of the films by colour."""
    if not (out / "model.safetensors").exists():
        recipe = world_detector.Recipe(steps=steps, size_px=96, width=96, layers=2)
        batches = Boxes(steps, recipe.size_px, radius)
        model: Any = fitted(out / "fit", lambda: world_detector.network(recipe), batches, world_detector.loss, 2e-3)
        world_detector.processor(recipe).save_pretrained(out)
        model.save_pretrained(out)
    return out


def true_policy(sample: Sample) -> Policy:
    """What the rules make of a question; the films' wordings are within their reach."""
    return rules.parse(sample.question.text)


SHARES = (0.5, 0.2, 0.1, 0.1, 0.1)
"""How often the parser has read each policy: the thing itself, the scene after or before it, all after it, the film."""


def mixed_policies(sample: Sample, rng: random.Random) -> Policy:
    """A policy of mixed quality for a named thing: the right one or one of the mistakes that a parser makes."""
    spatial = true_policy(sample).model_dump(mode="json")["spatial"]
    colour = next(c for c in COLOURS if c in sample.question.text.split())
    anchor = {"op": "detect", "query": f"the {colour} thing"}
    after, before = ({"op": "relate", "relation": word, "of": anchor} for word in ("after", "before"))
    choices = [anchor, after, before, {**after, "window": "rest"}, {"op": "whole"}]
    picked = rng.choices(choices, SHARES)[0]
    return read({"temporal": picked, "spatial": spatial if rng.random() < 0.5 else []})


def parser_tokenizer(texts: list[str], size: int = 420) -> tf.PreTrainedTokenizerFast:
    """A BPE over bytes that merges across words; the fixed instructions before the question are one token."""
    head = OURS[: OURS.index("Perspective:")]
    inner = Tokenizer(models.BPE(unk_token=None))
    inner.normalizer = normalizers.Replace(head, "")
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    special = ["<pad>", "<end>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=special, initial_alphabet=alphabet, show_progress=False, max_token_length=16
    )
    inner.train_from_iterator(texts, trainer)
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token="<end>", pad_token="<pad>", clean_up_tokenization_spaces=False
    )


class Policies:
    """Batches for the parser's schooling: prompts under any perspective, and policies of mixed quality."""

    def __init__(self, words: tf.PreTrainedTokenizerFast | None, steps: int, *, seed: int, batch: int = 24) -> None:
        self.words, self.steps, self.batch, self.seed = words, steps, batch, seed

    def __len__(self) -> int:
        return self.steps

    def rows(self, index: int) -> list[tuple[str, str]]:
        """Prompt and policy."""
        rng = random.Random(f"{self.seed}/{index}")
        found = []
        for i in range(self.batch // len(COLOURS)):
            for sample in rng.sample(named(film(PARSER_SEED + (index * self.batch + i) % 50_000)), len(COLOURS)):
                asked = prompt(sample.question.text, perspective=rng.choice(PERSPECTIVES))
                found.append((asked, mixed_policies(sample, rng).canonical))
        return found

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        assert self.words is not None
        rows = [(self.words(a)["input_ids"], [*self.words(b)["input_ids"], 1]) for a, b in self.rows(index)]
        longest = max(len(a) + len(b) for a, b in rows)
        ids = torch.zeros(len(rows), longest, dtype=torch.long)
        labels = torch.full((len(rows), longest), -100)
        for i, (a, b) in enumerate(rows):
            ids[i, : len(a) + len(b)] = torch.tensor([*a, *b])
            labels[i, len(a) : len(a) + len(b)] = torch.tensor(b)
        return {"input_ids": ids, "labels": labels}


def parser(out: Path, *, steps: int, seed: int = 0) -> Path:
    """The folder of a small OLMo 2 that writes policies of mixed quality."""
    if not (out / "model.safetensors").exists():
        words = parser_tokenizer(
            [text for i in range(12) for row in Policies(None, 1, seed=-1).rows(i) for text in row]
        )
        # Not Qwen2: transformers lays that family's own rules for words over any tokenizer, ours included.
        config = tf.Olmo2Config(
            vocab_size=len(words), hidden_size=160, intermediate_size=480, num_hidden_layers=4, num_attention_heads=4,
            num_key_value_heads=4, max_position_embeddings=1024, tie_word_embeddings=True, bos_token_id=None,
            eos_token_id=1, pad_token_id=0,
        )  # fmt: skip
        torch.manual_seed(seed)
        batches = Policies(words, steps, seed=seed)
        model: Any = fitted(out / "fit", lambda: tf.Olmo2ForCausalLM(config), batches, lambda m, b: m(**b).loss, 2e-3)
        words.save_pretrained(out)
        model.save_pretrained(out)
    return out


def told(folder: Path) -> dict[str, Any]:
    """How long the training in a folder took, by its log."""
    rows = [json.loads(line) for line in (folder / "fit.jsonl").read_text("utf-8").splitlines()[1:]]
    return {"steps": rows[-1].get("step"), "seconds": rows[-1].get("train_runtime")}
