"""A study as a report: one HTML page that opens offline, with its plot and the figures behind it."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from videre.report.markup import Html, number, tag

STYLE = """
:root { color-scheme: light dark; }
body { margin: 32px auto; max-width: 900px; padding: 0 20px; font: 15px/1.55 system-ui, sans-serif; }
img { max-width: 100%; background: #fff; border-radius: 6px; }
div { overflow-x: auto; }
table { border-collapse: collapse; margin: 20px 0; }
th, td { padding: 4px 14px 4px 0; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
tr { border-bottom: 1px solid #8884; }
"""


def page(told: Mapping[str, Any], plot: bytes) -> str:
    """The page of what `videre study` found.

    Args:
        told: its JSON: `study`, and `groups`, `sets` or single figures.
        plot: a PNG.
    """
    title = f"videre study {told['study']}"
    heads, rows = figures(told)
    about = ", ".join(f"{name} {told[name]}" for name in ("model", "frames", "embedder") if _is_plain(told.get(name)))
    body = tag(
        "body",
        tag("h1", title),
        tag("p", about),
        tag("img", src=f"data:image/png;base64,{base64.b64encode(plot).decode()}", alt=f"Plot: {told['study']}"),
        tag("div", tag("table", _row("th", heads), *(_row("td", row) for row in rows))),
        tag("p", "Intervals: 95 %.") if "groups" in told else None,
    )
    head = tag("head", tag("meta", charset="utf-8"), tag("title", title), tag("style", Html(STYLE)))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def figures(told: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """The head and the rows of the table: a group or a set a row, or a figure a row."""
    if groups := told.get("groups"):
        first = next(iter(groups.values()))
        shown = [str(one) for one in told.get("orders") or (f"{n} frame{'s'[: n > 1]}" for n in first["frames"])]
        heads = ["group", "questions", *shown, *(["saturates at"] if "saturation" in first else [])]
        return heads, [_group(name, one) for name, one in groups.items()]
    if sets := told.get("sets"):
        names = list(next(iter(sets.values())))
        return ["set", *names], [[name, *(number(one[key]) for key in names)] for name, one in sets.items()]
    return ["figure", "value"], [[name, number(value)] for name, value in told.items() if isinstance(value, float)]


def _group(name: str, one: Mapping[str, Any]) -> list[str]:
    values = zip(one["percent"], one["low"], one["high"], strict=True)
    shares = [f"{percent:.1f} % [{low:.1f}, {high:.1f}]" for percent, low, high in values]
    at = one.get("saturation")
    return [name, str(one["count"]), *shares, *(["-" if at is None else str(at)] if "saturation" in one else [])]


def _row(kind: str, cells: Sequence[str]) -> Html:
    return tag("tr", *(tag(kind, cell) for cell in cells))


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int)
