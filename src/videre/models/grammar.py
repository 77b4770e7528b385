"""Decoding that is held to a JSON schema: of the next tokens, only those that can still become such an object.

The work is llguidance's (the extra `parser`), which knows the vocabulary of any fast tokenizer. Optional parts of an
object come in the order of the schema. A schema tells no depth: the limit on tokens does.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from videre.errors import ConfigError, ModelError
from videre.types import JSON

try:
    import llguidance
    from llguidance.hf import from_tokenizer
except ImportError as error:
    raise ModelError(
        "replies of a local model are held to a schema by llguidance: pip install 'videre[parser]'", code="install"
    ) from error

import torch


class Grammar:
    """The schemas of one tokenizer, as processors of logits.

    Args:
        tokenizer: a fast tokenizer of transformers.
        width: entries of the logits, which a model may pad beyond its vocabulary.

    Raises:
        ModelError: the tokenizer is a slow one (code "load").
    """

    def __init__(self, tokenizer: Any, *, width: int) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise ModelError(f"a reply is held to a schema with fast tokenizers only, not {type(tokenizer).__name__}")
        self._tokenizer = from_tokenizer(tokenizer, n_vocab=max(width, len(tokenizer)), slices=[])

    def held(self, schema: Mapping[str, JSON], *, start: list[int]) -> "HeldTo":
        """A processor for one reply.

        Args:
            schema: a JSON schema; spaces between its parts are not written.
            start: tokens that the reply begins with already, after the prompt.

        Raises:
            ConfigError: it is no schema that can be decoded, or the start is no beginning of it.
        """
        given = llguidance.LLMatcher.grammar_from_json_schema(
            json.dumps(schema), overrides={"whitespace_flexible": False}
        )
        matcher = llguidance.LLMatcher(self._tokenizer, given)
        if matcher.is_error() or not matcher.consume_tokens(start):
            raise ConfigError(f"a reply cannot be held to this schema: {matcher.get_error()}", code="schema")
        return HeldTo(matcher, self._tokenizer.vocab_size)


class HeldTo:
    """What `generate` of transformers calls before each token, for a batch of one."""

    def __init__(self, matcher: Any, size: int) -> None:
        self._matcher, self._size = matcher, size
        self._seen = -1

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """The scores, minus infinity for each token that leads out of the schema."""
        if self._seen >= 0:
            self._matcher.consume_tokens(ids[0, self._seen :].tolist())
        self._seen = ids.shape[1]
        bits = np.unpackbits(np.frombuffer(self._matcher.compute_bitmask(), np.uint8), bitorder="little")
        banned = torch.from_numpy(bits[: scores.shape[-1]] == 0).to(scores.device)
        return scores.masked_fill(banned, -torch.inf)
