import numpy as np
import pytest
import torch
from PIL import Image

import tiny_clip
from videre.errors import ModelError
from videre.models import clip
from videre.types import Encoder, Frames


@pytest.fixture(scope="module", params=["clip", "siglip"])
def folder(request, tmp_path_factory):
    return tiny_clip.build(request.param, tmp_path_factory.mktemp("encoders") / request.param)


def frames(count=40, side=48):
    pixels = np.random.default_rng(0).integers(0, 256, (count, 3, side, side + 16), dtype=np.uint8)
    return Frames(pixels, np.arange(count, dtype=np.float64))


def test_gives_unit_vectors_in_one_space(folder):
    encoder = clip.load(str(folder), device="cpu")
    images, texts = encoder.images(frames()), encoder.texts(["a red square", "two things", "to the left"])
    assert isinstance(encoder, Encoder)
    assert images.shape == (40, encoder.width)
    assert texts.shape == (3, encoder.width)
    np.testing.assert_allclose(np.linalg.norm(np.concatenate([images, texts]), axis=1), 1, atol=1e-5)


def test_equals_the_library_called_by_hand(folder):
    encoder = clip.load(str(folder), device="cpu")
    shown = frames(3)
    pictures = [Image.fromarray(np.ascontiguousarray(p.transpose(1, 2, 0))) for p in shown.pixels]
    inputs = encoder.processor.image_processor(images=pictures, return_tensors="pt")
    with torch.no_grad():
        told = encoder.network.get_image_features(**inputs).pooler_output
    told = told / told.norm(dim=1, keepdim=True)
    np.testing.assert_allclose(encoder.images(shown), told.numpy(), atol=2e-6)


def test_a_text_does_not_depend_on_its_neighbours(folder):
    encoder = clip.load(str(folder), device="cpu")
    alone = encoder.texts(["a red square"])
    beside = encoder.texts(["a red square", "a red square moves to the left then a blue ball appears"])
    np.testing.assert_allclose(alone[0], beside[0], atol=1e-6)
    assert encoder.texts(["word " * 200]).shape == (1, encoder.width)


def test_nothing_gives_nothing(folder):
    encoder = clip.load(str(folder), device="cpu")
    assert encoder.texts([]).shape == (0, encoder.width)
    assert encoder.images(Frames(np.zeros((0, 3, 8, 8), np.uint8), np.zeros(0))).shape == (0, encoder.width)


def test_refuses_what_is_no_encoder(tiny_checkpoint, tmp_path):
    with pytest.raises(ModelError, match="no encoder of pictures and texts"):
        clip.load(str(tiny_checkpoint("smolvlm")))
    with pytest.raises(ModelError):
        clip.load(str(tmp_path / "absent"))
