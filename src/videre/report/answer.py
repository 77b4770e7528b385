"""The answer of one record as people read it: reply, options, chips that seek, rationale, notes, what it cost."""

import math
import re
from collections.abc import Iterator

from videre import options
from videre.record import Record
from videre.report.markup import BAR, Html, between, clock, escape, join, milliseconds, tag
from videre.report.timeline import chosen
from videre.types import Answer, Evidence, Question, Usage

MOST_CHIPS = 6
_TIME = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{2}(?:\.\d{1,9})?)"
_CHIP = re.compile(rf"\[{_TIME}(?:\s*(?:-|–|—|to)\s*{_TIME})?\]")


def answer_panel(record: Record, *, remarks: tuple[str, ...] = ()) -> Html:
    """Everything that is said in answer to a question; for a failed record, why it failed."""
    if record.answer is None:
        return join([_failure(record), _notes(remarks)])
    answer, question = record.answer, record.question
    return join(
        [
            _headline(answer, question),
            _chips(answer.evidence),
            _options(question, answer.option),
            tag("p", linked(answer.rationale), class_="rationale", dir="auto") if answer.rationale else None,
            _ranking(answer.ranking),
            _notes((*answer.notes, *_video_notes(record), *remarks)),
            _usage(answer.usage),
        ]
    )


def headline(answer: Answer, question: Question) -> str:
    """The answer in the question's own words where an option was chosen, else the reply."""
    return chosen_option(answer, question) or answer.text.strip() or "(an empty reply)"


def linked(text: str) -> Html:
    """Text in which every `[00:12–00:17]` is a button that seeks."""
    return join(_pieces(text))


def chip(start_seconds: float, words: str, *, end_seconds: float | None = None) -> Html:
    """A small button with a time on it."""
    return tag("button", words, type="button", class_="chip", data_seek=start_seconds, data_end=end_seconds)


def letter(index: int) -> str:
    """The name of an option: A to Z, then 27, 28."""
    return options.letter(index) if index < options.MOST_OPTIONS else str(index + 1)


def chosen_option(answer: Answer, question: Question) -> str | None:
    """The words of the option that the reply names; None where it names none."""
    named = answer.option is not None and 0 <= answer.option < len(question.options)
    return question.options[answer.option] if named and answer.option is not None else None


def _pieces(text: str) -> Iterator[Html]:
    end = 0
    for match in _CHIP.finditer(text):
        yield escape(text[end : match.start()])
        start, stop = _seconds(*match.groups()[:3]), _seconds(*match.groups()[3:]) if match[5] else None
        yield chip(start, match[0][1:-1], end_seconds=stop)
        end = match.end()
    yield escape(text[end:])


def _seconds(hours: str | None, minutes: str, seconds: str) -> float:
    return int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds)


def _headline(answer: Answer, question: Question) -> Html:
    said = headline(answer, question)
    reply = answer.text.strip()
    parts = [tag("p", linked(said), class_="said", dir="auto")]
    if question.options and chosen_option(answer, question) is None:
        parts.append(tag("p", "The reply names none of the options.", class_="unread"))
    elif reply != said:
        parts.append(tag("p", "reply: ", tag("q", linked(reply), dir="auto"), class_="reply"))
    return tag("div", *parts, _confidence(answer.confidence), class_="headline")


def _confidence(confidence: float | None) -> Html | None:
    if confidence is None or not math.isfinite(confidence):
        return None
    share = min(1.0, max(0.0, confidence))
    bar = tag("svg", tag("rect", width=round(100 * share, 1), height=4), **BAR)
    return tag("p", bar, f"confidence {100 * confidence:.0f} %", class_="confidence")


def _chips(evidence: Evidence) -> Html | None:
    if evidence.spans:
        return tag("p", *(_span_chip(evidence, index) for index in range(len(evidence.spans))), class_="chips")
    if not evidence.scores:
        return None
    best = sorted(((score, t) for t, score in chosen(evidence) if score is not None), reverse=True)[:MOST_CHIPS]
    return tag("p", *(chip(t, clock(t, digits=1)) for t in sorted(t for _, t in best)), class_="chips")


def _span_chip(evidence: Evidence, index: int) -> Html:
    span = evidence.spans[index]
    sure = f"{100 * span.confidence:.0f} %" if span.confidence is not None and 0 <= span.confidence <= 1 else None
    button = chip(span.start_seconds, between(span.start_seconds, span.end_seconds), end_seconds=span.end_seconds)
    about = " ".join(word for word in (span.label, sure) if word)
    return tag("span", button, tag("span", about, class_="about", dir="auto") if about else None)


def _options(question: Question, chosen: int | None) -> Html | None:
    if not question.options:
        return None
    rows = []
    for index, option in enumerate(question.options):
        mark = tag("span", "chosen", class_="mark") if index == chosen else None
        text = tag("span", option, class_="text", dir="auto")
        row = (tag("span", letter(index), class_="letter"), text, mark)
        rows.append(tag("li", *row, class_="chosen" if index == chosen else None))
    return tag("ol", *rows, class_="options", aria_label="Options")


def _ranking(ranking: tuple[str, ...]) -> Html | None:
    if not ranking:
        return None
    guesses = [tag("li", guess, dir="auto") for guess in ranking]
    return tag("div", tag("h4", "Guesses, best first"), tag("ol", *guesses), class_="ranking")


def _video_notes(record: Record) -> tuple[str, ...]:
    return tuple(str(note) for note in record.video.get("notes") or ())


def _notes(notes: tuple[str, ...]) -> Html | None:
    once = dict.fromkeys(notes)
    return tag("ul", *(tag("li", note, dir="auto") for note in once), class_="notes", role="note") if once else None


def _usage(usage: Usage) -> Html:
    parts = [_count(usage.frames, "frame") if usage.frames else None]
    parts += [_count(usage.prompt_tokens, "token") + " in" if usage.prompt_tokens is not None else None]
    parts += [_count(usage.answer_tokens, "token") + " out" if usage.answer_tokens is not None else None]
    parts += [milliseconds(usage.milliseconds) if usage.milliseconds else None]
    return tag("p", " · ".join(part for part in parts if part), class_="usage")


def _count(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _failure(record: Record) -> Html:
    error = record.error or {}
    message, code = error.get("message") or "no answer", error.get("code")
    said = tag("p", message, class_="said", dir="auto")
    named = tag("p", f"code: {code}") if code else None
    return tag("div", tag("h4", "No answer"), said, named, class_="failure", role="alert")
