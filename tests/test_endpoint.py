"""The model behind a server: what is sent, what comes back, and what a slow, full or broken server makes of it."""

import asyncio
import base64
import gc
import io
import json
import logging
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path

import httpx
import numpy as np
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from loopback import BaseUrl, Response, completion, failure, read_message, read_mp4, serve, serve_model
from videre.errors import NO_MODEL, STOP_CODES, ModelError, VideoError
from videre.models.endpoint import Endpoint, connect
from videre.models.endpoint_address import key_for, parse
from videre.models.endpoint_parts import Handover, mp4, show
from videre.models.endpoint_reply import Reply, Trouble, judge, retry_after
from videre.options import listed
from videre.types import MLLM, Frames, Question, Session

KEYS = st.sampled_from(
    ["choices", "message", "content", "logprobs", "top_logprobs", "token", "logprob", "text", "error"]
)
SECRET = "sk-do-not-show-0123456789"
COLOUR = Question("Which colour is the ball?", ("red", "blue"))


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VIDERE_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def noise(seconds: list[float], *, height: int = 48, width: int = 64, seed: int = 0, label: str = "") -> Frames:
    pixels = np.random.default_rng(seed).integers(0, 256, (len(seconds), 3, height, width), dtype=np.uint8)
    return Frames(pixels, np.array(seconds, dtype=np.float64), label)


def smooth(seconds: list[float], *, height: int = 48, width: int = 64) -> Frames:
    """Pictures that compress well: a gradient whose shade tells the frame."""
    ramp = np.linspace(40, 160, width, dtype=np.uint8)[None, None, :]
    pixels = np.stack([np.broadcast_to(ramp + 12 * i, (3, height, width)) for i in range(len(seconds))])
    return Frames(pixels.astype(np.uint8), np.array(seconds, dtype=np.float64))


def quick(base_url: str, model: str = "tiny", **settings: object) -> Endpoint:
    """A connection whose waits are short."""
    waits = {"backoff_seconds": 0.02, "try_seconds": 30.0, "deadline_seconds": 60.0}
    return connect(base_url, model, **{**waits, **settings})


def fails(base_url: str, code: str, *, requests: int | None = None, **settings: object) -> str:
    """The message of the error that a question ends with."""
    with quick(base_url, **settings) as model, pytest.raises(ModelError) as caught:
        model.answer([], Question("what?"))
    assert (caught.value.code, caught.value.exit_code) == (code, NO_MODEL)
    assert "tiny" in str(caught.value)
    assert base_url in str(caught.value)
    assert "\n" not in str(caught.value)
    if requests is not None:
        assert len(base_url.calls) == requests
    return str(caught.value)


# What is sent


def test_it_is_a_model_and_says_what_it_is():
    reply = {**completion("B"), "model": "tiny-v2", "system_fingerprint": "fp_1"}
    with serve(lambda _: reply) as base_url, quick(base_url, image="png") as model:
        assert isinstance(model, MLLM)
        assert isinstance(model.watch([noise([0.0])]), Session)
        answer = model.answer([noise([0.0, 1.5])], COLOUR)
        assert (answer.text, answer.option, answer.usage.frames) == ("B", 1, 2)
        assert answer.run["server"] == {
            "reported_model": "tiny-v2",
            "system_fingerprint": "fp_1",
            "finish_reason": "stop",
            "tries": 1,
        }
        assert model.card["reported_model"] == "tiny-v2"
        assert (model.name, model.card["id"], model.card["base_url"]) == ("tiny", "tiny", base_url)
        assert (model.card["transport"], model.card["encoding"][:3]) == ("images", "png")


def test_the_usage_is_the_servers():
    usage = {"prompt_tokens": 321, "completion_tokens": 2, "total_tokens": 323}
    with serve(lambda _: {**completion("red"), "usage": usage}) as base_url, quick(base_url) as model:
        got = model.answer([noise([0.0])], Question("what?")).usage
        assert (got.prompt_tokens, got.answer_tokens, got.frames) == (321, 2, 1)
        assert got.milliseconds > 0
    with (
        serve(lambda _: {**completion("red"), "usage": {"prompt_tokens": "many"}}) as base_url,
        quick(base_url) as model,
    ):
        assert model.answer([], Question("what?")).usage.prompt_tokens is None


def by_hand(chunk: Frames, words: str) -> list[dict]:
    """The message as the documentation of such servers writes it."""
    content: list[dict] = []
    for frame, seconds in zip(chunk.pixels, chunk.seconds, strict=True):
        file = io.BytesIO()
        Image.fromarray(frame.transpose(1, 2, 0)).save(file, "PNG", compress_level=1)
        url = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
        content.append({"type": "text", "text": f"<{seconds:.1f} seconds>"})
        content.append({"type": "image_url", "image_url": {"url": url}})
    return [{"role": "user", "content": [*content, {"type": "text", "text": words}]}]


