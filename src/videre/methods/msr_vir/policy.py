"""The policy: a small typed tree that says what to look for, and where in time and in the frame.

>>> read({"temporal": {"op": "detect", "query": "a ball falls"}}).id
'a4af728aca2bf747'

Source: MSR-ViR sections 3.2 and appendix C; the operators position, within, pad and region are our own.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from videre.errors import DataError
from videre.types import JSON

VERSION = "msrvir.policy/1"
DEEPEST = 6
MOST_NODES = 16
Query = Annotated[str, Field(min_length=1, max_length=160, pattern=r"\S")]
Seconds = Annotated[float, Field(ge=0, le=60)]


class Node(BaseModel):
    """What all operators share: frozen, no extra keys, no number that is not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Whole(Node):
    """The whole window."""

    op: Literal["whole"] = "whole"


class Detect(Node):
    """The best span of an action inside the window."""

    op: Literal["detect"] = "detect"
    query: Query


class Position(Node):
    """The start, middle or end of the window."""

    op: Literal["position"] = "position"
    where: Literal["start", "middle", "end"]
    fraction: Annotated[float, Field(gt=0, le=1)] = 0.4


class Relate(Node):
    """A span beside another: of the same length, or the rest of the video."""

    op: Literal["relate"] = "relate"
    relation: Literal["when", "while", "as", "after", "before"]
    of: "Temporal"
    window: Literal["same", "rest"] = "same"


class Between(Node):
    """The hull of two spans, or the gap between them."""

    op: Literal["between"] = "between"
    a: "Temporal"
    b: "Temporal"
    mode: Literal["hull", "gap"] = "hull"


class Within(Node):
    """The inner expression, with the outer one as its window."""

    op: Literal["within"] = "within"
    outer: "Temporal"
    inner: "Temporal"


class Pad(Node):
    """A span made wider, for causes and effects."""

    op: Literal["pad"] = "pad"
    of: "Temporal"
    before: Seconds = 0.0
    after: Seconds = 0.0


class Locate(Node):
    """The box of an object."""

    op: Literal["locate"] = "locate"
    query: Query


class RelateBox(Node):
    """The place beside a box."""

    op: Literal["relate_box"] = "relate_box"
    relation: Annotated[str, Field(min_length=1, max_length=40, pattern=r"\S")]
    of: "Spatial"


class Region(Node):
    """The detection on one side of the frame."""

    op: Literal["region"] = "region"
    side: Literal["left", "right", "top", "bottom", "middle"]
    of: "Spatial"


Temporal = Annotated[Whole | Detect | Position | Relate | Between | Within | Pad, Field(discriminator="op")]
Spatial = Annotated[Locate | RelateBox | Region, Field(discriminator="op")]


class Policy(Node):
    """A whole policy: one temporal expression and up to four places whose union is the crop."""

    version: Literal["msrvir.policy/1"] = "msrvir.policy/1"
    temporal: Temporal = Whole()
    spatial: Annotated[tuple[Spatial, ...], Field(max_length=4)] = ()

    @model_validator(mode="after")
    def _small(self) -> "Policy":
        count = sum(1 for root in (self.temporal, *self.spatial) for _ in walk(root))
        if count > MOST_NODES:
            raise ValueError(f"{count} nodes, at most {MOST_NODES}")
        return self

    @cached_property
    def canonical(self) -> str:
        """The one spelling of this policy, as compact JSON with sorted keys."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))

    @cached_property
    def id(self) -> str:
        """16 hex digits that name it."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()[:16]


def walk(node: Node) -> Iterator[Node]:
    """A node and all below it."""
    yield node
    for name in type(node).model_fields:
        child = getattr(node, name)
        if isinstance(child, Node):
            yield from walk(child)


def read(data: JSON) -> Policy:
    """The policy that a JSON object spells, in this language or in the paper's.

    Raises:
        DataError: it is no policy; the message names the place in it (code "bad_policy").
    """
    from videre.methods.msr_vir.paper import is_paper, translated

    if not isinstance(data, Mapping):
        raise DataError(f"policy: expected an object, got {type(data).__name__}", code="bad_policy")
    _check_depth(data)
    try:
        return Policy.model_validate(translated(data) if is_paper(data) else data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "root"
        raise DataError(f"policy: {place}: {first['msg']}", code="bad_policy") from error


def json_schema(*, canonical: bool = False) -> dict[str, JSON]:
    """The JSON schema of a policy, for decoding that is held to it: by a server, or by `videre.models.grammar`.

    Differs: pydantic's says `oneOf`, which decoders cannot follow through operators that hold operators, and leaves
    `op` out of what must be there. Depth and the number of nodes are told by no schema.

    Args:
        canonical: every key is there, in the order of `Policy.canonical`, which is what a trained parser writes; else
            the order is that of the prompt, and what has a default may be left out.
    """
    return _decodable(Policy.model_json_schema(), canonical)


def _decodable(schema: JSON, canonical: bool) -> Any:
    if isinstance(schema, Mapping):
        told = {k: v for k, v in schema.items() if k not in ("discriminator", "default")}
        found = {"anyOf" if k == "oneOf" else k: _decodable(v, canonical) for k, v in told.items()}
        properties = found.get("properties", {})
        if properties and canonical:
            found |= {"properties": dict(sorted(properties.items())), "required": sorted(properties)}
        elif "op" in properties:
            found["required"] = ["op", *(name for name in found.get("required", ()) if name != "op")]
        return found
    return [_decodable(part, canonical) for part in schema] if isinstance(schema, list) else schema


def in_words(node: Node) -> str:
    """An expression as a person would say it."""
    match node:
        case Whole():
            return "the whole video"
        case Detect():
            return f'the moment of "{node.query}"'
        case Position():
            return f"the {node.where} ({node.fraction:.0%})"
        case Relate():
            return f"{node.relation} {in_words(node.of)}" + (" to the rest" if node.window == "rest" else "")
        case Between():
            both = f"{in_words(node.a)} and {in_words(node.b)}"
            return f"between {both}" if node.mode == "gap" else f"from {both} together"
        case Within():
            return f"{in_words(node.inner)}, inside {in_words(node.outer)}"
        case Pad():
            return f"{in_words(node.of)}, {node.before:g} s before to {node.after:g} s after"
        case Locate():
            return f'the "{node.query}"'
        case RelateBox():
            return f"{node.relation} {in_words(node.of)}"
        case Region():
            return f"{in_words(node.of)} on the {node.side} of the frame"
    raise TypeError(f"no operator: {node!r}")


def plan_in_words(policy: Policy) -> str:
    """What a policy looks for, when and then where."""
    return "; ".join(map(in_words, (policy.temporal, *policy.spatial)))


def _check_depth(data: Mapping[str, JSON]) -> None:
    most = DEEPEST + ("temporal_localizer" in data or "spatial_localizer" in data)  # The roots of the paper count none.
    stack: list[tuple[JSON, int, str]] = [(data, 0, "root")]
    while stack:
        value, depth, place = stack.pop()
        depth += isinstance(value, Mapping) and ("op" in value or "module" in value)
        if depth > most:
            raise DataError(f"policy: {place}: deeper than {DEEPEST} operators", code="bad_policy")
        children = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
        stack += [(child, depth, f"{place}.{key}") for key, child in children]
