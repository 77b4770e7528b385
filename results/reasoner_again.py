"""The overview's two claims on films of their own, written after the first films, whose intervals just held nothing.

    python results/reasoner_again.py       (four minutes, after `reasoner.py`, whose folder has the models)

Nothing is trained and nothing was changed: the taught model, its layout, the finders and the claims are those of the
first films. The first result stays the result; this tells what more films say.
"""

import json
from pathlib import Path

import reasoner_films as films
import reasoner_taught as taught
import torch
from checkout import commit
from reasoner_page import page
from reasoner_parts import Size, Study, by_kind, gains

HERE = Path(__file__).parent
SEED, FILMS = 48_000_000, 36
ARMS = ("whole layout", "without overview")
GAIN = {"second films: above without overview, answers": (*ARMS, "right", 0.0)}
NEEDED = {"second films: above without overview, answers about the whole film": (ARMS[1], taught.WHOLE_FILM)}


def main() -> int:
    torch.set_num_threads(1)
    study = Study(Size(), Path("runs") / "reasoner", 1e9)
    samples = films.written(range(SEED, SEED + FILMS), study.out / "v", films.mixed, radius=films.SMALL)
    folder = study.out / "school" / "model"
    rows = study.answered("again", samples, lambda: taught.systems(study, folder, ARMS))
    told = json.loads((HERE / "reasoner.json").read_text("utf-8"))
    claims = gains(rows, GAIN) | {name: taught.needed(rows, *part) for name, part in NEEDED.items()}
    arms = {arm: by_kind(some) for arm, some in rows.items()}
    told["again"] = {"claims": claims, "arms": arms, "questions": len(samples), "commit": commit()}
    (HERE / "reasoner.json").write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    (HERE / "reasoner.md").write_text(page(told), "utf-8")
    print(json.dumps(told["again"], indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
