"""Frames and text as the tokens that a model reads, through its own processor and chat template.

A prompt has two parts: the head, which holds all pictures and ends in a special token, and the rest, which holds the
question. Special tokens are where every tokenizer cuts, so head and rest tokenized apart equal the whole tokenized at
once, and the head can be read once for many questions. What a person writes is text: a placeholder in it stays text.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from videre import compat

compat.need_hf()

from jinja2 import TemplateError  # noqa: E402
from transformers.video_utils import VideoMetadata  # noqa: E402

from videre.errors import USAGE, ModelError  # noqa: E402
from videre.models.handover import (  # noqa: E402
    Abilities,
    Handed,
    Handover,
    Mode,
    choose,
    clock,
    hand_over,
    kept,
    mark,
    shrink,
    upright,
)
from videre.types import Frames  # noqa: E402

QUESTION = "VIDERE-QUESTION"
REPLY = "VIDERE-REPLY"


@dataclass(frozen=True)
class Prompt:
    """Everything a model reads but the question.

    Attributes:
        inputs: tensors of the head from the processor: `input_ids [1, N]`, pixels and what belongs to them.
        anchor: the special token that ends the head; empty where there is no head.
        bridge: text of the template between the anchor and the question.
        tail: text of the template after the question.
        mode: how the frames were handed over; None without frames.
        frames: how many frames there are.
    """

    inputs: dict[str, Any]
    anchor: str
    bridge: str
    tail: str
    mode: Mode | None
    frames: int


class Prompter:
    """Turns frames and questions into tokens for one model.

    Args:
        processor: a transformers processor with a chat template.
        handover: how frames are handed over; `auto` decides by what the processor does.
        frame_px: most pixels of a frame; larger ones are made smaller before the processor sees them.
    """

    def __init__(self, processor: Any, *, handover: Handover = "auto", frame_px: int | None = None) -> None:
        self.processor = processor
        self.tokenizer = processor.tokenizer
        self.handover: Handover = handover
        self.frame_px = frame_px
        videos = getattr(processor, "video_processor", None)
        if getattr(videos, "cap_pixels_per_frame", True) is None:
            videos.cap_pixels_per_frame = True  # type: ignore[union-attr]  # Unset, the bound depends on the version.

    @cached_property
    def abilities(self) -> Abilities:
        """What the processor does with text, pictures and videos, found by giving it some."""
        order = [{"type": "text", "text": "FIRST"}, {"type": "image"}, {"type": "text", "text": QUESTION}]
        between = self._render(order).partition("FIRST")[2].partition(QUESTION)[0]
        interleaves = bool(between.strip())
        if not self._takes_video:
            return Abilities(video=False, videos=False, fused=1, states_times=False, interleaves=interleaves)
        fused = int(getattr(self.processor.video_processor, "temporal_patch_size", 1) or 1)
        return Abilities(
            video=True,
            videos=self._takes_videos(fused),
            fused=fused,
            states_times=self._states_times(fused),
            interleaves=interleaves,
        )

    def read(self, frames: Iterable[Frames]) -> Prompt:
        """The head and the frame of text around the question, for chunks of frames or none."""
        chunks = [shrink(chunk, self.frame_px) for chunk in kept(frames)]
        if not chunks:
            return self.assemble(Handed([]), None, 0)
        mode = choose(self.handover, chunks, abilities=self.abilities)
        handed = hand_over(chunks, mode, abilities=self.abilities)
        return self.assemble(handed, mode, sum(map(len, chunks)))

    def question(self, prompt: Prompt, text: str) -> list[int]:
        """Tokens that follow the head: the question, taken literally, and the template around it."""
        pieces = self._literal(_scrubbed(text))
        pieces[0] = prompt.bridge + pieces[0]
        pieces[-1] += prompt.tail
        if not prompt.anchor:
            first = self._ids(pieces[0], special=not self._starts_with_bos(pieces[0]))
            return first + [i for piece in pieces[1:] for i in self._ids(piece)]
        return [i for piece in pieces for i in self._ids(prompt.anchor + piece)[1:]]

    def reply(self, text: str, *, end: bool = False) -> list[int]:
        """Tokens of a reply as the template would write it; with `end`, the token that closes the turn as well."""
        pieces = self._literal(self._reply_form[0] + _scrubbed(text))
        ids = [i for piece in pieces for i in self._ids(piece)]
        return [*ids, self.end_id] if end else ids

    def text(self, prompt: Prompt, question: str) -> str:
        """The whole prompt decoded back, each run of one placeholder written once, with its length."""
        ids = [*prompt.inputs["input_ids"][0].tolist(), *self.question(prompt, question)]
        told = self.tokenizer.decode(ids, skip_special_tokens=False)
        return re.sub(self._special.pattern + r"\1+", lambda m: f"{m[1]}*{len(m[0]) // len(m[1])}", told)

    @property
    def end_id(self) -> int:
        """The token that closes a turn."""
        return self._reply_form[1]

    @cached_property
    def _reply_form(self) -> tuple[str, int]:
        """What the template writes between prompt and reply, and the token after the reply."""
        asked = [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}]
        told = [*asked, {"role": "assistant", "content": [{"type": "text", "text": REPLY}]}]
        start, whole = self._chat(asked, add_generation_prompt=True), self._chat(told, add_generation_prompt=False)
        before, _, after = whole.partition(REPLY)
        lead = before[len(start) :] if before.startswith(start) else ""
        found = self._special.search(after)
        end = self.tokenizer.convert_tokens_to_ids(found[0]) if found else self.tokenizer.eos_token_id
        return lead, int(end)

    def assemble(self, handed: Handed, mode: Mode | None, frames: int) -> Prompt:
        """The prompt for frames that were handed over already."""
        before, _, tail = self._render([*handed.content, {"type": "text", "text": QUESTION}]).partition(QUESTION)
        marks = list(self._special.finditer(before))
        cut = marks[-1].end() if marks else 0
        inputs = self._process(before[:cut], handed) if cut else {"input_ids": np.zeros((1, 0), np.int64)}
        return Prompt(inputs, marks[-1][0] if marks else "", before[cut:], tail, mode, frames)

    def each(self, chunk: Frames, words: str = "") -> Prompt:
        """The heads of a batch, one a frame: each shows its frame alone, as a picture without a time.

        Args:
            chunk: the frames.
            words: text before each picture, where the template keeps the order of text and pictures.

        Raises:
            ValueError: the words hold a special token; see `placed`.
        """
        if self._special.search(words):
            raise ValueError(f"text before a picture holds a special token: {words!r}")
        chunk = shrink(chunk, self.frame_px)
        alone = [{"type": "image"}, {"type": "text", "text": QUESTION}]
        alone = [{"type": "text", "text": _scrubbed(words)}, *alone] if words else alone
        before, _, tail = self._render(alone).partition(QUESTION)
        anchor = list(self._special.finditer(before))[-1]
        text = before[: anchor.end()]
        given = {"text": [text] * len(chunk), "images": [[picture] for picture in upright(chunk)]}
        inputs = dict(self.processor(**given, return_tensors="pt", add_special_tokens=not self._starts_with_bos(text)))
        return Prompt(inputs, anchor[0], before[anchor.end() :], tail, "images", len(chunk))

    def placed(self, before: str, after: str) -> tuple[str, str]:
        """Text before a picture and after it: all of it after where it names a special token, to be taken literally."""
        return ("", f"{before}\n{after}") if self._special.search(before) else (before, after)

    def _process(self, text: str, handed: Handed) -> dict[str, Any]:
        given: dict[str, Any] = {"text": [text], "return_tensors": "pt"}
        given["add_special_tokens"] = not self._starts_with_bos(text)
        if handed.images:
            given["images"] = [handed.images]
        if handed.videos:
            # Frames are chosen already: a processor that samples again would invent times.
            given |= {"videos": handed.videos, "do_sample_frames": False}
            given["video_metadata"] = [VideoMetadata(**told) for told in handed.clocks]
        return dict(self.processor(**given))

    def _render(self, content: Sequence[dict[str, str]]) -> str:
        return self._chat([{"role": "user", "content": list(content)}], add_generation_prompt=True)

    def _chat(self, messages: list[dict[str, Any]], *, add_generation_prompt: bool) -> str:
        if not getattr(self.processor, "chat_template", None):
            raise ModelError("this checkpoint has no chat template, so it takes no questions: use an instruct model")
        return self.processor.apply_chat_template(messages, add_generation_prompt=add_generation_prompt, tokenize=False)

    def _ids(self, text: str, *, special: bool = False) -> list[int]:
        return self.tokenizer(text, add_special_tokens=special)["input_ids"]

    def _starts_with_bos(self, text: str) -> bool:
        return bool(self.tokenizer.bos_token) and text.startswith(self.tokenizer.bos_token)

    @cached_property
    def _special(self) -> re.Pattern[str]:
        tokens = {str(token) for token in self.tokenizer.added_tokens_decoder.values() if token.special}
        tokens |= {getattr(self.processor, f"{kind}_token", None) or "" for kind in ("image", "video")}
        return re.compile("(" + "|".join(re.escape(t) for t in sorted(tokens, key=len, reverse=True) if t) + ")")

    def _literal(self, text: str) -> list[str]:
        """The text in pieces none of which holds a special token: cut inside each, after its first character."""
        pieces, start = [], 0
        while found := self._special.search(text, start):
            pieces.append(text[start : found.start() + 1])
            start = found.start() + 1
        return [*pieces, text[start:]]

    @cached_property
    def _takes_video(self) -> bool:
        if getattr(self.processor, "video_processor", None) is None:
            return False
        words = {"type": "text", "text": QUESTION}
        try:
            return self._render([{"type": "video"}, words]) != self._render([words])
        except TemplateError:  # Some templates refuse what they do not know.
            return False

    def _takes_videos(self, fused: int) -> bool:
        try:
            told = self._process_blank([(3.2, 12.7), (7.1, 8.5, 9.9)], fused, sizes_px=(64, 96))
        except (ValueError, RuntimeError, IndexError, TypeError):
            return False
        # One block of [videos, frames, ...] means that the shorter video was filled up with frames nobody showed.
        return all(value.ndim < 5 for name, value in told.items() if name.startswith("pixel_values"))

    def _states_times(self, fused: int) -> bool:
        ids = self._process_blank([(3.2, 12.7)], fused)["input_ids"][0]
        told = self.tokenizer.decode(ids, skip_special_tokens=False)
        return all(mark(seconds) in told or f"{seconds:.1f}" in told for seconds in (3.2, 12.7))

    def _process_blank(self, times: list[tuple[float, ...]], fused: int, *, sizes_px: tuple[int, ...] = (64,)) -> Any:
        handed = Handed([{"type": "video"}] * len(times))
        for seconds, size in zip(times, sizes_px, strict=True):
            each = np.repeat(np.array(seconds), fused)
            handed.videos.append(np.zeros((len(each), size, size, 3), np.uint8))
            handed.clocks.append(clock(each, spacing_seconds=1.0, span_frames=len(seconds)))
        return self._process(self._render([*handed.content, {"type": "text", "text": QUESTION}]), handed)


def check_length(tokens: int, config: Any) -> None:
    """Returns when a prompt of so many tokens fits into the model's context.

    Raises:
        ModelError: it does not; the message says by how much (code "too_long", exit 2).
    """
    most = getattr(config.get_text_config(), "max_position_embeddings", None)
    if most and tokens > most:
        message = (
            f"the prompt has {tokens} tokens, the model reads {most}: show fewer or smaller frames, or ask shorter"
        )
        raise ModelError(message, code="too_long", exit_code=USAGE)


def _scrubbed(text: str) -> str:
    """The text without lone surrogates, which no tokenizer takes."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
