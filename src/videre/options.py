"""Multiple choice in words: how options are shown to a model, and which option a reply names."""

import re
import string
import unicodedata
from collections.abc import Iterator, Sequence

from videre.types import Question

INSTRUCTION = "Answer with the letter of the right option."

_LINK = r"\s*(?::|=|\bis\b|\bwas\b|\b(?:would|should|must|could|will) be\b)"
_HEDGE = r"(?:(?:most\s+)?(?:likely|probably|definitely|clearly|certainly|therefore|thus|indeed)[\s,:]+)?"
_STATED = re.compile(
    rf"(?:\b(?:answer|option|choice|best|correct|right)\b(?:\s+(?:one|to|for|of|here)\b[^.:\n]{{0,60}}?)?{_LINK}"
    rf"|\b(?:answer|answer:)\s*\n|\bI(?:\s+would|'d)?\s+(?:choose|select|pick|chose)\b"
    rf"|(?:答案|选项)\s*(?:是|为)|(?<![不别勿])选择?|答えは|정답은)"
    rf"[\s:]*{_HEDGE}(?P<negated>not\s+)?(?:the\s+)?(?:(?:letter|option|choice)\b\s*[:=]?\s*)?",
    re.IGNORECASE,
)
_CALLED = re.compile(
    r"(?<![\w.'])[(\[]?(?P<letter>[A-Z])[)\]]?\s+(?:is|was|would be|must be|should be)\s+(?:the\s+)?(?:most\s+)?"
    r"(?:best|correct|right|accurate|likely|appropriate)\b"
)
_LETTER = re.compile(r"[(\[{\"']?(?P<letter>[A-Za-z])(?P<end>[)\]}.:,;!\"'。、」]|\s|$)")
_ANOTHER = re.compile(r"[)\]}\"']?\s*(?:,|/|&|\bor\b|\band\b)\s*(?:option\s+)?[(\[]?(?P<letter>[A-Z])(?![\w'])")
_LONE = re.compile(r"(?<![\w.'])(?P<letter>[A-Z])(?![\w']|\.\w)")
_ARTICLE = re.compile(r"(?:A\s+(?!(?:and|or|is|was|as|because|since|but|seems|fits|matches)\b)|I\s+)[a-z]")
_NEGATED = r"(?i)\b(?:not|never|isn't|rather than|instead of)\s+(?:the\s+)?(?:option\s+)?[(\[]?$"
MOST_OPTIONS = len(string.ascii_uppercase)
"""Options are named by the letters A to Z."""


def letter(index: int) -> str:
    """The name of an option: A, B, C, ... up to Z.

    >>> letter(2)
    'C'
    """
    if not 0 <= index < MOST_OPTIONS:
        raise ValueError(f"options are named A to Z, got index {index}")
    return string.ascii_uppercase[index]


def listed(question: Question) -> str:
    """The text a model is asked: the question alone, or with its options, one a line, and what to reply.

    >>> print(listed(Question("Which colour?", ("red", "blue"))))
    Which colour?
    A. red
    B. blue
    Answer with the letter of the right option.
    """
    if not question.options:
        return question.text
    rows = [f"{letter(i)}. {option}" for i, option in enumerate(question.options)]
    return "\n".join([question.text, *rows, INSTRUCTION])


def read_option(reply: str, options: Sequence[str]) -> int | None:
    """The index of the option that a reply names, by its letter or by its text; None where it names none or several.

    The rules, first that applies: the whole reply is an option's text; an explicit statement ("the answer is B", the
    last one wins, a negated one is skipped); a leading letter with a delimiter; the only lone capital; the only
    option whose text is contained, the longer before the shorter. Reasoning between <think> tags and markdown are
    taken off first. It never guesses, and never names an option that does not exist.

    >>> read_option("(B) because the ball is blue", ["red", "blue"])
    1
    >>> read_option("it is Red.", ["red", "blue"])
    0
    >>> read_option("Both A and B are possible", ["red", "blue"]) is None
    True

    Source: specification of the recommended extractor, drawn from the faults of the official ones.
    Differs: an option whose text is itself a letter is named by its place, as the instruction asks, not by its text.
    """
    if not isinstance(reply, str) or not options:
        return None
    said, texts = _said(reply), unlabelled(options)
    if re.fullmatch(r"[\W_]*[A-Za-z][\W_]*", said):
        return _index(re.sub(r"[\W_]", "", said).upper(), len(texts))
    plain = [_plain(text) for text in texts]
    whole = [i for i, text in enumerate(plain) if text and text == _plain(said)]
    if whole:
        return whole[0] if len(whole) == 1 else None
    if named := re.fullmatch(r"(?i)[\W_]*(?:the\s+)?(?:option|choice)\s+[\W_]*([a-z])[\W_]*", said):
        return _index(named[1].upper(), len(texts))
    found = _stated(said, plain)
    if found is None and not _lists_options(said, plain):
        found = _leading(said, plain)
        found = _lone(said, len(plain)) if found is None else found
    found = _contained(said, plain) if found is None else found
    return found if found is not None and found >= 0 else None


def unlabelled(options: Sequence[str]) -> list[str]:
    """The texts of options, without the letters that some benchmarks print before them.

    >>> unlabelled(["A. red", "B. blue"])
    ['red', 'blue']
    """
    marks = [re.match(rf"\s*[(\[]?{letter(i)}[.):\]]\s*(?=\S)", text) for i, text in enumerate(options)]
    return [text[m.end() :] if m and all(marks) else text for m, text in zip(marks, options, strict=True)]


