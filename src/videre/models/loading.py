"""What every loader of a checkpoint needs: the network itself, where it goes, in which numbers, and its card.

Errors of the libraries become one line with a name and a next step.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from videre import compat
from videre.errors import NO_INPUT, NO_MODEL, ModelError
from videre.types import JSON

compat.need_hf()

import torch  # noqa: E402
import transformers  # noqa: E402
from transformers.utils import logging  # noqa: E402

from videre.models.session import memory_named  # noqa: E402
from videre.models.weights import Checkpoint, check_loaded, fingerprint  # noqa: E402


def load_network(family: Any, checkpoint: Checkpoint, *, device: str = "cpu", dtype: Any = "auto") -> Any:
    """The network of a checkpoint, whole and ready to infer.

    Args:
        family: a transformers class or Auto class.
        checkpoint: where it lies; call this within `load_errors`.
        device: as `checked_device` gives it.
        dtype: as `checked_dtype` gives it.

    Raises:
        ModelError: weights are missing, too many, of other shapes or not finite.
    """
    with memory_named(), _bars_on_terminals():
        network, report = family.from_pretrained(
            checkpoint.folder,
            dtype=dtype,
            device_map=device,
            use_safetensors=True,
            trust_remote_code=checkpoint.trusted,
            local_files_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # So that the report lists them all; `check_loaded` then refuses.
        )
    check_loaded(network, report, checkpoint=checkpoint)
    return network.eval()


def card(checkpoint: Checkpoint, network: Any, **more: JSON) -> dict[str, JSON]:
    """What a record says of a model: what it is, its weights, where it runs and under which versions."""
    return {
        "id": checkpoint.id,
        "revision": fingerprint(checkpoint),
        "class": type(network).__name__,
        "dtype": str(network.dtype).removeprefix("torch."),
        "device": str(network.device),
        **more,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def checked_device(wanted: str) -> str:
    """Where a network goes: `auto` is a GPU where there is one.

    Raises:
        ValueError: no such name.
        ModelError: this torch does not see it.
    """
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if wanted in ("balanced", "sequential"):
        return wanted
    try:
        kind = torch.device(wanted).type
    except RuntimeError as error:
        raise ValueError(f"device is auto, cpu, cuda, cuda:1, mps or balanced, got {wanted!r}") from error
    if (kind == "cuda" and not torch.cuda.is_available()) or (kind == "mps" and not torch.backends.mps.is_available()):
        raise ModelError(f"this torch ({torch.__version__}) sees no {kind} device: pass device='cpu'", code="device")
    return wanted


def checked_dtype(wanted: str) -> Any:
    """The number type of a network, `auto` for that of its checkpoint.

    Raises:
        ValueError: no such name.
    """
    if wanted in ("auto", "float32", "bfloat16", "float16"):
        return wanted if wanted == "auto" else getattr(torch, wanted)
    raise ValueError(f"dtype is auto, float32, bfloat16 or float16, got {wanted!r}")


@contextmanager
def load_errors(checkpoint: Checkpoint) -> Iterator[None]:
    """Turns what the libraries raise while loading into a `ModelError` of one line."""
    try:
        yield
    except ModelError:
        raise
    except ImportError as error:
        message = f"{checkpoint.id} needs a package that is not installed ({_line(error)}): {compat.INSTALL}"
        raise ModelError(message, code="no_hf") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        unknown = "model type" in str(error) or "Unrecognized" in str(error)
        hint = f"; transformers {transformers.__version__} may not know this family" if unknown else ""
        raise ModelError(
            f"{checkpoint.id} could not be loaded: {_line(error)}{hint}",
            code="load",
            exit_code=NO_MODEL if unknown else NO_INPUT,
        ) from error


def _line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:300]


@contextmanager
def _bars_on_terminals() -> Iterator[None]:
    """Lets the library draw its progress bars on a terminal only: in a log or a pipe they are noise."""
    draws = logging.is_progress_bar_enabled()
    if draws and not sys.stderr.isatty():
        logging.disable_progress_bar()
    try:
        yield
    finally:
        if draws:
            logging.enable_progress_bar()
