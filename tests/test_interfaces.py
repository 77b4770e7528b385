"""The protocols carry what the six systems need: each need as a few lines of code, run on a real architecture.

What a line here cannot say in the house's own words is a fault of `videre.types`, to be mended there.
"""

import tracemalloc
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from videre.data import world
from videre.models import mllm
from videre.types import MLLM, Answer, Evidence, Frames, Question, ScoreLine, Span, Step, System, Video
from videre.video.look import look
from videre.video.open import open_video

QUESTION = Question("What happens?", ("a red square moves", "a blue ball appears"))


@pytest.fixture(scope="module")
def model(tiny_checkpoint) -> MLLM:
    found = mllm.load(str(tiny_checkpoint("qwen3_vl")), device="cpu", dtype="float32")
    assert isinstance(found, MLLM)
    return found


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Iterator[Video]:
    path = world.write(world.make(3, world.Config(seconds=4.0, size_px=64)), tmp_path_factory.mktemp("v") / "v.mp4")
    with open_video(path) as opened:
        yield opened


def shown(chunks: Iterable[Frames]) -> list[tuple[int, int]]:
    """Frames and height of each chunk."""
    return [(len(chunk), chunk.pixels.shape[2]) for chunk in chunks]


def test_three_groups_of_frames(model, video):
    """MSR-ViR: an overview, the key moment and close-ups, each with its own size and true times, in one prompt."""

    def system(video: Video, question: Question) -> Answer:
        overview = look(video, Evidence((0.5, 1.5, 2.5, 3.5)), size_px=32)
        moment = look(video, Evidence((1.8, 2.0, 2.2)), size_px=56)
        close = Frames(moment.pixels[:1, :, 10:50, 10:50], moment.seconds[:1])
        answer = model.answer([overview, moment, close], question)
        steps = (Step("temporal", {"query": "moves"}, "1.8 s to 2.2 s"),)
        return replace(answer, evidence=Evidence((1.8, 2.0, 2.2), spans=(Span(1.8, 2.2),), steps=steps))

    asked: System = system
    answer = asked(video, QUESTION)
    assert answer.usage
    assert answer.usage.frames == 8
    assert answer.evidence.spans[0].end_seconds == 2.2


def test_slow_and_fast(model, video):
    """SF-LLaVA: few frames large, many small, in one prompt; the small ones cost fewer tokens."""
    slow = look(video, Evidence((1.0, 3.0)), size_px=64)
    fast = look(video, Evidence(tuple(np.arange(8) / 2)), size_px=32)
    one, both = (model.answer(chunks, QUESTION).usage for chunks in ([slow], [slow, fast]))
    large = model.answer([slow, look(video, Evidence(tuple(np.arange(8) / 2)), size_px=64)], QUESTION).usage
    assert one.frames == 2
    assert both.frames == large.frames == 10
    assert one.prompt_tokens < both.prompt_tokens < large.prompt_tokens


def test_three_resolutions(model, video):
    """Q-Frame: the best frames large, the next ones smaller, each group in time order."""
    ranked = ScoreLine(tuple(np.arange(8) / 2), (0.9, 0.1, 0.8, 0.2, 0.7, 0.3, 0.6, 0.4))
    order = np.argsort(ranked.scores)[::-1]
    groups = [sorted(ranked.seconds[i] for i in order[a:b]) for a, b in ((0, 2), (2, 4), (4, 8))]
    chunks = [look(video, Evidence(tuple(g)), size_px=s) for g, s in zip(groups, (64, 48, 32), strict=True)]
    assert shown(chunks) == [(2, 64), (2, 48), (4, 32)]
    assert model.answer(chunks, QUESTION).usage.frames == 8


def test_a_memory_reads_twelve_hours():
    """MA-LMM: frames come as a stream of chunks of any length, and only what is remembered stays."""
    day = world.tell(5, world.StoryConfig(seconds=12 * 3600.0, events=3, act_seconds=60.0, fps=1, size_px=16))
    memory, seen, size = np.zeros((4, 3)), 0, 0
    tracemalloc.start()
    for chunk in day.chunks(256):
        for frame in chunk.pixels.mean((2, 3)):
            slot = seen % len(memory)
            memory[slot] = 0.9 * memory[slot] + 0.1 * frame
            seen += 1
        size = size or tracemalloc.get_traced_memory()[1]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seen == 12 * 3600
    assert peak < 1.5 * size
    assert memory.min() > 0


def test_a_stream_is_read_once_and_in_order(model, video):
    """A model takes an iterator: frames that were handed over are not asked for again."""
    taken = []

    def stream() -> Iterator[Frames]:
        for chunk in video.stream(fps=2.0):
            taken.extend(chunk.seconds)
            yield chunk

    session = model.watch(stream())
    before = list(taken)
    replies = {session.answer(QUESTION).text, session.answer(QUESTION).text}
    assert taken == before == sorted(before)
    assert len(taken) == 8
    assert len(replies) == 1


def test_retrieval_is_a_table_of_similarities():
    """BT-Adapter: an encoder gives unit rows for frames and texts; what it finds is spans with scores."""
    rng = np.random.default_rng(0)
    frames, text = rng.normal(size=(6, 8)), rng.normal(size=8)
    similarity = (frames @ text) / np.linalg.norm(frames, axis=1) / np.linalg.norm(text)
    best = int(similarity.argmax())
    line = ScoreLine(tuple(float(i) for i in range(6)), tuple(similarity))
    found = Evidence((float(best),), scored=line, spans=(Span(best - 0.5 if best else 0.0, best + 0.5, label="hit"),))
    assert found.scored
    assert found.scored.scores[best] == max(found.scored.scores)


def test_fine_tuning_and_preference_losses(model, video):
    """Video-STaR, T2Vid: the loss of a reply trains the model; DPO: so does the difference of two."""
    torch = pytest.importorskip("torch")
    frames = look(video, Evidence((1.0, 3.0)), size_px=32)
    weight = next(p for n, p in model.network.named_parameters() if "layers.0" in n and p.ndim == 2)
    weight.requires_grad_(True)
    tuned = model.loss([frames], QUESTION, "a red square").mean()
    (by_reply,) = torch.autograd.grad(tuned, weight)
    better, worse = (-model.loss([frames], QUESTION, text).sum() for text in ("a red square", "a blue ball"))
    preferred = -torch.nn.functional.logsigmoid(0.1 * (better - worse))
    (by_preference,) = torch.autograd.grad(preferred, weight)
    for gradient in (by_reply, by_preference):
        assert torch.isfinite(gradient).all()
        assert gradient.abs().max() > 0
