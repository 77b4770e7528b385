"""Captions: our tokens, and the scores of the reference library where it is installed."""

import shutil

import numpy as np
import pytest
from hypothesis import given, settings
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


WORDS = st.lists(st.sampled_from(["man", "cuts", "an", "onion", "dogs", "play", "won't"]), max_size=8).map(" ".join)


@given(WORDS)
def test_tokens_of_plain_words_are_kept(text):
    assert " ".join(caption.split(text)).replace("wo n't", "won't") == text
    assert caption.split(" ".join(caption.split(text.upper() + "."))) == caption.split(text)


COUNTS = st.lists(st.integers(1, 9), min_size=4, max_size=4)


@given(st.integers(1, 30), st.integers(1, 30), COUNTS, st.lists(st.integers(0, 9), min_size=4, max_size=4))
def test_bleu_is_in_range_and_falls_with_n(length, reference, said, found):
    found = [min(pair) for pair in zip(said, found, strict=True)]
    rates = sorted((f / s for f, s in zip(found, said, strict=True)), reverse=True)
    counts = np.array([[length, reference, *[1e6] * 4, *[1e6 * rate for rate in rates]]])
    (bleu,) = caption.bleu_of(counts)
    assert (bleu >= 0).all()
    assert (bleu <= 1 + 1e-12).all()
    assert (np.diff(bleu) <= 1e-9).all()
    longer = np.array([[max(length, reference), reference, *counts[0, 2:]]])
    assert (caption.bleu_of(longer)[0] >= bleu - 1e-12).all()


LIBRARY = "caption scores need the extra: pip install 'videre[captions]'"


def test_scores_of_the_library():
    pytest.importorskip("pycocoevalcap", reason=LIBRARY)
    perfect = caption.captions(
        {item: texts[0] for item, texts in REFERENCES.items()}, REFERENCES, tokens="plain"
    ).scores
    assert perfect["BLEU-4"] == pytest.approx(1.0)
    assert perfect["ROUGE-L"] == pytest.approx(1.0)
    silent = caption.captions({}, REFERENCES, tokens="plain").scores
    assert all(value == pytest.approx(0.0, abs=1e-6) for value in silent.values())
    mixed = caption.captions({"v1": "a man cuts an onion"}, REFERENCES, tokens="plain")
    assert silent["CIDEr"] < mixed.scores["CIDEr"] < perfect["CIDEr"]
    assert mixed.intervals.keys() == mixed.scores.keys()
    for name, (low, high) in mixed.intervals.items():
        assert low <= mixed.scores[name] <= high


@given(st.dictionaries(st.sampled_from(list(REFERENCES)), WORDS))
@settings(max_examples=25, deadline=None)
def test_bleu_is_that_of_the_library(said):
    pytest.importorskip("pycocoevalcap", reason=LIBRARY)
    from pycocoevalcap.bleu.bleu import Bleu

    found = caption.captions(said, REFERENCES, tokens="plain").scores
    given_to = {item: [" ".join(caption.split(said.get(item, "")))] for item in REFERENCES}
    true = {item: [" ".join(caption.split(text)) for text in texts] for item, texts in REFERENCES.items()}
    wanted, _ = Bleu(4).compute_score(true, given_to, verbose=0)
    assert [found[f"BLEU-{n}"] for n in range(1, 5)] == pytest.approx(wanted, abs=1e-12)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_our_tokens_give_the_scores_of_java():
    pytest.importorskip("pycocoevalcap", reason="caption scores need the extra: pip install 'videre[captions]'")
    if shutil.which("java") is None:
        pytest.skip("the official tokenizer needs Java")
    said = {"v1": "A man doesn't cut an onion, he's slicing it.", "v2": "dogs play", "v3": "a woman (on stage)"}
    plain, java = (dict(caption.captions(said, REFERENCES, tokens=tokens).scores) for tokens in ("plain", "java"))
    assert 0 < java.pop("METEOR") < 1
    assert java == pytest.approx(plain, abs=1e-12)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_meteor_is_that_of_the_library_and_lies_in_its_interval():
    pytest.importorskip("pycocoevalcap", reason=LIBRARY)
    if shutil.which("java") is None:
        pytest.skip("METEOR needs Java")
    from pycocoevalcap.meteor.meteor import Meteor

    texts = {item: [" ".join(caption.split(text)) for text in some] for item, some in REFERENCES.items()}
    said = {"v1": ["a man cuts an onion"], "v2": ["dogs play"], "v3": [""]}
    wanted, each = Meteor().compute_score(texts, {item: said[item] for item in texts})
    score, (low, high) = caption._meteor(said, texts)
    assert score == pytest.approx(wanted, abs=1e-12)
    assert min(each) - 1e-12 <= low <= score <= high <= 1
    assert caption._meteor(said, texts) == (score, (low, high))
