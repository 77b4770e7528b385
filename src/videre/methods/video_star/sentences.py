"""Sentences and lists: what a label says is matched with what an answer says, by words and by an embedder, in order.

Source: section 2.2 of the paper; official `verifier.py`, `sentence` and `sentence_sequence`.
Differs: a list is aligned by dynamic programming, one clause a step, so that order is checked within one sentence and
a summary at the end does no harm; a negated sentence never matches one that is not, nor the reverse.
"""

import itertools
import re
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from videre.methods.video_star.label import Label, Profile, Verdict, abstain, accept, reject
from videre.methods.video_star.numerals import EPSILON
from videre.methods.video_star.words import SENTENCE, alternatives, denied, holds, lemma, negated, words

Embedder = Callable[[Sequence[str]], Float[np.ndarray, "B D"]]
"""Texts in, one unit vector each out; the dot product is the likeness. `videre.types.Encoder.texts` is one."""

_CLAUSE = re.compile(r",?\s+(?:and\s+)?(?:then|afterwards|next|finally|followed by)\b,?|"
                     r",?\s+before\s|[,;:]\s|\s*(?:->|→|=>)\s*|\s+and\s+",
                     re.IGNORECASE)  # fmt: skip
_SAME = re.compile(r"\b(?:the )?same\b|\bidentical\b|\bno difference\b|\balike\b|\bmatch(?:es)?\b", re.IGNORECASE)
_DIFFERENT = re.compile(r"\bdiffer(?:s|ent|ently|ence)?\b|\bdistinct\b|\bdissimilar\b|\bunlike\b|\bunidentical\b", re.I)
_BARE_NOT = re.compile(r"\bnot\b|n['’]t\b|\bno longer\b|\bnever\b", re.IGNORECASE)
_NO = re.compile(r"\b(?:neither|cannot be|no|far from|hardly)\b", re.IGNORECASE)
_REFUSES = re.compile(
    r"\b(?:cannot|can['’]t|unable|not (?:clear|visible|shown|possible)|does not show|unclear|don['’]t know)\b",
    re.IGNORECASE,
)


def split(text: str) -> list[str]:
    """The sentences of a text."""
    return [part.strip() for part in SENTENCE.split(text) if part.strip()]


def clauses(text: str) -> list[str]:
    """The parts of a text that can each say one thing: sentences cut at commas, arrows and "then"."""
    parts = (piece.strip(" .,;:-") for sentence in split(text) for piece in _CLAUSE.split(sentence))
    return [part for part in parts if part]


def verify_sentence(answer: str, label: Label, profile: Profile, *, embed: Embedder) -> Verdict:
    """Whether each sentence of the label is said by some sentence of the answer."""
    text = str(label.value)
    if read_same(text) is not None and _SAME.search(text):
        return verify_same(answer, label)
    return verify_list(answer, split(text), profile, embed=embed, ordered=False)


def verify_list(answer: str, steps: Sequence[str], profile: Profile, *, embed: Embedder, ordered: bool) -> Verdict:
    """Whether the answer says every step, each by a part of its own; in this order where it is ordered."""
    if not answer.strip():
        return reject("the answer is empty")
    steps = [step.replace("_", " ") for step in steps]
    parts = _parts(answer, steps, ordered=ordered)
    likeness = compared(steps, parts, embed=embed)
    floor = profile.step if ordered else profile.sentence
    matched = monotone(likeness, floor) if ordered else covered(likeness, floor)
    found = None if matched is None else [parts[j] for j in matched]
    best = float(likeness.max(axis=1).min())
    if found is None:
        missing = [step for step, row in zip(steps, likeness, strict=True) if row.max() < floor - EPSILON]
        return reject(f"not said: {'; '.join(missing)}" if missing else "said, but not in this order", best)
    return accept("every part is said" + (" in order" if ordered else ""), best, found)


def compared(steps: Sequence[str], parts: Sequence[str], *, embed: Embedder) -> Float[np.ndarray, "K T"]:
    """Likeness in [-1, 1] of each step with each part: 1 where the part holds all words of the step.

    Where one of the two is negated and the other is not, it is 0.
    """
    vectors = embed([*steps, *parts])
    likeness = vectors[: len(steps)] @ vectors[len(steps) :].T
    for i, step in enumerate(steps):
        for j, part in enumerate(parts):
            place = next((p for way in alternatives(step) if (p := holds(part, way))), None)
            if is_negated(step) != is_negated(part):
                likeness[i, j] = 0.0
            elif place:
                likeness[i, j] = float(is_negated(step) or not denied(part, place))
    return likeness


def is_negated(text: str) -> bool:
    """Whether a sentence denies: an odd number of negations before its last word."""
    return bool(_BARE_NOT.search(text)) or negated(text, len(text))


