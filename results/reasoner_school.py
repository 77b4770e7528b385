"""The answerer's school, with which Algorithm 1 begins: it learns to answer in the layout in which it will be asked.

Films are drawn and never coded, moments and places are the true ones, a little off. A batch is of one layout: even
frames over the film, or the key moment with a draw of overview, close-ups and prompt. Questions that share what is
shown are read in one pass, each sees the frames and itself only (`recipes/builtin_language.py`). With the prompt that
explains the parts a question has 104 tokens in place of 15, so that such a batch has fewer of them.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from videre import compat

compat.need_hf()
sys.path.insert(0, str(Path(__file__).parent.parent / "recipes"))

import builtin_language as language  # noqa: E402
import numpy as np  # noqa: E402
import reasoner_films as films  # noqa: E402
import torch  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from videre.data import world  # noqa: E402
from videre.data.world.scene import Clip  # noqa: E402
from videre.methods.msr_vir import rules  # noqa: E402
from videre.methods.msr_vir.execute import ground  # noqa: E402
from videre.methods.msr_vir.operators import at_least  # noqa: E402
from videre.methods.msr_vir.policy import plan_in_words  # noqa: E402
from videre.methods.msr_vir.show import Showing, guided, show  # noqa: E402
from videre.models import builtin, mllm  # noqa: E402
from videre.models.prompt import Prompter  # noqa: E402
from videre.train.fit import FitConfig, fit  # noqa: E402
from videre.types import JSON, Frames, Sample, Span  # noqa: E402
from videre.video.sample import centres  # noqa: E402

K, OVERVIEW = 4, 8
"""Frames of the key moment, and as many close-ups; frames of the overview."""
WHOLE = Showing(overview=OVERVIEW, overview_px=192, overview_last=True, margin=1.0)
"""Close-ups show a thing about as large as the large ones that the built-in model knows; the key moment comes first, as
it does where that model is shown nothing else.
"""
EVEN_SHARE, LOST_SHARE, OFF_SECONDS = 0.1, 0.1, 1.0
"""Share of batches with even frames; share of moments that are a wrong scene; standard deviation of their ends."""
FEW, MOST, GUIDED = 0.3, 0.8, 0.5
"""Share of the other batches that have an overview, or close-ups, drawn apart: in the first batch, and from half-way
on; share of those that have the prompt."""
ORDERS, EXPLAINED = 4, 5
"""Questions of a film about which of two things comes first; questions of a film that is shown with the prompt."""
LOOKS = 4
"""Films a batch."""
LESSON_SEED = 32_000_000


@dataclass(frozen=True)
class Drawn:
    """A film as a `Video` that was never coded."""

    clip: Clip
    notes: tuple[str, ...] = ()
    info: Mapping[str, JSON] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The name it would have."""
        return films.name(self.clip)

    @property
    def duration_seconds(self) -> float:
        """Of the film."""
        return self.clip.config.seconds

    @property
    def width_px(self) -> int:
        """The side of the frame."""
        return self.clip.config.size_px

    height_px = width_px

    def at(self, seconds: Sequence[float]) -> Frames:
        """The frames on the stage at these moments."""
        fps, last = self.clip.config.fps, len(self.clip.frame_seconds) - 1
        places = sorted({min(int(t * fps + 1e-6), last) for t in seconds})
        return world.render(self.clip, self.clip.frame_seconds[places])

    def stream(self, fps: float, start_seconds: float = 0.0) -> Iterator[Frames]:
        """All of it at once."""
        yield self.at(np.arange(start_seconds, self.duration_seconds, 1 / fps).tolist())


@dataclass(frozen=True)
class Told:
    """Both modules out of what the film knows, a little off: for lessons, never for tests."""

    clip: Clip
    rng: np.random.Generator
    name: str = "told"
    card: Mapping[str, JSON] = field(default_factory=lambda: {"name": "told"})

    def ground(self, video: Drawn, query: str, *, window: Span, top_k: int = 1) -> list[Span]:
        """The scene of a colour that the query names, now and then another one."""
        named = [t for t in self.clip.things if t.colour in query.split()]
        pool = named if named and self.rng.random() > LOST_SHARE else self.clip.things
        thing = pool[int(self.rng.integers(len(pool)))]
        off = self.rng.normal(0.0, OFF_SECONDS, 2)
        start, end = sorted((thing.start_seconds + off[0], thing.end_seconds + off[1]))
        last = video.duration_seconds
        start, end = min(max(0.0, start), last - 1), max(1.0, min(last, end))
        return [at_least(Span(float(start), float(max(start, end))), 2.0, duration_seconds=last)]

    def detect(self, frames: Frames, query: str) -> list[list[Any]]:
        """The box of the thing on the stage, its corners off by a tenth of its size."""
        found = []
        for moment in frames.seconds:
            box = self.clip.boxes(float(moment))[0]
            off = self.rng.uniform(-0.1, 0.1, 4) * (box.x1 - box.x0)
            corners = np.clip(np.array([box.x0, box.y0, box.x1, box.y1]) + off, 0, 1) * self.clip.config.size_px
            found.append([(*map(float, corners), 0.9)])
        return found


