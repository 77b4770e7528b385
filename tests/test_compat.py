"""What compat promises: torchvision works afterwards, and a missing package is named with its cure."""

import importlib.util

import pytest

from videre import compat
from videre.errors import ModelError


def test_torchvision_works_after_mending():
    assert compat.ensure_torchvision() in {"native", "shimmed"}
    import numpy as np
    from torchvision.transforms.v2 import functional

    assert functional.to_image(np.zeros((4, 4, 3), np.uint8)).shape == (3, 4, 4)


def test_missing_torch_names_the_install_line(monkeypatch: pytest.MonkeyPatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else real(name))
    with pytest.raises(ModelError, match=r"torch not installed.*pip install \"videre\[hf\]\"") as caught:
        compat.need_hf()
    assert caught.value.exit_code == 5


def test_absent_torchvision_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert compat.ensure_torchvision.__wrapped__() == "absent"