def test_the_bytes_are_those_that_the_openai_client_sends():
    chunk = noise([0.0, 2.5, 5.04])
    with serve(lambda _: "ok") as base_url:
        with quick(base_url, api_key=SECRET, max_tokens=16, image="png") as model:
            model.answer([chunk], Question("what happens ? ü 猫"))
        with openai.OpenAI(base_url=base_url, api_key=SECRET, max_retries=0) as client:
            messages = by_hand(chunk, "what happens ? ü 猫")
            for message, sent in zip(messages, base_url.calls[0].body["messages"], strict=True):
                # The names for a server's cache are the one thing that OpenAI does not have.
                for mine, theirs in zip(message["content"], sent["content"], strict=True):
                    mine.update({"uuid": theirs["uuid"]} if "uuid" in theirs else {})
            client.chat.completions.create(messages=messages, model="tiny", max_tokens=16, temperature=0)
        ours, theirs = base_url.calls
        assert ours.raw == theirs.raw
        assert (ours.path, ours.headers["authorization"]) == (theirs.path, theirs.headers["authorization"])
        assert ours.headers["content-type"] == theirs.headers["content-type"]


def test_png_arrives_exactly_and_jpeg_nearly():
    chunks = [noise([0.0, 0.5], label="overview"), noise([3.25], height=31, width=33, seed=1, label="close-up")]
    with serve(lambda _: "ok") as base_url:
        for image in ("png", "jpeg"):
            with quick(base_url, image=image, jpeg_quality=95) as model:
                model.answer(chunks, Question("what?"))
        exact, near = (read_message(call.body["messages"][0]["content"]) for call in base_url.calls)
    assert exact[1] == "what?"
    for sent, got, lossy in zip(chunks, exact[0], near[0], strict=True):
        assert np.array_equal(sent.pixels, got.pixels)
        assert np.abs(sent.seconds - got.seconds).max() <= 0.0501
        assert sent.label == got.label
        assert np.abs(sent.pixels.astype(int) - lossy.pixels).mean() < 6


def test_the_name_of_a_part_is_that_of_its_bytes():
    first, again, other = (show([noise([1.0], seed=seed)], Handover()).parts[1] for seed in (0, 0, 1))
    assert first == again
    assert first["uuid"] != other["uuid"]
    assert first["uuid"].startswith("sha256:")


def test_a_session_encodes_once_and_sends_the_same_bytes_first():
    with serve(lambda _: "A") as base_url, quick(base_url) as model:
        session = model.watch(iter([noise([0.0, 1.0])]))
        assert session.answer(COLOUR).option == 0
        assert session.answer(Question("why?")).usage.frames == 2
        assert session.generate("describe", max_tokens=7) == "A"
        heads = {json.dumps(call.body["messages"][0]["content"][:-1]) for call in base_url.calls}
        assert len(heads) == 1
        starts = {call.raw[: call.raw.index(b"uuid")] for call in base_url.calls}
        assert len(starts) == 1
        assert [call.body["max_tokens"] for call in base_url.calls] == [512, 512, 7]


def test_text_alone_and_more_fields():
    with serve(lambda _: "ok") as base_url, quick(base_url, extra={"seed": 3, "temperature": 0.5}) as model:
        assert model.generate("say ok") == "ok"
        assert base_url.calls[0].body == {
            "messages": [{"role": "user", "content": [{"type": "text", "text": "say ok"}]}],
            "model": "tiny",
            "max_tokens": 128,
            "temperature": 0.5,
            "seed": 3,
        }


@pytest.mark.parametrize("seconds", [[3.0, 3.04, 50.0, 57.2], [10.0, 10.5, 11.0, 11.5], [2.0], [1.0, 1.0, 2.0]])
def test_a_video_keeps_the_true_times(seconds):
    with serve(lambda _: "ok") as base_url, quick(base_url, transport="video") as model:
        model.answer([smooth(seconds, height=47, width=63)], Question("what?"))
        parts = base_url.calls[0].body["messages"][0]["content"]
        assert [part["type"] for part in parts] == ["text", "video_url", "text"]
        chunks, _ = read_message(parts)
        assert np.abs(chunks[0].seconds - np.array(seconds)).max() <= 0.0501
    pixels, times = read_mp4(mp4(smooth(seconds, height=47, width=63)))
    assert pixels.shape == (len(seconds), 3, 48, 64)
    # Equal times come apart by one tick of the file.
    assert np.abs(times - (np.array(seconds) - seconds[0])).max() < 2 / 90_000
    assert np.abs(pixels[:, :, :47, :63].astype(int) - smooth(seconds, height=47, width=63).pixels).mean() < 4


def test_even_times_make_a_constant_rate():
    import av

    with av.open(io.BytesIO(mp4(smooth([10.0, 10.5, 11.0, 11.5])))) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == 2
        assert float(stream.duration * stream.time_base) == pytest.approx(2.0)


# A real architecture behind the server


@pytest.fixture(scope="module")
def served(tiny_checkpoint: Callable[[str], Path]) -> Iterator[tuple[MLLM, BaseUrl]]:
    from videre.models import mllm

    model = mllm.load(str(tiny_checkpoint("qwen3_vl")))
    with serve_model(model, key=SECRET) as base_url:
        yield model, base_url


