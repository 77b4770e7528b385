"""`videre synth` from the command line: files, rows, resume, processes, checks."""

import contextlib
import io
import json
import random
import tarfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

pytest.importorskip("fontTools")

from videre import jobs
from videre.apps.synth import command
from videre.data import long_texts, training_rows
from videre.methods.t2vid import synth
from videre.methods.t2vid.budget import Budget
from videre.video.open import open_video

WORDS = tuple("the sea and a boat by the wall at dawn we see it all".split())  # noqa: SIM905


@pytest.fixture
def texts(tmp_path):
    chance = random.Random(4)
    path = tmp_path / "texts.jsonl"
    rows = [
        {
            "id": f"t/{n}",
            "text": " ".join(chance.choices(WORDS, k=150 + 40 * n)) + ".",
            "question": f"What is {n}?",
            "answer": f"It is {n}.",
        }
        for n in range(4)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def run(*arguments, code=0):
    done = CliRunner().invoke(command, [*map(str, arguments), "-q"], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


def contents(folder):
    skip = {".lock", "status.json", "answers.jsonl", "manifest.json"}
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name not in skip}


def test_pictures_rows_and_check(texts, tmp_path):
    out = tmp_path / "out"
    summary = json.loads(run(texts, "-o", out, "--verify", "--json"))
    assert (summary["samples"], summary["pages"], summary["verified"], summary["failed"]) == (4, 10, 4, 0)
    rows = training_rows.read(out / "messages.jsonl")
    assert [len(row.images) for row in rows] == [2, 2, 3, 3]
    assert training_rows.read(out / "swift.jsonl") == training_rows.read(out / "llama_factory.json") == rows
    for row in rows:
        for name in row.images:
            with Image.open(out / name) as picture:
                assert picture.size == (448, 448)
                assert np.asarray(picture).min() == 0
    words = training_rows.read(out / "text_only.jsonl")
    assert [row.id for row in words] == [row.id for row in rows] == ["t/0", "t/1", "t/2", "t/3"]
    assert words[0].question.endswith("\n\nWhat is 0?")
    assert json.loads((out / "dataset_info.json").read_text())["out"]["formatting"] == "sharegpt"


def test_the_same_seed_gives_the_same_bytes_with_one_process_or_two(texts, tmp_path):
    one, two, other = tmp_path / "a/out", tmp_path / "b/out", tmp_path / "c/out"
    run(texts, "-o", one, "--take", 3, "--seed", 5)
    run(texts, "-o", two, "--take", 3, "--seed", 5, "--workers", 2)
    run(texts, "-o", other, "--take", 3, "--seed", 6)
    assert contents(one) == contents(two)
    assert contents(one)["messages.jsonl"] != contents(other)["messages.jsonl"]


def test_a_stopped_run_goes_on_and_leaves_no_half_of_a_file(texts, tmp_path):
    whole, torn = tmp_path / "a/out", tmp_path / "b/out"
    run(texts, "-o", whole)
    read = long_texts.own(texts).texts
    settings = synth.Settings()
    real, calls = Path.replace, []

    for stop_at in range(1, 21):  # the file is written and has not got its name yet

        def stops(path, target, stop_at=stop_at):
            calls.append(path)
            if len(calls) == stop_at:
                raise KeyboardInterrupt
            return real(path, target)

        calls.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path, "replace", stops)
            todo, work = synth.items(read, settings), synth.work(torn, settings)
            with contextlib.suppress(KeyboardInterrupt):
                jobs.run(todo, work, folder=torn, manifest={"part": 1}, quiet=True, force=True)
        for path in torn.rglob("*.png"):
            Image.open(path).load()
    run(texts, "-o", tmp_path / "c/out")
    (torn / "manifest.json").unlink()
    (torn / "manifest.json").write_bytes((tmp_path / "c/out/manifest.json").read_bytes())
    before = {p: p.stat().st_mtime_ns for p in torn.rglob("*.png")}
    run(texts, "-o", torn)
    assert contents(whole) == contents(torn)
    assert before
    assert all(p.stat().st_mtime_ns == time for p, time in before.items())


