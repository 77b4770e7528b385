"""Rows of `videre synth` in TRL's SFT trainer, unchanged: as shards and as JSON lines."""

import json

import pytest
from click.testing import CliRunner

pytest.importorskip("trl")
pytest.importorskip("fontTools")

from videre.apps.synth import command


@pytest.mark.filterwarnings("ignore")
def test_rows_train_in_trl_as_they_are(tmp_path, tiny_checkpoint, monkeypatch):
    from datasets import Image, List, load_dataset
    from transformers import AutoModelForImageTextToText, AutoProcessor
    from trl import SFTConfig, SFTTrainer

    rows = [
        {"id": str(n), "text": "the sea and a boat " * (6 + 4 * n), "question": "What?", "answer": "a boat"}
        for n in range(2)
    ]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    look = ["--limit", "40", "--page-px", "64", "--font-px", "8", "--margin-px", "2", "-q"]
    for media in ("parquet", "images"):
        done = CliRunner().invoke(
            command, [str(tmp_path / "t.jsonl"), "-o", str(tmp_path / media), "--media", media, *look]
        )
        assert done.exit_code == 0, done.output
    monkeypatch.chdir(tmp_path / "images")
    cache = str(tmp_path / "cache")
    shards = load_dataset("parquet", data_files="../parquet/shards/shard-00000.parquet", split="train", cache_dir=cache)
    lines = load_dataset("json", data_files="messages.jsonl", split="train", cache_dir=cache)
    losses = []
    for data in (shards, lines.cast_column("images", List(Image()))):
        folder = tiny_checkpoint("internvl")
        settings = SFTConfig(
            output_dir=str(tmp_path / "sft"), max_steps=1, per_device_train_batch_size=2, report_to=[], use_cpu=True,
            max_length=None, logging_steps=1, save_strategy="no", bf16=False, disable_tqdm=True, seed=0,
        )  # fmt: skip
        network = AutoModelForImageTextToText.from_pretrained(folder)
        processor = AutoProcessor.from_pretrained(folder)
        trainer = SFTTrainer(model=network, args=settings, train_dataset=data, processing_class=processor)
        trainer.train()
        losses.append(trainer.state.log_history[0]["loss"])
    assert losses[0] == pytest.approx(losses[1])
    assert losses[0] > 1
