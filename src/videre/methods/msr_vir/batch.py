"""Many policies at once: what they all ask of the modules is asked in full batches first, then each is followed.

The result of a policy is the one that it would have alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from videre.methods.msr_vir import operators as ops
from videre.methods.msr_vir.execute import ground, moments_of, view
from videre.methods.msr_vir.memory import KnownPlaces, KnownTimes, Memory
from videre.methods.msr_vir.modules import SpatialGrounder, TemporalGrounder, chosen_frames
from videre.methods.msr_vir.policy import Policy, walk
from videre.methods.msr_vir.profile import DEFAULT, Profile
from videre.types import JSON, Evidence, Frames, Video


@dataclass(frozen=True)
class Asked:
    """A policy and the question that it is for."""

    policy: Policy
    question: str = ""


def ground_many(
    asked: Sequence[Asked],
    video: Video,
    *,
    grounder: TemporalGrounder,
    detector: SpatialGrounder | None = None,
    frames: int = 8,
    profile: Profile = DEFAULT,
) -> list[tuple[Evidence, list[dict[str, JSON]]]]:
    """What each policy leads to in one video: see `execute.ground`.

    Texts are read in one batch, frames are decoded once for all policies, and a picture goes to the detector once for
    each thing that is looked for in it, in full batches.
    """
    times = grounder if isinstance(grounder, KnownTimes) else KnownTimes(grounder, Memory())
    places = detector if isinstance(detector, KnownPlaces) or detector is None else KnownPlaces(detector, Memory())
    times.prepare(video, list(dict.fromkeys(q for one in asked for q in _actions(one))))
    more: dict[str, Any] = {"frames": frames, "profile": profile}
    first = [ground(one.policy, video, grounder=times, question=one.question, **more) for one in asked]
    wanted = [one for one in asked if one.policy.spatial]
    if places is None or not wanted:
        return first
    windows = [view(found.spans[0], profile.view_seconds, video) for found, _ in first]
    moments = [moments_of(window, frames, video, profile) for window in windows]
    shared = _Decoded(video, [moments[i] for i, one in enumerate(asked) if one.policy.spatial])
    places.prepare([(shared.at(m), q) for one, m in zip(asked, moments, strict=True) for q in _objects(one)])
    return [
        ground(one.policy, shared, grounder=times, detector=places, question=one.question, **more)
        if one.policy.spatial
        else alone
        for one, alone in zip(asked, first, strict=True)
    ]


class _Decoded:
    """A video whose frames at these moments are decoded already."""

    def __init__(self, video: Video, moments: Sequence[Sequence[float]]) -> None:
        self._video = video
        self._frames = video.at(sorted({t for some in moments for t in some}))
        self.path, self.duration_seconds = video.path, video.duration_seconds
        self.width_px, self.height_px = video.width_px, video.height_px
        self.start_seconds = getattr(video, "start_seconds", 0.0)

    @property
    def info(self) -> Any:
        """Of the video."""
        return self._video.info

    @property
    def notes(self) -> tuple[str, ...]:
        """Of the video."""
        return self._video.notes

    def at(self, seconds: Sequence[float]) -> Frames:
        """As the video's own, out of what is decoded."""
        found = np.searchsorted(self._frames.seconds, np.asarray(seconds) + 1e-6, "right") - 1
        return chosen_frames(self._frames, sorted({max(0, int(i)) for i in found}))

    def stream(self, fps: float, start_seconds: float = 0.0) -> Iterator[Frames]:
        """As the video's own."""
        return self._video.stream(fps, start_seconds)


def _actions(one: Asked) -> list[str]:
    return [str(query) for node in walk(one.policy.temporal) if (query := getattr(node, "query", ""))]


def _objects(one: Asked) -> Iterator[str]:
    """What the detector will be asked for: the objects, or hands where something is held."""
    for root in one.policy.spatial:
        node: Any = root
        while node.op != "locate":
            if node.op == "relate_box" and ops.relation_kind(node.relation) == "contact":
                yield "hand"
                break
            node = node.of
        else:
            yield node.query
