"""Other ways to show a video, and studies: grids, slow and fast tokens, curves, orders, attention, diversity."""

import base64
import json
import random
import re

import numpy as np
import pytest
import torch
from click.testing import CliRunner

pytest.importorskip("fontTools")
pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")

from videre.apps import naming, study
from videre.apps.study import command
from videre.data import training_rows, world
from videre.data.training_rows import TrainingRow
from videre.errors import DataError, ModelError
from videre.methods.t2vid import attention, diversity, page
from videre.methods.t2vid.curves import Curve, Reordered, by_group
from videre.methods.t2vid.rivals import Grid, Rival, in_grid
from videre.methods.t2vid.slow_fast import SlowFast, SlowFastModel, pooled, projected
from videre.metrics.interval import Share
from videre.models import mllm
from videre.types import Answer, Frames, Question

ASKED = Question("What moves?", ("a red square", "a blue ball", "a door"))


def film(count: int, side: int = 56) -> Frames:
    pixels = np.zeros((count, 3, side, side), np.uint8)
    for number in range(count):
        pixels[number] = 40 * number
    return Frames(pixels, np.arange(count, dtype=np.float64))


@pytest.fixture(scope="module")
def loaded(tiny_checkpoint):
    from functools import cache

    return cache(lambda family: mllm.load(str(tiny_checkpoint(family)), device="cpu", dtype="float32"))


@pytest.fixture(scope="module")
def questions(tmp_path_factory):
    """Two clips of the world with questions of one's own."""
    folder = tmp_path_factory.mktemp("clips")
    rows = []
    for seed in (3, 4):
        clip = world.make(seed, world.Config(seconds=2.0))
        world.write(clip, folder / f"{seed}.mp4")
        for n in range(2):
            about = {"id": f"{seed}-{n}", "video": f"{seed}.mp4", "kind": "order" if n else "what"}
            rows.append({**about, "question": f"What moves {n}?", "options": ["red", "blue"], "answer": "red"})
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def run(*arguments):
    done = CliRunner().invoke(command, [str(one) for one in arguments])
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


def test_a_grid_holds_every_frame_in_order_of_reading():
    sheet = in_grid([film(5, 8)], Grid())
    assert sheet.shape == (16, 24, 3)
    cells = [sheet[8 * row + 4, 8 * column + 4, 0] for row in range(2) for column in range(3)]
    assert cells == [0, 40, 80, 120, 160, 0]
    assert in_grid([film(5, 8)], Grid(columns=5)).shape == (8, 40, 3)
    assert max(in_grid([film(4, 64)], Grid(side_px=32)).shape) == 32


@pytest.mark.parametrize("way", ["pictures", "prompt", "grid"])
def test_ways_to_show_are_seen_in_the_prompt(loaded, way, monkeypatch):
    from videre.methods.t2vid import rivals

    prompts = []
    real = rivals.untimed
    monkeypatch.setattr(
        rivals, "untimed", lambda prompter, pictures: prompts.append(real(prompter, pictures)) or prompts[-1]
    )
    answer = Rival(loaded("internvl"), way).answer([film(4)], ASKED)
    (prompt,) = prompts
    mark = loaded("internvl").network.config.image_token_id
    shown = loaded("internvl").processor.tokenizer.decode(prompt.inputs["input_ids"][0].tolist())
    pictures = sum(len(value) for name, value in prompt.inputs.items() if name.startswith("pixel_values"))
    assert int((prompt.inputs["input_ids"] == mark).sum()) == 4 * pictures
    assert "seconds" not in shown
    assert prompt.frames == (1 if way == "grid" else 4)
    assert answer.usage.frames == prompt.frames


@pytest.mark.parametrize("family", ["internvl", "idefics3", "smolvlm", "llava_onevision"])
def test_slow_and_fast_tokens_are_pooled_projected_ones(loaded, family):
    model = loaded(family)
    one = SlowFastModel(model, SlowFast(slow_frames=2, slow_rows=2, fast_side=1))
    answer = one.answer([film(5)], ASKED)
    tokens = projected(one._loaded, list(film(5).pixels.transpose(0, 2, 3, 1)))
    side = round(tokens.shape[1] ** 0.5)
    made = pooled(tokens, SlowFast(2, 2, 1))
    assert len(made) == 2 * (side // 2) * side + 5
    assert torch.allclose(made[-5:], tokens.mean(1), atol=1e-5)
    again = one.answer([film(5)], ASKED)
    assert answer.text == again.text
    whole = Rival(model, "pictures").answer([film(5)], ASKED)
    assert answer.usage.prompt_tokens < whole.usage.prompt_tokens


def test_unpooled_slow_tokens_alone_are_what_the_model_itself_reads(loaded):
    """One frame, nothing pooled: the slow tokens are the picture's own, so the same words are as likely."""
    from videre.methods.t2vid import slow_fast

    model = loaded("internvl")
    picture = list(film(1).pixels.transpose(0, 2, 3, 1))
    one = SlowFastModel(model)
    own = projected(one._loaded, picture)[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slow_fast, "pooled", lambda tokens, paths: own)
        session = slow_fast._Pooled(one._loaded, picture, SlowFast())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model.processor.image_processor, "crop_to_patches", False)
        whole = model.each(film(1))
    assert np.allclose(session.score(ASKED, ASKED.options), whole.score(ASKED, ASKED.options), atol=1e-4)


