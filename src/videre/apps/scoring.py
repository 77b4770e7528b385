"""`videre score`: what others predicted, scored from their files as their own scripts score it. No model is run."""

import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from videre.apps import showing
from videre.types import JSON

FILE = click.Path(path_type=Path, dir_okay=False)


# Written out, so that help needs no numpy; a test holds them to the tables of `metrics`.
MATCHES = ("exact", "words", "first-word")
RULES = ("recommended", "t2vid", "videomme", "lmms-eval-videomme", "mvbench", "lmms-eval-mvbench", "tempcompass")
TASKS = ("multi-choice", "yes_no", "caption_matching")


def _shown(command: Callable[..., Mapping[str, JSON]]) -> Callable[..., None]:
    """The command with `--json`: its report as one object, and its notes on stderr; else as a table with both."""

    @click.option("--json", "as_json", is_flag=True, help="One JSON object.")
    @functools.wraps(command)
    def show(as_json: bool, **arguments: Any) -> None:
        report = command(**arguments)
        if not as_json:
            click.echo(showing.report(report, str(report["benchmark"])))
            return
        click.echo(json.dumps(report))
        for note in report.get("notes") or ():
            click.echo(f"videre: note: {note}", err=True)

    return show


@click.group()
def command() -> None:
    """Score prediction files that others published, under their official keys. No model is run.

    What each file holds: docs/metrics.md, "Scoring files of others".
    """


@command.command(short_help="Acc@GQA, mIoP, mIoU, blind baselines.")
@click.option("--spans", type=FILE, required=True, help='{"VIDEO_QID": [start, end]}')
@click.option("--annotations", type=FILE, required=True, help="gsub_val.json or gsub_test.json")
@click.option("--answers", type=FILE, help='{"VIDEO_QID": {"prediction": 3, "answer": 1}}')
@click.option("--questions", type=FILE, help="The csv of the split: accuracy by kind.")
@click.option("--subset", type=FILE, help="Ids to score, a JSON list or one a line.")
@click.option("--normalised", is_flag=True, help="Spans are in [0, 1].")
@_shown
def nextgqa(spans: Path, annotations: Path, **more: Any) -> Mapping[str, JSON]:
    """NExT-GQA: Acc@GQA, mIoP, mIoU and the blind baselines."""
    from videre import score

    return score.score_nextgqa(spans, annotations, **more)


def _pair(name: str, function: str, text: str) -> None:
    """A subcommand of two files: predictions and annotations."""

    @click.argument("predictions", type=FILE)
    @click.option("--annotations", type=FILE, required=True, help="The published annotation file.")
    @_shown
    def run(predictions: Path, annotations: Path) -> Mapping[str, JSON]:
        from videre import score

        return getattr(score, function)(predictions, annotations)

    command.command(name, help=text)(run)


_pair("qvhighlights", "score_qvhighlights", "R@1, mAP and HIT@1 of predicted moments.")
_pair("charades-sta", "score_charades_sta", "R@1 at IoU and mIoU of predicted moments.")
_pair("activitynet-localisation", "score_activitynet_localisation", "mAP of labelled spans.")
_pair("ava-detection", "score_ava_detection", "Frame mAP at IoU 0.5.")


@command.command(short_help="R@k and ranks of a .npy matrix.")
@click.argument("similarity", type=FILE)
@click.option("--texts", type=FILE, help="The video of each row, where several texts are about one: ids, csv or JSON.")
@click.option("--videos", type=FILE, help="The ids of the columns; else in the order in which --texts names them.")
@click.option("--ties", type=click.Choice(["mean", "best", "worst"]), default="mean", show_default=True)
@click.option(
    "--popular-ties", is_flag=True, help="Count ties as much published code does, fault included: --ties has no say."
)
@_shown
def retrieval(similarity: Path, **more: Any) -> Mapping[str, JSON]:
    """Retrieval: R@k and ranks of a .npy matrix, texts by videos."""
    from videre import score

    return score.score_retrieval(similarity, **more)


@command.command(short_help="Accuracy by aspect.")
@click.argument("predictions", type=FILE)
@click.option("--annotations", type=FILE, help="The official questions: those without a prediction count as wrong.")
@click.option("--task", type=click.Choice(TASKS), default="multi-choice", show_default=True)
@click.option("--meta-info", type=FILE, help="The official meta_info.json: fine-grained aspects.")
@_shown
def tempcompass(predictions: Path, **more: Any) -> Mapping[str, JSON]:
    """TempCompass: accuracy by aspect."""
    from videre import score

    return score.score_tempcompass(predictions, **more)


@command.command("activitynet-qa", short_help="Accuracy by type, without a judge.")
@click.argument("predictions", type=FILE)
@click.option("--annotations", type=FILE, required=True, help="val_a.json or test_a.json")
@click.option("--match", type=click.Choice(MATCHES), default="exact", show_default=True,
              help="exact is the official rule.")  # fmt: skip
@_shown
def activitynet_qa(predictions: Path, annotations: Path, match: str) -> Mapping[str, JSON]:
    """ActivityNet-QA: accuracy by type, without a judge."""
    from videre import score

    return score.score_activitynet_qa(predictions, annotations, match=match)


@command.command("video-mme", short_help="Accuracy by length.")
@click.argument("predictions", type=FILE)
@click.option("--rule", type=click.Choice(RULES), default="recommended", show_default=True,
              help="How replies are read; videomme is the official rule.")  # fmt: skip
@_shown
def video_mme(predictions: Path, rule: str) -> Mapping[str, JSON]:
    """Video-MME: accuracy by length, beside chance and the best constant letter."""
    from videre import score

    return score.score_video_mme(predictions, rule=rule)


@command.command(short_help="Video-MME scale grids: confusion, headroom.")
@click.argument("flags", type=FILE)
@click.option("--letters", type=FILE, help="The letters of one model, a column a setting (..._predictions_wide.csv).")
@click.option("--model", help="Whose letters they are, as the flags name it.")
@_shown
def scalegrid(flags: Path, **more: Any) -> Mapping[str, JSON]:
    """Video-MME scale grids (derived.csv): visual confusion, overwriting and headroom."""
    from videre import score

    return score.score_scalegrid(flags, **more)


@command.command(short_help="EPIC-KITCHENS-100: class-mean top-5 recall.")
@click.argument("predictions", type=FILE)
@click.option("--annotations", type=FILE, required=True, help="EPIC_100_validation.csv")
@click.option("--unseen", type=FILE, help="Participants that training has not seen, one a line.")
@click.option("--tail-verbs", type=FILE, help="EPIC_100_tail_verbs.csv; with --tail-nouns.")
@click.option("--tail-nouns", type=FILE, help="EPIC_100_tail_nouns.csv; with --tail-verbs.")
@_shown
def anticipation(predictions: Path, annotations: Path, **more: Any) -> Mapping[str, JSON]:
    """EPIC-KITCHENS-100 anticipation: class-mean top-5 recall of verb, noun, action."""
    from videre import score

    if (more["tail_verbs"] is None) != (more["tail_nouns"] is None):
        raise click.UsageError("--tail-verbs and --tail-nouns are given together")
    return score.score_anticipation(predictions, annotations, **more)
