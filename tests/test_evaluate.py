"""Road 3 in Python: parts of videos, runs, judges, retrieval, differences."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from videre import Answer, Evidence, Question, Record, Sample, Span, evaluate, open_video, system, uniform
from videre.data import world
from videre.errors import DataError, VideoError
from videre.evaluate import scores
from videre.metrics.judge import ASPECTS
from videre.models.fake import FakeMLLM
from videre.types import Frames, Video
from videre.video.look import look
from videre.video.part import Part

CONFIG = world.Config(seconds=4.0, size_px=64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two clips of four seconds at ten frames a second."""
    root = tmp_path_factory.mktemp("videos")
    for seed in (1, 2):
        world.write(world.make(seed, CONFIG), root / f"{seed}.mp4")
    return root


def sample(id: str = "a", video: str = "1.mp4", **more) -> Sample:
    given = {"question": Question("which?", ("red", "blue")), "answer": "red", **more}
    return Sample(id, video, **given)


def ran(samples, says, folder, tmp_path, *, k=4, select=None, name="run") -> evaluate.Run:
    answers = system(FakeMLLM(says), select or uniform(k))
    with evaluate.Answering(answers, lambda s: folder / s.video, isolate=False) as work:
        return evaluate.run(
            samples, work, folder=tmp_path / name, manifest={"k": k}, videos=lambda s: folder / s.video, quiet=True
        )


def spans_of(*pairs):
    def select(video: Video, question: Question) -> Evidence:
        return Evidence((0.5,), spans=tuple(Span(*pair) for pair in pairs))

    return select


class TestPart:
    def test_is_a_video_with_a_clock_of_its_own(self, folder):
        with open_video(folder / "1.mp4") as whole:
            part = Part(whole, Span(1.05, 3.0))
            assert isinstance(part, Video)
            assert part.start_seconds == pytest.approx(1.0)
            assert part.duration_seconds == pytest.approx(2.0)
            assert part.at([0.0, 0.55, 99.0]).seconds == pytest.approx([0.0, 0.5, 2.0])
            assert part.info["sha256"] == whole.info["sha256"]

    def test_shows_the_very_frames_of_the_whole(self, folder):
        with open_video(folder / "1.mp4") as whole:
            part = Part(whole, Span(1.0, 3.0))
            asked = Evidence((0.2, 1.4))
            assert look(part, asked, size_px=32).sha256() == whole.at([1.2, 2.4], size_px=32).sha256()

    def test_streams_to_its_end_and_no_further(self, folder):
        with open_video(folder / "1.mp4") as whole:
            part = Part(whole, Span(1.0, 2.0))
            times = np.concatenate([chunk.seconds for chunk in part.stream(5.0)])
            assert times == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])

    def test_past_the_end_is_an_error_and_a_late_end_is_cut(self, folder):
        with open_video(folder / "1.mp4") as whole:
            assert Part(whole, Span(3.0, 9.0)).duration_seconds == pytest.approx(1.0)
            with pytest.raises(VideoError, match=r"4\.00 s long"):
                Part(whole, Span(5.0, 9.0))


