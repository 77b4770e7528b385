"""Trains the built-in model in eleven stages, saves it as a standard checkpoint and measures it on held-out seeds.

    torchrun --nproc-per-node 2 recipes/builtin.py recipes/builtin.toml    # the whole recipe, into runs/builtin
    python recipes/builtin.py recipes/builtin.toml --smoke                 # the machinery, in well under a minute

A process a core: two threads of one process take a third more processor time. The processes share each step's clips.
A stage whose result lies in the folder is not run again; an interrupted one goes on from its last checkpoint.
"""

import argparse
import json
import time
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from videre import compat

compat.need_hf()

import builtin_eval as evaluation  # noqa: E402
import builtin_looks as looks  # noqa: E402
import builtin_model as layout  # noqa: E402
import builtin_motion as motion  # noqa: E402
import builtin_stories as stories  # noqa: E402
import builtin_tower as tower  # noqa: E402
import torch  # noqa: E402
from accelerate import PartialState  # noqa: E402
from accelerate.utils import gather_object  # noqa: E402
from builtin_corpus import corpus  # noqa: E402
from builtin_start import Start  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from torch import nn  # noqa: E402

from videre.data.world import HELD_OUT_SEED  # noqa: E402
from videre.data.world.scene import COLOURS, SHAPES, VERSION  # noqa: E402
from videre.models import builtin, mllm  # noqa: E402
from videre.train.fit import FitConfig, fit  # noqa: E402

SMOKE = {
    "tower": {"steps": 3, "frames": 8},
    "naming": {"steps": 3, "frames": 8},
    "follow": {"steps": 3, "clips": 2},
    "tiny": {"steps": 3, "clips": 2},
    "language": {"steps": 4, "clips": 2, "asks": 3},
    "finish": {"steps": 3, "clips": 2, "asks": 3},
    "sharpen": {"steps": 3, "clips": 2, "asks": 3},
    "frames": {"steps": 3, "films": 2, "asks": 3},
    "stories": {"steps": 3, "films": 2, "asks": 3, "start": {"batches": 6, "heads": "all"}},
    "answers": {"steps": 3, "films": 2, "asks": 3, "start": {"batches": 6, "heads": "speak"}},
    "both": {"steps": 3, "films": 2, "asks": 3},
}
STAGES = tuple(SMOKE)
MINUTES = "train_minutes", "cpu_minutes"
"""What each stage notes: minutes by the clock, and of processor time, since it was last begun or resumed."""


