"""The small InstructBLIP of the memory's study: real classes of transformers, trained from nothing on decoded pictures.

First its vision tower learns what lies in each cell, then Q-Former, projection and language model learn to answer
about one picture, with the tower frozen. So it stands where MA-LMM starts from: a model that reads pictures and has no
memory.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from videre import compat

compat.need_hf()

import transformers as tf  # noqa: E402
from memory_world import SIDE_PX, asked, decoded, labels, pictures  # noqa: E402
from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: E402

from videre.data.world.scene import COLOURS, SHAPES, Clip, Thing  # noqa: E402
from videre.methods.ma_lmm.loading import load, save  # noqa: E402
from videre.methods.ma_lmm.memory import Memory, Parts, State, Words, step  # noqa: E402
from videre.methods.ma_lmm.model import MALMM, Settings  # noqa: E402
from videre.train.fit import FitConfig, fit  # noqa: E402

WORDS = ["[PAD]", "[UNK]", "</s>", "<image>", "what", "shape", "is", "the", "thing", "?", *COLOURS, *SHAPES]
QUERIES, WIDTH = 8, 64


def tokenizer() -> Any:
    """One word, one token."""
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token="[UNK]", pad_token="[PAD]", eos_token="</s>", image_token="<image>"
    )


def fresh(seed: int) -> MALMM:
    """The model before it has learned anything."""
    torch.manual_seed(seed)
    config = tf.InstructBlipConfig(
        vision_config={"hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "num_hidden_layers": 2,
                       "num_attention_heads": 4, "image_size": SIDE_PX, "patch_size": 16, "initializer_range": 0.02},
        qformer_config={"vocab_size": len(WORDS), "max_position_embeddings": 16, "hidden_size": 64,
                        "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 128,
                        "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
                        "cross_attention_frequency": 1},
        text_config={"model_type": "llama", "vocab_size": len(WORDS), "hidden_size": 64, "intermediate_size": 128,
                     "num_hidden_layers": 1, "num_attention_heads": 4, "max_position_embeddings": 64,
                     "pad_token_id": 0, "bos_token_id": None, "eos_token_id": 2},
        num_query_tokens=QUERIES,
        image_token_index=WORDS.index("<image>"),
    )  # fmt: skip
    network = tf.InstructBlipForConditionalGeneration(config)
    with torch.no_grad():
        network.query_tokens.normal_(std=0.5)
    images = tf.BlipImageProcessor(size={"height": SIDE_PX, "width": SIDE_PX})
    processor = tf.InstructBlipProcessor(images, tokenizer(), tokenizer(), num_query_tokens=QUERIES)
    return MALMM(network, processor, name="study", card={}, settings=Settings(memory=Memory(8, 0)))


def question(thing: Thing) -> str:
    """The question about a thing."""
    return f"what shape is the {thing.colour} thing ?"


def ids_of(colours: list[str]) -> Tensor:
    """The questions `[B, L]`."""
    rows = [["what", "shape", "is", "the", colour, "thing", "?"] for colour in colours]
    return torch.tensor([[WORDS.index(word) for word in row] for row in rows])


def pixels_of(model: MALMM, frames: np.ndarray) -> Tensor:
    """What the model's own processor makes of frames `[T, 3, H, W]`."""
    return model.processor.image_processor(list(frames.transpose(0, 2, 3, 1)), return_tensors="pt")["pixel_values"]


def tower(model: MALMM, pixels: Tensor) -> Tensor:
    """Its tokens of pictures, after the last norm `[B, 10, C]`."""
    vision = model.network.vision_model
    return model.normed(vision.encoder(inputs_embeds=vision.embeddings(pixels)).last_hidden_state)


