"""`videre index DIR`: the videos below a folder, window by window, ready to be searched."""

from pathlib import Path

import click


@click.command("index")
@click.argument("root", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--encoder", help="CLIP or SigLIP checkpoint: a folder or a hub id; default: the one of the adapter.")
@click.option("--adapter", type=click.Path(path_type=Path, file_okay=False), help="Folder of `videre train adapter`.")
@click.option("--window", default=8.0, show_default=True, help="Seconds of a window.")
@click.option("-k", "--frames", type=click.IntRange(1, 1000), default=8, show_default=True, help="Frames of a window.")
@click.option("--overlap", type=click.FloatRange(0, 0.95), default=0.5, show_default=True, help="Share shown again.")
@click.option("-o", "--out", type=click.Path(path_type=Path, file_okay=False), help="Default: DIR/.videre-index.")
@click.option("--rebuild", is_flag=True, help="Take another encoder or cut than the index has.")
@click.option("--device", help="cpu, cuda, cuda:1, ...; default: a GPU where there is one.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def command(
    root: Path,
    encoder: str | None,
    adapter: Path | None,
    window: float,
    frames: int,
    overlap: float,
    out: Path | None,
    rebuild: bool,
    device: str | None,
    quiet: bool,
) -> int:
    """Encode the videos below DIR so that `videre search` finds moments in them.

    Only new and changed files are encoded on a second run; an interrupted run goes on with the same command. Without
    an adapter a window is the mean of its frames.
    """
    from videre.methods.bt_adapter import encoder as encoders
    from videre.methods.bt_adapter import index
    from videre.methods.bt_adapter.windows import Windows
    from videre.video.open import open_video

    if not encoder and not adapter:
        raise click.UsageError("give --encoder, --adapter, or both")
    folder = out or root / index.FOLDER
    made = encoders.load(encoder, adapter, device=device)
    outcome = index.build(
        root,
        folder,
        made,
        Windows(window, frames, overlap),
        open_video=open_video,
        settings={"encoder": encoder, "adapter": str(adapter.absolute()) if adapter else None},
        rebuild=rebuild,
        quiet=quiet,
    )
    click.echo(f"videre: {outcome.message}", err=True)
    if outcome.left == 0:
        found = index.read(folder)
        click.echo(f"{folder}: {len(found.videos)} videos, {len(found.vectors)} windows")
    return outcome.exit_code
