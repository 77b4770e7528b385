"""`videre convert KIND FILE -o OUT`: checkpoints of released codes to ours, and back."""

from pathlib import Path

import click


@click.command("convert")
@click.argument("kind", type=click.Choice(["ma-lmm"]))
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder; with --back, the .pth file.")
@click.option("--base", help="The checkpoint that it belongs over: a folder or a hub id.")
@click.option("--back", is_flag=True, help="From a folder of ours to a file that the released code loads.")
def command(kind: str, path: Path, out: Path, base: str | None, back: bool) -> None:
    """Turn a released checkpoint into a folder of safetensors, or such a folder into a released checkpoint.

    A .pth file is read as plain tensors; one that would run code is refused. The base is named, not opened:
    videre convert ma-lmm checkpoint_best.pth --base Salesforce/instructblip-vicuna-7b -o breakfast
    """
    from videre.methods.ma_lmm.loading import pack, unpack

    if back:
        click.echo(pack(path, out))
        return
    if base is None:
        raise click.UsageError("name the checkpoint that it belongs over: --base Salesforce/instructblip-vicuna-7b")
    click.echo(unpack(path, out, base=base))
