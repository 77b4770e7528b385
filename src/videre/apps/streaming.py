"""`videre stream SOURCE QUESTION...`: a video that is watched once, and an answer every n seconds of it.

Memory is constant: the model has to be one that remembers, such as `ma-lmm:CHECKPOINT`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from videre.apps.answering import DTYPES
from videre.apps.inputs import checked_question
from videre.apps.printing import as_json, clock, printable
from videre.errors import USAGE, ModelError
from videre.record import Record
from videre.types import Evidence, Frames, Question, Step


@click.command("stream")
@click.argument("source")
@click.argument("questions", nargs=-1, required=True, metavar="QUESTION...")
@click.option("-m", "--model", required=True, help="A model with a memory: ma-lmm:CHECKPOINT#slots=20")
@click.option("--every", "every_seconds", type=click.FloatRange(0, min_open=True), default=60.0, show_default=True,
              help="Seconds of video between answers; one more comes at its end.")  # fmt: skip
@click.option("--fps", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True, help="Frames a second.")
@click.option("--size-px", type=click.IntRange(16), default=256, show_default=True, help="Longest side of a frame.")
@click.option("--grows", is_flag=True, help="The file is still being written: wait for more.")
@click.option("--idle", "idle_seconds", type=click.FloatRange(0), default=10.0, show_default=True,
              help="With --grows: nothing new for so long is the end.")  # fmt: skip
@click.option("--where", is_flag=True, help="Say also which stretches of the video each reply rests on.")
@click.option("--device", help="cpu, cuda, ...; default: a GPU where there is one.")
@click.option("--dtype", type=click.Choice(DTYPES), help="Default: the checkpoint's own.")
@click.option("--json", "write_json", is_flag=True, help="One evidence record a line.")
def command(
    source: str,
    questions: tuple[str, ...],
    model: str,
    every_seconds: float,
    fps: float,
    size_px: int,
    grows: bool,
    idle_seconds: float,
    where: bool,
    device: str | None,
    dtype: str | None,
    write_json: bool,
) -> None:
    """Watch a video once, in constant memory, and answer every few seconds of it.

    SOURCE is a file, or - for bytes on standard input (MPEG-TS, Matroska, YUV4MPEG ...):
    ffmpeg -i rtsp://CAMERA -f mpegts - | videre stream - "who is at the door?" -m ma-lmm:CHECKPOINT
    """
    asked = [checked_question(text, ()) for text in questions]
    frames = _frames(source, fps=fps, size_px=size_px, grows=grows, idle_seconds=idle_seconds)
    session = _session(model, asked, device=device, dtype=dtype, where=where)
    name = "<stdin>" if source == "-" else source
    write: Callable[[Record], str] = as_json if write_json else _line
    for record in answers(frames, asked, session, every_seconds=every_seconds, name=name, where=where):
        click.echo(write(record))


def answers(
    frames: Iterator[Frames],
    asked: Sequence[Question],
    session: Any,
    *,
    every_seconds: float,
    name: str,
    where: bool = False,
) -> Iterator[Record]:
    """A record a question whenever so many seconds of the video have passed, and at its end.

    With `where`, its evidence has the stretches of the video that the reply rests on. An answer at a moment rests on
    the frames up to that moment and on no later one.
    """
    due, answered = every_seconds, None
    for chunk in frames:
        while len(chunk) and chunk.seconds[-1] > due:
            before = int(np.searchsorted(chunk.seconds, due, "right"))
            session.push(Frames(chunk.pixels[:before], chunk.seconds[:before], chunk.label))
            chunk = Frames(chunk.pixels[before:], chunk.seconds[before:], chunk.label)
            yield from (_record(session, question, name, due, where=where) for question in asked)
            answered, due = session.last_seconds, due + every_seconds
        session.push(chunk)
    if session.frames and answered != session.last_seconds:
        yield from (_record(session, question, name, session.last_seconds, where=where) for question in asked)


def _record(session: Any, question: Question, name: str, seconds: float, *, where: bool) -> Record:
    answer = session.answer(question)
    told = Step("remember", {"until_seconds": seconds}, answer.run.get("memory"), answer.usage.milliseconds)
    seen = () if session.last_seconds is None else (session.last_seconds,)
    spans = session.where(question, answer.text) if where else ()
    answer = replace(answer, evidence=Evidence(seen, spans=spans, steps=(told,)))
    return Record(f"{Path(name).name}@{seconds:.2f}", {"path": name, "until_seconds": seconds}, question, answer)


def _frames(source: str, *, fps: float, size_px: int, grows: bool, idle_seconds: float) -> Iterator[Frames]:
    from videre.video.live import growing, live, piped
    from videre.video.open import open_video

    if source == "-":
        yield from live(piped(0), fps=fps, size_px=size_px)
    elif grows:
        yield from live(growing(source, idle_seconds=idle_seconds), fps=fps, size_px=size_px, name=source)
    else:
        with open_video(source, isolate=True) as video:
            yield from video.stream(fps, size_px=size_px)


def _session(name: str, asked: Sequence[Question], *, device: str | None, dtype: str | None, where: bool) -> Any:
    """A session that follows these questions.

    Raises:
        ModelError: the model reads a video as a whole, so it cannot answer while it comes.
    """
    from videre.apps import naming
    from videre.options import listed

    model = naming.model(name, device=device, dtype=dtype)
    if not hasattr(model, "voice"):
        message = f"{name} has no memory to watch with: take a model such as ma-lmm:CHECKPOINT"
        raise ModelError(message, code="no_memory", exit_code=USAGE)
    return model.watch(follow=[listed(question) for question in asked], where=where)  # type: ignore[attr-defined]


def _line(record: Record) -> str:
    answer = record.answer
    assert answer is not None  # noqa: S101  (a stream that fails raises)
    memory = answer.run["memory"]
    slots = len(memory.get("frames_in_slots", ()))
    when = click.style(clock(record.video["until_seconds"]), bold=True)
    told = f"{memory['frames']} frames in {slots} slots, {memory['recall']}, {answer.usage.milliseconds:.0f} ms"
    spans = "".join(f", seen {clock(span.start_seconds)}-{clock(span.end_seconds)}" for span in answer.evidence.spans)
    said = click.style(printable(answer.text), fg="green")
    return f"{when}  {printable(record.question.text)}  {said}  ({told}{spans})"
