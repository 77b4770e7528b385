"""`videre ground VIDEO QUESTION`: when and where the answer lies, and by which steps; the selector `msr-vir`."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import click

from videre.apps import pages
from videre.apps.inputs import checked_question
from videre.errors import ConfigError
from videre.record import Record, dumps, to_row, video_facts
from videre.types import JSON, Answer, Question

SIZE_PX = 768


def selector(
    *,
    encoder: str = "",
    temporal: str = "",
    detector: str = "",
    parser: str = "rules",
    held: Literal["", "prompt", "canonical"] = "",
    by: Literal["policy", "question", "answer", "whole"] = "policy",
    first: str = "",
    verify: str = "",
    profile: str = "default",
    k: int = 8,
    overview: int | None = None,
    overview_last: bool = False,
    close_ups: bool = True,
    margin: float = 0.0,
    guide: bool = True,
    equal: bool = False,
    track: bool = False,
    cache: str = "",
    allow_copyleft: bool = False,
) -> Any:
    """A selector that follows a policy to the moment of the question, and shows overview, moment and close-ups.

    Args:
        encoder: a CLIP or SigLIP checkpoint, folder or hub id, that finds actions by likeness.
        temporal: another module that finds actions, in its place: `vlm:MODEL`, `univtg:FILE`, or `file.py:function`.
        detector: an open-vocabulary detector, folder or hub id, `vlm:MODEL`, or `file.py:function`; without one there
            are no boxes.
        parser: `rules`, a text model of transformers, or `http://HOST/v1#MODEL`.
        held: hold a local parser's replies to the JSON schema, keys in the order of the prompt, or in the `canonical`
            one that `videre train parser` teaches. A server is held to the former.
        by: `policy`; or `question` (the raw question is looked for) or `whole` (no moment), to compare with; or
            `answer` (the question and the first answer of a model are looked for together).
        first: the model of that first answer.
        verify: a model that looks at several spans and ranks them anew.
        profile: `default` or `paper`.
        k: moments of the key moment that are shown.
        overview: frames of the whole video beside it; None takes the profile's.
        overview_last: show them after the rest, and not before it.
        close_ups: show the places that were found as crops.
        margin: what a close-up shows around a box, on each side, as a share of the box.
        guide: explain the parts in the prompt.
        equal: show as many frames evenly over the video instead: the baseline of equal frames.
        track: choose the boxes of an object over all moments together, as those of one thing.
        cache: a folder that keeps what the modules found, for further questions.
        allow_copyleft: let modules under copyleft licences in.

    Raises:
        ModelError: one of them cannot be loaded.
        ConfigError: a setting is unknown.
    """
    from videre.apps import grounders
    from videre.methods.msr_vir import profile as profiles
    from videre.methods.msr_vir.reasoner import Reasoner
    from videre.methods.msr_vir.show import Showing

    wanted = replace(profiles.named(profile), track=track)
    found = grounders.known(
        encoder,
        temporal=temporal,
        detector=detector,
        cache=cache,
        by=by,
        verify=verify,
        allow_copyleft=allow_copyleft,
    )
    if (by == "answer") != bool(first):
        raise ConfigError("by=answer takes first=MODEL, which gives the first answer; nothing else does")
    answers = grounders.seeing(first) if first else None
    seen = wanted.overview if overview is None else overview
    how = Showing(
        overview=seen,
        overview_last=overview_last,
        close_ups=close_ups,
        margin=margin,
        guide=guide,
        equal=equal,
    )
    return Reasoner(
        *found,
        writer=grounders.writer(parser, wanted, held=held),
        parser=parser,
        by=by,
        first=answers,
        profile=wanted,
        k=k,
        showing=how,
    )


def post_hoc(*, encoder: str = "", temporal: str = "", cache: str = "", k: int = 8) -> Any:
    """The selector `post-hoc`: answer from frames evenly over the video, then look for the answer's moment."""
    from videre.apps import grounders
    from videre.methods.msr_vir.rivals import PostHoc

    return PostHoc(grounders.known(encoder, temporal=temporal, cache=cache, allow_copyleft=False)[0], k)


