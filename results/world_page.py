"""The page of the world models, out of what was measured."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from videre.data import world
from videre.metrics.interval import wilson

HEAD = """# The models of the world

Made by `make world-models`, then `python results/world_models.py`. Every figure is of held-out seeds (from {first} on),
which no training uses. One training run a model: the intervals are those of the questions, 95 %, not of other runs.
All four were made by one `make world-models` from nothing, one after another, in 26 minutes by the clock on one shared
core, each model's first measuring included (the aim was two hours on two); on a GPU not tried. Two were made anew
afterwards by the same command: the Q-Former model when the built-in model, whose eye it has, got other weights, and the
text model when its lessons changed. These are measured here. (The built-in model knows stories since; its eye is the
same.) The minutes below add up to {minutes:.0f}.

| model | class | MB | trained by | minutes by the clock | of processor time |
| --- | --- | ---: | --- | ---: | ---: |
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
        "Its vision tower is the built-in model's. One frame and a prompt. `caption`, the whole sentence is right, "
        "word for word; `ask`, the open reply is, too; "
        "`helps`, the likelier of both verdicts on the frame selector's prompt. Blind: the same "
        "prompts about an empty stage.",
    ),
    "llm": (
        "Text model",
        "`list`, the indices of all frames that are needed and of no other, from captions; `read`, the letter of the "
        "right option, from descriptions; `parse`, the very policy of the lessons, after MSR-ViR's own reader. "
        'Blind: every caption says "nothing"; one frame: all but the first do; shuffled: captions stand beside each '
        "other's times. Stories have four events in 20 s; in TN and TP of readings each thing acts alone, and who only "
        "knows which things there are is left with three of five options.",
    ),
    "chain": (
        "Both together",
        "The first lists and readings of the text model once more, with captions that the Q-Former model writes of the "
        "frames: what both reach from pixels.",
    ),
    "builtin": (
        "The built-in model on stories",
        "Of clips, see [builtin.md](builtin.md). Stories of seven events in 42 s as H.264, 16 even frames; shuffled, "
        "one random frame, or an empty stage beside it. `shown`: the share of questions whose things these frames show "
        "at all, in the colours that they are called by.",
    ),
    "helps": (
        "Does this frame help?",
        "How often a frame of the evidence scores above another frame, for the same kind of question (area under the "
        "curve, chance 0.5): log-odds of True on the frame selector's prompt. "
        "Blind: the Q-Former model on an empty stage. TN and TP are never asked in its training.",
    ),
}
SHARES = ("right", "chance", "shown", "Q-Former", "built-in", "true captions", "one frame", "shuffled", "blind")


BUILTIN = Path(__file__).with_name("builtin.json")
ORDER_KINDS = ("TN", "TP", "Sequence")
CARRIED = (
    ("before and after, first and last, in a clip", "the built-in model", "clips", ("order", "first", "last"), ""),
    ("direction in a clip", "the built-in model", "clips", ("direction",), ""),
    ("names, colours and places", "the detector", "detector", ("named", "colour"), ""),
    ("does this frame help?", "the Q-Former model", "helps", ("all",), ""),
    ("the same for right after and right before", "the Q-Former model", "helps", ("TN", "TP"),
     "it was never asked these in training"),
    ("what a frame shows, in words", "the Q-Former model", "qformer", ("caption caption",), ""),
    ("what to look for, when and where (parser)", "the text model", "llm", ("parse, all",), ""),
    ("which frames are needed, from captions", "the text model", "llm", ("list, all",), ""),
    ("which option is right, from descriptions", "the text model", "llm", ("read, all",), ""),
    ("lists and options from pixels", "the Q-Former and the text model together", "chain", ("list, all", "read, all"),
     ""),
    ("the frames of before and after in a story, from pixels", "the Q-Former and the text model together", "chain",
     ("list TN", "list TP"), ""),
    ("what is right before and after in a story of four events, from pixels",
     "the Q-Former and the text model together", "chain", ("read TN", "read TP"), ""),
    ("before and after in a story of seven events, from pixels, one model", "the built-in model", "builtin",
     ORDER_KINDS, "sixteen frames of 42 s miss a thing of some questions"),
    ("why, meanwhile and what can be touched, in a story, one model", "the built-in model", "builtin",
     ("CW", "TC", "Feasibility"), "the same"),
    ("how and where a thing acts, in a story, one model", "the built-in model", "builtin", ("CH", "DL", "Interaction"),
     "few lessons; it is taught to look for things, not for what happens with them"),
)  # fmt: skip
"""A kind of question, who carries it best, its part and rows, and what limits it where that is not enough."""
ENOUGH = 0.8

