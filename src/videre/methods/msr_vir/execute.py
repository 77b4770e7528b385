"""The executor: a policy and two small modules in, evidence out. First time, then place; what fails travels upward.

Source: MSR-ViR section 3.3 and appendix C. Differs: no span shorter than a second leaves it, and an operand that was
not found is reported and passed over by the nearest operator that can do without it.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from videre.methods.msr_vir import operators as ops
from videre.methods.msr_vir.operators import Pixels
from videre.methods.msr_vir.policy import Policy, in_words
from videre.types import JSON, Box, Evidence, Frames, Span, Step, Video

SHORTEST_SECONDS = 1.0
SMALLEST_PX = 16.0


@runtime_checkable
class TemporalGrounder(Protocol):
    """Finds actions in time."""

    name: str

    def ground(self, video: Video, query: str, *, window: Span) -> Span | None:
        """The best span of the query inside the window; None where nothing is credible."""
        ...


@runtime_checkable
class SpatialGrounder(Protocol):
    """Finds objects in frames."""

    name: str

    def detect(self, frames: Frames, query: str) -> list[list[Pixels]]:
        """Boxes of the query in each frame, best first, in pixels."""
        ...


@dataclass
class Run:
    """One execution: what it runs on, and the steps and events that it leaves behind."""

    video: Video
    grounder: TemporalGrounder
    detector: SpatialGrounder | None = None
    steps: list[Step] = field(default_factory=list)
    events: list[dict[str, JSON]] = field(default_factory=list)

    @property
    def whole(self) -> Span:
        """All of the video."""
        return Span(0.0, self.video.duration_seconds)

    def note(self, op: str, **facts: JSON) -> None:
        """Adds an event and, so that the page shows it, a step."""
        self.events.append({"op": op, **facts})
        self.steps.append(Step(f"note: {op}", {}, dict(facts)))


def ground(
    policy: Policy,
    video: Video,
    *,
    grounder: TemporalGrounder,
    detector: SpatialGrounder | None = None,
    question: str = "",
    frames: int = 8,
) -> tuple[Evidence, list[dict[str, JSON]]]:
    """The evidence that a policy leads to, and what went wrong on the way.

    Args:
        policy: what to look for.
        video: where.
        grounder: finds actions.
        detector: finds objects; None skips all places.
        question: looked for itself where the policy finds no moment, before the whole video is taken.
        frames: moments in the evidence, spread over the span by equation 10.
    """
    run = Run(video, grounder, detector)
    run.steps.append(
        Step("policy", {"id": policy.id, "words": in_words(policy.temporal)}, policy.model_dump(mode="json"))
    )
    span = _root(run, policy, question)
    seconds = tuple(min(max(0.0, t), video.duration_seconds) for t in ops.moments(span, frames))
    boxes = _boxes(run, policy, seconds) if policy.spatial and detector else ()
    return Evidence(seconds=seconds, spans=(span,), boxes=boxes, steps=tuple(run.steps)), run.events


def _root(run: Run, policy: Policy, question: str) -> Span:
    span = _span(run, policy.temporal, run.whole, "temporal")
    if span is None:
        span = run.grounder.ground(run.video, question, window=run.whole) if question else None
        fallback = "question" if span else "whole_video"
        run.note("root", error="UNRESOLVED", fallback=fallback)
    return _long_enough(run, "root", span or run.whole)


def _span(run: Run, node: Any, window: Span, path: str) -> Span | None:
    started = time.perf_counter()
    span = _OPERATORS[node.op](run, node, window, path)
    took = round((time.perf_counter() - started) * 1e3, 3)
    inputs = {"words": in_words(node), "window": [window.start_seconds, window.end_seconds]}
    output = {"span": [span.start_seconds, span.end_seconds]} if span else {"error": "not found"}
    run.steps.append(Step(f"{path}: {node.op}", inputs, output, took))
    return span


def _detect(run: Run, node: Any, window: Span, path: str) -> Span | None:
    found = run.grounder.ground(run.video, node.query, window=window)
    if found is None:
        run.note("detect", query=node.query, error="NO_MOMENT")
    return found


def _relate(run: Run, node: Any, window: Span, path: str) -> Span | None:
    anchor = _span(run, node.of, window, f"{path}.of")
    if anchor is None:
        return None
    rule = ops.rest if node.window == "rest" else ops.localized
    return _long_enough(run, "relate", rule(node.relation, anchor, run.video.duration_seconds))


def _between(run: Run, node: Any, window: Span, path: str) -> Span | None:
    a, b = (_span(run, side, window, f"{path}.{name}") for name, side in (("a", node.a), ("b", node.b)))
    if a is None or b is None:
        if a or b:
            run.note("between", warning="ONE_SIDE_UNRESOLVED")
        return a or b
    return (ops.gap(a, b) if node.mode == "gap" else None) or ops.hull(a, b)


def _within(run: Run, node: Any, window: Span, path: str) -> Span | None:
    outer = _span(run, node.outer, window, f"{path}.outer")
    inner = _span(run, node.inner, outer or window, f"{path}.inner")
    if inner is None and outer is not None:
        run.note("within", warning="INNER_UNRESOLVED_USE_OUTER")
    return inner or outer


def _pad(run: Run, node: Any, window: Span, path: str) -> Span | None:
    span = _span(run, node.of, window, f"{path}.of")
    last = run.video.duration_seconds
    return span and ops.padded(span, before=node.before, after=node.after, duration_seconds=last)


_OPERATORS: dict[str, Any] = {
    "whole": lambda run, node, window, path: window,
    "position": lambda run, node, window, path: ops.position(node.where, node.fraction, window),
    "detect": _detect,
    "relate": _relate,
    "between": _between,
    "within": _within,
    "pad": _pad,
}


def _long_enough(run: Run, op: str, span: Span) -> Span:
    longer = ops.at_least(span, SHORTEST_SECONDS, duration_seconds=run.video.duration_seconds)
    if longer.seconds > span.seconds:
        before, after = ([s.start_seconds, s.end_seconds] for s in (span, longer))
        run.note(op, **{"warning": "MIN_LEN", "from": before, "to": after})
    return longer


def _boxes(run: Run, policy: Policy, seconds: Sequence[float]) -> tuple[Box, ...]:
    frames = run.video.at(seconds)
    found = [_places(run, node, frames) for node in policy.spatial]
    width, height = run.video.width_px, run.video.height_px
    boxes = []
    for i, moment in enumerate(frames.seconds):
        here = [places[i][0] for places in found if places[i]]
        if here:
            x0, y0, x1, y1 = ops.grown(ops.union(here), SMALLEST_PX, width_px=width, height_px=height)
            boxes.append(Box(float(moment), x0 / width, y0 / height, x1 / width, y1 / height))
    if not boxes:
        run.note("spatial", error="NO_OBJECT")
    run.steps.append(Step("spatial", {"words": [in_words(n) for n in policy.spatial]}, {"frames": len(boxes)}))
    return tuple(boxes)


def _places(run: Run, node: Any, frames: Frames) -> list[list[Pixels]]:
    size = {"width_px": run.video.width_px, "height_px": run.video.height_px}
    assert run.detector is not None  # noqa: S101
    if node.op == "locate":
        return run.detector.detect(frames, node.query)
    if node.op == "region":
        return [[b for b in some if ops.is_on(node.side, b, **size)] for some in _places(run, node.of, frames)]
    kind = ops.relation_kind(node.relation)
    if kind is None:
        run.note("relate_box", warning="UNKNOWN_RELATION", relation=node.relation)
        return _places(run, node.of, frames)
    found = run.detector.detect(frames, "hand") if kind == "contact" else _places(run, node.of, frames)
    return [[ops.beside(kind, box, **size) for box in some[:1]] for some in found]
