"""Tiny random checkpoints of real architectures: right class, right processor, right prompt form, no knowledge.

`build(name, folder)` saves one in well under a second. The chat templates follow the published ones where their shape
matters: LLaVA puts all pictures before all text, LLaVA-NeXT-Video ends without a special token.
"""

import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from videre import compat

compat.need_hf()

import torch  # noqa: E402
import transformers as tf  # noqa: E402
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: E402

CORPUS = [
    "user assistant system what happens in the video ? a red square moves to the left then a blue ball appears",
    "question answer options A B C D yes no before after during when the person opens the door",
    '{"targets": ["person"], "relation": "before", "event": "door"} seconds 0.0 1.5 <1.5 seconds> Frame1: Frame2:',
] * 20
BASE = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHATML = """{%- for m in messages -%}<|im_start|>{{ m['role'] }}
{% if m['content'] is string %}{{ m['content'] }}{% else %}{%- for c in m['content'] -%}\
{%- if c['type'] == 'image' -%}IMG{%- elif c['type'] == 'video' -%}VID\
{%- elif 'text' in c -%}{{ c['text'] }}{%- endif -%}{%- endfor -%}{% endif %}<|im_end|>
{% endfor %}{%- if add_generation_prompt -%}<|im_start|>assistant
{% endif %}"""
PICTURES_FIRST = """{% for m in messages %}ROLE\
{% for c in m['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}\
{% for c in m['content'] | selectattr('type', 'equalto', 'video') %}{{ '<video>\n' }}{% endfor %}\
{% for c in m['content'] | selectattr('type', 'equalto', 'text') %}TEXT{% endfor %}END{% endfor %}\
{% if add_generation_prompt %}REPLY{% endif %}"""
IDEFICS = """<|im_start|>{% for m in messages %}{{ m['role'] | capitalize }}{% if m['content'][0]['type'] == 'image' %}\
{{ ':' }}{% else %}{{ ': ' }}{% endif %}{% for c in m['content'] %}{% if c['type'] == 'text' %}{{ c['text'] }}\
{% elif c['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>
{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"""
QWEN = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
QWEN_CHAT = CHATML.replace("IMG", "<|vision_start|><|image_pad|><|vision_end|>").replace(
    "VID", "<|vision_start|><|video_pad|><|vision_end|>"
)
TEXT: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32768,
}
SIGLIP: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 56,
    "patch_size": 14,
}
SIZE = {"height": 56, "width": 56}
Built = tuple[Any, Any]


