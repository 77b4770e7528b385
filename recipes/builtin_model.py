"""The built-in model's layout: SmolVLM at 64 px, its tokenizer and its processor, all standard transformers classes.

SmolVLM states the time of every frame in its prompt and keeps frames apart, which questions on order need. Here a frame
is 8 x 8 patches of 8 px, brought to 16 tokens; the text side is a small Llama.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn
from transformers import (
    PreTrainedTokenizerFast,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
    SmolVLMImageProcessor,
    SmolVLMProcessor,
    SmolVLMVideoProcessor,
)
from transformers.models.smolvlm.processing_smolvlm import DEFAULT_CHAT_TEMPLATE

SPECIALS = ["<fake_token_around_image>", "<image>", "<global-img>", "<video>", "<end_of_utterance>"]
MEAN, STD = 0.1901, 0.25
"""Of the world's grey levels. No whole grey level equals the mean: SmolVLM takes a frame of exact zeros for padding."""


@dataclass(frozen=True)
class Layout:
    """Sizes of the built-in model; `image_px` and below are the tower's, `hidden` and below the text side's."""

    image_px: int = 64
    patch_px: int = 8
    scale: int = 2
    tower_hidden: int = 128
    tower_layers: int = 6
    tower_heads: int = 4
    tower_inner: int = 384
    hidden: int = 256
    layers: int = 6
    heads: int = 4
    inner: int = 640
    vocabulary: int = 720

    @property
    def frame_tokens(self) -> int:
        """Tokens that one frame takes."""
        return (self.image_px // self.patch_px // self.scale) ** 2


def tokenizer(texts: Iterable[str], layout: Layout) -> PreTrainedTokenizerFast:
    """A byte-level BPE over the world's words: any text tokenizes, the world's words are one token each."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", *SPECIALS]
    core.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=layout.vocabulary,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<end_of_utterance>", pad_token="<|endoftext|>")


def processor(words: PreTrainedTokenizerFast, layout: Layout) -> SmolVLMProcessor:
    """The standard processor at this layout's size."""
    edge = {"longest_edge": layout.image_px}
    levels = {"image_mean": [MEAN] * 3, "image_std": [STD] * 3}
    return SmolVLMProcessor(
        SmolVLMImageProcessor(size=edge, max_image_size=edge, do_image_splitting=False, **levels),
        words,
        SmolVLMVideoProcessor(size=edge, max_image_size=edge, **levels),
        image_seq_len=layout.frame_tokens,
        chat_template=DEFAULT_CHAT_TEMPLATE,  # videos get this one whatever a checkpoint says
    )


def model(words: PreTrainedTokenizerFast, layout: Layout, seed: int) -> SmolVLMForConditionalGeneration:
    """The untrained model, its weights drawn from the seed."""
    torch.manual_seed(seed)
    ends = {"bos_token_id": None, "eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id}
    text = {
        "model_type": "llama",
        "vocab_size": len(words),
        "hidden_size": layout.hidden,
        "intermediate_size": layout.inner,
        "num_hidden_layers": layout.layers,
        "num_attention_heads": layout.heads,
        "num_key_value_heads": layout.heads,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": True,
        "initializer_range": 0.05,
        **ends,
    }
    vision = {
        "hidden_size": layout.tower_hidden,
        "intermediate_size": layout.tower_inner,
        "num_hidden_layers": layout.tower_layers,
        "num_attention_heads": layout.tower_heads,
        "image_size": layout.image_px,
        "patch_size": layout.patch_px,
        "initializer_range": 0.09,  # 1 / sqrt(width): at transformers' 0.02 so narrow a tower hardly starts to learn
    }
    config = SmolVLMConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=words.convert_tokens_to_ids("<image>"),
        scale_factor=layout.scale,
        tie_word_embeddings=True,
        pad_token_id=words.pad_token_id,
    )
    # Eager: the backward pass of fused attention in bfloat16 is slow on CPU.
    config._attn_implementation = "eager"
    made = SmolVLMForConditionalGeneration._from_config(config, attn_implementation="eager")
    made.generation_config.do_sample = False
    _see_neighbours(made.model.vision_model)
    return made


@torch.no_grad()
def _see_neighbours(tower: nn.Module) -> None:
    """Starts the tower where neighbouring patches see each other: a small ViT takes long to find that by itself.

    Positions start as sines and cosines of row and column, and keys start equal to queries: like attends to like.
    Source: Trockman and Kolter, "Mimetic initialization of self-attention layers" (2023), in its simplest form.
    """
    table = tower.embeddings.position_embedding.weight
    side, quarter = round(len(table) ** 0.5), table.shape[1] // 4
    rates = 20.0 ** -(torch.arange(quarter) / quarter)
    waves = [f(torch.arange(side)[:, None] * rates) for f in (torch.sin, torch.cos)]
    line = torch.cat(waves, dim=1)
    rows, columns = line.repeat_interleave(side, 0), line.repeat(side, 1)
    table.copy_(0.5 * torch.cat([rows, columns], dim=1))
    for layer in tower.encoder.layers:
        layer.self_attn.k_proj.weight.copy_(layer.self_attn.q_proj.weight)
