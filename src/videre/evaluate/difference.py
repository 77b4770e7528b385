"""What differs between two runs: each fact of the run cards, on how many questions, and which values."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from videre.record import Record
from videre.types import JSON

SHOWN = 3
"""How many pairs of values a fact names."""


@dataclass(frozen=True)
class Fact:
    """One fact, compared on all common questions.

    Attributes:
        differ: ids of the questions on which it differs.
        values: the most frequent pairs of different values with their counts; empty for long texts and hashes.
    """

    differ: tuple[str, ...]
    values: tuple[tuple[str, str, int], ...] = ()


@dataclass(frozen=True)
class Difference:
    """Two runs compared.

    Attributes:
        common: ids in both.
        only_first: ids that the second run lacks.
        only_second: ids that the first run lacks.
        facts: every fact that was compared, those that are equal everywhere among them.
    """

    common: tuple[str, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    facts: Mapping[str, Fact]

    @property
    def differing(self) -> dict[str, Fact]:
        """The facts that are not equal everywhere."""
        return {name: fact for name, fact in self.facts.items() if fact.differ}

    def lines(self) -> Iterator[str]:
        """The comparison for a person: what differs first, then what is equal."""
        n = len(self.common)
        lone = f"{len(self.only_first)} only in the first, {len(self.only_second)} only in the second"
        yield f"{n} questions in both runs, {lone}"
        for name, fact in self.differing.items():
            pairs = "; ".join(f"{a} vs {b} ({count})" for a, b, count in fact.values)
            yield f"{name} differ on {len(fact.differ)} of {n}" + (f": {pairs}" if pairs else "")
        equal = [name for name, fact in self.facts.items() if not fact.differ]
        yield f"equal: {', '.join(equal)}"


def difference(first: Mapping[str, Record], second: Mapping[str, Record]) -> Difference:
    """The facts of two runs compared, question by question, under the ids that both have."""
    common = tuple(id for id in first if id in second)
    pairs = [(id, _facts(first[id]), _facts(second[id])) for id in common]
    names = dict.fromkeys(name for _, a, b in pairs for name in (*a, *b))
    facts = {name: _compared(name, pairs) for name in names}
    return Difference(
        common,
        tuple(id for id in first if id not in second),
        tuple(id for id in second if id not in first),
        facts,
    )


def _compared(name: str, pairs: list[tuple[str, dict[str, JSON], dict[str, JSON]]]) -> Fact:
    unequal = [(id, a.get(name), b.get(name)) for id, a, b in pairs if a.get(name) != b.get(name)]
    show = _SHOW.get(name, str)
    counts = Counter((show(a), show(b)) for _, a, b in unequal)
    values = tuple((a, b, count) for (a, b), count in counts.most_common(SHOWN) if a != b)
    return Fact(tuple(id for id, *_ in unequal), values)


def _facts(record: Record) -> dict[str, JSON]:
    run = record.answer.run if record.answer else {}
    facts: dict[str, JSON] = {
        "questions": [record.question.text, list(record.question.options)],
        "video files": record.video.get("sha256"),
    }
    if record.answer is not None:
        facts |= {name: run.get(key) for name, key in _RUN.items()}
        facts |= _card(run.get("model") or {})
        facts |= {"spans": [[s.start_seconds, s.end_seconds] for s in record.evidence.spans]}
        facts |= {"answers": record.answer.text, "options chosen": record.answer.option}
    return facts | {"errors": (record.error or {}).get("code")}


def _card(model: Mapping[str, JSON]) -> dict[str, JSON]:
    """A fact a value of the model's card; versions of packages under their own names."""
    return {key if key in _PACKAGES else f"model {key}": value for key, value in model.items()}


_PACKAGES = ("torch", "torchvision", "transformers")
_RUN = {
    "frames": "frames_sha256",
    "frame times": "frames_seconds",
    "frame sizes": "frames_px",
    "prompts": "prompt_sha256",
    "selectors": "selector",
    "seeds": "seed",
    "videre": "videre",
    "python": "python",
    "decoder": "decoder",
}
"""Name of a fact, and where the run card has it."""


def _count(value: JSON) -> str:
    return f"{len(value)} a question" if isinstance(value, list) else "none"


def _size(value: JSON) -> str:
    return f"{value[0]}x{value[1]}" if isinstance(value, list) else "none"


def _hidden(value: JSON) -> str:
    return ""


_SHOW: Mapping[str, Callable[[JSON], str]] = {
    "frames": _count,
    "frame times": _count,
    "frame sizes": _size,
    "prompts": _hidden,
    "questions": _hidden,
    "video files": _hidden,
    "spans": _hidden,
}
"""How the values of a fact are shown; equal texts are left out."""
