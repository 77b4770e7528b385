"""`videre replay TRACE`: the evidence of a trace made again without any model, and what differs."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from videre.errors import NO_INPUT, SOME_FAILED, DataError
from videre.record import Record, dumps, from_row
from videre.types import JSON


@click.command("replay")
@click.argument("trace", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option("--video", help="Where the video lies now; default: where it lay.")
@click.option("--recompute", is_flag=True, help="Ask the modules again: spans may be 0.05 s off, boxes 2 px.")
@click.option("--encoder", default="", help="For --recompute: as for videre ground.")
@click.option("--temporal", default="", help="For --recompute: as for videre ground.")
@click.option("--detector", default="", help="For --recompute: as for videre ground.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a record.")
def command(trace: Path, video: str | None, recompute: bool, as_json: bool, **modules: str) -> None:
    """Replay what `videre ground --json` or `videre ask --select msr-vir:... --json` wrote, one record a line.

    Spans, boxes, frame times and the pixels of every picture that was shown have to be equal to the last bit. Exits
    with 4 where a record differs.
    """
    found = _modules(**modules) if recompute else None
    told: list[Record] = traces(trace)
    rows = [_told(record, _replayed(record, video, found)) for record in told]
    for row in rows:
        click.echo(dumps(row) if as_json else _text(row))
    raise SystemExit(SOME_FAILED if any(row["differences"] for row in rows) else 0)


def traces(path: Path) -> list[Record]:
    """The records of a file of JSON lines, or of standard input for `-`.

    Raises:
        DataError: no such file, or a line that is no record.
    """
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text("utf-8")
        return [from_row(json.loads(line)) for line in text.splitlines() if line.strip()]
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such trace; make one with videre ground --json", exit_code=NO_INPUT) from error
    except (ValueError, AttributeError) as error:
        raise DataError(f"{path}: not a trace: {error}; make one with videre ground --json") from error


def _modules(*, encoder: str, temporal: str, detector: str) -> tuple[Any, Any]:
    from videre.apps import grounders

    return grounders.known(encoder, temporal=temporal, detector=detector, allow_copyleft=True)


def _replayed(record: Record, video: str | None, modules: tuple[Any, Any] | None) -> Any:
    from videre.methods.msr_vir import trace
    from videre.video.open import open_video

    with open_video(video or str(record.video["path"]), isolate=True) as opened:
        if modules is None:
            return trace.replay(record, opened)
        return trace.recompute(record, opened, grounder=modules[0], detector=modules[1])


def _told(record: Record, replayed: Any) -> dict[str, JSON]:
    pictures = sum(len(part["sha256"]) for part in replayed.shown)
    counts = {"spans": len(replayed.evidence.spans), "boxes": len(replayed.evidence.boxes), "pictures": pictures}
    return {"id": record.id, "question": record.question.text, **counts, "differences": list(replayed.differences)}


def _text(row: dict[str, JSON]) -> str:
    if row["differences"]:
        return "\n".join([f"{row['id']}: differs", *(f"  {difference}" for difference in row["differences"])])
    return f"{row['id']}: the same: {row['spans']} span, {row['boxes']} boxes, {row['pictures']} pictures"
