"""videre as a model of lmms-eval: found through its plugin door, run on a task of its own making."""

import importlib.util
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from videre.data import world

ROOT = Path(__file__).parent.parent
needs_lmms = pytest.mark.skipif(
    importlib.util.find_spec("lmms_eval") is None,
    reason="needs lmms-eval, which wants an older PyAV: pip install 'videre[lmms-eval]' in an environment of its own",
)
MODEL = """
from videre.models.fake import FakeMLLM

def make():
    return FakeMLLM(lambda chunks, text: "B" if sum(map(len, chunks)) == 4 and "Reply with the letter" in text else "?")
"""
HOOKS = """
def visual(doc):
    return [doc["path"]]

def text(doc, lmms_eval_specific_kwargs=None):
    rows = [f"{letter}. {option}" for letter, option in zip("ABCD", doc["options"])]
    return "\\n".join([doc["question"], *rows, "Reply with the letter."])

def scored(doc, results):
    return {"right": float(results[0].strip() == "B")}
"""
TASK = """
task: videre_tiny
dataset_path: json
dataset_kwargs:
  data_files: {rows}
test_split: train
output_type: generate_until
doc_to_visual: !function hooks.visual
doc_to_text: !function hooks.text
doc_to_target: answer
process_results: !function hooks.scored
generation_kwargs: {{max_new_tokens: 8, until: ["\\n\\n"]}}
metric_list:
  - metric: right
    aggregation: mean
    higher_is_better: true
"""
RUN = """
import json, sys
from videre.compat import ensure_torchvision
ensure_torchvision()
from lmms_eval.evaluator import simple_evaluate
from lmms_eval.tasks import TaskManager
folder, letters = sys.argv[1:]
found = simple_evaluate(
    model="videre",
    model_args=f"pretrained={folder}/own.py:make,frames=4,letters={letters},evidence={folder}/evidence-{letters}.jsonl",
    tasks=["videre_tiny"], task_manager=TaskManager(include_path=f"{folder}/task", include_defaults=False),
    batch_size=1, device="cpu", bootstrap_iters=0,
)
rows = [row["filtered_resps"] for row in found["samples"]["videre_tiny"]]
print("FOUND", json.dumps([found["results"]["videre_tiny"], rows]))
"""


def test_the_plugin_door_stands_open_and_needs_no_lmms_eval_to_import():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    place = project["entry-points"]["lmms_eval.models"]["videre"]
    module, _, name = place.partition(":")
    assert callable(getattr(importlib.import_module(module), name))
    assert project["optional-dependencies"]["lmms-eval"]


@pytest.fixture(scope="module")
def tiny_task(tmp_path_factory) -> Path:
    """A task of three clips, one of them named .webm, which lmms-eval takes for sound."""
    folder = tmp_path_factory.mktemp("lmms")
    (folder / "task").mkdir()
    rows = []
    for seed, suffix in ((1, "mp4"), (2, "mp4"), (3, "webm")):
        path = world.write(world.make(seed, world.Config(seconds=2.0, size_px=64)), folder / f"{seed}.mp4")
        row = {"path": str(path.rename(path.with_suffix(f".{suffix}"))), "question": f"what is {seed}?"}
        rows.append(row | {"options": ["red", "blue"], "answer": "B"})
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "own.py").write_text(MODEL)
    (folder / "task" / "hooks.py").write_text(HOOKS)
    (folder / "task" / "videre_tiny.yaml").write_text(TASK.format(rows=folder / "rows.jsonl"))
    (folder / "run.py").write_text(RUN)
    return folder


@needs_lmms
@pytest.mark.parametrize("letters", [False, True], ids=["text", "letters"])
def test_a_tiny_task_runs_in_order_with_evidence(tiny_task, letters):
    command = [sys.executable, str(tiny_task / "run.py"), str(tiny_task), str(letters)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("FOUND "))
    results, replies = json.loads(line.removeprefix("FOUND "))
    assert replies == [["B"]] * 3
    assert results["right,none"] == 1.0
    evidence = (tiny_task / f"evidence-{letters}.jsonl").read_text().splitlines()
    assert [json.loads(row)["question"]["text"] for row in evidence] == [f"what is {seed}?" for seed in (1, 2, 3)]
    assert all(len(json.loads(row)["frames"]) == 4 for row in evidence)
