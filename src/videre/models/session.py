"""A video read once, and many questions on it: the prefix of the prompt stays in a key-value cache.

Each question starts from the same prefix: what it adds to the cache is cut off again. Layers that cannot be cut
(sliding windows, recurrent states) are copied before each question instead. One model answers one question at a time:
some families keep the offset of text positions on the module, so it is set for each question, under a lock.
"""

import copy
import hashlib
import inspect
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from videre import compat

compat.need_hf()

import torch  # noqa: E402
from transformers import DynamicCache  # noqa: E402
from transformers.cache_utils import DynamicLayer  # noqa: E402

from videre.errors import ModelError  # noqa: E402
from videre.models.prompt import Prompt, Prompter, check_length  # noqa: E402
from videre.options import letter, listed, read_option  # noqa: E402
from videre.types import JSON, Answer, Question, Usage  # noqa: E402


@dataclass(frozen=True)
class Loaded:
    """A model in memory with its processor; what a session needs of it."""

    network: Any
    prompter: Prompter
    card: Mapping[str, JSON]
    answer_tokens: int
    lock: Any = field(default_factory=threading.RLock)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One at a time, without gradients, with memory errors named."""
        with self.lock, torch.inference_mode(), memory_named():
            yield


class Watched:
    """The session of a transformers model: see `videre.types.Session`.

    Args:
        loaded: the model.
        prompt: the frames as the model reads them; they are read here, once.
    """

    def __init__(self, loaded: Loaded, prompt: Prompt) -> None:
        self.loaded = loaded
        self.prompt = prompt
        self._ids = torch.as_tensor(prompt.inputs["input_ids"]).to(loaded.network.device)
        check_length(self._ids.shape[1], loaded.network.config)
        with loaded.turn():
            self._cache, self._offset = _read(loaded.network, prompt)
        self._cuttable = all(type(layer) is DynamicLayer for layer in self._cache.layers)

    def answer(self, question: Question) -> Answer:
        """The reply, the option it names, and with options the share of that letter among all letters."""
        start = time.perf_counter()
        text = listed(question)
        ids = self.loaded.prompter.question(self.prompt, text)
        reply = self._continue(ids, self.loaded.answer_tokens)
        said = self._said(reply)
        option = read_option(said, question.options) if question.options else None
        return Answer(
            said,
            option=option,
            confidence=None if option is None else self._confidence(question, option),
            usage=Usage(self.prompt.frames, self._length + len(ids), len(reply), (time.perf_counter() - start) * 1e3),
            run=self.run(ids),
        )

    def choose(self, question: Question) -> Answer:
        """The option whose text is the likeliest reply to the question alone, and its share of all options."""
        start = time.perf_counter()
        asked = Question(question.text)
        scores = self.score(asked, question.options)
        shares, best = np.exp(scores - scores.max()), int(scores.argmax())
        ids = self.loaded.prompter.question(self.prompt, listed(asked))
        spent_ms = (time.perf_counter() - start) * 1e3
        return Answer(
            question.options[best],
            option=best,
            confidence=float(shares[best] / shares.sum()),
            usage=Usage(self.prompt.frames, self._length + len(ids), 0, spent_ms),
            run=self.run(ids),
        )

    def generate(self, prompt: str, *, max_tokens: int = 128) -> str:
        """Text that follows a prompt, greedily."""
        return self._said(self._continue(self.loaded.prompter.question(self.prompt, prompt), max_tokens))

    def score(self, question: Question, options: Sequence[str]) -> Float[np.ndarray, " K"]:
        """Log-probability of each option as the reply, summed over its tokens; what they share is read once."""
        replies = [self.loaded.prompter.reply(option) for option in options]
        with self.loaded.turn(), self._prefix() as cache:
            first = self._step(self.loaded.prompter.question(self.prompt, listed(question)), cache)[-1]
            return np.array([self._follow(reply, first, cache) for reply in replies], np.float64)

    def logits(self, text: str) -> Float[torch.Tensor, "L V"]:
        """Log-probabilities of the next token after each token of a question and the template's end."""
        with self.loaded.turn(), self._prefix() as cache:
            return self._step(self.loaded.prompter.question(self.prompt, text), cache)

    def next_token(self, text: str, *, start: str = "") -> Float[torch.Tensor, " V"]:
        """Log-probabilities of the token that follows a prompt and the beginning of its reply."""
        ids = [*self.loaded.prompter.question(self.prompt, text), *self.loaded.prompter.reply(start)]
        with self.loaded.turn(), self._prefix() as cache:
            return self._step(ids, cache)[-1]

    def run(self, ids: Sequence[int]) -> dict[str, JSON]:
        """What the run card says of one question: the model, the way frames went in, a hash of the whole prompt."""
        whole = np.array([*self._ids[0].tolist(), *ids], np.int64)
        digest = hashlib.sha256(whole.tobytes()).hexdigest()
        return {"model": dict(self.loaded.card), "handover": self.prompt.mode, "prompt_sha256": digest}

    @property
    def _length(self) -> int:
        return self._ids.shape[1]

    def _confidence(self, question: Question, option: int) -> float:
        scores = self.score(question, [letter(i) for i in range(len(question.options))])
        shares = np.exp(scores - scores.max())
        return float(shares[option] / shares.sum())

    def _said(self, reply: Sequence[int]) -> str:
        return self.loaded.prompter.tokenizer.decode(reply, skip_special_tokens=True).strip()

    @contextmanager
    def _prefix(self) -> Iterator[DynamicCache]:
        """The cache of the prefix for one question, and the position offset of this video set."""
        holder = _offset_holder(self.loaded.network)
        if holder is not None:
            holder.rope_deltas = self._offset
        with self._lent(self._cache) as cache:
            yield cache

    @contextmanager
    def _lent(self, cache: DynamicCache) -> Iterator[DynamicCache]:
        """A cache to write on, and afterwards what it was before, also when the reading broke off half-way."""
        if not self._cuttable:
            yield copy.deepcopy(cache)
            return
        layers: list[Any] = list(cache.layers)
        lengths = [layer.get_seq_length() for layer in layers]
        try:
            yield cache
        finally:  # Each layer by its own length: an error may have stopped between two of them.
            for layer, length in zip(layers, lengths, strict=True):
                layer.crop(length - layer.get_seq_length())

    def _step(self, ids: Sequence[int], cache: DynamicCache) -> Float[torch.Tensor, "L V"]:
        check_length(cache.get_seq_length() + len(ids), self.loaded.network.config)
        tokens = torch.tensor([list(ids)], device=self._ids.device)
        out = self.loaded.network(input_ids=tokens, past_key_values=cache, use_cache=True)
        return torch.log_softmax(out.logits[0].float(), -1)

    def _follow(self, reply: Sequence[int], first: Float[torch.Tensor, " V"], cache: DynamicCache) -> float:
        if not reply:
            raise ValueError("an option to score is an empty text")
        total = float(first[reply[0]])
        if len(reply) == 1:
            return total
        with self._lent(cache) as own:
            rows = self._step(reply[:-1], own)
        return total + float(sum(rows[i, token] for i, token in enumerate(reply[1:])))

    def _continue(self, ids: Sequence[int], max_tokens: int) -> list[int]:
        if max_tokens < 1:
            raise ValueError(f"max_tokens is 1 or more, got {max_tokens}")
        check_length(self._length + len(ids) + max_tokens, self.loaded.network.config)
        whole = torch.cat([self._ids, torch.tensor([list(ids)], device=self._ids.device)], 1)
        given = {"input_ids": whole, "attention_mask": torch.ones_like(whole)}
        if "mm_token_type_ids" in self.prompt.inputs:
            given["mm_token_type_ids"] = extended(self.prompt.inputs["mm_token_type_ids"], len(ids)).to(whole.device)
        settings = _greedy(self.loaded, max_tokens)
        with self.loaded.turn(), self._prefix() as cache:
            out = self.loaded.network.generate(**given, past_key_values=cache, generation_config=settings)
        return out[0, whole.shape[1] :].tolist()