def test_pictures_and_words_reach_a_real_model(served):
    local, base_url = served
    frames, others = noise([0.0, 1.5, 4.0, 9.3]), noise([0.0, 1.5, 4.0, 9.3], seed=5)
    question = Question("what happens in the video ?")
    with quick(base_url, local.name, api_key=SECRET, image="png", max_tokens=12) as model:
        here, there = local.generate(listed(question), [frames], max_tokens=12), model.answer([frames], question)
        assert there.text == here
        assert model.answer([others], question).text == local.generate(listed(question), [others], max_tokens=12)
        assert model.generate("red square", [frames], max_tokens=12) == local.generate(
            "red square", [frames], max_tokens=12
        )


def test_scores_of_letters_are_the_models_own_and_follow_the_pixels(served):
    local, base_url = served
    letters = ["A", "B"]
    with quick(base_url, local.name, api_key=SECRET, image="png") as model:
        scores = [model.score([noise([0.0, 2.0], seed=seed)], COLOUR, letters) for seed in (0, 1)]
        for seed, got in enumerate(scores):
            own = local.score([noise([0.0, 2.0], seed=seed)], COLOUR, letters)
            np.testing.assert_allclose(got, own, atol=1e-4)
        assert not np.allclose(scores[0], scores[1], atol=1e-6)
        session = model.watch([noise([0.0, 2.0])])
        np.testing.assert_allclose(session.score(COLOUR, ["B", "A"]), scores[0][::-1], atol=1e-6)


def test_a_video_reaches_a_real_model(served):
    local, base_url = served
    with quick(base_url, local.name, api_key=SECRET, transport="video") as model:
        answer = model.answer([smooth([0.0, 1.0, 2.0, 3.0])], COLOUR)
        assert answer.usage.frames == 4
        assert isinstance(answer.text, str)


def test_the_loopback_server_runs_from_the_command_line(tiny_checkpoint):
    command = [sys.executable, "tests/loopback.py", "--model", str(tiny_checkpoint("qwen3_vl"))]
    environment = {**os.environ, "VIDERE_UNCHECKED": "1"}
    root = Path(__file__).parent.parent
    with subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            base_url = process.stdout.readline().strip()
            with quick(base_url) as model:
                assert isinstance(model.generate("what?", [noise([0.0])], max_tokens=4), str)
            assert len(httpx.get(f"{base_url}/models", trust_env=False).json()["data"]) == 1
        finally:
            process.terminate()


# score and loss


def listing(*rows: tuple[str, float]) -> dict:
    tops = [{"token": token, "logprob": value} for token, value in rows]
    return completion("A", logprobs={"content": [{"token": "A", "logprob": -0.1, "top_logprobs": tops}]})


def test_score_adds_the_tokens_that_are_one_letter():
    reply = listing(("A", np.log(0.5)), (" A", np.log(0.25)), ("B", np.log(0.125)), ("Ab", -1.0))
    with serve(lambda _: reply) as base_url, quick(base_url) as model:
        scores = model.score([], COLOUR, ("A", "B", "C"))
        np.testing.assert_allclose(np.exp(scores), [0.75, 0.125, 0.0], atol=1e-9)
        sent = base_url.calls[0].body
        assert (sent["logprobs"], sent["top_logprobs"], sent["max_tokens"]) == (True, 20, 1)


@pytest.mark.parametrize(
    ("reply", "options"),
    [
        (completion("A"), ("A", "B")),
        (completion("A", logprobs={"content": []}), ("A", "B")),
        (completion("A", logprobs={"content": [{"top_logprobs": [{"token": "A"}]}]}), ("A", "B")),
        (failure(400, "logprobs are not available for this model"), ("A", "B")),
        (completion("A"), ("red", "blue")),
    ],
)
def test_score_says_where_it_cannot(reply, options):
    with serve(lambda _: reply) as base_url, quick(base_url) as model:
        with pytest.raises(ModelError, match=r"log-probabilities|one letter") as caught:
            model.score([], COLOUR, options)
        assert caught.value.code == "unsupported"


def test_loss_says_that_a_server_has_none():
    with pytest.raises(ModelError, match="no loss") as caught:
        quick("http://127.0.0.1:9/v1").loss([], COLOUR, "A")
    assert caught.value.code == "unsupported"


# Replies of all kinds


