"""The executor: a policy and two small modules in, evidence out. First time, then place; what fails travels upward.

Source: MSR-ViR section 3.3 and appendix C. Differs: no span shorter than a second leaves it, and an operand that was
not found is reported and passed over by the nearest operator that can do without it.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from videre.errors import ConfigError
from videre.methods.msr_vir import operators as ops
from videre.methods.msr_vir import tracking
from videre.methods.msr_vir.modules import Seen, SpatialGrounder, TemporalGrounder
from videre.methods.msr_vir.paper import exported
from videre.methods.msr_vir.policy import Policy, in_words, plan_in_words
from videre.methods.msr_vir.profile import DEFAULT, Profile
from videre.types import JSON, Box, Evidence, Frames, Span, Step, Video

INSTEAD = {
    "question": "the question itself was looked for",
    "whole_video": "the whole video was taken",
    "ONE_SIDE_UNRESOLVED": "the other side alone was taken",
    "INNER_UNRESOLVED_USE_OUTER": "the outer window was taken",
    "UNKNOWN_RELATION": "the object itself was taken",
    "NO_OBJECT": "nothing was cropped",
}
"""What is done where a step fails, in words for the page."""


@dataclass
class Run:
    """One execution: what it runs on, and the steps and events that it leaves behind."""

    video: Video
    grounder: TemporalGrounder
    detector: SpatialGrounder | None = None
    profile: Profile = DEFAULT
    steps: list[Step] = field(default_factory=list)
    events: list[dict[str, JSON]] = field(default_factory=list)

    @property
    def whole(self) -> Span:
        """All of the video."""
        return Span(0.0, self.video.duration_seconds)

    def note(self, op: str, path: str, **facts: JSON) -> None:
        """Adds an event and, so that the page shows it, a step."""
        self.events.append({"op": op, **facts})
        told = next((INSTEAD[str(v)] for k, v in facts.items() if k != "query" and str(v) in INSTEAD), "")
        self.steps.append(Step(f"note: {op}", {"path": path}, facts | ({"instead": told} if told else {})))


def ground(
    policy: Policy,
    video: Video,
    *,
    grounder: TemporalGrounder,
    detector: SpatialGrounder | None = None,
    question: str = "",
    frames: int = 8,
    profile: Profile = DEFAULT,
) -> tuple[Evidence, list[dict[str, JSON]]]:
    """The evidence that a policy leads to, and what went wrong on the way.

    The first span is when the answer lies, the output of the tree before any rounding. The moments spread over the
    viewing window, which is the span made as wide as the profile says.

    Args:
        policy: what to look for.
        video: where.
        grounder: finds actions.
        detector: finds objects; None skips all places.
        question: looked for itself where the policy finds no moment, before the whole video is taken.
        frames: moments in the evidence, spread over the viewing window as the profile says.
        profile: how faithful to stay to the paper.

    Raises:
        DataError: the paper's profile does not know an operator of the policy (code "not_paper").
    """
    if frames < 1:
        raise ConfigError(f"frames is 1 or more, got {frames}")
    if profile.dialect == "paper/0":
        exported(policy)
    run = Run(video, grounder, detector, profile)
    run.steps.append(_setup(policy, run, question, frames))
    span = _root(run, policy, question)
    window = view(span, profile.view_seconds, video)
    ends = {"span": _ends(span), "viewing_window": _ends(window)}
    run.steps.append(Step("view", {"path": "view", "words": "what the model watches"}, ends))
    seconds = moments_of(window, frames, video, profile)
    boxes = _boxes(run, policy, seconds) if policy.spatial and detector else ()
    return Evidence(seconds=seconds, spans=(span,), boxes=boxes, steps=tuple(run.steps)), run.events


def view(span: Span, least_seconds: float, video: Video) -> Span:
    """The span widened around its centre to so many seconds, inside the video."""
    return ops.at_least(span, least_seconds, duration_seconds=video.duration_seconds)


def moments_of(window: Span, count: int, video: Video, profile: Profile) -> tuple[float, ...]:
    """Moments of a window, none of them outside the video."""
    found = ops.moments(window, count, whole_seconds=profile.whole_seconds)
    return tuple(min(max(0.0, t), video.duration_seconds) for t in found)


def _setup(policy: Policy, run: Run, question: str, frames: int) -> Step:
    modules = {"temporal": dict(run.grounder.card), "spatial": dict(run.detector.card) if run.detector else None}
    asked = {"question": question, "frames": frames, "profile": asdict(run.profile), "modules": modules}
    return Step("policy", {"id": policy.id, "words": plan_in_words(policy), **asked}, policy.model_dump(mode="json"))


def _root(run: Run, policy: Policy, question: str) -> Span:
    span = time_span(run, policy.temporal, run.whole, "temporal")
    if span is None:
        if question and run.profile.asks_question:
            span = _asked(run, question[:160], run.whole, "question")
        fallback = "question" if span else "whole_video"
        run.note("root", "temporal", error="UNRESOLVED", fallback=fallback)
    return _long_enough(run, "root", span or run.whole, run.profile.shortest_seconds)


def time_span(run: Run, node: Any, window: Span, path: str) -> Span | None:
    """The span of a temporal expression inside a window; None where it was not found."""
    started = time.perf_counter()
    if node.op == "detect":
        return _asked(run, node.query, window, path)
    span = _OPERATORS[node.op](run, node, window, path)
    run.steps.append(_told(f"{path}: {node.op}", in_words(node), path, window, span, started))
    return span


def _told(name: str, words: str, path: str, window: Span, span: Span | None, started: float, **more: JSON) -> Step:
    took = round((time.perf_counter() - started) * 1e3, 3)
    inputs = {"path": path, "words": words, "window": _ends(window)}
    output = {"span": _ends(span)} if span else {"error": "not found"}
    known = {k: v for k, v in more.items() if k == "key"}
    return Step(name, inputs | known, output | {k: v for k, v in more.items() if k != "key"}, took)


def _asked(run: Run, query: str, window: Span, path: str) -> Span | None:
    """Asks the module, and writes down all that it said."""
    started = time.perf_counter()
    found = run.grounder.ground(run.video, query, window=window, top_k=run.profile.top_k)
    key, was_known = getattr(run.grounder, "last", ("", False))
    said = [[s.start_seconds, s.end_seconds, s.confidence] for s in found]
    words = f'the moment of "{query}"'
    more = {"alternatives": said, "cached": was_known} | ({"key": key} if key else {})
    span = Span(found[0].start_seconds, found[0].end_seconds) if found else None
    run.steps.append(_told(f"{path}: detect", words, path, window, span, started, **more))
    if span is None and path != "question":
        run.note("detect", path, query=query, error="NO_MOMENT")
    return span


def _relate(run: Run, node: Any, window: Span, path: str) -> Span | None:
    anchor = time_span(run, node.of, window, f"{path}.of")
    if anchor is None:
        return None
    rule = ops.rest if node.window == "rest" else ops.localized
    span = rule(node.relation, anchor, run.video.duration_seconds)
    return _long_enough(run, "relate", span, run.profile.inner_seconds)


def _between(run: Run, node: Any, window: Span, path: str) -> Span | None:
    a, b = (time_span(run, side, window, f"{path}.{name}") for name, side in (("a", node.a), ("b", node.b)))
    if a is None or b is None:
        if a or b:
            run.note("between", path, warning="ONE_SIDE_UNRESOLVED")
        return a or b
    return (ops.gap(a, b) if node.mode == "gap" else None) or ops.hull(a, b)


def _within(run: Run, node: Any, window: Span, path: str) -> Span | None:
    outer = time_span(run, node.outer, window, f"{path}.outer")
    inner = time_span(run, node.inner, outer or window, f"{path}.inner")
    if inner is None and outer is not None:
        run.note("within", path, warning="INNER_UNRESOLVED_USE_OUTER")
    return inner or outer


def _pad(run: Run, node: Any, window: Span, path: str) -> Span | None:
    span = time_span(run, node.of, window, f"{path}.of")
    last = run.video.duration_seconds
    return span and ops.padded(span, before=node.before, after=node.after, duration_seconds=last)


_OPERATORS: dict[str, Any] = {
    "whole": lambda run, node, window, path: window,
    "position": lambda run, node, window, path: ops.position(node.where, node.fraction, window),
    "relate": _relate,
    "between": _between,
    "within": _within,
    "pad": _pad,
}


def _long_enough(run: Run, op: str, span: Span, seconds: float) -> Span:
    longer = ops.at_least(span, seconds, duration_seconds=run.video.duration_seconds)
    if longer.seconds > span.seconds:
        run.note(op, "temporal", **{"warning": "MIN_LEN", "from": _ends(span), "to": _ends(longer)})
    return longer


def _boxes(run: Run, policy: Policy, seconds: Sequence[float]) -> tuple[Box, ...]:
    frames = run.video.at(seconds)
    found = [places(run, node, frames, f"spatial.{i}") for i, node in enumerate(policy.spatial)]
    width, height = run.video.width_px, run.video.height_px
    label = " and ".join(in_words(node) for node in policy.spatial)
    boxes = []
    for i, moment in enumerate(frames.seconds):
        here = [seen[i][0] for seen in found if seen[i]]
        if here:
            joined = ops.union([seen[:4] for seen in here])
            x0, y0, x1, y1 = ops.grown(joined, run.profile.smallest_px, width_px=width, height_px=height)
            corners = (x0 / width, y0 / height, x1 / width, y1 / height)
            sure = min(1.0, max(0.0, min(seen[4] for seen in here)))
            boxes.append(Box(float(moment), *corners, label=label, confidence=sure))
    if not boxes:
        run.note("spatial", "spatial", error="NO_OBJECT")
    return tuple(boxes)


def places(run: Run, node: Any, frames: Frames, path: str) -> list[list[Seen]]:
    """Boxes of a spatial expression in each frame, best first."""
    started = time.perf_counter()
    size = {"width_px": run.video.width_px, "height_px": run.video.height_px}
    if node.op == "locate":
        return _seen(run, node.query, frames, path)
    if node.op == "region":
        found = places(run, node.of, frames, f"{path}.of")
        found = [[seen for seen in some if ops.is_on(node.side, seen[:4], **size)] for some in found]
    else:
        found = _beside(run, node, frames, path)
    took = round((time.perf_counter() - started) * 1e3, 3)
    inputs = {"path": path, "words": in_words(node)}
    run.steps.append(Step(f"{path}: {node.op}", inputs, {"frames": sum(map(bool, found))}, took))
    return found


def _beside(run: Run, node: Any, frames: Frames, path: str) -> list[list[Seen]]:
    size = {"width_px": run.video.width_px, "height_px": run.video.height_px}
    kind = ops.relation_kind(node.relation)
    if kind is None:
        run.note("relate_box", path, warning="UNKNOWN_RELATION", relation=node.relation)
        return places(run, node.of, frames, f"{path}.of")
    is_contact = kind == "contact"
    found = _seen(run, "hand", frames, f"{path}.of") if is_contact else places(run, node.of, frames, f"{path}.of")
    return [[(*ops.beside(kind, seen[:4], **size), seen[4]) for seen in some[:1]] for some in found]


def _seen(run: Run, query: str, frames: Frames, path: str) -> list[list[Seen]]:
    """Asks the detector, and writes down the best box of each frame."""
    started = time.perf_counter()
    if run.detector is None:
        return [[] for _ in frames.seconds]
    found = run.detector.detect(frames, query)
    keys, known = getattr(run.detector, "last", ((), 0))
    inputs: dict[str, JSON] = {"path": path, "words": f'the "{query}"', "seconds": frames.seconds.tolist()}
    output: dict[str, JSON] = {"boxes": [[list(seen) for seen in some] for some in found], "cached": known}
    if not any(found):
        output["error"] = "not found"
    took = round((time.perf_counter() - started) * 1e3, 3)
    run.steps.append(Step(f"{path}: locate", inputs | ({"keys": list(keys)} if keys else {}), output, took))
    return _followed(run, found, path) if run.profile.track else found


def _followed(run: Run, found: list[list[Seen]], path: str) -> list[list[Seen]]:
    one = tracking.linked(found)
    words = {"path": path, "words": "the same thing from frame to frame"}
    run.steps.append(Step(f"{path}: track", words, tracking.changes(found, one)))
    return one


def _ends(span: Span) -> list[float]:
    return [span.start_seconds, span.end_seconds]
