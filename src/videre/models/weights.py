"""Checkpoints as files: where they are, whether they may be opened, whether they are whole.

Nothing in a checkpoint is run. Weights are safetensors, never pickles; code that a repository brings along is refused
unless a person trusts it at a named revision. From a hub only text and safetensors files are fetched.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from safetensors import SafetensorError, safe_open

from videre.errors import NO_INPUT, REFUSED, ModelError

PICKLES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".npy", ".h5"}
TEXTS = ["*.json", "*.jinja", "*.txt", "*.model"]
HUB_ID = re.compile(r"\w([\w.-]*\w)?(/\w([\w.-]*\w)?)?")
BUFFERS = re.compile(r"(inv_freq|position_ids|rotary_emb\.\w+|masked_bias|attn\.bias)$")
"""Numbers that models compute themselves; old checkpoints hold them without need."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk, allowed and whole as far as its files tell.

    Attributes:
        id: the name that was asked for.
        folder: where its files are.
        revision: the commit on the hub; None for a folder.
        trusted: its own code may run.
    """

    id: str
    folder: Path
    revision: str | None = None
    trusted: bool = False


def find(name_or_path: str, *, revision: str | None, trust_remote_code: bool, weights: bool = True) -> Checkpoint:
    """The checkpoint, fetched from the hub where it is not a folder, checked before anything of it is loaded.

    Args:
        name_or_path: a folder, or the id of a model on the hub.
        revision: a commit, branch or tag of the hub.
        trust_remote_code: whether code of the repository may run; on the hub only together with a revision.
        weights: whether the weights are needed; without them only the text files are fetched.

    Raises:
        ModelError: not found (5), not allowed (7) or not whole (3).
    """
    path = Path(name_or_path).expanduser()
    if path.is_file():
        raise _not_a_folder(path)
    if path.is_dir():
        found = Checkpoint(name_or_path, path, None, trust_remote_code)
    else:
        found = _from_hub(name_or_path, revision=revision, trusted=trust_remote_code, weights=weights)
    check_code(found)
    if weights:
        check_files(found)
    return found


def check_code(checkpoint: Checkpoint) -> None:
    """Returns when the checkpoint needs no code of its own, or that code is trusted.

    Raises:
        ModelError: it does; the message names the file and the revision (code "remote_code", exit 7).
    """
    if not (checkpoint.folder / "config.json").is_file():
        raise ModelError(f"{checkpoint.id}: no config.json, so not a checkpoint", code="no_config", exit_code=NO_INPUT)
    for file in sorted(checkpoint.folder.glob("*.json")):
        if not checkpoint.trusted and "auto_map" in _json(file, checkpoint):
            where = f" at {checkpoint.revision}" if checkpoint.revision else ""
            raise ModelError(
                f"{checkpoint.id}{where}: {file.name} asks to run code of the repository (auto_map); read that code, "
                "then pass trust_remote_code together with its revision",
                code="remote_code",
                exit_code=REFUSED,
            )


def check_files(checkpoint: Checkpoint) -> list[Path]:
    """The safetensors files, each complete.

    Raises:
        ModelError: there are only pickles (code "pickle", exit 7), none at all, or one is cut off or missing (exit 3).
    """
    try:
        files = weight_files(checkpoint.folder)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _broken(checkpoint, f"its index of weights names no files ({_first_line(error)})") from error
    if not files:
        pickles = sorted(file.name for file in checkpoint.folder.iterdir() if file.suffix in PICKLES)
        raise _pickle(checkpoint.id, pickles[0]) if pickles else _broken(checkpoint, "no *.safetensors weights in it")
    for file in files:
        try:
            with safe_open(file, framework="numpy"):
                pass
        except (SafetensorError, OSError) as error:
            raise _broken(checkpoint, f"{file.name} is cut off or damaged ({error})") from error
    return files


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files that a checkpoint consists of, as its index names them."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        names = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
        return sorted(folder / Path(name).name for name in names)
    return sorted(folder.glob("*.safetensors"))


def check_loaded(network: Any, report: dict[str, Any], *, checkpoint: Checkpoint) -> None:
    """Returns when every weight came from the files, in its shape, and is a number.

    Args:
        network: the model in memory.
        report: what `from_pretrained(output_loading_info=True)` tells.
        checkpoint: named in the message.

    Raises:
        ModelError: the first five mismatches (code "weights", exit 3).
    """
    shapes = {key: (a, b) for key, a, b in sorted(report.get("mismatched_keys", ()))}
    wrong = [f"{key}: file {list(a)}, model {list(b)}" for key, (a, b) in shapes.items()]
    wrong += [f"{key}: not in the file" for key in _real(set(report.get("missing_keys", ())) - shapes.keys())]
    wrong += [f"{key}: not in the model" for key in _real(report.get("unexpected_keys", ()))]
    wrong += [str(message) for message in report.get("error_msgs", ())]
    if not wrong:
        wrong = [f"{name}: holds NaN" for name, weight in network.named_parameters() if _has_nan(weight)]
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise _broken(checkpoint, "; ".join(wrong[:5]) + more)


def fingerprint(checkpoint: Checkpoint) -> str:
    """The commit on the hub, or a hash of the weights of a folder, as the run card states it."""
    if checkpoint.revision:
        return checkpoint.revision
    digest = hashlib.sha256()
    for file in weight_files(checkpoint.folder):
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return f"sha256:{digest.hexdigest()}"


def _from_hub(name: str, *, revision: str | None, trusted: bool, weights: bool) -> Checkpoint:
    if not HUB_ID.fullmatch(name):
        raise ModelError(f"no such model folder: {name}", code="no_model")
    if trusted and not revision:
        raise ModelError(
            f"{name}: trust_remote_code needs a revision, the commit whose code was read",
            code="remote_code",
            exit_code=REFUSED,
        )
    patterns = [*TEXTS, *(["*.safetensors"] if weights else []), *(["*.py"] if trusted else [])]
    folder = _snapshot(name, revision, patterns)
    return Checkpoint(name, folder, folder.name, trusted)


def _snapshot(name: str, revision: str | None, patterns: Sequence[str]) -> Path:
    """The folder of the hub's local cache, fetched where the hub answers, as it is where it does not."""
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    why = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else _unreachable(name, constants.ENDPOINT)
    try:
        return Path(
            snapshot_download(name, revision=revision, allow_patterns=list(patterns), local_files_only=bool(why))
        )
    except LocalEntryNotFoundError as error:
        message = f"{name} is no folder here, not in the hub's local cache, and could not be fetched ({why})"
        raise ModelError(f"{message}: pass a folder, or fetch it where there is a network", code="hub") from error
    except (HfHubHTTPError, httpx.HTTPError, OSError) as error:
        raise ModelError(f"{name} could not be fetched: {_first_line(error)}", code="hub") from error


