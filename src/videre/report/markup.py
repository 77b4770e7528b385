"""HTML from values, escaped by construction: a string becomes text, only `Html` is markup.

Names of files, questions, answers and steps come from strangers. Nobody has to remember to escape them here: `tag`
escapes every child and every attribute that is not `Html`, and shows control and bidi-override characters as signs.
"""

import html
import json
import re
from collections.abc import Iterable

from videre.types import JSON

_HIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
BAR = {"viewBox": "0 0 100 4", "preserveAspectRatio": "none"}
"""The frame of a small bar: draw a `rect` of up to 100 by 4 into it."""

_VOID = {"img", "meta", "link", "input", "br"}


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def visible(text: str) -> str:
    r"""The text with control, bidi-override and undecodable characters written as `\x1b`, so that none takes effect."""
    return _HIDDEN.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode(), text)


def escape(value: object) -> Html:
    """Markup that shows a value; `Html` stays as it is, None is nothing."""
    if isinstance(value, Html):
        return value
    return Html("" if value is None else html.escape(visible(str(value))))


def join(children: Iterable[object]) -> Html:
    """Markup of several values, one after the other."""
    return Html("".join(escape(child) for child in children))


def tag(name: str, *children: object, **attributes: object) -> Html:
    """An element. `class_` is `class`, `data_seek` is `data-seek`; None and False leave an attribute out.

    >>> tag("b", "<i>", class_="x")
    '<b class="x">&lt;i&gt;</b>'
    """
    opening = name + "".join(_attribute(key, value) for key, value in attributes.items())
    return Html(f"<{opening}>" if name in _VOID else f"<{opening}>{join(children)}</{name}>")


def data_script(value: JSON, *, id: str) -> Html:
    """Data for the page's own script: JSON in which no `<`, `>` or `&` is left to be read as markup."""
    text = json.dumps(value, allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Html(f'<script type="application/json" id="{id}">{text}</script>')


def clock(seconds: float, *, digits: int = 2) -> str:
    """A time as people read it: `01:05.20`, with hours where there are any.

    >>> clock(59.999), clock(3661, digits=0)
    ('01:00.00', '1:01:01')
    """
    scale = 10**digits
    whole, part = divmod(round(abs(seconds) * scale), scale)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    text = (f"{hours}:" if hours else "") + f"{minute:02d}:{second:02d}" + (f".{part:0{digits}d}" if digits else "")
    return f"-{text}" if seconds < 0 and (whole or part) else text


def between(start_seconds: float, end_seconds: float) -> str:
    """A stretch of time as people read it: `00:12–00:17`, with tenths where there are any."""
    digits = 0 if all(abs(t - round(t)) < 0.05 for t in (start_seconds, end_seconds)) else 1
    first, last = clock(start_seconds, digits=digits), clock(end_seconds, digits=digits)
    return first if first == last else f"{first}–{last}"


def number(value: float) -> str:
    """A number in at most three significant places, without a tail of zeros."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def milliseconds(value: float) -> str:
    """A duration as people read it: `840 ms`, `12.5 s`."""
    return f"{value / 1000:.1f} s" if value >= 10_000 else f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"


def _attribute(key: str, value: object) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(value)}"'
