"""The paper's layout on NeedleFrames once more, with more to learn from: three fresh seeds of its arm.

    python results/selector_query.py --smoke     (a minute: the machinery, no claim)
    python results/selector_query.py             (three seeds, about 14 CPU minutes)

The first settings (1500 steps of 64 questions, in `results/selector.py`) fell short; they stay on the page. What
differs stands in `Shared`: frames of this layout see no question, so that many questions about a film read its frames
once, and a step of 60 costs a quarter of what one of 64 did; there are six times as many; and new weights are drawn
as wide as the width of 64 asks for. It still starts from nothing but the vision tower. Settings, claims and
thresholds were written before the run; the same command goes on where it stopped. The second answerer is the
network that `results/selector.py` trained (`--network`; trained there if it is not).
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import needle_selectors as selectors
import numpy as np
import selector as study
import torch
from checkout import commit
from needle_selectors import Course, Labelled, World
from selector import Clock, Size

from videre.methods.frame_selector.model import FrameSelector
from videre.methods.frame_selector.stages import loss
from videre.train.fit import FitConfig, fit

HERE = Path(__file__).parent
FIRST_SEED = 931_000
ARM = "query, more to learn from"
USED = ("results/selector*.py", "results/needle_*.py", *study.USED[1:])


@dataclass(frozen=True)
class Shared(Course):
    """A course whose questions share the frames of their film.

    Attributes:
        batch: films a step.
        films: labelled ones.
        questions: about each of them.
        spread: standard deviation of new weights.
        norm: of words and query at the start; places have 4.
        seen: how many times the projector's last weights are enlarged.
    """

    batch: int = 5
    films: int = 2400
    questions: int = 12
    spread: float = 0.125
    norm: float = 3.0
    seen: float = 2.0


COURSE = Shared("query", 9000)
FULL = Size(query=COURSE)
SMOKE = replace(study.SMOKE, query=Shared("query", 6, films=40))


@dataclass(frozen=True, eq=False)
class Together:
    """Numbered batches of films with all of their questions, each film once an epoch."""

    rows: Labelled
    count: int
    batch: int
    seed: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, place: int) -> dict[str, torch.Tensor]:
        if not 0 <= place < self.count:
            raise IndexError(place)
        films = len(self.rows.patches)
        chosen = selectors.lot(films, place, batch=self.batch, seed=self.seed)
        words, targets = (
            rows.unflatten(0, (films, -1))[chosen] for rows in (self.rows.words, self.rows.targets["both"])
        )
        lengths = torch.full(words.shape[:2], words.shape[2])
        return {
            "patches": self.rows.patches[chosen].float(),
            "input_ids": words,
            "lengths": lengths,
            "targets": targets,
        }


def untrained(models: World, course: Shared, seed: int) -> FrameSelector:
    """The selector as it begins, words, query and what is seen at the scale of places."""
    model = selectors.untrained("query", models.eyes.tower, seed, spread=course.spread)
    with torch.no_grad():
        words = model.llm.get_input_embeddings().weight
        words.mul_(course.norm / words.norm(dim=1, keepdim=True))
        model.query.mul_(course.norm / model.query.norm())
        model.projector[2].weight.mul_(course.seen)
    return model


def trained(models: World, rows: Labelled, course: Shared, seed: int, out: Path) -> FrameSelector:
    """The selector, all of it but the vision tower trained on the scores alone."""
    model = untrained(models, course, seed)
    lots = Together(rows, course.steps, course.batch, seed)
    config = FitConfig(str(out), course.steps, lr=course.lr, seed=seed, log_steps=100, save_steps=1000, resume=True)
    return fit(model, lots, loss, config).eval()


def part(seed: int, size: Size, folder: Path, clock: Clock, answerer: Callable[[], Any]) -> dict[str, list[float]]:
    """Arms of one seed: whether each held-out question is answered right."""
    course, out = size.query, folder / str(seed)
    assert isinstance(course, Shared)
    out.mkdir(parents=True, exist_ok=True)
    path = out / "found.json"
    if path.is_file():
        return json.loads(path.read_text("utf-8"))
    models = study.world(seed, size, out, clock)
    model = clock.kept(
        out / "query.safetensors",
        lambda: untrained(models, course, 0),
        lambda: trained(
            models, selectors.labelled(models, seed, course.films, course.questions), course, seed + 3, out / "query"
        ),
    )
    told = study.measured(models, answerer(), {ARM: model}, seed + 6, size)
    path.write_text(json.dumps(told), "utf-8")
    return told


def run(size: Size, first: int, folder: Path, network: Path, count: int = 1) -> dict[str, Any]:
    """So many seeds. The network's minutes are those of the first study and are not told again."""
    begun(size, folder)
    seeds, clock = [first + 10 * i for i in range(count)], Clock(1e9)
    parts = [part(seed, size, folder, clock, lambda: study.second(size, network, Clock(1e9))) for seed in seeds]
    arms = {arm: [right for one in parts for right in one[arm]] for arm in parts[0]}
    costs = [path for seed in seeds for path in (folder / str(seed)).glob("*.json") if path.name != "found.json"]
    spent = [json.loads(path.read_text("utf-8"))["cpu_seconds"] for path in costs]
    return {
        "name": "selector_query", "claims": study.judged(arms, study.claims_of(ARM)), "seeds": seeds,
        "size": asdict(size), "questions": len(arms["uniform 4"]), "cpu_seconds": round(sum(spent)),
        "commit": commit(*USED), "arms": {arm: float(np.mean(right)) for arm, right in arms.items()},
    }  # fmt: skip


def begun(size: Size, folder: Path) -> None:
    """Returns where the folder is new or holds parts of these settings.

    Raises:
        SystemExit: it holds parts of other settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, now = folder / "size.json", json.dumps(asdict(size))
    if path.is_file() and path.read_text("utf-8") != now:
        raise SystemExit(f"{folder} was begun with other settings: take another --keep")
    path.write_text(now, "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--seed", type=int, default=FIRST_SEED)
    parser.add_argument("--seeds", type=int, help="How many, in place of three; the page says which were run.")
    parser.add_argument("--keep", type=Path, help="Folder of what is trained; default: one under runs/.")
    parser.add_argument("--network", type=Path, help="Folder of the second answerer; default: runs/selector-full.")
    given = parser.parse_args()
    torch.set_num_threads(1)
    runs = HERE.parent / "runs"
    name, size = ("smoke", SMOKE) if given.smoke else ("full", FULL)
    folder = given.keep or runs / f"selector-query-{name}"
    network = given.network or (folder if given.smoke else runs / "selector-full")
    told = run(size, given.seed, folder, network, given.seeds or size.seeds)
    if not given.smoke:
        (HERE / "selector_query.json").write_text(json.dumps(told, indent=1) + "\n", "utf-8")
        first = json.loads((HERE / "selector.json").read_text("utf-8"))
        (HERE / "selector.md").write_text(study.page(first, first["command"]), "utf-8")
    print("\n".join(study.again(told)))


if __name__ == "__main__":
    main()
