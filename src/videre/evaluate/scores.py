"""From a run to its scores: what was answered goes to `metrics`, and a sample without an answer counts as wrong."""

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence

from videre.evaluate.runs import Run
from videre.metrics import anticipation, caption, choice, grounding, text
from videre.metrics import moments as windows
from videre.record import Record
from videre.types import Answer, Sample


def accuracy(run: Run, *, groups: Mapping[str, str] | None = None) -> choice.Choice:
    """Accuracy over all multiple-choice samples with a known answer, by kind; unanswered ones are wrong.

    Args:
        run: what was answered.
        groups: the group of each sample by id, in place of its kind.
    """
    pairs = [(s, c, s.option) for s, c in zip(run.samples, run.chosen(), strict=True)]
    known = [(sample, chosen, right) for sample, chosen, right in pairs if right is not None]
    kinds = [sample.kind if groups is None else groups[sample.id] for sample, *_ in known]
    return choice.accuracy([c for _, c, _ in known], [right for *_, right in known], kinds=kinds)


def matched(run: Run, *, match: text.Match = text.same_words) -> choice.Choice:
    """Accuracy of open answers by a rule of `metrics.text`, by kind; unanswered ones are wrong."""
    pairs = [(s, r, s.answer) for s, r in zip(run.samples, run.replies(), strict=True) if not s.question.options]
    known = [(sample, reply, answer) for sample, reply, answer in pairs if answer is not None]
    replies, answers = [reply for _, reply, _ in known], [answer for *_, answer in known]
    return text.matched(replies, answers, match=match, kinds=[sample.kind for sample, *_ in known])


def grounded(run: Run, truth: Mapping[str, grounding.Truth]) -> grounding.GroundedScore:
    """NExT-GQA's scores by the strict rule: a sample without a predicted span counts as 0.

    Args:
        run: records whose first span is the prediction.
        truth: what is known of each question, by sample id.
    """
    return grounding.nextgqa(predicted(run), truth, answers=answers(run), missing="zero")


def predicted(run: Run) -> dict[str, list[float]]:
    """The first span of each record that has one, by sample id."""
    firsts = {id: record.evidence.spans[0] for id, record in run.records.items() if record.evidence.spans}
    return {id: [span.start_seconds, span.end_seconds] for id, span in firsts.items()}


def answers(run: Run) -> dict[str, tuple[int | None, int | None]]:
    """(chosen, right) of each sample by id; no answer and no right one are told apart from each other by -1."""
    chosen = run.chosen()
    return {s.id: (c, -1 if s.option is None else s.option) for s, c in zip(run.samples, chosen, strict=True)}


def truths(samples: Sequence[Sample], durations: Mapping[str, float]) -> dict[str, grounding.Truth]:
    """What is known of the samples that have spans, by id.

    Args:
        samples: those without spans are left out.
        durations: seconds of the video of a sample, by sample id; rounded to whole seconds, as NExT-GQA does.
    """
    timed = [sample for sample in samples if sample.spans]
    return {s.id: grounding.Truth(s.video, round(durations[s.id]), _segments(s)) for s in timed}


def durations(run: Run) -> dict[str, float]:
    """Seconds of the video of each sample: as the file says, or the end of its last span where it was not opened."""
    return {s.id: _duration(s, run.records.get(s.id)) for s in run.samples}


def moments(run: Run) -> windows.Moments:
    """R@1 at IoU, mAP and mean IoU of the spans in the records, the best first; no span counts as 0."""
    truth: dict[Hashable, list[list[float]]] = {s.id: _segments(s) for s in run.samples if s.spans}
    said: dict[Hashable, list[list[float]]] = {
        id: _ranked(record) for id, record in run.records.items() if record.evidence.spans
    }
    return windows.retrieve(said, truth)


def anticipated(
    run: Run,
    labels: Mapping[str, Hashable],
    *,
    read: Callable[[str], Hashable],
    k: int = 5,
    classes: Collection[Hashable] | None = None,
) -> anticipation.Anticipation:
    """Top-k accuracy and class-mean recall of guesses in words.

    Args:
        run: answers with a `ranking`, or whose text names one guess a line, the best first.
        labels: the true class of each sample by id.
        read: the class that a guess means; any other value where it means none.
        k: how many guesses count.
        classes: average recall over these alone.
    """
    found = [run.answer(sample) for sample in run.samples]
    guessed = [[read(guess) for guess in guesses(answer)] for answer in found]
    return anticipation.top_k(guessed, [labels[s.id] for s in run.samples], k=k, classes=classes)


def guesses(answer: Answer | None) -> list[str]:
    """Ordered guesses: the ranking of an answer, else the lines of its text without their numbers."""
    if answer is None:
        return []
    lines = answer.ranking or answer.text.replace(";", "\n").split("\n")
    return [bare for line in lines if (bare := line.strip().lstrip("0123456789.-*) ").strip())]


def captioned(
    run: Run, references: Mapping[str, Sequence[str]], *, tokens: caption.Tokens = "java"
) -> caption.Captions:
    """Caption scores of the answers' texts, with intervals; one that is missing is scored as an empty caption.

    Raises:
        ConfigError: `pycocoevalcap` is not installed, or Java is asked for and missing.
    """
    said = {s.id: reply or "" for s, reply in zip(run.samples, run.replies(), strict=True)}
    return caption.captions(said, {s.id: references[s.id] for s in run.samples}, tokens=tokens)


def _segments(sample: Sample) -> list[list[float]]:
    return [[span.start_seconds, span.end_seconds] for span in sample.spans]


def _ranked(record: Record) -> list[list[float]]:
    spans = record.evidence.spans
    sure = all(span.confidence is not None for span in spans)
    rows = [[span.start_seconds, span.end_seconds] for span in spans]
    return [[*row, float(s.confidence or 0.0)] for row, s in zip(rows, spans, strict=True)] if sure else rows


def _duration(sample: Sample, record: Record | None) -> float:
    known = record.video.get("duration_seconds") if record else None
    return float(known) if known else max((span.end_seconds for span in sample.spans), default=0.0)
