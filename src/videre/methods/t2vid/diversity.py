"""How different instructions are from one another, in numbers and in a picture.

Source: the instruction-diversity analysis of arXiv 2411.19951 (t-SNE of sentence embeddings, 5000 first turns a set).
Differs: numbers beside the picture; a seed; the embedder is the caller's, and one that needs no download is here.
"""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Embedder = Callable[[Sequence[str]], Float[np.ndarray, "n d"]]
LETTERS_WIDTH = 512


@dataclass(frozen=True)
class Diversity:
    """Numbers of one set.

    Attributes:
        count: instructions that were looked at.
        distance: mean cosine distance of two of them.
        vendi: Vendi score: the effective number of different ones (arXiv 2210.02410).
        same: share that equals an earlier one, letter for letter.
        near: share whose nearest other one lies within `radius`.
        clusters: effective number of groups, each within `radius` of its first member.
    """

    count: int
    distance: float
    vendi: float
    same: float
    near: float
    clusters: float


def diversity(texts: Sequence[str], embed: Embedder, *, radius: float = 0.1) -> Diversity:
    """The numbers of a set of two instructions or more; `radius` is a cosine distance."""
    if len(texts) < 2:
        raise ValueError(f"diversity is of two instructions or more, got {len(texts)}")
    vectors = unit(embed(texts))
    near = vectors @ vectors.T
    count = len(texts)
    distance = 1 - (near.sum() - np.trace(near)) / (count * (count - 1))
    np.fill_diagonal(near, -1)
    return Diversity(
        count,
        float(distance),
        vendi(vectors),
        1 - len(set(texts)) / count,
        float((near.max(1) >= 1 - radius).mean()),
        effective(Counter(groups(vectors, radius)).values()),
    )


def vendi(vectors: Float[np.ndarray, "n d"]) -> float:
    """exp of the entropy of the eigenvalues of the similarities over n; from the smaller of the two Gram matrices."""
    gram = vectors @ vectors.T if len(vectors) <= vectors.shape[1] else vectors.T @ vectors
    values = np.linalg.eigvalsh(gram / len(vectors))
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))


def coverage(
    held_out: Sequence[str], parts: Sequence[str], more: Sequence[str], embed: Embedder, *, radius: float = 0.3
) -> tuple[float, float]:
    """The share of held-out instructions within a radius of `parts`, and of `parts` and `more` together."""
    wanted, here, added = (unit(embed(texts)) for texts in (held_out, parts, more))
    first = (wanted @ here.T).max(1)
    both = np.maximum(first, (wanted @ added.T).max(1))
    return float((first >= 1 - radius).mean()), float((both >= 1 - radius).mean())


def groups(vectors: Float[np.ndarray, "n d"], radius: float) -> list[int]:
    """A group for each vector: the first earlier leader within the radius, or a new one."""
    leaders, found = list[np.ndarray](), list[int]()
    for vector in vectors:
        near = np.flatnonzero(np.stack(leaders) @ vector >= 1 - radius) if leaders else np.array([], int)
        found.append(int(near[0]) if len(near) else len(leaders))
        if not len(near):
            leaders.append(vector)
    return found


def effective(sizes: Iterable[int]) -> float:
    """exp of the entropy of group sizes: ten groups of one size count ten, one large and nine tiny little over one."""
    shares = np.array(list(sizes), np.float64)
    shares /= shares.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def letters(texts: Sequence[str]) -> Float[np.ndarray, "n d"]:
    """Words and triples of letters, hashed and weighed by how rare they are: an embedder that needs no model."""
    found = [Counter(_features(text)) for text in texts]
    seen = Counter(feature for one in found for feature in one)
    made = np.zeros((len(texts), LETTERS_WIDTH))
    for row, one in enumerate(found):
        for feature, count in one.items():
            place = int.from_bytes(hashlib.blake2b(feature.encode(), digest_size=8).digest(), "big")
            weight = (1 + math.log(count)) * (1 + math.log(len(texts) / seen[feature]))
            made[row, place % LETTERS_WIDTH] += weight if place >> 63 else -weight
    return made


def sentences(name: str) -> Embedder:
    """A sentence-transformers model (the paper's is `all-mpnet-base-v2`), as an embedder.

    Raises:
        ConfigError: sentence-transformers is not installed.
    """
    from videre.errors import ConfigError

    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise ConfigError(
            f"embedding by {name} needs sentence-transformers: pip install sentence-transformers"
        ) from error
    model = SentenceTransformer(name)
    return lambda texts: np.asarray(model.encode(list(texts)), np.float64)


def t_sne(sets: Mapping[str, Sequence[str]], embed: Embedder, *, seed: int = 0) -> dict[str, Float[np.ndarray, "n 2"]]:
    """Places on a plane for every instruction of every set, by one t-SNE of all of them.

    Raises:
        ConfigError: scikit-learn is not installed.
    """
    from videre.errors import ConfigError

    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise ConfigError("t-SNE needs scikit-learn: pip install 'videre[study]'") from error
    every = [text for texts in sets.values() for text in texts]
    vectors = unit(embed(every))
    perplexity = min(30.0, (len(every) - 1) / 3)
    plane = TSNE(2, init="pca", metric="cosine", perplexity=perplexity, random_state=seed).fit_transform(vectors)
    ends = np.cumsum([len(texts) for texts in sets.values()])
    return dict(zip(sets, np.split(plane.astype(np.float64), ends[:-1]), strict=True))


def unit(vectors: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """Vectors of length 1; those of length 0 stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths == 0, 1, lengths)


def _features(text: str) -> list[str]:
    words = re.findall(r"\w+", text.lower())
    return words + [word[i : i + 3] for word in (f"^{w}$" for w in words) for i in range(len(word) - 2)]