def main() -> None:
    """Runs the recipe named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/builtin"))
    parser.add_argument("--clips", type=int, default=300, help="held-out clips to measure on")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--smoke", action="store_true")
    told = parser.parse_args()
    torch.set_num_threads(told.threads)
    recipe = tomllib.loads(told.recipe.read_text("utf-8"))
    if told.smoke:
        recipe = {k: {**v, **SMOKE.get(k, {})} if isinstance(v, dict) else v for k, v in recipe.items()}
    train(recipe, told.out)
    if processes().is_main_process:
        report(told.out, clips=2 if told.smoke else told.clips, recipe=recipe)


def processes() -> PartialState:
    """The processes that train together, one of them unless `torchrun` began more."""
    return PartialState(cpu=not torch.cuda.is_available())


def train(recipe: dict[str, Any], out: Path) -> None:
    """Runs the stages that are not done yet and writes the checkpoint to `out/checkpoint`."""
    sizes, seed = layout.Layout(), recipe["seed"]
    words = layout.tokenizer(corpus(300), sizes)
    model = layout.model(words, sizes, seed)
    stage(out, "tower", tower.Tower(model), lambda m: run_tower(m, recipe, out), keep=model)
    ids = token_ids(words, [*COLOURS, *SHAPES])
    stage(out, "naming", tower.Naming(model, ids), lambda m: run_naming(m, recipe, out), keep=model)
    motion.write_places(model)
    motion.see_alike(model)
    model.model.vision_model.requires_grad_(False)  # frozen from here on, as is the connector
    model.model.connector.requires_grad_(False)
    learner = motion.Followed(model)
    for name in STAGES[2:7]:
        stage(out, name, learner, lambda m, name=name: run_lessons(m, words, recipe, out, name), keep=learner)
    guided = looks.Guided(learner)
    for name in STAGES[7:]:
        stage(out, name, guided, lambda m, name=name: run_stories(m, words, recipe, out, name), keep=guided)
    if processes().is_main_process:
        save(model, layout.processor(words, sizes), out / "checkpoint")


def token_ids(words: Any, names: Iterable[str]) -> list[int]:
    """The tokens of words of the world within a sentence, one each."""
    return [words.convert_tokens_to_ids(words.tokenize(f" {name}"))[0] for name in names]


def stage(out: Path, name: str, learner: nn.Module, run: Callable[[nn.Module], None], *, keep: nn.Module) -> None:
    """Trains the learner, which shares its weights with the model, or takes the model as the stage left it before."""
    done = out / f"{name}.safetensors"
    if done.is_file():
        keep.load_state_dict(load_file(done), strict=False)
        return
    clocks = time.perf_counter, time.process_time
    started = [clock() for clock in clocks]
    run(learner)
    spent = gather_object([[(clock() - start) / 60 for clock, start in zip(clocks, started, strict=True)]])
    if processes().is_main_process:
        minutes = max(wall for wall, _ in spent), sum(busy for _, busy in spent)
        (out / f"{name}.json").write_text(json.dumps(dict(zip(MINUTES, minutes, strict=True))) + "\n", "utf-8")
        # The output layer shares the words' embedding; a file holds each tensor once.
        save_file({k: v.contiguous() for k, v in keep.state_dict().items() if not k.endswith("lm_head.weight")}, done)
    processes().wait_for_everyone()


def run_tower(learner: nn.Module, recipe: dict[str, Any], out: Path) -> None:
    """Stage 1."""
    told = recipe["tower"]
    batches = tower.Scenes(**shared(told, "frames"))
    fit(learner, batches, tower.loss, config(recipe, "tower", out))
    if processes().is_main_process:
        print("tower", tower.accuracy(learner, 500 if told["steps"] > 100 else 50, 5_500_000), flush=True)


def run_naming(learner: nn.Module, recipe: dict[str, Any], out: Path) -> None:
    """Stage 2."""
    batches = tower.Scenes(**shared(recipe["naming"], "frames"), alone=0.0, seed=11_000_000)
    fit(learner, batches, tower.naming_loss, config(recipe, "naming", out))


def run_lessons(learner: nn.Module, words: Any, recipe: dict[str, Any], out: Path, name: str) -> None:
    """Stages 3 to 7."""
    lessons, loss = clips(words, recipe[name])
    fit_as(learner, "packed", lessons, loss, config(recipe, name, out))


def clips(words: Any, told: dict[str, Any]) -> tuple[motion.Lessons, Any]:
    """The lessons about clips that a table of the recipe describes, and their loss."""
    loss = motion.loss(told["readings"], told.get("last", 1.0))
    return motion.Lessons(words, **lesson_settings(told, "clips", without=("lr", "readings", "last"))), loss


def run_stories(learner: nn.Module, words: Any, recipe: dict[str, Any], out: Path, name: str) -> None:
    """Stages 8 to 11."""
    told, again = recipe[name], recipe[name]["rehearse"]
    like = recipe[again["like"]] | {"steps": told["steps"], "clips": again["clips"], "seed": again["seed"]}
    rehearsed, clips_loss = clips(words, like)
    settings = lesson_settings(told, "films", without=("lr", "guide", "read", "rehearse", "start"))
    if heads := told.get("start"):
        begun = stories.Lessons(words, **settings | {"steps": heads["batches"], "seed": told["seed"] - 1_000_000})
        ids = [token_ids(words, names) for names in (COLOURS, SHAPES)]
        start = Start(learner.model, [begun[i] for i in range(len(begun))], *ids)
        {"all": start.run, "speak": start.speak}[heads["heads"]]()
    lessons = stories.Turns(stories.Lessons(words, **settings), rehearsed, again["every"])
    fit_as(learner, "guided", lessons, looks.loss(told["guide"], told["read"], clips_loss), config(recipe, name, out))


def lesson_settings(told: dict[str, Any], size: str, *, without: tuple[str, ...]) -> dict[str, Any]:
    """What the lessons of a stage take from its table, each process its share of every batch."""
    kept = {key: value for key, value in told.items() if key not in without} | shared(told, size)
    kept = {key: tuple(value) if isinstance(value, list) else value for key, value in kept.items()}
    return kept | {"together": processes().num_processes}


def shared(told: dict[str, Any], size: str) -> dict[str, int]:
    """How many batches there are and how big one is, where each process takes its share of every step."""
    count = processes().num_processes
    if told[size] % count:
        raise SystemExit(f"{told[size]} {size} a step can't be shared by {count} processes: begin 1, 2 or 4 of them")
    return {"steps": told["steps"] * count, size: told[size] // count}


def fit_as(learner: nn.Module, attention: str, batches: Any, loss: Any, settings: FitConfig) -> None:
    """Fits with an attention that keeps to one number type, and puts the usual one back."""
    text = learner.model.model.text_model.config
    text._attn_implementation = attention
    fit(learner, batches, loss, settings)
    text._attn_implementation = "eager"


def config(recipe: dict[str, Any], name: str, out: Path) -> FitConfig:
    """How `fit` runs one stage."""
    told = recipe[name]
    return FitConfig(
        out=str(out / name),
        steps=told["steps"],
        lr=told["lr"],
        seed=recipe["seed"],
        bf16=True,
        save_steps=100,
        log_steps=max(1, min(25, told["steps"] // 2)),
        resume=True,
    )


def save(model: nn.Module, processor: Any, folder: Path) -> None:
    """The checkpoint, weights in bfloat16, and beside it what the world of these weights looks like."""
    model.to(torch.bfloat16).save_pretrained(folder)
    processor.save_pretrained(folder)
    world = {"world_version": VERSION, "colours": [list(c) for c in COLOURS.values()], "stage": [14, 59]}
    (folder / "world.json").write_text(json.dumps(world) + "\n", "utf-8")


def report(out: Path, *, clips: int, recipe: dict[str, Any]) -> None:
    """Measures the checkpoint and writes `builtin.md` and `builtin.json` into the folder."""
    checkpoint = mllm.load(str(out / "checkpoint"), device="cpu", dtype="float32", answer_tokens=32)
    model = builtin.Builtin(checkpoint, builtin.familiar())
    rows, seconds = evaluation.evaluate(model, clips)
    spent = [json.loads((out / f"{name}.json").read_text("utf-8")) for name in STAGES]
    weights = sum(p.numel() for p in model.network.parameters())
    told = {
        "name": "builtin",
        "parameters": weights,
        "held_out": {"first_seed": HELD_OUT_SEED, "clips": clips, "questions": sum(r.count for r in rows)},
        **{name: round(sum(stage[name] for stage in spent), 1) for name in MINUTES},
        "milliseconds_per_question": round(seconds * 1000, 1),
        "command": "torchrun --nproc-per-node 2 recipes/builtin.py recipes/builtin.toml",
        "recipe": recipe,
        "rows": [asdict(r) for r in rows],
    }
    (out / "builtin.json").write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    (out / "builtin.md").write_text(evaluation.page(told, rows), "utf-8")
    print(evaluation.table(rows))


if __name__ == "__main__":
    main()
