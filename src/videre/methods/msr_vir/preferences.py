"""From several policies for one question to pairs that a parser can learn from: which wins, which pairs say nothing.

Source: MSR-ViR section 3.5 and algorithm 1 (the smaller loss of the answerer wins). Differs: ties, doubles and pairs
that ground alike are left out by default, since an optimiser moves weights even for a pair whose gradient is noise.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, Literal

from videre.methods.msr_vir.policy import read, walk
from videre.types import JSON, Box, Span

ALIKE = 0.95
"""Two groundings whose spans and boxes overlap more than this count as one."""
SHORTEST_SECONDS = 1.5
"""Predicted spans count as at least this long in the reward: a point inside the truth would be perfect otherwise."""


@dataclass(frozen=True)
class Candidate:
    """One policy for a question, and how it fared.

    Attributes:
        text: what the parser should write for it: compact JSON, or its own reply where that is no policy.
        policy: the id; empty where the reply was no policy.
        span: when it leads to.
        boxes: where it leads to: seconds and corners.
        loss: of the answerer, a mean over the tokens of the answer; None where it was not judged.
        probe: the same with the overview left out, so that the answer hangs on the grounding.
        bonus: the reward of its span, where the truth is known.
        drawn: how often the parser gave it; 0 for one that others proposed.
    """

    text: str
    policy: str = ""
    span: tuple[float, float] | None = None
    boxes: tuple[tuple[float, ...], ...] = ()
    loss: float | None = None
    probe: float | None = None
    bonus: float = 0.0
    drawn: int = 1


@dataclass(frozen=True)
class Choice:
    """How pairs are made.

    Attributes:
        mode: `paper` (the first two, a tie goes to the second, nothing is left out), `best_worst`, or `all_pairs`.
        by: the loss that decides: with the overview (`full`), without it (`probe`), or their mean (`both`).
        margin: losses that differ by less, in nats a token, are a tie.
        invalid: what becomes of replies that are no policy: they `lose`, or are `drop`ped.
        invalid_share: at most this share of the pairs has such a loser.
        negate: let the larger loss win; a control that should harm.
    """

    mode: Literal["paper", "best_worst", "all_pairs"] = "best_worst"
    by: Literal["full", "probe", "both"] = "both"
    margin: float = 0.02
    invalid: Literal["lose", "drop"] = "lose"
    invalid_share: float = 0.1
    negate: bool = False

    def __post_init__(self) -> None:
        known = {"mode": ("paper", "best_worst", "all_pairs"), "by": ("full", "probe", "both")}
        for name, values in {**known, "invalid": ("lose", "drop")}.items():
            if getattr(self, name) not in values:
                raise ValueError(f"{name} is one of {', '.join(values)}, got {getattr(self, name)!r}")


def score(candidate: Candidate, choice: Choice) -> float:
    """How good a candidate is; minus infinity for one without a finite loss, which never wins."""
    losses = {"full": [candidate.loss], "probe": [candidate.probe], "both": [candidate.loss, candidate.probe]}[
        choice.by
    ]
    known = [loss for loss in losses if loss is not None and math.isfinite(loss)]
    if len(known) < len(losses) or not candidate.policy:
        return -math.inf
    return (1 if choice.negate else -1) * sum(known) / len(known) + candidate.bonus


def pairs_of(id: str, candidates: Sequence[Candidate], choice: Choice) -> Iterator[dict[str, JSON]]:
    """Every pair that was looked at, kept or not, with the reason."""
    for one, other in _looked_at(candidates, choice):
        ahead = score(one, choice) - score(other, choice)
        both_lost = score(one, choice) == score(other, choice) == -math.inf
        first_wins = not both_lost and ahead > 0
        chosen, rejected = (one, other) if first_wins else (other, one)
        reason = _reason(one, other, choice, gap=0.0 if both_lost else abs(ahead), both_lost=both_lost)
        told = {"chosen": _told(chosen), "rejected": _told(rejected)}
        yield {"id": id, **told, "kept": not reason, "reason": reason}


def capped(pairs: Sequence[dict[str, JSON]], choice: Choice) -> list[dict[str, JSON]]:
    """The pairs, with those beyond the share of invalid losers no longer kept."""
    valid = sum(1 for pair in pairs if pair["kept"] and pair["rejected"]["policy"])
    room = math.floor(choice.invalid_share * valid / max(1e-9, 1 - choice.invalid_share))
    found = []
    for pair in pairs:
        is_invalid = pair["kept"] and not pair["rejected"]["policy"]
        if is_invalid and choice.mode != "paper":
            room -= 1
            pair = pair if room >= 0 else {**pair, "kept": False, "reason": "too many invalid"}
        found.append(pair)
    return found


def guarded_iop(span: Span, truth: Sequence[Span]) -> float:
    """The share of the prediction that lies in the truth, the best of its segments, for a prediction of 1.5 s at least.

    Source: the official IoP; the floor on the length is ours.
    """
    return max((t.overlap_seconds(span) / max(span.seconds, SHORTEST_SECONDS) for t in truth), default=0.0)


def reward(span: Span, truth: Sequence[Span], *, iop: float, iou: float) -> float:
    """The weighted reward of a span; 0.0 where no truth is known."""
    if not truth:
        return 0.0
    return iop * guarded_iop(span, truth) + iou * max(span.iou(t) for t in truth)


def facts(rows: Sequence[Mapping[str, Any]], pairs: Sequence[Mapping[str, JSON]]) -> dict[str, JSON]:
    """What a block of questions tells of its policies, before anything is trained on it.

    Returns:
        Counts, distinct policies in 100 questions, operators, the share of pairs of different policies that ground
        differently, and among those with known truth how often the lower loss has the higher reward.
    """
    all_ids = [c["policy"] for row in rows for c in row["candidates"] if c["policy"]]
    texts = {c["policy"]: c["text"] for row in rows for c in row["candidates"] if c["policy"]}
    used: Counter[str] = Counter()
    for text in texts.values():
        policy = read(json.loads(text))
        used.update(str(getattr(node, "op", "")) for root in (policy.temporal, *policy.spatial) for node in walk(root))
    apart, agree, known = _agreement(rows)
    return {
        "questions": len(rows),
        "policies": len(all_ids),
        "distinct_per_100_questions": round(100 * len(texts) / max(1, len(rows)), 1),
        "operators": dict(sorted(used.items())),
        "share_of_pairs_that_ground_differently": apart,
        "share_where_lower_loss_has_higher_reward": agree,
        "pairs_with_known_truth": known,
        "pairs_kept": sum(1 for pair in pairs if pair["kept"]),
        "pairs_dropped": dict(Counter(str(pair["reason"]) for pair in pairs if not pair["kept"])),
    }


def candidate(told: Mapping[str, Any]) -> Candidate:
    """A candidate read back from its row."""
    span = told["span"] and (float(told["span"][0]), float(told["span"][1]))
    boxes = tuple(tuple(box) for box in told["boxes"])
    return Candidate(**{**told, "span": span, "boxes": boxes})


def _looked_at(candidates: Sequence[Candidate], choice: Choice) -> list[tuple[Candidate, Candidate]]:
    if choice.mode == "paper":
        return [(candidates[0], candidates[1])] if len(candidates) > 1 else []
    found = [c for c in candidates if c.policy or choice.invalid == "lose"]
    if choice.mode == "all_pairs" or len(found) < 2:
        return list(combinations(found, 2))
    ranked = sorted(found, key=lambda c: score(c, choice), reverse=True)
    valid = [c for c in ranked if score(c, choice) > -math.inf]
    pairs = [(valid[0], valid[-1])] if len(valid) > 1 else []
    lost = next((c for c in ranked if not c.policy), None)
    return pairs + ([(valid[0], lost)] if valid and lost else [])


def _reason(one: Candidate, other: Candidate, choice: Choice, *, gap: float, both_lost: bool) -> str:
    """Why a pair is left out; empty where it is kept."""
    if choice.mode == "paper":
        return ""
    if both_lost:
        return "no loss"
    if one.policy == other.policy:
        return "same policy"
    if one.policy and other.policy and same_grounding(one, other):
        return "same grounding"
    return "tie" if gap < choice.margin else ""


def same_grounding(one: Candidate, other: Candidate) -> bool:
    """Whether two candidates lead to the same time and place, but for a twentieth."""
    if one.span is None or other.span is None or len(one.boxes) != len(other.boxes):
        return False
    places = zip(map(_box, one.boxes), map(_box, other.boxes), strict=True)
    return Span(*one.span).iou(Span(*other.span)) > ALIKE and all(a.iou(b) > ALIKE for a, b in places)


def _agreement(rows: Sequence[Mapping[str, Any]]) -> tuple[float | None, float | None, int]:
    different, differing, agreeing, known = 0, 0, 0, 0
    for row in rows:
        for one, other in combinations([candidate(c) for c in row["candidates"] if c["policy"]], 2):
            if one.policy == other.policy:
                continue
            different += 1
            differing += not same_grounding(one, other)
            if one.loss is not None and other.loss is not None and one.bonus != other.bonus and one.loss != other.loss:
                known += 1
                agreeing += (one.loss < other.loss) == (one.bonus > other.bonus)
    share = round(differing / different, 4) if different else None
    return share, round(agreeing / known, 4) if known else None, known


def _box(corners: Sequence[float]) -> Box:
    seconds, x0, y0, x1, y1 = corners
    return Box(seconds, x0, y0, x1, y1)


def _told(one: Candidate) -> dict[str, JSON]:
    return asdict(one)