@pytest.mark.parametrize(
    ("message", "finish", "text", "rationale", "notes"),
    [
        ({"content": "B", "reasoning_content": "it rolls"}, "stop", "B", "it rolls", 0),
        (
            {"content": [{"type": "text", "text": "red "}, {"type": "text", "text": "ball"}]},
            "stop",
            "red ball",
            None,
            0,
        ),
        ({"content": None, "refusal": "I cannot"}, "stop", "I cannot", None, 0),
        ({"content": "", "reasoning": "so long"}, "length", "", "so long", 1),
        ({"content": None}, "length", "", None, 1),
        ({"content": "!!!!"}, None, "!!!!", None, 0),
    ],
)
def test_replies_that_are_kept_as_they_are(message, finish, text, rationale, notes):
    reply = {**completion("x"), "choices": [{"message": message, "finish_reason": finish}]}
    with serve(lambda _: reply) as base_url, quick(base_url) as model:
        answer = model.answer([], Question("what?"))
        assert (answer.text, answer.rationale, len(answer.notes)) == (text, rationale, notes)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"choices": [{"message": {"con',
        b"[]",
        b"null",
        b'{"choices": []}',
        b'{"choices": {}}',
        b'{"choices": [null]}',
        b'{"choices": [{"message": "red"}]}',
        b'{"choices": [{"message": {"content": 7}}]}',
        b'{"choices": [{"message": {"content": null}}]}',
        b'{"choices": [{"message": {"content": [1]}}]}',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"error": {"message": "no"}}',
    ],
)
def test_a_broken_reply_is_tried_again_and_then_an_error(body):
    broken = Response(200, body)
    with serve(lambda _: broken) as base_url:
        said = fails(base_url, "bad_reply", requests=3, retries=2)
        assert "gave up after 3 tries" in said
    replies = iter([broken, "red"])
    with serve(lambda _: next(replies)) as base_url, quick(base_url) as model:
        answer = model.answer([], Question("what?"))
        assert (answer.text, answer.run["server"]["tries"]) == ("red", 2)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda x: st.lists(x) | st.dictionaries(KEYS, x),
)


@settings(deadline=None, max_examples=60)
@given(body=st.binary() | json_values.map(lambda value: json.dumps(value).encode()), status=st.integers(100, 599))
def test_whatever_a_server_sends_is_a_reply_or_a_trouble(body, status):
    judged = judge(status, {"retry-after": body[:40].decode("latin-1")}, body)
    assert isinstance(judged, Reply | Trouble)
    assert status == 200 or judged.words.isprintable()


@settings(deadline=None, max_examples=60)
@given(message=json_values, logprobs=json_values, usage=json_values, finish=json_values)
def test_whatever_stands_in_a_completion(message, logprobs, usage, finish):
    choice = {"message": message, "logprobs": logprobs, "finish_reason": finish}
    judged = judge(200, {}, json.dumps({"choices": [choice], "usage": usage}).encode())
    assert isinstance(judged, Trouble) or judged.text.encode("utf-8") is not None


def test_numbers_that_no_model_gives():
    rows = [("A", 0.1), ("B", float("-inf")), ("C", float("nan")), ("D", 10**400)]
    with serve(lambda _: listing(*rows[:3])) as base_url, quick(base_url) as model:
        assert model.score([], COLOUR, ("A", "B", "C")).tolist() == [0.0, -np.inf, -np.inf]
    with serve(lambda _: listing(*rows)) as base_url, quick(base_url) as model, pytest.raises(ModelError):
        model.score([], COLOUR, ("A", "B"))


def test_half_a_surrogate_pair_does_no_harm():
    with serve(lambda _: "a \ud800 b") as base_url, quick(base_url) as model:
        assert model.answer([], Question("what \udfff?")).text == "a ? b"
        assert base_url.calls[0].body["messages"][0]["content"][0]["text"] == "what ??"


def test_a_server_that_says_zero_seconds_again_and_again_is_not_hammered():
    with serve(lambda _: failure(429, "busy", Retry_After="0")) as base_url:
        fails(base_url, "deadline", deadline_seconds=1.0, backoff_seconds=0.1)
        assert len(base_url.calls) < 40


def test_a_login_page_is_no_reply():
    page = Response(200, b"<html>please log in</html>", {"Content-Type": "text/html; charset=utf-8"})
    with serve(lambda _: page) as base_url:
        assert "text/html" in fails(base_url, "bad_reply", retries=0)


def test_an_endless_body_is_cut(monkeypatch):
    monkeypatch.setattr("videre.models.endpoint_line.REPLY_BYTES", 1 << 20)
    pieces = Response(200, (b" " * 65536 for _ in range(1_000_000)))
    with serve(lambda _: pieces) as base_url:
        assert "longer than 1 MiB" in fails(base_url, "reply_too_long", requests=1)


def test_a_body_that_drips_meets_the_deadline():
    def drip() -> Iterator[bytes]:
        while True:
            time.sleep(0.02)
            yield b" "

    started = time.perf_counter()
    with serve(lambda _: Response(200, drip())) as base_url:
        fails(base_url, "timeout", try_seconds=0.3, retries=0)
    assert time.perf_counter() - started < 10


# Servers that refuse


