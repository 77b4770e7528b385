"""MA-LMM against tensors that the official code gave (boheumd/MA-LMM, commit ffe9fa9), kept beside the checkout."""

import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close

from videre.methods.ma_lmm.bank import Bank, compress, push

CASES = [
    "all_identical_ties", "negative_sims", "random_f64", "random_ones", "random_sizes", "scaled_pair", "t2",
    "two_exact_ties", "zero_vector",
]  # fmt: skip


@pytest.fixture(scope="module")
def golden(shared):
    return lambda name: load_file(shared / "golden/ma_lmm" / f"{name}.safetensors")


@pytest.fixture(scope="module")
def compressions(golden):
    return golden("memory_bank_compress")


def bank_of(values, sizes):
    return Bank(values, sizes, torch.arange(values.shape[1], dtype=sizes.dtype)[None, :, None].expand_as(sizes))


@pytest.mark.parametrize("case", CASES)
def test_compress(compressions, case):
    told = {part: compressions[f"{case}.{part}"] for part in ("bank_in", "size_in", "bank_out", "size_out")}
    values, sizes = told["bank_in"].clone(), told["size_in"].clone()
    shorter = compress(bank_of(values, sizes))
    assert torch.equal(shorter.sizes, told["size_out"])
    exact = 1e-12 if case == "random_f64" else 1e-6
    assert_close(shorter.values, told["bank_out"], rtol=exact, atol=exact)
    assert torch.equal(values, told["bank_in"])
    assert torch.equal(sizes, told["size_in"])


def test_every_published_case_is_tried(compressions):
    assert sorted({name.split(".")[0] for name in compressions} - {"stream"}) == sorted(CASES)


def test_compress_has_the_gradient_of_its_values(compressions):
    values, sizes = compressions["random_f64.bank_in"], compressions["random_f64.size_in"]
    given = values.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: compress(bank_of(x, sizes)).values, (given,), fast_mode=True)


def test_push_over_a_stream(compressions):
    frames, limit = compressions["stream.frames"], int(compressions["stream.memory_bank_length"])
    bank = None
    for t in range(frames.shape[1]):
        bank = push(bank, frames[:, t], limit, time=float(t))
        assert torch.equal(bank.sizes, compressions[f"stream.size_after_{t:02d}"])
        assert_close(bank.values, compressions[f"stream.bank_after_{t:02d}"], rtol=1e-6, atol=1e-6)
