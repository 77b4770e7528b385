"""Open questions with short answers: exact match and first-word match, as MSVD-QA, MSRVTT-QA, TGIF-QA and
ActivityNet-QA are scored without a judge.
"""

import re
import string
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from videre.metrics.choice import Choice, tally
from videre.metrics.interval import Share

_MARKS = string.punctuation + "“”‘’«»„…–—。，、！？：；（）「」『』¿¡"

Match = Callable[[str, str], bool]
"""(reply, answer) -> whether they count as the same."""


def same_text(reply: str, answer: str) -> bool:
    """Whether the two texts are equal, character for character: ActivityNet-QA's own rule.

    Source: ActivityNet-QA, `evaluation/eval.py` (b28aadd, Apache-2.0); MA-LMM for the same benchmark.
    """
    return reply == answer


def same_words(reply: str, answer: str) -> bool:
    """Whether the words are equal, without case, punctuation at word ends, and articles.

    >>> same_words("A dog.", "dog")
    True
    """
    return words(reply) == words(answer)


def same_first_word(reply: str, answer: str) -> bool:
    """Whether the first word of the reply is the answer, without case and punctuation: MSVD-QA and MSRVTT-QA.

    >>> same_first_word("dog running", "dog")
    True

    Source: MA-LMM, open-ended QA on MSVD and MSRVTT: the prediction is cut to its first word.
    Differs: articles before the first word are skipped, and case does not matter.
    """
    said = words(reply)
    return bool(said) and [said[0]] == words(answer)


def words(text: str) -> list[str]:
    """Lower-case words without articles and without punctuation around them.

    >>> words("The man's dog, outside.")
    ["man's", 'dog', 'outside']
    """
    bare = (word.strip(_MARKS).replace("’", "'") for word in re.split(r"\s+", text.casefold()))
    return [word for word in bare if word and word not in {"a", "an", "the"}]


MATCHES: Mapping[str, Match] = MappingProxyType(
    {"exact": same_text, "words": same_words, "first-word": same_first_word}
)
"""Every rule by name."""


def matched(
    replies: Sequence[str | None],
    answers: Sequence[str],
    *,
    match: Match = same_words,
    kinds: Sequence[str] | None = None,
) -> Choice:
    """Accuracy of short answers, overall and by kind; a missing reply counts as wrong and as unparsed.

    >>> matched(["Dog.", None], ["dog", "cat"]).micro
    0.5
    """
    if len(replies) != len(answers):
        raise ValueError(f"one reply an item: {len(replies)} replies, {len(answers)} answers")
    marks = [said is not None and match(said, answer) for said, answer in zip(replies, answers, strict=True)]
    return tally(marks, kinds=kinds, n_unparsed=sum(said is None for said in replies))


ACTIVITYNET_KINDS = (
    "Motion",
    "Spatial Relation",
    "Temporal Relation",
    *("Yes/No", "Color", "Object", "Location", "Number", "Other"),
)
"""ActivityNet-QA's types 0 to 8; those from 3 on are its "Free" questions."""


def activitynet_shares(marks: Sequence[bool], types: Sequence[int]) -> dict[str, Share]:
    """Accuracy under the names of ActivityNet-QA's report: each type that occurs, `Free` and `All`.

    Source: ActivityNet-QA, `evaluation/eval.py` (b28aadd, Apache-2.0).
    Differs: the official script takes "Free" from the order in which types occur in the file; here it is types 3-8.
    """
    pairs = list(zip(marks, types, strict=True))
    groups = {name: [mark for mark, kind in pairs if kind == i] for i, name in enumerate(ACTIVITYNET_KINDS)}
    groups |= {"Free": [mark for mark, kind in pairs if kind >= 3], "All": list(marks)}
    return {name: Share(sum(map(bool, some)), len(some)) for name, some in groups.items() if some}