def test_families_whose_pictures_have_places_are_refused(loaded):
    with pytest.raises(ModelError, match="slow-fast needs a family such as InternVL"):
        SlowFastModel(loaded("qwen3_vl"))
    with pytest.raises(ModelError, match="are no square"):
        pooled(torch.zeros(2, 5, 3), SlowFast())


def test_prefixes_name_them(tiny_checkpoint):
    folder = tiny_checkpoint("internvl")
    for prefix in ("grid", "pictures", "prompt", "slow-fast"):
        model = naming.model(f"{prefix}:{folder}", device="cpu")
        assert model.name == f"{prefix}:{folder}"
        assert model.card["shown_as"] == prefix
        assert model.answer([film(2)], ASKED).usage.answer_tokens


def test_where_a_curve_saturates():
    def curve(*percents):
        return Curve(tuple(2**n for n in range(len(percents))), tuple(Share(round(p * 10), 1000) for p in percents))

    assert curve(40, 45, 50, 50.9, 60).saturation() == 4
    assert curve(40, 45, 50, 51, 52).saturation() is None
    assert curve(40, 39, 50).saturation() == 1
    assert curve(40, 42, 43, 43.5).saturation(points=2) == 2


def test_orders_keep_times_and_move_pictures():
    seen = []

    class Model:
        name, card = "model", {}

        def answer(self, frames, question):
            seen.append(next(iter(frames)))
            return Answer("x")

    for order in ("ordered", "reversed", "shuffled", "single", "blank"):
        Reordered(Model(), order, seed=1).answer([film(6)], ASKED)
    values = [list(chunk.pixels[:, 0, 0, 0] // 40) for chunk in seen]
    assert values[0] == [0, 1, 2, 3, 4, 5]
    assert values[1] == [5, 4, 3, 2, 1, 0]
    assert sorted(values[2]) == values[0] != values[2]
    assert values[3] == [3]
    assert set(values[4]) == {3}
    assert all((chunk.seconds == film(6).seconds).all() for chunk in seen if len(chunk) == 6)


def test_a_missing_answer_counts_as_wrong():
    found = by_group({"a": True}, {"a": "x", "b": "x", "c": "y"}, ["a", "b", "c"])
    assert {name: (share.right, share.count) for name, share in found.items()} == {
        "all": (1, 3),
        "x": (1, 2),
        "y": (0, 1),
    }


@pytest.mark.parametrize("family", ["internvl", "idefics3", "qwen3_vl"])
def test_attention_rows_sum_to_one_and_later_frames_are_not_seen(loaded, family):
    model = loaded(family)
    before = model.network.config._attn_implementation
    found = attention.looks(model, [film(4)], ASKED)
    assert found.frames.shape == (4, 5)
    assert np.abs(found.frames.sum(1) - 1).max() < 1e-4
    assert abs(found.text.sum() - 1) < 1e-4
    assert np.abs(np.triu(found.frames[:, :4], 1)).max() < 1e-6
    assert 0 < found.within <= 1
    assert 0 <= found.text_entropy <= 1 + 1e-9
    assert found.layers.shape == (2, 4, 5)
    assert model.network.config._attn_implementation == before


def test_nine_templates_are_less_diverse_than_as_many_questions():
    chance = random.Random(0)
    words = [f"{a}{b}" for a in "bcdfgklmnprstvz" for b in ("ata", "eno", "iru", "ola", "uke", "ami")]
    templates = [f"{' '.join(chance.choices(words, k=7))} {n}?" for n in range(9)] * 50
    distinct = [f"{' '.join(chance.choices(words, k=7))} {n}?" for n in range(450)]
    few, many = (diversity.diversity(one, diversity.letters) for one in (templates, distinct))
    assert few.vendi < 9.5 < many.vendi
    assert few.distance < many.distance
    assert round(few.clusters, 6) == 9
    assert few.same == pytest.approx(441 / 450)
    assert few.near == 1
    assert many.same == 0
    alone, both = diversity.coverage(distinct[:50], templates, distinct[50:100] + distinct[:25], diversity.letters)
    assert (alone, both) == (0.0, 0.5)


def test_the_vendi_score_of_planted_sets():
    assert diversity.vendi(np.eye(7)) == pytest.approx(7)
    assert diversity.vendi(np.ones((7, 1))) == pytest.approx(1)
    assert diversity.effective([5, 5, 5]) == pytest.approx(3)


def test_study_frames_sweeps_until_the_context_ends_and_resumes(questions, tiny_checkpoint, tmp_path):
    given = ["frames", "rows", "--annotations", questions / "rows.jsonl", "--videos", questions, "-q"]
    given += ["--model", tiny_checkpoint("internvl"), "--device", "cpu", "--size-px", 56, "-o", tmp_path / "out"]
    told = json.loads(run(*given, "--counts", "1,2,4", "--json"))
    assert list(told["groups"]) == ["all", "order", "what"]
    everything = told["groups"]["all"]
    assert everything["frames"] == [1, 2, 4]
    assert everything["count"] == 4
    assert all(
        low <= value <= high
        for low, value, high in zip(*(everything[k] for k in ("low", "percent", "high")), strict=True)
    )
    assert (tmp_path / "out/frames.png").read_bytes()[:4] == b"\x89PNG"
    before = {p: p.read_bytes() for p in (tmp_path / "out").rglob("answers.jsonl")}
    assert len(before) == 3
    assert json.loads(run(*given, "--counts", "1,2,4", "--json")) == told
    assert before == {p: p.read_bytes() for p in before}


def test_study_order_and_attention_and_diversity_from_the_command_line(questions, tiny_checkpoint, tmp_path):
    model = ["--model", tiny_checkpoint("internvl"), "--device", "cpu", "--size-px", 56]
    told = json.loads(run("order", "rows", "--annotations", questions / "rows.jsonl", "--videos", questions, *model,
                          "--frames", 3, "-o", tmp_path / "order", "--json", "-q"))  # fmt: skip
    assert told["orders"] == ["ordered", "reversed", "shuffled", "single", "blank"]
    assert len(told["groups"]["all"]["percent"]) == 5
    run("attention", questions / "3.mp4", "What moves?", *model, "--frames", 3, "-o", tmp_path / "attention")
    matrix = np.array(json.loads((tmp_path / "attention/attention.json").read_text())["frames"])
    assert matrix.shape == (3, 4)
    chance = random.Random(2)
    for name, words in (("few", "what is this"), ("many", "who where when why which whose how long far red blue sea")):
        rows = [TrainingRow(f"{name}{n}", " ".join(chance.choices(words.split(), k=6)), "a") for n in range(40)]
        (tmp_path / f"{name}.jsonl").write_text(training_rows.lines(rows, "swift"))
    told = json.loads(run("diversity", tmp_path / "few.jsonl", tmp_path / "many.jsonl", "-o", tmp_path / "d", "--json"))
    assert told["sets"]["few"]["vendi"] < told["sets"]["many"]["vendi"]
    for name, told in (("order/order", "shuffled"), ("attention/attention", "neighbour"), ("d/diversity", "vendi")):
        plot = (tmp_path / f"{name}.png").read_bytes()
        assert len(plot) > 5000
        report = (tmp_path / f"{name}.html").read_text("utf-8")
        assert base64.b64encode(plot).decode() in report
        assert f"<t{'d' if told == 'neighbour' else 'h'}>{told}</t" in report


def test_one_instruction_is_no_set(tmp_path):
    row = {"messages": [{"role": "user", "content": "why?"}, {"role": "assistant", "content": "so"}]}
    (tmp_path / "one.jsonl").write_text(json.dumps(row) + "\n")
    done = CliRunner().invoke(command, ["diversity", str(tmp_path / "one.jsonl"), "-o", str(tmp_path / "d")])
    assert isinstance(done.exception, DataError)
    assert "of two instructions or more" in str(done.exception)


def test_the_report_of_a_sweep_shows_its_figures_and_names_as_text():
    shares = {"right": [1, 3], "count": 4, "percent": [25.0, 75.0], "low": [4.6, 30.1], "high": [69.9, 95.4]}
    told = {"study": "frames", "model": "<b>", "groups": {"all": {"frames": [1, 2], **shares, "saturation": None}}}
    assert study.lines(told) == [
        "group  questions             1 frame             2 frames  saturates at",
        "all            4  25.0 % [4.6, 69.9]  75.0 % [30.1, 95.4]             -",
    ]
    text = page.page(told, b"\x89PNG")
    assert "&lt;b&gt;" in text
    cells = re.findall(r"<t[dh]>(.*?)</t[dh]>", text)
    assert cells[:5] == ["group", "questions", "1 frame", "2 frames", "saturates at"]
    assert cells[5:] == ["all", "4", "25.0 % [4.6, 69.9]", "75.0 % [30.1, 95.4]", "-"]
