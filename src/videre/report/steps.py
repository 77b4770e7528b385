"""The way to the answer in words: every step with what went in, what came out and how long it took; the run card."""

from collections.abc import Mapping, Sequence

from videre.report.markup import Html, milliseconds, number, tag
from videre.types import JSON, Step

LONG_TEXT = 400
LONG_ITEM = 40
MANY_ITEMS = 12
DEEPEST = 6


def steps_panel(steps: Sequence[Step]) -> Html:
    """The steps in order; one that failed is marked and says why."""
    return tag("ol", *(tag("li", *_step(step), class_=_state(step)) for step in steps), class_="steps")


def failure(step: Step) -> str | None:
    """Why a step failed, None where it did not: its output says so by `error`, or by `ok` or `valid` being false."""
    output = step.output if isinstance(step.output, Mapping) else {}
    if output.get("error"):
        return str(output["error"])
    return "failed" if output.get("ok") is False or output.get("valid") is False else None


def run_card(run: Mapping[str, JSON], video: Mapping[str, JSON]) -> Html:
    """What it takes to get this answer again: versions, model, frames, seed; and the facts of the video."""
    return tag("div", tag("h4", "Run"), tree(run), tag("h4", "Video"), tree(video), class_="card")


def tree(value: JSON, *, depth: int = 0) -> Html:
    """Any JSON value as words: nested lists of names and values, long ones folded."""
    if isinstance(value, Mapping):
        return _mapping(value, depth) if value else tag("span", "nothing", class_="none")
    if isinstance(value, list | tuple):
        return _list(value, depth) if value else tag("span", "none", class_="none")
    return _plain(value)


def _state(step: Step) -> str | None:
    return "failed" if failure(step) else None


def _step(step: Step) -> list[Html]:
    why = failure(step)
    mark = tag("strong", "failed", class_="why", title=why) if why else None
    took = tag("span", milliseconds(step.milliseconds), class_="took") if step.milliseconds else None
    head = tag("div", tag("span", step.name, class_="name", dir="auto"), mark, took, class_="head")
    went_in = _side("in", step.inputs) if step.inputs else None
    return [head, tag("dl", went_in, _side("out", step.output), class_="sides")]


def _side(name: str, value: JSON) -> Html:
    return tag("div", tag("dt", name), tag("dd", tree(value)))


def _mapping(value: Mapping[str, JSON], depth: int) -> Html:
    if depth >= DEEPEST:
        return _fold(f"{len(value)} entries", _plain(str(dict(value))))
    rows = [tag("div", tag("dt", _words(key)), tag("dd", tree(item, depth=depth + 1))) for key, item in value.items()]
    return tag("dl", *rows, class_="tree")


def _list(value: Sequence[JSON], depth: int) -> Html:
    if depth >= DEEPEST:
        return _fold(f"{len(value)} items", _plain(str(list(value))))
    if all(not isinstance(item, Mapping | list | tuple) and len(_text(item)) <= LONG_ITEM for item in value):
        shown = tag("span", ", ".join(_text(item) for item in value), dir="auto")
    else:
        shown = tag("ul", *(tag("li", tree(item, depth=depth + 1)) for item in value), class_="tree")
    return _fold(f"{len(value)} items", shown) if len(value) > MANY_ITEMS else shown


def _plain(value: JSON) -> Html:
    text = _text(value)
    shown = tag("span", text, dir="auto")
    return _fold(text[:80] + " …", shown) if len(text) > LONG_TEXT else shown


def _text(value: JSON) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value) if abs(value) < 1 else f"{value:.10g}"
    return "not known" if value is None else str(value)


def _words(key: str) -> str:
    return str(key).replace("_", " ")


def _fold(summary: str, content: Html) -> Html:
    return tag("details", tag("summary", summary), content, class_="fold")
