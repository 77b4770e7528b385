"""A question to a policy, by a language model or by rules: a ladder that always ends in a policy, never in an error."""

import ast
import json
import re
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from videre.errors import DataError
from videre.methods.msr_vir import rules
from videre.methods.msr_vir.paper import exported
from videre.methods.msr_vir.policy import Policy, json_schema, read
from videre.methods.msr_vir.profile import DEFAULT, Profile
from videre.methods.msr_vir.prompts import prompt
from videre.types import JSON

LONGEST_REPLY = 20_000
DEEPEST_REPLY = 40


@runtime_checkable
class Writer(Protocol):
    """Anything that writes text after a prompt: a local text model, a server, or an MLLM without frames."""

    def generate(self, prompt: str, *, max_tokens: int = 128) -> str:
        """The text."""
        ...


@dataclass(frozen=True)
class Held:
    """A `Writer` that is held to the JSON schema of a policy while it writes, where it can be.

    Args:
        model: `videre.models.text.TextLLM` or `videre.models.endpoint.Endpoint`.
        dialect: the paper's spelling has no schema, so that only our own is held.
        canonical: as in `policy.json_schema`; for a parser that was trained here.
    """

    model: Any
    dialect: str = "policy/1"
    canonical: bool = False

    def generate(self, prompt: str, *, max_tokens: int = 128, **drawing: Any) -> str:
        """The text."""
        schema = json_schema(canonical=self.canonical) if self.dialect == "policy/1" else None
        return self.model.generate(prompt, max_tokens=max_tokens, schema=schema, **drawing)


@dataclass(frozen=True)
class Parsed:
    """A policy and how it came about: status ok, repaired, retried, rule or whole."""

    policy: Policy
    status: str
    errors: tuple[str, ...] = ()
    raw: str = ""


def parse(
    question: str,
    writer: Writer | None = None,
    *,
    perspective: str = "none",
    profile: Profile = DEFAULT,
    max_tokens: int = 400,
) -> Parsed:
    """The policy of a question: written by a model, asked again once, else by rules, else the whole video.

    In the paper's profile a model writes the paper's dialect, once; what is none of it ends in the whole video.
    """
    errors: list[str] = []
    raw = ""
    asked = prompt(question, perspective=perspective, dialect=profile.dialect)
    for attempt in range(1 + profile.retries if writer else 0):
        again = f"\nThe last object was refused: {errors[-1]}\nJSON:" if attempt else ""
        raw = writer.generate(asked + again, max_tokens=max_tokens) if writer else ""
        try:
            policy, status = read_reply(raw, dialect=profile.dialect)
            return Parsed(policy, "retried" if attempt else status, tuple(errors), raw)
        except DataError as error:
            errors.append(str(error))
    return _without_model(question, tuple(errors), raw, profile, has_writer=writer is not None)


def _without_model(question: str, errors: tuple[str, ...], raw: str, profile: Profile, *, has_writer: bool) -> Parsed:
    if has_writer and not profile.rules:
        return Parsed(Policy(), "whole", errors, raw)
    try:
        policy = rules.parse(question)
        if profile.dialect == "paper/0":
            exported(policy)
    except DataError as error:
        return Parsed(Policy(), "whole", (*errors, str(error)), raw)
    is_whole = policy == Policy()
    return Parsed(policy, "whole" if is_whole else "rule", errors, raw)


def read_reply(text: str, *, dialect: str = "policy/1") -> tuple[Policy, str]:
    """The policy in a reply and whether it was "ok" or "repaired". Nothing in the reply is ever run.

    Both spellings are read; with the dialect `paper/0` the policy must be one that the paper can spell.

    Raises:
        DataError: there is no policy in it (code "bad_policy").
    """
    try:
        policy, status = read(json.loads(text[:LONGEST_REPLY])), "ok"
    except (json.JSONDecodeError, RecursionError):
        policy, status = read(_object(text[:LONGEST_REPLY])), "repaired"
    if dialect == "paper/0":
        exported(policy)
    return policy, status


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