def captions(name: str, **loader: JSON) -> Any:
    """The model `captions:SEEING` or `captions:SEEING+READING`: descriptions of frames, read by a text model."""
    from videre.apps import grounders, naming
    from videre.methods.msr_vir.profile import DEFAULT
    from videre.methods.msr_vir.rivals import Captions

    seeing, _, reading = name.partition("+")
    eyes: Any = naming.model(seeing, **loader)
    return Captions(eyes, grounders.writer(reading, DEFAULT) if reading else None, f"captions:{name}")


_OPTIONS = (
    click.option("--encoder", default="", help="CLIP or SigLIP checkpoint: a folder or a hub id."),
    click.option("--temporal", default="", help="In its place: vlm:MODEL, univtg:FILE, or FILE.py:FUNCTION."),
    click.option("--detector", default="", help="Open-vocabulary detector, vlm:MODEL, or FILE.py:FUNCTION."),
    click.option("--parser", default="rules", show_default=True, help="rules, a text model, or http://HOST/v1#MODEL."),
    click.option(
        "--held", type=click.Choice(["", "prompt", "canonical"]), default="",
        help="Hold a local parser to the JSON schema, with this order of keys.",
    ),
    click.option(
        "--by", type=click.Choice(["policy", "question", "answer", "whole"]), default="policy", show_default=True,
        help="Follow the policy; or look for the raw question, or it and an answer; or take the whole video.",
    ),
    click.option("--first", default="", help="For --by answer: the model that answers first."),
    click.option("--verify", default="", help="A model that looks at several spans and ranks them anew."),
    click.option("--profile", type=click.Choice(["default", "paper"]), default="default", show_default=True),
    click.option("--track", is_flag=True, help="Choose boxes over all moments together, as those of one thing."),
    click.option("--cache", default="", help="A folder that keeps what the modules found."),
    click.option("--allow-copyleft", is_flag=True, help="Let modules under copyleft licences in."),
)  # fmt: skip


def _options(function: Any) -> Any:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@click.command("ground")
@click.argument("video")
@click.argument("question")
@_options
@click.option("-k", "--frames", type=click.IntRange(1, 1000), default=8, show_default=True, help="Moments in the span.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write the page of it.")
@click.option("--json", "as_json", is_flag=True, help="The evidence record, which is the trace, on standard output.")
def command(video: str, question: str, as_json: bool, html: Path | None, frames: int, **settings: Any) -> None:
    """Find when and where the answer to a question lies, and show the steps.

    The record of --json is a trace: `videre replay` makes the same evidence of it without any model.
    """
    record = grounded(video, checked_question(question, ()), selector(k=frames, **settings))
    if html is not None:
        pages.write([record], html)
    click.echo(dumps(to_row(record)) if as_json else _text(record))


def grounded(path: str, question: Question, select: Any) -> Record:
    """The trace of one question; the video is read in a process of its own, under limits."""
    from videre.ask import laid_out, shown_evidence
    from videre.video.open import open_video

    with open_video(path, isolate=True) as video:
        evidence = select(video, question)
        shown = laid_out(select, video, evidence, question, size_px=SIZE_PX)
        main = shown.chunks[shown.main]
        run: dict[str, JSON] = {**shown.facts, "frames_sha256": main.sha256()}
        told = replace(shown_evidence(evidence, main), steps=evidence.steps)
        span = evidence.spans[0]
        answer = Answer(f"{span.start_seconds:.1f} s to {span.end_seconds:.1f} s", evidence=told, run=run)
        return Record(Path(path).name, video_facts(video), question, answer)


def _text(record: Record) -> str:
    lines = [str(record)]
    for step in record.evidence.steps:
        lines.append(f"  {step.name}: {step.inputs.get('words', '')} -> {dumps(step.output)[:300]}")
    return "\n".join(lines)
