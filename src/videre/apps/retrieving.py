"""`videre retrieve SET`: how texts find videos, and videos texts, under the protocol of a retrieval benchmark."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from videre.errors import NO_INPUT, OK, SOME_FAILED, DataError
from videre.types import JSON

SETS = ("msrvtt", "didemo", "lsmdc", "activitynet")


@click.command("retrieve")
@click.argument("name", metavar="SET", type=click.Choice(SETS))
@click.option("--annotations", required=True, type=click.Path(path_type=Path, dir_okay=False), help="Published file.")
@click.option("--videos", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder of the videos.")
@click.option("--encoder", help="CLIP or SigLIP checkpoint: a folder or a hub id; default: the one of the adapter.")
@click.option("--adapter", type=click.Path(path_type=Path, file_okay=False), help="Folder of `videre train adapter`.")
@click.option("-k", "--frames", type=click.IntRange(1, 1000), help="Frames of a video; default: the paper's.")
@click.option("-o", "--out", type=click.Path(path_type=Path, file_okay=False), help="Default: runs/retrieve-SET.")
@click.option("--device", help="cpu, cuda, cuda:1, ...; default: a GPU where there is one.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON on standard output.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def command(
    name: str,
    annotations: Path,
    videos: Path,
    encoder: str | None,
    adapter: Path | None,
    frames: int | None,
    out: Path | None,
    device: str | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Encode the videos of a benchmark and measure R@1, 5, 10, median and mean rank in both directions.

    An interrupted run goes on with the same command. Pairs without a video are counted.
    """
    from dataclasses import replace

    from videre import jobs
    from videre.methods.bt_adapter import encoder as encoders
    from videre.methods.bt_adapter.protocol import PROTOCOLS

    if not encoder and not adapter:
        raise click.UsageError("give --encoder, --adapter, or both")
    made = encoders.load(encoder, adapter, device=device)
    protocol = PROTOCOLS[name]
    protocol = replace(protocol, frames=frames) if frames else protocol
    folder = out or Path("runs") / f"retrieve-{name}"
    pairs = _pairs(name, annotations)
    outcome, vectors = _encoded(pairs, videos, made, protocol, folder, quiet)
    if outcome.left:
        click.echo(f"videre: {outcome.message}", err=True)
        return outcome.exit_code
    told = _scored(pairs, vectors, made, protocol) | {"set": name, "encoder": made.card, "protocol": asdict(protocol)}
    jobs.replace_file(folder / "scores.json", json.dumps(told, indent=1) + "\n")
    click.echo(json.dumps(told) if as_json else _table(told))
    return SOME_FAILED if told["scored"] < told["defined"] else OK


def _pairs(name: str, path: Path) -> list[Any]:
    from videre.data import retrieval

    return getattr(retrieval, name)(path)


def _key(pair: Any) -> str:
    return pair.video if pair.clip is None else f"{pair.video}@{pair.clip.start_seconds}-{pair.clip.end_seconds}"


def _encoded(pairs: list[Any], root: Path, encoder: Any, protocol: Any, folder: Path, quiet: bool) -> tuple[Any, Any]:
    """How the run ended, and the vector of each video that could be read."""
    import numpy as np

    from videre import jobs
    from videre.data.videos import resolve
    from videre.methods.bt_adapter import protocol as protocols
    from videre.methods.bt_adapter.index import IDENTITY
    from videre.video.open import open_video

    given: dict[str, JSON] = {"encoder": {key: encoder.card.get(key) for key in IDENTITY}, "protocol": asdict(protocol)}
    files = {pair.video: _file_key(root, pair.video) for pair in pairs}
    keys = {_key(pair): jobs.key(video=_key(pair), file=files[pair.video], **given) for pair in pairs}
    items = {_key(pair): jobs.Item(keys[_key(pair)], _key(pair), pair) for pair in pairs}

    def work(item: jobs.Item) -> dict[str, JSON]:
        with open_video(str(resolve(root, item.payload.video))) as video:
            return {"vector": protocols.vector(video, encoder, protocol, item.payload.clip).tolist()}

    outcome = jobs.run(list(items.values()), work, folder=folder, manifest=given, retry_failed=True, quiet=quiet)
    rows = (row for row in jobs.rows(folder) if row["id"] in items and not row.get("error"))
    return outcome, {row["id"]: np.array(row["vector"], np.float32) for row in rows}


def _file_key(root: Path, name: str) -> str:
    from videre import jobs
    from videre.data.videos import resolve

    try:
        return jobs.file_key(resolve(root, name), cheap=True)
    except DataError:
        return "missing"


def _scored(pairs: list[Any], vectors: dict[str, Any], encoder: Any, protocol: Any) -> dict[str, Any]:
    import numpy as np

    from videre.evaluate import retrieval
    from videre.methods.bt_adapter.protocol import matches

    here = [pair for pair in pairs if _key(pair) in vectors]
    if not here:
        raise DataError(f"none of {len(pairs)} pairs has a video that can be read", exit_code=NO_INPUT)
    keys = list(dict.fromkeys(map(_key, here)))
    texts = encoder.texts([pair.text for pair in here], most_tokens=protocol.text_tokens)
    found = retrieval(np.stack([vectors[key] for key in keys]), texts, right=matches(keys, list(map(_key, here))))
    told: dict[str, Any] = {"defined": len(pairs), "scored": len(here), "videos": len(keys)}
    for way, scores in found.items():
        recall = {f"R{k}": {"percent": s.percent, "interval": list(s.interval)} for k, s in scores.recall.items()}
        told[way] = {**recall, "median_rank": scores.median_rank, "mean_rank": scores.mean_rank}
    return told


def _table(told: dict[str, Any]) -> str:
    lines = [f"{told['set']}: {told['scored']} scored / {told['defined']} defined, {told['videos']} videos"]
    for way in ("text_to_video", "video_to_text"):
        scores = told[way]
        recalls = "  ".join(f"R@{k} {scores[f'R{k}']['percent']:.1f}" for k in (1, 5, 10))
        lines.append(f"{way:14} {recalls}  MdR {scores['median_rank']:.1f}  MnR {scores['mean_rank']:.1f}")
    return "\n".join(lines)
