"""The buttons under the player: drawn as small pictures, named in words, so that no font is needed."""

from videre.report.markup import Html, clock, tag

_ICONS = {
    "play": "M7 5L19 12L7 19Z",
    "back": "M15 6L9 12L15 18",
    "forward": "M9 6L15 12L9 18",
    "previous": "M18 6L11 12L18 18ZM7 6V18",
    "next": "M6 6L13 12L6 18ZM17 6V18",
    "mute": "M4 10V14H8L13 18V6L8 10ZM16 9Q18 12 16 15M18.5 7Q22 12 18.5 17",
    "full": "M5 9V5H9M15 5H19V9M19 15V19H15M9 19H5V15",
}


def controls() -> Html:
    """The row of buttons with the time and the speed; the page's script gives them their work."""
    steps = [
        button("play", "Play or pause (space)"),
        button("back", "One frame back (left arrow)"),
        button("forward", "One frame on (right arrow)"),
        button("previous", "Previous evidence (p)"),
        button("next", "Next evidence (n)"),
    ]
    time = tag("output", clock(0), class_="now", aria_label="Time", aria_live="off")
    rate = tag("button", "1×", type="button", data_do="rate", aria_label="Speed 1×", title="Speed")
    rest = [rate, button("mute", "Mute", aria_pressed="false"), button("full", "Full screen")]
    row = [*steps, time, tag("span", class_="gap"), *rest]
    return tag("div", *row, class_="controls", role="group", aria_label="Player")


def button(do: str, words: str, **attributes: object) -> Html:
    """A button with a picture; its name is for screen readers and for the pointer that rests on it."""
    icon = tag("svg", tag("path", d=_ICONS[do]), viewBox="0 0 24 24", aria_hidden="true", focusable="false")
    named = {"aria_label": words, "title": words}
    return tag("button", icon, type="button", data_do=do, class_=f"icon {do}", **named, **attributes)
