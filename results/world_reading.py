"""The text model of the world on the lessons that it was never given, beside the same with captions taken away."""

import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import world_llm

BATCH, MOST_TOKENS = 50, 96


def rows(model: Any, each: int) -> list[dict[str, Any]]:
    """A row for each prompt and kind, and one for all kinds of a prompt, from `each` held-out lessons a prompt."""
    by_kind: dict[str, list[Any]] = defaultdict(list)
    for one in world_llm.held_out(each):
        by_kind[f"{one.task}, all"].append(one)
        by_kind[f"{one.task} {one.kind}"].append(one)
    marks = {name: dict(_marked(model, by_kind, seen)) for name, seen in VIEWS.items()}
    return [_row(kind, lessons, marks) for kind, lessons in sorted(by_kind.items())]


def _marked(model: Any, by_kind: dict[str, list[Any]], seen: Callable[[str], str]) -> Iterator[tuple[int, bool]]:
    tasks = [kind for kind in by_kind if kind.endswith(", all") and (seen is str or kind != "parse, all")]
    lessons = [one for kind in tasks for one in by_kind[kind]]
    said = replies(model, [seen(one.prompt) for one in lessons])
    yield from ((id(one), world_llm.is_right(one, reply)) for one, reply in zip(lessons, said, strict=True))


def _row(kind: str, lessons: Sequence[Any], marks: dict[str, dict[int, bool]]) -> dict[str, Any]:
    chance = float(np.mean([1 / one.options if one.options else 0.0 for one in lessons]))
    row: dict[str, Any] = {"kind": kind, "count": len(lessons), "chance": chance}
    names = ("right",) if lessons[0].task == "parse" else VIEWS
    return row | {name: float(np.mean([marks[name][id(one)] for one in lessons])) for name in names}


def replies(model: Any, prompts: Iterable[str]) -> list[str]:
    """What a text model says to each prompt, many at a time; the same as one by one, up to rounding."""
    queue, said = list(prompts), []
    for first in range(0, len(queue), BATCH):
        given = model.tokenizer(queue[first : first + BATCH], return_tensors="pt", padding=True, padding_side="left")
        out = model.network.generate(**given, do_sample=False, max_new_tokens=MOST_TOKENS)
        said += model.tokenizer.batch_decode(out[:, given["input_ids"].shape[1] :], skip_special_tokens=True)
    return said


def hidden(prompt: str, keep: int) -> str:
    """A prompt whose captions but the first `keep` that show something say "nothing"."""
    lines, left = [], keep
    for line in prompt.split("\n"):
        head, mark, shown = line.partition(": ")
        if mark and head[:1].isdigit() and shown != "nothing":
            line, left = (line, left - 1) if left else (f"{head}: nothing", 0)
        lines.append(line)
    return "\n".join(lines)


def shuffled(prompt: str) -> str:
    """A prompt whose captions stand beside each other's times, in an order that the prompt itself decides.

    >>> shuffled("0: a red star\\n1: nothing") in ("0: a red star\\n1: nothing", "0: nothing\\n1: a red star")
    True
    """
    lines = [line.partition(": ") for line in prompt.split("\n")]
    told = [i for i, (head, mark, _) in enumerate(lines) if mark and head[:1].isdigit()]
    order = np.random.default_rng(zlib.crc32(prompt.encode())).permutation(told)
    said = dict(zip(told, (lines[i][2] for i in order), strict=True))
    return "\n".join(f"{head}{mark}{said.get(i, shown)}" for i, (head, mark, shown) in enumerate(lines))


VIEWS: dict[str, Callable[[str], str]] = {
    "right": str,
    "shuffled": shuffled,
    "blind": lambda prompt: hidden(prompt, 0),
    "one frame": lambda prompt: hidden(prompt, 1),
}
