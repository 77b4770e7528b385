"""Tiny random CLIP and SigLIP checkpoints of the real architectures, with tokenizer and picture processor."""

from pathlib import Path
from typing import Any

from videre import compat

compat.need_hf()

import torch  # noqa: E402
import transformers as tf  # noqa: E402
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers  # noqa: E402

from tiny_models import CORPUS  # noqa: E402

VISION: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "image_size": 32,
    "patch_size": 8,
}
TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 32,
}
ENDS = ["<|startoftext|>", "<|endoftext|>"]
LEVELS = {"image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28]}


def tokenizer() -> Any:
    """Byte-level, begin and end of text as CLIP's, the end token as padding."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    inner.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=400, special_tokens=[], initial_alphabet=alphabet, show_progress=False)
    )
    inner.add_special_tokens(ENDS)
    ids = [(token, inner.token_to_id(token)) for token in ENDS]
    inner.post_processor = processors.TemplateProcessing(single=f"{ENDS[0]} $A {ENDS[1]}", special_tokens=ids)
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token=ENDS[0], eos_token=ENDS[1], pad_token=ENDS[1], model_max_length=32
    )


def _ids(t: Any) -> dict[str, int]:
    return {"vocab_size": len(t), "bos_token_id": t.bos_token_id, "eos_token_id": t.eos_token_id, "pad_token_id": 1}


def clip(**vision: Any) -> tuple[Any, Any]:
    """A CLIP of some 70 thousand weights."""
    t = tokenizer()
    config = tf.CLIPConfig(text_config={**TEXT, **_ids(t)}, vision_config={**VISION, **vision}, projection_dim=16)
    size = config.vision_config.image_size
    images = tf.CLIPImageProcessor(size={"shortest_edge": size}, crop_size={"height": size, "width": size}, **LEVELS)
    return tf.CLIPModel(config), tf.CLIPProcessor(images, t)


def siglip(**vision: Any) -> tuple[Any, Any]:
    """A SigLIP: no CLS token, attention pooling, texts padded to full length."""
    t = tokenizer()
    config = tf.SiglipConfig(text_config={**TEXT, **_ids(t), "projection_size": 32}, vision_config={**VISION, **vision})
    images = tf.SiglipImageProcessor(size={"height": 32, "width": 32})
    return tf.SiglipModel(config), tf.SiglipProcessor(images, t)


FAMILIES = {"clip": clip, "siglip": siglip}


def owlv2(folder: Path, *, image_px: int = 64, **wide: int) -> Path:
    """A random open-vocabulary detector, saved in `folder`; both towers and the projection are `hidden_size` wide."""
    t = tokenizer()
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, **wide}
    ids = {"vocab_size": len(t), "bos_token_id": t.bos_token_id, "eos_token_id": t.eos_token_id}
    config = tf.Owlv2Config(
        text_config={**tower, **ids, "max_position_embeddings": 32, "pad_token_id": t.pad_token_id},
        vision_config={**tower, "image_size": image_px, "patch_size": 16},
        projection_dim=tower["hidden_size"],
    )
    tf.Owlv2ForObjectDetection(config).save_pretrained(folder)
    tf.Owlv2Processor(tf.Owlv2ImageProcessor(size={"height": image_px, "width": image_px}), t).save_pretrained(folder)
    return folder


def build(name: str, folder: Path) -> Path:
    """A checkpoint of "clip" or "siglip" with weights of seed 0, saved in `folder`."""
    torch.manual_seed(0)
    model, processor = FAMILIES[name]()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
