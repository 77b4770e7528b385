"""Scorers, the composition with strategies, the cache of scores, and the commands, on tiny random checkpoints."""

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

import tiny_clip
from videre.apps import asking, naming
from videre.ask import ask
from videre.data.world.sample import SAMPLE
from videre.errors import ConfigError, DataError
from videre.methods.frame_selector.cache import ScoreCache
from videre.methods.frame_selector.choosing import focus_selector, selector
from videre.methods.frame_selector.scored import Scored
from videre.methods.frame_selector.scorers import Similarity, Truth, share, up_to_verdict, verdict_tokens
from videre.methods.frame_selector.temporal import Temporal, indices, marks
from videre.models import clip, mllm
from videre.models.fake import FakeMLLM
from videre.record import from_row
from videre.types import Frames, Question
from videre.video.look import look
from videre.video.open import open_video
from videre.video.strategies import aks, nms_greedy, top_k

ASKED = Question("what does the red square do?")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return tiny_clip.build("clip", tmp_path_factory.mktemp("clip") / "model")


@pytest.fixture(scope="module")
def pictures():
    pixels = np.random.default_rng(0).integers(0, 255, (5, 3, 56, 56), dtype=np.uint8)
    return Frames(pixels, np.arange(5.0))


class Counted:
    """A scorer of the mean red of a frame, which counts its calls."""

    name, card = "red", {"scorer": "red"}

    def __init__(self, **card):
        self.calls = 0
        self.card = {**self.card, **card}

    def __call__(self, frames, question):
        self.calls += 1
        return Scored(frames.pixels[:, 0].mean((1, 2)) / 255)


def best(scored, k):
    return top_k(scored.scores, k)


FAMILIES = ["qwen3_vl", "qwen2_5_vl", "llava_onevision", "internvl", "smolvlm"]


@pytest.mark.parametrize("family", FAMILIES)
def test_truth_of_a_batch_is_that_of_one_call_a_frame(tiny_checkpoint, pictures, family):
    model = mllm.load(str(tiny_checkpoint(family)))
    whole = Truth(model, batch=8)(pictures, ASKED).scores
    alone = Truth(model, batch=1)(pictures, ASKED).scores
    yes, no = verdict_tokens(model.network, model.processor.tokenizer)
    text = Truth(model).prompt.format(question=ASKED.text)
    for i in range(len(pictures)):
        session = model.each(Frames(pictures.pixels[i : i + 1], pictures.seconds[i : i + 1]))
        logs = session.next_token(text, start="Evaluation:").double().numpy()
        assert abs(float(share(logs[None, yes], logs[None, no])[0]) - whole[i]) < 1e-4
    np.testing.assert_allclose(whole, alone, atol=1e-4)
    assert ((whole >= 0) & (whole <= 1)).all()
    assert len(set(np.round(whole, 6))) > 1


@pytest.mark.parametrize("family", FAMILIES)
def test_words_before_the_pictures_are_read_once_and_change_no_score(tiny_checkpoint, pictures, family, monkeypatch):
    model = mllm.load(str(tiny_checkpoint(family)))
    yes, no = verdict_tokens(model.network, model.processor.tokenizer)
    text = Truth(model).prompt.format(question=ASKED.text)
    alone = []
    for i in range(len(pictures)):
        session = model.each(Frames(pictures.pixels[i : i + 1], pictures.seconds[i : i + 1]), before=text)
        logits = session.next_token("", start="Evaluation:").double().numpy()
        alone.append(float(share(logits[None, yes], logits[None, no])[0]))
    passes = []
    network = model.network.forward
    monkeypatch.setattr(
        model.network, "forward", lambda **given: passes.append(tuple(given["input_ids"].shape)) or network(**given)
    )
    whole = Truth(model, batch=2, question_first=True)(pictures, ASKED).scores
    np.testing.assert_allclose(whole, alone, atol=1e-4)
    if family == "llava_onevision":  # its template puts pictures first
        return
    (once, words), *rest = passes
    passes.clear()
    picture_first = Truth(model, batch=2)(pictures, ASKED).scores
    whole_prompt = passes[0][1]
    assert once == 1
    assert words > 30
    assert [rows for rows, _ in rest] == [2, 2, 1]
    assert all(length <= whole_prompt - words + 8 for rows, length in rest if rows > 1)
    assert np.abs(whole - picture_first).max() > 1e-6


