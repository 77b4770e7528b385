"""MA-LMM as a model like any other: vision tower, memory Q-Former, projection, and a decoder-only language model.

>>> model = load("Salesforce/instructblip-vicuna-7b")                    # doctest: +SKIP
>>> model.answer(video.stream(1.0), Question("Who opens the door?"))      # doctest: +SKIP

Frames are read one after the other and may be endless: an iterable of chunks is never held. What a language model gets
is as many tokens as there are queries, after a minute and after a day.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from videre import compat

compat.need_hf()

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from videre.errors import USAGE, ModelError  # noqa: E402
from videre.methods.ma_lmm.memory import Memory, Parts, Words, watched  # noqa: E402
from videre.methods.ma_lmm.session import Watching  # noqa: E402
from videre.models.handover import kept, upright  # noqa: E402
from videre.models.session import memory_named  # noqa: E402
from videre.models.voice import Voice, Writing  # noqa: E402
from videre.options import listed  # noqa: E402
from videre.types import JSON, Answer, Frames, Question  # noqa: E402

Recall = Literal["replay", "visual"]
"""How a question is answered that was not asked before the frames came: by running the Q-Former again over all frames,
which are kept, or from the visual bank alone, in constant memory."""


@dataclass(frozen=True)
class Settings:
    """How a model remembers and speaks.

    Attributes:
        memory: the banks.
        recall: what a further question about a watched video rests on.
        writing: how replies are written.
        batch: frames at once through the vision tower.
    """

    memory: Memory = field(default_factory=Memory)
    recall: Recall = "replay"
    writing: Writing = field(default_factory=Writing)
    batch: int = 16


class MALMM:
    """A `videre.types.MLLM`. Made by `loading.load`; `network` and `processor` are the transformers objects.

    Args:
        network: an InstructBLIP or BLIP-2 model with a decoder-only language model.
        processor: its processor.
        positions: a vector a time step `[T, C]`; None is the training-free plug-in.
        name: what records call it.
        card: what the run card says of it.
        settings: how it remembers and speaks.
    """

    def __init__(
        self,
        network: Any,
        processor: Any,
        positions: Float[Tensor, "T C"] | None = None,
        *,
        name: str,
        card: Mapping[str, JSON],
        settings: Settings | None = None,
    ) -> None:
        self.network = network
        self.processor = processor
        self.positions = positions
        self.name = name
        self.card = card
        self.settings = settings or Settings()
        self.voice = Voice(network.language_model, processor.tokenizer)

    def answer(self, frames: Iterable[Frames], question: Question) -> Answer:
        """The reply, read with the question in mind from the first frame on, in constant memory."""
        return self.watch(frames, follow=[listed(question)]).answer(question)

    def generate(self, prompt: str, frames: Iterable[Frames] = (), *, max_tokens: int = 128) -> str:
        """Text that follows a prompt, with or without frames."""
        return self.watch(frames, follow=[prompt]).generate(prompt, max_tokens=max_tokens)

    def score(self, frames: Iterable[Frames], question: Question, options: Sequence[str]) -> Float[np.ndarray, " K"]:
        """Log-probability of each option as the reply, summed over its tokens."""
        return self.watch(frames, follow=[listed(question)]).score(question, options)

    def loss(
        self, frames: Iterable[Frames], question: Question, target: str, *, end: bool = True
    ) -> Float[Tensor, " L"]:
        """Cross-entropy of each token of `target`, with gradients through the last frame and all that it reads.

        Raises:
            ValueError: there are no frames, or the target is empty.
        """
        tokens = (token for chunk in kept(frames) for token in self.seen(chunk))
        return self.loss_of_tokens(tokens, listed(question), target, end=end)

    def loss_of_tokens(
        self, tokens: Iterable[Float[Tensor, "N C"]], text: str, target: str, *, end: bool = True
    ) -> Float[Tensor, " L"]:
        """As `loss`, for frames that went through the vision tower already."""
        normed = (self.normed(token)[None] for token in tokens)
        seen, _ = watched(self.parts, normed, words=self.words(text), memory=self.settings.memory)
        return self.voice.losses(self.voice.prompt(self.projected(seen), text), target, end=end)

    def watch(
        self,
        frames: Iterable[Frames] = (),
        *,
        follow: Sequence[str] = (),
        recall: Recall | None = None,
        where: bool = False,
    ) -> Watching:
        """A session that has read these frames; more may be pushed, and it answers at any moment.

        Args:
            frames: chunks, read once, one after the other.
            follow: texts of questions that are known beforehand: answered exactly and in constant memory.
            recall: what other questions rest on; None takes the settings', or nothing where questions are followed.
            where: whether `Watching.where` will be asked about questions that are followed.
        """
        session = Watching(self, follow, recall or (None if follow else self.settings.recall), where=where)
        for chunk in frames:
            session.push(chunk)
        return session

    @property
    def parts(self) -> Parts:
        """The modules that the memory runs on."""
        return Parts(self.network.qformer, self.network.query_tokens, self.positions)

    def seen(self, chunk: Frames) -> Iterator[Float[Tensor, "N C"]]:
        """What the vision tower makes of each frame, before its last norm, a few frames at once."""
        pictures = list(upright(chunk))
        for start in range(0, len(pictures), self.settings.batch):
            yield from self._tower(pictures[start : start + self.settings.batch])

    @torch.no_grad()
    def _tower(self, pictures: Sequence[np.ndarray]) -> Float[Tensor, "T N C"]:
        vision = self.network.vision_model
        with memory_named():
            pixels = self.processor.image_processor(list(pictures), return_tensors="pt")["pixel_values"]
            first = vision.embeddings(pixels.to(self.network.device, self.network.dtype))
            return vision.encoder(inputs_embeds=first).last_hidden_state

    def normed(self, tokens: Float[Tensor, "*B N C"]) -> Float[Tensor, "*B N C"]:
        """The last norm of the vision tower, in float32 whatever the tower runs in."""
        norm: nn.LayerNorm = self.network.vision_model.post_layernorm
        weight, bias = norm.weight.float(), norm.bias.float()
        return nn.functional.layer_norm(tokens.float(), norm.normalized_shape, weight, bias, norm.eps)

    def words(self, text: str) -> Words | None:
        """The question in the Q-Former's own tokens; None for BLIP-2, whose Q-Former reads no words.

        Raises:
            ModelError: it has more words than the Q-Former has positions (code "too_long").
        """
        tokenizer = getattr(self.processor, "qformer_tokenizer", None)
        if tokenizer is None:
            return None
        ids = tokenizer(text, split_special_tokens=True)["input_ids"]
        most = self.network.qformer.config.max_position_embeddings
        if len(ids) > most:
            message = f"the question has {len(ids)} tokens, the Q-Former reads {most}: ask shorter"
            raise ModelError(message, code="too_long", exit_code=USAGE)
        told = torch.tensor([ids], device=self.network.device)
        return Words(told, torch.ones_like(told, dtype=torch.bool))

    def projected(self, seen: Float[Tensor, "B P D"]) -> Float[Tensor, "B Q E"]:
        """What the queries saw, in the space of the language model's words."""
        layer = self.network.language_projection
        queries = seen[:, : self.network.query_tokens.shape[1]]
        return layer(queries.to(layer.weight.dtype))
