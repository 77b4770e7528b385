"""Moments and ranges in a text, as shares of the clip: 0.25, 25 %, 5 s, 00:05, "4 to 10 seconds", "the whole video".

Differs: the official code reads ranges with a trained tagger that finds 144 of 831 ranges of two decimals; here forms
are read by rule, both bounds included.
"""

import itertools
import re
from dataclasses import dataclass

from videre.methods.video_star.label import Label, Profile, Verdict, abstain, accept, reject
from videre.methods.video_star.numerals import CONCLUDES, EPSILON, in_digits
from videre.types import Span

_NUMBER = r"(?<![\w.])(?P<sign>(?<![%)\]°])[-−](?=[\d.]))?(?P<n>\d+(?:\.\d+)?|\.\d+)(?![\d:])"
_UNIT = r"\s*(?P<unit>%|percent\b|per cent\b|hours?\b|hrs?\b|h\b|minutes?\b|mins?\b|m\b|seconds?\b|secs?\b|s\b)?"
_TOKEN = re.compile(
    r"(?<![\w.:])(?P<clock>(?:\d{1,2}:)?\d{1,3}:\d{2}(?:\.\d+)?)(?![\w:])|" + _NUMBER + _UNIT, re.IGNORECASE
)
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_TO = r"\s*(?:-|–|—|to|until|till|through|and)\s*(?:about |around |approximately |roughly |at )?(?:second |the )?"
_START = re.compile(r"(?:start|begin|commenc|onset|from\b)[^.\d]*$", re.IGNORECASE)
_END = re.compile(r"(?:\bend|finish|conclud|stop|until\b|till\b)[^.\d]*$", re.IGNORECASE)
_LASTS = re.compile(r"(?:last|duration|continu|\bfor\b)[^.\d]*$", re.IGNORECASE)
_TOTAL = re.compile(r"(?:out of|of the|of|/)\s*$", re.IGNORECASE)
_EDGES = (
    (re.compile(r"(?i)(?<=\d)\s*\.{2,3}\s*(?=[\d.])"), " - "),
    (re.compile(r"(?i)\b(from|since) (?:the )?(?:very )?(?:start|beginning)\b(?: of the (?:video|clip))?"), r"\1 0%"),
    (re.compile(r"(?i)\b(until|till|to) the (?:very )?end\b(?! (?:of|time)\b)(?: of the (?:video|clip))?"), r"\1 100%"),
    (re.compile(r"(?i)\b(until|till|to) the (?:(?:very )?end of the (?:video|clip)|(?:video|clip) (?:ends|is over))\b"),
     r"\1 100%"),
    (re.compile(r"(?i)\b((?:starts|begins|started|began) )(?:right )?(?:at|with|from) (?:the )?(?:very )?"
                r"(?:start|beginning)\b(?: of the (?:video|clip))?"), r"\1at 0%"),
    (re.compile(r"(?i)\b((?:ends|stops|finishes|ended|stopped) )(?:right )?(?:at|with) (?:the )?(?:very )?end\b"
                r"(?: of the (?:video|clip))?"), r"\1at 100%"),
    (re.compile(r"(?i)\bout of [\[(][\d.,\s]+[\])]"), ""),
    (re.compile(r"(?i)\b(?:during|within|in|over|for) the first (?=\d)"), "from 0% to "),
)  # fmt: skip
"""Bounds in words -> in numbers: "from the start to 0.5", "until the end", "within the first 10 seconds"."""
_VAGUE = re.compile(r"\b(?:first|second|last|final|latter) (?:half|third|quarter|part)\b|"
                    r"\b(?:near|towards?|at|in|around|after|before|past)\s+the\s+(?:very\s+)?(?:\w+\s+)?"
                    r"(?:start|beginning|middle|end|half)\b|"
                    r"\b(?:early|late|midway|halfway)\b", re.IGNORECASE)  # fmt: skip
_WHOLE = re.compile(r"\b(?:throughout|(?:whole|entire|full)(?: \w+)? (?:video|clip|duration|length)|from (?:the )?"
                    r"(?:start|beginning) to (?:the )?(?:end|finish)|all the time|(?:whole|entire) time)\b",
                    re.IGNORECASE)  # fmt: skip
_NOT = re.compile(r"(?:\bnot\b|n't|\brather than|\binstead of|\bnever)\s+(?:\w+\s+){0,2}$", re.IGNORECASE)
_DENIED = re.compile(r"(?:\bnot\b|n't\b|\bnever\b)[^.;]*$", re.IGNORECASE)
_OR = re.compile(r"^[^.\d]{0,12}\bor\b[^.\d]{0,12}$", re.IGNORECASE)


