"""Traces: what modules found is kept, made again without them bit for bit, and lies on disk for further questions."""

import json
from dataclasses import replace

import numpy as np
import pytest

from videre.apps.grounding import grounded
from videre.data.world.sample import SAMPLE
from videre.errors import ConfigError, DataError
from videre.methods.msr_vir.memory import KnownPlaces, KnownTimes, Memory
from videre.methods.msr_vir.modules import allowed
from videre.methods.msr_vir.reasoner import Reasoner
from videre.methods.msr_vir.scan import Scan
from videre.methods.msr_vir.show import Showing, corners_px
from videre.methods.msr_vir.trace import recompute, replay
from videre.record import Record, dumps, from_row, to_row
from videre.types import Box, Question, Span
from videre.video.open import open_video

ASKED = Question("what does the circle do after the square moves?", ("it stops", "it leaves"))


class Colours:
    """An encoder without weights: mean colours of a picture, and numbers out of the letters of a text."""

    name = "colours"
    card = {"id": "colours"}  # noqa: RUF012

    def __init__(self):
        self.pictures = self.words = 0

    def images(self, frames):
        self.pictures += len(frames)
        return self._unit(frames.pixels.mean((2, 3)).astype(np.float32) + 1)

    def texts(self, texts):
        self.words += len(texts)
        return self._unit(np.array([[len(t), t.count("e") + 1, t.count("c")] for t in texts], np.float32))

    def _unit(self, rows):
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Brightest:
    """A detector without weights: a box around the brightest pixel, of the size of the query's length."""

    name = "brightest"
    card = {"name": "brightest", "licence": "MIT"}  # noqa: RUF012

    def __init__(self):
        self.asked = 0

    def detect(self, frames, query):
        return self.pairs(list(frames.pixels), [query] * len(frames))

    def pairs(self, pictures, queries):
        self.asked += len(pictures)
        found = []
        for picture, query in zip(pictures, queries, strict=True):
            y, x = np.unravel_index(int(picture.sum(0, dtype=np.int64).argmax()), picture.shape[1:])
            half = float(10 + len(query))
            height, width = picture.shape[1:]
            corners = (max(0.0, x - half), max(0.0, y - half), min(width, x + half), min(height, y + half))
            found.append([(*map(float, corners), 0.75)])
        return found


def reasoner(folder=None, **more):
    memory = Memory(folder)
    encoder, places = Colours(), Brightest()
    made = Reasoner(KnownTimes(Scan(encoder, folder=folder), memory), KnownPlaces(places, memory), k=4, **more)
    return made, encoder, places


@pytest.fixture(scope="module")
def traced():
    record = grounded(str(SAMPLE), ASKED, reasoner()[0])
    return from_row(json.loads(dumps(to_row(record))))


def test_a_trace_is_replayed_bit_for_bit_with_all_models_removed(traced):
    with open_video(SAMPLE) as video:
        found = replay(traced, video)
    assert found.differences == ()
    assert found.evidence.spans == traced.evidence.spans
    assert found.evidence.boxes == traced.evidence.boxes != ()
    assert [part["label"].split()[0] for part in found.shown] == ["Overview", "Key", "Close-up"]
    assert sum(len(part["sha256"]) for part in found.shown) == 12


def test_a_trace_that_was_changed_does_not_replay(traced):
    spans = (replace(traced.evidence.spans[0], start_seconds=0.125),)
    run = json.loads(json.dumps(dict(traced.answer.run)))
    run["shown"][1]["sha256"][0] = "0" * 64
    forged = replace(traced, answer=replace(traced.answer, run=run, evidence=replace(traced.evidence, spans=spans)))
    with open_video(SAMPLE) as video:
        differences = replay(forged, video).differences
    assert len(differences) == 2
    assert differences[0].startswith("spans")
    assert "sha256 of 'Key moment" in differences[1]


