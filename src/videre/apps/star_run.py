"""What `videre star` does with a recipe: table, cycles or a baseline, export; all of it resumable."""

import json
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from videre.apps import naming
from videre.apps.star_recipe import Told
from videre.data import label_sets
from videre.data.conversations import llava
from videre.data.videos import resolve
from videre.errors import ConfigError, DataError, VidereError
from videre.jobs import Local, Outcome, Threads, replace_file
from videre.methods.video_star import asking, cycle, export, generate, prompts, published, templates, training
from videre.methods.video_star.label import PROFILES, Row
from videre.methods.video_star.store import Kept, load_kept, load_rows, save_rows
from videre.methods.video_star.table import build
from videre.methods.video_star.verify import Verifier
from videre.models import builtin, mllm
from videre.models.weights import find, fingerprint
from videre.types import JSON, Answerer
from videre.video.open import open_video

Tell = Callable[[str], None]


def run(told: Told, folder: Path, *, tell: Tell = lambda text: None) -> dict[str, Any]:
    """Makes the table, runs the arm, exports; gives what a person reads.

    Raises:
        VidereError: of the model, the data or the recipe; a stage that was interrupted keeps its exit code.
    """
    rows = table(told, folder)
    tell(f"{len(rows)} rows in {folder / 'table.jsonl'}")
    try:
        cycles = _arm(told, rows, folder, tell)
    except cycle.Interrupted as stopped:
        raise VidereError(str(stopped), code="interrupted", exit_code=stopped.outcome.exit_code or 1) from stopped
    result = {"rows": len(rows), "cycles": [_cycle(c) for c in cycles], "model": cycles[-1].model}
    if told.export:
        result["export"] = exported(told, folder, cycles[-1].number)
    replace_file(folder / "result.json", json.dumps(result, indent=2))
    return result


def planned(told: Told, folder: Path) -> dict[str, Any]:
    """The table alone, and what a run would ask at most."""
    rows = table(told, folder)
    kinds = sorted({label.kind for row in rows for label in row.labels})
    lost = [row.id for row in rows if not _is_there(told, row)]
    most = len(rows) * (2 * told.cycles.cycles - 1 if told.cycles.rationalize else told.cycles.cycles)
    return {"rows": len(rows), "kinds": kinds, "videos_missing": len(lost), "questions_at_most": most}


def questions(told: Told, folder: Path) -> dict[str, Any]:
    """The table as rows for `videre eval rows`, whose answers a judge compares with the labels in words."""
    rows = table(told, folder)
    path = folder / "questions.jsonl"
    replace_file(path, "".join(json.dumps(row) + "\n" for row in export.eval_rows(rows)))
    return {"rows": len(rows), "questions": str(path)}


def refiltered(told: Told, folder: Path) -> dict[str, Any]:
    """The counts of the stored cycles under the recipe's verifier."""
    counts = cycle.refilter(load_rows(folder / "table.jsonl"), verifier=verifier(told), folder=folder)
    return {"cycles": [{"cycle": n, "counts": c} for n, c in enumerate(counts, start=1)]}


def text(result: dict[str, Any]) -> str:
    """The result for a person."""
    lines = [f"cycle {c['cycle']}: {cycle.line(c['counts']['all'])}" for c in result.get("cycles", [])]
    rest = {key: value for key, value in result.items() if key != "cycles"}
    return "\n".join([*lines, *(f"{key}: {value}" for key, value in rest.items())])


def table(told: Told, folder: Path) -> list[Row]:
    """The question table of a run: made once, then read.

    Raises:
        DataError: a label file does not hold, or no row comes of it.
    """
    path = folder / "table.jsonl"
    if not path.is_file():
        rows = _rows(told)[: told.labels.limit or None]
        if not rows:
            raise DataError(f"{told.labels.file}: no label makes a row; docs/video_star.md says what each needs")
        folder.mkdir(parents=True, exist_ok=True)
        save_rows(path, rows)
    return load_rows(path)


def verifier(told: Told) -> Verifier:
    """The verifier that the recipe names."""
    profile = PROFILES[told.cycles.profile]
    if told.cycles.embedder == "letters":
        return Verifier(profile)
    from videre.methods.video_star.sentences import sentence_transformer

    return Verifier(profile, sentence_transformer(told.cycles.embedder))


def exported(told: Told, folder: Path, number: int) -> list[str]:
    """The files of the last cycle's kept answers, in each form that the recipe names."""
    kept = load_kept(folder / f"cycle-{number}" / "kept.jsonl")
    unknown = set(told.export) - {"forms", "variants"}
    if unknown:
        raise ConfigError(f"[export] has forms and variants, got {', '.join(sorted(unknown))}")
    made = export.examples(kept, variants=told.export.get("variants", ["direct", "chain", "choice"]))
    paths = []
    for form in told.export.get("forms", ["messages"]):
        paths.append(folder / f"export-{form}.jsonl")
        replace_file(paths[-1], "".join(json.dumps(row) + "\n" for row in export.rows(made, form)))
    return [str(path) for path in paths]


def _arm(told: Told, rows: Sequence[Row], folder: Path, tell: Tell) -> list[cycle.Cycle]:
    plan, asked = told.cycles, rows
    if plan.arm == "templates":
        return [_templates(told, rows, folder)]
    if plan.arm == "unverified":
        plan = replace(plan, verify=False, rationalize=False)
    if plan.arm == "annotator":
        plan, asked = replace(plan, cycles=1, rationalize=False), _annotated(rows, plan.annotated)
    return cycle.run(
        asked, plan, start=told.model.start, first=told.model.first, ask=_asker(told), train=_trainer(told, rows),
        verifier=verifier(told), folder=folder, tell=tell,
    )  # fmt: skip