def asked(shown: Clip, rng: np.random.Generator, *, whole: bool) -> list[Sample]:
    """Questions that one moment of a film answers, in any order; with `whole`, and those that the overview does.

    The first of them is always about the moment itself.
    """
    last = len(shown.things) - 1
    place = int(rng.integers(last + 1))
    forms = [f for f in films.FORMS if 0 <= place - films.STEP[f[1]] <= last]
    here = [films.asked(shown, *forms[int(i)], place, rng) for i in rng.permutation(len(forms))]
    rest = [*here[1:], *(_of_all(shown, place, rng) if whole else ())]
    return [here[0], *(rest[int(i)] for i in rng.permutation(len(rest)))]


def _of_all(shown: Clip, place: int, rng: np.random.Generator) -> list[Sample]:
    others = [int(p) for p in rng.permutation(len(shown.things)) if p != place][:ORDERS]
    pairs = [(int(a), int(b)) for a, b in (rng.permutation((place, other)) for other in others)]
    ends = [films.at_end(shown, word, rng) for word in ("first", "last")]
    return [*ends, *(films.ordered(shown, pair, rng) for pair in pairs)]


def layout(rng: np.random.Generator, done: float) -> Showing:
    """What a batch is shown at this share of the lessons."""
    part = min(MOST, FEW + 2 * done * (MOST - FEW))
    even, overview, close_ups, guide = map(bool, rng.random(4) < (EVEN_SHARE, part, part, GUIDED))
    if even:
        return Showing(equal=True)
    return replace(WHOLE, overview=OVERVIEW * overview, close_ups=close_ups, guide=guide)


def lesson(seed: int, how: Showing) -> tuple[tuple[Frames, ...], list[tuple[str, str]]]:
    """What is shown of a film, and questions, with their answers."""
    rng, shown = np.random.default_rng([seed, 54]), films.film(seed, films.SMALL)
    drawn, told = Drawn(shown), Told(shown, rng)
    if how.equal:
        frames = drawn.at(centres(drawn.duration_seconds, OVERVIEW + 2 * K))
        return (frames,), [(s.question.text, s.answer or "") for s in films.mixed(shown)]
    rows = asked(shown, rng, whole=how.overview > 0)[: EXPLAINED if how.guide else None]
    first = rows[0].question
    detector = told if how.close_ups else None
    evidence, _ = ground(rules.parse(first.text), drawn, grounder=told, detector=detector, frames=K)
    chunks = show(drawn, evidence, first, how=how).chunks
    return chunks, [(said(s.question.text) if how.guide else s.question.text, s.answer or "") for s in rows]


def said(question: str) -> str:
    """A question with the prompt that explains the parts, as the rules' policy has it."""
    return guided(question, plan_in_words(rules.parse(question)))


@dataclass(frozen=True)
class Lessons:
    """Batches by number, each of films of its own.

    Args:
        prompter: writes prompts as the model will read them.
        steps: how many batches there are.
        first: seed of the first film.
    """

    prompter: Any
    steps: int
    first: int = LESSON_SEED

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        how = layout(np.random.default_rng([self.first, 57, index]), index / self.steps)
        looks = [lesson(self.first + index * LOOKS + i, how) for i in range(LOOKS)]
        heads = [self.prompter.read(chunks) for chunks, _ in looks]
        rows = [self._row(head, asked) for head, (_, asked) in zip(heads, looks, strict=True)]
        return {"pixels": torch.cat([head.inputs["pixel_values"][0] for head in heads]), **language.pack(rows)}

    def _row(self, head: Any, asked: Sequence[tuple[str, str]]) -> dict[str, list[int]]:
        """As `builtin_language.encode`, by the prompts of the package; lessons have no kinds."""
        told = ((self.prompter.question(head, q), self.prompter.reply(a, end=True), -1) for q, a in asked)
        return language.lay(head.inputs["input_ids"][0].tolist(), told)


def loss(network: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Cross-entropy of the answers."""
    wanted = batch["label"] != -100
    hidden = language.states(network, batch)[-1][wanted]
    return F.cross_entropy(network.lm_head(hidden).float(), batch["label"][wanted])


def schooled(out: Path, *, steps: int, lr: float) -> Path:
    """The folder of the built-in model after its lessons; its eye stays as it is."""
    if not (out / "model" / "model.safetensors").exists():
        model: Any = builtin.load(handover="images")
        network = model.network
        network.model.vision_model.requires_grad_(False)
        network.model.connector.requires_grad_(False)
        text = network.model.text_model.config
        text._attn_implementation = "packed"
        told = {"lr": lr, "warmup": 0.08, "bf16": True, "save_steps": 50, "log_steps": 10, "resume": True}
        how = FitConfig(str(out / "fit"), steps, **told)
        fit(network, Lessons(Prompter(model.processor, handover="images"), steps), loss, how)
        text._attn_implementation = "eager"
        network.save_pretrained(out / "model")
        model.processor.save_pretrained(out / "model")
    return out / "model"


def loaded(folder: Path | str) -> builtin.Builtin:
    """The schooled model, ready to answer: pictures with marks, however many parts there are, as it has learnt."""
    checkpoint = mllm.load(str(folder), device="cpu", dtype="float32", handover="images")
    return builtin.Builtin(checkpoint, builtin.familiar())


def losses(out: Path) -> list[float]:
    """The mean loss of each ten steps, by the log of the training."""
    rows = [json.loads(line) for line in (out / "fit" / "fit.jsonl").read_text("utf-8").splitlines()[1:]]
    return [round(row["loss"], 3) for row in rows if "loss" in row]
