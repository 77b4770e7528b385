"""One cycle of training: policies are proposed, answerers learn and judge, pairs are made, the parser learns.

Each part is written down when it is done, so that the same call goes on where a killed one stopped.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from videre import jobs
from videre.data.videos import resolve
from videre.errors import OK, SOME_FAILED
from videre.methods.msr_vir import dpo, grpo, preferences
from videre.methods.msr_vir import profile as profiles
from videre.methods.msr_vir.judge import Looks, judged, target
from videre.methods.msr_vir.memory import KnownPlaces, KnownTimes, Memory
from videre.methods.msr_vir.policy import Policy, read
from videre.methods.msr_vir.preferences import Candidate
from videre.methods.msr_vir.profile import Profile
from videre.methods.msr_vir.prompts import prompt
from videre.methods.msr_vir.propose import proposed
from videre.methods.msr_vir.recipe import Cycle, Recipe
from videre.methods.msr_vir.scan import Scan
from videre.methods.msr_vir.show import Showing
from videre.models import clip, detector, mllm, text
from videre.train import answerer as school
from videre.train.answerer import Lesson
from videre.types import JSON, Sample
from videre.video.open import open_video


@dataclass(frozen=True)
class State:
    """Where parser and answerers stand: folders or ids of checkpoints."""

    parser: str
    answerers: tuple[str, ...]


def folds(cycle: Cycle) -> tuple[str, ...]:
    """The answerers that there are."""
    return ("a", "b") if cycle.judge == "crossfit" else ("all",)


def learns(fold: str, place: int) -> bool:
    """Whether the answerer of a fold learns on the question at this place of a block; it judges the others."""
    return fold == "all" or (place % 2 == 0) == (fold == "a")


class Work:
    """The four parts of a cycle."""

    def __init__(self, recipe: Recipe, out: Path) -> None:
        self.recipe, self.out, self.models = recipe, out, recipe.models
        self.profile: Profile = replace(profiles.named(recipe.cycle.profile), overview=recipe.cycle.overview)
        self._looks: Looks | None = None

    def proposals(self, samples: Sequence[Sample], state: State) -> dict[str, list[JSON]]:
        """Policies by question, drawn from the parser as it stands."""
        load = partial(text.load, state.parser, device=self.models.device)

        def make(parser: Any) -> Callable[[Any], dict[str, JSON]]:
            return lambda item: {"id": item.id, "candidates": self._proposed(parser, item.payload)}

        rows = self._job("proposals", samples, load, make, {"parser": state.parser})
        return {row["id"]: row["candidates"] for row in rows}

    def schooled(self, samples: Sequence[Sample], offered: dict[str, list[JSON]], state: State) -> tuple[str, ...]:
        """The answerers after learning on the first policy of each question of their fold."""
        if self.recipe.cycle.judge == "frozen":
            return state.answerers
        found = []
        for fold, start in zip(folds(self.recipe.cycle), state.answerers, strict=True):
            own = [s for i, s in enumerate(samples) if learns(fold, i) and s.id in offered]
            load = partial(mllm.load, start, device=self.models.device)
            lesson = partial(self._lesson, offered)
            folder = school.train(
                load, own, lesson, self.recipe.answerer, out=self.out / f"answerer_{fold}", lora=self.recipe.adapters
            )
            found.append(str(folder))
        return tuple(found)

    def judgements(
        self, samples: Sequence[Sample], offered: dict[str, list[JSON]], answerers: tuple[str, ...]
    ) -> list[dict[str, Any]]:
        """All candidates of all questions with their losses, in the order of the questions."""
        found: dict[str, dict[str, Any]] = {}
        for fold, name in zip(folds(self.recipe.cycle), answerers, strict=True):
            asked = [s for i, s in enumerate(samples) if (fold == "all" or not learns(fold, i)) and s.id in offered]
            load = partial(mllm.load, name, device=self.models.device)

            def make(model: Any, name: str = name) -> Callable[[Any], dict[str, JSON]]:
                return lambda item: self._judged(model, item.payload, offered[item.id], name)

            for row in self._job(f"judged_{fold}", asked, load, make, {"answerer": name}):
                found[row["id"]] = row
        return [found[s.id] for s in samples if s.id in found]

    def taught(self, samples: Sequence[Sample], rows: Sequence[dict[str, Any]], state: State) -> str:
        """The folder of the parser after learning; the one from before where there is nothing to learn from."""
        choice, dialect = self.recipe.pairs, self.profile.dialect
        looked = [p for r in rows for p in preferences.pairs_of(r["id"], _candidates(r), choice)]
        pairs = preferences.capped(looked, choice)
        facts = preferences.facts(rows, pairs) if dialect == "policy/1" else {"pairs_kept": _kept(pairs)}
        jobs.replace_file(self.out / "preferences.jsonl", "".join(json.dumps(pair) + "\n" for pair in pairs))
        jobs.replace_file(self.out / "facts.json", json.dumps(facts, indent=1))
        asked = {s.id: prompt(s.question.text, dialect=dialect) for s in samples}
        if self.recipe.cycle.trainer == "grpo":
            return self._grouped(samples, rows, asked, state)
        if not _kept(pairs):
            return state.parser
        parser = text.load(state.parser, device=self.models.device)
        return self._saved(
            dpo.trained(parser, self._referred(parser, pairs, asked), self.recipe.dpo, out=self.out / "dpo")
        )

    def _grouped(
        self, samples: Sequence[Sample], rows: Sequence[dict[str, Any]], asked: dict[str, str], state: State
    ) -> str:
        """The parser after GRPO; every group is written down, those with one reward for all learn nothing."""
        truth, how = {s.id: s.spans for s in samples}, self.recipe.grpo
        groups = [grpo.group(r["id"], _candidates(r), truth[r["id"]], how) for r in rows]
        jobs.replace_file(self.out / "groups.jsonl", "".join(json.dumps(one) + "\n" for one in groups))
        kept = [{**one, "prompt": asked[str(one["id"])]} for one in groups if one["kept"]]
        if not kept:
            return state.parser
        parser = text.load(state.parser, device=self.models.device)
        told = self._once("old.json", lambda: grpo.with_old(parser, kept))
        return self._saved(grpo.trained(parser, told, how, out=self.out / "grpo"))

    def _saved(self, learnt: Any) -> str:
        saved(learnt, self.out / "parser")
        return str(self.out / "parser")

    def _referred(self, parser: Any, pairs: Sequence[dict[str, Any]], asked: dict[str, str]) -> list[dict[str, JSON]]:
        """The kept pairs with their prompts and what the parser thinks of them."""
        plain: list[dict[str, JSON]] = [
            {"id": p["id"], "prompt": asked[p["id"]], "chosen": p["chosen"]["text"], "rejected": p["rejected"]["text"]}
            for p in pairs
            if p["kept"]
        ]
        found = self._once("reference.json", lambda: dpo.with_reference(parser, plain, self.recipe.dpo))
        if len(found) != len(plain):
            raise RuntimeError(f"{len(plain)} pairs became {len(found)}")
        return found

    def _once(self, name: str, make: Callable[[], list[dict[str, JSON]]]) -> list[dict[str, JSON]]:
        """Rows that are written before the parser learns, and read again after a kill."""
        path = self.out / name
        if not path.is_file():
            jobs.replace_file(path, json.dumps(make(), indent=1))
        return json.loads(path.read_text("utf-8"))

    def _proposed(self, parser: Any, sample: Sample) -> list[JSON]:
        return proposed(parser, sample.id, sample.question.text, self.recipe.policies, profile=self.profile)

    def _lesson(self, offered: dict[str, list[JSON]], sample: Sample) -> Lesson:
        policy = next((p for p in map(_policy, offered[sample.id]) if p), Policy())
        with self._open(sample) as video:
            evidence = self.looks.evidence(video, policy, sample.question)
            chunks, asked = self.looks.lesson(video, evidence, sample.question)
        return Lesson(chunks, asked, target(sample))

    def _judged(self, model: Any, sample: Sample, offers: Sequence[Any], name: str) -> dict[str, JSON]:
        weights = {"iop": self.recipe.cycle.iop, "iou": self.recipe.cycle.iou}
        found = []
        with self._open(sample) as video:
            for offer in offers:
                policy = _policy(offer)
                one = (
                    judged(model, video, sample, policy, looks=self.looks, text=offer["text"], **weights)
                    if policy
                    else Candidate(offer["text"])
                )
                found.append(asdict(replace(one, drawn=offer.get("drawn", 1))))
        return {"id": sample.id, "candidates": found, "answerer": name}

    @property
    def looks(self) -> Looks:
        """What follows policies; on a memory on disk that all cycles share."""
        if self._looks is None:
            folder, cycle = self.out.parent / "found", self.recipe.cycle
            memory = Memory(folder)
            times = KnownTimes(Scan(clip.load(self.models.encoder, device=self.models.device), folder=folder), memory)
            name = self.models.detector
            spots = KnownPlaces(detector.load(name, device=self.models.device), memory) if name else None
            how = Showing(overview=cycle.overview, guide=cycle.guide, size_px=cycle.size_px)
            self._looks = Looks(times, spots, self.profile, cycle.k, how)
        return self._looks

    def _open(self, sample: Sample) -> Any:
        return open_video(resolve(self.recipe.data.videos, sample.video), isolate=True)

    def _job(
        self,
        name: str,
        samples: Sequence[Sample],
        load: Callable[[], Any],
        make: Callable[[Any], Callable[[Any], dict[str, JSON]]],
        inputs: dict[str, JSON],
    ) -> list[dict[str, Any]]:
        """Rows of a loss-free run over the samples; the model is loaded only where work is left."""
        loaded: list[Callable[[Any], dict[str, JSON]]] = []

        def work(item: Any) -> dict[str, JSON]:
            if not loaded:
                loaded.append(make(load()))
            return loaded[0](item)

        settings = {"recipe": asdict(self.recipe), **inputs}
        items = [jobs.Item(jobs.key(sample=asdict(s), **inputs), s.id, s, s.video, s.question) for s in samples]
        told = jobs.run(items, work, folder=self.out / name, manifest=settings, retry_failed=True)
        if told.exit_code not in (OK, SOME_FAILED):
            raise SystemExit(told.exit_code)
        return [row for row in jobs.rows(self.out / name) if not row.get("error")]


def _policy(offer: Any) -> Policy | None:
    return read(json.loads(offer["text"])) if offer["policy"] else None


def _candidates(row: dict[str, Any]) -> list[Candidate]:
    return [preferences.candidate(told) for told in row["candidates"]]


def _kept(pairs: Sequence[dict[str, Any]]) -> int:
    return sum(1 for pair in pairs if pair["kept"])


def saved(parser: Any, folder: Path) -> None:
    """Writes a text model and its tokenizer as a checkpoint folder."""
    parser.network.save_pretrained(folder)
    parser.tokenizer.save_pretrained(folder)
