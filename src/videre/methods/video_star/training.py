"""Training on kept answers: a loaded model, examples in, a checkpoint folder out; through `videre.train.fit`.

Source: section 3 and appendix A.1 of the paper: one epoch, global batch 128, AdamW, 2e-5, cosine, warm-up 0.03.
"""

import contextlib
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from videre.data.videos import resolve
from videre.jobs import replace_file
from videre.methods.video_star.export import Example
from videre.methods.video_star.generate import Show
from videre.methods.video_star.templates import drawn
from videre.train.fit import FitConfig, fit
from videre.types import JSON, Frames, Question, Span
from videre.video.look import look
from videre.video.open import open_video
from videre.video.part import Part

DONE = "done.json"


@dataclass(frozen=True)
class Recipe:
    """How a cycle trains.

    Attributes:
        epochs: passes over the examples.
        batch: examples a step.
        lr: highest learning rate.
        warmup: share of the steps that warm up.
        weight_decay: AdamW's.
        seed: of the order and of the training.
        bf16: bfloat16 autocast.
        save_steps: steps between checkpoints; a killed training goes on from the last one.
        frozen: parameters whose name begins so stay as they are, such as "model.vision_model".
    """

    epochs: float = 1.0
    batch: int = 128
    lr: float = 2e-5
    warmup: float = 0.03
    weight_decay: float = 0.0
    seed: int = 0
    bf16: bool = False
    save_steps: int = 50
    frozen: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.epochs <= 0 or self.batch < 1:
            raise ValueError(f"epochs are above 0 and a batch has one example or more, got {self}")


class Batches:
    """One example a batch, in a shuffled order that a seed decides; videos are read at their turn.

    Args:
        examples: at least one.
        count: how many to give, several epochs among them.
        show: how frames are chosen.
        seed: of the order.
    """

    def __init__(self, examples: Sequence[Example], count: int, *, show: Show, seed: int) -> None:
        self._examples, self._count, self._show, self._seed = list(examples), count, show, seed

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> dict[str, Any]:
        epoch, place = divmod(index, len(self._examples))
        order = sorted(range(len(self._examples)), key=lambda i: drawn(f"{epoch}/{i}", 2**62, seed=self._seed))
        one = self._examples[order[place]]
        return {"frames": frames(one, self._show), "question": Question(one.question), "target": one.target}


def frames(one: Example, show: Show) -> list[Frames]:
    """What the model is shown of an example: the same selection as in generation; none for text alone."""
    if not one.video:
        return []
    with open_video(resolve(one.root or show.videos, one.video), isolate=show.isolate) as whole:
        video = Part(whole, Span(*one.clip)) if one.clip else whole  # type: ignore[arg-type]
        return [look(video, show.select(video, Question(one.question)), size_px=show.size_px)]


def train(load: Callable[[], Any], examples: Sequence[Example], recipe: Recipe, *, show: Show, out: Path) -> str:
    """The folder of the trained checkpoint, `out/model`; a training that was stopped goes on.

    Args:
        load: gives the starting checkpoint as `videre.models.mllm.TransformersMLLM` (or the built-in model).
        examples: what to learn.
        recipe: how.
        show: how videos are shown.
        out: folder of the training.

    Raises:
        ModelError: the model cannot be loaded or has no weights to train.
        VideoError: a video of an example cannot be read.
    """
    settings: dict[str, JSON] = {"recipe": json.loads(json.dumps(asdict(recipe))), "examples": len(examples)}
    if _is_done(out, settings):
        return str(out / "model")
    model = load()
    network = model.network
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(not any(name.startswith(start) for start in recipe.frozen))
    steps = max(1, round(recipe.epochs * len(examples) / recipe.batch))
    batches = Batches(examples, steps * recipe.batch, show=show, seed=recipe.seed)
    with contextlib.redirect_stdout(sys.stderr):  # the Trainer prints its log; standard output is for results
        fit(network, batches, lambda _, batch: model.loss(**batch).mean(), config(recipe, steps, out))
    network.save_pretrained(out / "model")
    model.processor.save_pretrained(out / "model")
    replace_file(out / DONE, json.dumps(settings | {"steps": steps}, indent=2))
    return str(out / "model")


def config(recipe: Recipe, steps: int, out: Path) -> FitConfig:
    """The recipe as `fit` takes it."""
    made = FitConfig(str(out / "fit"), steps, recipe.lr, recipe.warmup, recipe.weight_decay, beta2=0.999)
    made = replace(made, accumulate=recipe.batch, seed=recipe.seed, bf16=recipe.bf16)
    return replace(made, save_steps=recipe.save_steps, resume=True, log_steps=1)


def _is_done(out: Path, settings: dict[str, JSON]) -> bool:
    note = out / DONE
    known = json.loads(note.read_text("utf-8")) if note.is_file() else {}
    return bool(known) and {name: known.get(name) for name in settings} == settings
