"""`videre synth TEXTS.jsonl -o DIR`: long texts become samples of pictures, or films, with rows for trainers."""

import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from videre import __version__, errors, jobs
from videre.apps.progress import progress
from videre.errors import ConfigError

READERS = {
    "own": "own",
    "longalpaca": "long_alpaca",
    "longqlora": "long_qlora",
    "booksum": "book_sum",
    "natural-questions": "natural_questions",
}
FILES = {
    "messages": "messages.jsonl",
    "swift": "swift.jsonl",
    "llama-factory": "llama_factory.json",
    "llava": "llava.jsonl",
}
TWIN = "text_only.jsonl"


@click.command("synth")
@click.argument("texts", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path, file_okay=False))
@click.option("--format", "format_", type=click.Choice(list(READERS)), default="own", show_default=True)
@click.option(
    "--media", type=click.Choice(["images", "video", "webdataset", "parquet"]), default="images", show_default=True,
    help="A folder of pictures a sample, a film a sample, or shards of many.",
)  # fmt: skip
@click.option("--rows", default="messages,swift,llama-factory", show_default=True, help="Forms of rows for trainers.")
@click.option(
    "--by", type=click.Choice(["tokens", "words", "sentences", "lines", "fit"]), default="tokens", show_default=True,
    help="How texts are cut; fit puts on a page what it holds.",
)  # fmt: skip
@click.option("--limit", type=click.IntRange(1), default=115, show_default=True, help="Tokens, words or lines a page.")
@click.option("--page-px", type=click.IntRange(32), default=448, show_default=True, help="Width and height of a page.")
@click.option("--font", type=click.Path(path_type=Path), help="A font file; default: DejaVu Sans.")
@click.option("--font-px", type=click.IntRange(6), default=20, show_default=True)
@click.option("--margin-px", type=click.IntRange(0), default=20, show_default=True)
@click.option("--newlines", type=click.Choice(["join", "keep"]), default="join", show_default=True)
@click.option("--overflow", type=click.Choice(["flow", "shrink", "error"]), default="flow", show_default=True)
@click.option("--missing", type=click.Choice(["error", "replace", "skip"]), default="error", show_default=True,
              help="What becomes of characters that the font lacks.")  # fmt: skip
@click.option("--compat", type=click.Choice(["t2vid"]), help="The official pages, faults included.")
@click.option("--question-words", type=click.IntRange(1), help="Leave out longer questions.")
@click.option("--model", help="Count tokens with the processor of this checkpoint (a folder, a hub id, builtin).")
@click.option("--most-tokens", type=click.IntRange(1), help="Leave out longer samples; default: the model's context.")
@click.option("--most-pages", type=click.IntRange(1), help="Leave out samples of more pages.")
@click.option("--take", type=click.IntRange(1), help="So many texts, drawn by the seed.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--workers", type=click.IntRange(0), default=0, help="Processes; 0 works in this one.")
@click.option("--shard-samples", type=click.IntRange(1), default=100, show_default=True)
@click.option("--verify", is_flag=True, help="Read every sample again and compare.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on standard error.")
@click.pass_context
def command(ctx: click.Context, texts: Sequence[Path], out: Path, **given: Any) -> None:
    """Print long texts on pages, with the question about each as a row for a trainer.

    OUT gets the pictures (or films, or shards), rows in the forms of trainers, and text_only.jsonl: the same rows
    without pictures. The same command again goes on where the last one stopped; the same seed gives the same bytes.
    """
    settings = _settings(given)
    forms = _forms(given["rows"])
    if given["most_tokens"] and not given["model"]:
        raise ConfigError("--most-tokens needs --model, whose processor counts them")
    chosen, dropped = _texts(texts, settings, given)
    from videre.methods.t2vid import synth

    todo = synth.items(chosen, settings)
    engine = jobs.Local(workers=given["workers"]) if given["workers"] > 1 else None
    manifest = {"videre": __version__, "texts": [jobs.file_key(path) for path in texts], "settings": _told(given)}
    quiet = given["quiet"] or len(todo) < 2
    work = synth.work(out, settings)
    outcome = jobs.run(todo, work, folder=out, manifest=manifest, engine=engine, retry_failed=True, quiet=quiet)
    if outcome.exit_code not in (errors.OK, errors.SOME_FAILED):
        click.echo(f"videre: {outcome.message}", err=True)
        ctx.exit(outcome.exit_code)
    _complain(out)
    made = synth.samples(out, todo)
    named = {text.id: text for text in chosen}
    rows = [synth.training_row(sample, named[sample["id"]]) for sample in made]
    _write_rows(rows, named, out, [] if given["media"] in synth.SHARDS else forms)  # shards hold their rows themselves
    broken = _verified(out, made, named, settings, quiet=quiet) if given["verify"] else {}
    summary = _summary(made, dropped, outcome, broken, verified=given["verify"])
    jobs.replace_file(out / "summary.json", json.dumps(summary, indent=2) + "\n")
    click.echo(json.dumps(summary) if given["as_json"] else _text(summary, out))
    ctx.exit(errors.SOME_FAILED if broken else outcome.exit_code)