def test_a_trace_without_a_finding_of_another_video_or_none_is_refused(traced):
    steps = tuple(s for s in traced.evidence.steps if "key" not in s.inputs)
    holes = replace(traced, answer=replace(traced.answer, evidence=replace(traced.evidence, steps=steps)))
    other = replace(traced, video={**traced.video, "sha256": "0"})
    none = Record("x", traced.video, ASKED, replace(traced.answer, evidence=replace(traced.evidence, steps=())))
    with open_video(SAMPLE) as video:
        for record, why in ((holes, "does not hold"), (other, "not the video"), (none, "no trace")):
            with pytest.raises(DataError, match=why):
                replay(record, video)


def test_modules_asked_anew_agree_within_the_tolerance_or_are_told_apart(traced):
    encoder = Colours()
    with open_video(SAMPLE) as video:
        assert recompute(traced, video, grounder=Scan(encoder), detector=Brightest()).differences == ()
        moved = Brightest()
        moved.pairs = lambda pictures, queries: [[(1.0, 1.0, 90.0, 90.0, 0.5)] for _ in pictures]
        assert "px off" in recompute(traced, video, grounder=Scan(encoder), detector=moved).differences[0]


def test_a_second_question_encodes_no_frame_and_a_second_run_asks_no_module(tmp_path):
    first, encoder, places = reasoner(tmp_path)
    before = grounded(str(SAMPLE), ASKED, first)
    pictures = encoder.pictures
    assert pictures > 0
    grounded(str(SAMPLE), Question("where is the square before it stops?"), first)
    assert encoder.pictures == pictures
    again, encoder, places = reasoner(tmp_path)
    after = grounded(str(SAMPLE), ASKED, again)
    assert (encoder.pictures, encoder.words, places.asked) == (0, 0, 0)
    assert after.evidence.spans == before.evidence.spans
    assert after.evidence.boxes == before.evidence.boxes
    assert any(step.output.get("cached") for step in after.evidence.steps if isinstance(step.output, dict))


def test_a_torn_line_of_the_memory_is_found_again(tmp_path):
    memory = Memory(tmp_path)
    memory.put("a", [1.5])
    with open(tmp_path / "found.jsonl", "a") as file:
        file.write('{"key":"b","fou')
    again = Memory(tmp_path)
    assert again.known == {"a": [1.5]}
    again.put("c", [])
    assert Memory(tmp_path).known == {"a": [1.5], "c": []}


def test_two_runs_are_the_same_but_for_their_clocks(traced):
    def plain(record):
        return [(s.name, s.inputs, s.output) for s in record.evidence.steps], record.answer.run

    second = from_row(json.loads(dumps(to_row(grounded(str(SAMPLE), ASKED, reasoner()[0])))))
    assert plain(second) == plain(traced)


def test_the_baseline_of_equal_frames_shows_as_many_evenly():
    grounded_run = grounded(str(SAMPLE), ASKED, reasoner()[0]).answer.run
    equal = grounded(str(SAMPLE), ASKED, reasoner(showing=Showing(equal=True))[0]).answer.run
    assert sum(len(part["seconds"]) for part in grounded_run["shown"]) == len(equal["shown"][0]["seconds"]) == 12


def test_rivals_of_the_policy_are_one_word_away():
    raw, _, _ = reasoner(by="question")
    assert raw.parsed("what falls?").policy.temporal.query == "what falls?"
    whole = grounded(str(SAMPLE), ASKED, reasoner(by="whole")[0])
    assert whole.evidence.spans == (Span(0.0, whole.video["duration_seconds"]),)


def test_copyleft_modules_are_refused_unless_allowed():
    module = Brightest()
    module.card = {"name": "yolo", "licence": "AGPL-3.0"}
    with pytest.raises(ConfigError, match=r"AGPL-3\.0"):
        allowed(module)
    allowed(module, allow_copyleft=True)


def test_a_crop_holds_the_pixels_of_its_box():
    assert corners_px(Box(0.0, 0.25, 0.5, 0.75, 1.0), width_px=640, height_px=480) == (160, 240, 480, 480)
    assert corners_px(Box(0.0, 1.0, 1.0, 1.0, 1.0), width_px=64, height_px=48) == (63, 47, 64, 48)
