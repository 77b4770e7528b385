"""Where the small models of the world are kept: under the hash of their settings and of the code that trains them."""

import ast
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

DONE = "measured.json"


def key(recipe: Any, files: Sequence[str | Path]) -> str:
    """16 hex digits of a recipe and of what its files do; comments, docstrings and spacing count for nothing."""
    told = json.dumps(asdict(recipe), sort_keys=True) + "".join(_content(Path(file)) for file in files)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def kept(
    recipe: Any, files: Sequence[str | Path], out: Path, train: Callable[[Path, Path], Any]
) -> tuple[Path, dict[str, Any]]:
    """The folder of the checkpoint and what it reaches; `train` is asked for both unless they are there.

    Args:
        recipe: a dataclass of plain values.
        files: the code that decides the weights, and the weights that it starts from.
        out: the folder of all checkpoints of this kind.
        train: takes the folder to write and a folder for checkpoints on the way; gives what was measured.
    """
    folder = out / key(recipe, files)
    if not (folder / DONE).exists():
        folder.mkdir(parents=True, exist_ok=True)
        clocks = {"seconds": time.perf_counter, "cpu_seconds": time.process_time}
        started = {name: clock() for name, clock in clocks.items()}
        told = {"measured": train(folder, folder.with_name(f"{folder.name}-fit"))}
        told |= {name: round(clock() - started[name], 1) for name, clock in clocks.items()}
        (folder / DONE).write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    return folder, json.loads((folder / DONE).read_text("utf-8"))["measured"]


def _content(file: Path) -> str:
    return _bare(file.read_text("utf-8")) if file.suffix == ".py" else hashlib.sha256(file.read_bytes()).hexdigest()


def _bare(code: str) -> str:
    tree = ast.parse(code)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [line for line in body if not _is_text(line)]  # type: ignore[attr-defined]
    return ast.dump(tree)


def _is_text(line: ast.AST) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and isinstance(line.value.value, str)