TAIL = """## Who carries what

A share of right answers, and for "does this frame help?" the area. Enough is {enough:.1f}.

| question | best carried by | reaches | what limits it |
| --- | --- | ---: | --- |
{carried}

## What this shows

- **Order and direction in clips, names and places, whether a frame helps, and the parser's prompt are carried**, by one
  model or another. Claims that rest on these can be tried on this world.
- **What a frame shows is told in words** by the Q-Former model since its eye is the built-in model's; it was right in
  half of the captions when it learned a tower of its own. Whether a named thing is there it still tells hardly better
  than chance, and the CLIP pair tells 7 of 10 shapes.
- **The text model looks up**: it was started with heads that match a name and a line (`recipes/world_circuit.py`).
  Without these it was right in 0.307 of the lists and in 0.213 of the readings, which is no better than without
  captions. With them, but with every word of a batch weighed alike, in 0.747 and 0.387 (800 steps). Three changes, not
  tried one by one: each reply weighs alike; it says first what to look for and at which second ("After red star: 13;
  17: blue ring. E"); tenths of a second are no numbers to look up. And 1400 steps for 800. A question that names a
  thing by a colour that no caption shows is no longer asked, which leaves out a few readings (TC).
- **Before and after in stories of seven events is carried from pixels by one model, the built-in model**, since stages
  8 to 11 of its recipe teach it stories: right after, right before, and the same within a part; with shuffled frames it
  guesses. Why, meanwhile, what can be touched and which way it goes on are told, too. **How often a thing blinks, from
  which side it touches, where it blinks and what happens with it are not**: at chance. The first cannot be seen in
  frames 2.6 s apart; the others had few lessons, and its looks are taught for things, not for what happens with them.
  Of "which colour does it turn" every sixth question is about a thing that these frames do not show.
- **From pixels, the Q-Former and the text model together answer them, too**, one writing what each frame shows and the
  other looking it up: in stories of four events in 20 s, as it was taught. Tried once with true captions, it was right
  in 43 of 60 readings of five events and in 30 of 60 of seven: longer stories need lessons of their own.
- **Another training gives other figures:** with the eye of the earlier built-in weights the Q-Former model was right in
  0.900 of the captions (colours 0.905, shapes 0.808, presence 0.571), "does this frame help?" 0.894.
- **How it was learned**: earlier trials, of up to 14 minutes, stayed at guessing. Now heads that clips do not need are
  told where to look, and start with queries, keys and values that are linear readings of the layers below
  (`recipes/builtin_looks.py`, `builtin_start.py`); what each part gained stands in docs/log.md.
- One training seed a model, few questions a kind: the intervals say nothing of another run.
{missing}"""
MISSING = "- **Not made in this run, so not measured here: {names}.**\n"
NAMES = {"clip": "the CLIP pair", "detector": "the detector", "qformer": "the Q-Former model", "llm": "the text model",
         "chain": "the Q-Former and the text model together"}  # fmt: skip


def page(whole: dict[str, Any]) -> str:
    """The page in Markdown."""
    form = "| {name} | `{class}` | {megabytes:.1f} | `python {recipe}` | {clock:.1f} | {busy:.1f} |"
    rows = [
        form.format(**m, megabytes=m["bytes"] / 1e6, clock=m["seconds"] / 60, busy=m["cpu_seconds"] / 60)
        for m in whole["models"]
    ]
    parts = [_part(name, told) for name, told in whole["parts"].items()]
    minutes = sum(m["seconds"] for m in whole["models"]) / 60
    made = {m["name"] for m in whole["models"]} | whole["parts"].keys()
    absent = [name for key, name in NAMES.items() if key not in made]
    missing = MISSING.format(names=", ".join(absent)) if absent else ""
    head = HEAD.format(first=world.HELD_OUT_SEED, minutes=minutes) + "\n".join(rows) + "\n"
    clips = {"clips": {"rows": json.loads(BUILTIN.read_text("utf-8"))["rows"]}}
    tail = TAIL.format(missing=missing, enough=ENOUGH, carried="\n".join(carried(whole["parts"] | clips)))
    return "\n".join([head, *parts, tail])


def carried(parts: dict[str, Any]) -> Iterator[str]:
    """A row for each question whose part is measured."""
    for question, model, part, kinds, limit in CARRIED:
        found = {row["kind"]: row.get("right", row.get("Q-Former")) for row in parts.get(part, {}).get("rows", ())}
        values = sorted(found[kind] for kind in kinds if kind in found)
        if not values:
            continue
        reach = f"{values[0]:.3f}" + (f" to {values[-1]:.3f}" if len(values) > 1 else "")
        yield f"| {question} | {model} | {reach} | {'' if values[0] >= ENOUGH else limit or 'not known'} |"


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