_SEVERAL = -1
"""A reply that names several options, or one that does not exist: nothing that comes later may decide."""


def _said(reply: str) -> str:
    """The reply without reasoning, tags and markdown; letters of full width and parted accents are made usual ones."""
    text = re.sub(r"(?s)^.*</think(?:ing)?>", "", unicodedata.normalize("NFKC", reply))
    text = re.sub(r"(?s)<think(?:ing)?>.*$", "", text)
    tagged = re.findall(r"(?si)<answer>(.*?)(?:</answer>|$)", text)
    text = tagged[-1] if tagged else text
    text = re.sub(r"\\(?:boxed|text|mathrm|textbf|mathbf)\s*\{([^{}]*)\}", r"\1", text)
    text = re.sub(r"\\boxed\s*\{([^{}]*)\}", r"\1", text)
    return re.sub(r"[*`#$]|(?<!\w)_+|_+(?!\w)|<[^<>]{1,20}>", "", text).strip()


def _index(name: str, count: int) -> int | None:
    index = string.ascii_uppercase.find(name)
    return index if 0 <= index < count else None


def _stated(said: str, plain: Sequence[str]) -> int | None:
    """The option of the last explicit statement that names one."""
    named = sorted([*_statements(said, plain), *_calls(said, len(plain))])
    return named[-1][1] if named else None


def _statements(said: str, plain: Sequence[str]) -> Iterator[tuple[int, int]]:
    for match in _STATED.finditer(said):
        found = None if match["negated"] else _after(said[match.end() : match.end() + 300], plain)
        if found is not None:
            yield match.end(), found


def _calls(said: str, count: int) -> Iterator[tuple[int, int]]:
    for match in _CALLED.finditer(said):
        found = _index(match["letter"], count)
        before = said[max(0, match.start() - 10) : match.start()]
        if found is not None and not re.search(r"(?:\bor|\band|,|/)\s*$", before):
            yield match.start(), found


def _after(rest: str, plain: Sequence[str]) -> int | None:
    """What stands right after "the answer is": a letter, or the start of an option's text."""
    match, told = _LETTER.match(rest), f"{_plain(rest)} "
    starts = [i for i, text in enumerate(plain) if text and told.startswith(f"{text} ")]
    if match is not None:
        marked = not match["end"].isspace() or match.group()[0] in "([{\"'"
        capital, found = match["letter"].isupper(), _index(match["letter"].upper(), len(plain))
        if found is not None and (marked or (capital and not starts)):
            other = _ANOTHER.match(rest, match.end("letter"))
            return _SEVERAL if other and _index(other["letter"], len(plain)) not in (None, found) else found
        if found is None and marked and capital:
            return _SEVERAL
    longest = max(starts, key=lambda i: len(plain[i]), default=None)
    return longest if longest is None or plain.count(plain[longest]) == 1 else _SEVERAL


def _lists_options(said: str, plain: Sequence[str]) -> bool:
    """Whether the reply repeats the options as they were listed."""
    rows = [f"{letter(i).lower()} {text}" for i, text in enumerate(plain) if text]
    told = f" {_plain(said)} "
    return sum(f" {row} " in told for row in rows) > 1


def _leading(said: str, plain: Sequence[str]) -> int | None:
    match = re.match(r"[(\[]?(?P<letter>[A-Za-z])(?:[)\]:.,](?!\w)|\s*\n|\s+-)", said)
    if match:
        other = _ANOTHER.match(said, match.end("letter"))
        if not (other and _index(other["letter"], len(plain)) is not None):
            return _index(match["letter"].upper(), len(plain))
    told = f"{_plain(said)} "
    rows = [i for i, text in enumerate(plain) if text and told.startswith(f"{letter(i).lower()} {text} ")]
    return rows[0] if len(rows) == 1 else None


def _lone(said: str, count: int) -> int | None:
    """The only capital that stands alone and is neither negated, nor an article, nor part of an acronym."""
    names = set()
    for match in _LONE.finditer(said):
        before = said[max(0, match.start() - 40) : match.start()]
        article = _ARTICLE.match(said, match.start()) and not re.search(r"(?i)option\s*$", before)
        if not article and not re.search(_NEGATED, before):
            names.add(_index(match["letter"], count))
    names.discard(None)
    return None if not names else names.pop() if len(names) == 1 else _SEVERAL


def _contained(said: str, plain: Sequence[str]) -> int | None:
    exact = _named(_plain(said), plain)
    return exact if exact is not None else _named(_stems(_plain(said)), [_stems(text) for text in plain])


def _named(said: str, texts: Sequence[str]) -> int | None:
    """The only text that occurs in `said`, where a shorter one inside a longer does not count."""
    rest, named = f" {said} ", []
    for text in sorted({text for text in texts if text}, key=len, reverse=True):
        rest = rest.replace(f" not {text} ", " | ")
        if f" {text} " in rest:
            named.append(text)
            rest = rest.replace(f" {text} ", " | ")
    if not named:
        return None
    return texts.index(named[0]) if len(named) == 1 and texts.count(named[0]) == 1 else _SEVERAL


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()))


def _stems(text: str) -> str:
    """Words without the commonest English endings: moves, moved and moving are one."""
    return " ".join(re.sub(r"(?<=\w{3})(?:ing|ed|es|s|e)$", "", word) for word in text.split())
