"""`videre search TEXT DIR`: moments in indexed videos that fit a text or a clip, and texts that fit the videos."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from videre.apps import pages
from videre.errors import NO_INPUT, ConfigError, DataError


@click.command("search")
@click.argument("words", metavar="[TEXT] DIR", nargs=-1, required=True)
@click.option("-k", "--hits", type=click.IntRange(1, 1000), default=10, show_default=True, help="Moments to find.")
@click.option("--like", type=click.Path(path_type=Path, dir_okay=False), help="Find what looks like this clip instead.")
@click.option("--captions", type=click.Path(path_type=Path, dir_okay=False), help="Rank these lines for each video.")
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Write a page with pictures.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON a hit on standard output.")
@click.option("--device", help="cpu, cuda, cuda:1, ...; default: a GPU where there is one.")
def command(
    words: Sequence[str],
    hits: int,
    like: Path | None,
    captions: Path | None,
    report: Path | None,
    as_json: bool,
    device: str | None,
) -> None:
    """Find moments in the videos that `videre index DIR` has read.

    DIR is the folder of videos or of the index. With --captions every video gets its best lines of a text file.
    """
    from videre.methods.bt_adapter import index

    *text, place = words
    if bool(text) + (like is not None) + (captions is not None) != 1:
        raise click.UsageError("give one of TEXT, --like and --captions, and DIR last")
    root = Path(place)
    found = index.read(root / index.FOLDER if (root / index.FOLDER).is_dir() else root)
    encoder = _encoder(found, device)
    if captions:
        _print_captions(found, encoder, captions, hits, as_json)
        return
    query = _clip(encoder, like, found) if like else encoder.texts([" ".join(text)])[0]
    asked = f"what looks like {like}" if like else " ".join(text)
    best = index.search(found, query, k=hits)
    for rank, hit in enumerate(best, 1):
        click.echo(_line(found, hit, rank, as_json))
    if report:
        click.echo(f"wrote {pages.write(_records(found, best, query, asked), report, title=asked)}", err=True)


def _encoder(index: Any, device: str | None) -> Any:
    from videre.methods.bt_adapter import encoder

    settings: Any = index.card["settings"]
    made = encoder.load(settings["encoder"], settings["adapter"], device=device)
    then: Any = index.card["encoder"]
    if made.card["revision"] != then["revision"] or made.card["adapter"] != then["adapter"]:
        raise ConfigError(f"{index.folder}: its encoder has changed since; run `videre index --rebuild`")
    return made


def _clip(encoder: Any, path: Path, index: Any) -> Any:
    from videre.methods.bt_adapter.encoder import frames_at
    from videre.video.open import open_video
    from videre.video.sample import centres

    windows: Any = index.card["windows"]
    with open_video(str(path), isolate=True) as video:
        frames = frames_at(video, centres(video.duration_seconds, int(windows["frames"])))
    return encoder.clips(frames.pixels[None])[0]


def _line(index: Any, hit: Any, rank: int, as_json: bool) -> str:
    span, path = hit.span, str(index.root / index.videos[hit.video])
    if as_json:
        times = {"start_seconds": span.start_seconds, "end_seconds": span.end_seconds}
        return json.dumps({"rank": rank, "video": path, **times, "score": span.confidence})
    return f"{span.confidence:6.3f}  {span.start_seconds:7.1f} s to {span.end_seconds:7.1f} s  {path}"


def _print_captions(index: Any, encoder: Any, path: Path, k: int, as_json: bool) -> None:
    from videre.methods.bt_adapter.index import ranked_texts

    try:
        lines = [line.strip() for line in path.read_text("utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {error}; expected one caption a line", exit_code=NO_INPUT) from error
    if not lines:
        raise DataError(f"{path}: no captions in it; expected one a line", exit_code=NO_INPUT)
    for video, hits, numbers in ranked_texts(index, encoder.texts(lines), k=k):
        name = str(index.root / index.videos[video])
        for rank, (hit, number) in enumerate(zip(hits, numbers, strict=True), 1):
            if as_json:
                told = {"video": name, "rank": rank, "caption": lines[number], "score": hit.span.confidence}
                click.echo(json.dumps(told))
            else:
                click.echo(f"{hit.span.confidence:.3f}  {name}  {lines[number]}")


def _records(index: Any, hits: Sequence[Any], query: Any, asked: str) -> list[Any]:
    """One record a video, best first: its stretches, a picture of each, and how every window of it scores."""
    from videre.record import Record, video_facts
    from videre.types import Answer, Evidence, Question, ScoreLine
    from videre.video.open import open_video

    records = []
    for number in dict.fromkeys(hit.video for hit in hits):
        spans = sorted((h.span for h in hits if h.video == number), key=lambda span: span.start_seconds)
        rows, scores = index.line(number, query)
        middles = tuple(float(value) for value in index.spans[rows].mean(1))
        evidence = Evidence(
            seconds=tuple((span.start_seconds + span.end_seconds) / 2 for span in spans),
            scores=tuple(float(span.confidence or 0.0) for span in spans),
            spans=tuple(spans),
            scored=ScoreLine(middles, tuple(map(float, scores))),
        )
        with open_video(str(index.root / index.videos[number]), isolate=True) as video:
            text = "; ".join(f"{span.start_seconds:.1f} s to {span.end_seconds:.1f} s" for span in spans)
            answer = Answer(text, evidence=evidence, run={"index": index.card})
            records.append(Record(index.videos[number], video_facts(video), Question(asked), answer))
    return records
