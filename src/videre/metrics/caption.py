"""Captions: BLEU, ROUGE-L and CIDEr, and METEOR where Java is installed, by the reference code `pycocoevalcap`.

An extra: `pip install videre[captions]`. The library's tokenizer and METEOR run Java; `tokens="plain"` goes without:
captions are split by `split` below, which does what the Penn Treebank rules do to captions, and METEOR is left out.
"""

import importlib
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64

from videre.errors import ConfigError, DataError
from videre.metrics.interval import bootstrap, middle, pieces

_CONTRACTION = re.compile(r"(?i)(n't|'(?:s|re|ve|ll|d|m))(?=$|\W)")
_TOKEN = re.compile(r"(?i)n't(?!\w)|'(?:s|re|ve|ll|d|m)(?!\w)|[^\W_]+(?:[-'.,/&_][^\W_]+)*|[$%&#@+=/*<>()\[\]{}]")

_WHOLE = re.compile(r"(?i)\b(gon|wan|got|can|gim|lem)(na|ta|not|me)\b")
_BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}

Tokens = Literal["java", "plain"]


@dataclass(frozen=True)
class Captions:
    """Corpus scores by name, and their 95 % bootstrap intervals, drawn over items.

    CIDEr weighs words by how rare they are in all references; these weights are kept in each draw.
    """

    scores: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]


def captions(
    predictions: Mapping[str, str], references: Mapping[str, Sequence[str]], *, tokens: Tokens = "java"
) -> Captions:
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
    counts = _bleu_counts(said, true)
    bleu = {f"BLEU-{n}": value for n, value in enumerate(bleu_of(counts.sum(axis=0)[None])[0], 1)}
    drawn = bleu_of(_drawn_sums(counts))
    intervals = {name: middle(drawn[:, n]) for n, name in enumerate(bleu)}
    scores = {name: float(value) for name, value in bleu.items()}
    for name, module in (("ROUGE-L", "rouge.rouge:Rouge"), ("CIDEr", "cider.cider:Cider")):
        mean, each = _scorer(module).compute_score(true, said)
        scores[name], intervals[name] = float(mean), bootstrap(np.asarray(each, dtype=np.float64))
    if java:
        scores["METEOR"], intervals["METEOR"] = _meteor(said, true)
    return Captions(scores, intervals)


def bleu_of(counts: Float64[np.ndarray, "R 10"]) -> Float64[np.ndarray, "R 4"]:
    """BLEU-1 to 4 of rows of summed counts: length, reference length, n-grams said, n-grams found, n = 1 to 4 each.

    Source: `pycocoevalcap` 1.2, `bleu/bleu_scorer.py`, with its two constants against division by zero.
    """
    tiny, small = 1e-15, 1e-9
    precision = np.cumprod((counts[:, 6:] + tiny) / (counts[:, 2:6] + small), axis=1) ** (1 / np.arange(1, 5))
    ratio = (counts[:, 0] + tiny) / (counts[:, 1] + small)
    return precision * np.exp(np.minimum(0.0, 1 - 1 / ratio))[:, None]


def _bleu_counts(said: Mapping[str, Sequence[str]], true: Mapping[str, Sequence[str]]) -> Float64[np.ndarray, "N 10"]:
    """What `bleu_of` takes, of each item: the reference of the closest length counts, of two the shorter."""
    scorer = _scorer("bleu.bleu_scorer:BleuScorer")
    for item, texts in true.items():
        scorer += (said[item][0], texts)
    rows = []
    for item in scorer.ctest:
        closest = min(item["reflen"], key=lambda length: (abs(length - item["testlen"]), length))
        rows.append([item["testlen"], closest, *item["guess"], *item["correct"]])
    return np.array(rows, dtype=np.float64)


def _meteor(said: Mapping[str, Sequence[str]], true: Mapping[str, Sequence[str]]) -> tuple[float, tuple[float, float]]:
    """METEOR and its interval: its counts add up over items, and its program turns sums of them into scores."""
    scorer = _scorer("meteor.meteor:Meteor")
    rows = [[float(n) for n in scorer._stat(said[item][0], list(texts)).split()] for item, texts in true.items()]
    counts = np.array(rows, dtype=np.float64)
    sums = np.concatenate([counts.sum(axis=0)[None], _drawn_sums(counts)])
    line = "".join(f" ||| {' '.join(map(str, row))}" for row in sums)
    with scorer.meteor_p as program:
        program.stdin.write(f"EVAL{line}\n".encode())
        program.stdin.flush()
        values = [float(program.stdout.readline()) for _ in range(len(sums) + 1)]  # the last one is of all
        program.kill()
    return values[0], middle(np.array(values[1:-1]))


def _drawn_sums(counts: Float64[np.ndarray, "N C"], *, resamples: int = 1000) -> Float64[np.ndarray, "R C"]:
    """The counts of all items summed over each draw of them."""
    rng, n = np.random.default_rng(0), len(counts)
    sizes = pieces(resamples, of=n)
    return np.concatenate([rng.multinomial(n, np.full(n, 1 / n), size=size) @ counts for size in sizes])


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
    return dict(_scorer("tokenizer.ptbtokenizer:PTBTokenizer").tokenize(rows))


def _scorer(path: str) -> Any:
    module, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(f"pycocoevalcap.{module}"), name)()
    except ModuleNotFoundError as error:
        raise ConfigError("caption scores need a library: pip install 'videre[captions]'") from error