class TestRun:
    def test_a_clip_is_asked_in_its_own_time_and_recorded_in_the_files(self, folder, tmp_path):
        run = ran([sample(clip=Span(2.0, 4.0))], {"which?": "A"}, folder, tmp_path, select=spans_of((0.0, 1.0)))
        record = run.records["a"]
        assert record.evidence.seconds == (2.5,)
        assert record.evidence.spans == (Span(2.0, 3.0),)
        assert record.answer.run["frames_seconds"] == [2.5]
        assert record.video["duration_seconds"] == pytest.approx(4.0)
        assert record.evidence.steps[0].name == "clip"

    def test_a_clip_changes_the_key(self, folder, tmp_path):
        ran([sample()], {"which?": "A"}, folder, tmp_path)
        run = ran([sample(clip=Span(2.0, 4.0))], {"which?": "A"}, folder, tmp_path)
        assert min(run.records["a"].evidence.seconds) > 2

    def test_failures_are_rows_and_count_as_wrong(self, folder, tmp_path):
        (folder / "bad.mp4").write_bytes(b"no video")
        samples = [sample("a"), sample("b", "bad.mp4"), sample("c", "gone.mp4"), sample("d", "2.mp4")]
        run = ran(samples, {"which?": "A"}, folder, tmp_path)
        assert run.outcome.exit_code == 4
        found = evaluate.accuracy(run)
        assert (found.overall.right, found.overall.count, found.n_unparsed) == (2, 4, 2)

    def test_the_blind_see_as_many_frames_and_no_video(self, folder, tmp_path):
        seen = ran([sample()], {"which?": "A"}, folder, tmp_path)
        told = FakeMLLM(lambda chunks, text: f"{'B' if not sum(int(c.pixels.sum()) for c in chunks) else 'A'}")
        record = evaluate.unseen(told, seen.records)(sample())
        assert record.answer.option == 1
        assert record.evidence.seconds == seen.records["a"].evidence.seconds
        with pytest.raises(DataError, match="no frames"):
            evaluate.unseen(told, {})(sample())

    def test_open_answers_by_a_rule(self, folder, tmp_path):
        samples = [sample(str(i), question=Question(q), answer="dog", kind="k") for i, q in enumerate(("x?", "y?"))]
        run = ran(samples, {"x?": "A dog.", "y?": "cat"}, folder, tmp_path)
        assert evaluate.matched(run).micro == 0.5

    def test_a_video_is_hashed_when_its_turn_comes(self, folder, tmp_path):
        order = []

        def place(sample: Sample) -> Path:
            order.append(sample.id)
            return folder / sample.video

        def work(sample: Sample) -> Record:
            order.append(f"{sample.id} answered")
            return Record(sample.id, {}, sample.question, Answer("A", option=0))

        samples = [sample(str(i)) for i in range(2)]
        run = evaluate.run(samples, work, folder=tmp_path / "lazy", manifest={}, videos=place, quiet=True)
        assert order == ["0", "0 answered", "1", "1 answered"]
        assert len(run.records) == 2

    def test_one_text_under_two_letters_is_right_by_either(self, folder, tmp_path):
        asked = [Question(f"q{i}?", ("red", "blue", "green", "blue")) for i in range(3)]
        samples = [sample(str(i), question=question, answer="blue") for i, question in enumerate(asked)]
        run = ran(samples, {"q0?": "B", "q1?": "D", "q2?": "C"}, folder, tmp_path)
        assert evaluate.accuracy(run).overall.right == 2


class TestGrounding:
    def test_the_first_span_is_scored_strictly(self, folder, tmp_path):
        samples = [sample("a", spans=(Span(1.0, 3.0),)), sample("b", "2.mp4", spans=(Span(0.0, 1.0),))]
        run = ran(samples, {"which?": "A"}, folder, tmp_path, select=spans_of((1.0, 2.0), (0.0, 4.0)))
        truth = scores.truths(samples, scores.durations(run))
        assert truth["a"].duration_seconds == 4
        found = evaluate.grounded(run, truth)
        assert found.metrics["mIoU"] == pytest.approx(25.0)
        assert found.metrics["Acc@GQA"] == 50.0

    def test_no_span_is_zero_and_counted(self, folder, tmp_path):
        run = ran([sample(spans=(Span(1.0, 3.0),))], {"which?": "A"}, folder, tmp_path)
        found = evaluate.grounded(run, scores.truths(run.samples, {"a": 4.0}))
        assert (found.metrics["mIoP"], found.counts["n_missing"]) == (0.0, 1)

    def test_moments_are_ranked_spans(self, folder, tmp_path):
        run = ran([sample(spans=(Span(1.0, 3.0),))], {}, folder, tmp_path, select=spans_of((1.0, 3.0)))
        assert evaluate.moments(run).mean_iou == 1.0


