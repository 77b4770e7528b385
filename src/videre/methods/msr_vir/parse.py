"""A question to a policy, by a language model or by rules: a ladder that always ends in a policy, never in an error."""

import ast
import json
import re
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from videre.errors import DataError
from videre.methods.msr_vir import rules
from videre.methods.msr_vir.policy import Policy, read
from videre.types import JSON

LONGEST_REPLY = 20_000
DEEPEST_REPLY = 40
PERSPECTIVES = (
    "none",
    "name the anchor event as plainly as possible",
    "look for the moment the asked action itself happens",
    "prefer a wide window and the object asked about",
)
PROMPT = """You plan how to find the evidence for a question about a video. You do not see it and do not answer.
Write one JSON object: {"version": "msrvir.policy/1", "temporal": T, "spatial": [S, ...]}.
Temporal operators: whole | detect(query) | position(where, fraction) | relate(relation, of, window)
| between(a, b, mode) | within(outer, inner) | pad(of, before, after)
Spatial operators: locate(query) | relate_box(relation, of) | region(side, of)
A query is a short visible action or object, never an intention, a cause or an answer.
For "why" and "how" describe the visible event and pad it; for "after X" detect X, not the asked action.
"At the end of the video" is position; "on the left of the video" is region; counting and places: whole, spatial [].
Example: what did the lady do before she sat down?
{"temporal": {"op": "relate", "relation": "before", "of": {"op": "detect", "query": "lady sits down"}},
 "spatial": [{"op": "locate", "query": "lady"}]}
Example: how many people are there?
{"temporal": {"op": "whole"}, "spatial": []}
Perspective: {perspective}
Question: {question}
JSON:"""


@runtime_checkable
class Writer(Protocol):
    """Anything that writes text after a prompt: a local text model, a server, or an MLLM without frames."""

    def generate(self, prompt: str, *, max_tokens: int = 128) -> str:
        """The text."""
        ...


@dataclass(frozen=True)
class Parsed:
    """A policy and how it came about: status ok, repaired, retried, rule or whole."""

    policy: Policy
    status: str
    errors: tuple[str, ...] = ()
    raw: str = ""


def parse(question: str, writer: Writer | None = None, *, perspective: str = "none", max_tokens: int = 400) -> Parsed:
    """The policy of a question: written by a model, asked again once, else by rules, else the whole video."""
    errors: list[str] = []
    raw = ""
    prompt = PROMPT.replace("{perspective}", perspective).replace("{question}", question)
    for attempt in range(2 if writer else 0):
        again = f"\nThe last object was refused: {errors[-1]}\nJSON:" if attempt else ""
        raw = writer.generate(prompt + again, max_tokens=max_tokens) if writer else ""
        try:
            policy, status = read_reply(raw)
            return Parsed(policy, "retried" if attempt else status, tuple(errors), raw)
        except DataError as error:
            errors.append(str(error))
    try:
        policy = rules.parse(question)
    except DataError as error:
        return Parsed(Policy(), "whole", (*errors, str(error)), raw)
    is_whole = policy == Policy()
    return Parsed(policy, "whole" if is_whole else "rule", tuple(errors), raw)


def read_reply(text: str) -> tuple[Policy, str]:
    """The policy in a reply and whether it was "ok" or "repaired". Nothing in the reply is ever run.

    Raises:
        DataError: there is no policy in it (code "bad_policy").
    """
    try:
        return read(json.loads(text[:LONGEST_REPLY])), "ok"
    except (json.JSONDecodeError, RecursionError):
        return read(_object(text[:LONGEST_REPLY])), "repaired"


def _object(text: str) -> Any:
    found = _balanced(text)
    for load in (json.loads, _as_python):
        try:
            return load(found)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    raise DataError("policy: root: no JSON object in the reply", code="bad_policy")


def _as_python(text: str) -> JSON:
    words = {"true": "True", "false": "False", "null": "None"}
    return ast.literal_eval(re.sub(r"\b(true|false|null)\b", lambda found: words[found.group()], text))


def _balanced(text: str) -> str:
    start = text.find("{")
    depth, quote, escaped = 0, "", False
    for place in range(max(start, 0), len(text)):
        mark = text[place]
        if quote:
            quote = "" if mark == quote and not escaped else quote
            escaped = mark == "\\" and not escaped
        elif mark in "\"'":
            quote = mark
        elif mark in "{}":
            depth += 1 if mark == "{" else -1
            if depth == 0:
                return text[start : place + 1]
            if depth > DEEPEST_REPLY:
                break
    raise DataError("policy: root: no whole JSON object in the reply", code="bad_policy")