@pytest.mark.parametrize(
    ("response", "code", "words"),
    [
        (failure(401, f"Incorrect API key provided: {SECRET}"), "unauthorized", "set VIDERE_API_KEY"),
        (failure(403, "not your model"), "forbidden", "not your model"),
        (failure(404, "The model `tiny` does not exist"), "not_found", "/models"),
        (failure(402, "pay"), "quota", "credit"),
        (Response(429, b'{"error": {"message": "x", "code": "insufficient_quota"}}'), "quota", "credit"),
        (Response(307, b"", {"Location": "http://other.example/v1"}), "redirect", "http://other.example/v1"),
    ],
)
def test_a_refusal_stops_at_once_and_everything_behind_it(response, code, words):
    with serve(lambda _: response) as base_url:
        assert words in fails(base_url, code, requests=1, api_key=SECRET)
        base_url.calls.clear()
        with quick(base_url, concurrency=4, api_key=SECRET) as model:
            items = (([noise([0.0])], Question(f"{i}?")) for i in range(1000))
            with pytest.raises(ModelError) as caught:
                list(model.answer_many(items))
            assert caught.value.code == code
            assert SECRET not in str(caught.value)
            assert len(base_url.calls) <= 4
            # Later questions on this connection are not sent either; what was on its way may still arrive.
            time.sleep(0.5)
            before = len(base_url.calls)
            with pytest.raises(ModelError):
                model.answer([], Question("what?"))
            assert len(base_url.calls) == before


def test_waiting_items_stop_with_the_others():
    def reply(body: dict) -> Response:
        slow = "slow" in body["messages"][0]["content"][-1]["text"]
        return failure(500, "x") if slow else failure(401, "expired", hang="")

    with serve(reply) as base_url, quick(base_url, backoff_seconds=30.0) as model:
        errors: list[ModelError] = []

        def ask(text: str) -> None:
            try:
                model.answer([], Question(text))
            except ModelError as error:
                errors.append(error)

        threads = [threading.Thread(target=ask, args=(text,)) for text in ("slow",) * 3]
        for thread in threads:
            thread.start()
        while len(base_url.calls) < 3:
            time.sleep(0.01)
        time.sleep(0.1)
        started = time.perf_counter()
        ask("now")
        for thread in threads:
            thread.join()
        assert time.perf_counter() - started < 10
        assert {error.code for error in errors} == {"unauthorized"}


def test_a_key_that_is_let_in_and_one_that_is_not(monkeypatch):
    with serve(lambda _: "ok", key=SECRET) as base_url:
        fails(base_url, "unauthorized", requests=1)
        monkeypatch.setenv("VIDERE_API_KEY", f"{SECRET}\n")
        with quick(base_url) as model:
            assert model.answer([], Question("what?")).text == "ok"


def test_a_bad_request_ends_its_item_alone():
    def reply(body: dict) -> str | Response:
        long = "long" in body["messages"][0]["content"][-1]["text"]
        return failure(400, "the prompt is\nlonger than 4096 tokens\x1b[31m") if long else "ok"

    with serve(reply) as base_url, quick(base_url) as model:
        done = dict(model.answer_many([([], Question(t)) for t in ("short", "long", "short")]))
        assert [type(done[i]).__name__ for i in range(3)] == ["Answer", "ModelError", "Answer"]
        assert done[1].code == "refused_request"
        assert "the prompt is longer than 4096 tokens [31m" in str(done[1])
        assert len(base_url.calls) == 3


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("uuid", "Unknown parameter: 'messages[0].content[1].uuid'."),
        ("max_tokens", "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead."),
        ("temperature", "Unsupported value: 'temperature' does not support 0 with this model."),
    ],
)
def test_a_field_that_a_server_refuses_by_name_is_left_out_and_said(field, words):
    def reply(body: dict) -> str | Response:
        return failure(400, words) if f'"{field}"' in json.dumps(body) else "ok"

    with serve(reply) as base_url, quick(base_url) as model:
        assert model.answer([noise([0.0])], Question("what?")).text == "ok"
        assert model.answer([noise([0.0])], Question("what?")).text == "ok"
        assert len(base_url.calls) == 3
        assert model.card["left_out"] == [field]
        last = base_url.calls[-1].body
        assert last.get("max_tokens", last.get("max_completion_tokens")) == 512
        assert model.card["temperature"] == ("the server's own" if field == "temperature" else 0)


def test_nobody_there_is_said_at_once():
    started = time.perf_counter()
    with serve(lambda _: "ok") as base_url:
        gone = str(base_url)
    with quick(gone) as model, pytest.raises(ModelError, match="nobody answers there") as caught:
        model.answer([], Question("what?"))
    assert (caught.value.code, caught.value.exit_code) == ("unreachable", NO_MODEL)
    assert gone in str(caught.value)
    with quick(gone) as model, pytest.raises(ModelError, match="nobody answers there"):
        list(model.answer_many(([], Question("?")) for _ in range(1000)))
    assert time.perf_counter() - started < 10


def test_a_server_that_goes_away_is_waited_for():
    with serve(lambda _: "ok") as base_url:
        port = int(base_url.rsplit(":", 1)[1].removesuffix("/v1"))
        model = quick(base_url, retries=50, backoff_seconds=0.05)
        assert model.answer([], Question("what?")).text == "ok"
    with model:
        answers: list[str] = []
        thread = threading.Thread(target=lambda: answers.append(model.answer([], Question("what?")).text))
        thread.start()
        time.sleep(0.2)
        with serve(lambda _: "back", port=port):
            thread.join()
        assert answers == ["back"]