def test_the_question_first_is_refused_where_it_would_be_passed_over():
    with pytest.raises(ConfigError, match="question_first"):
        Truth(FakeMLLM(lambda chunks, text: "True"), question_first=True)


def test_a_special_token_in_a_question_stays_text(tiny_checkpoint, pictures):
    model = mllm.load(str(tiny_checkpoint("qwen3_vl")))
    asked = Question("what is <|image_pad|> here?")
    whole = Truth(model, question_first=True)(pictures, asked).scores
    np.testing.assert_allclose(whole, Truth(model, batch=1, question_first=True)(pictures, asked).scores, atol=1e-4)


def test_truth_after_an_explanation_reads_the_verdict_where_it_stands(tiny_checkpoint, pictures):
    model = mllm.load(str(tiny_checkpoint("qwen3_vl")))
    scorer = Truth(model, reasoned=True, most_tokens=6)
    scores = scorer(pictures, ASKED).scores
    assert ((scores >= 0) & (scores <= 1)).all()
    session = model.each(Frames(pictures.pixels[:1], pictures.seconds[:1]))
    text = scorer.prompt.format(question=ASKED.text)
    head = up_to_verdict(session.generate(text, max_tokens=6))
    assert head.endswith("Evaluation:")
    yes, no = verdict_tokens(model.network, model.processor.tokenizer)
    logs = session.next_token(text, start=head).double().numpy()
    assert scores[0] == pytest.approx(float(share(logs[None, yes], logs[None, no])[0]), abs=1e-6)


def test_share_sums_variants_and_heeds_no_other_token():
    words = {"True": 1, " True": 2, "true": 3, " true": 4, "TRUE": 1, " TRUE": 2}
    words |= {"False": 5, " False": 6, "false": 5, " false": 6, "FALSE": 5, " FALSE": 6}

    class Known(FakeMLLM):
        """A model of known logits, the same for every frame; `others` is what it gives to token 0."""

        network = None
        processor = SimpleNamespace(tokenizer=lambda word, **_: {"input_ids": [words[word]]})

        def next_tokens(self, frames, text, wanted, *, start, before, batch):
            assert start == "Evaluation:"
            return np.tile(np.log([self.others, 0.1, 0.2, 0.05, 0.05, 0.1, 0.1])[list(wanted)], (len(frames), 1))

    frames = Frames(np.zeros((2, 3, 4, 4), np.uint8), np.arange(2.0))
    for others in (0.4, 1e-9, 7.0):
        model = Known()
        model.others = others
        scores = Truth(model)(frames, ASKED).scores
        np.testing.assert_allclose(scores, 0.4 / 0.6)
    assert share(np.array([[-np.inf]]), np.array([[-np.inf]]))[0] == 0


def test_truth_of_a_model_that_only_scores_replies():
    model = FakeMLLM(lambda chunks, text: "True" if chunks[0].seconds[0] > 1 else "False")
    frames = Frames(np.zeros((3, 3, 4, 4), np.uint8), np.arange(3.0))
    low, middle, high = Truth(model)(frames, ASKED).scores
    assert low == middle < 0.2 < 0.8 < high


REPLIES = {
    "[3, 17]": [3, 17],
    "The most helpful frames are 2, 5 and 9.": [2, 5, 9],
    "Frames 3-5 and frame 7 show it.": [3, 4, 5, 7],
    "Indices: 4 to 6": [4, 5, 6],
    "I'd pick [12, 3, 12, 99, 400].": [3, 12],
    "<think>frame 1? no, frame 8</think>\n[0]": [0],
    "None of the frames help.": [],
    "": [],
    "1. Frame 12 - a dog at 3.5 seconds\n2. Frame 15 - a cat": [12, 15],
    "```json\n{\"frames\": [1, 2]}\n```": [1, 2],
    "15..18, 2": [2, 15, 16, 17, 18],
    "-4, 1000000, 6": [6],
    "The 3 best are frames 10 through 12": [10, 11, 12],
}  # fmt: skip


