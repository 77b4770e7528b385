"""The path of a policy as a tree in words: what was looked for, when it was found, what failed, what was done then."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from videre.report.markup import Html, between, tag
from videre.types import JSON, Step


@dataclass
class Branch:
    """One place of the tree: its own steps, and the branches below it by name."""

    steps: list[Step] = field(default_factory=list)
    below: dict[str, "Branch"] = field(default_factory=dict)


def path_panel(steps: Sequence[Step]) -> Html | None:
    """Steps whose inputs name a `path`, such as `temporal.of`, as nested lists; None where none does."""
    root = Branch()
    for step in steps:
        place = step.inputs.get("path")
        if isinstance(place, str) and place:
            branch = root
            for name in place.split("."):
                branch = branch.below.setdefault(name, Branch())
            branch.steps.append(step)
    return _list(root.below) if root.below else None


def trail(steps: Sequence[Step]) -> list[tuple[str, float, float]]:
    """Words, start and end in seconds of every step of the path that led to a span."""
    found = []
    for step in steps:
        span = span_of(step)
        if span and step.inputs.get("path"):
            found.append((words_of(step), *span))
    return found


def span_of(step: Step) -> tuple[float, float] | None:
    """The span that a step led to, in seconds; None where it led to none."""
    span: JSON = step.output.get("span") if isinstance(step.output, Mapping) else None
    is_pair = isinstance(span, list | tuple) and len(span) == 2 and all(isinstance(t, int | float) for t in span)
    return (float(span[0]), float(span[1])) if is_pair else None


def words_of(step: Step) -> str:
    """What a step looked for, else its name."""
    return str(step.inputs.get("words") or step.name)


def _list(branches: Mapping[str, Branch]) -> Html:
    return tag("ul", *(tag("li", *_branch(name, branch)) for name, branch in branches.items()), class_="tree path")


def _branch(name: str, branch: Branch) -> list[Html]:
    told = [line for step in branch.steps for line in _lines(step)]
    head = told or [tag("span", name.replace("_", " "), dir="auto")]
    return [*head, *([_list(branch.below)] if branch.below else [])]


def _lines(step: Step) -> list[Html]:
    output = step.output if isinstance(step.output, Mapping) else {}
    if step.name.startswith("note:"):
        what = str(output.get("error") or output.get("warning") or "note").replace("_", " ").lower()
        instead = f": {output['instead']}" if output.get("instead") else ""
        return [tag("div", tag("strong", what, class_="why"), instead, class_="note", dir="auto")]
    span = span_of(step)
    when = tag("b", between(*span)) if span else None
    where = f"in {output['frames']} frames" if isinstance(output.get("frames"), int) else _seen(output)
    lost = tag("strong", str(output["error"]), class_="why") if output.get("error") else None
    return [tag("div", words_of(step), " → " if when or where or lost else "", when or lost or where, dir="auto")]


def _seen(output: Mapping[str, JSON]) -> str:
    boxes = output.get("boxes")
    return f"in {sum(map(bool, boxes))} of {len(boxes)} frames" if isinstance(boxes, list) else ""