@pytest.mark.parametrize("size", range(1, 10))
def test_shards_of_any_size_hold_every_text_once(size):
    texts = [long_texts.LongText(str(n), "a text", "What?", "It.") for n in range(10)]
    shards = synth.items(texts, synth.Settings(media="webdataset", shard_samples=size))
    assert [text for shard in shards for text in shard.payload] == texts
    assert len({shard.key for shard in shards}) == len(shards) == -(-10 // size)


def test_another_setting_or_text_changes_the_key_and_nothing_else_does(texts):
    read = long_texts.own(texts).texts
    keys = [item.key for item in synth.items(read, synth.Settings())]
    assert keys == [item.key for item in synth.items(read, synth.Settings())]
    others = (synth.Settings(limit=114), synth.Settings(style=_small()), synth.Settings(media="video"))
    for other in others:
        assert not set(keys) & {item.key for item in synth.items(read, other)}
    changed = [item.key for item in synth.items([read[0], *read[2:]], synth.Settings())]
    assert changed == [keys[0], *keys[2:]]


def test_the_check_finds_what_is_broken(texts, tmp_path):
    out = tmp_path / "out"
    run(texts, "-o", out)
    victim = next(out.glob("images/t_1*/00001.png"))
    victim.write_bytes(victim.read_bytes()[:-20])
    summary = json.loads(run(texts, "-o", out, "--verify", "--json", code=4).splitlines()[-1])
    assert list(summary["broken"]) == ["t/1"]
    assert "other bytes" in summary["broken"]["t/1"]


def test_films_show_their_pages_at_whole_seconds(texts, tmp_path):
    out, again = tmp_path / "a/out", tmp_path / "b/out"
    run(texts, "-o", out, "--media", "video", "--verify", "--page-px", 224, "--font-px", 12)
    run(texts, "-o", again, "--media", "video", "--page-px", 224, "--font-px", 12, "--workers", 2)
    first = {name: data for name, data in contents(out).items() if name.endswith((".mp4", ".jsonl"))}
    assert first == {name: data for name, data in contents(again).items() if name in first}
    rows = training_rows.read(out / "messages.jsonl")
    pages = list(synth._pages(long_texts.own(texts).texts[3], synth.Settings(style=_small()), None))
    with open_video(out / rows[3].video) as video:
        shown = video.at([float(n) for n in range(len(pages))])
    assert len(shown) == len(pages) > 1
    for frame, page in zip(shown.pixels, pages, strict=True):
        assert np.abs(frame[0].astype(int) - synth_pixels(page)).mean() < 4


def _small():
    from videre.methods.t2vid.layout import Style

    return Style(size_px=12, width_px=224, height_px=224)


def synth_pixels(page):
    from videre.methods.t2vid.render import pixels

    return pixels(page).astype(int)


def test_shards_for_webdataset(texts, tmp_path):
    out = tmp_path / "out"
    summary = json.loads(run(texts, "-o", out, "--media", "webdataset", "--shard-samples", 3, "--verify", "--json"))
    assert (summary["samples"], summary["verified"]) == (4, 4)
    assert sorted(p.name for p in (out / "shards").iterdir()) == ["shard-00000.tar", "shard-00001.tar"]
    assert [row.id for row in training_rows.read(out / "text_only.jsonl")] == ["t/0", "t/1", "t/2", "t/3"]
    with tarfile.open(out / "shards/shard-00000.tar") as tar:
        names = tar.getnames()
        row = json.loads(tar.extractfile(next(name for name in names if name.endswith(".json"))).read())
        assert all(name in names for name in row["images"])
        assert Image.open(io.BytesIO(tar.extractfile(row["images"][0]).read())).size == (448, 448)
    keys = [name.split(".")[0] for name in names]
    assert [key for key, before in zip(keys, [None, *keys], strict=False) if key != before] == list(dict.fromkeys(keys))
    assert len(set(keys)) == 3


def test_shards_in_parquet_hold_pictures_that_datasets_decodes(texts, tmp_path):
    pytest.importorskip("pyarrow")
    out = tmp_path / "out"
    summary = json.loads(run(texts, "-o", out, "--media", "parquet", "--verify", "--json"))
    assert summary["verified"] == 4
    from pyarrow import parquet

    table = parquet.read_table(out / "shards/shard-00000.parquet")
    assert json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]["images"]["feature"] == {
        "_type": "Image"
    }
    row = table.to_pylist()[0]
    assert [part["type"] for part in row["messages"][0]["content"]] == ["image", "image", "text"]
    assert Image.open(io.BytesIO(row["images"][0]["bytes"])).size == (448, 448)


