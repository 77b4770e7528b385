"""Road 3: a system over samples; every sample is in every number, and a failure counts as wrong.

A run is a folder of `jobs`: its rows are evidence records, so that a finished run can be scored, shown and compared
again without a model.
"""

from videre.evaluate.difference import Difference, Fact, difference
from videre.evaluate.judging import Judging, ask_judge, aspect_prompts, option_prompts, qa_prompts
from videre.evaluate.retrieval import retrieval
from videre.evaluate.runs import Run, Work, records, run
from videre.evaluate.scores import accuracy, anticipated, captioned, grounded, matched, moments, saliency
from videre.evaluate.work import Answering, unseen

__all__ = [
    "Answering",
    "Difference",
    "Fact",
    "Judging",
    "Run",
    "Work",
    "accuracy",
    "anticipated",
    "ask_judge",
    "aspect_prompts",
    "captioned",
    "difference",
    "grounded",
    "matched",
    "moments",
    "option_prompts",
    "qa_prompts",
    "records",
    "retrieval",
    "run",
    "saliency",
    "unseen",
]
