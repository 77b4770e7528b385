"""How faithful to stay: the two profiles, and what each of their switches means."""

from dataclasses import dataclass
from typing import Literal

from videre.errors import ConfigError

Name = Literal["default", "paper"]


@dataclass(frozen=True)
class Profile:
    """Switches of parser, executor and answerer.

    Attributes:
        name: how records call it.
        dialect: the language that the parser is asked for: ours, or the paper's modules alone.
        retries: how often a reply that is no policy is asked again.
        rules: whether a parser without a model comes next, before the whole video is taken.
        asks_question: whether the question itself is looked for where the policy finds no moment.
        inner_seconds: spans inside the tree are at least this long; 0.0 leaves equation 8 as it is.
        shortest_seconds: the span that leaves the tree is at least this long, since a point would score as perfect.
        smallest_px: a crop has sides of at least so many pixels.
        whole_seconds: frames of the window are taken by equation 10, at whole-second ends that may lie outside of it;
            else in the middles of equal parts. (Traces from before there was a choice replay with the former.)
        view_seconds: the model watches a window of at least this length around the span.
        overview: frames of the whole video beside the moment.
        track: whether the boxes of an object are chosen over all moments together, as those of one thing.
        top_k: spans that a module names; the first counts, the others stand in the trace.
    """

    name: Name = "default"
    dialect: Literal["policy/1", "paper/0"] = "policy/1"
    retries: int = 1
    rules: bool = True
    asks_question: bool = True
    inner_seconds: float = 1.0
    shortest_seconds: float = 1.0
    smallest_px: float = 16.0
    whole_seconds: bool = True
    view_seconds: float = 4.0
    overview: int = 4
    track: bool = False
    top_k: int = 3


DEFAULT = Profile(whole_seconds=False)
PAPER = Profile(
    name="paper",
    dialect="paper/0",
    retries=0,
    rules=False,
    asks_question=False,
    inner_seconds=0.0,
    smallest_px=1.0,
    view_seconds=0.0,
    overview=2,
    top_k=1,
)


def named(name: str) -> Profile:
    """The profile of a name.

    Raises:
        ConfigError: there are only default and paper.
    """
    profiles = {"default": DEFAULT, "paper": PAPER}
    if name not in profiles:
        raise ConfigError(f"no profile {name!r}: there are {', '.join(profiles)}")
    return profiles[name]
