"""Numbers in a text: signed, with thousands separators, fractions, percent, exponents, in words; each with its cue.

Source: the paper's number labels (appendix A.1).
Differs: the official code accepts any number of the answer; here one candidate is judged, the one that the label's own
words point to.
"""

import itertools
import re
from dataclasses import dataclass

from text_to_num import alpha2digit

from videre.methods.video_star.label import Label, Profile, Verdict, abstain, accept, reject

EPSILON = 1e-9
CONCLUDES = re.compile(r"\b(?:final(?:ly)?|overall|therefore|thus|hence|so the|in conclusion|answer)\b", re.IGNORECASE)
NUMBER = re.compile(
    r"(?<![\w.])(?P<sign>[-−–+](?=[\d.]))?"
    r"(?P<body>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)(?P<exp>e[+-]?\d{1,3})?"
    r"(?![\d])",
    re.IGNORECASE,
)
_TOTAL = re.compile(r"\s*\(?\s*(?:/|out of|of)\s*(?:a (?:possible|maximum) )?(\d+(?:\.\d+)?)(?!\w|\.\d)", re.IGNORECASE)
_OUT_OF = re.compile(r"\bout of (?:a (?:possible|maximum) )?\d+(?:\.\d+)?", re.IGNORECASE)
_SCALE = re.compile(
    r"(?:scale|range|rang\w+|scores?|rated|marks?)?\s*(?:of|from|between)?\s*\d+\s*(?:-|–|to|and)\s*(?:10|100)\b", re.I
)
_ON_SCALE = re.compile(r"\b(?:scale|range)\b[^.;!?]{0,15}$", re.IGNORECASE)
_COUNTED = re.compile(r"\s+(?!(?:out|of|points?|percent|overall|in|on|for|as|is|and|or|with|because|since|"
                      r"to|by|marks?|gives|makes|means|seems|shows|reflects|earns|gets|has|was)\b)"
                      r"[a-z]{3,}s\b|\s*(?:soms?|twists?|somersaults?)\b", re.IGNORECASE)  # fmt: skip