def _unreachable(name: str, endpoint: str) -> str:
    """Why the hub cannot be asked, or nothing: asked once, briefly, where its own client would try for half a minute.

    Raises:
        ModelError: the hub answers that it has no such model, or not for us.
    """
    from huggingface_hub import get_token

    token = get_token()
    headers = {"authorization": f"Bearer {token}"} if token else {}
    try:
        told = httpx.get(f"{endpoint}/api/models/{name}", headers=headers, timeout=5, follow_redirects=True)
    except httpx.HTTPError as error:
        return f"{httpx.URL(endpoint).host} cannot be reached: {type(error).__name__}"
    if told.status_code in (401, 403, 404):
        raise ModelError(f"{name}: the hub knows no such model, or it needs a login (HF_TOKEN)", code="no_model")
    return ""


def _not_a_folder(path: Path) -> ModelError:
    if path.suffix in PICKLES:
        return _pickle(str(path), path.name)
    return ModelError(f"{path} is a file: pass the folder with config.json and *.safetensors", code="no_model")


def _pickle(name: str, file: str) -> ModelError:
    return ModelError(
        f"{name}: {file} can run code when it is opened, so it is refused; convert it to safetensors first",
        code="pickle",
        exit_code=REFUSED,
    )


def _broken(checkpoint: Checkpoint, why: str) -> ModelError:
    return ModelError(f"{checkpoint.id}: the checkpoint is not whole: {why}", code="weights", exit_code=NO_INPUT)


def _json(file: Path, checkpoint: Checkpoint) -> dict[str, Any]:
    try:
        told = json.loads(file.read_text("utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise _broken(checkpoint, f"{file.name} is not JSON ({_first_line(error)})") from error
    return told if isinstance(told, dict) else {}


def _real(keys: Iterable[str]) -> list[str]:
    return sorted(key for key in keys if not BUFFERS.search(key))


def _has_nan(weight: Any) -> bool:
    return bool(weight.device.type != "meta" and weight.is_floating_point() and weight.isnan().any())


def _first_line(error: BaseException) -> str:
    return (str(error).strip().split("\n") or [""])[0][:200] or type(error).__name__
