"""Names of classes: what zero-shot recognition compares a video with.

Files: mmaction2's `label_map*.txt` (a name a line; AVA's with "id: name"), STAR's `*_classes.txt` ("a000 hold some
clothes") and `action_mapping.txt`, `qa_ans2label.json` of MA-LMM ({answer: index}), and MIL-NCE's `hmdb51.csv`.

Verified.
"""

import re
from dataclasses import dataclass

from videre.data.annotations import Source, at_line, collect, read_text, table
from videre.data.fields import Row
from videre.data.json_rows import members
from videre.errors import DataError


@dataclass(frozen=True)
class Clip:
    """A short video with its class and the part it plays in each of three splits: "train", "test" or "unused"."""

    id: str
    video: str
    label: str
    splits: tuple[str, ...]


def read_names(path: Source) -> tuple[str, ...]:
    """A class name a line; the line's number from 0 is the class."""
    names = tuple(line.strip() for line in read_text(path).splitlines())
    for number, name in enumerate(names, start=1):
        if not name:
            raise at_line(path, number, "an empty class name", fix="fetch the label map again")
    return names


def read_coded(path: Source) -> dict[str, str]:
    """Names by their code: `a000 hold some clothes` of STAR, `1: bend/bow` of AVA."""
    coded: dict[str, str] = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        match = re.fullmatch(r"(\w+):? (.+)", line.strip())
        if not match:
            raise at_line(path, number, f"{line!r} is no code and name", fix="fetch the label map again")
        if match.group(1) in coded:
            raise at_line(path, number, f"the code {match.group(1)} comes twice", fix="fetch the label map again")
        coded[match.group(1)] = match.group(2).strip()
    return coded


def read_answers(path: Source) -> dict[str, int]:
    """`qa_ans2label.json`: the answers that classifiers choose from, with their class."""
    return {row.name: row.whole("value") for row in members(path)}


def read_hmdb51(path: Source) -> list[Clip]:
    """`hmdb51.csv`: the clips, their class without its ending `_test`, and their part in the three splits."""
    columns = ("video_id", "label", "split1", "split2", "split3")
    return collect(table(path, columns), _clip, path=path)


def _clip(row: Row) -> Clip:
    parts = ("unused", "train", "test")
    numbers = [row.whole(f"split{number}") for number in (1, 2, 3)]
    if not set(numbers) <= {0, 1, 2}:
        raise _bad_split(row, numbers)
    video, label = row.video("video_id"), row.text("label").removesuffix("_test")
    return Clip(f"{label}/{video}", f"{label}/{video}", label, tuple(parts[number] for number in numbers))


def _bad_split(row: Row, numbers: list[int]) -> DataError:
    return row.wrong(f"the splits are {numbers}, each 0 (unused), 1 (train) or 2 (test)")
