"""Scores of one-letter options out of the log-probabilities that a server lists."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from videre.types import JSON

TOP_LOGPROBS = 20
"""How many likely tokens a server is asked to list: the most that OpenAI and vLLM give by default."""


def first_tokens(logprobs: JSON) -> dict[str, float] | None:
    """Token -> log-probability for the first token of the reply; None where the server lists none."""
    try:
        rows = logprobs["content"][0]["top_logprobs"]
        found = [(row["token"], float(row["logprob"])) for row in rows]
    except (KeyError, IndexError, TypeError, ValueError, OverflowError):
        return None
    return {token: min(value, 0.0) for token, value in found if isinstance(token, str) and not math.isnan(value)}


def letter_scores(first: Mapping[str, float], options: Sequence[str]) -> Float[np.ndarray, " K"]:
    """The probability of a letter is that of all tokens that are this letter, with or without a space before it."""
    scores = np.full(len(options), -np.inf)
    for i, option in enumerate(options):
        for token, value in first.items():
            if token.strip(" ▁Ġ\n") == option:
                scores[i] = np.logaddexp(scores[i], value)
    return scores
