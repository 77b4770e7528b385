"""Any image- or video-text model of transformers, from a folder or the hub, behind `videre.types.MLLM`.

>>> model = load("Qwen/Qwen3-VL-2B-Instruct")                         # doctest: +SKIP
>>> model.answer([video.at([0.0, 1.5, 3.0])], Question("What falls?"))  # doctest: +SKIP
"""

from collections.abc import Iterable, Sequence
from typing import Any, cast, get_args

import numpy as np
from jaxtyping import Float

from videre import compat
from videre.errors import ModelError
from videre.types import JSON, Answer, Frames, Question

compat.need_hf()

import torch  # noqa: E402
import transformers  # noqa: E402

from videre.models import shared  # noqa: E402
from videre.models.handover import Handover  # noqa: E402
from videre.models.loading import card, checked_device, checked_dtype, load_errors, load_network  # noqa: E402
from videre.models.prompt import Prompter, check_length  # noqa: E402
from videre.models.session import Loaded, Watched, extended, memory_named, on_device  # noqa: E402
from videre.models.weights import Checkpoint, find  # noqa: E402
from videre.options import listed  # noqa: E402


class TransformersMLLM:
    """A model that runs here. Made by `load`; `network` and `processor` are the transformers objects, for training.

    Args:
        network: a generative model of transformers.
        prompter: its processor, and how frames reach it.
        name: what records call it.
        card: what the run card says of it.
        answer_tokens: most tokens of a reply to a question.
    """

    def __init__(
        self, network: Any, prompter: Prompter, *, name: str, card: dict[str, JSON], answer_tokens: int = 128
    ) -> None:
        self.name = name
        self.card = card
        self.network = network
        self.processor = prompter.processor
        self._loaded = Loaded(network, prompter, card, answer_tokens)

    def answer(self, frames: Iterable[Frames], question: Question) -> Answer:
        """The greedy reply. With options: the one that the reply names, or None; its confidence among the letters."""
        return self.watch(frames).answer(question)

    def generate(self, prompt: str, frames: Iterable[Frames] = (), *, max_tokens: int = 128) -> str:
        """Text that follows a prompt, greedily, with or without frames."""
        return self.watch(frames).generate(prompt, max_tokens=max_tokens)

    def score(self, frames: Iterable[Frames], question: Question, options: Sequence[str]) -> Float[np.ndarray, " K"]:
        """Log-probability of each option (letter or full text) as the reply, summed over its tokens."""
        return self.watch(frames).score(question, options)

    def loss(
        self, frames: Iterable[Frames], question: Question, target: str, *, end: bool = True, asked: bool = False
    ) -> Float[torch.Tensor, " L"]:
        """Cross-entropy of each token of `target`, with gradients.

        Args:
            frames: what the model sees.
            question: asked as in `answer`.
            target: the reply to learn.
            end: the last entry is the token that closes the reply, so that the model learns to stop.
            asked: the tokens of the question, and of the template around it, come before those of the target.
        """
        prompter = self._loaded.prompter
        prompt = prompter.read(frames)
        reply = prompter.reply(target, end=end)
        if not reply:
            raise ValueError("the target to learn is an empty text")
        rest = [*prompter.question(prompt, listed(question)), *reply]
        wanted = rest[0 if prompt.anchor else 1 :] if asked else reply  # the first token of all follows nothing
        with memory_named():
            logits = self._logits(prompt, rest, keep=len(wanted) + 1)[:-1]
        return torch.nn.functional.cross_entropy(
            logits.float(), torch.tensor(wanted, device=logits.device), reduction="none"
        )

    def watch(self, frames: Iterable[Frames]) -> Watched:
        """A session that has read these frames once; each further question costs only its own tokens."""
        return Watched(self._loaded, self._loaded.prompter.read(frames))

    def next_tokens(
        self, chunk: Frames, text: str, wanted: Sequence[int], *, start: str = "", before: str = "", batch: int = 16
    ) -> Float[np.ndarray, "T K"]:
        """Log-probabilities of some tokens as the next one, for each frame shown alone with the same text.

        What all prompts have in common before their pictures is read once, where it is long enough to pay.

        Args:
            chunk: frames; each is a prompt of its own, `batch` of them are read at once.
            text: the prompt after each frame.
            wanted: the tokens.
            start: the reply so far.
            before: the prompt before each frame.
            batch: frames a forward pass.
        """
        told, prefix = [], None
        before, text = self._loaded.prompter.placed(before, text)
        for i in range(0, len(chunk), batch):
            part = Frames(chunk.pixels[i : i + batch], chunk.seconds[i : i + batch])
            logs, prefix = self._next_tokens(part, (before, text, start), prefix)
            told.append(logs[:, wanted])
        return np.concatenate(told) if told else np.zeros((0, len(wanted)))

    def each(self, frame: Frames, *, before: str = "") -> Watched:
        """A session on one frame, shown as a picture without a time, as `next_tokens` shows it."""
        return Watched(self._loaded, self._loaded.prompter.each(frame, before))

    def _next_tokens(
        self, chunk: Frames, words: tuple[str, str, str], prefix: Any
    ) -> tuple[Float[np.ndarray, "T V"], Any]:
        """Of a batch, and the cache of what its prompts begin with, which the next batch may use."""
        (before, text, start), prompter = words, self._loaded.prompter
        prompt = prompter.each(chunk, before)
        rest = [*prompter.question(prompt, text), *prompter.reply(start)]
        with self._loaded.turn():
            inputs = self._whole(prompt, rest)
            count = shared.common(self.network, inputs["input_ids"], inputs)
            if count and prefix is None:
                prefix = shared.read(self.network, inputs["input_ids"][0, :count])
            if count and prefix is not None:
                logits = shared.follow(self.network, prefix, inputs, keep=1)[:, -1]
            else:
                logits = self._read(inputs, keep=1)[:, -1]
            return torch.log_softmax(logits.float(), -1).double().cpu().numpy(), prefix

    def prompt(self, frames: Iterable[Frames], question: Question) -> str:
        """The whole prompt as the model reads it, decoded back; a run of placeholders is told once, with its count."""
        prompter = self._loaded.prompter
        return prompter.text(prompter.read(frames), listed(question))

    def _logits(self, prompt: Any, rest: Sequence[int], *, keep: int) -> Float[torch.Tensor, "K V"]:
        """Logits of the last `keep` positions of head and rest, read at once without a cache."""
        return self._forward(prompt, rest, keep=keep)[0]

    def _forward(self, prompt: Any, rest: Sequence[int], *, keep: int) -> Float[torch.Tensor, "B K V"]:
        """As `_logits`, for every row of a batch of heads; the rest is the same for all."""
        return self._read(self._whole(prompt, rest), keep=keep)

    def _whole(self, prompt: Any, rest: Sequence[int]) -> dict[str, Any]:
        """Inputs of heads and rest, on the model's device."""
        inputs = on_device(prompt, self.network)
        heads = torch.as_tensor(prompt.inputs["input_ids"]).to(self.network.device)
        inputs["input_ids"] = torch.cat([heads, torch.tensor([list(rest)] * len(heads), device=heads.device)], 1)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        if "mm_token_type_ids" in inputs:
            inputs["mm_token_type_ids"] = extended(inputs["mm_token_type_ids"], len(rest))
        check_length(inputs["input_ids"].shape[1], self.network.config)
        return inputs

    def _read(self, inputs: dict[str, Any], *, keep: int) -> Float[torch.Tensor, "B K V"]:
        logits = self.network(**inputs, use_cache=False, logits_to_keep=keep).logits
        return logits[:, -keep:]  # some families, such as MiniCPM-V, give all of them