@dataclass(frozen=True)
class Moment:
    """A time in a text.

    Attributes:
        share: of the clip; None where the text does not say of what the number is a measure.
        start: where it begins in the text.
        end: where it ends there.
        before: the words since the moment before it, or since the start.
    """

    share: float | None
    start: int
    end: int
    before: str


def moments(text: str, duration_seconds: float | None) -> list[Moment]:
    """Every time that a text states, in order; "from 4 to 10 seconds" lends its unit to the 4."""
    tokens = [match for match in _TOKEN.finditer(text) if not _is_total(text, match)]
    found: list[Moment] = []
    last = 0
    for index, match in enumerate(tokens):
        following = tokens[index + 1] if index + 1 < len(tokens) else None
        unit = _unit(match) or _lent(text, match, following) or _named_before(text, match)
        # "t = 8.4" is in seconds, "t = 0.42" a share
        unit = "" if unit == "s?" and abs(float(match["n"] or 0)) <= 1 else unit.rstrip("?")
        share = _share(match, unit, duration_seconds, text)
        merged = found and _is_one_duration(text, found[-1], match, unit)
        if merged and share is not None and found[-1].share is not None:
            found[-1] = Moment(found[-1].share + share, found[-1].start, match.end(), found[-1].before)
        else:
            found.append(Moment(share, match.start(), match.end(), text[last : match.start()]))
        last = match.end()
    return found


def verify_point(answer: str, label: Label, profile: Profile, *, duration_seconds: float | None) -> Verdict:
    """Whether the moment that the answer states is near enough to the label; of several, the last that is affirmed."""
    text, gold = in_digits(answer), float(label.value)
    stated = [m for m in moments(text, duration_seconds) if not _NOT.search(m.before)]
    if not stated:
        vague = _VAGUE.search(text)
        return abstain(f"no number, only {vague[0]!r}") if vague else reject("no moment is stated")
    chosen = [m for m in stated if CONCLUDES.search(m.before)] or stated
    group = _joined(text, stated, chosen[-1])
    if any(m.share is None for m in group):
        return abstain("a number above 1 without a unit, or seconds of a clip of unknown length")
    shares = [m.share for m in group if m.share is not None]
    if any(not -EPSILON <= s <= 1 + EPSILON for s in shares):
        return reject("the moment lies outside the clip", found=shares)
    error = max(abs(s - gold) for s in shares)
    if error <= profile.time + EPSILON:
        return accept("the moment is near enough", error, shares)
    return reject("the moment is too far off", error, shares)


def verify_range(answer: str, label: Label, profile: Profile, *, duration_seconds: float | None) -> Verdict:
    """Whether the range that the answer states overlaps enough with the label."""
    text = bounded(in_digits(answer))
    stated = ranges(text, duration_seconds)
    whole = _WHOLE.search(text)
    if not stated and whole and not _DENIED.search(text[: whole.start()]):
        stated = [(0.0, 1.0)]
    if not stated:
        return _without_range(text, duration_seconds)
    if len(stated) > 1 and stated[-1] == (-1.0, -1.0):
        return reject("several ranges are offered as alternatives")
    start, end = stated[-1]
    if not (-EPSILON <= start < end <= 1 + EPSILON):
        return reject("the range is empty, inverted or outside the clip", found=[start, end])
    iou = Span(start, end).iou(Span(float(label.value[0]), float(label.value[1])))
    if iou > profile.iou + EPSILON:
        return accept("the ranges overlap enough", iou, [start, end])
    return reject("the ranges overlap too little", iou, [start, end])


def bounded(text: str) -> str:
    """The text with the start and the end of the clip as numbers where they bound a range."""
    if _WHOLE.search(text):
        return text
    for form, told in _EDGES:
        text = form.sub(told, text)
    return text


def ranges(text: str, duration_seconds: float | None) -> list[tuple[float, float]]:
    """The ranges that a text states, the one that counts last.

    Pairs that are told as ranges ("from .. to", "start .. end" in either order, brackets) go before neighbours that
    merely ascend; `(-1.0, -1.0)` at the end says that two ranges are joined by "or".
    """
    known = [m for m in moments(text, duration_seconds) if m.share is not None and not _NOT.search(m.before)]
    told: list[tuple[int, int, tuple[float, float]]] = []
    index = 0
    while index + 1 < len(known):
        a, b = known[index], known[index + 1]
        pair = _told(text, a, b)
        if pair is not None:
            told.append((a.start, b.end, pair))
            index += 1
        index += 1
    if told:
        last = [entry for entry in told if _concludes(text, entry[0])] or told
        pairs = [pair for *_, pair in told if pair != last[-1][2]] + [last[-1][2]]
        joined = any(_OR.match(text[x[1] : y[0]]) for x, y in itertools.pairwise(told))
        return [*pairs, (-1.0, -1.0)] if joined else pairs
    shares = [m.share for m in known if m.share is not None]
    return [(a, b) for a, b in itertools.pairwise(shares) if 0 <= a < b <= 1]


