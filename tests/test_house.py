"""The rules of the house that a machine can hold: floors, names, sizes, what the project may speak of, import time."""

import ast
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "videre"
FLOORS = {
    "types": 1, "errors": 1, "options": 1, "record": 1, "losses": 1, "compat": 1,
    "metrics": 2, "video": 2, "models": 2, "train": 2, "jobs": 2,
    "data": 3,
    "subtitles": 2,
    "ask": 4, "evaluate": 4, "score": 4, "report": 4,
    "methods": 5,
    "apps": 6,
}  # fmt: skip
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "helper", "base", "manager", "registry", "misc", "core"}
# Floor 1 is one room of plain values; the files of it may see one another.
NEIGHBOURS = {(a, b) for a in FLOORS for b in FLOORS if FLOORS[a] == FLOORS[b] == 1}


def python_files() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    """The rooms of the house that a file imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = (
                [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "videre" else [node.module]
            )
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("videre.")}
    return found


@pytest.mark.parametrize("path", python_files(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_go_downward_and_rooms_of_one_floor_are_strangers(path):
    own = room(path)
    if own.startswith("__"):
        return
    assert own in FLOORS, f"{own} has no floor: add it to FLOORS here and to ARCHITECTURE.md"
    for other in imported_rooms(path) - {own, "__version__"}:
        assert other in FLOORS, f"{path}: {other} has no floor"
        allowed = FLOORS[other] < FLOORS[own] or (own, other) in NEIGHBOURS
        assert allowed, f"{own} (floor {FLOORS[own]}) imports {other} (floor {FLOORS[other]})"


def test_methods_are_strangers_to_one_another():
    for path in (SOURCE / "methods").rglob("*.py"):
        own = path.relative_to(SOURCE / "methods").parts[0]
        others = re.findall(r"videre\.methods\.(\w+)", path.read_text("utf-8"))
        assert set(others) <= {own}, f"{path} imports another method: {others}"


def test_no_room_for_leftovers():
    names = {part.removesuffix(".py") for path in python_files() for part in path.relative_to(SOURCE).parts}
    assert not names & FORBIDDEN_NAMES


def test_no_bare_except_no_pickle_no_eval():
    for path in python_files():
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            assert not (isinstance(node, ast.ExceptHandler) and node.type is None), f"{path}: bare except"
            if isinstance(node, ast.Import):
                assert not {alias.name for alias in node.names} & {"pickle", "dill", "shelve"}, f"{path}: pickle"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec"}, f"{path}: {node.func.id}"


def test_the_project_speaks_of_itself_alone():
    words = re.compile(r"/work/|farm-studio|farm-bench|/opt/wheels|\.\./\.library|\bCEO\b|before-stop", re.IGNORECASE)
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    for name in listed:
        path = ROOT / name
        if path == Path(__file__) or not path.is_file() or path.suffix in {".mp4", ".safetensors", ".png", ".ttf"}:
            continue
        found = words.search(path.read_text("utf-8", errors="replace"))
        assert not found, f"{name}: {found.group(0) if found else ''}"


def best_seconds(arguments: list[str], repeats: int = 5) -> float:
    """Processor seconds of the fastest of some runs: a clock on the wall would measure what else the machine does."""
    times = []
    for _ in range(repeats):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(times)


@pytest.mark.parametrize("arguments", [["-c", "import videre"], ["-m", "videre", "--help"]], ids=["import", "help"])
def test_starts_in_half_a_second_more_than_python(arguments):
    # The best of five, beside the interpreter's own start, since machines are shared and noisy.
    assert best_seconds(arguments) - best_seconds(["-c", "pass"]) < 0.5


@pytest.mark.parametrize("door", ["videre", "videre.apps.cli"])
def test_heavy_packages_are_not_imported_by_the_front_door(door):
    heavy = "torch transformers av PIL httpx tqdm"
    code = f"import sys, {door}; print([m for m in '{heavy}'.split() if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
