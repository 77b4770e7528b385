"""EgoSchema: five long options over three minutes of a day, filmed from the head.

Files of egoschema/EgoSchema: `questions.json` (q_uid, question, "option 0" to "option 4"), `subset_answers.json`
({q_uid: 0-4} for 500 questions; a server keeps the others), `uid_to_ego4d.json` (where each clip lies in Ego4D).

Source: Mangalam et al., NeurIPS 2023. Verified on the early `questions.json` with 20 rows and on the other two files.
"""

from collections.abc import Mapping

from videre.data import choices, spans
from videre.data.annotations import Source, collect
from videre.data.fields import Row
from videre.data.json_rows import keyed, members, rows
from videre.types import Sample, Span

OPTIONS = tuple(f"option {number}" for number in range(5))


def read(path: Source, answers: Source | None = None, *, clips: Source | None = None) -> list[Sample]:
    """The questions; a video is the clip of three minutes, named by `q_uid`.

    Args:
        path: `questions.json`.
        answers: `subset_answers.json`; a question that is not in it has no answer.
        clips: `uid_to_ego4d.json`: the videos are then Ego4D's own, with `clip` the part that is asked about.
    """
    known = {} if answers is None else keyed(answers)
    parts = {} if clips is None else read_clips(clips)
    return collect(rows(path), lambda row: _sample(row, known, parts=parts), path=path)


def read_clips(path: Source) -> dict[str, tuple[str, Span]]:
    """`uid_to_ego4d.json`: the Ego4D video of a question and the part of it, by `q_uid`."""
    return {
        row.name: (row.video("video_uid"), spans.published(row, [row.number("starting_sec"), row.number("ending_sec")]))
        for row in members(path)
    }


def _sample(row: Row, known: Mapping[str, Row], *, parts: Mapping[str, tuple[str, Span]]) -> Sample:
    name = row.text("q_uid")
    options = tuple(row.label(option) for option in OPTIONS)
    if parts and name not in parts:
        raise row.wrong(f"no Ego4D clip for {name}", fix="use uid_to_ego4d.json of the same release")
    video, clip = parts.get(name, (row.video("q_uid"), None))
    return Sample(
        id=name,
        video=video,
        question=choices.asked(row.text("question"), options),
        answer=choices.by_index(known[name], "value", options=options) if name in known else None,
        clip=clip,
    )
