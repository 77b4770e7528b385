"""Questions that a model writes for a task: a pool to draw from, in place of templates.

Source: section 2.2 of the paper (the prompt), `question_generation` of the official code (pools for a task).
Differs: numbering is taken off, and a question that is there already is left out, line by line.
"""

import re
from collections.abc import Callable, Sequence

from videre.errors import ModelError
from videre.methods.video_star import prompts
from videre.methods.video_star.templates import drawn

_NUMBERING = re.compile(r"^\s*(?:[-*•]|\(?\d{1,3}[.):])\s*")


def pool(
    say: Callable[[str], str], labels: Sequence[str], task: str, *, count: int = 50, shown: int = 20, tries: int = 20
) -> list[str]:
    """At least `count` different questions for labels of a task.

    Args:
        say: a model: prompt in, text out.
        labels: the class names, or label texts of the set.
        task: what they were made for.
        count: how many questions.
        shown: labels shown at a time.
        tries: calls before it is given up.

    Raises:
        ModelError: the model wrote fewer than ten in all its tries (code "few_questions").
    """
    found: dict[str, str] = {}
    for number in range(tries):
        if len(found) >= count:
            break
        start = drawn(f"labels/{number}", len(labels))
        some = [labels[(start + i) % len(labels)] for i in range(min(shown, len(labels)))]
        for question in read(say(prompts.questions({"labels": some}, task))):
            found.setdefault(re.sub(r"\W+", " ", question.lower()).strip(), question)
    if len(found) < min(10, count):
        raise ModelError(
            f"the model wrote {len(found)} questions in {tries} tries; use the templates", code="few_questions"
        )
    return list(found.values())[:count]


def read(reply: str) -> list[str]:
    """The questions of a reply, one a line, without numbering; braces would be taken for places to fill in."""
    lines = (_NUMBERING.sub("", line).strip().strip('"') for line in reply.splitlines())
    return [line.replace("{", "(").replace("}", ")") for line in lines if line.endswith("?") and len(line) > 5]
