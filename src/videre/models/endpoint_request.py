"""The body of a request, in the form that a server takes."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from videre.errors import ModelError
from videre.models.endpoint_parts import Part, without_uuid
from videre.types import JSON

_REFUSES = (
    r"unsupported|unknown|unrecognized|unexpected|not (?:supported|permitted|allowed)|does not support|extra inputs"
)
_FIELDS = ("uuid", "max_tokens", "temperature", "response_format")


@dataclass(frozen=True)
class Form:
    """How requests to one model are written.

    Attributes:
        model: its name on the server.
        extra: fields that the user adds; they win over ours.
        refused: fields of ours that this server has refused by name. `uuid` only names bytes, `max_tokens` has a
            newer name, and where `temperature` is refused the server decides; the card then says so.
    """

    model: str
    extra: Mapping[str, JSON] = field(default_factory=dict)
    refused: frozenset[str] = frozenset()

    def body(self, parts: Sequence[Part], max_tokens: int, more: Mapping[str, JSON]) -> bytes:
        """One user message as JSON. Half a surrogate pair cannot travel as UTF-8 and becomes a question mark."""
        content = [without_uuid(part) for part in parts] if "uuid" in self.refused else list(parts)
        length = "max_completion_tokens" if "max_tokens" in self.refused else "max_tokens"
        heat = {} if "temperature" in self.refused else {"temperature": 0}
        fields = {"model": self.model, "messages": [{"role": "user", "content": content}], length: max_tokens}
        kept = {name: value for name, value in more.items() if name not in self.refused}
        whole = {**fields, **heat, **kept, **self.extra}
        return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")

    def refused_in(self, error: ModelError) -> frozenset[str]:
        """The fields of this form that a server refused by name."""
        said = str(error).lower()
        if error.code != "refused_request" or not re.search(_REFUSES, said):
            return frozenset()
        return frozenset(name for name in _FIELDS if re.search(rf"\b{name}\b", said)) - self.refused

    def without(self, fields: frozenset[str]) -> "Form":
        """This form for a server that refuses these fields too."""
        return replace(self, refused=self.refused | fields)

    def card(self) -> dict[str, JSON]:
        """What the run card says of it."""
        heat = {"temperature": "the server's own"} if "temperature" in self.refused else {"temperature": 0}
        return {**heat, "extra": dict(self.extra), "left_out": sorted(self.refused)}
