"""MSR-ViR end to end on every clip and question of a folder: parse, ground, answer, trace, report, replay.

    python results/reasoner_corpus.py --clips FOLDER [--limit N] [--out runs/reasoner-corpus]

FOLDER holds `clips.jsonl` (one clip a line: `file`, and `qa` with `question` and `options`) and the files themselves.
All models are tiny and random, of the real classes (CLIP, OWLv2, Qwen3-VL): this shows that every step runs and that
every trace replays to the last bit without a model. It says nothing about answers, and no claim of the paper is tested.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import tiny_clip
import tiny_models
from videre import report
from videre.apps.grounding import selector
from videre.ask import ask
from videre.errors import VidereError
from videre.methods.msr_vir.trace import replay
from videre.models import mllm
from videre.record import Record, dumps, from_row, to_row
from videre.types import Question
from videre.video.open import open_video


def told(clips: Path) -> dict[Path, list[Question]]:
    """The questions of each clip."""
    found: dict[Path, list[Question]] = {}
    for line in (clips / "clips.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        for asked in row["qa"]:
            question = Question(asked["question"], tuple(asked.get("options") or ()))
            found.setdefault(clips / row["file"], []).append(question)
    return found


def one_clip(path: Path, questions: list[Question], model: Any, select: Any, out: Path) -> dict[str, Any]:
    """What came of one clip: how many answers, boxes, failed steps, and traces that replayed to the last bit."""
    records: list[Record] = []
    same = 0
    for asked in questions:
        with open_video(path, isolate=True) as video:
            record = ask(video, asked, model=model, select=select, size_px=128)
            records.append(from_row(json.loads(dumps(to_row(record)))))
            same += not replay(records[-1], video).differences
    report.write(records, out / f"{path.stem}.html")
    with open(out / "traces.jsonl", "a", encoding="utf-8") as file:
        file.writelines(dumps(to_row(record)) + "\n" for record in records)
    steps = [step for record in records for step in record.evidence.steps]
    notes = [step.name for step in steps if step.name.startswith("note:")]
    boxes = sum(len(record.evidence.boxes) for record in records)
    return {"questions": len(questions), "replayed": same, "boxes": boxes, "steps": len(steps), "notes": len(notes)}


def run(clips: Path, out: Path, limit: int | None) -> dict[str, Any]:
    """Every clip, one after the other; a clip that fails is counted and said."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    out.mkdir(parents=True, exist_ok=True)
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        eyes, finds = tiny_clip.build("clip", root / "clip"), tiny_clip.owlv2(root / "owl")
        model = mllm.load(str(tiny_models.build("qwen3_vl", root / "vlm")), device="cpu", answer_tokens=4)
        select = selector(encoder=str(eyes), detector=str(finds), k=2, overview=2)
        for path, questions in list(told(clips).items())[:limit]:
            start = time.perf_counter()
            try:
                rows[path.name] = one_clip(path, questions, model, select, out)
            except VidereError as error:
                rows[path.name] = {"questions": len(questions), "replayed": 0, "error": str(error)}
            rows[path.name]["seconds"] = round(time.perf_counter() - start, 1)
            print(path.name, rows[path.name], flush=True)
    total = {key: sum(row.get(key, 0) for row in rows.values()) for key in ("questions", "replayed", "boxes", "notes")}
    return {"clips": len(rows), **total, "failed": [name for name, row in rows.items() if "error" in row]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--out", type=Path, default=Path("runs/reasoner-corpus"))
    options = parser.parse_args()
    total = run(options.clips, options.out, options.limit)
    print(json.dumps(total))
    return 0 if total["replayed"] == total["questions"] and not total["failed"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
