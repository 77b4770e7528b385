"""The cycle: generate, verify, rationalize what was turned down, verify, train from the starting checkpoint; again.

A run is a folder; everything in it but the answers is a pure function of the answers and can be made again. The same
call on the same folder goes on where the last one ended, however that ended.

    table.jsonl  cycle-1/direct/  cycle-1/hinted/  cycle-1/kept.jsonl  cycle-1/counts.json  cycle-1/model.json  ...

Source: section 2 and figure 2 of the paper.
Differs: the last round shows no labels at all (its rationalizations would be thrown away), and there is a stop rule:
the paper gives none.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from videre.errors import ModelError
from videre.jobs import Outcome, replace_file
from videre.methods.video_star.generate import Stage, answers
from videre.methods.video_star.label import Row, Verdict
from videre.methods.video_star.store import Kept, save_kept
from videre.methods.video_star.verify import Verifier, kept, leaks, undecided
from videre.types import JSON

Ask = Callable[[Sequence[Row], Stage, str, Path], Outcome]
"""Rows, a stage, the model to ask (a checkpoint's folder or name) and the folder of the stage: asks what is left."""

Train = Callable[[Sequence[Kept], str, Path], str]
"""Kept answers, the checkpoint to start from and a folder in; the trained checkpoint's folder out. Resumes in there."""

OUTCOMES = ("direct", "rationalised", "rejected", "abstained", "leaked", "failed")


@dataclass(frozen=True)
class Plan:
    """How many rounds, and what each does.

    Attributes:
        cycles: rounds at most; the last one trains on direct answers only.
        rationalize: ask rejected rows again with the label shown.
        generate: ask without the label; off for the arm of rationalizations only.
        verify: keep only what the labels bear out; off for the unverified arm.
        warm_start: train on from the last cycle's weights in place of `start`.
        stop_share: stop when the direct yield of no task grew by this share of its rows.
    """

    cycles: int = 3
    rationalize: bool = True
    generate: bool = True
    verify: bool = True
    warm_start: bool = False
    stop_share: float = 0.01

    def __post_init__(self) -> None:
        if self.cycles < 1 or not 0 <= self.stop_share <= 1:
            raise ValueError(f"cycles are 1 or more and stop_share is in [0, 1], got {self}")
        if not (self.generate or self.rationalize):
            raise ValueError("a plan that neither generates nor rationalizes makes no data")


@dataclass(frozen=True)
class Judged:
    """What became of a row in a cycle: one of `OUTCOMES`, and the answer that is kept, if one is."""

    row: Row
    outcome: str
    kept: Kept | None = None


@dataclass(frozen=True)
class Cycle:
    """What a cycle came to.

    Attributes:
        number: from 1.
        counts: how many rows came to each of `OUTCOMES`, by task; "all" is every task.
        is_last: its data trained the final model.
        model: the checkpoint trained on its data.
    """

    number: int
    counts: Mapping[str, Mapping[str, int]]
    is_last: bool
    model: str


def run(
    table: Sequence[Row],
    plan: Plan,
    *,
    start: str,
    first: str = "",
    ask: Ask,
    train: Train,
    verifier: Verifier,
    folder: Path,
    tell: Callable[[str], None] = lambda text: None,
) -> list[Cycle]:
    """The cycles, up to the final model; one that was begun in `folder` is finished first.

    Args:
        table: the rows, all with labels.
        plan: how many rounds, and what each does.
        start: the checkpoint that every training starts from.
        first: the model that answers in cycle 1; "" for `start`.
        ask: asks what is left of a stage.
        train: a checkpoint out of kept answers.
        verifier: says whether an answer bears out the labels.
        folder: the run's.
        tell: is told what each stage came to.

    Raises:
        ModelError: no answer was kept in a cycle (code "nothing_kept"), or what `ask` and `train` raise.
        Interrupted: a stage was stopped by a signal; the same call goes on.
    """  # fmt: skip
    model, done, cycles = first or start, [], []
    for number in range(1, plan.cycles + 1):
        place = folder / f"cycle-{number}"
        direct = _asked(ask, table if plan.generate else [], "direct", model, place)
        judged = judge(table, direct, {}, verifier=verifier, cycle=number, is_verified=plan.verify)
        share = direct_share(judged)
        done.append(share)
        is_last = number == plan.cycles or (number > 1 and plan.generate and plateau(done, plan.stop_share))
        if plan.rationalize and not (is_last and plan.generate):
            again = [j.row for j in judged if j.kept is None]
            hinted = _asked(ask, again, "hinted", model, place)
            judged = judge(table, direct, hinted, verifier=verifier, cycle=number, is_verified=plan.verify)
        told = save(judged, place)
        tell(f"cycle {number}: {line(told['all'])}")
        data = [j.kept for j in judged if j.kept]
        base = model if plan.warm_start and number > 1 else start
        model = _trained(train, data, base, place)
        cycles.append(Cycle(number, told, is_last, model))
        if is_last:
            break
    return cycles


class Interrupted(Exception):  # noqa: N818 - the state of a run, as jobs name it
    """A stage was stopped before its end; `outcome` says how far it came."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.message)
        self.outcome = outcome


def judge(
    table: Sequence[Row],
    direct: Mapping[str, str | None],
    hinted: Mapping[str, str | None],
    *,
    verifier: Verifier,
    cycle: int,
    is_verified: bool = True,
) -> list[Judged]:
    """What became of each row, by its stored answers alone: no model is asked."""
    return [_judged(row, direct, hinted, verifier, cycle, is_verified) for row in table]


def refilter(table: Sequence[Row], *, verifier: Verifier, folder: Path) -> list[dict[str, dict[str, int]]]:
    """The counts of every stored cycle under another verifier; kept answers are written anew, nothing is asked.

    The stored hints are those of rows that the first verifier turned down.
    """
    told = []
    for place in sorted(folder.glob("cycle-*"), key=lambda path: int(path.name.split("-")[1])):
        said = [answers(place / stage) if (place / stage).is_dir() else {} for stage in ("direct", "hinted")]
        number = int(place.name.split("-")[1])
        told.append(save(judge(table, said[0], said[1], verifier=verifier, cycle=number), place))
    return told


def count(judged: Sequence[Judged]) -> dict[str, dict[str, int]]:
    """How many rows came to what, by task and for all."""
    tasks = {"all": judged} | {task: [j for j in judged if j.row.task == task] for task in {j.row.task for j in judged}}
    return {task: {o: sum(j.outcome == o for j in some) for o in OUTCOMES} for task, some in sorted(tasks.items())}


def line(counts: Mapping[str, int]) -> str:
    """The counts in one line."""
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES) + f" of {sum(counts.values())}"


def direct_share(judged: Sequence[Judged]) -> dict[str, float]:
    """The share of each task's rows whose direct answer is kept."""
    told = {task: counts for task, counts in count(judged).items() if task != "all"}
    return {task: counts["direct"] / max(1, sum(counts.values())) for task, counts in told.items()}


def plateau(shares: Sequence[Mapping[str, float]], least: float) -> bool:
    """Whether the direct yield of no task grew by `least` since the cycle before."""
    before, now = shares[-2], shares[-1]
    return all(now[task] - before.get(task, 0.0) < least for task in now)


def save(judged: Sequence[Judged], place: Path) -> dict[str, dict[str, int]]:
    """Writes what is kept and the counts; gives the counts."""
    place.mkdir(parents=True, exist_ok=True)
    save_kept(place / "kept.jsonl", [j.kept for j in judged if j.kept])
    told = count(judged)
    replace_file(place / "counts.json", json.dumps(told, indent=2))
    return told


def _judged(
    row: Row,
    direct: Mapping[str, str | None],
    hinted: Mapping[str, str | None],
    verifier: Verifier,
    cycle: int,
    is_verified: bool,
) -> Judged:
    first, second = direct.get(row.id), hinted.get(row.id)
    verdicts: list[Verdict] = []
    if first is not None:
        verdicts = verifier.verdicts(first, row) if is_verified else []
        if not is_verified or kept(verdicts):
            return Judged(row, "direct", Kept(row, first, True, cycle, tuple(verdicts)))
    if second is not None:
        if verifier.leaks and leaks(second):
            return Judged(row, "leaked")
        verdicts = verifier.verdicts(second, row) if is_verified else []
        if not is_verified or kept(verdicts):
            return Judged(row, "rationalised", Kept(row, second, False, cycle, tuple(verdicts)))
    if first is None and second is None:
        return Judged(row, "failed")
    return Judged(row, "abstained" if undecided(verdicts) else "rejected")


def _asked(ask: Ask, rows: Sequence[Row], stage: Stage, model: str, place: Path) -> dict[str, str | None]:
    if not rows:
        return {}
    if not (place / "model.json").is_file():  # what has trained a model is not asked again
        outcome = ask(rows, stage, model, place / stage)
        if outcome.left or outcome.exit_code not in (0, 4):
            raise Interrupted(outcome)
    wanted = {row.id for row in rows}
    return {id: text for id, text in answers(place / stage).items() if id in wanted}


def _trained(train: Train, data: Sequence[Kept], base: str, place: Path) -> str:
    """The checkpoint trained on the data; the one that is there, where it was trained on the same."""
    if not data:
        raise ModelError(f"{place}: no answer was kept, so there is nothing to train on", code="nothing_kept")
    wanted: dict[str, JSON] = {"start": base, "data": digest(data)}
    note = place / "model.json"
    known = json.loads(note.read_text("utf-8")) if note.is_file() else {}
    if {name: known.get(name) for name in wanted} == wanted:
        return str(known["model"])
    model = train(data, base, place / "training" / str(wanted["data"])[:12])
    replace_file(note, json.dumps(wanted | {"model": model}, indent=2))
    return model


def digest(data: Sequence[Kept]) -> str:
    """A hash of what is trained on: rows and texts, in any order."""
    told = sorted(json.dumps(asdict(k), sort_keys=True) for k in data)
    return hashlib.sha256("\n".join(told).encode()).hexdigest()
