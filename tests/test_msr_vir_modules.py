"""The small modules: prompted models, UniVTG in the official layout, detectors of the real classes."""

import argparse
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as tf

import tiny_clip
from videre.ask import ask
from videre.data.world.sample import SAMPLE
from videre.errors import ModelError
from videre.methods.msr_vir import univtg, univtg_network
from videre.methods.msr_vir.prompted import PromptedPlaces, PromptedTimes, read_box, read_span
from videre.methods.msr_vir.reasoner import Reasoner
from videre.methods.msr_vir.recipe import read_recipe
from videre.methods.msr_vir.rivals import Captions, PostHoc
from videre.methods.msr_vir.second_look import Verified
from videre.models import detector as detectors
from videre.models.fake import FakeMLLM
from videre.types import Frames, Question, Span
from videre.video.open import open_video

ROOT = Path(__file__).parent.parent
WINDOW = Span(10.0, 90.0)


@pytest.mark.parametrize(
    ("reply", "span"),
    [
        ("12.5 - 20", (12.5, 20.0)),
        ("It happens from 00:15 to 00:20.5.", (15.0, 20.5)),
        ("0:01:05 - 0:01:10", (65.0, 70.0)),
        ("30s to 20s", (20.0, 30.0)),
        ("1 - 200", (10.0, 90.0)),
        ("1 - 2", None),
        ("none", None),
    ],
)
def test_spans_in_replies(reply, span):
    found = read_span(reply, WINDOW)
    assert (found and (found.start_seconds, found.end_seconds)) == span


def test_boxes_in_replies():
    assert read_box("the box: [100, 200, 500, 900]", (1000, 1000)) == (0.1, 0.2, 0.5, 0.9)
    assert read_box("[[500, 0, 100, 2000]]", (1000, 1000)) == (0.1, 0.0, 0.5, 1.0)
    assert read_box("[]", (1000, 1000)) is None
    assert read_box("[5, 5, 5, 5]", (10, 10)) is None


def test_a_prompted_model_is_shown_the_window_with_its_times():
    said = []

    def says(chunks, text):
        said.append((chunks[0].seconds.tolist(), text))
        return "1.2 - 1.9"

    model = PromptedTimes(FakeMLLM(says), fps=2.0)
    with open_video(SAMPLE) as video:
        (span,) = model.ground(video, "it moves", window=Span(1.0, 2.0))
    assert (span.start_seconds, span.end_seconds) == (1.2, 1.9)
    assert said[0][0] == pytest.approx([1.0, 1.5], abs=0.1)
    assert "1.0 to 2.0 s" in said[0][1]


def test_a_prompted_box_is_in_pixels_of_the_whole_frame():
    frames = Frames(np.zeros((2, 3, 100, 200), np.uint8), np.arange(2.0))
    assert (
        PromptedPlaces(FakeMLLM(otherwise="[100, 200, 500, 900]"), size_px=50).detect(frames, "a cup")
        == [[(20.0, 20.0, 100.0, 90.0, 1.0)]] * 2
    )
    exact = PromptedPlaces(FakeMLLM(otherwise="[5, 5, 25, 25]"), scale="pixels", size_px=50)
    assert exact.detect(frames, "a cup")[0] == [(20.0, 20.0, 100.0, 100.0, 1.0)]


def official(path, **sizes):
    torch.manual_seed(0)
    network = univtg_network.UniVTG(**sizes)
    torch.save({"model": network.state_dict(), "opt": argparse.Namespace(nheads=4, clip_length=2), "epoch": 1}, path)
    return network


def test_univtg_loads_the_official_layout_and_grounds(tmp_path):
    folder = tiny_clip.build("clip", tmp_path / "clip")
    network = official(tmp_path / "model_best.ckpt", video=18, text=32, width=16, layers=2, inner=24, words=7, heads=4)
    names = set(network.state_dict())
    assert {
        "token_type_embeddings.weight", "weightedpool.weight", "txt_position_embed.LayerNorm.bias",
        "span_embed.layers.2.bias", "class_embed.layers.0.weight", "input_vid_proj.1.net.1.weight",
        "input_txt_proj.0.LayerNorm.weight", "transformer.encoder.layers.1.self_attn.in_proj_weight",
        "transformer.encoder.layers.0.self_attn.out_proj.bias", "transformer.encoder.layers.1.norm2.weight",
    } <= names  # fmt: skip
    model = univtg.load(str(tmp_path / "model_best.ckpt"), encoder=str(folder))
    with open_video(SAMPLE) as video:
        spans = model.ground(video, "the circle moves", window=Span(0.0, video.duration_seconds), top_k=3)
        assert spans
        assert all(0 <= s.start_seconds < s.end_seconds <= video.duration_seconds for s in spans)
        assert [s.confidence for s in spans] == sorted((s.confidence for s in spans), reverse=True)


