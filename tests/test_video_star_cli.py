"""`videre star` by command on a tiny checkpoint, and Video-STaR's stages against a server that fails in every way."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

from loopback import Response, completion, serve
from videre.apps import cli
from videre.data import world
from videre.jobs import Threads, rows
from videre.methods.video_star import generate
from videre.methods.video_star.label import Label, Row
from videre.models import endpoint
from videre.video.sample import uniform


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("star")
    lines = []
    for seed in (5, 6):
        clip = world.make(seed, world.Config(seconds=1.0, size_px=64))
        name = world.video_name(clip)
        world.write(clip, folder / name)
        lines.append({"id": str(seed), "video": name, "action": clip.things[0].colour})
    (folder / "labels.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def recipe(folder: Path, data: Path, start: Path | str, **more: str) -> Path:
    tables = {
        "labels": f'file = "{data}/labels.jsonl"\nvideos = "{data}"\ntask = "colour"',
        "model": f'start = "{start}"\nframes = 2\nsize_px = 56\nanswer_tokens = 8\ndevice = "cpu"\nisolate = false',
        "cycles": "cycles = 2",
        "fit": "batch = 2\nlr = 1e-3",
    } | more
    path = folder / "star.toml"
    path.write_text("\n".join(f"[{name}]\n{text}" for name, text in tables.items()))
    return path


def call(*arguments: object) -> int:
    return cli.run(["star", *map(str, arguments)])


def test_a_tiny_checkpoint_trains_on_what_it_said(tmp_path, data, tiny_checkpoint, capsys):
    start = tiny_checkpoint("smolvlm")
    path = recipe(
        tmp_path, data, start, cycles='arm = "unverified"\ncycles = 2\nstop_share = 0.0', export='forms = ["swift"]'
    )
    assert call(path, "-o", tmp_path / "out", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [c["counts"]["all"]["direct"] for c in told["cycles"]] == [2, 2]
    records = list(rows(tmp_path / "out" / "cycle-2" / "direct"))
    assert {len(record["frames"]) for record in records} == {2}
    assert all(record["run"]["model"]["class"] == "SmolVLMForConditionalGeneration" for record in records)
    assert json.loads((tmp_path / "out/cycle-2/model.json").read_text())["start"] == str(start)
    before, after = load_file(start / "model.safetensors"), load_file(Path(told["model"]) / "model.safetensors")
    assert any(not before[name].equal(after[name]) for name in before)
    assert len((tmp_path / "out" / "export-swift.jsonl").read_text().splitlines()) >= 4
    assert call(path, "-o", tmp_path / "out", "--json") == 0
    assert json.loads(capsys.readouterr().out) == told
    assert call(path, "-o", tmp_path / "out", "--refilter", "--json") == 0
    again = json.loads(capsys.readouterr().out)["cycles"]
    assert [c["counts"]["all"]["direct"] for c in again] == [0, 0]  # eight tokens of noise name no colour


def test_nothing_kept_says_what_to_do(tmp_path, data, tiny_checkpoint, capsys):
    path = recipe(tmp_path, data, tiny_checkpoint("smolvlm"), cycles="cycles = 1")
    assert call(path, "-o", tmp_path / "out") == 5
    assert "no answer was kept" in capsys.readouterr().err
    assert json.loads((tmp_path / "out/cycle-1/counts.json").read_text())["all"]["rejected"] == 2


def test_the_template_baseline_asks_no_model(tmp_path, data, tiny_checkpoint, capsys):
    path = recipe(tmp_path, data, tiny_checkpoint("smolvlm"), cycles='arm = "templates"')
    assert call(path, "-o", tmp_path / "out", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert not (tmp_path / "out/cycle-1/direct").exists()
    assert (Path(told["model"]) / "config.json").is_file()


def test_an_annotator_is_mixed_with_templates_of_the_rest(tmp_path, data, tiny_checkpoint, capsys):
    colours = [json.loads(line)["action"] for line in (data / "labels.jsonl").read_text().splitlines()]
    right = colours.count(colours[0])
    with serve(lambda body: f"It is {colours[0]}.") as base_url:
        start = tiny_checkpoint("smolvlm")
        model = f'start = "{start}"\nfirst = "{base_url}#big"\nframes = 2\nsize_px = 56\ndevice = "cpu"'
        path = recipe(tmp_path, data, "x", cycles='arm = "annotator"\ntemplate_share = 1.0', model=model)
        assert call(path, "-o", tmp_path / "out", "--json") == 0
        assert len(base_url.questions) == 2
    told = json.loads(capsys.readouterr().out)
    assert told["cycles"][0]["counts"]["all"]["direct"] == right
    note = json.loads((Path(told["model"]).parent / "done.json").read_text())
    assert note["examples"] == 2  # what was kept, and the label in words of what was not


def test_a_dry_run_asks_nothing_and_bad_recipes_name_the_near_word(tmp_path, data, capsys):
    path = recipe(tmp_path, data, "builtin")
    assert call(path, "-o", tmp_path / "out", "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "rows": 2, "kinds": ["keywords"], "videos_missing": 0, "questions_at_most": 6,
    }  # fmt: skip
    wrong = [
        ("cycles.arm=stars", "'star'"), ("labels.taks=x", "'task'"), ("modl.start=x", "modl"),
        ("cycles.cycles=0", "cycles are 1 or more"),
    ]  # fmt: skip
    for change, said in wrong:
        assert call(path, "-o", tmp_path / "out", "--set", change) == 2
        assert said in capsys.readouterr().err


def test_an_adapted_set_is_scored_by_a_judge_that_the_run_card_pins(tmp_path, data, capsys):
    path = recipe(tmp_path, data, "builtin")
    assert call(path, "-o", tmp_path / "out", "--questions", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rows"] == 2
    with serve(lambda body: "{'pred': 'yes', 'score': 4}") as base_url:
        run = ["eval", "rows", "--annotations", told["questions"], "--videos", str(data), "-o", str(tmp_path / "run")]
        assert cli.run([*run, "--judge", f"{base_url}#grader", "--no-blind", "-q", "--json"]) == 0
        asked = [json.dumps(call.body) for call in base_url.questions]
    assert len(asked) == 2
    assert all(
        label["answer"] in text for label, text in zip(read_rows(told["questions"]), sorted(asked), strict=False)
    )
    judged = json.loads(capsys.readouterr().out)["judge"]["qa"]
    assert (judged["accuracy"]["accuracy"], judged["score"]) == (1.0, 4.0)
    card = json.loads((tmp_path / "run" / "run.json").read_text())["judge"]["qa"]
    assert card["card"]["id"] == "grader"
    assert len(card["prompt_sha256"]) == 64


def read_rows(path: str) -> list[dict]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_a_flaky_server_answers_every_row_once(tmp_path, data):
    count, asked = 126, [0]  # with 37 of 100 requests failing, 126 answers take 200 requests: 1.59 a row

    def flaky(body):
        asked[0] += 1
        turn = asked[0] * 37 % 100
        if turn < 20:
            return Response(429, b'{"error": {"message": "slow down"}}', {"Retry-After": "0"})
        if turn < 30:
            return Response(500, b"oops")
        if turn < 32:
            return Response(200, b'{"choices": [{"mess')
        return Response(hang_seconds=15.0) if turn < 37 else completion("The score is 7.")

    name = next(data.glob("*.mp4")).name
    labels = (Label("final_score", "number", 7.0),)
    table = [Row(f"r{i}", name, f"How many points, {i}?", labels, 1.0) for i in range(count)]
    show = generate.Show(data, uniform(1), size_px=32)
    with serve(flaky) as base_url:
        model = endpoint.connect(base_url, "m", try_seconds=5.0, backoff_seconds=0.01, concurrency=16)
        with model:
            outcome = generate.generate(
                table,
                lambda: model,
                "direct",
                show=show,
                folder=tmp_path / "s",
                model="m",
                engine=Threads(16),
                quiet=True,
            )
        assert len(base_url.questions) <= 1.6 * count
    assert (outcome.done, outcome.failed, outcome.left) == (count, 0, 0)
    lines = (tmp_path / "s" / "answers.jsonl").read_text().splitlines()
    assert len({json.loads(line)["id"] for line in lines}) == len(lines) == count