def test_redirects_to_another_host_are_not_followed():
    with serve(lambda _: "stolen") as other:
        to = Response(302, b"", {"Location": f"{other}/chat/completions"})
        with serve(lambda _: to) as base_url:
            fails(base_url, "redirect", requests=1, api_key=SECRET)
        assert not other.calls


# Servers that fail


def test_hanging_meets_the_deadline():
    with serve(lambda _: Response(hang_seconds=60)) as base_url:
        started = time.perf_counter()
        said = fails(base_url, "deadline", try_seconds=0.2, deadline_seconds=0.7, retries=100)
        assert 0.5 < time.perf_counter() - started < 10
        assert "gave up within 0.7 s" in said


def test_a_dropped_connection_is_tried_again():
    replies = iter([Response(dropped=True), "ok"])
    with serve(lambda _: next(replies)) as base_url, quick(base_url) as model:
        assert model.answer([], Question("what?")).text == "ok"


def test_waits_grow_at_random_below_a_doubling_bound(monkeypatch):
    bounds: list[float] = []
    monkeypatch.setattr(random, "uniform", lambda low, high: bounds.append(high) or 0.0)
    with serve(lambda _: failure(500, "x")) as base_url:
        fails(base_url, "server_error", requests=11, backoff_seconds=0.5, retries=10)
    assert bounds == [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after-ms": "150", "retry-after": "9"}, 0.15),
        ({"retry-after": formatdate(1000.0, usegmt=True), "date": formatdate(970.0, usegmt=True)}, 30.0),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": formatdate(1000.0, usegmt=True)}, 0.0),
        ({}, None),
    ],
)
def test_retry_after_in_all_its_forms(headers, seconds):
    assert retry_after(headers) == seconds


def test_a_date_to_come_back_is_kept():
    replies = iter([failure(429, "slow down", Retry_After=formatdate(time.time() + 2, usegmt=True)), "ok"])
    with serve(lambda _: next(replies)) as base_url, quick(base_url) as model:
        assert model.answer([], Question("what?")).text == "ok"
        first, second = base_url.calls
        assert second.seconds - first.seconds > 0.9


def test_a_wait_beyond_the_deadline_is_said_at_once():
    with serve(lambda _: failure(429, "come back", Retry_After="3600")) as base_url:
        started = time.perf_counter()
        assert "left alone for 3600 s" in fails(base_url, "wait_too_long", requests=1)
        assert time.perf_counter() - started < 10