def load(
    name_or_path: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    revision: str | None = None,
    trust_remote_code: bool = False,
    handover: str = "auto",
    frame_px: int | None = None,
    answer_tokens: int = 128,
) -> TransformersMLLM:
    """A model from a folder or the hub, ready to answer.

    Args:
        name_or_path: a folder with `config.json` and `*.safetensors`, or the id of a model on the hub.
        device: `auto` (a GPU where there is one), `cpu`, `cuda:1`, `mps`; `balanced` spreads over several GPUs.
        dtype: `auto` (as in the checkpoint), `float32`, `bfloat16`, `float16`.
        revision: a commit, branch or tag of the hub.
        trust_remote_code: run code that the repository brings along; on the hub only together with a revision.
        handover: `auto`, `video`, `images` or `video-doubled`; see `videre.models.handover`.
        frame_px: most pixels of a frame; larger ones are made smaller before the processor sees them.
        answer_tokens: most tokens of a reply to a question.

    Raises:
        ModelError: not found or not installed (exit 5), not allowed (exit 7), not whole (exit 3).
    """
    device, number = checked_device(device), checked_dtype(dtype)
    if handover not in get_args(Handover):
        raise ValueError(f"handover is one of {', '.join(get_args(Handover))}, got {handover!r}")
    checkpoint = find(name_or_path, revision=revision, trust_remote_code=trust_remote_code)
    with load_errors(checkpoint):
        processor = load_processor(checkpoint)
        network = load_decoder(checkpoint, device=device, dtype=number)
    prompter = Prompter(processor, handover=cast(Handover, handover), frame_px=frame_px)
    told = card(checkpoint, network, handover=handover, torchvision=compat.ensure_torchvision())
    return TransformersMLLM(network, prompter, name=name_or_path, card=told, answer_tokens=answer_tokens)


def load_processor(checkpoint: Checkpoint) -> Any:
    """The processor of a checkpoint, torchvision mended beforehand."""
    processor = transformers.AutoProcessor.from_pretrained(
        checkpoint.folder, trust_remote_code=checkpoint.trusted, local_files_only=True
    )
    if not hasattr(processor, "tokenizer"):
        raise ModelError(f"{checkpoint.id} has a tokenizer and no picture processor: not an image-text model")
    return processor


def load_decoder(checkpoint: Checkpoint, *, device: str, dtype: Any) -> Any:
    """The network of an image-text checkpoint; those with an encoder for text are refused."""
    network = load_network(transformers.AutoModelForMultimodalLM, checkpoint, device=device, dtype=dtype)
    if network.config.is_encoder_decoder:
        raise ModelError(f"{checkpoint.id}: {type(network).__name__} is not a decoder-only model", code="load")
    return network
