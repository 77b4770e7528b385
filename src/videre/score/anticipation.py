"""Anticipated actions of others: EPIC-KITCHENS-100 by verb, noun and action, over all, unseen kitchens and the tail."""

from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from videre.data import annotations as files
from videre.errors import DataError
from videre.metrics import anticipation
from videre.score.files import FORM, Report, Row, keyed, notes_of, percents, read_ids, table, unknown

KINDS = ("verb", "noun", "action")
K = 5

Classes = Collection[Hashable] | None


@dataclass(frozen=True)
class Group:
    """A set that is scored apart: the items that count, and for each kind the classes that are averaged."""

    items: Sequence[str]
    classes: Mapping[str, Classes]


def score_anticipation(
    predictions: Path,
    annotations: Path,
    *,
    unseen: Path | None = None,
    tail_verbs: Path | None = None,
    tail_nouns: Path | None = None,
) -> Report:
    """Class-mean top-5 recall, the challenge's number, and top-5 accuracy, in percent, of verb, noun and action.

    Args:
        predictions: the challenge's file, `{"results": {NARRATION_ID: {"verb": {"0": score, ...}, "noun": ...,
            "action": {"0,1": score, ...}}}}`.
        annotations: `EPIC_100_validation.csv`.
        unseen: the participants whose kitchens training has not seen, one a line
            (`EPIC_100_unseen_participant_ids_validation.csv`): their items are scored apart.
        tail_verbs: `EPIC_100_tail_verbs.csv`: recall over rare classes alone; an action is rare where verb or noun is.
        tail_nouns: `EPIC_100_tail_nouns.csv`, given together with `tail_verbs`.

    Source: EPIC-KITCHENS-100, action anticipation challenge (Damen et al., IJCV 2022, section 4.3).
    """
    rows = {row.text("narration_id"): row for row in table(annotations, ("narration_id", "participant_id"))}
    labels = {kind: {name: _label(row, kind) for name, row in rows.items()} for kind in KINDS}
    said = _results(predictions)
    n_unknown = unknown(said, rows, path=predictions, known_from=annotations)
    groups = {"overall": Group(list(rows), dict.fromkeys(KINDS))}
    if unseen is not None:
        groups["unseen"] = Group(_of_participants(rows, unseen), dict.fromkeys(KINDS))
    if tail_verbs is not None and tail_nouns is not None:
        groups["tail"] = Group(list(rows), _tail(labels, tail_verbs, tail_nouns))
    guesses = {kind: {name: _guesses(row, kind) for name, row in said.items()} for kind in KINDS}
    report: Report = {"benchmark": "anticipation", "scores": {}, "intervals": {}, "baselines": {}}
    for name, group in groups.items():
        _add(report, name, group, labels, guesses)
    counts = {"n_items": len(rows), "n_missing": len(rows.keys() - said.keys()), "n_unknown": n_unknown}
    absent = [kind for kind in KINDS if not any(guesses[kind].values())]
    notes = [f"no prediction has any {kind}: its numbers are 0" for kind in absent]
    return report | {"counts": counts, "notes": notes_of(counts) + notes}


def _add(
    report: Report,
    name: str,
    group: Group,
    labels: Mapping[str, Mapping[str, Hashable]],
    guesses: Mapping[str, Mapping[str, list]],
) -> None:
    """Adds the numbers of a group to the report, beside those of the five most common classes of all items."""
    scores, bounds, usual = {}, {}, {}
    for kind in KINDS:
        true = [labels[kind][item] for item in group.items]
        said = [guesses[kind].get(item, []) for item in group.items]
        found = anticipation.top_k(said, true, k=K, classes=group.classes[kind])
        common = [label for label, _ in Counter(labels[kind].values()).most_common(K)]
        blind = anticipation.top_k([common] * len(true), true, k=K, classes=group.classes[kind])
        scores[f"{kind} recall@5"], usual[f"{kind} recall@5"] = found.class_recall * 100, blind.class_recall * 100
        bounds[f"{kind} recall@5"] = percents(found.class_recall_interval)
        if name != "tail":  # accuracy is over items, and rare classes are a set of classes
            scores[f"{kind} top-5"], usual[f"{kind} top-5"] = found.accuracy.percent, blind.accuracy.percent
            bounds[f"{kind} top-5"] = percents(found.accuracy.interval)
    report["scores"][name], report["intervals"][name] = scores, bounds
    report["baselines"].setdefault("most common five", {})[name] = usual


def _results(path: Path) -> dict[str, Row]:
    found = keyed(path).get("results")
    if found is None:
        raise files.at_line(path, 1, 'no field "results"', fix=FORM)
    return {name: found.inner(name) for name in found.fields}


def _guesses(row: Row, kind: str) -> list[Hashable]:
    """The five classes with the highest scores, the best first."""
    if not row.has(kind):
        return []
    scores = row.inner(kind)
    ranked = sorted(scores.fields, key=lambda name: -scores.number(name))[:K]
    return [_class(scores, name, kind) for name in ranked]


def _class(row: Row, name: str, kind: str) -> Hashable:
    """7 of the key "7", (3, 7) of an action's "3,7"."""
    numbers = name.replace("(", "").replace(")", "").split(",")
    if len(numbers) != (2 if kind == "action" else 1) or not all(n.strip().isdigit() for n in numbers):
        raise row.wrong(f'"{kind}" has the key {name!r}, {"VERB,NOUN" if kind == "action" else "a class"} was expected')
    return tuple(map(int, numbers)) if kind == "action" else int(name)


def _label(row: Row, kind: str) -> Hashable:
    if kind == "action":
        return row.whole("verb_class"), row.whole("noun_class")
    return row.whole(f"{kind}_class")


def _of_participants(rows: Mapping[str, Row], path: Path) -> list[str]:
    wanted = set(read_ids(path))
    items = [name for name, row in rows.items() if row.text("participant_id") in wanted]
    if not items:
        raise DataError(f"{path}: none of its participants has an item; one id a line was expected, such as P01")
    return items


def _tail(labels: Mapping[str, Mapping[str, Hashable]], verbs: Path, nouns: Path) -> dict[str, Classes]:
    rare = {kind: {int(n) for n in read_ids(path) if n.isdigit()} for kind, path in (("verb", verbs), ("noun", nouns))}
    for kind, path in (("verb", verbs), ("noun", nouns)):
        if not rare[kind] & set(labels[kind].values()):
            raise DataError(f"{path}: none of its {kind} classes has an item; one number a line was expected")
    pairs = zip(labels["action"].values(), labels["verb"].values(), labels["noun"].values(), strict=True)
    actions = {action for action, verb, noun in pairs if verb in rare["verb"] or noun in rare["noun"]}
    return {**rare, "action": actions}
