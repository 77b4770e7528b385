"""An answer and a row of the question table in, one verdict a label out. Never raises on what a model says."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from videre.methods.video_star import moments, numerals, official, rectangles, sentences, words
from videre.methods.video_star.label import PROFILES, Label, Profile, Row, Verdict, abstain, reject
from videre.methods.video_star.sentences import Embedder, by_letters

LONGEST = 20_000
"""Characters of an answer that are read; a longer one has lost its thread."""

_LEAK = re.compile(
    r"\b(?:given|provided|stated|supplied|ground[- ]?truth|reference|expected)\s+(?:answers?|labels?|annotations?)\b"
    r"|\bfinal labels?\b|\bthe hint\b"
    r"|\bas (?:stated|given|mentioned|indicated|specified|provided) (?:in|by) the (?:answer|label|question|prompt)\b"
    r"|\bthe (?:answer|label)s? (?:is |was |are |were )?(?:given|provided|supplied|states?|says?|tells?|mentions?)\b"
    r"|\b(?:according to|based on|matches|from) the (?:answer|label)s?\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Verifier:
    """Everything that the verdicts depend on beside the answer and the row.

    Attributes:
        profile: thresholds and rules.
        embed: likeness of sentences.
        leaks: turn down rationalizations that talk about the hint.
        read: for the official profile: the answer span of (question, text), as its extractive model gives it.
        tag: for the official profile: the times that its tagger finds in a text, in order.
    """

    profile: Profile = field(default_factory=lambda: PROFILES["default"])
    embed: Embedder = by_letters
    leaks: bool = True
    read: Callable[[str, str], str] | None = None
    tag: Callable[[str], Sequence[float]] = official.decimals

    def verdicts(self, answer: str, row: Row) -> list[Verdict]:
        """One verdict a label, in the row's order; all must accept for the answer to be kept."""
        return [self.verdict(answer, label, row).named(label.name) for label in row.labels]

    def verdict(self, answer: str, label: Label, row: Row) -> Verdict:
        """The verdict on one label."""
        if len(answer) > LONGEST:
            return reject(f"the answer has {len(answer)} characters, {LONGEST} are read")
        if self.profile.name == "official":
            return official.verify(answer, label, row.question, embed=self.embed, read=self.read, tag=self.tag)
        return self._careful(answer, label, row)

    def _careful(self, answer: str, label: Label, row: Row) -> Verdict:
        profile, kind, length = self.profile, label.kind, row.duration_seconds
        if kind == "time_range":
            return moments.verify_range(answer, label, profile, duration_seconds=length)
        if kind == "time_point":
            return moments.verify_point(answer, label, profile, duration_seconds=length)
        if kind == "number":
            return numerals.verify(answer, label, profile)
        if kind == "box":
            return rectangles.verify(answer, label, profile)
        if kind in ("object", "keywords"):
            return words.verify(answer, label, profile)
        if kind == "same":
            return sentences.verify_same(answer, label)
        if kind == "sentence":
            return sentences.verify_sentence(answer, label, profile, embed=self.embed)
        steps = [str(step) for step in label.value]
        return sentences.verify_list(answer, steps, profile, embed=self.embed, ordered=kind == "ordered")


def kept(verdicts: Sequence[Verdict]) -> bool:
    """Whether an answer with these verdicts is kept: every label accepted."""
    return bool(verdicts) and all(verdict.status == "accept" for verdict in verdicts)


def leaks(answer: str) -> str:
    """The words by which a rationalization talks about the hint it was shown; "" where it does not."""
    found = _LEAK.search(answer)
    return found[0] if found else ""


def undecided(verdicts: Sequence[Verdict]) -> bool:
    """Whether no label is rejected and some cannot be told."""
    return not kept(verdicts) and all(verdict.status != "reject" for verdict in verdicts)


__all__ = ["Verifier", "abstain", "kept", "leaks", "undecided"]
