"""Judges: the prompts they are asked, and what their replies mean. The calls are made elsewhere; raw replies are kept.

A reply that cannot be read is never a silent 0: it is counted as unread, and a score is given with and without it.
"""

import ast
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from videre.errors import ConfigError, DataError
from videre.metrics.interval import Share, bootstrap

ASPECTS = ("correctness", "detail", "context", "temporal", "consistency")
"""The five aspects of Video-ChatGPT's generative benchmark, each a prompt of that name."""


@dataclass(frozen=True)
class Verdict:
    """What a judge said: right or not, and a score of 0 to 5; None for what it did not say."""

    right: bool | None = None
    score: float | None = None


@dataclass(frozen=True)
class Judged:
    """Judged items.

    Attributes:
        accuracy: items called right, of all; unread ones count as wrong.
        accuracy_of_read: items called right, of those with a readable verdict: the published convention.
        score: the mean score over readable ones, 0 to 5.
        score_interval: its 95 % bootstrap interval.
        n_items: all items.
        n_unread: items whose reply held no verdict at all, or that have none.
    """

    accuracy: Share
    accuracy_of_read: Share
    score: float
    score_interval: tuple[float, float]
    n_items: int
    n_unread: int


def prompt(name_or_path: str | Path, **fields: str) -> str:
    """The prompt of a judge with its fields filled in: a shipped one by name, or any text file.

    The shipped prompts (`qa`, `option`, and the five `ASPECTS`) are our own words in the published protocol. Numbers
    depend on the wording: to compare with a paper, pass the file of its prompt, with `$question` and so on.

    Raises:
        ConfigError: no prompt of that name, or a field of it was not given.
    """
    text = _template(name_or_path)
    missing = sorted(set(Template(text).get_identifiers()) - set(fields))
    if missing:
        raise ConfigError(f"prompt {name_or_path} needs the fields {', '.join(missing)}")
    return Template(text).substitute(fields)


def read_verdict(reply: str) -> Verdict:
    """Yes or no and a score from a judge's reply: a Python or JSON dict with `pred` and `score`, or plain words.

    >>> read_verdict("{'pred': 'yes', 'score': 4.8}")
    Verdict(right=True, score=4.8)
    >>> read_verdict("I cannot say")
    Verdict(right=None, score=None)

    Source: Video-ChatGPT's protocol: {'pred': 'yes' or 'no', 'score': 0 to 5}.
    Differs: scores are kept as they are; upstream cuts them to whole numbers, see `summarise`.
    """
    found = _mapping(reply)
    if found is not None:
        return Verdict(_yes(found.get("pred")), _score(found.get("score")))
    said = re.match(r"\W*(yes|no)\b", reply, re.IGNORECASE)
    number = re.fullmatch(r"\D*?([0-5](?:\.\d+)?)(?:\s*/\s*5)?\D*", reply)
    return Verdict(_yes(said[1]) if said else None, _score(number[1]) if number else None)


def read_option_reply(reply: str, options: Mapping[str, str]) -> str | None:
    """The letter that a judge chose, "Z" for "none of them", or None where its reply cannot be read.

    One option letter among the words decides, except an A in a reply of more than three words, which may be an
    article; else the only option whose text the reply contains.

    Args:
        reply: what the judge said.
        options: text by letter.

    Source: VLMEvalKit, `can_infer` (Apache-2.0), as T2Vid uses it.
    """
    tokens = re.sub(r"[.()\[\],:;!*#{}]", " ", reply).split()
    named = [name for name in options if name in tokens]
    if len(named) == 1:
        if "A" not in tokens or len(tokens) <= 3:
            return named[0]
    elif not named and "Z" in tokens:
        return "Z"
    contained = [name for name, text in options.items() if text.lower() in reply.lower()]
    return contained[0] if len(contained) == 1 else None


def summarise(verdicts: Sequence[Verdict | None], *, whole_scores: bool = False) -> Judged:
    """Accuracy and mean score of judged items.

    Args:
        verdicts: one an item; None where the judge could not be asked.
        whole_scores: cut each score to a whole number, as Video-ChatGPT's code does, for comparison.
    """
    rights = [v.right for v in verdicts if v is not None and v.right is not None]
    scores = [v.score for v in verdicts if v is not None and v.score is not None]
    scores = [float(math.trunc(score)) for score in scores] if whole_scores else scores
    unread = sum(v is None or (v.right is None and v.score is None) for v in verdicts)
    return Judged(
        accuracy=Share(sum(rights), len(verdicts)),
        accuracy_of_read=Share(sum(rights), len(rights)),
        score=sum(scores) / len(scores) if scores else math.nan,
        score_interval=bootstrap(scores),
        n_items=len(verdicts),
        n_unread=unread,
    )


def _template(name_or_path: str | Path) -> str:
    path = Path(name_or_path)
    if path.suffix:
        if not path.is_file():
            raise DataError(f"no prompt file at {path}")
        return path.read_text(encoding="utf-8")
    folder = resources.files("videre.metrics") / "prompts"
    names = sorted(entry.name.removesuffix(".txt") for entry in folder.iterdir() if entry.name.endswith(".txt"))
    if str(name_or_path) not in names:
        raise ConfigError(f"no prompt is called {name_or_path!r}: there are {', '.join(names)}, or pass a .txt file")
    return (folder / f"{name_or_path}.txt").read_text(encoding="utf-8")


def _mapping(reply: str) -> Mapping[str, Any] | None:
    """The first dict in a reply, read as JSON or as Python; keys in lower case."""
    for text in re.findall(r"\{[^{}]*\}", reply):
        for read in (json.loads, ast.literal_eval):
            try:
                found = read(text.replace("''", "'"))
            except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
                continue
            if isinstance(found, dict):
                return {str(key).lower(): value for key, value in found.items()}
    return None


def _yes(value: object) -> bool | None:
    word = str(value).strip().strip(".'\"").lower()
    return {"yes": True, "true": True, "no": False, "false": False}.get(word)


def _score(value: object) -> float | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if 0 <= number <= 5 else None
