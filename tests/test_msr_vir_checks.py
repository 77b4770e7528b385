"""What the specification of MSR-ViR asks to be shown; where each of its thirty checks is held:

 1, 2, 3, 4, 5, 6  tests/parity and tests/test_metrics_grounding.py, tests/test_score.py, tests/test_scoring.py (the
                   official metric, its edge cases, denominators, invariant, blind baselines, answers that disagree)
 7, 8, 9           tests/parity/test_msr_vir.py (operators, 18 worked policies, Figure 3); here: export of `position`
10, 11, 12         tests/test_msr_vir.py (the ladder, what the schema refuses, 2,000 policies)
13                 here: a detector and a grounder that find nothing
14, 15             tests/test_msr_vir_replay.py (replay, two runs); here: one and two threads
16 to 21, 23       tests/test_msr_vir_training.py
22                 tests/test_msr_vir_training.py (blocks of questions, who learns and who judges)
24, 25             tests/test_msr_vir_training.py (rewards, GRPO with one reward for all, the loss of an answer)
26, 27             here: numbered frames, three frame rates
28                 tests/test_msr_vir_replay.py (licences); here: imports
29                 tests/test_data_published.py (NExT-QA, STAR)
30                 tests/test_msr_vir_modules.py (UniVTG)
"""

import json
import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from loopback import Response, serve
from make_videos import make_video, numbers_in
from videre.data.world.sample import SAMPLE
from videre.errors import ConfigError, DataError
from videre.methods.msr_vir import operators, paper, profile
from videre.methods.msr_vir.batch import Asked, ground_many
from videre.methods.msr_vir.execute import ground
from videre.methods.msr_vir.modules import Nothing
from videre.methods.msr_vir.parse import Held, parse
from videre.methods.msr_vir.policy import Policy, json_schema, read
from videre.methods.msr_vir.reasoner import Reasoner
from videre.methods.msr_vir.rules import parse as by_rules
from videre.methods.msr_vir.scan import Scan
from videre.methods.msr_vir.show import Showing, close_ups, show
from videre.models import endpoint
from videre.models.fake import FakeMLLM
from videre.record import Record, video_facts
from videre.report import page
from videre.types import Answer, Box, Question, Span
from videre.video.open import open_video

from test_msr_vir_replay import ASKED, Brightest, Colours, reasoner  # isort: skip

DETECT = {"op": "detect", "query": "it falls"}


class Finds:
    """A grounder that finds each query where it was told."""

    name = "told"
    card = {"name": "told"}  # noqa: RUF012

    def __init__(self, **hits):
        self.hits = hits

    def ground(self, video, query, *, window, top_k=1):
        return [Span(*self.hits[query])] if query in self.hits else []


class Blind(Brightest):
    """A detector that finds nothing."""

    def pairs(self, pictures, queries):
        return [[] for _ in pictures]


def plain(evidence):
    """A trace without its clocks."""
    return evidence.spans, evidence.boxes, [(s.name, s.inputs, s.output) for s in evidence.steps]


def test_where_nothing_is_found_the_whole_video_is_taken_and_answered():
    select = Reasoner(Nothing(), Blind(), k=2)
    with open_video(SAMPLE) as video:
        evidence = select(video, ASKED)
        shown = select.show(video, evidence, ASKED, size_px=64)
        assert evidence.spans == (Span(0.0, video.duration_seconds),)
    notes = [step.output for step in evidence.steps if step.name.startswith("note:")]
    assert [note.get("fallback") for note in notes if "fallback" in note] == ["whole_video"]
    assert any(note.get("instead") == "the whole video was taken" for note in notes)
    assert FakeMLLM(otherwise="B").answer(shown.chunks, shown.question).option == 1
    assert [chunk.label.split()[0] for chunk in shown.chunks] == ["Overview", "Key"]


def test_one_and_two_threads_leave_the_same_traces():
    questions = [Question(text) for text in ("why does it move?", "what happens after it stops?")]

    def traced(question):
        with open_video(SAMPLE) as video:
            return plain(reasoner()[0](video, question))

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(traced, questions)) == [traced(question) for question in questions]


def test_policies_together_lead_where_each_leads_alone():
    told = [Asked(by_rules(text), text) for text in (ASKED.text, "why does the square fall?", "how many are there?")]
    encoder, finds = Colours(), Brightest()
    with open_video(SAMPLE) as video:
        alone = [
            ground(o.policy, video, grounder=Scan(Colours()), detector=Brightest(), question=o.question, frames=3)
            for o in told
        ]
        many = ground_many(told, video, grounder=Scan(encoder), detector=finds, frames=3)
    assert [(e.spans, e.boxes, e.seconds) for e, _ in many] == [(e.spans, e.boxes, e.seconds) for e, _ in alone]
    assert encoder.words <= 4
    assert finds.asked <= 6


