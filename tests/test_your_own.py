"""The examples of docs/your_own.md run as they stand."""

import sys
from pathlib import Path

import pytest

from videre.apps import naming
from videre.ask import ask
from videre.data import world
from videre.errors import ConfigError

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"


def test_a_selector_and_a_model_of_ones_own():
    select = naming.selector(f"{EXAMPLES}/busiest.py:busiest")
    model = naming.model(f"{EXAMPLES}/brightness.py:make")
    record = ask(str(world.SAMPLE), "does it get brighter?", model=model, select=select)
    assert str(record) in {"brighter", "darker"}
    assert len(record.evidence.seconds) == 4
    assert len(record.evidence.scores) == 4
    assert min(record.evidence.scores) > 0


@pytest.mark.parametrize("name", ["busiest.py", "brightness.py"])
def test_each_takes_less_than_twenty_lines(name):
    code = [line for line in (EXAMPLES / name).read_text().splitlines() if line.strip()]
    assert len(code) < 20


def test_a_module_on_the_path_serves_too(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    assert naming.selector("busiest:busiest").__name__ == "busiest"
    sys.modules.pop("busiest")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("unifrom", "did you mean 'uniform'"),
        ("uniform:k", "settings are key=value"),
        ("uniform:frames=3", "selector 'uniform:frames=3'"),
        ("gone.py:f", "no such file"),
        ("no_such_package_here:f", "no module"),
        (f"{EXAMPLES}/busiest.py:busyest", "did you mean 'busiest'"),
    ],
)
def test_a_name_that_is_none_is_answered_with_the_nearest(text, reason):
    with pytest.raises(ConfigError, match=reason):
        naming.selector(text)