_NOT = re.compile(r"(?:\bnot|n't|\brather than|\binstead of|\bnever)\s+(?:(?!only\b|just\b)[a-z]+ ){0,2}$", re.I)
_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_SMALL = {name: str(number) for number, name in enumerate(_NAMES)}
_ORDINALS = ("third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_ORDINAL = re.compile(rf"(?i)\b({'|'.join(_ORDINALS)})(?= second\b)")
_LEFT = re.compile(rf"(?i)\b({'|'.join(_NAMES[1:])})(?=\s+(?:or|to)\s+\d)")
_UNSURE = re.compile(r"\b(?:could|might|may|either|possibly|perhaps|maybe|somewhere)\b", re.IGNORECASE)
_CUES = {
    "score": ("score", "scored", "rating", "rate", "grade", "mark", "give", "award", "deserve", "deserves", "points"),
    "difficulty": ("difficulty", "difficult", "dd"),
    "count": ("count", "times", "many"),
    "duration": ("duration", "long", "lasts"),
}


@dataclass(frozen=True)
class Found:
    """A number of a text, from `start` to `end`.

    Attributes:
        unit: "%" for percent, "counted" where a noun of many things follows, else "".
        total: the number that it is a share of ("63/100"), where that is told.
        cue: the field that the words before it name ("score", "difficulty"), else "".
    """

    value: float
    start: int
    end: int
    unit: str = ""
    total: float | None = None
    cue: str = ""


def in_digits(text: str) -> str:
    """The text with spelled numbers as digits: "three point two" becomes "3.2"; "one can see" stays."""
    text = re.sub(r"(?i)\bsecond (?=\d)", "sec ", text)  # the library takes it for the second of a row
    text = _ORDINAL.sub(lambda match: f"{_ORDINALS.index(match[1].lower()) + 3}th", text)
    try:
        told = alpha2digit(text, "en")
    except (ValueError, IndexError, KeyError):  # what the library raises on text that is no English
        return text
    told = _LEFT.sub(lambda match: _SMALL[match[1].lower()], told)  # the library leaves "two" in "two or 3"
    told = re.sub(r"(?i)\b(\d+) and a half\b", r"\1.5", told)
    told = re.sub(r"(?i)(?<=\bis )zero\b|(?<=\bof )zero\b|^zero\b", "0", told)
    return re.sub(r"(?i)\b(?:minus|negative) (?=[\d.])", "-", told)


def numbers(text: str) -> list[Found]:
    """Every number that the text states; totals ("out of 100") and scales ("on a scale of 1-100") are none."""
    skip = [match.span() for match in _OUT_OF.finditer(text)]
    for match in _SCALE.finditer(text):
        named = re.match(r"scale|rang", match[0], re.IGNORECASE) or _ON_SCALE.search(text[: match.start()])
        beside = text[max(0, match.start() - 1) : match.start()] + text[match.end() :][:1]
        if named or beside == "()" or re.match(r"[- ]scale\b", text[match.end() :]):
            skip.append(match.span())
    found: list[Found] = []
    for match in NUMBER.finditer(text):
        if any(a <= match.start() < b for a, b in skip):
            continue
        total = _TOTAL.match(text, match.end())
        if total:
            skip.append(total.span())
        found.append(_found(text, match, float(total[1]) if total else None))
    return found


def verify(answer: str, label: Label, profile: Profile) -> Verdict:
    """Whether the one number that the answer states for the label is near enough to it."""
    gold = float(label.value)
    text = in_digits(answer)
    stated = affirmed(text)
    if not stated:
        return reject("no number is stated")
    if several := _alternatives(text, stated):
        return reject("several numbers are offered as alternatives", found=[n.value for n in several])
    chosen = _chosen(text, stated, label.name)
    wanted = _wanted(label.name)
    if wanted and chosen.cue not in ("", wanted) and near(chosen, gold, profile.number):
        return abstain(f"the number is told of something else: {chosen.cue}", found=chosen.value)
    if near(chosen, gold, profile.number):
        return accept("the number is near enough", _error(chosen.value, gold), chosen.value)
    elsewhere = next((n for n in stated if n.cue and n is not chosen and near(n, gold, profile.number)), None)
    if elsewhere:
        return abstain(f"the number is told of something else: {elsewhere.cue}", found=chosen.value)
    if chosen.total and abs(chosen.value * 100 / chosen.total - gold) <= profile.number * abs(gold):
        return abstain(f"the number stands on another scale, of {chosen.total:g}", found=chosen.value)
    return reject("the number is too far off", _error(chosen.value, gold), chosen.value)


def affirmed(text: str) -> list[Found]:
    """The numbers that a text neither denies ("not 63") nor asks about ("63? No, 20"), where there are such."""
    stated = [n for n in numbers(text) if not _NOT.search(text[: n.start])]
    return [n for n in stated if not re.match(r"\W*\?", text[n.end :])] or stated


def near(number: Found, gold: float, share: float) -> bool:
    """Whether a number is within a share of the label, the bound included; percent and n/m may be a share of one."""
    values = [number.value, number.value / 100] if number.unit == "%" and abs(gold) <= 1 else [number.value]
    if number.total and abs(gold) < 1:
        values.append(number.value / number.total)
    return any(abs(value - gold) <= share * abs(gold) + EPSILON for value in values)


def cue_of(text: str) -> str:
    """The field that the words at the end of a text name, nearest first."""
    for word in reversed(re.findall(r"[a-z]+", text.lower())[-6:]):
        for field, words in _CUES.items():
            if word in words:
                return field
    return ""


def _found(text: str, match: re.Match[str], total: float | None) -> Found:
    value = float(match["body"].replace(",", "") + (match["exp"] or ""))
    value = -value if match["sign"] and match["sign"] != "+" else value
    percent = re.match(r"\s*(?:%|percent\b|per cent\b)", text[match.end() :])
    unit = "%" if percent else "counted" if _COUNTED.match(text, match.end()) else ""
    clause = re.split(r"[.;!?](?=\s|$)|,\s", text[: match.start()])[-1]
    after = re.match(r"\s*points?\b", text[match.end() :])
    cue = "score" if after else cue_of(re.split(NUMBER, clause)[-1])
    return Found(value, match.start(), match.end(), unit, total, cue)


def _chosen(text: str, stated: list[Found], name: str) -> Found:
    """What an "overall" or "final" stands right before, else by the label's own cue, else in the concluding sentence.

    Else the last; numbers of other fields and counted things only where there is no other.
    """
    free = [n for n in stated if n.unit != "counted"] or stated
    open_to = [n for n in free if n.cue in ("", _wanted(name))] or free
    final = [n for n in open_to if CONCLUDES.search(" ".join(text[: n.start].split()[-3:]))]
    bound = [n for n in open_to if n.cue] or open_to
    concluding = [n for n in bound if CONCLUDES.search(_sentence(text, n))]
    return (final or concluding or bound)[-1]


def _wanted(name: str) -> str:
    return cue_of(name.replace("_", " "))


def _sentence(text: str, number: Found) -> str:
    start = max((m.end() for m in re.finditer(r"[.!?]\s", text[: number.start])), default=0)
    end = re.search(r"[.!?](?:\s|$)", text[number.end :])
    return text[start : number.end + (end.start() if end else len(text))]


def _alternatives(text: str, stated: list[Found]) -> list[Found]:
    """Numbers joined by "or", or a range under "could be": none of them is an answer."""
    for a, b in itertools.pairwise(stated):
        between = text[a.end : b.start]
        hedged = bool(_UNSURE.search(_sentence(text, a)))
        if re.fullmatch(r"\s*%?,?\s*or\s+(?:even |maybe |perhaps )?", between, re.IGNORECASE):
            return [a, b]
        if re.fullmatch(r"\s*(?:,|to|and|-|–)\s*", between) and hedged:
            return [a, b]
        if re.fullmatch(r"\s*and\s*", between) and re.search(r"\bbetween\s+$", text[: a.start], re.IGNORECASE):
            return [a, b]
    return []


def _error(value: float, gold: float) -> float | None:
    return abs(value - gold) / abs(gold) if gold else None