@pytest.mark.parametrize("span", [(1.0, 3.0), (0.3, 2.2), (3.0, 4.0)])
def test_the_frames_of_a_span_are_those_of_equation_10_and_crops_hold_their_pixels(tmp_path, span):
    path = make_video(tmp_path / "numbers.mp4", 40, fps=10)
    boxes = Brightest()
    boxes.pairs = lambda pictures, queries: [[(48.0, 0.0, 144.0, 64.0, 0.9)] for _ in pictures]
    policy = read({"temporal": DETECT, "spatial": [{"op": "locate", "query": "numbers"}]})
    with open_video(path) as video:
        found = Finds(**{"it falls": span})
        evidence, _ = ground(policy, video, grounder=found, detector=boxes, frames=5, profile=profile.PAPER)
        chunks = show(video, evidence, ASKED, how=Showing(overview=0)).chunks
        start, end = math.floor(span[0]), math.ceil(span[1])
        wanted = [min(39, math.floor((start + (end - start) * i / 4) * 10 + 1e-9)) for i in range(5)]
        assert numbers_in(chunks[0].pixels) == list(dict.fromkeys(wanted))
        whole = video.at(evidence.seconds)
    close = chunks[1].pixels
    cut = whole.pixels[:, :, 0:64, 48:144]
    assert close.shape == whole.pixels.shape
    assert np.abs(close[:, :, ::2, ::2].astype(int) - cut).mean() < 12


@pytest.mark.parametrize(("margin", "corners"), [(0.0, (0.4, 0.5, 0.6, 0.9)), (0.5, (0.3, 0.3, 0.7, 1.0))])
def test_a_close_up_shows_its_margin_around_the_box_and_never_more_than_the_frame(tmp_path, margin, corners):
    box = Box(1.0, 0.4, 0.5, 0.6, 0.9, "ball")
    x0, y0, x1, y1 = corners
    with open_video(make_video(tmp_path / "numbers.mp4", 20, fps=10)) as video:
        like = video.at([1.0])
        (close,) = close_ups(video, [box], like=like, margin=margin)
        (wide,) = close_ups(video, [Box(1.0, x0, y0, x1, y1)], like=like)
    assert (close.pixels == wide.pixels).all()
    assert close.pixels.shape == like.pixels.shape
    with pytest.raises(ConfigError, match="margin"):
        Showing(margin=-margin - 0.1)


@pytest.mark.parametrize(("last", "order", "main"), [(False, "OK", 1), (True, "KO", 0)])
def test_the_overview_comes_before_the_key_moment_or_after_it(tmp_path, last, order, main):
    with open_video(make_video(tmp_path / "numbers.mp4", 20, fps=10)) as video:
        evidence, _ = ground(Policy(), video, grounder=Nothing(), frames=2)
        shown = show(video, evidence, ASKED, how=Showing(overview=3, overview_last=last))
    assert "".join(chunk.label[0] for chunk in shown.chunks) == order
    assert (shown.main, len(shown.chunks[main])) == (main, 2)


def test_by_default_no_frame_of_a_span_lies_outside_of_it(tmp_path):
    path = make_video(tmp_path / "numbers.mp4", 120, fps=10)
    policy = read({"temporal": {"op": "relate", "relation": "after", "of": DETECT}, "spatial": []})
    with open_video(path) as video:
        found = Finds(**{"it falls": (0.0, 4.6)})
        evidence, _ = ground(policy, video, grounder=found, frames=4)
        one, _ = ground(policy, video, grounder=found, frames=1)
        whole, _ = ground(policy, video, grounder=found, frames=4, profile=profile.PAPER)
    assert evidence.spans == whole.spans
    assert evidence.seconds == pytest.approx((5.175, 6.325, 7.475, 8.625))
    assert one.seconds == pytest.approx((6.9,))
    assert whole.seconds[0] == 4.0  # Six tenths of a second before the span: still what came before.