def test_official_pages_tell_what_they_cut_off(texts, tmp_path):
    pytest.importorskip("nltk")
    out = tmp_path / "out"
    texts.write_text(
        json.dumps({"id": "a", "text": "x" * 300 + " words " * 40, "question": "q?", "answer": "a"}) + "\n"
    )
    said = run(texts, "-o", out, "--compat", "t2vid")
    assert "1 pages are cut off at an edge" in said
    with Image.open(out / "images/a/text_pic_00000.png") as picture:
        assert picture.mode == "RGB"
    done = CliRunner().invoke(command, [str(texts), "-o", str(out), "--compat", "t2vid", "--by", "fit"])
    assert "leave media and by as they are" in str(done.exception)
    done = CliRunner().invoke(command, [str(texts), "-o", str(out), "--compat", "t2vid", "--page-px", "224"])
    assert "only the font is free" in str(done.exception)


def test_texts_that_fail_are_rows_and_the_others_are_made(texts, tmp_path):
    with texts.open("a") as file:
        file.write(json.dumps({"id": "han", "text": "plain 长文本", "question": "q?", "answer": "a"}) + "\n")
    out = tmp_path / "out"
    said = run(texts, "-o", out, code=4)
    assert "4 samples of 10 pages" in said
    assert "failed: 1" in said
    said = run(texts, "-o", tmp_path / "two", "--missing", "replace", "--json")
    assert json.loads(said)["replaced_characters"] == "文本长"


@pytest.mark.parametrize("family", ["idefics3", "internvl", "qwen3_vl"])
def test_the_budget_is_what_the_models_own_processor_counts(tiny_checkpoint, family):
    from videre.models import mllm
    from videre.options import listed
    from videre.types import Frames, Question

    folder = tiny_checkpoint(family)
    budget = Budget(str(folder), page_px=(64, 64))
    prompter = mllm.load(str(folder))._loaded.prompter
    for pages in (1, 2, 3, 7):
        frames = Frames(np.zeros((pages, 3, 64, 64), np.uint8), np.arange(pages, dtype=np.float64))
        prompt = prompter.read([frames])
        whole = prompt.inputs["input_ids"].shape[1] + len(prompter.question(prompt, listed(Question("What is said?"))))
        assert budget.tokens(pages, "What is said?", "It is 3.") == whole + len(prompter.reply("It is 3.", end=True))


def test_samples_beyond_the_budget_are_left_out_and_counted(texts, tmp_path, tiny_checkpoint):
    folder = tiny_checkpoint("idefics3")
    budget = Budget(str(folder), page_px=(448, 448))
    limit = budget.tokens(2, "What is 0?", "It is 0.")
    summary = json.loads(run(texts, "-o", tmp_path / "out", "--model", folder, "--most-tokens", limit, "--json"))
    assert summary["samples"] == 2
    assert summary["left_out"] == {f"more than {limit} tokens": 2}
    done = CliRunner().invoke(command, [str(texts), "-o", str(tmp_path / "c"), "--most-tokens", "9"])
    assert "--most-tokens needs --model" in str(done.exception)
    both = json.loads(run(texts, "-o", tmp_path / "b", "--most-pages", 2, "--json"))
    assert both["left_out"] == {"more than 2 pages": 2}
