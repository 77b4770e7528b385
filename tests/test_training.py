"""The door to training: recipes are read, changed and handed on."""

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from videre.apps import naming, training
from videre.errors import ConfigError


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text("seed = 3\n[fit]\nsteps = 10\nlr = 1e-3\n", "utf-8")
    return path


def test_values_are_changed_by_their_place(recipe: Path) -> None:
    told = training.read_recipe(recipe, ["fit.steps=20", "seed=4", "model=some/hub-id", "fit.frames=[1, 2]"])
    assert told == {"seed": 4, "model": "some/hub-id", "fit": {"steps": 20, "lr": 1e-3, "frames": [1, 2]}}


@pytest.mark.parametrize("change", ["fit.steps", "fitt.steps=3", "seed.steps=3"])
def test_a_change_that_names_nothing_is_refused(recipe: Path, change: str) -> None:
    with pytest.raises(ConfigError, match="not KEY=VALUE"):
        training.read_recipe(recipe, [change])


def test_bad_recipes_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: no such recipe"):
        training.read_recipe(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("steps: 3")
    with pytest.raises(ConfigError, match=r"bad\.toml: not TOML"):
        training.read_recipe(tmp_path / "bad.toml")


def test_the_trainer_gets_recipe_and_folder(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(training.command.params[0], "type", click.STRING)
    monkeypatch.setattr(naming, "trainer", lambda kind: lambda told, out: seen.append((kind, told, out)))
    run = CliRunner().invoke(training.command, ["memory", str(recipe), "--set", "fit.steps=1", "-o", "here"])
    assert (run.exit_code, run.output) == (0, "here\n")
    assert seen == [("memory", {"seed": 3, "fit": {"steps": 1, "lr": 1e-3}}, Path("here"))]
