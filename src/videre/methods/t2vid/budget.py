"""What a sample costs in a model's context, counted by its own processor, as training and asking will show it.

Source: section 3.3 of arXiv 2411.19951 drops samples that are too long.
Differs: the official filters multiply by constants (96 or 169 tokens a picture) and count words apart from tags.
"""

from functools import lru_cache
from typing import Any

import numpy as np

from videre.models.mllm import load_processor
from videre.models.prompt import Prompter
from videre.models.weights import find
from videre.types import Frames


class Budget:
    """Counts tokens with the processor of a checkpoint; no weight is read.

    Args:
        model: a folder or a hub id.
        page_px: width and height of a page.

    Raises:
        ModelError: as `videre.models.mllm.load`.
    """

    def __init__(self, model: str, *, page_px: tuple[int, int]) -> None:
        import transformers

        checkpoint = find(model, revision=None, trust_remote_code=False, weights=False)
        self._prompter = Prompter(load_processor(checkpoint))
        self._size_px = page_px
        config: Any = transformers.AutoConfig.from_pretrained(checkpoint.folder, local_files_only=True)
        self.context_tokens: int | None = getattr(config.get_text_config(), "max_position_embeddings", None)
        self._head = lru_cache(maxsize=None)(self._head_tokens)

    def tokens(self, pages: int, question: str, answer: str) -> int:
        """Tokens of a whole sample: so many pages, the question and the answer with its end."""
        empty = self._prompter.read([_blank(1, (2, 2))])
        rest = self._prompter.question(empty, question)
        return self._head(pages) + len(rest) + len(self._prompter.reply(answer, end=True))

    def _head_tokens(self, pages: int) -> int:
        prompt = self._prompter.read([_blank(pages, self._size_px)])
        return int(prompt.inputs["input_ids"].shape[1])


def _blank(count: int, size_px: tuple[int, int]) -> Frames:
    width, height = size_px
    return Frames(np.full((count, 3, height, width), 255, np.uint8), np.arange(count, dtype=np.float64))