class TestJudge:
    def questions(self) -> list[Sample]:
        return [sample(str(i), question=Question(f"q{i}?"), answer="dog", kind="generic") for i in range(3)]

    def test_raw_replies_are_rows_pinned_to_the_judge(self, folder, tmp_path):
        run = ran(self.questions(), {"q0?": "a puppy", "q1?": "a cat", "q2?": "?"}, folder, tmp_path)
        said = ("{'pred': 'yes', 'score': 5}", "{'pred': 'no', 'score': 1}", "hm")
        judge = FakeMLLM(lambda chunks, text: said[["puppy" in text, "a cat" in text, True].index(True)], name="judge")
        prompts = evaluate.qa_prompts(run)
        judging = evaluate.ask_judge(judge, prompts, folder=tmp_path / "judge", manifest={"v": 1}, quiet=True)
        found = judging.judged([s.id for s in run.samples])
        assert (found.accuracy.right, found.accuracy.count, found.score, found.n_unread) == (1, 3, 3.0, 1)
        rows = [json.loads(line) for line in (tmp_path / "judge" / "answers.jsonl").read_text().splitlines()]
        assert [row["reply"] for row in rows] == list(said)
        assert rows[0]["judge"]["id"] == "judge"
        asked = len(judge.asked)
        evaluate.ask_judge(judge, prompts, folder=tmp_path / "judge", manifest={"v": 1}, quiet=True)
        assert len(judge.asked) == asked

    def test_a_judge_that_only_answers_will_do(self, tmp_path):
        class Plain:
            name, card = "plain", {"id": "plain"}

            def answer(self, frames, question: Question) -> Answer:
                return Answer(f"yes: {len(list(frames))}")

        judging = evaluate.ask_judge(Plain(), {"a": "is it?"}, folder=tmp_path, manifest={}, quiet=True)
        assert judging.replies == {"a": "yes: 0"}

    def test_what_a_server_tells_of_itself_later_is_no_input(self, tmp_path):
        class Server:
            def __init__(self) -> None:
                self.name, self.card = "m", {"id": "m", "reported_model": None}

            def answer(self, frames, question: Question) -> Answer:
                self.card = {"id": "m", "reported_model": "m-2026"}
                return Answer("yes")

        for server in (Server(), Server()):
            for task in ("qa", "option"):
                evaluate.ask_judge(server, {"a": "is it?"}, folder=tmp_path / task, manifest={}, quiet=True)
        row = json.loads((tmp_path / "qa" / "answers.jsonl").read_text())
        assert row["judge"]["reported_model"] == "m-2026"

    def test_the_five_aspects_and_pairs_of_consistency(self, folder, tmp_path):
        run = ran(self.questions(), {}, folder, tmp_path)
        for aspect in ("correctness", "detail", "context"):
            assert len(evaluate.aspect_prompts(run, aspect)) == 3
        pair = [sample(f"consistency_7_Q{i}", question=Question(f"r{i}?"), answer="dog") for i in (1, 2)]
        run = ran(pair, {"r1?": "first", "r2?": "second"}, folder, tmp_path, name="pair")
        prompts = evaluate.aspect_prompts(run, "consistency")
        assert list(prompts) == ["consistency_7"]
        assert "first" in prompts["consistency_7"]
        assert "second" in prompts["consistency_7"]
        assert len(ASPECTS) == 5

    def test_unclear_replies_are_read_by_the_judge(self, folder, tmp_path):
        run = ran([sample("a"), sample("b", "2.mp4")], {}, folder, tmp_path)
        prompts = evaluate.option_prompts(run)
        replies = {"a": "A", "b": "Z"}
        judging = evaluate.Judging(replies, run.outcome)
        assert list(prompts) == ["a", "b"]
        assert scores_of(judging, run) == {"a": 0}


def scores_of(judging: evaluate.Judging, run: evaluate.Run) -> dict:
    from videre.evaluate.judging import read_options

    return read_options(judging, run.samples)


