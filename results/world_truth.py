"""Is the truth of stories true? A tracker that sees decoded pixels only is asked; and a long video is written flat.

    python results/world_truth.py [--stories 500] [--hours 12]     (writes world_truth.md and world_truth.json)

The tracker is the one of tests/test_world_story.py: it finds colours in pixels and knows nothing of the story. Stories
that were tracked once are kept in runs/world-truth, so that a run that ends early goes on.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from test_world_story import disagreements  # noqa: E402
from videre.data import world  # noqa: E402
from videre.metrics.interval import wilson  # noqa: E402

FIRST_SEED = 1000
CONFIG = world.StoryConfig(size_px=96)
KEPT = HERE.parent / "runs" / "world-truth" / "stories.jsonl"
LONG = """
import sys, av
from videre.data import world
hours, path = float(sys.argv[1]), sys.argv[2]
rests = int(100 * hours) - 8
config = world.StoryConfig(seconds=hours * 3600, events=8, distractors=rests, act_seconds=25.0, fps=1, size_px=64)
world.write(world.tell(1, config), path)
with av.open(path) as container:
    frames = sum(1 for _ in container.decode(video=0))
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(frames, int(peak) // 1024)
"""


def tracked(stories: int) -> list[dict[str, Any]]:
    """A row a story: its seed, and where the tracker disagrees with the truth."""
    rows = [json.loads(line) for line in KEPT.read_text("utf-8").splitlines()] if KEPT.is_file() else []
    known = {row["seed"] for row in rows}
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, KEPT.open("a", encoding="utf-8") as file:
        for seed in sorted(set(range(FIRST_SEED, FIRST_SEED + stories)) - known):
            rows.append({"seed": seed, "wrong": disagreements(world.tell(seed, CONFIG), Path(folder) / "story.mp4")})
            file.write(json.dumps(rows[-1]) + "\n")
            file.flush()
    return [row for row in rows if row["seed"] < FIRST_SEED + stories]


def long(hours: float) -> dict[str, Any]:
    """Writes a long story and decodes it again in a process of its own: its frames, seconds, and highest memory."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        line = [sys.executable, "-c", LONG, str(hours), str(Path(folder) / "long.mp4")]
        out = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    frames, peak_mib = map(int, out.split())
    return {"hours": hours, "frames": frames, "peak_mib": peak_mib, "seconds": round(time.perf_counter() - started, 1)}


PAGE = """# Is the truth of stories true?

Made by `python results/world_truth.py --stories {count} --hours {hours:g}`. A tracker that sees decoded pixels only
agrees on the number of acts, their spans (1.5 frames), kind, who acted on whom, how often, and the middle of every
piece (0.03 of the side) in **{agreed} of {count}** stories ({low:.3f} to {high:.3f}; seeds from {first}, 96 px, four
acts each). Where they differ:

{differences}

A long video, 64 px at 1 fps, written and decoded again in a process of its own:

| hours | frames | seconds | highest memory, MiB |
| ---: | ---: | ---: | ---: |
{videos}
"""


def page(rows: list[dict[str, Any]], videos: list[dict[str, Any]]) -> str:
    """Both as a page."""
    agreed = sum(not row["wrong"] for row in rows)
    low, high = wilson(agreed, len(rows))
    told = {"count": len(rows), "hours": videos[-1]["hours"], "agreed": agreed, "low": low, "high": high}
    differences = "\n".join(f"- {row['seed']}: {'; '.join(row['wrong'])}" for row in rows if row["wrong"])
    lines = [f"| {v['hours']:g} | {v['frames']} | {v['seconds']} | {v['peak_mib']} |" for v in videos]
    return PAGE.format(**told, first=FIRST_SEED, differences=differences, videos="\n".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--stories", type=int, default=500)
    parser.add_argument("--hours", type=float, default=12.0)
    given = parser.parse_args()
    rows, videos = tracked(given.stories), [long(hours) for hours in (0.5, given.hours)]
    (HERE / "world_truth.md").write_text(page(rows, videos), "utf-8")
    (HERE / "world_truth.json").write_text(json.dumps({"stories": rows, "videos": videos}, indent=1) + "\n", "utf-8")
    print(page(rows, videos))


if __name__ == "__main__":
    main()
