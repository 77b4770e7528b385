"""Video-STaR: cycles over stub models and real files: yields, hints, kills, other thresholds, re-initialization."""

import json
import os
import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from videre.data import world
from videre.errors import ModelError
from videre.jobs import Item, rows
from videre.methods.video_star import cycle, export, generate
from videre.methods.video_star.label import PROFILES, Label, Row
from videre.methods.video_star.store import load_kept, save_rows
from videre.methods.video_star.verify import Verifier
from videre.models.fake import FakeMLLM
from videre.video.sample import uniform

HINT = "\nAnswer: "


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    world.write(world.make(5, world.Config(seconds=1.0, size_px=64)), folder / "a.mp4")
    return folder


def table(count: int = 8, *, video: str = "a.mp4") -> list[Row]:
    labels = [Label("final_score", "number", float(20 + i)) for i in range(count)]
    return [
        Row(f"row-{i}", video, f"Score number {i}?", (label,), 1.0, None, "score") for i, label in enumerate(labels)
    ]


def gold(text: str) -> str:
    return f"The score is {20 + int(text.split('number ')[1].split('?')[0])}."


class Stub:
    """Asks a fake model over real jobs; `trained` says from which checkpoint on which rows each model was made."""

    def __init__(self, videos: Path, says) -> None:
        self.model = FakeMLLM(lambda frames, text: says(text, self.asks))
        self.asks, self.trained = "", []
        self.show = generate.Show(videos, uniform(2), size_px=64)

    def ask(self, some, stage, model, folder):
        self.asks = model
        return generate.generate(
            some, lambda: self.model, stage, show=self.show, folder=folder, model=model, quiet=True
        )

    def train(self, data, start, out):
        self.trained.append((start, [one.row.id for one in data]))
        return f"model-{len(self.trained)}"

    def run(self, some, folder, **plan):
        return cycle.run(
            some, cycle.Plan(**plan), start="start", ask=self.ask, train=self.train, verifier=Verifier(), folder=folder
        )


def test_a_model_that_knows_is_never_shown_a_label(videos, tmp_path):
    stub = Stub(videos, lambda text, model: gold(text))
    cycles = stub.run(table(), tmp_path, cycles=3)
    assert [c.counts["all"]["direct"] for c in cycles] == [8, 8]  # the second cycle gains nothing, so it is the last
    assert not any(HINT in text for text in stub.model.asked)
    assert [start for start, _ in stub.trained] == ["start", "start"]


def test_hints_reach_the_prompt_and_never_the_training_row(videos, tmp_path):
    stub = Stub(videos, lambda text, model: gold(text) if HINT in text or "model" in model else "No idea.")
    first, last = stub.run(table(), tmp_path, cycles=2)
    assert first.counts["score"] == dict.fromkeys(cycle.OUTCOMES, 0) | {"rationalised": 8}
    assert sum(HINT in text for text in stub.model.asked) == 8
    assert last.is_last
    assert last.counts["all"]["direct"] == 8
    kept = load_kept(tmp_path / "cycle-1" / "kept.jsonl")
    assert not any(one.is_direct for one in kept)
    for example in export.rationales(kept):
        assert HINT not in example.question
        assert "step-by-step" not in example.question


def test_the_last_round_takes_direct_answers_only(videos, tmp_path):
    stub = Stub(videos, lambda text, model: gold(text) if HINT in text else "No idea.")
    with pytest.raises(ModelError, match="no answer was kept"):
        stub.run(table(), tmp_path, cycles=2)
    assert load_kept_ids(tmp_path / "cycle-2") == []
    only = Stub(videos, lambda text, model: gold(text) if HINT in text else "No idea.")
    told = only.run(table(), tmp_path / "arm", cycles=1, generate=False)
    assert told[0].counts["all"]["rationalised"] == 8
    assert all(HINT in text for text in only.model.asked)


def load_kept_ids(place: Path) -> list[str]:
    return [json.loads(line)["id"] for line in (place / "kept.jsonl").read_text().splitlines()]


def test_every_outcome_is_counted(videos, tmp_path):
    says = ["The score is 20.", "The score is 3.", "6.3/10", "The final label is 23.", "The score is 24."]

    def reply(text: str, model: str) -> str:
        number = int(text.split("number ")[1].split("?")[0])
        return says[number] if HINT in text or number == 0 else "No idea."

    some = [*table(5), replace(table(1)[0], id="lost", video="lost.mp4")]
    some[2] = replace(some[2], labels=(Label("final_score", "number", 63.0),))
    stub = Stub(videos, reply)
    ask = stub.ask
    data = cycle._asked(ask, some, "direct", "m", tmp_path)
    judged = cycle.judge(some, data, {}, verifier=Verifier(), cycle=1)
    hinted = cycle._asked(ask, [j.row for j in judged if j.kept is None], "hinted", "m", tmp_path)
    told = cycle.count(cycle.judge(some, data, hinted, verifier=Verifier(), cycle=1))["all"]
    assert told == {"direct": 1, "rationalised": 1, "rejected": 1, "abstained": 1, "leaked": 1, "failed": 1}
    assert cycle.line(told).endswith("1 failed of 6")


