"""A frame selector as a folder: made of published parts, saved and loaded in transformers' form, used as a scorer."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from videre import compat
from videre.methods.frame_selector.scored import Scored
from videre.types import JSON, Frames, Question

compat.need_hf()

import torch  # noqa: E402
import transformers as tf  # noqa: E402

from videre.errors import ModelError  # noqa: E402
from videre.methods.frame_selector.model import FrameSelector, FrameSelectorConfig, Head  # noqa: E402
from videre.models.mllm import load_errors  # noqa: E402
from videre.models.session import memory_named  # noqa: E402
from videre.models.weights import check_loaded, find, fingerprint  # noqa: E402

ASK = "\nQuestion: {question}\n"
"""The text around a question. The paper's prompt is not published."""


@dataclass(frozen=True, eq=False)
class Trained:
    """A selector that is ready to score: a `Scorer`.

    Attributes:
        model: the network.
        tokenizer: of its language model.
        pictures: the picture processor of its vision encoder.
        name: how records call it.
        card: what its scores depend on.
    """

    model: FrameSelector
    tokenizer: Any
    pictures: Any
    name: str = "frame selector"
    card: JSON = None

    @property
    def candidates(self) -> int:
        """How many frames it looks at."""
        return self.model.config.n

    def __call__(self, frames: Frames, question: Question) -> Scored:
        """Probabilities that a frame helps.

        Raises:
            ModelError: more frames than the score query has places for.
        """
        count = len(frames)
        if self.model.config.layout == "query" and count > self.model.config.n:
            raise ModelError(f"{self.name} scores {self.model.config.n} frames, got {count}: pass n={self.candidates}")
        places = slots(count, self.model.config.n) if self.model.config.layout == "query" else np.arange(count)
        device = self.model.device
        with torch.inference_mode(), memory_named():
            patches = self.model.encode(self.pixels(frames.pixels).to(device))[torch.as_tensor(places, device=device)]
            ids, lengths = self.questions([question.text])
            logits = self.model(patches[None], ids.to(device), lengths.to(device))[0]
        told = torch.sigmoid(logits.float()).double().cpu().numpy()
        scores = np.full(count, -np.inf)
        np.maximum.at(scores, places, told)
        return Scored(scores)

    def pixels(self, pictures: np.ndarray) -> Float[torch.Tensor, "T 3 H W"]:
        """What the vision encoder takes, for pictures uint8 `[T, 3, H, W]`."""
        tensors = list(torch.from_numpy(np.ascontiguousarray(pictures)))
        made = self.pictures(images=tensors, return_tensors="pt", input_data_format="channels_first")
        return made["pixel_values"].to(self.model.dtype)

    def questions(
        self, texts: list[str], answers: list[str] | None = None
    ) -> tuple[Int[torch.Tensor, "B L"], Int[torch.Tensor, " B"]]:
        """Tokens of questions, filled up at their ends, and how many tokens each has without an answer.

        Args:
            texts: the questions.
            answers: what follows each, the token that ends a reply included.
        """
        rows = [self._ids(ASK.format(question=text)) for text in texts]
        lengths = torch.tensor([len(row) for row in rows])
        if answers is not None:
            end = [self.tokenizer.eos_token_id]
            rows = [[*row, *self._ids(answer), *end] for row, answer in zip(rows, answers, strict=True)]
        filled = [torch.tensor(row, dtype=torch.long) for row in rows]
        return torch.nn.utils.rnn.pad_sequence(filled, batch_first=True), lengths

    def save(self, folder: Path) -> None:
        """Writes weights, config, tokenizer and picture processor."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        self.pictures.save_pretrained(folder)

    def _ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]


def slots(count: int, n: int) -> np.ndarray:
    """Which of `count` frames stands in each of n places, spread evenly `[n]`; frames repeat where there are fewer.

    >>> slots(2, 5)
    array([0, 0, 1, 1, 1])
    """
    return ((np.arange(n) + 0.5) * count / n).astype(np.int64)


def build(
    vision: str,
    llm: str,
    *,
    layout: Head = "query",
    n: int = 128,
    grid: int = 3,
    seed: int = 0,
    device: str | None = None,
    dtype: str = "float32",
) -> Trained:
    """A selector of published parts, with a new projector, query and head.

    Args:
        vision: a vision encoder, or a CLIP or SigLIP whose vision tower is taken; folder or hub id.
        llm: a causal language model; folder or hub id.
        layout: see `FrameSelectorConfig`.
        n: candidates.
        grid: a frame becomes grid x grid tokens.
        seed: of the new parts.
        device: None takes a GPU where there is one.
        dtype: `float32` or `bfloat16`.

    Raises:
        ModelError: a part cannot be loaded.
    """
    eyes, words = (find(name, revision=None, trust_remote_code=False) for name in (vision, llm))
    with load_errors(eyes):
        whole = tf.AutoConfig.from_pretrained(eyes.folder, local_files_only=True)
        seen = getattr(whole, "vision_config", whole)
        tower = tf.AutoModel.from_pretrained(eyes.folder, config=seen, local_files_only=True)
        pictures = tf.AutoImageProcessor.from_pretrained(eyes.folder, local_files_only=True)
    with load_errors(words):
        read = tf.AutoModelForCausalLM.from_pretrained(words.folder, local_files_only=True)
        tokenizer = tf.AutoTokenizer.from_pretrained(words.folder, local_files_only=True)
    torch.manual_seed(seed)
    config = FrameSelectorConfig(vision_config=tower.config, text_config=read.config, layout=layout, n=n, grid=grid)
    model: Any = FrameSelector(config)
    model.vision.load_state_dict(tower.state_dict())
    model.llm.load_state_dict(read.state_dict())
    model.to(device or ("cuda" if torch.cuda.is_available() else "cpu"), getattr(torch, dtype))
    return Trained(model.eval(), tokenizer, pictures)


def load(
    name_or_folder: str, *, device: str | None = None, dtype: str | None = None, revision: str | None = None
) -> Trained:
    """A trained selector from a folder or the hub.

    Raises:
        ModelError: not found or no frame selector (exit 5), not whole (3).
    """
    checkpoint = find(name_or_folder, revision=revision, trust_remote_code=False)
    with load_errors(checkpoint):
        told, _ = FrameSelectorConfig.get_config_dict(checkpoint.folder)
        if told.get("model_type") != FrameSelectorConfig.model_type:
            kind = told.get("model_type")
            raise ModelError(f"{checkpoint.id} is {kind!r}, no frame selector: train one with `videre train selector`")
        loads: Any = FrameSelector.from_pretrained
        model, report = loads(
            checkpoint.folder, dtype=dtype or "auto", use_safetensors=True, output_loading_info=True,
            ignore_mismatched_sizes=True,  # So that the report lists them all; `check_loaded` then refuses.
        )  # fmt: skip
        check_loaded(model, report, checkpoint=checkpoint)
        tokenizer = tf.AutoTokenizer.from_pretrained(checkpoint.folder, local_files_only=True)
        pictures = tf.AutoImageProcessor.from_pretrained(checkpoint.folder, local_files_only=True)
    model.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    card = {
        "scorer": "trained", "id": checkpoint.id, "revision": fingerprint(checkpoint), "layout": model.config.layout,
        "n": model.config.n, "dtype": str(model.dtype).removeprefix("torch."), "prompt": ASK,
    }  # fmt: skip
    return Trained(model.eval(), tokenizer, pictures, name_or_folder, card)
