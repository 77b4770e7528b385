"""A parser without a model: it reads connectives, places in the video and the subject off the words of a question.

It is the default where no language model is at hand, and the last rung but one for a reply that is no policy.
"""

import re

from videre.methods.msr_vir.policy import Policy, read
from videre.types import JSON

PLACE = re.compile(
    r"\b(?:at|in|near|towards?|by) (?:the )?(start|beginning|middle|end|ending)\b(?: of (?:the |this )?(?:video|clip))?"
)
SIDE = re.compile(r"\b(?:at|on|to|in) the (left|right|top|bottom)(?: (?:side|part|corner))?\b(?: of the \w+)?")
BETWEEN = re.compile(r"\bbetween (.+?) and (.+)$|\bafter (.+?) and before (.+)$")
LINK = re.compile(r"\b(after|before|when|while|as|during|since|until)\b (?!well\b|a\b|much\b)(.+)$")
MEANS = {"during": "when", "since": "after", "until": "before"}
ALL = re.compile(r"^(?:where (?:is|are|was|were) (?:this|these|they|the people)\b|how many\b)")
SUBJECT = re.compile(r"\bthe ((?!video|clip|start|end|middle)\w+(?: (?:in|with|wearing) (?!the\b)\w+)?)")
ASKING = re.compile(r"^(?:what|why|how|who|which \w+|where) (?:do|does|did|is|are|was|were|has|have|will)?\b ?")
PRONOUN = re.compile(r"^(?:he|she|it|they)\b")
LONGEST = 160


def parse(question: str) -> Policy:
    """The policy that the words of a question suggest; the whole video where they suggest nothing."""
    text = " ".join(re.sub(r"[^\w' ]", " ", question.lower()).split())
    if not text or ALL.match(text):
        return Policy()
    where, text = _taken(PLACE, text)
    side, text = _taken(SIDE, text)
    subject = SUBJECT.search(text)
    who = subject.group(1) if subject else ""
    inner = _event(text, who)
    temporal = {"op": "within", "outer": _position(where), "inner": inner} if where else inner
    return read({"temporal": temporal, "spatial": _spatial(who, side)})


def _event(text: str, who: str) -> JSON:
    both = BETWEEN.search(text)
    if both:
        a, b = [part for part in both.groups() if part]
        return {"op": "between", "a": _detect(a, who), "b": _detect(b, who)}
    link = LINK.search(text)
    if link and link.start():
        word = MEANS.get(link.group(1), link.group(1))
        return {"op": "relate", "relation": word, "of": _detect(link.group(2), who)}
    event = _detect(ASKING.sub("", text) or text, who)
    causal = text.startswith(("why", "how"))
    return {"op": "pad", "of": event, "before": 3.0, "after": 3.0} if causal else event


def _detect(words: str, who: str) -> JSON:
    named = PRONOUN.sub(who, words) if who else words
    is_bare = re.match(r"\w+ing\b", named)
    return {"op": "detect", "query": (f"{who} {named}" if is_bare and who else named)[:LONGEST].strip() or "event"}


def _position(word: str) -> JSON:
    return {"op": "position", "where": {"beginning": "start", "ending": "end"}.get(word, word)}


def _spatial(who: str, side: str) -> list[JSON]:
    if not who:
        return []
    place: JSON = {"op": "locate", "query": who[:LONGEST]}
    return [{"op": "region", "side": side, "of": place} if side else place]


def _taken(pattern: re.Pattern[str], text: str) -> tuple[str, str]:
    found = pattern.search(text)
    if found is None:
        return "", text
    return found.group(1), " ".join((text[: found.start()] + text[found.end() :]).split())