class TestOther:
    def test_retrieval_in_both_directions(self):
        images = np.eye(3)
        texts = np.eye(3)[[0, 2, 1]]
        found = evaluate.retrieval(images, texts)
        assert found["text_to_video"].recall[1].right == 1
        right = np.eye(3, dtype=bool)[[0, 2, 1]]
        assert evaluate.retrieval(images, texts, right=right)["video_to_text"].mean_rank == 1.0

    def test_anticipation_reads_lines_and_rankings(self, folder, tmp_path):
        samples = [sample(str(i), question=Question(f"q{i}?"), answer="cut bread") for i in range(2)]
        says = {"q0?": "1. wash hands\n2. cut the bread", "q1?": "sleep"}
        run = ran(samples, says, folder, tmp_path)
        classes = {"cut bread": (1, 2), "wash hands": (3, 4)}
        found = evaluate.anticipated(
            run, {"0": (1, 2), "1": (3, 4)}, read=lambda guess: classes.get(guess.replace("the ", ""))
        )
        assert (found.accuracy.right, found.class_recall) == (1, 0.5)

    def test_captions_are_scored_by_the_library(self, folder, tmp_path):
        pytest.importorskip("pycocoevalcap", reason="needs pycocoevalcap: pip install 'videre[captions]'")
        run = ran([sample(question=Question("what?"), answer="a dog runs")], {"what?": "a dog runs"}, folder, tmp_path)
        assert evaluate.captioned(run, {"a": ["a dog runs"]}, tokens="plain").scores["BLEU-1"] == pytest.approx(1.0)


class TestDifference:
    def test_nothing_differs_between_two_runs_of_the_same(self, folder, tmp_path):
        runs = [ran([sample()], {"which?": "A"}, folder, tmp_path, name=name) for name in "ab"]
        found = evaluate.difference(*(run.records for run in runs))
        assert found.differing == {}
        assert "frames" in found.facts

    def test_frame_counts_are_named_with_their_values(self, folder, tmp_path):
        samples = [sample("a"), sample("b", "2.mp4")]
        runs = [ran(samples, {"which?": "A"}, folder, tmp_path, k=k, name=str(k)) for k in (2, 4)]
        found = evaluate.difference(*(run.records for run in runs))
        assert set(found.differing) == {"frames", "frame times"}
        assert found.facts["frames"].values == (("2 a question", "4 a question", 2),)
        assert found.facts["prompts"].differ == ()
        assert "frames differ on 2 of 2: 2 a question vs 4 a question (2)" in list(found.lines())

    def test_versions_questions_answers_and_who_is_missing(self, folder, tmp_path):
        run = ran([sample("a"), sample("b", "2.mp4")], {"which?": "A"}, folder, tmp_path)
        other = dict(run.records)
        del other["b"]
        other["c"] = run.records["b"]
        other["a"] = changed(run.records["a"], transformers="5.23.0")
        first = {**run.records, "a": changed(run.records["a"], transformers="5.18.0")}
        found = evaluate.difference(first, other)
        assert (found.common, found.only_first, found.only_second) == (("a",), ("b",), ("c",))
        assert {name: fact.values for name, fact in found.differing.items()} == {
            "transformers": (("5.18.0", "5.23.0", 1),)
        }


def changed(record: Record, **card) -> Record:
    run = {**record.answer.run, "model": {**record.answer.run["model"], **card}}
    return replace(record, answer=replace(record.answer, run=run))


def test_a_system_that_is_a_plain_function(folder, tmp_path):
    def plain(video: Video, question: Question) -> Answer:
        frames: Frames = video.at([0.0])
        return Answer("B" if len(frames) else "A", option=1)

    with evaluate.Answering(plain, lambda s: folder / s.video, isolate=False) as work:
        run = evaluate.run(
            [sample()], work, folder=tmp_path, manifest={}, videos=lambda s: folder / s.video, quiet=True
        )
    assert evaluate.accuracy(run).micro == 0.0