def tokenizer(specials: Iterable[str] = (), *, chat: str, vocabulary: int = 440, **extra: Any) -> Any:
    """A byte-level tokenizer of some 400 words with these special tokens."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[*BASE, *specials], initial_alphabet=alphabet, show_progress=False
    )
    inner.train_from_iterator(CORPUS, trainer)
    made = tf.PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token="<|im_end|>", pad_token="<|endoftext|>", **extra
    )
    made.chat_template = chat
    return made


def _text(t: Any, **more: Any) -> dict[str, Any]:
    ends = {"bos_token_id": None, "eos_token_id": t.eos_token_id, "pad_token_id": t.pad_token_id}
    return {"vocab_size": len(t), **TEXT, **ends, **more}


def _qwen_ids(t: Any) -> dict[str, int]:
    names = {"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>"}
    names |= {"vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>"}
    return {key: t.convert_tokens_to_ids(name) for key, name in names.items()}


def qwen2_5_vl() -> Built:
    """Fuses neighbouring frames; its prompt states no times, one scalar spaces them."""
    t = tokenizer(QWEN, chat=QWEN_CHAT)
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]}
    vision = {"depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 64}
    vision |= {"patch_size": 14, "window_size": 56, "fullatt_block_indexes": [1]}
    config = tf.Qwen2_5_VLConfig(text_config=_text(t, rope_parameters=rope), vision_config=vision, **_qwen_ids(t))
    size = {"shortest_edge": 28 * 28 * 4, "longest_edge": 28 * 28 * 16}
    videos = tf.Qwen2VLVideoProcessor(size=size)
    processor = tf.Qwen2_5_VLProcessor(tf.Qwen2VLImageProcessor(size=size), t, videos, chat_template=t.chat_template)
    return tf.Qwen2_5_VLForConditionalGeneration(config), processor


def qwen3_vl(*, hidden: int = 64, layers: int = 2, heads: int = 4, tokens_per_frame: int = 16) -> Built:
    """Fuses neighbouring frames and writes the mean time before each pair. Wider for benchmarks."""
    t = tokenizer(QWEN, chat=QWEN_CHAT)
    head, vision_width = hidden // heads, hidden // 2
    section = [head // 2 - 2 * (head // 8), head // 8, head // 8]
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": section, "mrope_interleaved": True}
    text = _text(t, head_dim=head, rope_parameters=rope)
    text |= {"hidden_size": hidden, "intermediate_size": 2 * hidden, "num_hidden_layers": layers}
    text |= {"num_attention_heads": heads, "num_key_value_heads": heads // 2}
    vision = {"depth": 2, "hidden_size": vision_width, "intermediate_size": 2 * vision_width, "num_heads": 2}
    vision |= {"out_hidden_size": hidden, "patch_size": 16, "num_position_embeddings": 64}
    vision |= {"deepstack_visual_indexes": [0, 1]}
    config = tf.Qwen3VLConfig(text_config=text, vision_config=vision, **_qwen_ids(t))
    area = 32 * 32
    images = tf.Qwen2VLImageProcessor(
        patch_size=16, size={"shortest_edge": area * 4, "longest_edge": area * tokens_per_frame}
    )
    budget = {"shortest_edge": area * 4, "longest_edge": area * tokens_per_frame * 512}
    videos = tf.Qwen3VLVideoProcessor(size=budget, max_video_tokens=tokens_per_frame)
    processor = tf.Qwen3VLProcessor(images, t, videos, chat_template=t.chat_template)
    return tf.Qwen3VLForConditionalGeneration(config), processor


def llava_onevision(**text: Any) -> Built:
    """Frames are separate pictures without times; the template puts pictures before text."""
    chat = PICTURES_FIRST.replace("ROLE", "{{ '<|im_start|>' + m['role'] + ' ' }}").replace("END", "{{ '<|im_end|>' }}")
    chat = chat.replace("TEXT", "{{ '\n' + c['text'] }}").replace("REPLY", "{{ '<|im_start|>assistant\n' }}")
    t = tokenizer(["<image>", "<video>"], chat=chat)
    grid = [[56, 56], [56, 112], [112, 56], [112, 112]]
    config = tf.LlavaOnevisionConfig(
        vision_config={"model_type": "siglip_vision_model", "vision_use_head": False, **SIGLIP},
        text_config={"model_type": "qwen2", **_text(t, **text)},
        image_token_index=t.convert_tokens_to_ids("<image>"),
        video_token_index=t.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=grid,
        vision_aspect_ratio="anyres_max_9",
    )
    processor = tf.LlavaOnevisionProcessor(
        tf.LlavaOnevisionImageProcessor(size=SIZE, image_grid_pinpoints=grid),
        t,
        tf.LlavaOnevisionVideoProcessor(size=SIZE),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=t.chat_template,
    )
    return tf.LlavaOnevisionForConditionalGeneration(config), processor


def llava_next_video() -> Built:
    """As LLaVA-OneVision, with a prompt that holds no special token but the pictures."""
    chat = PICTURES_FIRST.replace("ROLE", "{{ m['role'].upper() + ': ' }}").replace("END", "")
    chat = chat.replace("TEXT", "{{ c['text'] + ' ' }}").replace("REPLY", "{{ 'ASSISTANT:' }}")
    t = tokenizer(["<image>", "<video>"], chat=chat)
    grid = [[56, 112], [112, 56], [112, 112]]
    config = tf.LlavaNextVideoConfig(
        vision_config={"model_type": "clip_vision_model", "projection_dim": 32, **SIGLIP},
        text_config={"model_type": "llama", **_text(t)},
        image_token_index=t.convert_tokens_to_ids("<image>"),
        video_token_index=t.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=grid,
        image_seq_length=16,
        video_seq_length=4,
    )
    scale = {"size": {"shortest_edge": 56}, "crop_size": SIZE}
    processor = tf.LlavaNextVideoProcessor(
        video_processor=tf.LlavaNextVideoVideoProcessor(**scale),
        image_processor=tf.LlavaNextImageProcessor(**scale, image_grid_pinpoints=grid),
        tokenizer=t,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=t.chat_template,
    )
    return tf.LlavaNextVideoForConditionalGeneration(config), processor


def _idefics(family: str, **more: Any) -> tuple[Any, Any]:
    specials = ["<fake_token_around_image>", "<image>", "<global-img>", "<video>", "<end_of_utterance>"]
    specials += [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    t = tokenizer(specials, chat=IDEFICS, vocabulary=480)
    vision = {**SIGLIP, "image_size": 64, "patch_size": 16}
    text = {"model_type": "llama", **_text(t)}
    image = t.convert_tokens_to_ids("<image>")
    config = getattr(tf, f"{family}Config")(
        vision_config=vision, text_config=text, image_token_id=image, scale_factor=2, **more
    )
    return t, getattr(tf, f"{family}ForConditionalGeneration")(config)


def smolvlm() -> Built:
    """Writes whole seconds before each frame of a video."""
    t, model = _idefics("SmolVLM", pad_token_id=0)
    most = {"longest_edge": 64}
    images = tf.SmolVLMImageProcessor(size={"longest_edge": 128}, max_image_size=most)
    videos = tf.SmolVLMVideoProcessor(size=most, max_image_size=most)
    return model, tf.SmolVLMProcessor(images, t, videos, image_seq_len=4, chat_template=t.chat_template)


def idefics3() -> Built:
    """Takes pictures, not videos."""
    t, model = _idefics("Idefics3")
    images = tf.Idefics3ImageProcessor(size={"longest_edge": 128}, max_image_size={"longest_edge": 64})
    return model, tf.Idefics3Processor(images, t, image_seq_len=4, chat_template=t.chat_template)


def internvl() -> Built:
    """Counts the frames of a video in the prompt, without times."""
    names = {"start_image_token": "<img>", "end_image_token": "</img>"}
    names |= {"context_image_token": "<IMG_CONTEXT>", "video_token": "<video>"}
    chat = CHATML.replace("IMG", "{{ '<IMG_CONTEXT>\n' }}").replace("VID", "{{ '<video>\n' }}")
    t = tokenizer(list(names.values()), chat=chat, extra_special_tokens=names)
    config = tf.InternVLConfig(
        vision_config={**SIGLIP, "image_size": [56, 56], "patch_size": [14, 14]},
        text_config={"model_type": "qwen2", **_text(t, tie_word_embeddings=True)},
        image_token_id=t.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
        downsample_ratio=0.5,
    )
    images = tf.GotOcr2ImageProcessor(size=SIZE, crop_to_patches=True, max_patches=4)
    videos = tf.InternVLVideoProcessor(size=SIZE)
    processor = tf.InternVLProcessor(images, t, videos, image_seq_length=4, chat_template=t.chat_template)
    return tf.InternVLForConditionalGeneration(config), processor


FAMILIES: dict[str, Callable[[], Built]] = {
    "qwen2_5_vl": qwen2_5_vl,
    "qwen3_vl": qwen3_vl,
    "llava_onevision": llava_onevision,
    "llava_next_video": llava_next_video,
    "smolvlm": smolvlm,
    "idefics3": idefics3,
    "internvl": internvl,
}


def save(built: Built, folder: str | Path) -> Path:
    """The folder, with the model and its processor in it."""
    model, processor = built
    model.generation_config.do_sample = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
    return Path(folder)


def build(name: str, folder: str | Path) -> Path:
    """A checkpoint of one family (a key of `FAMILIES`), with weights of seed 0, saved in `folder`."""
    torch.manual_seed(0)
    return save(FAMILIES[name](), folder)
