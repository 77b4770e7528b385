"""What both parts of the reasoner's study have: how much is done, what is kept of it, what an answer is worth."""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import reasoner_films as films
import reasoner_models as small

from videre.ask import system
from videre.methods.msr_vir.memory import KnownPlaces, KnownTimes, Memory
from videre.methods.msr_vir.reasoner import Reasoner
from videre.methods.msr_vir.scan import Scan
from videre.metrics.interval import bootstrap
from videre.models import clip, detector
from videre.types import Sample, System
from videre.video.open import open_video


@dataclass(frozen=True)
class Size:
    """How much is done.

    Attributes:
        seeds: parsers that learn from the same pairs, in another order.
        clip_steps: of the CLIP pair.
        detector_steps: of the detector.
        parser_steps: of the parser's schooling, before any reflection.
        school_steps: of the answerer's schooling.
        asked: films with eight questions each, about things and those before and after them.
        pairs: questions whose policies are judged.
        again: questions of the second cycle of reflection.
        graded: films with sixteen questions each, on which parsers are tested.
        taught: films with twelve questions each, on which the schooled answerer is tested.
    """

    seeds: int = 3
    clip_steps: int = 150
    detector_steps: int = 400
    parser_steps: int = 220
    school_steps: int = 240
    asked: int = 18
    pairs: int = 500
    again: int = 64
    graded: int = 8
    taught: int = 18


@dataclass
class Study:
    """Where parts are kept, and when to stop between two of them."""

    size: Size
    out: Path
    stop_seconds: float
    spent_seconds: float = 0.0

    def kept(self, name: str, make: Callable[[], Any]) -> Any:
        """What a part found: from its file, or made now.

        Raises:
            SystemExit: time is up.
        """
        path = self.out / f"{name}.json"
        if not path.is_file():
            if time.process_time() > self.stop_seconds:
                raise SystemExit(f"stopped before {name}: run the same again")
            start, within = time.process_time(), self.spent_seconds
            path.parent.mkdir(parents=True, exist_ok=True)
            found = make()
            # Parts that this one called have told their own time.
            took = time.process_time() - start - (self.spent_seconds - within)
            self.spent_seconds += took
            path.write_text(json.dumps({"found": found, "cpu_seconds": took}), "utf-8")
        return json.loads(path.read_text("utf-8"))["found"]

    def parser(self) -> str:
        """The folder of the parser before reflection."""
        return self.kept("parser", lambda: str(small.parser(self.out / "parser", steps=self.size.parser_steps)))

    def models(self, radius: float = films.RADIUS) -> dict[str, str]:
        """The folders of what finds things of this size."""
        s, o, small_ones = self.size, self.out, "" if radius == films.RADIUS else "small_"
        eye, pair = f"{small_ones}detector", f"{small_ones}clip"
        made = {
            "detector": lambda: small.spotter(o / eye, s.detector_steps, radius=radius),
            "encoder": lambda: small.clip_pair(o / pair, o / eye, s.clip_steps, radius=radius),
        }
        return {
            "detector": self.kept(eye, lambda: str(made["detector"]())),
            "encoder": self.kept(pair, lambda: str(made["encoder"]())),
        }

    def finders(self, radius: float = films.RADIUS) -> dict[str, Any]:
        """The two modules behind one memory."""
        found = self.models(radius)
        memory, folder = Memory(self.out / "found"), self.out / "features"
        times = KnownTimes(Scan(clip.load(found["encoder"], device="cpu"), folder=folder), memory)
        return {"grounder": times, "detector": KnownPlaces(detector.load(found["detector"], device="cpu"), memory)}

    def answered(
        self, name: str, samples: Iterable[Sample], make: Callable[[], dict[str, System]]
    ) -> dict[str, list[dict[str, Any]]]:
        """Arm -> a row a question, in the order of the questions; what was answered on a film is kept.

        Args:
            name: of the parts.
            samples: questions, those of a film one after another.
            make: gives the systems by arm; called only where a film is left.
        """
        systems, found = cache(make), dict[str, list[dict[str, Any]]]()
        for video, some in groupby(samples, lambda sample: sample.video):
            asked = list(some)
            part = self.kept(
                f"{name}_{Path(video).stem}", lambda v=video, a=asked: rows_of(self.out / "v" / v, a, systems())
            )
            for arm, rows in part.items():
                found.setdefault(arm, []).extend(rows)
        return found


def rows_of(path: Path, samples: Sequence[Sample], systems: dict[str, System]) -> dict[str, list[dict[str, Any]]]:
    """Arm -> a row a question about one film."""
    with open_video(path) as video:
        return {arm: [row(s, answers(video, s.question)) for s in samples] for arm, answers in systems.items()}


def asking(model: Any, told: dict[str, Any]) -> System:
    """The whole system of an arm."""
    return system(model, Reasoner(**told), size_px=None)


def row(sample: Sample, answer: Any) -> dict[str, Any]:
    """What one answer is worth."""
    span = answer.evidence.spans[0]
    return {
        "id": sample.id, "video": sample.video, "kind": sample.kind, "right": answer.option == sample.option,
        "span": [span.start_seconds, span.end_seconds],
        "truth": [sample.spans[0].start_seconds, sample.spans[0].end_seconds],
        "iou": span.iou(sample.spans[0]), "iop": sample.spans[0].overlap_seconds(span) / max(span.seconds, 1e-9),
    }  # fmt: skip


def gain(ours: Sequence[float], theirs: Sequence[float], groups: Sequence[str], margin: float) -> dict[str, Any]:
    """The mean of paired differences with its interval."""
    apart = np.round(np.array(ours, float) - np.array(theirs, float), 9)  # A third three times is not quite one.
    low, high = bootstrap(apart, groups=groups, resamples=2000)
    return {"value": float(apart.mean()), "low": low, "high": high, "threshold": margin, "holds": low > margin}


def acc_gqa(rows: Sequence[dict[str, Any]]) -> list[float]:
    """Whether each is answered right from a span that lies in the truth by half."""
    return [float(r["right"] and r["iop"] >= 0.5) for r in rows]


def gains(rows: dict[str, list[dict[str, Any]]], claims: dict[str, tuple[str, str, str, float]]) -> dict[str, Any]:
    """Claims (ours, theirs, figure, margin) on the paired differences of two arms."""
    groups = [r["video"] for r in next(iter(rows.values()))]
    return {
        name: gain([r[figure] for r in rows[ours]], [r[figure] for r in rows[theirs]], groups, margin)
        for name, (ours, theirs, figure, margin) in claims.items()
    }


def figures(several: Sequence[Sequence[dict[str, Any]]]) -> dict[str, Any]:
    """What several parsers, or one way of grounding, reach."""
    return {
        "Acc@GQA": [float(np.mean(acc_gqa(rows))) for rows in several],
        "Acc@QA": [float(np.mean([r["right"] for r in rows])) for rows in several],
        "mIoU": [float(np.mean([r["iou"] for r in rows])) for rows in several],
        "IoP@0.5": [float(np.mean([r["iop"] >= 0.5 for r in rows])) for rows in several],
    }


def by_kind(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The share of right answers, of all and of each kind."""
    kinds = sorted({r["kind"] for r in rows})
    return {"all": share(rows)} | {kind: share([r for r in rows if r["kind"] == kind]) for kind in kinds}


def share(rows: Sequence[dict[str, Any]]) -> float:
    """The share of right answers."""
    return float(np.mean([r["right"] for r in rows]))
