"""What every test has: no network, quiet libraries, shapes checked, tiny checkpoints, the shared folder."""

import os
import signal

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from collections.abc import Callable
from functools import cache
from pathlib import Path

import hypothesis
import jaxtyping
import pytest

# A shell that starts the tests in the background leaves Ctrl-C ignored, and every child would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no fault of the code: how long an example takes is not tested.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# Shapes and types of every function of ours are checked in tests, and only there. VIDERE_UNCHECKED=1 turns it off.
if not os.environ.get("VIDERE_UNCHECKED"):
    jaxtyping.install_import_hook("videre", "typecheck.checked")


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`tiny_checkpoint("qwen3_vl")` is the folder of a tiny random checkpoint, built at its first use."""
    import torch
    from transformers.utils import logging

    from tiny_models import build

    torch.set_num_threads(1)
    logging.disable_progress_bar()
    root = tmp_path_factory.mktemp("checkpoints")
    return cache(lambda name: build(name, root / name))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real clips and goldens beside the checkout; the test is skipped where there is none."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip(f"needs the clips and goldens that are kept outside the repository, in {folder}")
    return folder
