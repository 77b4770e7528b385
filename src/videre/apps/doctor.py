"""`videre doctor`: which parts work here, what is missing, and how to mend it."""

import importlib.util
import json
import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click

from videre import __version__

MARKS = {
    True: click.style("ok  ", fg="green"),
    False: click.style("FAIL", fg="red"),
    None: click.style("-   ", fg="yellow"),
}
OPTIONAL = {"torchcodec": "a faster decoder", "peft": "training of adapters", "trl": "preference training"}


@dataclass(frozen=True)
class Finding:
    """One line of the report: `ok` is None for an optional part that is not there."""

    name: str
    ok: bool | None
    detail: str
    mend: str = ""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a finding.")
def command(as_json: bool) -> None:
    """Check decoders, packages, models; say what to mend. Exits with 1 if something that is needed fails."""
    findings = list(_findings())
    for finding in findings:
        click.echo(json.dumps(asdict(finding)) if as_json else _line(finding))
    if any(finding.ok is False for finding in findings):
        raise SystemExit(1)


def _line(finding: Finding) -> str:
    mend = f"\n                       to mend: {finding.mend}" if finding.mend else ""
    return f"{MARKS[finding.ok]} {finding.name:16s} {finding.detail}{mend}"


def _findings() -> Iterator[Finding]:
    yield Finding("videre", True, f"{__version__} on Python {platform.python_version()}, {platform.platform()}")
    yield _try("reader", _reader, "pip install --force-reinstall av")
    yield _try("decode", _decode, "pip install --force-reinstall av")
    yield _try("encode + report", _writable, "free some space or set TMPDIR")
    yield from _torch()
    for name, use in OPTIONAL.items():
        yield _optional(name, use)


def _try(name: str, check: Callable[[], str], mend: str) -> Finding:
    try:
        return Finding(name, True, check())
    except Exception as error:  # whatever is broken here is what the person came to learn
        return Finding(name, False, f"{type(error).__name__}: {error}", mend)


def _reader() -> str:
    import av

    libraries = ", ".join(f"{name} {'.'.join(map(str, v))}" for name, v in sorted(av.library_versions.items())[:3])
    return f"PyAV {av.__version__} with its own FFmpeg ({libraries})"


def _decode() -> str:
    from videre.data import world
    from videre.video.open import open_video

    with open_video(world.SAMPLE) as video:
        frames = video.at([0.0, video.duration_seconds / 2])
    if len(frames) != 2 or frames.pixels.std() < 1:
        raise RuntimeError(f"the sample clip decodes to {frames!r}")
    return f"the sample clip: {video.width_px}x{video.height_px}, {video.duration_seconds:.1f} s, right frames"


def _writable() -> str:
    folder = Path(tempfile.gettempdir())
    free_gb = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize / 1e9
    if free_gb < 0.1:
        raise OSError(f"{free_gb:.2f} GB free in {folder}")
    return f"{free_gb:.0f} GB free in {folder}"


def _torch() -> Iterator[Finding]:
    mend = 'pip install "videre[hf]"'
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("transformers") is None:
        yield Finding("models", None, "local models need torch and transformers; servers work without", mend)
        return
    yield _try("torch", _torch_device, mend)
    yield _try("torchvision", _torchvision, mend)
    yield _try("transformers", lambda: version("transformers"), mend)
    yield _try("built-in model", _builtin, "reinstall videre: its weights are part of the package")


def _torch_device() -> str:
    import torch

    if torch.cuda.is_available():
        return f"{torch.__version__}, {torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}"
    return f"{torch.__version__}, CPU with {torch.get_num_threads()} threads (no GPU found)"


def _torchvision() -> str:
    from videre.compat import ensure_torchvision

    state = ensure_torchvision()
    if state == "absent":
        raise RuntimeError("absent: transformers loads no video model without it")
    return f"{version('torchvision')} ({state})"


def _builtin() -> str:
    from videre.models import builtin

    return f"{builtin.load().name} loads"


def _optional(name: str, use: str) -> Finding:
    try:
        found = version(name)
    except PackageNotFoundError:
        return Finding(name, None, f"not installed ({use})")
    try:
        importlib.import_module(name)
    except Exception as error:  # a decoder that cannot find FFmpeg must not fail the doctor
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        return Finding(
            name,
            None,
            f"{found} does not load ({reason}); PyAV is used",
            f"see what {name} needs: its FFmpeg libraries",
        )
    return Finding(name, True, found)
