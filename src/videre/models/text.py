"""Any text-only causal language model of transformers, from a folder or the hub: writes, scores, and can be trained.

>>> model = load("Qwen/Qwen3-1.7B")                            # doctest: +SKIP
>>> model.generate("Name the event before the door opens.")    # doctest: +SKIP

A server behind `videre.models.endpoint` has the same `name` and `card`; its `generate` takes `max_tokens` and `schema`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from videre import compat
from videre.errors import ModelError
from videre.types import JSON

compat.need_hf()

import torch  # noqa: E402
import transformers  # noqa: E402

from videre.models.loading import card, checked_device, checked_dtype, load_errors, load_network  # noqa: E402
from videre.models.session import memory_named  # noqa: E402
from videre.models.weights import find  # noqa: E402


class TextLLM:
    """A language model that runs here. Made by `load`; `network` and `tokenizer` are the transformers objects.

    Args:
        network: a causal language model of transformers.
        tokenizer: its tokenizer; a chat template is used where there is one.
        name: what records call it.
        card: what the run card says of it.
    """

    def __init__(self, network: Any, tokenizer: Any, *, name: str, card: dict[str, JSON]) -> None:
        self.network = network
        self.tokenizer = tokenizer
        self.name = name
        self.card = card
        self._grammar: Any = None  # The vocabulary as llguidance reads it: a second of work, once.

    def generate(
        self,
        prompt: str,
        *,
        max_tokens: int = 128,
        temperature: float = 0.0,
        seed: int = 0,
        start: str = "",
        schema: Mapping[str, JSON] | None = None,
    ) -> str:
        """Text that follows a prompt.

        Args:
            prompt: one user turn.
            max_tokens: most tokens of the reply.
            temperature: 0 is greedy; above it tokens are drawn.
            seed: of the drawing; the same seed draws the same text and leaves other randomness alone.
            start: words that the reply must begin with; they are part of what comes back.
            schema: a JSON schema that the reply is held to, start included; only `max_tokens` can cut it off.

        Raises:
            ModelError: there is a schema, and llguidance is not installed or the tokenizer is a slow one.
        """
        if temperature < 0:
            raise ValueError(f"temperature is 0 or more, got {temperature}")
        ids = torch.tensor([[*self._prompt(prompt), *self._plain(start)]], device=self.network.device)
        self._check_length(ids.shape[1] + max_tokens)
        choice = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
        drawing = choice if temperature else {"do_sample": False, "temperature": None, "top_k": None, "top_p": None}
        with torch.no_grad(), memory_named(), torch.random.fork_rng(devices=self._devices()):
            torch.manual_seed(seed)
            out = self.network.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=max_tokens,
                pad_token_id=self._pad(),
                **drawing,
                **self._held(schema, start),
            )
        return start + self.tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)

    def score(self, prompt: str, continuations: Sequence[str]) -> Float[np.ndarray, " K"]:
        """Log-probability of each continuation as the whole reply, its end included, summed over its tokens."""
        with torch.no_grad():
            return np.array([-float(self.loss(prompt, text).sum()) for text in continuations], dtype=np.float64)

    def loss(self, prompt: str, target: str, *, end: bool = True) -> Float[torch.Tensor, " L"]:
        """Cross-entropy of each token of `target` after the prompt, with gradients.

        Args:
            prompt: one user turn.
            target: the reply.
            end: the last entry is the token that closes the reply.
        """
        reply = self._plain(target) + ([self.tokenizer.eos_token_id] if end else [])
        if not reply:
            raise ValueError("the target is an empty text")
        ids = torch.tensor([[*self._prompt(prompt), *reply]], device=self.network.device)
        self._check_length(ids.shape[1])
        with memory_named():
            logits = self.network(input_ids=ids, use_cache=False, logits_to_keep=len(reply) + 1).logits[0, :-1]
        return torch.nn.functional.cross_entropy(logits.float(), ids[0, -len(reply) :], reduction="none")

    def _held(self, schema: Mapping[str, JSON] | None, start: str) -> dict[str, Any]:
        if schema is None:
            return {}
        from videre.models.grammar import Grammar

        if self._grammar is None:
            self._grammar = Grammar(self.tokenizer, width=self.network.config.get_text_config().vocab_size)
        return {"logits_processor": [self._grammar.held(schema, start=self._plain(start))]}

    def _prompt(self, prompt: str) -> list[int]:
        if not self.tokenizer.chat_template:
            return self.tokenizer(prompt)["input_ids"]
        text = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], add_generation_prompt=True, tokenize=False, enable_thinking=False
        )
        return self._plain(text)

    def _plain(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def _check_length(self, tokens: int) -> None:
        most = getattr(self.network.config, "max_position_embeddings", None)
        if most and tokens > most:
            raise ModelError(f"{self.name} reads {most} tokens, prompt and reply have {tokens}: shorten the prompt")

    def _pad(self) -> int:
        pad = self.tokenizer.pad_token_id
        return self.tokenizer.eos_token_id if pad is None else pad

    def _devices(self) -> list[Any]:
        return [self.network.device] if self.network.device.type == "cuda" else []


def load(
    name_or_path: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> TextLLM:
    """A text model from a folder or the hub, ready to write.

    Args:
        name_or_path: a folder with `config.json` and `*.safetensors`, or the id of a model on the hub.
        device: `auto` (a GPU where there is one), `cpu`, `cuda:1`, `mps`; `balanced` spreads over several GPUs.
        dtype: `auto` (as in the checkpoint), `float32`, `bfloat16`, `float16`.
        revision: a commit, branch or tag of the hub.
        trust_remote_code: run code that the repository brings along; on the hub only together with a revision.

    Raises:
        ModelError: not found or not installed (exit 5), not allowed (exit 7), not whole (exit 3).
    """
    place, number = checked_device(device), checked_dtype(dtype)
    checkpoint = find(name_or_path, revision=revision, trust_remote_code=trust_remote_code)
    with load_errors(checkpoint):
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            checkpoint.folder, trust_remote_code=checkpoint.trusted, local_files_only=True
        )
        if tokenizer.eos_token_id is None:
            raise ModelError(f"{checkpoint.id}: its tokenizer names no token that ends a reply", code="load")
        network = load_network(transformers.AutoModelForCausalLM, checkpoint, device=place, dtype=number)
    return TextLLM(network, tokenizer, name=name_or_path, card=card(checkpoint, network))
