"""Words of a label in a text: by lemma, with typing slips and spacing, never under a negation or in a list of guesses.

Source: section 2.2 of the paper (all keywords, likeness of 80 %).
Differs: "eats" is "eating"; "swinging" is not "singing", as it is a word itself; "not X" and "A, B or X" are no X.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

import simplemma
from rapidfuzz import fuzz

from videre.methods.video_star.label import Label, Profile, Verdict, accept, reject
from videre.methods.video_star.numerals import NUMBER, affirmed, in_digits, near

WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)?")
SENTENCE = re.compile(r"(?<=[.!?;])\s+(?=\S)|\n+")
_EMPTY = frozenset(
    re.findall(r"\w+", "a an the is are was were be been being am of and or it its his her their this that to")
)
_BREAK = re.compile(r"[,;:–—]|\b(?:but|instead|rather|however|while|although|yet|because|since|so)\b", re.IGNORECASE)
_NEGATION = re.compile(r"\b(?:not(?! (?:only|stop|help)\b)|never|no(?! doubt\b)|without(?! (?:a |any )?doubt\b)|"
                       r"neither|nor|cannot|nobody|nothing|none|fails? to|unable|unlikely|unclear|absent)\b|"
                       r"n['’]t\b(?! (?:stop|help)\b)", re.IGNORECASE)  # fmt: skip
_HEDGE = re.compile(r"\b(?:could|might|may|either|possibly|perhaps|maybe|whether|unsure|uncertain)\b", re.IGNORECASE)
_OR = re.compile(r"\bor\b", re.IGNORECASE)
_IDENTIFIES = re.compile(
    r"\b(?:object|objects|item|thing|it|this|that|answer|box)\b[^,;]*?\b(?:is|are|was|appears to be|"
    r"seems to be|looks like|shows|contains)\b(.*)", re.IGNORECASE | re.DOTALL
)  # fmt: skip


def verify(answer: str, label: Label, profile: Profile) -> Verdict:
    """Whether the answer says every word of the label, and means it."""
    if NUMBER.fullmatch(str(label.value)) and not isinstance(label.value, bool):
        return _number(answer, float(label.value))
    if not answer.strip():
        return reject("the answer is empty")
    text = str(label.value).replace("_", " ")
    if not profile.careful:
        return _plain(answer, text, profile.fuzz)
    ways = alternatives(text)
    every = [s for s in SENTENCE.split(answer) if s.strip()]
    sentences = [s for s in every if not s.rstrip().endswith("?")] or every
    verdicts = [v for s in sentences if (v := _said(s, ways, label, profile))]
    refused = next((v for v in verdicts if v.status != "accept"), None)
    accepted = [v for v in verdicts if v.status == "accept"]
    if accepted and (refused is None or verdicts[-1].status == "accept"):
        return accepted[-1]
    return refused or reject(f"the answer does not say {text!r}")


def alternatives(text: str) -> list[list[str]]:
    """The words of each way to say a label: "opened the closet/cabinet" has two; sixteen at most."""
    tokens = re.sub(r"(?<=[^\W\d])\s*/\s*(?=[^\W\d])", "/", text).split()
    each = [token.split("/") if re.search(r"[^\W\d]/[^\W\d]", token) else [token] for token in tokens]
    ways = [words(" ".join(way)) for way in itertools.islice(itertools.product(*each), 16)]
    return [way for way in ways if way]


def words(text: str) -> list[str]:
    """The words of a text in lower case, without those that carry nothing; all of them where none would be left."""
    every = [match[0].lower() for match in WORD.finditer(text)]
    return [word for word in every if word not in _EMPTY] or every


def holds(text: str, wanted: Sequence[str], *, least: float = 85.0) -> tuple[int, int] | None:
    """Where the words stand in a text: start of the first and end of the last, each word once, in any order."""
    there = [(match[0].lower(), match.start(), match.end()) for match in WORD.finditer(text)]
    places: list[tuple[int, int]] = []
    index = 0
    while index < len(wanted):
        step = next(_matches(there, wanted, index, places, least), None)
        if step is None:
            return None
        taken, place = step
        places.append(place)
        index += taken
    return (min(p[0] for p in places), max(p[1] for p in places)) if places else None


@lru_cache(maxsize=65536)
def lemma(word: str) -> str:
    """The dictionary form of an English word."""
    return simplemma.lemmatize(word, "en").lower()


@lru_cache(maxsize=65536)
def bases(word: str) -> frozenset[str]:
    """What a word may be a form of: the lemma, and for "singing" and "cutting" the verbs that the dictionary misses."""
    found = {word, lemma(word)}
    stem = word.removesuffix("ing")
    if stem != word and len(stem) >= 2 and re.search("[aeiouy]", stem):
        short = stem[:-1] if len(stem) > 2 and stem[-1] == stem[-2] else stem
        found |= {form for form in (stem, short, f"{stem}e") if _is_known(form)}
    return frozenset(found)


def alike(word: str, wanted: str, least: float) -> bool:
    """Whether a word is the wanted one: by lemma, or by likeness where it is a slip and no word itself."""
    if word == wanted or bases(word) & bases(wanted):
        return True
    slip = len(wanted) >= 4 and not word[0].isdigit() and not _is_known(word)
    return slip and fuzz.ratio(word, wanted) > least


def negated(text: str, at: int) -> bool:
    """Whether a negation governs what begins at `at`: it stands before it in the same clause."""
    start = max((m.end() for m in _BREAK.finditer(text[:at])), default=0)
    return bool(_NEGATION.search(text[start:at]))


def _said(sentence: str, ways: list[list[str]], label: Label, profile: Profile) -> Verdict | None:
    """The verdict of one sentence on the label; None where it does not name it."""
    scope = sentence
    if label.kind == "object" and (told := _IDENTIFIES.search(sentence)):
        scope = told[1]
    place = next((p for way in ways if (p := holds(scope, way, least=profile.fuzz))), None)
    if place is None:
        return None
    before = re.split(r"(?i)\b(?:but|rather|instead)\b", scope[: place[0]])[-1]
    if negated(scope, place[0]) or (scope is not sentence and _NEGATION.search(before)):
        return reject("the label stands under a negation", found=scope[place[0] : place[1]])
    if denied_after(scope[place[1] :]):
        return reject("the label is denied", found=scope[place[0] : place[1]])
    if _guessed(scope, place, ways):
        return reject("the label is one of several guesses", found=scope)
    others = _others(sentence, label, profile)
    if len(others) >= 2:
        return reject(f"other classes are named as well: {', '.join(others[:3])}", found=sentence)
    if label.kind == "object" and _in_list(scope, place):
        return reject("the label is one of several things listed", found=scope)
    return accept("the answer names the label", found=scope[place[0] : place[1]])


def denied(text: str, place: tuple[int, int]) -> bool:
    """Whether a negation governs the words between two places of a text, or stands among them."""
    return negated(text, place[0]) or bool(_NEGATION.search(text[slice(*place)]))


def denied_after(rest: str) -> bool:
    """Whether what follows takes the words back: "X is not shown", "X does not happen"."""
    denial = r"^\s*(?:is|are|was|were|does|do|did|has|have)?\s*(?:not|n['’]t|never)\b(?! only)"
    return bool(re.match(denial, rest, re.IGNORECASE) or re.match(r"^\s*\w+n['’]t\b", rest))


def _guessed(sentence: str, place: tuple[int, int], ways: list[list[str]]) -> bool:
    """Whether "or" joins the label to something else; between two ways to say the label it does not."""
    own = {word for way in ways for word in way}
    for match in _OR.finditer(sentence):
        if place[0] <= match.start() < place[1]:
            if {
                w.lower()
                for w in (*WORD.findall(sentence[: match.start()])[-1:], *WORD.findall(sentence[match.end() :])[:1])
            } - own:
                return True
            continue
        other = sentence[match.end() :] if match.start() >= place[1] else sentence[: match.start()]
        near_by = WORD.findall(other)[:3] if match.start() >= place[1] else WORD.findall(other)[-3:]
        if near_by and not own & {word.lower() for word in near_by} and _joins(sentence, place, match):
            return True
    return False


def _joins(sentence: str, place: tuple[int, int], match: re.Match[str]) -> bool:
    gap = sentence[place[1] : match.start()] if match.start() >= place[1] else sentence[match.end() : place[0]]
    return len(WORD.findall(gap)) <= 3 or bool(_HEDGE.search(sentence))


def _others(sentence: str, label: Label, profile: Profile) -> list[str]:
    own = {lemma(word) for word in words(str(label.value).replace("_", " "))}
    different = [o for o in label.options if {lemma(w) for w in words(o.replace("_", " "))} - own]
    return [o for o in different if holds(sentence, words(o.replace("_", " ")), least=100.0)]


def _in_list(sentence: str, place: tuple[int, int]) -> bool:
    """Whether the label stands in "a sofa, a blanket and a pillow"."""
    cuts = [m.span() for m in re.finditer(r",(?!\s*[\d.])|\band\b|&", sentence, re.IGNORECASE)]
    bounds = [0, *(edge for cut in cuts for edge in cut), len(sentence)]
    pairs = zip(bounds[::2], bounds[1::2], strict=True)
    parts = [(a, b) for a, b in pairs if sentence[a:b].strip()]
    own = next((i for i, (start, end) in enumerate(parts) if start <= place[0] < end), None)
    if own is None:
        return False
    beside = [sentence[slice(*parts[i])] for i in (own - 1, own + 1) if 0 <= i < len(parts)]
    return any(_is_thing(part) for part in beside)


def _is_thing(part: str) -> bool:
    found = [match[0].lower() for match in WORD.finditer(part)]
    named = [word for word in found if word not in ("a", "an", "the", "some", "one", "are", "visible", "there", "is")]
    return 1 <= len(named) <= 2 and bool(found) and (found[0] in ("a", "an", "the", "some") or len(found) == 1)


def _matches(
    there: list[tuple[str, int, int]], wanted: Sequence[str], index: int, used: list[tuple[int, int]], least: float
) -> Iterator[tuple[int, tuple[int, int]]]:
    """How many words from `index` on are found at which place; "applepie" is two."""
    for word, start, end in there:
        if (start, end) not in used and alike(word, wanted[index], least):
            yield 1, (start, end)
    for count in range(len(wanted) - index, 1, -1):
        joined = "".join(wanted[index : index + count])
        yield from ((count, (start, end)) for word, start, end in there if word == joined)
    for (a, start, _), (b, _, end) in itertools.pairwise(there):
        if a + b == wanted[index]:
            yield 1, (start, end)


def _plain(answer: str, text: str, least: float) -> Verdict:
    there = words(answer)
    missing = [w for w in words(text) if not any(fuzz.ratio(w, other) >= least for other in there)]
    return reject(f"missing: {', '.join(missing)}") if missing else accept("every word is there")


def _number(answer: str, gold: float) -> Verdict:
    stated = affirmed(in_digits(answer))
    equal = next((n for n in stated if near(n, gold, 0.0)), None)
    return accept("the number is stated", 0.0, equal.value) if equal else reject("the number is not stated")


@lru_cache(maxsize=65536)
def _is_known(word: str) -> bool:
    return simplemma.is_known(word, "en")
