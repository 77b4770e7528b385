"""MSR-ViR's claims on films of small things: grounding, policies and reflection, with trained models that read pixels.

    python results/reasoner.py --smoke                 (two minutes: the machinery, no claim)
    python results/reasoner.py                         (half an hour of one core; `--minutes 8` stops it between two
                                                       parts, and the same command goes on at the same commit)

Claims, thresholds and settings stand here and were written before the run, after pilots on other films that
`reasoner.md` tells of. `holds` is computed from 95 % bootstrap intervals over films.
"""

import argparse
import json
import random
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import reasoner_films as films
import reasoner_models as small
import reasoner_taught as taught
import torch
from checkout import commit
from reasoner_page import page
from reasoner_parts import Size, Study, acc_gqa, asking, by_kind, figures, gain, gains, row

from videre.ask import system
from videre.methods.msr_vir import preferences
from videre.methods.msr_vir.cycle import State, Work
from videre.methods.msr_vir.preferences import candidate
from videre.methods.msr_vir.profile import DEFAULT
from videre.methods.msr_vir.reasoner import Reasoner
from videre.methods.msr_vir.recipe import read_recipe
from videre.methods.msr_vir.show import Showing
from videre.metrics import grounding
from videre.metrics.interval import bootstrap
from videre.models import builtin, text
from videre.types import Question, Sample, Span
from videre.video.open import open_video

HERE = Path(__file__).parent
VERSION = 4
ASKED_SEED, PAIRS_SEED, AGAIN_SEED, GRADED_SEED = 46_000_000, 41_000_000, 42_000_000, 43_000_000
"""First films of: the questions to the answerer; the 500 with pairs; the second cycle; the parser's tests."""
MOMENT = Showing(overview=0, close_ups=False, guide=False)
"""The key moment alone, as the built-in model was made for."""
ARMS: dict[str, dict[str, Any]] = {
    "grounded": {},
    "equal frames": {"showing": replace(MOMENT, equal=True)},
    "raw question": {"by": "question"},
}
GAINS: dict[str, tuple[str, str, str, float]] = {
    "grounded above ungrounded at equal frames, answers": ("grounded", "equal frames", "right", 0.0),
    "a policy above the raw question as the query, answers": ("grounded", "raw question", "right", 0.0),
    "a policy above the raw question as the query, IoU": ("grounded", "raw question", "iou", 0.0),
}
"""Claim -> (ours, theirs, figure, margin): the mean of the paired differences lies above the margin."""
BLIND_MARGIN = 0.10


SMOKE = Size(
    seeds=1, clip_steps=4, detector_steps=4, parser_steps=30, school_steps=2, asked=1, pairs=8, again=4, graded=1,
    taught=1,
)  # fmt: skip
DPO = {"beta": 0.1, "lr": 1e-4, "epochs": 1.0, "batch": 8, "rank": 0, "mean": False, "save_steps": 0}
ANSWERER = str(builtin.FOLDER)
"""The built-in model as it ships: it never saw these films."""
CLAIMED = {
    ("reflection", 1): "one cycle of reflection raises Acc@GQA",
    ("negated", 1): "with the preference negated Acc@GQA falls",
    ("all tie", 1): "where all pairs tie no weight moves",
    ("reflection", 2): "two cycles of reflection raise Acc@GQA",
}
ABLATED = "ablation: reflection above none, answers"
REFLECTIONS: dict[str, dict[str, Any]] = {
    "reflection": {}, "negated": {"negate": True}, "all tie": {"margin": 1e9},
}  # fmt: skip


def answering(study: Study) -> dict[str, list[dict[str, Any]]]:
    """Arm -> a row a question, of the model as it ships."""
    samples = films.written(range(ASKED_SEED, ASKED_SEED + study.size.asked), study.out / "v")

    def systems() -> dict[str, Any]:
        model = builtin.load()
        common = {**study.finders(), "detector": None, "k": small.K, "showing": MOMENT}
        return {arm: asking(model, {**common, **told}) for arm, told in ARMS.items()}

    return study.answered("answers", samples, systems)


