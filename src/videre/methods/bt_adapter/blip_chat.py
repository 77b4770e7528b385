"""A chat model whose Q-Former reads pictures (BLIP-2, InstructBLIP), and reads a video as one picture.

The tokens of tower and branch meet as for LLaVA, after the tower's last layer; the tower's last norm, the Q-Former and
the language model then go on as if a picture had been shown. MiniGPT-4 is of this line: EVA, a Q-Former, a linear map.

Source: section 1.10 of the method's specification, which has it for LLaVA.
Differs: the released code has no such model; a question goes to InstructBLIP's Q-Former too, as that model has it.
"""

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from videre import compat
from videre.errors import USAGE, ModelError
from videre.types import JSON, Answer, Frames, Question, Usage

compat.need_hf()

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from videre.methods.bt_adapter.branch import Branch  # noqa: E402
from videre.methods.bt_adapter.chat import Pooling, video_tokens  # noqa: E402
from videre.methods.bt_adapter.tower import Tower  # noqa: E402
from videre.models.handover import kept, upright  # noqa: E402
from videre.models.session import memory_named  # noqa: E402
from videre.models.voice import Voice, Writing  # noqa: E402
from videre.options import letter, listed, read_option  # noqa: E402


class BlipChat:
    """A `videre.types.MLLM`. `network` and `processor` are the transformers objects.

    Args:
        network: a BLIP-2 or InstructBLIP with a decoder-only language model.
        processor: its processor.
        branch: of the adapter; None for a pooling without one.
        pooling: see `chat.Pooling`.
        name: what records call it.
        card: what the run card says of it.
        answer_tokens: most tokens of a reply.
    """

    def __init__(
        self,
        network: Any,
        processor: Any,
        branch: Branch | None,
        *,
        pooling: Pooling,
        name: str,
        card: Mapping[str, JSON],
        answer_tokens: int = 128,
    ) -> None:
        self.network, self.processor, self.branch = network, processor, branch
        self.pooling, self.name, self.card = pooling, name, dict(card)
        self.voice = Voice(network.language_model, processor.tokenizer)
        self.writing = Writing(answer_tokens=answer_tokens)

    def answer(self, frames: Iterable[Frames], question: Question) -> Answer:
        """The greedy reply. With options: the one that the reply names, or None; its confidence among the letters."""
        return self.watch(frames).answer(question)

    def generate(self, prompt: str, frames: Iterable[Frames] = (), *, max_tokens: int = 128) -> str:
        """Text that follows a prompt, with or without frames."""
        return self.watch(frames).generate(prompt, max_tokens=max_tokens)

    def score(self, frames: Iterable[Frames], question: Question, options: Sequence[str]) -> Float[np.ndarray, " K"]:
        """Log-probability of each option as the reply, summed over its tokens."""
        return self.watch(frames).score(question, options)

    def watch(self, frames: Iterable[Frames]) -> "Looking":
        """A session that has read these frames once."""
        with torch.no_grad():
            return Looking(self, *self.seen(frames))

    def loss(
        self, frames: Iterable[Frames], question: Question, target: str, *, end: bool = True
    ) -> Float[Tensor, " L"]:
        """Cross-entropy of each token of `target`, with gradients through branch, Q-Former and projection."""
        seen, _ = self.seen(frames)
        text = listed(question)
        return self.voice.losses(self.voice.prompt(self.told(seen, text), text), target, end=end)

    def seen(self, frames: Iterable[Frames]) -> tuple[Float[Tensor, "1 N C"] | None, int]:
        """The tokens of a video, as many as one picture has, and how many frames it has; None without frames."""
        pictures = [picture for chunk in kept(frames) for picture in upright(chunk)]
        if not pictures:
            return None, 0
        with memory_named():
            pixels = self.processor.image_processor(pictures, return_tensors="pt")["pixel_values"]
            patches, cls = video_tokens(
                Tower(self.network.vision_model),
                self.branch,
                pixels.to(self.network.device, self.network.dtype)[None],
                layer=-1,
                pooling=self.pooling,
            )
            return self.network.vision_model.post_layernorm(torch.cat([cls, patches], 1)), len(pictures)

    def told(self, seen: Float[Tensor, "1 N C"] | None, text: str) -> Float[Tensor, "1 Q E"]:
        """What the Q-Former makes of a video, in the space of the language model's words; nothing of none."""
        network = self.network
        if seen is None:
            return torch.zeros(1, 0, network.language_projection.out_features, device=network.device)
        queries = network.query_tokens
        made = network.qformer(
            query_embeds=queries,
            encoder_hidden_states=seen.to(next(network.qformer.parameters()).dtype),
            encoder_attention_mask=torch.ones(seen.shape[:2], dtype=torch.long, device=seen.device),
            return_dict=True,
            **self._words(text, queries.shape[1]),
        )[0]
        return network.language_projection(made[:, : queries.shape[1]].to(network.language_projection.weight.dtype))

    def _words(self, text: str, queries: int) -> dict[str, Tensor]:
        """The question in the Q-Former's own tokens; nothing for BLIP-2, whose Q-Former reads no words."""
        tokenizer = getattr(self.processor, "qformer_tokenizer", None)
        if tokenizer is None:
            return {}
        ids = tokenizer(text, split_special_tokens=True)["input_ids"]
        most = self.network.qformer.config.max_position_embeddings
        if len(ids) > most:
            message = f"the question has {len(ids)} tokens, the Q-Former reads {most}: ask shorter"
            raise ModelError(message, code="too_long", exit_code=USAGE)
        told = torch.tensor([ids], device=self.network.device)
        mask = torch.ones(1, queries + len(ids), dtype=torch.long, device=told.device)
        return {"input_ids": told, "attention_mask": mask}


