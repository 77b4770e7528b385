"""Replay: a trace and its video in, the same evidence out, with every model gone; or with models, and what differs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from videre.errors import DataError
from videre.methods.msr_vir.execute import ground
from videre.methods.msr_vir.memory import KnownPlaces, KnownTimes, Memory
from videre.methods.msr_vir.modules import SpatialGrounder, TemporalGrounder
from videre.methods.msr_vir.policy import read
from videre.methods.msr_vir.profile import Profile
from videre.methods.msr_vir.show import Showing, show
from videre.record import Record
from videre.types import JSON, Box, Evidence, Question, Span, Step, Video

CLOSE_SECONDS = 0.05
CLOSE_PX = 2.0


@dataclass(frozen=True)
class Replayed:
    """What came out, and how it differs from what the trace says; no difference means equal to the last bit."""

    evidence: Evidence
    shown: tuple[Mapping[str, JSON], ...]
    differences: tuple[str, ...]


def replay(record: Record, video: Video) -> Replayed:
    """The evidence of a trace made again from what its modules had found: no model is loaded.

    Raises:
        DataError: the record is no trace (code "no_trace"), or of another video ("other_video").
    """
    setup = _setup(record)
    _same_video(record, video)
    memory = Memory(known=findings(record.evidence.steps))
    modules = setup.inputs["modules"]
    times = KnownTimes(None, memory, modules["temporal"])
    spots = KnownPlaces(None, memory, modules["spatial"]) if modules["spatial"] else None
    evidence, shown = _again(setup, record, video, times, spots)
    return Replayed(evidence, shown, tuple(_exact(record, evidence, shown)))


def recompute(
    record: Record, video: Video, *, grounder: TemporalGrounder, detector: SpatialGrounder | None = None
) -> Replayed:
    """The policy of a trace followed anew by modules; spans may be off by 0.05 s and boxes by 2 px."""
    setup = _setup(record)
    _same_video(record, video)
    evidence, shown = _again(setup, record, video, grounder, detector)
    return Replayed(evidence, shown, tuple(_near(record.evidence, evidence, video)))


def findings(steps: Sequence[Step]) -> dict[str, JSON]:
    """What the modules had found, by the keys that stand in the steps."""
    known: dict[str, JSON] = {}
    for step in steps:
        if "key" in step.inputs:
            known[step.inputs["key"]] = step.output["alternatives"]
        if "keys" in step.inputs:
            known.update(zip(step.inputs["keys"], step.output["boxes"], strict=True))
    return known


def _again(
    setup: Step, record: Record, video: Video, grounder: TemporalGrounder, detector: SpatialGrounder | None
) -> tuple[Evidence, tuple[Mapping[str, JSON], ...]]:
    told = setup.inputs
    profile = Profile(**told["profile"])
    policy, question = read(setup.output), told["question"]
    evidence, _ = ground(
        policy, video, grounder=grounder, detector=detector, question=question, frames=told["frames"], profile=profile
    )
    how = (record.answer.run if record.answer else {}).get("showing")
    if not how:
        return evidence, ()
    asked = Question(question or record.question.text, record.question.options)
    return evidence, tuple(show(video, evidence, asked, how=Showing(**how)).facts["shown"])


def _exact(record: Record, evidence: Evidence, shown: Sequence[Mapping[str, JSON]]) -> list[str]:
    before = record.evidence
    pairs: dict[str, tuple[Any, Any]] = {
        "spans": (_rows(before.spans), _rows(evidence.spans)),
        "boxes": (_rows(before.boxes), _rows(evidence.boxes)),
        "findings": (findings(before.steps), findings(evidence.steps)),
    }
    run = record.answer.run if record.answer else {}
    if shown:
        told = list(run["shown"])
        parts = [*told, *[{}] * (len(shown) - len(told))], [*shown, *[{}] * (len(told) - len(shown))]
        for i, (then, now) in enumerate(zip(*parts, strict=True)):
            name = then.get("label") or now.get("label") or f"part {i + 1}"
            pairs |= {f"{key} of {name!r}": (then.get(key), now.get(key)) for key in ("seconds", "px", "sha256")}
    else:
        pairs["frames"] = (before.seconds, evidence.seconds)
    return [f"{name}: {_short(then)} then, {_short(now)} now" for name, (then, now) in pairs.items() if then != now]


def _near(before: Evidence, now: Evidence, video: Video) -> list[str]:
    found = []
    for a, b in zip(before.spans, now.spans, strict=False):
        off = max(abs(a.start_seconds - b.start_seconds), abs(a.end_seconds - b.end_seconds))
        if off > CLOSE_SECONDS:
            found.append(f"span: {off:.3f} s off, {CLOSE_SECONDS} s are allowed")
    if len(before.boxes) != len(now.boxes):
        found.append(f"boxes: {len(before.boxes)} then, {len(now.boxes)} now")
    for one, other in zip(before.boxes, now.boxes, strict=False):
        sides = ((one.x0 - other.x0, one.x1 - other.x1), (one.y0 - other.y0, one.y1 - other.y1))
        sizes = (video.width_px, video.height_px)
        off = max(abs(d) * size for pair, size in zip(sides, sizes, strict=True) for d in pair)
        if off > CLOSE_PX:
            found.append(f"box at {one.seconds:.2f} s: {off:.1f} px off, {CLOSE_PX:g} px are allowed")
    return found


def _setup(record: Record) -> Step:
    for step in record.evidence.steps:
        if step.name == "policy" and "modules" in step.inputs:
            return step
    raise DataError(f"{record.id}: no trace in it: make one with videre ground --json", code="no_trace")


def _same_video(record: Record, video: Video) -> None:
    then, now = record.video.get("sha256"), video.info.get("sha256")
    if then != now:
        raise DataError(f"{video.path}: not the video of the trace: sha256 {now}, then {then}", code="other_video")


def _rows(values: Sequence[Span | Box]) -> list[dict[str, JSON]]:
    return [asdict(value) for value in values]


def _short(value: JSON) -> str:
    text = str(value)
    return text if len(text) <= 120 else text[:117] + "..."
