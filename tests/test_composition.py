"""The methods compose: a selector or a policy in front of a memory model, and one evaluation over all, by command."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import tiny_clip
from tiny_blip import instructblip
from tiny_models import save
from videre.apps.cli import cli
from videre.data import world


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Tiny checkpoints, three clips and rows about them."""
    root = tmp_path_factory.mktemp("composed")
    tiny_clip.build("clip", root / "clip")
    (root / "blip").mkdir()
    save(instructblip(), root / "blip")
    for seed in range(3):
        world.write(world.make(seed, world.Config(seconds=4.0, size_px=64)), root / f"{seed}.mp4")
    rows = [
        {"id": f"{i}", "video": f"{i}.mp4", "question": "what happens ?", "options": ["red", "blue"], "answer": "red"}
        for i in range(3)
    ]
    (root / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return root


def told(*arguments: object) -> list[dict]:
    done = CliRunner().invoke(cli, [str(a) for a in arguments])
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


SELECTORS = {
    "strategy over scores": "aks:clip={clip}",
    "policy": "msr-vir:encoder={clip},overview=2",
}


@pytest.mark.parametrize("select", SELECTORS.values(), ids=SELECTORS)
def test_a_selector_in_front_of_a_memory(place, select):
    """The frames that the memory has read are those that the selector chose, with their true times."""
    chosen = select.format(clip=place / "clip")
    model = f"ma-lmm:{place / 'blip'}#slots=2,answer_tokens=3"
    (row,) = told(
        "ask", place / "1.mp4", "what moves after the red circle ?", "-m", model, "--device", "cpu", "-k", 3,
        "--select", chosen, "--json",
    )  # fmt: skip
    assert row["run"]["selector"].startswith(select.partition("=")[0])
    assert row["run"]["memory"]["frames"] == row["usage"]["frames"] >= len(row["run"]["frames_seconds"])
    assert row["run"]["frames_seconds"] == sorted(row["run"]["frames_seconds"])
    assert [step["name"] for step in row["steps"]][-1] == "answer"


def test_evaluated_through_the_same_road(place, tmp_path):
    """What one command asks another evaluates under the same two names, and the runs say how they differ."""
    model = ["-m", f"ma-lmm:{place / 'blip'}#slots=2,answer_tokens=3", "--device", "cpu", "-k", 3, "-q", "--no-blind"]
    where = ["--annotations", place / "rows.jsonl", "--videos", place]
    for name, select in (("aks", f"aks:clip={place / 'clip'}"), ("uniform", "uniform")):
        (table,) = told("eval", "rows", *where, *model, "--select", select, "-o", tmp_path / name, "--json")
        assert table["counts"]["n_failed"] == 0
        assert table["choice"]["n_scored"] == 3
    (difference,) = told("eval", "diff", tmp_path / "aks", tmp_path / "uniform", "--json")
    assert "select" in json.dumps(difference)
