"""The side of words: what the queries saw stands before the question, and a decoder-only language model goes on.

The prompt is `[queries ; question]`, as InstructBLIP has it; where the tokenizer brings a chat template, the queries
stand at the start of the user's turn. What a person writes is text: a special token in it stays text.

Axes: `Q` visual tokens, `L` text tokens, `E` width of the language model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from videre.models.prompt import check_length
from videre.models.session import memory_named

QUESTION = "VIDERE-QUESTION"


@dataclass(frozen=True)
class Writing:
    """How replies are written.

    Attributes:
        answer_tokens: most tokens of a reply.
        beams: 1 is greedy; with more, the beams are the ordered guesses of an answer.
        repetition_penalty: above 1, words that were said become less likely.
        length_penalty: above 0, beams may be long; the released code takes 0 for short answers.

    Source: official settings: 5 beams, repetition penalty 1.5.
    """

    answer_tokens: int = 128
    beams: int = 1
    repetition_penalty: float = 1.0
    length_penalty: float = 1.0


class Voice:
    """A language model with its tokenizer.

    Args:
        network: a causal language model of transformers.
        tokenizer: its tokenizer.
    """

    def __init__(self, network: Any, tokenizer: Any) -> None:
        self.network = network
        self.tokenizer = tokenizer
        self._template = self._turn()

    def prompt(self, visual: Float[Tensor, "1 Q E"], text: str) -> Float[Tensor, "1 L E"]:
        """The embeddings of visual tokens and question."""
        if self._template is None:  # The question as the tokenizer begins a text.
            before, after = [], self.tokenizer(text, split_special_tokens=True)["input_ids"]
        else:
            before, after = self._ids(self._template[0]), self._plain(text) + self._ids(self._template[1])
        parts = (self._embedded(before), visual.to(self.network.dtype), self._embedded(after))
        return torch.cat(parts, 1)

    def reply(self, prompt: Float[Tensor, "1 L E"], writing: Writing) -> list[list[int]]:
        """The replies, best first: one, or as many as there are beams."""
        self._check(prompt.shape[1] + writing.answer_tokens)
        with torch.no_grad(), memory_named():
            out = self.network.generate(
                inputs_embeds=prompt,
                attention_mask=torch.ones(prompt.shape[:2], dtype=torch.long, device=prompt.device),
                max_new_tokens=writing.answer_tokens,
                do_sample=False,
                num_beams=writing.beams,
                num_return_sequences=writing.beams,
                repetition_penalty=writing.repetition_penalty,
                length_penalty=writing.length_penalty if writing.beams > 1 else None,
                temperature=None,
                top_p=None,
                top_k=None,
                pad_token_id=self._pad(),
            )
        return out.tolist()

    def losses(self, prompt: Float[Tensor, "1 L E"], target: str, *, end: bool = False) -> Float[Tensor, " L2"]:
        """Cross-entropy of each token of a reply, with gradients; with `end`, that of the token that closes it too."""
        ids = [*self._plain(target), *([self.tokenizer.eos_token_id] if end else [])]
        if not ids:
            raise ValueError("the reply to score or to learn is an empty text")
        self._check(prompt.shape[1] + len(ids))
        whole = torch.cat([prompt, self._embedded(ids[:-1])], 1)
        with memory_named():
            logits = self.network(inputs_embeds=whole, use_cache=False, logits_to_keep=len(ids)).logits[0]
        wanted = torch.tensor(ids, device=logits.device)
        return torch.nn.functional.cross_entropy(logits.float(), wanted, reduction="none")

    def said(self, reply: Sequence[int]) -> str:
        """The text of a reply."""
        return self.tokenizer.decode(reply, skip_special_tokens=True).strip()

    def _turn(self) -> tuple[str, str] | None:
        """What the template writes before the visual tokens and after the question; None without one."""
        if not getattr(self.tokenizer, "chat_template", None):
            return None
        told = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": QUESTION}], add_generation_prompt=True, tokenize=False
        )
        before, _, after = told.partition(QUESTION)
        return before, after

    def _ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"] if text else []

    def _plain(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]

    def _embedded(self, ids: Sequence[int]) -> Float[Tensor, "1 L E"]:
        table = self.network.get_input_embeddings()
        return table(torch.tensor([list(ids)], dtype=torch.long, device=table.weight.device))

    def _check(self, tokens: int) -> None:
        check_length(tokens, self.network.config)

    def _pad(self) -> int:
        found = self.tokenizer.pad_token_id
        return int(self.tokenizer.eos_token_id if found is None else found)