@pytest.mark.parametrize(("reply", "wanted"), REPLIES.items())
def test_messy_replies_are_read(reply, wanted):
    assert indices(reply, 20) == wanted
    assert marks(reply, 20).sum() == len(wanted)


def test_temporal_scores_come_from_captions_and_their_list():
    captioner = FakeMLLM(lambda chunks, text: f"moment  {chunks[0].seconds[0]:.0f}\n")
    writer = FakeMLLM(lambda chunks, text: "[1, 3]" if "1: moment 1\n2: moment 2" in text else "no captions")
    frames = Frames(np.zeros((4, 3, 4, 4), np.uint8), np.arange(4.0))
    scorer = Temporal(captioner, writer)
    assert scorer(frames, ASKED).scores.tolist() == [0, 1, 0, 1]
    assert writer.asked[0].count("moment") == 4
    assert ASKED.text in writer.asked[0]


def test_a_selector_of_likeness_gives_times_scores_and_the_whole_line(encoder):
    select = naming.selector(f"nms:clip={encoder},n=24,delta=2", k=4)
    with open_video(SAMPLE) as video:
        evidence = select(video, ASKED)
        frames = video.at(evidence.scored.seconds)
        scored = Similarity(clip.load(str(encoder)))(frames, ASKED)
    assert len(evidence.seconds) == len(evidence.scores) == 4
    wanted = nms_greedy(evidence.scored.scores, 4, delta=2)
    assert evidence.seconds == tuple(evidence.scored.seconds[i] for i in wanted)
    np.testing.assert_allclose(evidence.scored.scores, scored.scores, atol=0.05)
    assert [step.name for step in evidence.steps] == ["score", "choose"]
    assert evidence.steps[1].inputs["delta"] == 2


@pytest.mark.parametrize("name", ["top-k", "aks", "bolt", "q-frame", "wfs-sb", "mdp3"])
def test_every_strategy_by_name(encoder, name):
    with open_video(SAMPLE) as video:
        evidence = naming.selector(f"{name}:clip={encoder},n=20", k=5)(video, ASKED)
    assert len(set(evidence.seconds)) == 5
    assert len(evidence.scored.seconds) == 20


@pytest.mark.parametrize(
    ("choose", "none"),
    [
        (lambda scored, k: aks(scored.scores, k, released=True), r"\[\]"),
        (lambda scored, k: [len(scored.scores)], r"\[8\]"),  # as BOLT's release does where rounding has it so
    ],
)
def test_a_release_that_chooses_no_frame_that_is_there_says_so(choose, none):
    with open_video(SAMPLE) as video, pytest.raises(DataError, match=f"aks chose {none} of 8 .* leave out released"):
        selector(Counted(), choose, k=4, n=8, told={"strategy": "aks"})(video, ASKED)


def test_focus_looks_at_few_frames():
    with open_video(SAMPLE) as video:
        scorer = Counted()
        evidence = focus_selector(scorer, k=4, fps=8.0)(video, ASKED)
        known = len(evidence.scored.seconds)
        assert 4 <= known < evidence.steps[0].inputs["frames"]
        assert scorer.calls == 2
        assert len(set(evidence.seconds)) == 4


def test_a_question_keeps_its_options_to_itself():
    seen = []

    class Told(Counted):
        def __call__(self, frames, question):
            seen.append(question)
            return super().__call__(frames, question)

    with open_video(SAMPLE) as video:
        selector(Told(), best, k=2, n=4)(video, Question("which?", ("red", "blue")))
    assert seen == [Question("which?")]


