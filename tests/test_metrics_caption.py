"""Captions: our tokens, and the scores of the reference library where it is installed."""

import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videre.errors import ConfigError, DataError
from videre.metrics import caption

REFERENCES = {
    "v1": ["a man is cutting an onion", "someone cuts an onion", "a person slices onions in a kitchen"],
    "v2": ["two dogs play on the grass", "dogs are running in a garden"],
    "v3": ["a woman plays the guitar", "a girl is playing guitar on a stage"],
}


def test_tokens():
    assert caption.split("He can't - won't! (well) 3.5 miles, $5") == [
        "he", "ca", "n't", "wo", "n't", "-lrb-", "well", "-rrb-", "3.5", "miles", "$", "5",
    ]  # fmt: skip
    assert caption.split("") == []


@given(st.text(max_size=60))
def test_tokens_are_lower_case_without_space(text):
    assert all(token and token == token.lower() and not token.isspace() for token in caption.split(text))


def test_an_item_without_reference_is_refused():
    with pytest.raises(DataError, match="no reference caption"):
        caption.captions({}, {"v1": []}, tokens="plain")


def test_what_to_install_is_said(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ConfigError, match="install a JRE"):
        caption.captions({}, REFERENCES)


def test_scores_of_the_library():
    pytest.importorskip("pycocoevalcap", reason="caption scores need the extra: pip install 'videre[captions]'")
    perfect = caption.captions({item: texts[0] for item, texts in REFERENCES.items()}, REFERENCES, tokens="plain")
    assert perfect["BLEU-4"] == pytest.approx(1.0)
    assert perfect["ROUGE-L"] == pytest.approx(1.0)
    silent = caption.captions({}, REFERENCES, tokens="plain")
    assert all(value == pytest.approx(0.0, abs=1e-6) for value in silent.values())
    mixed = caption.captions({"v1": "a man cuts an onion"}, REFERENCES, tokens="plain")
    assert silent["CIDEr"] < mixed["CIDEr"] < perfect["CIDEr"]


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_our_tokens_give_the_scores_of_java():
    pytest.importorskip("pycocoevalcap", reason="caption scores need the extra: pip install 'videre[captions]'")
    if shutil.which("java") is None:
        pytest.skip("the official tokenizer needs Java")
    said = {"v1": "A man doesn't cut an onion, he's slicing it.", "v2": "dogs play", "v3": "a woman (on stage)"}
    plain, java = (caption.captions(said, REFERENCES, tokens=tokens) for tokens in ("plain", "java"))
    assert 0 < java.pop("METEOR") < 1
    assert java == pytest.approx(plain, abs=1e-12)