def test_an_unreadable_video_is_a_row_and_is_tried_again(videos, tmp_path):
    some = [*table(2), replace(table(1)[0], id="late", video="late.mp4")]
    stub = Stub(videos, lambda text, model: gold(text))
    assert stub.ask(some, "direct", "m", tmp_path / "s").failed == 1
    error = next(row for row in rows(tmp_path / "s") if row["id"] == "late")["error"]
    assert error["code"] == "missing_video"
    late = videos / "late.mp4"
    late.write_bytes((videos / "a.mp4").read_bytes())
    try:
        assert stub.ask(some, "direct", "m", tmp_path / "s").failed == 0
    finally:
        late.unlink()
    assert len(stub.model.asked) == 3


def test_another_threshold_filters_without_a_model_call(videos, tmp_path):
    stub = Stub(videos, lambda text, model: gold(text).replace("20.", "21.5."))
    stub.run(table(), tmp_path, cycles=1)
    asked = len(stub.model.asked)
    assert len(load_kept_ids(tmp_path / "cycle-1")) == 7
    (told,) = cycle.refilter(table(), verifier=Verifier(PROFILES["official"]), folder=tmp_path)
    assert told["all"]["direct"] == 8
    assert len(stub.model.asked) == asked


def test_training_starts_anew_each_cycle_unless_it_shall_not(videos, tmp_path):
    def better(text: str, model: str) -> str:
        number = int(text.split("number ")[1].split("?")[0])
        return gold(text) if number < (8 if "2" in model else 4 if "1" in model else 2) else "No idea."

    cold, warm = Stub(videos, better), Stub(videos, better)
    cycles = cold.run(table(), tmp_path / "cold", cycles=3)
    warm.run(table(), tmp_path / "warm", cycles=3, warm_start=True)
    assert [c.counts["all"]["direct"] for c in cycles] == [2, 4, 8]
    assert [start for start, _ in cold.trained] == ["start"] * 3
    assert [start for start, _ in warm.trained] == ["start", "model-1", "model-2"]


def test_the_same_call_again_asks_and_trains_nothing(videos, tmp_path):
    stub = Stub(videos, lambda text, model: gold(text))
    before = stub.run(table(), tmp_path, cycles=2)
    asked, trained = len(stub.model.asked), len(stub.trained)
    assert stub.run(table(), tmp_path, cycles=2) == before
    assert (len(stub.model.asked), len(stub.trained)) == (asked, trained)


def test_unverified_keeps_what_was_said(videos, tmp_path):
    stub = Stub(videos, lambda text, model: "No idea.")
    told = stub.run(table(), tmp_path, cycles=1, verify=False)
    assert told[0].counts["all"]["direct"] == 8


def test_the_key_of_a_row_holds_all_that_its_answer_depends_on(videos):
    show = generate.Show(videos, uniform(2), size_px=64)
    one = table(1)[0]
    items: list[Item] = [
        generate.item(one, "direct", show=show, model="m"),
        generate.item(one, "hinted", show=show, model="m"),
        generate.item(one, "direct", show=show, model="n"),
        generate.item(replace(one, question="Else?"), "direct", show=show, model="m"),
    ]
    assert len({item.key for item in items}) == 4
    assert items[0].key == generate.item(one, "direct", show=show, model="m").key


CHILD = """
import os, signal, sys, threading
from pathlib import Path
videos, folder, here, deadly, delay = sys.argv[1:]
sys.path.insert(0, here)
import test_video_star_cycle as t
from videre.methods.video_star import cycle
left = [int(deadly)]
def tick():
    left[0] -= 1
    if left[0] == 0:
        threading.Timer(float(delay), lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
def says(text, model):
    tick()
    number = int(text.split("number ")[1].split("?")[0])
    return t.gold(text) if t.HINT in text or number % (2 if "model" in model else 3) == 0 else "No idea."
class Mortal(t.Stub):
    def train(self, data, start, out):
        tick()
        return "model-of-" + cycle.digest(data)[:8]
Mortal(Path(videos), says).run(t.table(t.ROWS), Path(folder), cycles=2)
"""
ROWS = 6 * int(os.environ.get("VIDERE_KILLS", "4"))
KILLS = int(os.environ.get("VIDERE_KILLS", "4"))
"""Each costs the start of a process; VIDERE_KILLS=20 is the whole sweep."""