def _annotated(rows: Sequence[Row], count: int) -> list[Row]:
    """So many of the rows, drawn by their ids, in order; all of them for 0."""
    ordered = sorted((row.id for row in rows), key=lambda id: templates.drawn(f"annotate/{id}", 2**62))
    chosen = set(ordered[: count or None])
    return [row for row in rows if row.id in chosen]


def _templates(told: Told, rows: Sequence[Row], folder: Path) -> cycle.Cycle:
    """The baseline of labels in words: every row is its own answer, and no model is asked."""
    kept = [Kept(row, _said(told, row), True, 1) for row in rows]
    judged = [cycle.Judged(one.row, "direct", one) for one in kept]
    counts = cycle.save(judged, folder / "cycle-1")
    model = _train(told, export.rationales(kept), told.model.start, folder / "cycle-1" / "training")
    return cycle.Cycle(1, counts, True, model)


def _said(told: Told, row: Row) -> str:
    """The labels of a row as the template baselines tell them."""
    template = told.cycles.template
    return template.replace("{value}", prompts.value_text(row.values)) if template else export.said(row.labels)


def _trainer(told: Told, rows: Sequence[Row]) -> cycle.Train:
    def train(kept: Sequence[Kept], start: str, out: Path) -> str:
        examples = export.rationales(kept)
        if told.cycles.arm == "annotator":
            own = {one.row.id for one in kept}
            rest = [Kept(row, _said(told, row), True, 1) for row in rows if row.id not in own]
            share = told.cycles.template_share
            drawn = [one for one in rest if templates.drawn(one.row.id, 10_000) < 10_000 * share]
            examples = [*examples, *export.rationales(drawn)]
        return _train(told, examples, start, out)

    return train


def _train(told: Told, examples: Sequence[export.Example], start: str, out: Path) -> str:
    try:
        given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in told.fit.items()}
        recipe = training.Recipe(**given)
    except (TypeError, ValueError) as error:
        names = ", ".join(f.name for f in fields(training.Recipe))
        raise ConfigError(f"[fit]: {error}; it takes {names}") from error
    mixed = [*examples, *_mixed(told)]
    return training.train(lambda: _load(told, start), mixed, recipe, show=_show(told), out=out)


def _mixed(told: Told) -> list[export.Example]:
    samples = [s for file in told.mix.files for c in llava(file) for s in c.samples()]
    some = samples[: told.mix.limit or None]
    root = told.mix.videos or told.labels.videos
    return [
        export.Example(f"mix/{s.id}", s.video, s.question.text, s.answer or "", "direct", True, root=root) for s in some
    ]


def _asker(told: Told) -> cycle.Ask:
    loaded = cache(lambda name: _load(told, name))

    def ask(rows: Sequence[Row], stage: generate.Stage, model: str, folder: Path) -> Outcome:
        engine = Threads(told.model.at_once) if told.model.at_once > 1 else Local()
        return generate.generate(
            rows, lambda: loaded(model), stage, show=_show(told), folder=folder, model=_identity(model), engine=engine
        )

    return ask


def _load(told: Told, name: str) -> Answerer:
    if Path(name).is_dir():
        return mllm.load(name, device=told.model.device, answer_tokens=told.model.answer_tokens)
    return naming.model(name, at_once=told.model.at_once)


def _identity(name: str) -> JSON:
    """What answers depend on: the weights of a folder wherever it lies, else the name without a server's login."""
    name = str(builtin.FOLDER) if name == "builtin" else name
    if not Path(name).is_dir():
        return {"name": naming.told(name)}
    return {"weights": fingerprint(find(name, revision=None, trust_remote_code=False))}


def _show(told: Told) -> generate.Show:
    select = naming.selector(told.model.select, k=told.model.frames)
    given = {name: text for name in ("direct", "hinted") if (text := getattr(told.model, name))}
    try:
        wording = prompts.Wording(**given)
    except ValueError as error:
        raise ConfigError(f"[model]: {error}") from error
    return generate.Show(Path(told.labels.videos), select, told.model.size_px, told.model.isolate, wording)


def _rows(told: Told) -> list[Row]:
    labels = told.labels
    if labels.format == "table":
        return load_rows(labels.file)
    if labels.format == "vstar":
        return [one.row for one in published.read(labels.file, rejected=True).kept]
    items = [_timed(item, told) for item in getattr(label_sets, labels.format)(labels.file)]
    pools = dict(templates.POOLS)
    if labels.questions:
        model: Any = naming.model(labels.questions)
        names = sorted({item.action for item in items if item.action})
        if not names:
            raise ConfigError("labels.questions writes questions for action classes, and this set has none")
        pools["action"] = asking.pool(lambda prompt: model.generate(prompt, max_tokens=512), names, labels.task)
    return build(items, labels.task, pools=pools, seed=labels.seed)


def _timed(item: label_sets.Labelled, told: Told) -> label_sets.Labelled:
    """The item with the length of its video, where times are labels and the set does not tell it."""
    if item.duration_seconds or not (item.spans or item.boxes):
        return item
    with open_video(resolve(told.labels.videos, item.video)) as video:
        return replace(item, duration_seconds=video.duration_seconds)


def _is_there(told: Told, row: Row) -> bool:
    try:
        return resolve(told.labels.videos, row.video).is_file()
    except DataError:
        return False


def _cycle(one: cycle.Cycle) -> dict[str, Any]:
    return {"cycle": one.number, "counts": one.counts, "is_last": one.is_last, "model": one.model}