class Tower(nn.Module):
    """The vision tower with two heads that name what lies in each cell."""

    def __init__(self, model: MALMM) -> None:
        super().__init__()
        self.vision = model.network.vision_model
        self.heads = nn.Linear(WIDTH, len(COLOURS) + 2 + len(SHAPES) + 1)
        self._model = [model]

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits of colours, then of shapes `[B, 9, 17]`."""
        return self.heads(tower(self._model[0], pixels)[:, 1:])


def cells_loss(net: Tower, batch: dict[str, Tensor]) -> Tensor:
    """Cross-entropy of colour and shape in each cell."""
    colours, shapes = net(batch["pixels"]).split([len(COLOURS) + 2, len(SHAPES) + 1], -1)
    truth = batch["truth"].flatten(0, 1)
    named = nn.functional.cross_entropy
    return named(colours.flatten(0, 1), truth[:, 0]) + named(shapes.flatten(0, 1), truth[:, 1])


class Reader(nn.Module):
    """What learns to read one picture: all but the vision tower."""

    def __init__(self, model: MALMM) -> None:
        super().__init__()
        network = model.network
        self.qformer, self.query_tokens = network.qformer, network.query_tokens
        self.language_projection, self.language_model = network.language_projection, network.language_model
        self.model = [model]


def pictures_loss(net: Reader, batch: dict[str, Tensor]) -> Tensor:
    """Cross-entropy of the reply about one picture."""
    model, nothing = net.model[0], Memory(0, 0, cached=False)
    parts = Parts(model.network.qformer, model.network.query_tokens)
    seen, _ = step(parts, State(), batch["tokens"], words=words_of(batch["ids"]), memory=nothing, learn=True)
    return reply_loss(model, seen, batch["ids"], batch["truth"])


def words_of(ids: Tensor) -> Words:
    """Questions of one length, without padding."""
    return Words(ids, torch.ones_like(ids, dtype=torch.bool))


def reply_loss(model: MALMM, seen: Tensor, ids: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy of "SHAPE </s>" after the question."""
    table = model.network.language_model.get_input_embeddings()
    visual = model.network.language_projection(seen[:, :QUERIES])
    prompt = torch.cat([visual, table(ids), table(truth[:, None])], 1)
    logits = model.network.language_model(inputs_embeds=prompt, logits_to_keep=2, use_cache=False).logits
    end = torch.full_like(truth, WORDS.index("</s>"))
    return nn.functional.cross_entropy(logits.flatten(0, 1), torch.stack([truth, end], 1).flatten())


class Lots:
    """Numbered batches, each made from a seed of its own."""

    def __init__(self, make: Callable[[np.random.Generator], Any], count: int, seed: int) -> None:
        self.make, self.count, self.seed = make, count, seed

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> Any:
        if not 0 <= number < self.count:
            raise IndexError(number)
        return self.make(np.random.default_rng([self.seed, number]))


@dataclass(frozen=True)
class Schooling:
    """How the model learns to read pictures, before there is any memory."""

    clips: int = 60
    tower_steps: int = 300
    reader_steps: int = 600
    batch: int = 64
    lr: float = 2e-3


def schooled(seed: int, how: Schooling, folder: Path) -> MALMM:
    """The model that reads single pictures, made once and kept as a checkpoint of transformers."""
    if not (folder / "config.json").is_file():
        model = fresh(seed)
        clips = [pictures(first_picture(seed) + i) for i in range(how.clips)]
        pixels = torch.stack([pixels_of(model, film) for film in decoded(clips)])
        _teach_tower(model, pixels, torch.as_tensor(labels(clips, pixels.shape[1])), how, seed, folder)
        _teach_reader(model, pixels, clips, how, seed, folder)
        save(model, folder)
    return load(str(folder), device="cpu", dtype="float32", settings=Settings(memory=Memory(8, 0)))


def first_picture(seed: int) -> int:
    """Seeds of pictures: no other training of this project uses them."""
    return 61_000_000 + seed * 10_000


def _teach_tower(model: MALMM, pixels: Tensor, truth: Tensor, how: Schooling, seed: int, folder: Path) -> None:
    def some(rng: np.random.Generator) -> dict[str, Tensor]:
        v, t = rng.integers(0, pixels.shape[0], how.batch), rng.integers(0, pixels.shape[1], how.batch)
        return {"pixels": pixels[v, t], "truth": truth[v, t]}

    config = FitConfig(str(folder / "tower"), how.tower_steps, lr=how.lr, seed=seed)
    fit(Tower(model), Lots(some, how.tower_steps, seed), cells_loss, config)


def _teach_reader(model: MALMM, pixels: Tensor, clips: list[Clip], how: Schooling, seed: int, folder: Path) -> None:
    model.network.requires_grad_(False)
    tokens = tokens_of(model, pixels)
    shown = [[[one for one in asked(clip) if one.start_seconds < t < one.end_seconds] for t in range(tokens.shape[1])]
             for clip in clips]  # fmt: skip

    def some(rng: np.random.Generator) -> dict[str, Tensor]:
        v, t = rng.integers(0, tokens.shape[0], how.batch), rng.integers(0, tokens.shape[1], how.batch)
        things = [shown[a][b][rng.integers(len(shown[a][b]))] for a, b in zip(v, t, strict=True)]
        return {"tokens": tokens[v, t], **told(things)}

    reader = Reader(model)
    reader.requires_grad_(True)
    config = FitConfig(str(folder / "reader"), how.reader_steps, lr=how.lr, seed=seed)
    fit(reader, Lots(some, how.reader_steps, seed), pictures_loss, config)


def told(things: list[Thing]) -> dict[str, Tensor]:
    """The questions about these things, and the right words."""
    truth = torch.tensor([WORDS.index(one.shape) for one in things])
    return {"ids": ids_of([one.colour for one in things]), "truth": truth}


@torch.no_grad()
def tokens_of(model: MALMM, pixels: Tensor) -> Tensor:
    """What the tower makes of videos `[V, T, 3, H, W]`, after its norm `[V, T, 10, C]`."""
    return torch.stack([tower(model, film) for film in pixels])