def test_killed_runs_leave_the_same_kept_rows(videos, tmp_path):
    environment = os.environ | {"VIDERE_UNCHECKED": "1"}
    here = str(Path(__file__).parent)

    def end(folder: Path, deadly: int = 0, delay: float = 0.0) -> int:
        command = [sys.executable, "-c", CHILD, videos, folder, here, deadly, delay]
        return subprocess.run(list(map(str, command)), env=environment, capture_output=True, check=False).returncode

    assert end(tmp_path / "whole") == 0
    draw = random.Random(0)
    folder, kills = tmp_path / "killed", 0
    for _ in range(4 * KILLS):
        code = end(folder, draw.randint(1, max(2, 2 * ROWS // KILLS)), draw.uniform(0, 0.02))
        kills += code == -signal.SIGKILL
        if kills == KILLS or code == 0:
            break
    assert kills >= min(KILLS, 4)
    assert end(folder) == 0
    for number in (1, 2):
        name = f"cycle-{number}"
        assert (folder / name / "kept.jsonl").read_bytes() == (tmp_path / "whole" / name / "kept.jsonl").read_bytes()
        for stage in sorted((folder / name).glob("*/answers.jsonl")):
            ids = [json.loads(line)["id"] for line in stage.read_text().splitlines()]
            assert len(set(ids)) == len(ids)
    print(f"{kills} kills")


WHOLE = """
import os, signal, sys
from pathlib import Path
from videre.apps import star_run
from videre.apps.star_recipe import read
from videre.apps.training import read_recipe
recipe, folder, delay = sys.argv[1:]
told = read(read_recipe(Path(recipe), []))
signal.signal(signal.SIGPROF, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
signal.setitimer(signal.ITIMER_PROF, float(delay))  # in seconds of work, so that a busy machine is no excuse
star_run.run(told, Path(folder))
signal.setitimer(signal.ITIMER_PROF, 0)  # while Python ends, handlers are gone
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_whole_run_with_its_trainings_survives_kills(tmp_path):
    """Two cycles of the built-in model over real jobs and real training, killed at random moments of all stages."""
    config = world.Config(seconds=2.0, size_px=64, things=(2, 2))
    table = []
    for seed in range(90_000_000, 90_000_012):
        clip = world.make(seed, config)
        for sample in world.questions(clip, open_share=1.0, kinds=("first",)):
            world.write(clip, tmp_path / sample.video)
            label = Label("answer", "keywords", sample.answer)
            table.append(Row(sample.id, sample.video, sample.question.text, (label,), 2.0, None, "first"))
    save_rows(tmp_path / "table.jsonl", table)
    recipe = tmp_path / "star.toml"
    recipe.write_text(
        f'[labels]\nfile = "{tmp_path}/table.jsonl"\nvideos = "{tmp_path}"\nformat = "table"\n'
        '[model]\nstart = "builtin"\nframes = 4\nsize_px = 64\ndirect = "{question}"\nisolate = false\n'
        'hinted = "{value}. {question}"\n[cycles]\ncycles = 2\nstop_share = 0.0\n[fit]\nbatch = 2\nsave_steps = 1\n'
    )

    def end(folder: Path, delay: float = 0.0) -> int:
        command = [sys.executable, "-c", WHOLE, str(recipe), str(folder), str(delay)]
        environment = os.environ | {"VIDERE_UNCHECKED": "1"}
        return subprocess.run(command, env=environment, capture_output=True, check=False).returncode

    assert end(tmp_path / "whole") == 0
    draw, kills, folder = random.Random(1), 0, tmp_path / "killed"
    while kills < int(os.environ.get("VIDERE_KILLS", "20")):
        code = end(folder, draw.uniform(0.1, 3.0))
        assert code in (0, -signal.SIGKILL)
        if code == 0:  # it has got through: the next life starts from nothing
            folder = tmp_path / f"killed-{kills}"
        kills += code != 0
    assert end(folder) == 0
    for killed in tmp_path.glob("killed*"):
        for number in (1, 2):
            name = f"cycle-{number}/kept.jsonl"
            assert (killed / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
            for stage in (killed / f"cycle-{number}").glob("*/answers.jsonl"):
                ids = [json.loads(line)["id"] for line in stage.read_text().splitlines()]
                assert len(set(ids)) == len(ids)
    print(f"{kills} kills, {len(list(tmp_path.glob('killed*')))} runs")
