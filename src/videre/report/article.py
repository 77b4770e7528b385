"""One case as an article: the question, the player, and each answer with its time line, frames, steps and run card."""

from collections.abc import Mapping

from videre.report.answer import answer_panel, headline, letter
from videre.report.cases import Case, Entry, positive
from videre.report.controls import controls
from videre.report.markup import Html, clock, join, number, tag
from videre.report.media import Media
from videre.report.path import path_panel
from videre.report.steps import run_card, steps_panel
from videre.report.strip import as_text, strip
from videre.report.timeline import timeline
from videre.types import JSON

HUES = 4


def article(case: Case, media: Media, *, index: int, same_as: int | None = None) -> Html:
    """The article of a case; `same_as` is the earlier case whose player holds the same embedded file."""
    bare = media.url is None and all(entry.record.answer is None for entry in case.entries)
    kind = ("single" if len(case.entries) == 1 else "several") + (" bare" if bare else "")
    records = [_record(case, entry, media, place=place) for place, entry in enumerate(case.entries)]
    return tag(
        "article",
        _head(case, index),
        None if bare else _watch(case, media, same_as=same_as),
        tag("div", *records, class_="records"),
        class_=f"case {kind}",
        id=f"case-{index + 1}",
        aria_labelledby=f"question-{index + 1}",
        data_fps=positive(case.video.get("fps_avg")),
        data_duration=case.duration_seconds,
        data_width=positive(case.video.get("width_px")),
        data_height=positive(case.video.get("height_px")),
    )


def side_list(cases: list[Case]) -> Html | None:
    """All questions, video by video, each with its answer in short; None where there is only one."""
    if len(cases) < 2:
        return None
    videos: dict[str, list[tuple[int, Case]]] = {}
    for index, case in enumerate(cases):
        videos.setdefault(case.path, []).append((index, case))
    parts = []
    for path, members in videos.items():
        parts.append(tag("h2", members[0][1].name, title=path, dir="auto"))
        parts.append(tag("ol", *(tag("li", _link(index, case)) for index, case in members)))
    return tag("nav", *parts, class_="list", aria_label="Questions")


def summary(cases: list[Case]) -> str:
    """How much there is on the page, in words."""
    records = [entry.record for case in cases for entry in case.entries]
    failed = sum(record.answer is None for record in records)
    counts = [(len(cases), "question"), (len({case.path for case in cases}), "video")]
    counts += [(len(records), "answer")] if len(records) > len(cases) else []
    words = [f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts]
    return " · ".join([*words, f"{failed} failed"] if failed else words)


def _link(index: int, case: Case) -> Html:
    said = " / ".join(dict.fromkeys(_short(entry) for entry in case.entries))
    failed = all(entry.record.answer is None for entry in case.entries)
    answer = tag("span", said, class_="failed-word" if failed else "answer-word", dir="auto")
    return tag("a", tag("span", case.question.text, dir="auto"), answer, href=f"#case-{index + 1}")


def _short(entry: Entry) -> str:
    if entry.record.answer is None:
        return "failed"
    said = headline(entry.record.answer, entry.record.question)
    return said if len(said) <= 60 else said[:59] + "…"


def _head(case: Case, index: int) -> Html:
    facts = tag("p", tag("bdi", case.name, title=case.path), *_facts(case.video), class_="facts")
    question = tag("h2", case.question.text, id=f"question-{index + 1}", dir="auto")
    return tag("header", facts, question, class_="question")


def _facts(video: Mapping[str, JSON]) -> list[Html]:
    duration, fps = positive(video.get("duration_seconds")), positive(video.get("fps_avg"))
    size = (positive(video.get("width_px")), positive(video.get("height_px")))
    facts = [clock(duration, digits=1) if duration else None]
    facts += [f"{size[0]:.0f} × {size[1]:.0f}" if size[0] and size[1] else None]
    facts += [f"{number(fps)} fps" if fps else None, video.get("codec")]
    return [tag("span", fact) for fact in facts if fact]


def _watch(case: Case, media: Media, *, same_as: int | None) -> Html:
    about = f"Video {case.name}"
    player = None
    if media.url:
        source = {"data_same_as": f"case-{same_as + 1}"} if same_as is not None else {"src": media.url}
        player = tag("video", controls=True, preload="none", playsinline=True, aria_label=about, **source)
    still = tag("img", class_="still", alt="", hidden=True)
    boxes = tag("div", class_="boxes", aria_hidden="true")
    words = tag("p", class_="gone", role="status", hidden=bool(media.url)) if media.url else _gone(media)
    return tag("div", tag("div", player, still, boxes, words, class_="stage"), controls(), class_="watch")


def _gone(media: Media) -> Html:
    return tag("p", media.remarks[0] if media.remarks else "There is no video here.", class_="gone", role="status")


def _record(case: Case, entry: Entry, media: Media, *, place: int) -> Html:
    record, evidence = entry.record, entry.record.evidence
    several = len(case.entries) > 1
    title = tag("h3", tag("i", letter(place)), entry.label, class_="label", dir="auto") if several else None
    remarks = media.remarks if media.url else ()
    panel = tag("div", title, answer_panel(record, remarks=remarks), class_="answer")
    shown = [timeline(evidence, duration_seconds=case.duration_seconds), strip(evidence, media.stills)]
    middle = tag("div", *shown, class_="evidence") if record.answer else None
    hue = f"record hue-{place % HUES}"
    return tag(
        "section",
        panel,
        middle,
        _more(entry, unfold=not several),
        class_=hue,
        data_record=entry.index,
        aria_label=entry.label,
    )


def _more(entry: Entry, *, unfold: bool) -> Html:
    answer = entry.record.answer
    parts = []
    path = path_panel(answer.evidence.steps) if answer else None
    if path:
        parts.append(_panel("Path", path, open=unfold))
    if answer and answer.evidence.steps:
        parts.append(_panel("Steps", steps_panel(answer.evidence.steps), open=unfold))
    if answer:
        parts.append(_panel("Evidence as text", as_text(answer.evidence)))
    parts.append(_panel("Run card", run_card(answer.run if answer else {}, entry.record.video)))
    kinds = ("json", "vtt") if answer else ("json",)
    buttons = [tag("button", f"Save {kind.upper()}", type="button", data_save=kind) for kind in kinds]
    return tag("div", *parts, tag("p", *buttons, class_="save"), class_="more")


def _panel(title: str, content: Html, *, open: bool = False) -> Html:
    return tag("details", tag("summary", title), content, class_="panel", open=open)


def articles(cases: list[Case], media: Mapping[str, Media]) -> Html:
    """All articles; a file that is embedded stands in the first of its video only."""
    first: dict[str, int] = {}
    parts = []
    for index, case in enumerate(cases):
        found = media[case.path]
        embedded = (found.url or "").startswith("data:")
        earlier = first.setdefault(case.path, index)
        parts.append(article(case, found, index=index, same_as=earlier if embedded and earlier != index else None))
    return join(parts)
