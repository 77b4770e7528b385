"""`videre ground VIDEO QUESTION`: when and where the answer lies, and by which steps; the selector `msr-vir`."""

from typing import Any

import click

from videre.record import Record, dumps, to_row, video_facts
from videre.types import Answer, Evidence, Question, Selector, Step, Video


def selector(*, encoder: str, detector: str = "", parser: str = "rules", k: int = 8) -> Selector:
    """A selector that follows a policy to the moment of the question.

    Args:
        encoder: a CLIP or SigLIP checkpoint, folder or hub id, that finds actions.
        detector: an open-vocabulary detector, folder or hub id; without one no boxes are drawn.
        parser: `rules`, a text model of transformers, or `http://HOST/v1#MODEL`.
        k: moments that are shown.

    Raises:
        ModelError: one of them cannot be loaded.
    """
    from videre.methods.msr_vir.execute import ground
    from videre.methods.msr_vir.parse import parse
    from videre.methods.msr_vir.scan import Scan
    from videre.models import clip

    grounder, places, writer = Scan(clip.load(encoder)), _detector(detector), _writer(parser)

    def select(video: Video, question: Question) -> Evidence:
        parsed = parse(question.text, writer)
        found, _ = ground(parsed.policy, video, grounder=grounder, detector=places, question=question.text, frames=k)
        told = Step("parse", {"parser": parser}, {"status": parsed.status, "refused": list(parsed.errors)})
        return Evidence(found.seconds, spans=found.spans, boxes=found.boxes, steps=(told, *found.steps))

    return select


@click.command("ground")
@click.argument("video")
@click.argument("question")
@click.option("--encoder", required=True, help="CLIP or SigLIP checkpoint: a folder or a hub id.")
@click.option("--detector", default="", help="Open-vocabulary detector: a folder or a hub id; none draws no boxes.")
@click.option("--parser", default="rules", show_default=True, help="rules, a text model, or http://HOST/v1#MODEL.")
@click.option("-k", "--frames", type=click.IntRange(1, 1000), default=8, show_default=True, help="Moments in the span.")
@click.option("--json", "as_json", is_flag=True, help="The evidence record on standard output.")
def command(video: str, question: str, as_json: bool, frames: int, **settings: str) -> None:
    """Find when and where the answer to a question lies, and show the steps."""
    from videre.video.open import open_video

    select = selector(k=frames, **settings)
    with open_video(video) as opened:
        asked = Question(question)
        evidence = select(opened, asked)
        span = evidence.spans[0]
        text = f"{span.start_seconds:.1f} s to {span.end_seconds:.1f} s"
        record = Record(opened.path, video_facts(opened), asked, Answer(text, evidence=evidence))
    if as_json:
        click.echo(dumps(to_row(record)))
        return
    click.echo(text)
    for step in evidence.steps:
        click.echo(f"  {step.name}: {step.inputs.get('words', '')} -> {dumps(step.output)}")


def _detector(name: str) -> Any:
    if not name:
        return None
    from videre.models import detector

    return detector.load(name)


def _writer(name: str) -> Any:
    if name == "rules":
        return None
    if name.startswith(("http://", "https://")):
        from videre.apps import naming

        return naming.model(name)
    from videre.models import text

    return text.load(name)