def _told(text: str, a: Moment, b: Moment) -> tuple[float, float] | None:
    """The range that two neighbouring moments are told as, or None."""
    first, second = float(a.share or 0), float(b.share or 0)
    between = text[a.end : b.start]
    if _END.search(a.before) and _START.search(between):
        return second, first
    if (
        _LASTS.search(between)
        and not _END.search(between)
        and not re.search(r"\b(?:to|until|till)\s*$", between)
        and (_START.search(a.before) or re.search(r"\bat\s*$", a.before))
    ):
        return first, first + second
    if _START.search(a.before) and (_END.search(between) or re.fullmatch(_TO, between, re.IGNORECASE)):
        return first, second
    if re.fullmatch(_TO, between, re.IGNORECASE):
        return first, second
    bracket = re.search(r"[\[(<{]\s*$", text[: a.start]) and re.match(r"\s*[\])>}]", text[b.end :])
    return (first, second) if bracket and re.fullmatch(r"\s*[,;]\s*", between) else None


def _concludes(text: str, at: int) -> bool:
    start = max((m.end() for m in re.finditer(r"[.!?]\s", text[:at])), default=0)
    return bool(CONCLUDES.search(text[start:at]))


def _without_range(text: str, duration_seconds: float | None) -> Verdict:
    unclear = [m for m in moments(text, duration_seconds) if m.share is None]
    if any(_told(text, a, b) for a, b in itertools.pairwise(unclear)):
        return abstain("numbers above 1 without a unit, or seconds of a clip of unknown length")
    vague = _VAGUE.search(text)
    return abstain(f"no numbers, only {vague[0]!r}") if vague else reject("no range is stated")


def _joined(text: str, stated: list[Moment], chosen: Moment) -> list[Moment]:
    """A moment told as a range or as two alternatives stands with its partner: both must be near enough."""
    index = stated.index(chosen)
    before = stated[index - 1] if index else None
    if before and re.fullmatch(_TO + r"|\s*,?\s*or\s*(?:at )?", text[before.end : chosen.start], re.IGNORECASE):
        return [before, chosen]
    return [chosen]


def _unit(match: re.Match[str]) -> str:
    unit = (match["unit"] or "").lower()
    return "clock" if match["clock"] else "%" if unit[:1] in ("%", "p") else unit[:1]


def _lent(text: str, match: re.Match[str], following: re.Match[str] | None) -> str:
    if following is None or match["clock"]:
        return ""
    unit = _unit(following)
    joined = re.fullmatch(_TO, text[match.end() : following.start()], re.IGNORECASE)
    is_share = unit == "%" and 0 < float(match["n"]) < 1  # "from 0.71 until 100%" is no range of percents
    return unit if joined and unit not in ("", "clock") and not is_share else ""


def _named_before(text: str, match: re.Match[str]) -> str:
    named = re.search(r"\b(?:(second|seconds|sec)|t\s*=)\s*$", text[: match.start()], re.IGNORECASE)
    return ("s" if named[1] else "s?") if named else ""


def _share(match: re.Match[str], unit: str, duration: float | None, text: str) -> float | None:
    if unit == "clock":
        seconds = 0.0
        for part in match["clock"].split(":"):
            seconds = seconds * 60 + float(part)
        return seconds / duration if duration else None
    value = float(match["n"]) * (-1 if match["sign"] else 1)
    if unit == "%":
        return value / 100
    if unit:
        return value * _SECONDS[unit] / duration if duration else None
    if abs(value) <= 1:
        return value
    told = re.search(r"\b(?:seconds?|secs?)\b", text, re.IGNORECASE)
    return value / duration if duration and told and value <= duration else None


def _is_one_duration(text: str, before: Moment, match: re.Match[str], unit: str) -> bool:
    """Whether "1 minute 5 seconds" goes on here."""
    told = re.search(r"(?:m|min|mins|minutes?|h|hours?)$", text[before.start : before.end].strip(), re.IGNORECASE)
    return bool(told and unit in ("s", "m") and re.fullmatch(r"\s*(?:and\s*)?", text[before.end : match.start()]))


def _is_total(text: str, match: re.Match[str]) -> bool:
    """Whether a number says what the others are a share of: "out of 1.0"; clip lengths: "a 20 s video"."""
    after = re.match(r"[\s-]*(?:long\b|video\b|clip\b)", text[match.end() :], re.IGNORECASE)
    return bool(_TOTAL.search(text[: match.start()])) or bool(after)
