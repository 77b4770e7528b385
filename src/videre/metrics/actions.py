"""Actions in words: which verb class and noun class of EPIC-KITCHENS-100 a guess such as "open the door" means."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from videre.metrics.text import words

Phrase = tuple[str, ...]
Action = tuple[int | None, int | None]
"""(verb class, noun class); None where the words name none."""

Classes = TypeVar("Classes")


@dataclass(frozen=True)
class Lexicon:
    """What is known of the words of actions.

    Attributes:
        whole: the classes of whole descriptions.
        verbs: verb classes by phrase.
        nouns: noun classes by phrase.
    """

    whole: Mapping[Phrase, tuple[int, int]]
    verbs: Mapping[Phrase, int]
    nouns: Mapping[Phrase, int]

    def read(self, guess: str) -> Action:
        """The classes of a guess: a description as a whole; else its first verb, and the first thing named after it.

        The verb stands at the front, its particle beside it or later ("turn the tap on"). Of things that stand side by
        side the last one is meant: a coffee cup is a cup.
        """
        said = _phrase(guess)
        if said in self.whole:
            return self.whole[said]
        verb, rest = self._verb(said)
        return verb, self._noun(rest)

    def _verb(self, said: Phrase) -> tuple[int | None, Phrase]:
        n = next((n for n in range(len(said), 0, -1) if said[:n] in self.verbs), 0)
        apart = next(((said[0], word) for word in said[2:] if (said[0], word) in self.verbs), None)
        if apart is not None and n < 2:
            return self.verbs[apart], said[1:]
        return (self.verbs[said[:n]] if n else None), said[n:]

    def _noun(self, said: Phrase) -> int | None:
        found, at = None, 0
        while at < len(said):
            size, noun = self._thing(said[at:])
            if noun is None and found is not None:
                return found
            found = found if noun is None else noun
            at += size
        return found

    def _thing(self, said: Phrase) -> tuple[int, int | None]:
        """(words, class) of the longest thing at the front, in the plural too; (1, None) where there is none."""
        for n in range(len(said), 0, -1):
            single = (*said[: n - 1], said[n - 1].removesuffix("s"))
            for phrase in (said[:n], single):
                if phrase in self.nouns:
                    return n, self.nouns[phrase]
        return 1, None


def lexicon(
    whole: Iterable[tuple[str, tuple[int, int]]], verbs: Iterable[tuple[str, int]], nouns: Iterable[tuple[str, int]]
) -> Lexicon:
    """The lexicon of pairs (words, class); of words that come twice the first counts.

    Args:
        whole: narrations, such as "put down plate", with their verb and noun class.
        verbs: as EPIC-KITCHENS-100 writes them, "put-down".
        nouns: as it writes them, the thing first: "cup:coffee" is a coffee cup.
    """
    things = [(phrase, c) for text, c in nouns for phrase in (_phrase(text), _phrase(text)[::-1])]
    return Lexicon(
        _first((_phrase(text), classes) for text, classes in whole),
        _first((_phrase(text), c) for text, c in verbs),
        _first(things),
    )


def _first(pairs: Iterable[tuple[Phrase, Classes]]) -> dict[Phrase, Classes]:
    found: dict[Phrase, Classes] = {}
    for phrase, value in pairs:
        if phrase:
            found.setdefault(phrase, value)
    return found


def _phrase(text: str) -> Phrase:
    return tuple(words(text.replace("-", " ").replace(":", " ")))
