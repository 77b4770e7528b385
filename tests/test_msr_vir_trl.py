"""The rows that a cycle writes for its parser, in TRL's own DPO trainer: the same loss and the same gradients."""

import copy
import json

import pytest
import torch

pytest.importorskip("trl", reason="TRL is an optional package: pip install 'videre[dev]'")

from test_msr_vir_training import AFTER, BEFORE, tiny_text
from videre.methods.msr_vir.dpo import DPO, _loss, with_reference
from videre.methods.msr_vir.prompts import prompt

ASKED = ("what does he do after the ball falls?", "who runs before the ball falls near the red door?")
HOW = DPO(beta=0.3)


def shaken(parser):
    """The parser with other weights, so that neither loss nor gradients are those of a start."""
    torch.manual_seed(5)
    other = copy.copy(parser)
    other.network = copy.deepcopy(parser.network)
    with torch.no_grad():
        for weight in other.network.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return other


@pytest.mark.filterwarnings("ignore")
def test_loss_and_gradients_are_those_of_trl_on_the_same_rows(tmp_path):
    from datasets import load_dataset
    from trl import DPOConfig, DPOTrainer

    parser = tiny_text()
    parser.tokenizer.chat_template = None  # TRL writes a line end after the reply's last token, which no one asks for.
    both = ((AFTER, BEFORE), (BEFORE, AFTER))
    pairs = [
        {"id": str(n), "prompt": prompt(asked), "chosen": good.canonical, "rejected": bad.canonical}
        for n, (asked, (good, bad)) in enumerate(zip(ASKED, both, strict=True))
    ]
    rows = with_reference(parser, pairs, HOW)
    (tmp_path / "reference.json").write_text(json.dumps(rows, indent=1))  # As a cycle writes it.
    ours = shaken(parser)
    data = load_dataset("json", data_files=str(tmp_path / "reference.json"), split="train", cache_dir=str(tmp_path))
    settings = DPOConfig(
        output_dir=str(tmp_path / "dpo"), beta=HOW.beta, max_length=None, per_device_train_batch_size=2,
        report_to=[], use_cpu=True, bf16=False, disable_tqdm=True, gradient_checkpointing=False, max_steps=1,
    )  # fmt: skip
    trainer = DPOTrainer(
        model=copy.deepcopy(ours.network),
        ref_model=parser.network,
        args=settings,
        train_dataset=data,
        processing_class=parser.tokenizer,
    )
    assert len(trainer.train_dataset) == len(pairs)
    theirs = trainer.compute_loss(trainer.model.eval(), next(iter(trainer.get_train_dataloader())))
    theirs.backward()
    mine = torch.stack([_loss(HOW, ours, row) for row in rows]).mean()
    mine.backward()
    assert float(mine) == pytest.approx(float(theirs), rel=1e-4)
    assert abs(float(mine) - 0.6931472) > 0.02
    told = dict(trainer.model.named_parameters())
    pairs_of = [(weight.grad.flatten(), told[name].grad.flatten()) for name, weight in ours.network.named_parameters()]
    one, other = (torch.cat(side) for side in zip(*pairs_of, strict=True))
    assert float((one - other).norm()) < 1e-4 * float(other.norm())
