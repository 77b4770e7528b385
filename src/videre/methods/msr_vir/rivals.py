"""What MSR-ViR is compared with, out of parts that are here: answer first and ground after; captions and a text model.

The direct answer is `--select uniform`; the raw question as the query is `by=question`; equal frames is `equal=true`.
"""

import hashlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from videre.methods.msr_vir.modules import TemporalGrounder
from videre.methods.msr_vir.parse import Writer
from videre.options import listed, read_option
from videre.types import JSON, MLLM, Answer, Evidence, Frames, Question, Span, Step, Usage, Video
from videre.video.sample import centres

DESCRIBE = "Describe what is seen in this picture in one sentence: who or what is there, and what it does."
READ = "These are descriptions of moments of one video, each after its time.\n{captions}\n\n{question}"
LONGEST_CAPTION = 300


@dataclass
class PostHoc:
    """A selector that shows frames evenly and looks for the answer's moment once it is given.

    Source: the NG+ rows of NExT-GQA ground what a model has answered afterwards. Differs: there a dual encoder's own
    attention is read; here question and answer together are the query of a module.

    Args:
        grounder: finds the moment.
        k: frames that are shown.
    """

    grounder: TemporalGrounder
    k: int = 8
    name: str = "post-hoc"

    def __call__(self, video: Video, question: Question) -> Evidence:
        """Frames evenly over the video."""
        seconds = centres(video.duration_seconds, self.k)
        return Evidence(seconds, steps=(Step("uniform", {"k": self.k}, list(seconds)),))

    def settle(self, video: Video, question: Question, answer: Answer, evidence: Evidence) -> Evidence:
        """The evidence with the moment that question and answer together lead to; the whole video where none is."""
        said = question.options[answer.option] if answer.option is not None else answer.text
        query = f"{question.text} {said}"[:160]
        whole = Span(0.0, video.duration_seconds)
        found = self.grounder.ground(video, query, window=whole)
        span = Span(found[0].start_seconds, found[0].end_seconds) if found else whole
        told = {"span": [span.start_seconds, span.end_seconds]} | ({} if found else {"error": "not found"})
        inputs = {"path": "afterwards", "words": f'the moment of "{query}"'}
        return replace(evidence, spans=(span,), steps=(*evidence.steps, Step("ground afterwards", inputs, told)))


@dataclass
class Captions:
    """An `Answerer`: a model describes each frame alone, and a text model answers from the descriptions.

    Args:
        seeing: describes pictures.
        reading: answers; None lets the same model read.
        name: how records call it.
    """

    seeing: MLLM
    reading: Writer | None = None
    name: str = "captions"

    @property
    def card(self) -> Mapping[str, JSON]:
        """Both models."""
        reader: Any = self.reading or self.seeing
        return {"id": self.name, "seeing": dict(self.seeing.card), "reading": dict(reader.card)}

    def answer(self, frames: Iterable[Frames], question: Question) -> Answer:
        """The text model's reply, with the descriptions as its rationale."""
        start = time.perf_counter()
        lines = [line for chunk in frames for line in self._described(chunk)]
        prompt = READ.format(captions="\n".join(lines), question=listed(question))
        reply = (self.reading or self.seeing).generate(prompt, max_tokens=64).strip()
        spent = round((time.perf_counter() - start) * 1e3, 3)
        return Answer(
            reply,
            option=read_option(reply, question.options) if question.options else None,
            rationale="\n".join(lines),
            usage=Usage(frames=len(lines), milliseconds=spent),
            run={"prompt_sha256": hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()},
        )

    def _described(self, chunk: Frames) -> list[str]:
        found = []
        for i, seconds in enumerate(chunk.seconds):
            one = Frames(chunk.pixels[i : i + 1], chunk.seconds[i : i + 1])
            said = self.seeing.generate(DESCRIBE, [one], max_tokens=64)
            found.append(f"{seconds:.1f} s: {' '.join(said.split())[:LONGEST_CAPTION]}")
        return found