def test_the_cache_saves_decoding_and_scoring_until_something_changes(tmp_path):
    scorer, cache = Counted(), ScoreCache(tmp_path / "scores")
    with open_video(SAMPLE) as video:
        shown = []
        at = video.at
        video.at = lambda *a, **k: shown.append(1) or at(*a, **k)
        select = selector(scorer, best, k=3, n=10, cache=cache)
        first, second = select(video, ASKED), select(video, ASKED)
        assert (scorer.calls, len(shown)) == (1, 1)
        assert first.seconds == second.seconds
        assert first.scored == second.scored
        assert [e.steps[0].inputs["cached"] for e in (first, second)] == [False, True]
        select(video, Question("another question?"))
        selector(scorer, best, k=3, n=11, cache=cache)(video, ASKED)
        assert scorer.calls == 3
        other = Counted(revision=2)
        selector(other, best, k=3, n=10, cache=cache)(video, ASKED)
        assert other.calls == 1
        for file in cache.folder.glob("*.npz"):
            file.write_bytes(file.read_bytes()[:40])
        assert select(video, ASKED).seconds == first.seconds
        assert (scorer.calls, cache.aside) == (4, 1)
    copy = tmp_path / "longer.mp4"
    copy.write_bytes(Path(SAMPLE).read_bytes() + b"\0\0\0\x08free")
    with open_video(copy) as video:
        selector(scorer, best, k=3, n=10, cache=cache)(video, ASKED)
    assert scorer.calls == 5


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("aks", "needs one scorer"),
        ("aks:clip=a,truth=b", "needs one scorer"),
        ("akss:clip=a", "did you mean 'aks'"),
        ("mdp3:truth=a", "needs clip=MODEL"),
    ],
)
def test_a_wrong_selector_is_told_in_one_line(text, told):
    with pytest.raises(ConfigError, match=told):
        naming.selector(text, k=4)


def test_an_unknown_setting_is_refused(encoder):
    with pytest.raises(ConfigError, match="no setting 'delt'"):
        naming.selector(f"nms:clip={encoder},delt=3", k=4)


def videre(*arguments):
    done = subprocess.run([sys.executable, "-m", "videre", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_select_and_ask_by_command(encoder, tmp_path):
    names = ["uniform", f"nms:clip={encoder},n=16"]
    sheet, page = tmp_path / "sheet.png", tmp_path / "page.html"
    out = videre("select", SAMPLE, ASKED.text, "-k", 3, "-s", names[0], "-s", names[1], "--sheet", sheet,
                 "--report", page, "--json")  # fmt: skip
    records = [from_row(json.loads(line)) for line in out.splitlines()]
    assert [len(record.evidence.seconds) for record in records] == [3, 3]
    assert len(records[1].evidence.scored.seconds) == 16
    assert sheet.stat().st_size > 1000
    assert page.read_text().count("3 frames by") >= 2
    done = CliRunner().invoke(asking.command, [str(SAMPLE), ASKED.text, "-k", "3", "-s", names[1], "--json"])
    assert done.exit_code == 0, done.output
    asked = from_row(json.loads(done.stdout))
    assert asked.evidence.seconds == records[1].evidence.seconds
    # Two processes may share out their threads differently, and fp32 sums follow.
    assert asked.evidence.scores == pytest.approx(records[1].evidence.scores, rel=1e-5)
    assert asked.answer.run["selector"].startswith("nms:clip=")


@pytest.mark.parametrize("family", ["qwen3_vl", "qwen2_5_vl", "llava_onevision", "internvl"])
def test_the_prompt_states_the_times_of_the_selected_frames(tiny_checkpoint, family):
    model = mllm.load(str(tiny_checkpoint(family)), answer_tokens=2)
    with open_video(SAMPLE) as video:
        evidence = selector(Counted(), lambda scored, k: nms_greedy(scored.scores, k), k=4, n=16)(video, ASKED)
        frames = look(video, evidence)
        record = ask(video, ASKED, model=model, select=lambda *_: evidence)
    said = [float(t) for t in re.findall(r"<([\d.]+) seconds>", model.prompt([frames], ASKED))]
    np.testing.assert_allclose(said, evidence.seconds, atol=0.05 + 1e-9)
    assert record.evidence.seconds == evidence.seconds
    assert record.evidence.scores == evidence.scores