def test_univtg_says_what_a_file_lacks(tmp_path):
    torch.save({"model": {"a": torch.zeros(1)}}, tmp_path / "a.ckpt")
    (tmp_path / "b.ckpt").write_text("no")
    for name, why in (("a.ckpt", "no UniVTG"), ("b.ckpt", "not a checkpoint"), ("c.ckpt", "no such")):
        with pytest.raises(ModelError, match=why):
            univtg.load(str(tmp_path / name))
    folder = tiny_clip.build("clip", tmp_path / "clip")
    official(tmp_path / "wide.ckpt", video=514, text=512, width=16, layers=1, inner=8)
    with pytest.raises(ModelError, match="514 and 512"):
        univtg.load(str(tmp_path / "wide.ckpt"), encoder=str(folder))


def test_univtg_decodes_as_ten_lines_of_arithmetic_and_drops_the_overlapping_in_order():
    rng = np.random.default_rng(0)
    scores, offsets = rng.random(9), rng.random((9, 2)) * [-1, 1]
    spans = univtg.decoded(scores, offsets, clip_seconds=2.0)
    rows = [((i + 1) / 9 * 18 + offsets[i, 0] * 18, (i + 1) / 9 * 18 + offsets[i, 1] * 18, scores[i]) for i in range(9)]
    assert spans == pytest.approx(np.array(sorted(rows, key=lambda row: -row[2])), abs=1e-12)
    near = np.array([[0, 10, 0.9], [0, 9, 0.8], [5, 20, 0.7], [0, 6, 0.6]], np.float64)
    assert univtg.apart(near, most=9) == [0, 2, 3]
    assert univtg.apart(near, most=2) == [0, 2]


def test_a_layer_of_univtg_without_positions_is_torchs_own():
    torch.manual_seed(0)
    ours = univtg_network.Layer(16, 24, 4).eval()
    theirs = torch.nn.TransformerEncoderLayer(16, 4, 24, dropout=0.0, activation="gelu").eval()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(5, 2, 16)
    assert torch.allclose(ours(x, torch.zeros(5, 1, 16)), theirs(x), atol=1e-5)


