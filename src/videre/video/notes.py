"""What a person must know about one file, gathered while it is read."""

from collections.abc import Sequence

from videre.errors import VideoError

_LISTED = 10


class Notes:
    """Remarks in the order in which they came up, and the times of frames that are not as they were meant.

    Attributes:
        damaged_seconds: frames that the decoder mended by guessing.
        dropped_seconds: frames that were asked for and did not decode, in files too long to be surveyed.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._texts: list[str] = []
        self.damaged_seconds: set[float] = set()
        self.dropped_seconds: set[float] = set()

    def add(self, text: str) -> None:
        """Keeps a remark, once; an empty one is none."""
        if text and text not in self._texts:
            self._texts.append(text)

    def all(self) -> tuple[str, ...]:
        """Every remark, damage met so far included."""
        damaged = listed("damaged (concealed by the decoder)", sorted(self.damaged_seconds))
        dropped = listed("passed over (not decodable)", sorted(self.dropped_seconds))
        return (*self._texts, *filter(None, (damaged, dropped)))

    def damage(self, what: str) -> VideoError:
        """The error for a file of which too little decodes."""
        return VideoError(f"{self._name}: damaged: {what}; re-download it", code="damaged")


def listed(what: str, seconds: Sequence[float], *, of: int = 0) -> str:
    """How many frames, and when; empty for none.

    >>> listed("lost", [1.64, 1.68], of=100)
    '2 of 100 frames lost, at 1.640, 1.680 s'
    """
    if not seconds:
        return ""
    some = ", ".join(f"{moment:.3f}" for moment in seconds[:_LISTED])
    more = ", ..." if len(seconds) > _LISTED else ""
    return f"{len(seconds)}{f' of {of}' if of else ''} frames {what}, at {some}{more} s"
