"""What a policy is worth to an answerer: the loss of the right answer on what the policy leads to.

Source: MSR-ViR section 3.5. Differs: the loss is also taken without the overview, from which a model may answer
whatever the policy says.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from videre import compat

compat.need_hf()

import torch  # noqa: E402

from videre.methods.msr_vir.execute import ground  # noqa: E402
from videre.methods.msr_vir.modules import SpatialGrounder, TemporalGrounder  # noqa: E402
from videre.methods.msr_vir.policy import Policy  # noqa: E402
from videre.methods.msr_vir.preferences import Candidate, reward  # noqa: E402
from videre.methods.msr_vir.profile import DEFAULT, Profile  # noqa: E402
from videre.methods.msr_vir.show import Showing, show  # noqa: E402
from videre.options import letter  # noqa: E402
from videre.types import Evidence, Frames, Question, Sample, Video  # noqa: E402


@dataclass(frozen=True)
class Looks:
    """How policies are followed and shown while the answerer is asked.

    Args:
        grounder: finds actions.
        detector: finds objects; None finds none.
        profile: how faithful to stay to the paper.
        k: frames of the key moment.
        showing: what is shown beside it.
    """

    grounder: TemporalGrounder
    detector: SpatialGrounder | None
    profile: Profile = DEFAULT
    k: int = 4
    showing: Showing = Showing()  # noqa: RUF009

    def evidence(self, video: Video, policy: Policy, question: Question) -> Evidence:
        """What the policy leads to."""
        found, _ = ground(
            policy,
            video,
            grounder=self.grounder,
            detector=self.detector,
            question=question.text,
            frames=self.k,
            profile=self.profile,
        )
        return found

    def lesson(self, video: Video, evidence: Evidence, question: Question) -> tuple[Sequence[Frames], Question]:
        """What the answerer is shown and asked."""
        shown = show(video, evidence, question, how=self.showing)
        return shown.chunks, shown.question


def target(sample: Sample) -> str:
    """What the answerer should say: the letter of the right option, else the answer."""
    return letter(sample.option) if sample.option is not None else str(sample.answer)


def nll(model: Any, chunks: Sequence[Frames], question: Question, said: str) -> float:
    """Mean loss over the tokens of the answer alone; infinite where the model gives no number."""
    with torch.no_grad():
        found = float(model.loss(chunks, question, said).mean())
    return found if math.isfinite(found) else math.inf


def judged(
    model: Any, video: Video, sample: Sample, policy: Policy, *, looks: Looks, text: str, iop: float, iou: float
) -> Candidate:
    """A candidate with its grounding, both losses and, where the sample has spans, its bonus."""
    evidence = looks.evidence(video, policy, sample.question)
    bare = replace(looks, showing=replace(looks.showing, overview=0))
    losses = []
    for how in (looks, bare) if looks.showing.overview else (bare,):
        chunks, asked = how.lesson(video, evidence, sample.question)
        losses.append(nll(model, chunks, asked, target(sample)))
    span = evidence.spans[0]
    return Candidate(
        text,
        policy.id,
        (span.start_seconds, span.end_seconds),
        tuple((b.seconds, b.x0, b.y0, b.x1, b.y1) for b in evidence.boxes),
        losses[0],
        losses[-1],
        reward(span, sample.spans, iop=iop, iou=iou),
    )