def test_one_item_told_to_wait_holds_back_all():
    """A server that takes five requests in each window: of thirty items that wait, few may run into its limit."""
    window_seconds, allowed, concurrency = 0.4, 5, 4
    lock, start, taken, told = threading.Lock(), 0.0, 0, Counter[float]()

    def reply(_: dict) -> str | Response:
        nonlocal start, taken
        with lock:
            now = time.monotonic()
            if now >= start + window_seconds:
                start, taken = now, 0
            taken += 1
            if taken <= allowed:
                return "ok"
            told[start] += 1
            return failure(429, "slow down", Retry_After=f"{start + window_seconds - now:.3f}")

    with serve(reply) as base_url, quick(base_url, concurrency=concurrency) as model:
        answers: list[str] = []
        ask = lambda: answers.append(model.answer([], Question("what?")).text)  # noqa: E731
        threads = [threading.Thread(target=ask) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == ["ok"] * 30
        # Those that were on their way when the first was told, and no more.
        assert max(told.values(), default=0) <= 2 * concurrency
        assert len(base_url.calls) <= 1.9 * 30


def test_the_breaker_opens_at_half_of_the_last_hundred_and_lets_in_again_after_a_rest(monkeypatch):
    monkeypatch.setattr("videre.models.endpoint_line.BREAKER_REST_SECONDS", 0.5)
    broken = True
    limits = {"retries": 1, "backoff_seconds": 0.001}
    with serve(lambda _: failure(500, "x") if broken else "ok") as base_url, quick(base_url, **limits) as model:
        results = []
        with pytest.raises(ModelError, match="50 of the last 100 requests failed") as caught:
            results += model.answer_many(([], Question(f"{i}?")) for i in range(10_000))
        assert caught.value.code == "circuit_open"
        assert 50 <= len(base_url.calls) <= 50 + 8
        with pytest.raises(ModelError) as again:
            model.answer([], Question("what?"))
        assert again.value.code == "circuit_open"
        broken = False
        time.sleep(0.5)
        assert model.answer([], Question("what?")).text == "ok"


def test_fewer_failures_do_not_open_the_breaker():
    turn = iter(range(10_000))
    limits = {"retries": 30, "backoff_seconds": 0.001}
    replies = lambda _: failure(500, "x") if next(turn) % 5 < 2 else "ok"  # noqa: E731
    with serve(replies) as base_url, quick(base_url, **limits) as model:
        done = dict(model.answer_many(([], Question(f"{i}?")) for i in range(150)))
        assert {str(answer) for answer in done.values()} == {"ok"}


def test_a_flaky_server_answers_every_item_once():
    """T7: 20 % 429 with Retry-After, 10 % 500, 5 % hang, 2 % half JSON; the times are scaled down."""
    retry_seconds, items = 0.05, 252
    deck = ["429"] * 20 + ["500"] * 10 + ["hang"] * 5 + ["half"] * 2 + ["ok"] * 63
    rng, lock, pile = random.Random(0), threading.Lock(), []
    told: dict[str, float] = {}
    early: list[str] = []
    answered: Counter[str] = Counter()

    def reply(body: dict) -> str | Response:
        text = body["messages"][0]["content"][-1]["text"]
        with lock:
            if time.monotonic() < told.get(text, 0.0):
                early.append(text)
            if not pile:
                pile.extend(rng.sample(deck, len(deck)))
            fate = pile.pop()
            answered[text] += fate == "ok"
            told[text] = time.monotonic() + retry_seconds if fate == "429" else 0.0
        if fate == "ok":
            return f"answer to {text}"
        if fate == "429":
            return failure(429, "slow down", Retry_After=str(retry_seconds))
        if fate == "half":
            return Response(200, json.dumps(completion("half"))[:60].encode())
        return failure(500, "broken") if fate == "500" else Response(hang_seconds=60)

    limits = {"try_seconds": 3.0, "retries": 8, "concurrency": 16}
    with serve(reply, keep=10_000) as base_url, quick(base_url, **limits) as model:
        questions = [Question(f"question {i}?") for i in range(items)]
        done = list(model.answer_many(([], question) for question in questions))
        assert sorted(index for index, _ in done) == list(range(items))
        assert all(str(answer) == f"answer to question {index}?" for index, answer in done)
        assert len(base_url.calls) <= 1.6 * items
        assert not early
        assert set(answered.values()) == {1}


# Many at once


def test_no_more_than_the_given_number_at_once_from_all_threads_together():
    lock, now, most = threading.Lock(), 0, 0

    def reply(_: dict) -> str:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.02)
        with lock:
            now -= 1
        return "ok"

    with serve(reply) as base_url, quick(base_url, concurrency=3) as model:
        threads = [
            threading.Thread(target=lambda: list(model.answer_many(([], Question("?")) for _ in range(10))))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(base_url.calls) == 40
        assert most == 3


def test_items_are_drawn_as_they_are_needed():
    drawn = 0

    def items() -> Iterator[tuple[list[Frames], Question]]:
        nonlocal drawn
        while True:
            drawn += 1
            yield [noise([0.0])], Question("?")

    with serve(lambda _: "ok") as base_url, quick(base_url, concurrency=2) as model:
        results = model.answer_many(items())
        for _ in range(10):
            next(results)
        results.close()
        assert drawn <= 10 + 2 + 4


def test_a_broken_video_is_an_error_of_its_item():
    def broken() -> Iterator[Frames]:
        yield noise([0.0])
        raise VideoError("cut in the middle", code="truncated")

    with serve(lambda _: "ok") as base_url, quick(base_url) as model:
        done = dict(model.answer_many([([noise([0.0])], COLOUR), (broken(), COLOUR)]))
        assert done[0].text == "ok"
        assert done[1].code == "truncated"
        assert len(base_url.calls) == 1


def test_answers_can_be_awaited():
    with serve(lambda body: body["messages"][0]["content"][-1]["text"]) as base_url, quick(base_url) as model:

        async def several() -> list[str]:
            answers = await asyncio.gather(*(model.answer_async([], Question(f"{i}?")) for i in range(5)))
            return [answer.text for answer in answers]

        assert asyncio.run(several()) == [f"{i}?" for i in range(5)]


def test_closing_and_forgetting_leave_no_thread():
    def threads() -> int:
        return sum(thread.name == "videre-endpoint" for thread in threading.enumerate())

    gc.collect()
    before = threads()
    with serve(lambda _: "ok") as base_url:
        model = quick(base_url)
        model.answer([], Question("what?"))
        assert threads() == before + 1
        model.close()
        assert threads() == before
        assert model.answer([], Question("what?")).text == "ok"
        del model
        gc.collect()
        assert threads() == before


def test_ctrl_c_ends_a_wait_at_once():
    code = """
import os, signal
from videre.models.endpoint import connect
from videre.types import Question
from loopback import Response, serve

def reply(body):
    os.kill(os.getpid(), signal.SIGINT)
    return Response(hang_seconds=60)

with serve(reply) as base_url:
    try:
        connect(base_url, "tiny").answer([], Question("what?"))
    except KeyboardInterrupt:
        print("interrupted")
"""
    started = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=30)
    assert (out.stdout, out.stderr) == ("interrupted\n", "")
    assert time.perf_counter() - started < 10


def test_a_fork_opens_its_own_connection():
    with serve(lambda _: "ok") as base_url, quick(base_url) as model:
        assert model.answer([], Question("what?")).text == "ok"
        code = f"""
import os, sys
from videre.models.endpoint import connect
from videre.types import Question
model = connect({str(base_url)!r}, "tiny")
texts = [model.answer([], Question("what?")).text]
child = os.fork()
texts.append(model.answer([], Question("what?")).text)
print(texts, flush=True)
if child:
    assert os.waitpid(child, 0)[1] == 0
"""
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
        assert (out.stdout, out.stderr) == ("['ok', 'ok']\n" * 2, "")


