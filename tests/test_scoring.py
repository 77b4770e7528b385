"""`videre score`: the known scores of published prediction files come back by command."""

import json

import pytest
from click.testing import CliRunner

from videre.apps import scoring
from videre.apps.catalog import BENCHMARKS
from videre.apps.cli import cli
from videre.metrics import extractors, tempcompass, text


def score(*arguments: object) -> dict:
    done = CliRunner().invoke(cli, ["score", *map(str, arguments), "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_qvhighlights_keys_and_figures(shared):
    folder = shared / "corpus" / "results" / "qvhighlights"
    known = json.loads((folder / "moment_detr_sample_val_preds_metrics_raw.json").read_text())
    found = score(
        "qvhighlights", folder / "moment_detr_sample_val_preds.jsonl",
        "--annotations", folder / "highlight_val_release.jsonl",
    )["scores"]  # fmt: skip
    brief = known["brief"]
    assert set(brief) <= set(found)
    assert {key: round(found[key], 2) for key in brief} == pytest.approx(brief, abs=0.011)


def test_nextgqa_prints_a_table_with_blind_baselines(shared):
    folder = shared / "corpus" / "results" / "nextgqa"
    arguments = [
        "score", "nextgqa", "--spans", folder / "val_ground_centre_third.json",
        "--annotations", folder / "gsub_val.json", "--answers", folder / "val_qa_random.json",
    ]  # fmt: skip
    done = CliRunner().invoke(cli, [str(a) for a in arguments], catch_exceptions=False)
    assert done.exit_code == 0
    assert "Acc@GQA" in done.stdout
    assert "  blind:           Acc@GQA      mIoP" in done.stdout
    assert "  middle_point        4.91     26.44" in done.stdout


@pytest.mark.parametrize("group", ["score", "eval"])
def test_no_line_of_the_list_of_commands_is_cut(group):
    shown = CliRunner().invoke(cli, [group, "--help"], terminal_width=80).output
    assert "..." not in shown.partition("Commands:")[2].replace("`videre eval BENCHMARK ...`", "")


def test_a_missing_file_is_named():
    done = CliRunner().invoke(cli, ["score", "retrieval", "gone.npy"])
    assert "gone.npy" in str(done.exception)
    assert done.exception.exit_code in (2, 3)


def test_names_of_rules_are_those_of_metrics():
    assert list(scoring.MATCHES) == list(text.MATCHES)
    assert list(scoring.RULES) == list(extractors.RULES)
    assert list(scoring.TASKS) == list(tempcompass.TASKS)


def test_an_unknown_benchmark_is_told_all_there_are():
    done = CliRunner().invoke(cli, ["eval", "nope"])
    assert all(name in str(done.exception) for name in BENCHMARKS)