def _settings(given: dict[str, Any]) -> Any:
    from videre.methods.t2vid.layout import Style
    from videre.methods.t2vid.synth import Settings

    try:
        style = Style(
            font=str(given["font"]) if given["font"] else None,
            size_px=given["font_px"],
            width_px=given["page_px"],
            height_px=given["page_px"],
            margin_px=given["margin_px"],
            newlines=given["newlines"],
            overflow=given["overflow"],
            missing=given["missing"],
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error
    by = None if given["by"] == "fit" else given["by"]
    return Settings(given["media"], by, given["limit"], style, given["compat"], given["shard_samples"])


def _forms(text: str) -> list[str]:
    forms = [form.strip() for form in text.split(",") if form.strip()]
    for form in forms:
        if form not in FILES:
            raise ConfigError(f"no form of rows {form!r}; there are {', '.join(FILES)}")
    return forms


def _told(given: dict[str, Any]) -> dict[str, Any]:
    how = ("workers", "verify", "as_json", "quiet", "rows")
    return {name: str(value) if isinstance(value, Path) else value for name, value in given.items() if name not in how}


def _texts(paths: Sequence[Path], settings: Any, given: dict[str, Any]) -> tuple[list[Any], Counter[str]]:
    """The texts that are to be made, in order, and how many were left out for which reason."""
    from videre.data import long_texts

    read = [getattr(long_texts, READERS[given["format_"]])(path) for path in paths]
    dropped: Counter[str] = sum((one.dropped for one in read), Counter())
    texts = long_texts.numbered([text for one in read for text in one.texts])
    kept = long_texts.short_enough(texts, **_limits(settings, given))
    chosen = kept.texts
    if given["take"]:
        if given["take"] > len(chosen):
            raise ConfigError(f"--take {given['take']}: {len(chosen)} texts are within the limits")
        places = sorted(random.Random(given["seed"]).sample(range(len(chosen)), given["take"]))  # noqa: S311
        dropped["not drawn"] = len(chosen) - given["take"]
        chosen = [chosen[place] for place in places]
    return chosen, dropped + kept.dropped


def _limits(settings: Any, given: dict[str, Any]) -> dict[str, Any]:
    from videre.methods.t2vid.face import Face
    from videre.methods.t2vid.render import laid_out

    limits: dict[str, Any] = {"question_words": given["question_words"]}
    if not (given["model"] or given["most_pages"]):
        return limits
    face = Face(settings.style.font, settings.style.size_px)
    pages: dict[str, int] = {}

    def count(text: Any) -> int:
        if text.id not in pages:
            made = laid_out(text.context, settings.style, by=settings.by, limit=settings.limit, face=face)
            pages[text.id] = sum(1 for _ in made)
        return pages[text.id]

    limits |= {"pages": count, "most_pages": given["most_pages"]}
    if given["model"]:
        from videre.methods.t2vid.budget import Budget
        from videre.models.builtin import FOLDER

        model = str(FOLDER) if given["model"] == "builtin" else given["model"]
        budget = Budget(model, page_px=(given["page_px"], given["page_px"]))
        limits |= {"tokens": lambda text: budget.tokens(count(text), text.question, text.answer)}
        limits |= {"most_tokens": given["most_tokens"] or budget.context_tokens}
    return limits


def _write_rows(rows: Sequence[Any], texts: dict[str, Any], out: Path, forms: Sequence[Any]) -> None:
    from videre.data import training_rows

    for form in forms:
        jobs.replace_file(out / FILES[form], training_rows.lines(rows, form))
        if form == "llama-factory" and rows:
            info = training_rows.dataset_info(out.name, FILES[form], rows[0])
            jobs.replace_file(out / "dataset_info.json", json.dumps(info, indent=2) + "\n")
    twins = [training_rows.twin(row, texts[row.id].context) for row in rows]
    jobs.replace_file(out / TWIN, training_rows.lines(twins, "messages"))


def _complain(out: Path) -> None:
    for row in jobs.rows(out):
        if row.get("error"):
            click.echo(f"videre: error: {row['id']}: {row['error']['message']}", err=True)


def _verified(
    out: Path, made: Sequence[dict[str, Any]], texts: dict[str, Any], settings: Any, *, quiet: bool
) -> dict[str, str]:
    from videre.methods.t2vid import synth

    check: Callable[..., str] = synth.verify
    told = {one["id"]: check(out, one, texts[one["id"]], settings) for one in progress(made, len(made), quiet=quiet)}
    for id, reason in told.items():
        if reason:
            click.echo(f"videre: error: {id}: {reason}", err=True)
    return {id: reason for id, reason in told.items() if reason}


def _summary(
    made: Sequence[dict[str, Any]],
    dropped: Counter[str],
    outcome: jobs.Outcome,
    broken: dict[str, str],
    *,
    verified: bool,
) -> dict[str, Any]:
    return {
        "samples": len(made),
        "pages": sum(one["pages"] for one in made),
        "failed": outcome.failed,
        "left_out": dict(dropped),
        "replaced_characters": "".join(sorted({c for one in made for c in one["missing"]})),
        "cut_off_pages": sum(one.get("cut_off_pages", 0) for one in made),
        "verified": len(made) - len(broken) if verified else None,
        "broken": broken,
    }


def _text(summary: dict[str, Any], out: Path) -> str:
    lines = [f"{summary['samples']} samples of {summary['pages']} pages in {out}"]
    lines += [f"left out: {count} ({reason})" for reason, count in summary["left_out"].items()]
    if summary["failed"]:
        lines.append(f"failed: {summary['failed']}; the same command tries them again")
    if summary["cut_off_pages"]:
        lines.append(f"{summary['cut_off_pages']} pages are cut off at an edge, as the official ones are")
    if summary["verified"] is not None:
        lines.append(f"verified: {summary['verified']} whole, {len(summary['broken'])} broken")
    return "\n".join(lines)