def test_positions_turn_once_over_the_video():
    table = univtg_network.sines(6, 8)
    places = np.arange(1, 7) / (6 + 1e-6) * 2 * np.pi
    for j in range(8):
        wave = np.sin if j % 2 == 0 else np.cos
        assert table[:, j].numpy() == pytest.approx(wave(places / 10000 ** (2 * (j // 2) / 8)), abs=1e-5)


def test_answers_first_are_grounded_afterwards():
    asked = []

    class Finds:
        name, card = "finds", {"name": "finds"}

        def ground(self, video, query, *, window, top_k=1):
            asked.append(query)
            return [Span(1.0, 2.0)]

    question = Question("what falls?", ("a ball", "a cup"))
    record = ask(SAMPLE, question, model=FakeMLLM(otherwise="B"), select=PostHoc(Finds(), k=3))
    assert asked == ["what falls? a cup"]
    assert record.evidence.spans == (Span(1.0, 2.0),)
    assert len(record.evidence.seconds) == 3
    assert "ground afterwards" in [step.name for step in record.evidence.steps]


def test_captions_are_read_by_a_text_model():
    seen = []

    def says(chunks, text):
        seen.append((len(chunks), text))
        return "a red ball"

    reader = FakeMLLM(lambda chunks, text: "A" if "0.0 s: a red ball" in text and "1.0 s:" in text else "?")
    frames = Frames(np.zeros((2, 3, 8, 8), np.uint8), np.arange(2.0))
    answer = Captions(FakeMLLM(says), reader).answer([frames], Question("what is it?", ("a ball", "a cup")))
    assert answer.option == 0
    assert answer.rationale.count("a red ball") == 2
    assert [count for count, _ in seen] == [1, 1]


def swin():
    sizes = {"embed_dim": 16, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2], "window_size": 2, "image_size": 64}
    return tf.SwinConfig(**sizes, out_features=["stage2", "stage3", "stage4"])


def grounding_dino(kind, folder):
    letters = "abcdefghijklmnopqrstuvwxyz"
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {word: i for i, word in enumerate([*specials, ".", *letters, *(f"##{c}" for c in letters)])}
    small = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 64}
    text = tf.BertConfig(vocab_size=len(vocabulary), hidden_size=32, **small)
    layers = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "num_queries": 12}
    config = getattr(tf, f"{kind}Config")(backbone_config=swin(), text_config=text, **layers, **heads)
    getattr(tf, f"{kind}ForObjectDetection")(config).save_pretrained(folder)
    images = tf.GroundingDinoImageProcessor(size={"shortest_edge": 64, "longest_edge": 96})
    tf.GroundingDinoProcessor(images, tf.BertTokenizerFast(vocab=vocabulary)).save_pretrained(folder)
    return folder


def omdet(folder):
    words = tiny_clip.tokenizer()
    ids = {"vocab_size": len(words), "bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id}
    text = tf.CLIPTextConfig(**{**tiny_clip.TEXT, **ids, "hidden_size": 48, "max_position_embeddings": 77})
    config = tf.OmDetTurboConfig(
        text_config=text, backbone_config=swin(), use_timm_backbone=False,
        apply_layernorm_after_vision_backbone=False, text_projection_in_dim=48, text_projection_out_dim=48,
        task_encoder_hidden_dim=48, class_embed_dim=48, num_queries=12, decoder_hidden_dim=32, decoder_num_heads=2,
        decoder_num_layers=1, decoder_dim_feedforward=32, encoder_hidden_dim=32, encoder_in_channels=[32, 64, 128],
        encoder_dim_feedforward=32, num_projection_layers=1, image_size=64, vision_features_channels=[32, 32, 32],
    )  # fmt: skip
    tf.OmDetTurboForObjectDetection(config).save_pretrained(folder)
    images = tf.DetrImageProcessor(size={"height": 64, "width": 64}, do_pad=False)
    tf.OmDetTurboProcessor(images, words).save_pretrained(folder)
    return folder


def has_operators():
    try:
        from torchvision import ops

        ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    except RuntimeError:
        return False
    return True


@pytest.mark.parametrize("kind", ["GroundingDino", "MMGroundingDino", "omdet"])
def test_detectors_of_the_real_classes_give_boxes_inside_the_frame(kind, tmp_path):
    torch.manual_seed(0)
    folder = omdet(tmp_path / kind) if kind == "omdet" else grounding_dino(kind, tmp_path / kind)
    if kind == "omdet" and not has_operators():
        with pytest.raises(ModelError, match="torchvision"):
            detectors.load(str(folder), device="cpu")
        return
    model = detectors.load(str(folder), device="cpu", min_score=0.0)
    pixels = np.random.default_rng(0).integers(0, 255, (3, 3, 48, 64), np.uint8)
    found = model.detect(Frames(pixels, np.arange(3.0)), "A red ball")
    assert len(found) == 3
    assert all(found)
    for boxes in found:
        assert [box[4] for box in boxes] == sorted((box[4] for box in boxes), reverse=True)
        assert all(0 <= x0 < x1 <= 64 and 0 <= y0 < y1 <= 48 for x0, y0, x1, y1, _ in boxes)


class Two:
    """A grounder with two spans, the better one last."""

    name, card = "two", {"name": "two"}

    def __init__(self):
        self.asked = []

    def ground(self, video, query, *, window, top_k=1):
        self.asked.append(query)
        return [Span(0.0, 0.5, 0.9), Span(1.5, 2.0, 0.1)][:top_k]


def test_a_verifier_puts_the_span_first_that_a_model_says_yes_to():
    model = FakeMLLM(lambda chunks, text: "yes" if chunks[0].seconds[0] > 0.9 else "no")
    verified = Verified(Two(), model, frames=2)
    with open_video(SAMPLE) as video:
        best, other = verified.ground(video, "it falls", window=Span(0.0, 2.0), top_k=2)
    assert (best.start_seconds, other.start_seconds) == (1.5, 0.0)
    assert best.confidence == pytest.approx(0.9)
    assert other.confidence == pytest.approx(0.1)
    assert verified.card["verifier"]["candidates"] == 5


def test_a_first_answer_is_looked_for_with_its_question():
    finds = Two()
    select = Reasoner(finds, by="answer", first=FakeMLLM(otherwise="B"), k=2)
    with open_video(SAMPLE) as video:
        evidence = select(video, Question("what falls?", ("a ball", "a cup")))
    assert finds.asked == ["what falls? a cup"]
    assert evidence.spans == (Span(0.0, 1.0),)


def test_the_papers_recipe_is_one_that_the_trainer_reads():
    for name in ("parser", "reasoner"):
        told = read_recipe(tomllib.loads((ROOT / "recipes" / f"{name}.toml").read_text("utf-8")))
        assert told.cycle.questions == 3200
    assert (told.pairs.mode, told.cycle.judge, told.policies.count) == ("paper", "cache", 2)