@contextmanager
def memory_named() -> Iterator[None]:
    """Turns a memory error of any device into a `ModelError` with code "oom".

    Nothing is made smaller in silence: other frames would be another question.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        reason = str(error).split("\n")[0][:200]
        sure = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not sure and "allocate memory" not in reason and "out of memory" not in reason:
            raise
        message = f"out of memory: {reason} -- show fewer or smaller frames, or take a smaller model or dtype"
        raise ModelError(message, code="oom") from error


def on_device(prompt: Prompt, network: Any) -> dict[str, Any]:
    """The tensors of the head where the model is, pixels in its number type."""
    moved = {}
    for name, value in prompt.inputs.items():
        if isinstance(value, torch.Tensor):
            value = value.to(network.device, network.dtype if name.startswith("pixel_values") else None)
        moved[name] = value
    return moved


def extended(types: torch.Tensor, count: int) -> torch.Tensor:
    """Token types `[B, N]` with `count` text tokens (0) after them."""
    return torch.cat([types, types.new_zeros(len(types), count)], 1)


def _read(network: Any, prompt: Prompt) -> tuple[DynamicCache, torch.Tensor | None]:
    """The cache of the head, and by how much the positions of text after it differ from a plain count."""
    cache = DynamicCache(config=network.config.get_text_config())
    holder = _offset_holder(network)
    if not prompt.inputs["input_ids"].shape[1]:
        return cache, None
    if holder is not None:
        holder.rope_deltas = None
    inputs = on_device(prompt, network)
    network(**inputs, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return cache, None if holder is None else _offset(holder, inputs)


def _offset(holder: Any, inputs: dict[str, Any]) -> torch.Tensor | None:
    """Positions of the text after the head, minus a plain count `[1, 1]`.

    Qwen2-VL and Qwen2.5-VL store another number: the library takes it from the largest position in time of the video,
    while the text that follows a video starts from its height and width. Reading on from the last position of the head
    is what an uncached run does.
    """
    if "mm_token_type_ids" not in inputs or not any(name.endswith("grid_thw") for name in inputs):
        return None
    takes = inspect.signature(holder.get_rope_index).parameters
    positions, _ = holder.get_rope_index(**{name: value for name, value in inputs.items() if name in takes})
    return (positions[:, :, -1].max() + 1 - inputs["input_ids"].shape[1]).view(1, 1)


def _offset_holder(network: Any) -> Any:
    inner = getattr(network, "model", None)
    return inner if hasattr(inner, "rope_deltas") and hasattr(inner, "get_rope_index") else None


def _greedy(loaded: Loaded, max_tokens: int) -> Any:
    settings = copy.deepcopy(loaded.network.generation_config)
    ends = settings.eos_token_id
    ends = [] if ends is None else [ends] if isinstance(ends, int) else list(ends)
    settings.eos_token_id = sorted({*ends, loaded.prompter.end_id})
    if settings.pad_token_id is None:
        settings.pad_token_id = loaded.prompter.tokenizer.pad_token_id or settings.eos_token_id[0]
    settings.max_new_tokens, settings.max_length = max_tokens, None
    settings.do_sample, settings.num_beams, settings.cache_implementation = False, 1, None
    settings.temperature = settings.top_p = settings.top_k = None
    return settings
