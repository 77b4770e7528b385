"""TempCompass's own matching rules for three of its tasks; None where it would ask a judge.

Source: TempCompass, `eval_multi-choice.py`, `eval_yes_no.py` and `eval_caption_matching.py` (75361fd). The rules are
written from their description; captioning needs a judge throughout.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType


def multi_choice_right(reply: str, answer: str) -> bool | None:
    """Whether a reply is right: equal text, a bare letter, or a letter followed by a dot or a bracket.

    Args:
        reply: what the model said.
        answer: the right option with its letter, "A. dunking a basketball".

    >>> multi_choice_right("B) dribbling", "A. dunking a basketball")
    False
    """
    text = _cleaned(reply)
    if text == answer:
        return True
    named = re.match(r"[ABCD](?:\Z|[.)])", text)
    return text[0] == answer[0] if named else None


def yes_no_right(reply: str, answer: str) -> bool | None:
    """Whether a reply that starts with yes or no starts with the answer, "yes" or "no".

    >>> yes_no_right("Yes, it does.", "yes")
    True
    """
    named = re.match(r"yes|no", _cleaned(reply).lower())
    return named.group() == answer if named else None


def caption_matching_right(reply: str, answer: str, question: str) -> bool | None:
    """Whether a reply names the right sentence: a whole option line, its sentence, or its name.

    Args:
        reply: what the model said.
        answer: the right option line, "Caption A: a man runs".
        question: the question with one option line after another below it.
    """
    text, found = _cleaned(reply), None
    lines = [line.split(": ", 1) for line in question.split("\n")[1:] if ": " in line]
    after = text.split(") ")[1] if ") " in text else None
    for name, sentence in lines:
        if text in (f"{name}: {sentence}", sentence, name) or after == sentence or text.replace(".", "") == name:
            found = name
    return None if found is None else found == answer.split(":")[0]


Rule = Callable[[str, str, str], bool | None]
"""(reply, answer, question) -> whether it is right; None where a judge is asked."""

TASKS: Mapping[str, Rule] = MappingProxyType({
    "multi-choice": lambda reply, answer, question: multi_choice_right(reply, answer),
    "yes_no": lambda reply, answer, question: yes_no_right(reply, answer),
    "caption_matching": caption_matching_right,
})  # fmt: skip
"""The rule of each task by its official name."""


def _cleaned(reply: str) -> str:
    return reply.replace("</s>", "")
