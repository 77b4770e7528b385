"""The tables of recipes: what is set, and what is wrong said with the nearest name."""

from dataclasses import dataclass

import pytest

from videre import jobs
from videre.errors import ConfigError
from videre.train.recipe import known, one_of, table


@dataclass(frozen=True)
class Fit:
    steps: int
    sizes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"one step at least, got {self.steps}")


def test_a_table_becomes_what_it_sets_and_lists_become_tuples():
    assert table(Fit, {"steps": 3, "sizes": [1, 2]}, "[fit]") == Fit(3, (1, 2))


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (3, r"\[fit\] is a table, got 3"),
        ({"step": 3}, r"\[fit\] has no 'step'; did you mean 'steps'\?"),
        ({"x": 3}, r"\[fit\] has no 'x'; there are steps, sizes"),
        ({}, r"\[fit\]: .*steps"),
        ({"steps": 0}, r"\[fit\]: one step at least, got 0"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(told, said):
    with pytest.raises(ConfigError, match=said):
        table(Fit, told, "[fit]")


def test_names_are_checked():
    known({"a": 1}, ["a", "b"], "the recipe")
    one_of("a", ["a", "b"], "cycles.arm")
    with pytest.raises(ConfigError, match=r"cycles\.arm is 'stat'; did you mean 'star'"):
        one_of("stat", ["star", "templates"], "cycles.arm")


def test_a_folder_goes_on_only_with_the_recipe_it_was_begun_with(tmp_path):
    out = tmp_path / "new" / "out"
    jobs.begun(out, {"fit": {"steps": 3, "lr": 0.1}})
    jobs.begun(out, {"fit": {"lr": 0.1, "steps": 3}})
    with pytest.raises(ConfigError, match=r"another recipe: fit.steps was 3, now 4: give another folder"):
        jobs.begun(out, {"fit": {"steps": 4, "lr": 0.1}})
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="choose a folder"):
        jobs.begun(tmp_path / "file" / "out", {})
