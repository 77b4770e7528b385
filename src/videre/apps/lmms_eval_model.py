"""videre as a model of lmms-eval: its tasks and metrics, our selectors, models and evidence records."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lmms_eval.api.model import lmms

from videre.apps import naming
from videre.ask import system
from videre.errors import ConfigError
from videre.record import Record, dumps, to_row, video_facts
from videre.types import JSON, MLLM, Answer, Answerer, Frames, Question
from videre.video.open import open_video

REPLY_TOKENS = 128
OPTION_LINE = re.compile(r"^\s*\(?([A-Z])[.):]\s", re.MULTILINE)


class Videre(lmms):
    """A model behind a selector, as lmms-eval calls it.

    Args:
        pretrained: as `videre ask --model`.
        select: as `videre ask --select`; settings are set apart by ";" there, as lmms-eval splits at commas.
        frames: frames to show.
        size_px: larger frames are scaled down to this longer side.
        seed: for selectors that draw.
        letters: reply with the option letter that the model finds most likely, in place of free text.
        evidence: a file that gains an evidence record a question, for `videre report`.
        dtype: as `videre ask --dtype`.
        revision: as `videre ask --revision`.
        rev: any text: lmms-eval's cache knows a model by its arguments alone, so change it when a model changed.
        batch_size: given by lmms-eval; questions are answered one by one.
        device: given by lmms-eval.
        more: unknown arguments are refused.

    Raises:
        ConfigError: an argument that does not exist: a setting that is ignored in silence would falsify scores.
    """

    is_simple = False

    def __init__(
        self,
        pretrained: str = "builtin",
        select: str = "uniform",
        frames: int = 8,
        size_px: int = 768,
        seed: int = 0,
        letters: bool = False,
        evidence: str | None = None,
        dtype: str | None = None,
        revision: str | None = None,
        rev: str | None = None,
        batch_size: int | str = 1,
        device: str | None = None,
        **more: Any,
    ) -> None:
        super().__init__()
        if unknown := sorted(set(more) - {"max_batch_size"}):
            raise ConfigError(f"videre takes no model argument {', '.join(unknown)}; a number of frames is frames=")
        self.model = naming.model(pretrained, device=device, dtype=dtype, revision=revision)
        self.select = naming.selector(select.replace(";", ","), k=frames, seed=seed)
        self.size_px, self.seed, self.letters = size_px, seed, letters
        self.evidence = Path(evidence) if evidence else None

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """One reply a request, in order."""
        return [self._reply(request.args) for request in requests]

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        """Refused: chat models of lmms-eval generate only; take the generating form of the task, or letters=True."""
        raise NotImplementedError("videre generates: choose the generate_until form of this task (letters=True)")

    def generate_until_multi_round(self, requests: Sequence[Any]) -> list[str]:
        """Refused: questions are asked once."""
        raise NotImplementedError("videre answers single questions, no dialogues of several rounds")

    def _reply(self, request: Sequence[Any]) -> str:
        context, to_messages, settings, doc_id, task, split = request
        doc = self.task_dict[task][split][doc_id]
        parts = [part for message in to_messages(doc) for part in _parts(message)]
        prompt = "\n".join(part["text"] for part in parts if part["type"] == "text") or context
        asked = doc.get("question") if isinstance(doc, Mapping) else None
        question = Question(asked if isinstance(asked, str) and asked.strip() else prompt)
        said = Prompted(self.model, prompt, int(settings.get("max_new_tokens") or REPLY_TOKENS), letters=self.letters)
        answer = self._answer(said, parts, question, f"{task}-{split}-{doc_id}")
        return _until(answer.text, settings.get("until") or ())

    def _answer(self, said: "Prompted", parts: Sequence[Mapping[str, Any]], question: Question, id: str) -> Answer:
        videos = [str(part["url"]) for part in parts if _is_video(part)]
        if len(videos) > 1:
            raise ConfigError(f"{id}: {len(videos)} videos in one question; videre looks at one")
        if not videos:
            return said.answer(_pictures(parts), question)
        answers = system(said, self.select, size_px=self.size_px, seed=self.seed)
        with open_video(videos[0], isolate=True) as video:
            answer = answers(video, question)
            self._write(Record(id, video_facts(video), question, answer))
        return answer

    def _write(self, record: Record) -> None:
        if self.evidence is not None:
            with self.evidence.open("a", encoding="utf-8") as file:
                file.write(dumps(to_row(record)) + "\n")


class Prompted:
    """A model that is asked a task's own words, whatever the question that frames were selected for.

    Args:
        model: who replies.
        prompt: the task's words, options and instruction among them.
        max_tokens: most tokens of the reply.
        letters: reply with the likeliest of the letters that start a line of the prompt.
    """

    def __init__(self, model: Answerer, prompt: str, max_tokens: int, *, letters: bool = False) -> None:
        self.name, self.card = model.name, model.card
        self._model, self._prompt, self._max_tokens, self._letters = model, prompt, max_tokens, letters

    def answer(self, frames: Iterable[Frames], question: Question) -> Answer:
        """The reply to the prompt; `question` does not matter."""
        run: dict[str, JSON] = {"prompt_sha256": hashlib.sha256(self._prompt.encode()).hexdigest()}
        names = list(dict.fromkeys(OPTION_LINE.findall(self._prompt)))
        if not isinstance(self._model, MLLM):
            return self._model.answer(frames, Question(self._prompt))
        if self._letters and len(names) > 1:
            scores = self._model.score(frames, Question(self._prompt), names)
            return Answer(names[int(np.argmax(scores))], run=run)
        return Answer(self._model.generate(self._prompt, frames, max_tokens=self._max_tokens), run=run)


def _parts(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def _is_video(part: Mapping[str, Any]) -> bool:
    """Whether a part is a video; lmms-eval takes every .webm for sound."""
    return part["type"] == "video" or (part["type"] == "audio" and str(part.get("url", "")).endswith(".webm"))


def _pictures(parts: Sequence[Mapping[str, Any]]) -> list[Frames]:
    """The pictures of a task without a video, each a chunk of its own; they have no time, so they count up."""
    pictures = [np.asarray(part["url"].convert("RGB"), np.uint8) for part in parts if part["type"] == "image"]
    return [Frames(np.moveaxis(p, -1, 0)[None].copy(), np.array([float(i)])) for i, p in enumerate(pictures)]


def _until(text: str, stops: str | Sequence[str]) -> str:
    for stop in [stops] if isinstance(stops, str) else stops:
        text = text.split(stop)[0] if stop else text
    return text
