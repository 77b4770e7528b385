"""From a run to its scores: what was answered goes to `metrics`, and a sample without an answer counts as wrong."""

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence

import numpy as np

from videre.evaluate.runs import Run
from videre.metrics import anticipation, caption, choice, grounding, text
from videre.metrics import moments as windows
from videre.metrics.highlights import CLIP_SECONDS
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


def moments(run: Run, *, thresholds: Sequence[float] = windows.THRESHOLDS) -> windows.Moments:
    """R@1 at IoU, mAP and mean IoU of the spans in the records, the best first; no span counts as 0."""
    return windows.retrieve(ranked_spans(run), true_spans(run), thresholds=thresholds)


def true_spans(run: Run) -> dict[Hashable, list[list[float]]]:
    """[start, end] of each true span of the samples that have any, by id."""
    return {s.id: _segments(s) for s in run.samples if s.spans}


def ranked_spans(run: Run) -> dict[Hashable, list[list[float]]]:
    """[start, end, confidence] of each span in the records that have any, the best first, by id."""
    return {id: _ranked(record) for id, record in run.records.items() if record.evidence.spans}


def saliency(run: Run, clips: Mapping[str, int], *, clip_seconds: float = CLIP_SECONDS) -> dict[Hashable, list[float]]:
    """How much each short clip of a video matters, by id: the score line of the selector at the middle of each clip.

    Between two moments the line is straight; before the first and after the last it is level. A record whose selector
    scored nothing is left out.

    Args:
        run: records with `Evidence.scored`, or with a score for each chosen moment.
        clips: how many clips the video of a sample has, by id.
        clip_seconds: the length of a clip.
    """
    lines = {id: line for id in clips if (line := _line(run.records.get(id)))}
    return {
        id: np.interp((np.arange(clips[id]) + 0.5) * clip_seconds, *line).tolist()  # type: ignore[call-overload]
        for id, line in lines.items()
    }


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
        read: the class that a guess means, None where it means none; a class counts once, where it is said first.
        k: how many guesses count.
        classes: average recall over these alone.
    """
    found = [run.answer(sample) for sample in run.samples]
    guessed = [_distinct([read(guess) for guess in guesses(answer)]) for answer in found]
    return anticipation.top_k(guessed, [labels[s.id] for s in run.samples], k=k, classes=classes)


def _distinct(classes: Sequence[Hashable]) -> list[Hashable]:
    return [c for i, c in enumerate(classes) if c is None or c not in classes[:i]]


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


def _line(record: Record | None) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Times and scores of every candidate moment, else of the chosen ones; None where there are none."""
    if record is None:
        return None
    found = record.evidence
    seconds, scores = (found.scored.seconds, found.scored.scores) if found.scored else (found.seconds, found.scores)
    pairs = sorted(zip(seconds, scores, strict=False))
    return tuple(zip(*pairs, strict=True)) if pairs else None  # type: ignore[return-value]


def _duration(sample: Sample, record: Record | None) -> float:
    known = record.video.get("duration_seconds") if record else None
    return float(known) if known else max((span.end_seconds for span in sample.spans), default=0.0)
