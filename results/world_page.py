"""The page of the world models, out of what was measured."""

from collections.abc import Sequence
from typing import Any

from videre.data import world
from videre.metrics.interval import wilson

HEAD = """# The models of the world

Made by `make world-models`, then `python results/world_models.py`. Every figure is of held-out seeds (from {first} on),
which no training uses. One training run a model: the intervals are those of the questions, 95 %, not of other runs. The
detector's minutes are by the trainer's clock.

| model | class | MB | trained by | minutes on one core, with its first measuring |
| --- | --- | ---: | --- | ---: |
"""
TITLES = {
    "clip": (
        "CLIP pair",
        "Which of 48 names is meant by a frame of one thing, and whether its colour and its shape are right. One frame "
        "is all it ever sees; blind, one name is said of every frame.",
    ),
    "detector": (
        "Detector",
        'Frames of clips and stories at 192 px: `named`, the best box of "the red circle" overlaps the true one by '
        'half or more; `colour`, the same by "red thing"; `nothing there`, no box of a name that is not shown; '
        "`overlap`, of boxes that are found. Blind: a box in the middle of the frame.",
    ),
    "qformer": (
        "Q-Former model",
        "One frame and a prompt. `caption`, the whole sentence is right, word for word; `ask`, the open reply is, too; "
        "`helps`, the likelier of both verdicts on the frame selector's prompt. Blind: the same "
        "prompts about an empty stage.",
    ),
    "llm": (
        "Text model",
        "`list`, the indices of all frames that are needed and of no other, from captions; `read`, the letter of the "
        "right option, from descriptions; `parse`, the very policy of the lessons, after MSR-ViR's own reader. "
        'Blind: every caption says "nothing"; one frame: all but the first do.',
    ),
    "chain": (
        "Both together",
        "The Q-Former model describes each frame of a story, the text model lists the frames that a question needs: "
        "right is all of these and no other.",
    ),
    "builtin": (
        "The built-in model on stories",
        "It has never been shown a story; its own kinds of question are in [builtin.md](builtin.md). Stories of seven "
        "events in 42 s as H.264, 16 even frames; shuffled, one random frame, or an empty stage beside it.",
    ),
    "helps": (
        "Does this frame help?",
        "How often a frame of the evidence scores above another frame, for the same kind of question (area under the "
        "curve, chance 0.5): log-odds of True on the frame selector's prompt. "
        "Blind: the Q-Former model on an empty stage. TN and TP are never asked in its training.",
    ),
}
SHARES = ("right", "chance", "Q-Former", "built-in", "one frame", "shuffled", "blind")


TAIL = """## What this shows

- **The detector carries names and places**: what it misses is a percent. It has seen this world's shapes only.
- **The Q-Former model is half right**: captions and shapes need more training than its six minutes, presence is at
  chance. What it does carry is whether a frame helps. For "right after" and "right before", which it was never asked
  about in training, it ranks frames at 0.74 and 0.72 (30 questions each), the built-in model at 0.61 and 0.51.
- **The built-in model is at chance on stories**. Where its interval leaves chance out (TP above, TC below), shuffled
  frames give nearly the same: it knows clips, and no event with a cause.
- One run a model, few questions a kind, no other seeds of training.
{missing}"""
MISSING = "- **Not made in this run, so not measured here: {names}.**\n"
NAMES = {"clip": "the CLIP pair", "detector": "the detector", "qformer": "the Q-Former model", "llm": "the text model"}


def page(whole: dict[str, Any]) -> str:
    """The page in Markdown."""
    form = "| {name} | `{class}` | {megabytes:.1f} | `python {recipe}` | {minutes:.1f} |"
    rows = [form.format(**m, megabytes=m["bytes"] / 1e6, minutes=m["cpu_seconds"] / 60) for m in whole["models"]]
    parts = [_part(name, told) for name, told in whole["parts"].items()]
    absent = [name for key, name in NAMES.items() if key not in {m["name"] for m in whole["models"]}]
    missing = MISSING.format(names=", ".join(absent)) if absent else ""
    head = HEAD.format(first=world.HELD_OUT_SEED) + "\n".join(rows) + "\n"
    return "\n".join([head, *parts, TAIL.format(missing=missing)])


def _part(name: str, told: dict[str, Any]) -> str:
    title, words = TITLES[name]
    rows = told["rows"]
    columns = [s for s in SHARES if any(s in row for row in rows)]
    has_interval = "right" in columns and name != "detector"
    heads = ["kind", "count", *columns, *(["95 % interval"] if has_interval else [])]
    lines = [f"| {' | '.join(heads)} |", "| --- |" + " ---: |" * (len(heads) - 1)]
    lines += [_line(row, columns, has_interval=has_interval) for row in rows]
    cost = f"At commit {told['commit']}."
    return f"## {title}\n\n{words} {cost}\n\n" + "\n".join(lines) + "\n"


def _line(row: dict[str, Any], columns: Sequence[str], *, has_interval: bool) -> str:
    cells = [row["kind"], str(row["count"]), *(_share(row.get(name)) for name in columns)]
    if has_interval:
        low, high = wilson(round(row["right"] * row["count"]), row["count"])
        cells.append(f"{low:.2f} to {high:.2f}")
    return f"| {' | '.join(cells)} |"


def _share(value: float | None) -> str:
    return "" if value is None or value != value else f"{value:.3f}"