# Where it is, and who asks


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "localhost:8000",
        "ftp://host/v1",
        "file:///etc/passwd",
        "http://",
        "http://host/v1?key=secret",
        "http://host/v1#x",
        "http://127.0.0.1\\@evil.example/v1",
        "http://host /v1",
        "http://host:99999/v1",
        "http://a\nb/v1",
    ],
)
def test_addresses_that_are_none(base_url):
    with pytest.raises(ValueError, match=r"base URL|[Pp]ort") as caught:
        connect(base_url, "tiny")
    assert "secret" not in str(caught.value)


def test_addresses():
    address = parse("https://ann:s3cr%40t@[2001:db8::1]:8443/v1/")
    assert (address.url, address.login) == ("https://[2001:db8::1]:8443/v1", ("ann", "s3cr@t"))
    assert (address.local, address.secure) == (False, True)
    assert "s3cr" not in repr(address)
    assert parse("http://localhost:1/v1").local
    assert parse("http://[::1]:1/v1").local
    assert not parse("http://localhost.example/v1").local


def test_which_key_goes_where():
    environment = {"OPENAI_API_KEY": "theirs"}
    assert key_for(parse("https://host/v1"), None, environment) == "theirs"
    assert key_for(parse("http://127.0.0.1:1/v1"), None, environment) == "theirs"
    assert key_for(parse("http://host/v1"), None, environment) is None
    environment["VIDERE_API_KEY"] = " ours\n"
    assert key_for(parse("http://host/v1"), None, environment) == "ours"
    assert key_for(parse("http://host/v1"), "given", environment) == "given"
    assert key_for(parse("http://ann:x@host/v1"), None, environment) is None
    for key in ("sk-\x00", "sk-ü", "a\nb"):
        with pytest.raises(ValueError, match="printable ASCII") as caught:
            key_for(parse("http://host/v1"), key, {})
        assert key not in str(caught.value)


def test_a_login_in_the_address_is_used_and_never_shown():
    with serve(lambda _: "ok") as base_url, quick(base_url.replace("//", "//ann:hunter2@")) as model:
        answer = model.answer([], Question("what?"))
        shown = f"{model!r} {model.card} {answer} {answer.run}"
        assert "hunter2" not in shown
        wanted = base64.b64encode(b"ann:hunter2").decode()
        assert base_url.calls[0].headers["authorization"] == f"Basic {wanted}"


def test_the_key_is_in_no_record_error_or_log(caplog):
    caplog.set_level(logging.DEBUG)
    with serve(lambda _: "ok", key=f"{SECRET}-other") as base_url:
        said = fails(base_url, "unauthorized", api_key=SECRET)
        assert "invalid key [key]" in said
    with serve(lambda _: "ok", key=SECRET) as base_url, quick(base_url, api_key=SECRET) as model:
        answer = model.answer([noise([0.0])], Question("what?"))
        assert SECRET not in f"{model!r} {model.card} {answer!r} {model.watch([])}"
    with serve(lambda _: failure(400, f"you sent {SECRET}")) as base_url:
        assert SECRET not in fails(base_url, "refused_request", api_key=SECRET)
    assert SECRET not in caplog.text


def test_a_server_on_this_machine_is_asked_directly_whatever_the_proxy(monkeypatch):
    with serve(lambda _: "ok") as base_url, serve(lambda _: "proxied") as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.removesuffix("/v1"))
        with quick(base_url) as model:
            assert model.answer([], Question("what?")).text == "ok"
        # A name that no resolver knows is asked through the proxy, as curl and pip do.
        with quick("http://model.invalid/v1") as model:
            assert model.answer([], Question("what?")).text == "proxied"
        assert [call.path for call in proxy.calls] == ["http://model.invalid/v1/chat/completions"]


def test_a_proxy_that_cannot_be_used_is_said(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks9://x:1")
    with quick("http://model.invalid/v1") as model, pytest.raises(ModelError, match="proxy settings") as caught:
        model.answer([], Question("what?"))
    assert caught.value.code == "proxy"


@pytest.mark.parametrize(
    "settings",
    [
        {"transport": "smoke"},
        {"image": "gif"},
        {"jpeg_quality": 0},
        {"concurrency": 0},
        {"retries": -1},
        {"deadline_seconds": 0.0},
        {"max_tokens": 0},
    ],
)
def test_settings_that_make_no_sense(settings):
    with pytest.raises((ValueError, TypeError), match=r"transport|image|quality|concurrency|times|max_tokens|violat"):
        connect("http://127.0.0.1:9/v1", "tiny", **settings)


def test_stop_codes_are_those_of_no_further_use():
    assert "timeout" not in STOP_CODES
    assert {"unauthorized", "forbidden", "not_found", "circuit_open", "unreachable"} < STOP_CODES
