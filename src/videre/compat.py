"""What the ecosystem breaks and we mend, asked once, in one place.

torchvision's wheel for CUDA does not import beside a CPU build of torch, and a torchvision that is installed but broken
takes transformers' processors down with it: `ensure_torchvision` mends that. torch and transformers are optional:
`need_hf` says in one line how to install them.
"""

import importlib.util
import sys
from functools import cache
from typing import Any, Literal

from videre.errors import ModelError

INSTALL = 'pip install "videre[hf]"'
_KEPT: list[Any] = []
"""Operator libraries that must outlive the call: torch unregisters an operator when its library is collected."""


def need_hf() -> None:
    """Returns when torch and transformers are installed and mended, and raises otherwise.

    Raises:
        ModelError: a package is missing (exit 5); the message holds the line that installs it.
    """
    absent = [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]
    if absent:
        raise ModelError(f"{' and '.join(absent)} not installed, needed to run a model here: {INSTALL}", code="no_hf")
    ensure_torchvision()


@cache
def ensure_torchvision() -> Literal["native", "shimmed", "absent"]:
    """Whether torchvision works as installed, works now because it was mended, or is not there.

    Video processors of transformers need torchvision's transforms, which are pure torch. The wheel on PyPI pairs with
    CUDA builds: beside a CPU build its compiled part does not load, and the import dies on a missing operator.
    Declaring that operator is enough. Afterwards `torchvision.transforms.v2` works; `torchvision.ops.nms` and
    `torchvision.io` do not.
    """
    if importlib.util.find_spec("torchvision") is None:
        return "absent"
    try:
        import torchvision

        return "native"
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    _forget_half_imported()
    _declare_operators()
    import torchvision  # noqa: F401

    return "shimmed"


def _forget_half_imported() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]


def _declare_operators() -> None:
    import torch

    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _KEPT.append(library)
