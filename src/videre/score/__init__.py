"""Scores of what others predicted: files in the formats that peers publish, read and scored without a model.

Each function reads files and returns one JSON object: `benchmark`, `scores` under the official keys, `counts`,
`intervals`, and `baselines` where blind ones are known. Nothing is dropped: what is missing counts as wrong, and is
counted; where the official rule differs, both are given.
"""

from videre.score.anticipation import score_anticipation
from videre.score.detection import score_activitynet_localisation, score_ava_detection
from videre.score.grounded import score_nextgqa
from videre.score.moments import score_charades_sta, score_qvhighlights
from videre.score.questions import score_activitynet_qa, score_scalegrid, score_video_mme
from videre.score.retrieval import score_retrieval
from videre.score.tempcompass import score_tempcompass

__all__ = [
    "score_activitynet_localisation",
    "score_activitynet_qa",
    "score_anticipation",
    "score_ava_detection",
    "score_charades_sta",
    "score_nextgqa",
    "score_qvhighlights",
    "score_retrieval",
    "score_scalegrid",
    "score_tempcompass",
    "score_video_mme",
]
