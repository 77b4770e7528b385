"""What the parser is asked: the operators, the rules, examples, a perspective; in our language and in the paper's.

Source: MSR-ViR section 3.2, Figures 2 and 3 (parts of the prompt and their order); the wording is our own.
"""

from typing import Literal

PERSPECTIVES = (
    "none",
    "name the anchor event as plainly as possible",
    "look for the moment the asked action itself happens",
    "prefer a wide window and the object asked about",
)

OURS = """You plan how to find the evidence for a question about a video. You do not see it and do not answer.
Write one JSON object: {"version": "msrvir.policy/1", "temporal": T, "spatial": [S, ...]}.
Temporal operators: whole | detect(query) | position(where, fraction) | relate(relation, of, window)
| between(a, b, mode) | within(outer, inner) | pad(of, before, after)
Spatial operators: locate(query) | relate_box(relation, of) | region(side, of)
A query is a short visible action or object, never an intention, a cause or an answer.
For "why" and "how" describe the visible event and pad it; for "after X" detect X, not the asked action.
"At the end of the video" is position; "on the left of the video" is region; counting and places: whole, spatial [].
Example: what did the lady do before she sat down?
{"temporal": {"op": "relate", "relation": "before", "of": {"op": "detect", "query": "lady sits down"}},
 "spatial": [{"op": "locate", "query": "lady"}]}
Example: how many people are there?
{"temporal": {"op": "whole"}, "spatial": []}
Perspective: {perspective}
Question: {question}
JSON:"""
PAPER = """You are a question parser. You decompose a complex question about a video, so that it becomes easier.
You do not see the video and you do not answer. I have and only have these modules:
1. detect_act(act_query): the time span of an action, by a short description of it.
2. temporal_localize(prep, act_time): the span that a preposition (when, while, as, after, before) makes of another.
3. temporal_between(act_time, act_time): the span from one action to another.
4. temporal_truncate(time): the frames of a span; the root of the temporal localizer.
5. locate_obj(obj_query): the box of an object, by a short description of it.
6. spatial_localize(relation, box): the place beside a box (left, right, under, on, next to, hold, ...).
7. spatial_truncate(box, ...): the crop of the boxes; the root of the spatial localizer.
Template: {"temporal_localizer": {"module": "temporal_truncate", "params": [{"module": "temporal_localize", "params":
["$(preposition)", {"module": "detect_act", "params": ["$(description of an event)"]}]}]}, "spatial_localizer":
{"module": "spatial_truncate", "params": [{"module": "spatial_localize", "params": ["$(relationship)", {"module":
"locate_obj", "params": ["$(description of an object)"]}]}]}}
What stands in a slot need not be copied from the question: think about what would be reasonable.
Without a preposition temporal_truncate stands directly over detect_act; for the whole video its params are empty. With
two events use temporal_between. Without a relationship spatial_truncate stands directly over locate_obj; for no place
its params are empty.
Example: what did the lady do before she sat down?
{"temporal_localizer": {"module": "temporal_truncate", "params": [{"module": "temporal_localize", "params": ["before",
{"module": "detect_act", "params": ["lady sits down"]}]}]}, "spatial_localizer": {"module": "spatial_truncate",
"params": [{"module": "locate_obj", "params": ["lady"]}]}}
Example: how many people are there?
{"temporal_localizer": {"module": "temporal_truncate", "params": []},
"spatial_localizer": {"module": "spatial_truncate", "params": []}}
Perspective: {perspective}
Question: {question}
JSON:"""


def prompt(question: str, *, perspective: str = "none", dialect: Literal["policy/1", "paper/0"] = "policy/1") -> str:
    """The whole prompt for one question."""
    form = PAPER if dialect == "paper/0" else OURS
    return form.replace("{perspective}", perspective).replace("{question}", question)
