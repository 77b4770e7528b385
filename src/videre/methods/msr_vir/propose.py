"""Several policies for one question: drawn from a parser under perspectives, and where wished those of the rules."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from videre.errors import DataError
from videre.methods.msr_vir import rules
from videre.methods.msr_vir.paper import exported
from videre.methods.msr_vir.parse import Held, read_reply
from videre.methods.msr_vir.policy import Detect, Policy
from videre.methods.msr_vir.profile import DEFAULT, Profile
from videre.methods.msr_vir.prompts import PERSPECTIVES, prompt
from videre.types import JSON


@dataclass(frozen=True)
class Proposing:
    """How policies are proposed.

    Attributes:
        count: replies that are drawn from the parser for each question.
        temperature: of the drawing.
        seed: of the drawing.
        max_tokens: of a reply.
        rules: add the policy of the rules, the raw question and the whole video: for a parser that writes few valid
            policies yet.
        held: hold the parser's replies to the schema, so that all but those cut off are policies.
    """

    count: int = 4
    temperature: float = 0.9
    seed: int = 0
    max_tokens: int = 400
    rules: bool = False
    held: bool = False


def proposed(parser: Any, id: str, question: str, how: Proposing, *, profile: Profile = DEFAULT) -> list[JSON]:
    """Candidates as `{"text", "policy", "drawn"}`, each policy once with how often it was drawn.

    A reply that is none keeps its text and has no policy.
    """
    found: dict[str, dict[str, JSON]] = {}
    writer = Held(parser, profile.dialect, canonical=True) if how.held else parser
    for i in range(how.count):
        perspective = PERSPECTIVES[i % len(PERSPECTIVES)]
        asked = prompt(question, perspective=perspective, dialect=profile.dialect)
        seed = int(hashlib.sha256(f"{how.seed}/{id}/{i}".encode()).hexdigest()[:8], 16)
        raw = writer.generate(asked, max_tokens=how.max_tokens, temperature=how.temperature, seed=seed)
        told = _read(raw, profile)
        known = found.setdefault(str(told["policy"] or told["text"]), {**told, "drawn": 0})
        known["drawn"] += 1
    for policy in _known(question) if how.rules else ():
        found.setdefault(policy.id, {"text": spelled(policy, profile), "policy": policy.id, "drawn": 0})
    return list(found.values())


def spelled(policy: Policy, profile: Profile) -> str:
    """What the parser should write for a policy: compact JSON in the dialect of the profile."""
    if profile.dialect == "paper/0":
        return json.dumps(exported(policy), separators=(",", ":"))
    return policy.canonical


def _read(raw: str, profile: Profile) -> dict[str, JSON]:
    try:
        policy, _ = read_reply(raw, dialect=profile.dialect)
        return {"text": spelled(policy, profile), "policy": policy.id}
    except DataError:
        return {"text": raw[:2000] or "{}", "policy": ""}


def _known(question: str) -> list[Policy]:
    return [rules.parse(question), Policy(temporal=Detect(query=question[:160])), Policy()]
