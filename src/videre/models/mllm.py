"""Any image- or video-text model of transformers, from a folder or the hub, behind `videre.types.MLLM`.

>>> model = load("Qwen/Qwen3-VL-2B-Instruct")                         # doctest: +SKIP
>>> model.answer([video.at([0.0, 1.5, 3.0])], Question("What falls?"))  # doctest: +SKIP
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast, get_args

import numpy as np
from jaxtyping import Float

from videre import compat
from videre.errors import NO_INPUT, NO_MODEL, ModelError
from videre.types import JSON, Answer, Frames, Question

compat.need_hf()

import torch  # noqa: E402
import transformers  # noqa: E402
from transformers.utils import logging  # noqa: E402

from videre.models.handover import Handover  # noqa: E402
from videre.models.prompt import Prompter, check_length  # noqa: E402
from videre.models.session import Loaded, Watched, extended, memory_named, on_device  # noqa: E402
from videre.models.weights import Checkpoint, check_loaded, find, fingerprint  # noqa: E402
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
        self, frames: Iterable[Frames], question: Question, target: str, *, end: bool = True
    ) -> Float[torch.Tensor, " L"]:
        """Cross-entropy of each token of `target`, with gradients.

        Args:
            frames: what the model sees.
            question: asked as in `answer`.
            target: the reply to learn.
            end: the last entry is the token that closes the reply, so that the model learns to stop.
        """
        prompter = self._loaded.prompter
        prompt = prompter.read(frames)
        reply = prompter.reply(target, end=end)
        if not reply:
            raise ValueError("the target to learn is an empty text")
        rest = [*prompter.question(prompt, listed(question)), *reply]
        with memory_named():
            logits = self._logits(prompt, rest, keep=len(reply) + 1)[:-1]
        return torch.nn.functional.cross_entropy(
            logits.float(), torch.tensor(reply, device=logits.device), reduction="none"
        )

    def watch(self, frames: Iterable[Frames]) -> Watched:
        """A session that has read these frames once; each further question costs only its own tokens."""
        return Watched(self._loaded, self._loaded.prompter.read(frames))

    def prompt(self, frames: Iterable[Frames], question: Question) -> str:
        """The whole prompt as the model reads it, decoded back; a run of placeholders is told once, with its count."""
        prompter = self._loaded.prompter
        return prompter.text(prompter.read(frames), listed(question))

    def _logits(self, prompt: Any, rest: Sequence[int], *, keep: int) -> Float[torch.Tensor, "K V"]:
        """Logits of the last `keep` positions of head and rest, read at once without a cache."""
        inputs = on_device(prompt, self.network)
        head = torch.as_tensor(prompt.inputs["input_ids"]).to(self.network.device)
        inputs["input_ids"] = torch.cat([head, torch.tensor([list(rest)], device=head.device)], 1)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        if "mm_token_type_ids" in inputs:
            inputs["mm_token_type_ids"] = extended(inputs["mm_token_type_ids"], len(rest))
        check_length(inputs["input_ids"].shape[1], self.network.config)
        return self.network(**inputs, use_cache=False, logits_to_keep=keep).logits[0]


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
    device, number = _device(device), _dtype(dtype)
    if handover not in get_args(Handover):
        raise ValueError(f"handover is one of {', '.join(get_args(Handover))}, got {handover!r}")
    checkpoint = find(name_or_path, revision=revision, trust_remote_code=trust_remote_code)
    with load_errors(checkpoint):
        processor = load_processor(checkpoint)
        network = _load_network(checkpoint, device=device, dtype=number)
    prompter = Prompter(processor, handover=cast(Handover, handover), frame_px=frame_px)
    card = _card(checkpoint, network, handover)
    return TransformersMLLM(network, prompter, name=name_or_path, card=card, answer_tokens=answer_tokens)


def load_processor(checkpoint: Checkpoint) -> Any:
    """The processor of a checkpoint, torchvision mended beforehand."""
    processor = transformers.AutoProcessor.from_pretrained(
        checkpoint.folder, trust_remote_code=checkpoint.trusted, local_files_only=True
    )
    if not hasattr(processor, "tokenizer"):
        raise ModelError(f"{checkpoint.id} has a tokenizer and no picture processor: not an image-text model")
    return processor


def _load_network(checkpoint: Checkpoint, *, device: str, dtype: Any) -> Any:
    with memory_named(), _bars_on_terminals():
        network, report = transformers.AutoModelForMultimodalLM.from_pretrained(
            checkpoint.folder,
            dtype=dtype,
            device_map=device,
            use_safetensors=True,
            trust_remote_code=checkpoint.trusted,
            local_files_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # So that the report lists them all; `check_loaded` then refuses.
        )
    check_loaded(network, report, checkpoint=checkpoint)
    if network.config.is_encoder_decoder:
        raise ModelError(f"{checkpoint.id}: {type(network).__name__} is not a decoder-only model", code="load")
    return network.eval()


@contextmanager
def _bars_on_terminals() -> Iterator[None]:
    """Lets the library draw its progress bars on a terminal only: in a log or a pipe they are noise."""
    draws = logging.is_progress_bar_enabled()
    if draws and not sys.stderr.isatty():
        logging.disable_progress_bar()
    try:
        yield
    finally:
        if draws:
            logging.enable_progress_bar()


def _card(checkpoint: Checkpoint, network: Any, handover: str) -> dict[str, JSON]:
    return {
        "id": checkpoint.id,
        "revision": fingerprint(checkpoint),
        "class": type(network).__name__,
        "dtype": str(network.dtype).removeprefix("torch."),
        "device": str(network.device),
        "handover": handover,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "torchvision": compat.ensure_torchvision(),
    }


def _device(wanted: str) -> str:
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if wanted in ("balanced", "sequential"):
        return wanted
    try:
        kind = torch.device(wanted).type
    except RuntimeError as error:
        raise ValueError(f"device is auto, cpu, cuda, cuda:1, mps or balanced, got {wanted!r}") from error
    if (kind == "cuda" and not torch.cuda.is_available()) or (kind == "mps" and not torch.backends.mps.is_available()):
        raise ModelError(f"this torch ({torch.__version__}) sees no {kind} device: pass device='cpu'", code="device")
    return wanted


def _dtype(wanted: str) -> Any:
    if wanted in ("auto", "float32", "bfloat16", "float16"):
        return wanted if wanted == "auto" else getattr(torch, wanted)
    raise ValueError(f"dtype is auto, float32, bfloat16 or float16, got {wanted!r}")


@contextmanager
def load_errors(checkpoint: Checkpoint) -> Iterator[None]:
    """Turns what the libraries raise while loading into a `ModelError` of one line."""
    try:
        yield
    except ModelError:
        raise
    except ImportError as error:
        message = f"{checkpoint.id} needs a package that is not installed ({_line(error)}): {compat.INSTALL}"
        raise ModelError(message, code="no_hf") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        unknown = "model type" in str(error) or "Unrecognized" in str(error)
        hint = f"; transformers {transformers.__version__} may not know this family" if unknown else ""
        raise ModelError(
            f"{checkpoint.id} could not be loaded: {_line(error)}{hint}",
            code="load",
            exit_code=NO_MODEL if unknown else NO_INPUT,
        ) from error


def _line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:300]
