"""Captions: BLEU, ROUGE-L and CIDEr, and METEOR where Java is installed, by the reference code `pycocoevalcap`.

An extra: `pip install videre[captions]`. The library's tokenizer and METEOR run Java; `tokens="plain"` goes without:
captions are split by `split` below, which does what the Penn Treebank rules do to captions, and METEOR is left out.
"""

import importlib
import re
import shutil
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from videre.errors import ConfigError, DataError

_CONTRACTION = re.compile(r"(?i)(n't|'(?:s|re|ve|ll|d|m))(?=$|\W)")
_TOKEN = re.compile(r"(?i)n't(?!\w)|'(?:s|re|ve|ll|d|m)(?!\w)|[^\W_]+(?:[-'.,/&_][^\W_]+)*|[$%&#@+=/*<>()\[\]{}]")

_WHOLE = re.compile(r"(?i)\b(gon|wan|got|can|gim|lem)(na|ta|not|me)\b")
_BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}

Tokens = Literal["java", "plain"]


def captions(
    predictions: Mapping[str, str], references: Mapping[str, Sequence[str]], *, tokens: Tokens = "java"
) -> dict[str, float]:
    """Corpus scores of one caption an item against its references.

    BLEU-1 to 4, ROUGE-L and METEOR are in [0, 1]; CIDEr (the CIDEr-D of the COCO server) is in [0, 10]. Papers print
    all of them times 100. An item without a prediction is scored as an empty caption.

    Args:
        predictions: caption by item.
        references: true captions by item, at least one each; an item of these is always scored.
        tokens: "java" for the official tokenizer and METEOR, "plain" for ours without METEOR.

    Raises:
        ConfigError: `pycocoevalcap` is not installed, or Java is asked for and missing.
        DataError: an item has no reference.

    Source: `pycocoevalcap` 1.2, the COCO caption evaluation server (Chen et al., 2015).
    Differs: "plain" tokens stand in for Java's; they differ at abbreviations ("U.S.") and quoted clippings only.
    """
    bare = [item for item, texts in references.items() if not texts]
    if bare or not references:
        raise DataError(f"{len(bare)} items have no reference caption, such as {bare[:3]}")
    java = tokens == "java"
    if java and shutil.which("java") is None:
        raise ConfigError("tokens='java' needs Java: install a JRE, or take tokens='plain' without METEOR")
    said = {item: [predictions.get(item, "")] for item in references}
    true = {item: list(texts) for item, texts in references.items()}
    said, true = (_java_tokens(said), _java_tokens(true)) if java else (_plain_tokens(said), _plain_tokens(true))
    bleu, _ = _scorer("bleu.bleu", "Bleu", 4).compute_score(true, said, verbose=0)
    scores = {f"BLEU-{n}": float(value) for n, value in enumerate(bleu, 1)}
    scores["ROUGE-L"] = float(_scorer("rouge.rouge", "Rouge").compute_score(true, said)[0])
    scores["CIDEr"] = float(_scorer("cider.cider", "Cider").compute_score(true, said)[0])
    if java:
        scores["METEOR"] = float(_scorer("meteor.meteor", "Meteor").compute_score(true, said)[0])
    return scores


def split(caption: str) -> list[str]:
    """Lower-case tokens of a caption without punctuation: contractions apart, brackets named, as Java's tokenizer does.

    >>> split("A man doesn't run, he's walking.")
    ['a', 'man', 'does', "n't", 'run', 'he', "'s", 'walking']
    """
    apart = _CONTRACTION.sub(r" \1", _WHOLE.sub(r"\1 \2", caption.replace("’", "'")))
    return [_BRACKETS.get(token, token.lower()) for token in _TOKEN.findall(apart)]


def _plain_tokens(texts: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    return {item: [" ".join(split(text)) for text in some] for item, some in texts.items()}


def _java_tokens(texts: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    rows = {item: [{"caption": text} for text in some] for item, some in texts.items()}
    return dict(_scorer("tokenizer.ptbtokenizer", "PTBTokenizer").tokenize(rows))


def _scorer(module: str, name: str, *arguments: object) -> Any:
    try:
        return getattr(importlib.import_module(f"pycocoevalcap.{module}"), name)(*arguments)
    except ModuleNotFoundError as error:
        raise ConfigError("caption scores need a library: pip install 'videre[captions]'") from error
