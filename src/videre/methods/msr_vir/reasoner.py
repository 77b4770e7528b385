"""The whole of it as a selector: parse, follow the policy, lay out overview, key moment and close-ups."""

from dataclasses import dataclass, replace
from typing import Literal

from videre.ask import Shown
from videre.methods.msr_vir.execute import ground
from videre.methods.msr_vir.modules import SpatialGrounder, TemporalGrounder
from videre.methods.msr_vir.parse import Parsed, Writer, parse
from videre.methods.msr_vir.policy import Detect, Policy
from videre.methods.msr_vir.profile import DEFAULT, Profile
from videre.methods.msr_vir.second_look import answer_query
from videre.methods.msr_vir.show import Showing, show
from videre.types import MLLM, Evidence, Question, Step, Video

By = Literal["policy", "question", "answer", "whole"]


@dataclass
class Reasoner:
    """A `videre.types.Selector` with a layout of its own.

    Args:
        grounder: finds actions.
        detector: finds objects; None draws no boxes and shows no close-ups.
        writer: writes policies; None parses by rules.
        parser: how records call the writer.
        by: follow the policy; or look for the raw question, or take the whole video: the two rows to compare with; or
            look for question and first answer together.
        first: gives that first answer.
        profile: how faithful to stay to the paper.
        k: moments of the key moment that are shown.
        showing: what is shown beside it.
    """

    grounder: TemporalGrounder
    detector: SpatialGrounder | None = None
    writer: Writer | None = None
    parser: str = "rules"
    by: By = "policy"
    first: MLLM | None = None
    profile: Profile = DEFAULT
    k: int = 8
    showing: Showing = Showing()  # noqa: RUF009
    name: str = "msr-vir"

    def __call__(self, video: Video, question: Question) -> Evidence:
        """When and where the answer lies, and every step on the way."""
        asked = question.text
        if self.by == "answer" and self.first is not None:
            asked = answer_query(self.first, video, question)
        parsed = self.parsed(asked)
        found, _ = ground(
            parsed.policy,
            video,
            grounder=self.grounder,
            detector=self.detector,
            question=question.text,
            frames=self.k,
            profile=self.profile,
        )
        inputs = {"parser": self.parser if self.by == "policy" else self.by, "question": question.text}
        told = {"status": parsed.status, "refused": list(parsed.errors), "reply": parsed.raw[:2000]}
        return replace(found, steps=(Step("parse", inputs, told), *found.steps))

    def parsed(self, question: str) -> Parsed:
        """The policy of a question; it sees the question alone, never options or video."""
        if self.by in ("question", "answer"):
            return Parsed(Policy(temporal=Detect(query=question[:160])), "ok")
        if self.by == "whole":
            return Parsed(Policy(), "ok")
        return parse(question, self.writer, profile=self.profile)

    def show(self, video: Video, evidence: Evidence, question: Question, *, size_px: int | None) -> Shown:
        """Overview, key moment and close-ups, with the prompt that explains them."""
        return show(video, evidence, question, how=replace(self.showing, size_px=size_px))