class Looking:
    """A video that was read once; each question goes through the Q-Former and the language model anew.

    Args:
        model: the model.
        seen: its tokens; None without frames.
        frames: how many there were.
    """

    def __init__(self, model: BlipChat, seen: Float[Tensor, "1 N C"] | None, frames: int) -> None:
        self.model, self.seen, self.frames = model, seen, frames

    def answer(self, question: Question) -> Answer:
        """The reply; with options the one that it names, and the share of its letter among all letters."""
        start = time.perf_counter()
        text = listed(question)
        prompt = self._prompt(text)
        reply = self.model.voice.reply(prompt, self.model.writing)[0]
        said = self.model.voice.said(reply)
        option = read_option(said, question.options) if question.options else None
        spent_ms = (time.perf_counter() - start) * 1e3
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        return Answer(
            said,
            option=option,
            confidence=None if option is None else self._confidence(question, option),
            usage=Usage(self.frames, prompt.shape[1], len(reply), spent_ms),
            run={"model": self.model.card, "prompt_sha256": digest},
        )

    def generate(self, prompt: str, *, max_tokens: int = 128) -> str:
        """Text that follows a prompt."""
        reply = self.model.voice.reply(self._prompt(prompt), Writing(answer_tokens=max_tokens))[0]
        return self.model.voice.said(reply)

    @torch.no_grad()
    def score(self, question: Question, options: Sequence[str]) -> Float[np.ndarray, " K"]:
        """Log-probability of each option as the reply, summed over its tokens."""
        prompt = self._prompt(listed(question))
        return np.array([-float(self.model.voice.losses(prompt, option).sum()) for option in options], np.float64)

    def _confidence(self, question: Question, option: int) -> float:
        scores = self.score(question, [letter(i) for i in range(len(question.options))])
        shares = np.exp(scores - scores.max())
        return float(shares[option] / shares.sum())

    @torch.no_grad()
    def _prompt(self, text: str) -> Float[Tensor, "1 L E"]:
        return self.model.voice.prompt(self.model.told(self.seen, text), text)
