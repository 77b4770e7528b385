"""MiniCPM-V, a family of the paper that transformers has natively: shown in every way, and trained."""

import numpy as np
import pytest

pytest.importorskip("transformers")

from tiny_models import SIGLIP, save, tokenizer
from videre.apps import naming
from videre.models import mllm
from videre.train.answerer import Lesson, Schooling, train
from videre.types import Frames, Question

# Its processor sums up tensors by NumPy, which NumPy 2 tells of.
pytestmark = pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")

NAMES = {
    "image_token": "<|image_pad|>", "video_token": "<|video_pad|>",
    "image_start_token": "<image>", "image_end_token": "</image>",
    "slice_start_token": "<slice>", "slice_end_token": "</slice>",
    "image_id_start_token": "<image_id>", "image_id_end_token": "</image_id>",
}  # fmt: skip


@pytest.fixture(scope="module")
def minicpm(tmp_path_factory):
    import torch
    import transformers as tf

    from tiny_models import CHATML, _text

    chat = CHATML.replace("IMG", "<|image_pad|>").replace("VID", "<|video_pad|>")
    t = tokenizer(list(NAMES.values()), chat=chat, extra_special_tokens=NAMES)
    config = tf.MiniCPMV4_6Config(
        vision_config={**SIGLIP, "image_size": 56, "patch_size": 14, "insert_layer_id": 0},
        text_config={"model_type": "llama", **_text(t)},
        insert_layer_id=0,
        image_size=56,
        image_token_id=t.convert_tokens_to_ids("<|image_pad|>"),
        video_token_id=t.convert_tokens_to_ids("<|video_pad|>"),
    )
    torch.manual_seed(0)
    look = {"scale_resolution": 56, "max_slice_nums": 1, "slice_mode": False}
    images, videos = tf.MiniCPMV4_6ImageProcessor(**look), tf.MiniCPMV4_6VideoProcessor(**look)
    processor = tf.MiniCPMV4_6Processor(images, videos, t, chat_template=t.chat_template)
    built = tf.MiniCPMV4_6ForConditionalGeneration(config), processor
    return save(built, tmp_path_factory.mktemp("tiny") / "minicpmv4_6")


def plain(level: int, count: int) -> Frames:
    return Frames(np.full((count, 3, 56, 56), level, np.uint8), np.arange(count, dtype=np.float64))


def prompt_tokens(model, frames: int) -> int:
    return model.answer([plain(20, frames)], Question("What happens?")).usage.prompt_tokens


def test_each_frame_is_a_picture(minicpm):
    model = naming.model(f"pictures:{minicpm}")
    one, two, four = (prompt_tokens(model, count) for count in (1, 2, 4))
    assert four - two == 2 * (two - one) > 0


def test_words_say_what_the_pictures_are(minicpm):
    alone, told = (prompt_tokens(naming.model(f"{way}:{minicpm}"), 2) for way in ("pictures", "prompt"))
    assert told > alone + 20


def test_a_grid_is_one_picture(minicpm):
    model = naming.model(f"grid:{minicpm}")
    assert prompt_tokens(model, 2) == prompt_tokens(model, 3)


def test_as_a_video_it_sees_what_is_shown(minicpm):
    model = mllm.load(str(minicpm), device="cpu")
    dark, light = (model.score([plain(level, 3)], Question("Is it?"), ["yes", "no"]) for level in (20, 230))
    assert np.abs(dark - light).max() > 1e-6


def test_it_learns_an_answer(minicpm, tmp_path):
    def lesson(row: tuple[int, str]) -> Lesson:
        return Lesson([plain(row[0], 2)], Question("What moves?"), row[1])

    rows = [(20, "a red square"), (230, "a blue square")]
    schooling = Schooling(epochs=5, batch=2, lr=3e-3, warmup=0.0, save_steps=0)
    before = mllm.load(str(minicpm), device="cpu", dtype="float32")
    start = before.score([plain(20, 2)], Question("What moves?"), ["a red square"])[0]
    trained = mllm.load(str(train(lambda: before, rows, lesson, schooling, out=tmp_path)), device="cpu")
    assert trained.score([plain(20, 2)], Question("What moves?"), ["a red square"])[0] > start + 3
