"""`videre ground` and the selector `msr-vir` by command: tiny random CLIP, OWLv2 and Qwen2 of the real classes."""

import json

import numpy as np
import pytest
import torch
import transformers as tf
from click.testing import CliRunner

import tiny_clip
from tiny_models import CHATML, TEXT, tokenizer
from videre.apps import cli
from videre.data.world.sample import SAMPLE
from videre.models import detector as detectors
from videre.record import from_row
from videre.types import Frames

QUESTION = "what does the circle do after it moves?"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("modules")
    torch.manual_seed(0)
    finds = tiny_clip.owlv2(root / "owl")
    text = tokenizer(chat=CHATML)
    ends = {"bos_token_id": None, "eos_token_id": text.eos_token_id, "pad_token_id": text.pad_token_id}
    tf.Qwen2ForCausalLM(tf.Qwen2Config(vocab_size=len(text), **TEXT, **ends)).save_pretrained(root / "text")
    text.save_pretrained(root / "text")
    return {"clip": tiny_clip.build("clip", root / "clip"), "owl": finds, "text": root / "text"}


def videre(*arguments):
    done = CliRunner().invoke(cli.cli, [*map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    return done.stdout


def test_ground_by_command_with_a_text_model_leaves_every_step_in_the_record(folders):
    line = videre(
        "ground", SAMPLE, QUESTION, "--encoder", folders["clip"], "--detector", folders["owl"],
        "--parser", folders["text"], "-k", 3, "--json",
    )  # fmt: skip
    record = from_row(json.loads(line))
    (span,) = record.evidence.spans
    assert 0 <= span.start_seconds < span.end_seconds <= record.video["duration_seconds"]
    names = [step.name for step in record.evidence.steps]
    assert names[:2] == ["parse", "policy"]
    assert {"temporal: relate", "temporal.of: detect"} <= set(names)
    assert record.evidence.steps[0].output["status"] == "rule"
    assert len(record.evidence.steps[0].output["refused"]) == 2


def test_a_trace_replays_by_command_with_no_model_named(folders, tmp_path):
    more = ["--encoder", folders["clip"], "--detector", folders["owl"], "-k", 2, "--cache", tmp_path / "cache"]
    line = videre("ground", SAMPLE, QUESTION, *more, "--json", "--html", tmp_path / "page.html")
    (tmp_path / "trace.jsonl").write_text(line)
    told = json.loads(videre("replay", tmp_path / "trace.jsonl", "--json"))
    assert told["differences"] == []
    assert told["pictures"] >= 6
    page = (tmp_path / "page.html").read_text()
    assert "the moment of" in page
    cached = from_row(json.loads(videre("ground", SAMPLE, QUESTION, *more, "--json")))
    assert cached.evidence.spans == from_row(json.loads(line)).evidence.spans
    asked = next(s for s in cached.evidence.steps if s.name == "temporal.of: detect")
    assert asked.output["cached"] is True


def test_ask_with_the_selector_shows_the_model_its_moment(folders):
    chosen = f"msr-vir:encoder={folders['clip']},detector={folders['owl']}"
    lines = [videre("ask", SAMPLE, QUESTION, "--select", chosen, "-k", 2, "--json") for _ in range(2)]
    first, second = (from_row(json.loads(line)).evidence for line in lines)
    assert first.spans == second.spans
    assert first.seconds == second.seconds
    assert first.boxes == second.boxes
    assert any(step.name == "temporal: relate" for step in first.steps)


def test_a_detector_gives_boxes_inside_the_frame_best_first(folders):
    model = detectors.load(str(folders["owl"]), device="cpu", min_score=0.0)
    pixels = np.random.default_rng(0).integers(0, 255, (5, 3, 40, 60), np.uint8)
    found = model.detect(Frames(pixels, np.arange(5.0)), "a circle")
    assert len(found) == 5
    assert any(found)
    for x0, y0, x1, y1, score in [box for boxes in found for box in boxes]:
        assert 0 <= x0 < x1 <= 60
        assert 0 <= y0 < y1 <= 40
        assert 0 <= score <= 1
