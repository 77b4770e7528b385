"""Open questions with an answer of a word or two: MSVD-QA, MSRVTT-QA and ActivityNet-QA.

Files: `qa_{train,val,test}.json` of boheumd/MA-LMM, {question_id: {question, answer, answer_type, video}}; the
originals of MSVD-QA and MSRVTT-QA, lists of {id, video_id, question, answer}; and of ActivityNet-QA
(MILVLG/activitynet-qa) `{train,val,test}_q.json`, lists of {video_name, question, question_id}, with `*_a.json`, lists
of {answer, type, question_id}.

Source: Xu et al., ACM MM 2017; Yu et al., AAAI 2019. MA-LMM's files and ActivityNet-QA's are verified; the original
lists of MSVD-QA and MSRVTT-QA are unverified.
"""

from collections.abc import Mapping

from videre.data.annotations import Source, collect
from videre.data.fields import Row
from videre.data.json_rows import members
from videre.types import Question, Sample

ACTIVITYNET_KINDS = ("motion", "spatial", "temporal", "yes_no", "color", "object", "location", "number", "other")
"""ActivityNet-QA's types 0 to 8."""


def msvd(path: Source) -> list[Sample]:
    """MSVD-QA, `kind` the question word ("what", "who", ...). Original rows name videos `vid1` and so on."""
    return collect(members(path), lambda row: _sample(row, prefix="vid"), path=path)


def msrvtt(path: Source) -> list[Sample]:
    """MSRVTT-QA, `kind` the question word; videos are named `video6513`."""
    return collect(members(path), lambda row: _sample(row, prefix="video"), path=path)


def activitynet(path: Source, answers: Source | None = None) -> list[Sample]:
    """ActivityNet-QA, `kind` the type in words.

    Args:
        path: `test_q.json`, or MA-LMM's `qa_test.json`, which holds the answers.
        answers: `test_a.json`; None leaves the answers of `test_q.json` out.
    """
    known = {} if answers is None else {row.text("question_id"): row for row in members(answers)}
    return collect(members(path), lambda row: _activitynet(row, known, joined=answers is not None), path=path)


def _sample(row: Row, *, prefix: str) -> Sample:
    original = "video_id" in row.fields
    question = row.text("question")
    return Sample(
        id=row.label("id" if original else "question_id"),
        video=f"{prefix}{row.whole('video_id')}" if original else row.video("video"),
        question=Question(question),
        answer=row.label("answer"),
        kind=question.split()[0].lower() if original else row.label("answer_type"),
    )


def _activitynet(row: Row, known: Mapping[str, Row], *, joined: bool) -> Sample:
    name = row.text("question_id")
    if joined and name not in known:
        raise row.wrong(f"no answer for {name}", fix="use the *_a.json of the same split")
    said = known.get(name, row)
    return Sample(
        id=name,
        video=row.video("video_name" if "video_name" in row.fields else "video"),
        question=Question(row.text("question")),
        answer=said.label("answer") if "answer" in said.fields else None,
        kind=_kind(said),
    )


def _kind(row: Row) -> str:
    name = next((name for name in ("type", "answer_type") if name in row.fields), None)
    if name is None:
        return ""
    number = row.whole(name)
    if not 0 <= number < len(ACTIVITYNET_KINDS):
        raise row.wrong(f'"{name}" is {number}, 0 to 8 was expected')
    return ACTIVITYNET_KINDS[number]
