"""Tiny random InstructBLIP and BLIP-2 checkpoints of the real classes, and a released MA-LMM checkpoint over one."""

import torch
import transformers as tf
from tokenizers import Tokenizer, models, pre_tokenizers

from tiny_models import CHATML, CORPUS, Built, _text, tokenizer

VISION = {"hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
VISION |= {"image_size": 28, "patch_size": 14, "initializer_range": 0.05}
QFORMER = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 48}
QFORMER |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
QUERIES = 5


def words_of_bert():
    """A word-level tokenizer for the Q-Former."""
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *sorted({word for line in CORPUS for word in line.split()})]
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    return tf.PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="[UNK]", pad_token="[PAD]")


def instructblip(*, chat: bool = False) -> Built:
    """InstructBLIP over a Llama, without a chat template as the published ones, or with one."""
    t = tokenizer(["<image>"], chat=CHATML if chat else None)
    bert = words_of_bert()
    config = tf.InstructBlipConfig(
        vision_config=VISION,
        qformer_config={"vocab_size": len(bert), "max_position_embeddings": 64, **QFORMER},
        text_config={"model_type": "llama", **_text(t)},
        num_query_tokens=QUERIES,
        image_token_index=t.convert_tokens_to_ids("<image>"),
    )
    images = tf.BlipImageProcessor(size={"height": 28, "width": 28})
    network = shaken(tf.InstructBlipForConditionalGeneration(config))
    return network, tf.InstructBlipProcessor(images, t, bert, num_query_tokens=QUERIES)


def blip2() -> Built:
    """BLIP-2 over an OPT."""
    t = tokenizer(["<image>"], chat=None)
    text = {"model_type": "opt", "vocab_size": len(t), "hidden_size": 64, "ffn_dim": 128, "num_hidden_layers": 2}
    text |= {"num_attention_heads": 4, "word_embed_proj_dim": 64, "max_position_embeddings": 512}
    text |= {"bos_token_id": None, "eos_token_id": t.eos_token_id, "pad_token_id": t.pad_token_id}
    config = tf.Blip2Config(
        vision_config=VISION, qformer_config=QFORMER, text_config=text, num_query_tokens=QUERIES,
        image_token_index=t.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    images = tf.BlipImageProcessor(size={"height": 28, "width": 28})
    return shaken(tf.Blip2ForConditionalGeneration(config)), tf.Blip2Processor(images, t, num_query_tokens=QUERIES)


def shaken(network):
    """The network with weights that matter: queries start at zero otherwise, and pictures hardly count."""
    torch.manual_seed(0)
    with torch.no_grad():
        network.query_tokens.normal_()
        for name, weight in network.named_parameters():
            if weight.ndim > 1 and "language_model" not in name:
                weight.normal_(std=0.2)
    return network.eval()


BLIPS = {"instructblip": instructblip, "instructblip_chat": lambda: instructblip(chat=True), "blip2": blip2}