@pytest.mark.parametrize(("fps", "times"), [(10, None), (24, None), (30, [round(i * 1001 / 30) for i in range(60)])])
def test_spans_do_not_hang_on_the_frame_rate(tmp_path, fps, times):
    count = 60 if times else 2 * fps
    numbers = [int((t / 1000 if times else t / fps) * 5) for t in (times or range(count))]
    path = make_video(tmp_path / "film.mp4", count, fps=fps, numbers=numbers, times_ms=times)
    with open_video(path) as video:
        (span,) = Scan(Colours(), fps=5.0).ground(video, "it moves", window=Span(0.0, video.duration_seconds))
    base = make_video(tmp_path / "base.mp4", 20, fps=10, numbers=[i // 2 for i in range(20)])
    with open_video(base) as video:
        (wanted,) = Scan(Colours(), fps=5.0).ground(video, "it moves", window=Span(0.0, video.duration_seconds))
    assert span.start_seconds == pytest.approx(wanted.start_seconds, abs=0.11)
    assert span.end_seconds == pytest.approx(wanted.end_seconds, abs=0.11)


def test_the_papers_profile_speaks_the_papers_dialect_and_leaves_its_equations_alone():
    spelled = json.dumps(paper.exported(read({"temporal": DETECT})))
    said = []

    class Says:
        def generate(self, prompt, *, max_tokens=128):
            said.append(prompt)
            return spelled if len(said) == 1 else '{"temporal": {"op": "position", "where": "end"}}'

    assert parse("what falls?", Says(), profile=profile.PAPER).status == "ok"
    assert "temporal_truncate" in said[0]
    ours = parse("what falls?", Says(), profile=profile.PAPER)
    assert (ours.status, ours.policy, len(said)) == ("whole", Policy(), 2)
    late = read({"temporal": {"op": "pad", "of": DETECT}})
    after = read({"temporal": {"op": "relate", "relation": "after", "of": DETECT}})
    with open_video(SAMPLE) as video:
        last = video.duration_seconds
        grounder = Finds(**{"it falls": (last - 0.5, last)})
        with pytest.raises(DataError, match="pad"):
            ground(late, video, grounder=grounder, profile=profile.PAPER)
        evidence, events = ground(after, video, grounder=grounder, profile=profile.PAPER, frames=2)
    assert operators.localized("after", Span(last - 0.5, last), last) == Span(last, last)
    relate = next(s for s in evidence.steps if s.name == "temporal: relate")
    assert relate.output["span"] == [last, last]
    assert evidence.spans[0].seconds == pytest.approx(1.0)
    assert [event["op"] for event in events] == ["root"]


def test_span_and_viewing_window_are_two_things():
    with open_video(SAMPLE) as video:
        grounder = Finds(**{"it falls": (1.0, 2.0)})
        evidence, _ = ground(read({"temporal": DETECT}), video, grounder=grounder, frames=3)
    view = next(step.output for step in evidence.steps if step.name == "view")
    assert view["span"] == [1.0, 2.0]
    assert view["viewing_window"][1] - view["viewing_window"][0] == pytest.approx(4.0)
    assert evidence.spans == (Span(1.0, 2.0),)


def test_a_server_is_held_to_the_schema_and_one_that_refuses_it_writes_freely():
    policy = read({"temporal": DETECT})
    with serve(lambda body: policy.canonical) as url, endpoint.connect(url, "m") as model:
        assert parse("what falls?", Held(model)).policy == policy
        held = url.calls[-1].body["response_format"]
        assert held["type"] == "json_schema"
        assert held["json_schema"]["schema"] == json_schema()

    def refuses(body):
        if "response_format" in body:
            words = b'{"error": {"message": "response_format is not supported"}}'
            return Response(status=400, body=words)
        return policy.canonical

    with serve(refuses) as url, endpoint.connect(url, "m") as model:
        assert parse("what falls?", Held(model)).policy == policy


def test_the_page_tells_the_path_as_a_tree_with_what_failed_and_what_was_done_instead(tmp_path):
    between = {"op": "between", "a": DETECT, "b": {"op": "detect", "query": "it flies"}}
    policy = read({"temporal": between, "spatial": [{"op": "locate", "query": "ball"}]})
    with open_video(SAMPLE) as video:
        found = Finds(**{"it falls": (1.0, 2.0)})
        evidence, _ = ground(policy, video, grounder=found, detector=Brightest(), frames=2)
        record = Record("a", video_facts(video), ASKED, Answer("1 s to 2 s", evidence=evidence))
    text = page([record], folder=tmp_path)
    tree = text[text.index("<summary>Path") :]
    tree = tree[: tree.index("</details>")]
    assert tree.count("<ul") == 3
    for words in ("from the moment of", "it flies", "not found", "the other side alone was taken", "in 2 of 2 frames"):
        assert words in tree
    assert text.count('class="step"') == 3
    assert 'class="path"' not in page([Record("b", {"path": "x"}, ASKED, Answer("no"))], folder=tmp_path)


def test_what_copyleft_and_rare_packages_bring_is_never_imported():
    code = (
        "import sys, videre.methods.msr_vir.reasoner, videre.methods.msr_vir.trace, videre.methods.msr_vir.batch;"
        "print({'ultralytics', 'lighthouse', 'decord', 'trl', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