def recipe(study: Study, *, parser: str, seed: int = 0, questions: int = 500, **pairs: Any) -> Any:
    """The recipe of `videre train parser` for one arm; the answerer is frozen."""
    found = study.models()
    return read_recipe({
        "models": {"encoder": found["encoder"], "parser": parser, "answerer": ANSWERER, "device": "cpu"},
        "data": {"rows": "", "videos": str(study.out / "v")},
        "cycle": {"questions": questions, "judge": "frozen", "k": small.K, "overview": 0, "guide": False},
        "policies": {"count": 2, "temperature": 1.0, "max_tokens": 120, "seed": seed},
        "pairs": pairs,
        "dpo": {**DPO, "seed": seed},
    })  # fmt: skip


def openly(first: int, count: int, study: Study) -> list[Sample]:
    """Questions without options, whose answers are words: what policies are judged by."""
    most = 2 * len(films.COLOURS)
    samples = films.written(range(first, first - (-count // most)), study.out / "v", films.named)[:count]
    return [replace(s, question=Question(s.question.text)) for s in samples]


class Here(Work):
    """Films of our own need no process apart."""

    def _open(self, sample: Sample) -> Any:
        return open_video(Path(self.recipe.data.videos) / sample.video)


def judged(study: Study) -> list[dict[str, Any]]:
    """Every policy that the parser proposes for the questions, with its losses."""
    work, samples = _judging(study)
    state = State(study.parser(), (ANSWERER,))
    return work.judgements(samples, work.proposals(samples, state), state.answerers)


def _judging(study: Study) -> tuple[Here, list[Sample]]:
    told = recipe(study, parser=study.parser(), questions=study.size.pairs)
    return Here(told, study.out / "pairs"), openly(PAIRS_SEED, study.size.pairs, study)


def agreement(study: Study) -> dict[str, Any]:
    """What `preferences.facts` tells where the reward is the IoU; and how losses and IoU go together."""
    truth = {s.id: s.spans[0] for s in _judging(study)[1]}
    rows = study.kept("judged", lambda: judged(study))
    known = [{**r, "candidates": [_with_iou(c, truth[r["id"]]) for c in r["candidates"]]} for r in rows]
    facts = preferences.facts(known, [])
    drawn = [(c["loss"], c["probe"], c["bonus"]) for r in known for c in r["candidates"] if c["policy"]]
    loss, probe, iou = np.array(drawn or [(0.0, 0.0, 0.0)]).T
    signs = [_agree(r["candidates"]) for r in known]
    per = [np.mean(s) for s in signs if s]
    groups = [r["id"].split("_")[0] for r, s in zip(known, signs, strict=True) if s]
    return {
        **facts, "agree": float(np.mean(per)), "agree_interval": bootstrap(per, groups=groups, resamples=2000),
        "rank_correlation_of_loss_and_iou": _ranked(loss, iou), "of_probe_and_iou": _ranked(probe, iou),
    }  # fmt: skip


def _with_iou(told: dict[str, Any], truth: Span) -> dict[str, Any]:
    return {**told, "bonus": Span(*told["span"]).iou(truth) if told["span"] else 0.0}


def _agree(told: Sequence[dict[str, Any]]) -> list[bool]:
    """For each two policies whose IoU differs by 0.1 or more: whether the lower loss has the higher one."""
    valid = [candidate(c) for c in told if c["policy"]]
    return [
        (a.loss + a.probe < b.loss + b.probe) == (a.bonus > b.bonus)  # type: ignore[operator]
        for i, a in enumerate(valid) for b in valid[:i] if abs(a.bonus - b.bonus) >= 0.1
    ]  # fmt: skip


def _ranked(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation."""
    return float(np.corrcoef(*(np.argsort(np.argsort(v)) for v in (a, b)))[0, 1])


def learnt(study: Study, arm: str, cycle: int, seed: int) -> str:
    """The parser of an arm after a cycle. The first cycle's judgements are shared: all arms start from one parser."""
    how, start = REFLECTIONS[arm], study.parser()
    if cycle == 1:
        rows, (_, samples) = study.kept("judged", lambda: judged(study)), _judging(study)
        told = recipe(study, parser=start, seed=seed, questions=study.size.pairs, **how)
        work = Here(told, study.out / f"{arm}_{seed}")
        work.out.mkdir(parents=True, exist_ok=True)
        return work.taught(samples, rows, State(start, (ANSWERER,)))
    before = study.kept(f"parser_{arm}_{cycle - 1}_{seed}", lambda: learnt(study, arm, cycle - 1, seed))
    told = recipe(study, parser=before, seed=seed, questions=study.size.again, **how)
    samples = openly(AGAIN_SEED + 1000 * seed, study.size.again, study)
    work, state = Here(told, study.out / f"{arm}_{seed}_cycle_{cycle}"), State(before, (ANSWERER,))
    return work.taught(samples, work.judgements(samples, work.proposals(samples, state), state.answerers), state)


@dataclass(frozen=True)
class Drawing:
    """A parser whose replies are drawn, so that one of mixed quality is measured as such; all parsers with one seed."""

    model: text.TextLLM
    seed: int

    def generate(self, prompt: str, *, max_tokens: int = 128) -> str:
        """One reply, at the temperature that policies are proposed at."""
        return self.model.generate(prompt, max_tokens=max_tokens, temperature=1.0, seed=self.seed)


def graded(study: Study, folder: str) -> list[dict[str, Any]]:
    """A row a held-out question, with the policy that is drawn from a parser; what is no policy is the whole film."""
    samples = films.written(range(GRADED_SEED, GRADED_SEED + study.size.graded), study.out / "v", films.named)
    parser, finders = text.load(folder, device="cpu"), {**study.finders(), "detector": None}
    strict = replace(DEFAULT, retries=0, rules=False)
    model, path = builtin.load(), study.out / "graded.jsonl"
    known = {r["key"]: r for r in map(json.loads, path.read_text("utf-8").splitlines())} if path.exists() else {}
    found = []
    for sample in samples:
        writer = Drawing(parser, zlib.crc32(sample.id.encode()))
        select = Reasoner(**finders, writer=writer, profile=strict, k=small.K, showing=MOMENT)
        policy = select.parsed(sample.question.text).policy
        key = f"{sample.id}/{policy.id}"  # Parsers often agree: the same policy is followed and answered once.
        if key not in known:
            with open_video(study.out / "v" / sample.video) as video:
                known[key] = {
                    "key": key,
                    **row(sample, system(model, select, size_px=None)(video, sample.question)),
                }
            with open(path, "a", encoding="utf-8") as file:
                file.write(json.dumps(known[key]) + "\n")
        found.append(known[key])
    return found


def claims_of_answers(rows: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """The claims on answers and grounding."""
    told = gains(rows, GAINS)
    for name, figure, least in (("mIoU", "iou", None), ("IoU@0.5", "iou", 0.5), ("IoP@0.5", "iop", 0.5)):
        told[f"{name} above the best blind rule by 10 points"] = _above_blind(rows["grounded"], figure, least)
    return told


def _above_blind(rows: Sequence[dict[str, Any]], figure: str, least: float | None) -> dict[str, Any]:
    def reached(values: Sequence[float]) -> list[float]:
        return [v if least is None else float(v >= least) for v in values]

    blind = {rule: reached(blindly(rows, rule, figure)) for rule in grounding.SPAN_RULES}
    best = max(blind, key=lambda rule: float(np.mean(blind[rule])))
    ours = reached([r[figure] for r in rows])
    told = gain(ours, blind[best], [r["video"] for r in rows], BLIND_MARGIN)
    return {**told, "rule": best, "ours": float(np.mean(ours)), "blind": float(np.mean(blind[best]))}


def blindly(rows: Sequence[dict[str, Any]], rule: str, figure: str) -> list[float]:
    """IoU or IoP of a rule that sees neither question nor video."""
    span = grounding.SPAN_RULES[rule](films.CONFIG.seconds)
    found = grounding.ground([span] * len(rows), [[r["truth"]] for r in rows])
    return [float(v) for v in found[0 if figure == "iou" else 1]]


def claims_of_reflection(study: Study) -> tuple[dict[str, Any], dict[str, Any]]:
    """The claims on parsers, over the seeds that there was time for, and the figures of each."""
    start = study.parser()
    before = study.kept("graded_start", lambda: graded(study, start))
    parts: dict[tuple[str, int], list[tuple[str, Any]]] = {}
    try:
        for seed, (arm, cycle) in product(range(study.size.seeds), CLAIMED):
            name = f"{arm}_{cycle}_{seed}"
            parser = study.kept(f"parser_{name}", lambda a=arm, c=cycle, s=seed: learnt(study, a, c, s))
            rows = study.kept(f"graded_{name}", lambda p=parser: before if p == start else graded(study, p))
            parts.setdefault((arm, cycle), []).append((parser, rows))
    except SystemExit as stopped:
        print(stopped)
    reached = {f"{arm}, cycle {cycle}": figures([r for _, r in some]) for (arm, cycle), some in parts.items()}
    told = {CLAIMED[part]: _claimed(part, some, start, before) for part, some in parts.items()}
    if ("reflection", 1) in parts:
        told[ABLATED] = _ablated([rows for _, rows in parts["reflection", 1]], before)
    return told, {"start": figures([before]), **reached}


def _claimed(
    part: tuple[str, int], some: Sequence[tuple[str, Any]], start: str, before: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """The gain over the starting parser."""
    ours = np.mean([acc_gqa(rows) for _, rows in some], axis=0).tolist()
    told = gain(ours, acc_gqa(before), [r["video"] for r in before], 0.0)
    if part[0] == "negated":
        told["holds"] = told["high"] < 0
    if part[0] == "all tie":
        told["holds"] = all(parser == start for parser, _ in some)
    return {**told, "seeds": len(some)}


def _ablated(several: Sequence[Sequence[dict[str, Any]]], before: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What answers lose without reflection."""
    right = np.mean([[float(r["right"]) for r in rows] for rows in several], axis=0).tolist()
    told = gain(right, [float(r["right"]) for r in before], [r["video"] for r in before], 0.0)
    return {**told, "seeds": len(several)}


def run(study: Study) -> dict[str, Any]:
    """Everything, part by part."""
    begun(study)
    facts = reached(lambda: study.kept("agreement", lambda: agreement(study)), {})
    reflections, parsers = reached(lambda: claims_of_reflection(study), ({}, {}))
    lessons = reached(lambda: taught.answering(study), {})
    rows = reached(lambda: answering(study), {})
    return {
        "name": "reasoner", "version": VERSION, "size": asdict(study.size), "dpo": DPO, "commit": commit(),
        "claims": {**(claims_of_answers(rows) if rows else {}), **reflections},
        "arms": {arm: by_kind(some) for arm, some in rows.items()},
        "grounding": {arm: figures([rows[arm]]) for arm in ("grounded", "raw question") if rows},
        "taught": taught.told(study, lessons) if lessons else {},
        "facts": facts, "parsers": parsers, "questions": len(rows.get("grounded", ())), "cpu_seconds": _spent(study),
    }  # fmt: skip


def reached(part: Callable[[], Any], otherwise: Any) -> Any:
    """What a part found; `otherwise`, said aloud, where time was up before it: the page then names it as not run."""
    try:
        return part()
    except SystemExit as stopped:
        print(stopped)
        return otherwise


def _spent(study: Study) -> dict[str, int]:
    """CPU seconds of each part; of a part that was stopped and gone on with, those of the last go."""
    spent = Counter[str]()
    for path in sorted(study.out.glob("*.json")):
        spent[path.stem.partition("_film")[0]] += json.loads(path.read_text("utf-8")).get("cpu_seconds", 0.0)
    return {name: round(seconds) for name, seconds in spent.items()}


def begun(study: Study) -> None:
    """Returns where the folder is new or holds parts of these settings, made at this commit.

    Raises:
        SystemExit: it holds parts of others.
    """
    told = {"size": asdict(study.size), "dpo": DPO, "version": VERSION, "commit": commit()}
    path = study.out / "begun.json"
    if path.is_file() and json.loads(path.read_text("utf-8")) != told:
        raise SystemExit(f"{path} tells of other settings or another commit: take another --out")
    path.write_text(json.dumps(told), "utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--minutes", type=float, default=1e9, help="of this process's work: no part is begun later")
    given = parser.parse_args()
    torch.set_num_threads(1)
    random.seed(0)
    size, name = (SMOKE, "reasoner-smoke") if given.smoke else (Size(), "reasoner")
    study = Study(size, given.out or Path("runs") / name, 60 * given.minutes)
    study.out.mkdir(parents=True, exist_ok=True)
    found = run(study)
    if not given.smoke:
        (HERE / "reasoner.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
        (HERE / "reasoner.md").write_text(page(found), "utf-8")
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
