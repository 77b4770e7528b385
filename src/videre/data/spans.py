"""Times and boxes of a row, checked before a run: NaN, ends before starts, milliseconds, and boxes in another space."""

from videre.data.fields import LARGEST, Row
from videre.errors import DataError
from videre.types import JSON, Box, Span

SLACK_SECONDS = 1.0
"""How far a span may reach past a video's rounded duration."""

LONG_SECONDS = 36_000.0
"""Without a duration, a time past ten hours is taken for milliseconds."""

_DIVIDE = "divide by 1000, or give the row its duration_seconds if these are seconds"
_CORNERS = "write x0, y0, x1, y1 as shares of the displayed frame, from 0 to 1"


def span(row: Row, pair: JSON, *, duration_seconds: float | None = None, label: str | None = None) -> Span:
    """A span out of a `[start, end]` in seconds.

    Args:
        row: where it stands, for the message.
        pair: two numbers.
        duration_seconds: the video's length, where it is known: an end past it is refused.
        label: what happens in the span.

    Raises:
        DataError: not two finite numbers, the end before the start, past the video, or what looks like milliseconds.
    """
    start, end = finite(row, pair, what="a span", count=2)
    if end < start:
        raise row.wrong(
            f"a span ends before it starts: [{start}, {end}]", fix="swap the two or mend the row", code="span"
        )
    _check_unit(row, start, end, duration_seconds=duration_seconds)
    return Span(start, end, label=label)


def spans(row: Row, name: str, *, duration_seconds: float | None = None) -> tuple[Span, ...]:
    """The spans of a field that holds a list of `[start, end]`."""
    return tuple(span(row, pair, duration_seconds=duration_seconds) for pair in row.items(name))


def published(row: Row, pair: JSON, *, label: str | None = None) -> Span:
    """A span as a benchmark published it: kept to the digit, past the video's end too, where both are finite."""
    start, end = finite(row, pair, what="a span", count=2)
    if end < start:
        raise row.wrong(f"a span ends before it starts: [{start}, {end}]", code="span")
    return Span(start, end, label=label)


def box(row: Row, corners: JSON, *, seconds: float, label: str | None = None) -> Box:
    """A box out of `[x0, y0, x1, y1]` in [0, 1] of the displayed frame, at `seconds`.

    Raises:
        DataError: not four finite numbers, corners in the wrong order, or another space, named where it is known:
            0 to 1000, percent, or pixels.
    """
    x0, y0, x1, y1 = finite(row, corners, what="a box", count=4)
    largest = max(x0, y0, x1, y1)
    if largest > 1.0:
        raise row.wrong(f"a box {_space(x0, y0, x1, y1)}: {[x0, y0, x1, y1]}", fix=_CORNERS, code="box")
    if min(x0, y0, x1, y1) < 0.0:
        raise row.wrong(f"a box lies outside the frame: {[x0, y0, x1, y1]}", fix=_CORNERS, code="box")
    if x1 < x0 or y1 < y0:
        reason = f"a box has its second corner before its first: {[x0, y0, x1, y1]}"
        hint = "write the corners x0, y0, x1, y1, not x, y, width, height"
        raise row.wrong(reason, fix=hint, code="box")
    return Box(seconds, x0, y0, x1, y1, label)


def finite(row: Row, values: JSON, *, what: str, count: int | None = None) -> tuple[float, ...]:
    """The finite numbers of a list; `count` of them, where that is given."""
    if not isinstance(values, list | tuple) or (count is not None and len(values) != count):
        size = "" if count is None else f"{count} "
        raise row.wrong(f"{what} is {values!r}, a list of {size}numbers was expected", code="wrong_type")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise row.wrong(f"{what} holds {value!r}, a number was expected", code="wrong_type")
        if not abs(value) <= LARGEST:
            raise row.wrong(f"{what} holds {value}, a finite number was expected", code="span")
    return tuple(values)


def _check_unit(row: Row, start: float, end: float, *, duration_seconds: float | None) -> None:
    if duration_seconds is None:
        whole = start == int(start) and end == int(end)
        if end > LONG_SECONDS or (whole and end >= 1000 and end - start >= 500):
            raise _milliseconds(row, start, end)
    elif end > duration_seconds + SLACK_SECONDS:
        if end / 1000 <= duration_seconds + SLACK_SECONDS and end > 10 * duration_seconds:
            raise _milliseconds(row, start, end)
        reason = f"the span [{start}, {end}] ends after the video ({duration_seconds} s)"
        raise row.wrong(reason, fix="mend the span or the duration", code="span")


def _milliseconds(row: Row, start: float, end: float) -> DataError:
    return row.wrong(f"the span [{start}, {end}] looks like milliseconds", fix=_DIVIDE, code="milliseconds")


def _space(*corners: float) -> str:
    largest = max(corners)
    if largest > 1000:
        return "looks like pixels"
    whole = all(corner == int(corner) for corner in corners)
    return "looks like 0 to 1000 or pixels" if whole or largest > 100 else "is outside 0 to 1"