def monotone(likeness: Float[np.ndarray, "K T"], floor: float) -> list[int] | None:
    """The ascending parts, one a step, of the largest sum of likeness where each is at least the floor; else None."""
    steps, parts = likeness.shape
    best = np.full((steps + 1, parts + 1), -np.inf)
    best[0] = 0.0
    for i in range(1, steps + 1):
        for j in range(1, parts + 1):
            own = likeness[i - 1, j - 1]
            taken = best[i - 1, j - 1] + own if own >= floor - EPSILON else -np.inf
            best[i, j] = max(best[i, j - 1], taken)
    if not np.isfinite(best[steps, parts]):
        return None
    chosen, j = [], parts
    for i in range(steps, 0, -1):
        while best[i, j] == best[i, j - 1]:
            j -= 1
        chosen.append(j - 1)
        j -= 1
    return chosen[::-1]


def covered(likeness: Float[np.ndarray, "K T"], floor: float) -> list[int] | None:
    """The likeliest part of each step where all reach the floor, else None. One sentence may say several steps."""
    return [int(j) for j in likeness.argmax(axis=1)] if (likeness.max(axis=1) >= floor - EPSILON).all() else None


def verify_same(answer: str, label: Label) -> Verdict:
    """Whether the answer says that two things are the same, or that they are not, as the label does."""
    gold = label.value if isinstance(label.value, bool) else read_same(str(label.value))
    said = read_same(answer)
    if gold is None:
        raise ValueError(f"label {label.name!r} says neither the same nor not the same: {label.value!r}")
    if said is None:
        unsure = _REFUSES.search(answer)
        return abstain("the answer does not commit itself") if unsure else reject("neither same nor different is said")
    return accept("as the label", found=said) if said == gold else reject("the opposite is said", found=said)


def read_same(text: str) -> bool | None:
    """Whether a text says "the same" (True) or "not the same" (False); its last mention counts."""
    mentions = [(m.start(), True) for m in _SAME.finditer(text)] + [
        (m.start(), False) for m in _DIFFERENT.finditer(text)
    ]
    read = None
    for at, says in sorted(mentions):
        start = max((m.end() for m in re.finditer(r"[.!?;,:]\s|\bbut\b", text[:at])), default=0)
        clause = text[start:at]
        if re.search(r"\b(?:whether|if)\b", clause, re.IGNORECASE):
            continue
        read = says != bool(_BARE_NOT.search(clause) or _NO.search(clause))
    if read is None and (word := re.match(r"\W*(yes|no|true|false|same)\b", text, re.IGNORECASE)):
        return word[1].lower() in ("yes", "true", "same")
    return read


def _parts(answer: str, steps: Sequence[str], *, ordered: bool) -> list[str]:
    """Clauses in order for a list; for sentences the whole sentences as well, as one may say it all.

    A clause that names several steps ("back then entry") is cut between the words of two steps.
    """
    if ordered:
        return [piece for clause in clauses(answer) for piece in _between(clause, steps)] or [answer]
    return list(dict.fromkeys([*split(answer), *clauses(answer)])) or [answer]


def _between(clause: str, steps: Sequence[str]) -> list[str]:
    places = sorted({place for step in steps if (place := holds(clause, words(step)))})
    if len(places) < 2 or any(a[1] > b[0] for a, b in itertools.pairwise(places)):
        return [clause]
    cuts = [0, *(place[0] for place in places[1:]), len(clause)]
    return [clause[a:b].strip() for a, b in itertools.pairwise(cuts)]


def by_letters(texts: Sequence[str]) -> Float[np.ndarray, "B D"]:
    """An embedder without weights: the lemmas and letter triples of a text, hashed to 512 numbers.

    It knows spelling and inflection and no meaning: for synonyms pass one of sentence-transformers.
    """
    vectors = np.zeros((len(texts), 512))
    for row, text in enumerate(texts):
        for word in words(text):
            for place, weight in _pieces(word):
                vectors[row, place] += weight
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms > 0, norms, 1.0)


def sentence_transformer(name: str) -> Embedder:
    """The embedder of a sentence-transformers checkpoint, such as "sentence-transformers/all-MiniLM-L6-v2".

    Raises:
        ImportError: sentence-transformers is not installed.
    """
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(name)
    return lambda texts: model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)


@lru_cache(maxsize=65536)
def _pieces(word: str) -> tuple[tuple[int, float], ...]:
    """Place and weight of a word's lemma and of its letter triples."""
    base = f" {lemma(word)} "
    triples = (base[i : i + 3] for i in range(len(base) - 2))
    return tuple((_hash(piece) % 512, 2.0 if piece == base else 0.5) for piece in (base, *triples))


def _hash(text: str) -> int:
    value = 2166136261
    for byte in text.encode("utf-8", "surrogatepass"):
        value = (value ^ byte) * 16777619 % 2**32
    return value
